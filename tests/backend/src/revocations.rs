//! Where revoked token ids go: Redis, as `revoked:{jti}` with an expiry. The gateway reads them through webdis.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use tokio::time::{Instant, sleep, timeout_at};

/// How long [`RedisRevocations::connect`] waits for a Redis that is still starting.
const CONNECT_MAX: Duration = Duration::from_secs(10);
const CONNECT_PAUSE: Duration = Duration::from_millis(100);
/// How long one command or one new connection may take; a caller waits for it.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// The store did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unavailable;

/// What a [`Revocations`] method returns.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<(), Unavailable>> + Send + 'a>>;

/// A place for revoked token ids.
pub trait Revocations: Send + Sync + 'static {
    /// Remembers `jti` for `seconds`; done when the store has confirmed it.
    fn revoke<'a>(&'a self, jti: &'a str, seconds: u64) -> Answer<'a>;
    /// Asks whether the store is there.
    fn ping(&self) -> Answer<'_>;
}

/// Why there is no connection. `Display` is one line for the operator, without the URL's password.
#[derive(Debug)]
pub enum ConnectError {
    /// The URL is none that Redis understands.
    Url(String),
    /// Nothing answered within ten seconds.
    Timeout { address: String, cause: String },
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(cause) => write!(f, "not a Redis URL: {cause}"),
            Self::Timeout { address, cause } => {
                write!(
                    f,
                    "Redis at {address} did not answer within {} s: {cause}",
                    CONNECT_MAX.as_secs()
                )
            }
        }
    }
}

impl std::error::Error for ConnectError {}

/// Redis behind one connection that comes back by itself.
pub struct RedisRevocations(ConnectionManager);

impl RedisRevocations {
    /// Connects to `url` and waits until Redis answers, 10 s at most.
    ///
    /// # Errors
    /// A [`ConnectError`].
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        let client = redis::Client::open(url).map_err(|error| ConnectError::Url(error.to_string()))?;
        let settings = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(ANSWER_MAX))
            .set_response_timeout(Some(ANSWER_MAX));
        let deadline = Instant::now() + CONNECT_MAX;
        let mut cause = "no connection".to_owned();
        loop {
            let attempt = async {
                let manager = ConnectionManager::new_with_config(client.clone(), settings.clone()).await?;
                redis::cmd("PING").query_async::<()>(&mut manager.clone()).await?;
                Ok::<_, redis::RedisError>(Self(manager))
            };
            match timeout_at(deadline, attempt).await {
                Ok(Ok(connected)) => return Ok(connected),
                Ok(Err(error)) => cause = error.to_string(),
                Err(_) => {}
            }
            if Instant::now() + CONNECT_PAUSE >= deadline {
                let address = client.get_connection_info().addr().to_string();
                return Err(ConnectError::Timeout { address, cause });
            }
            sleep(CONNECT_PAUSE).await;
        }
    }

    async fn run(&self, command: redis::Cmd) -> Result<(), Unavailable> {
        // A clone shares the connection.
        command
            .query_async::<()>(&mut self.0.clone())
            .await
            .map_err(|_| Unavailable)
    }
}

impl Revocations for RedisRevocations {
    fn revoke<'a>(&'a self, jti: &'a str, seconds: u64) -> Answer<'a> {
        let mut command = redis::cmd("SET");
        command.arg(format!("revoked:{jti}")).arg(1).arg("EX").arg(seconds);
        Box::pin(self.run(command))
    }

    fn ping(&self) -> Answer<'_> {
        Box::pin(self.run(redis::cmd("PING")))
    }
}
