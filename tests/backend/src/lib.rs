//! The service that the demo and the end-to-end tests put behind Portcullis: accounts, tokens, orders, logout.
//!
//! It is also their witness: `seen` notes every request the moment its head arrives, so that a test can claim that
//! nothing got through. The admin listener reads those notes, forges tokens and scripts failures; it has no protection
//! of its own and belongs on loopback.
//!
//! In reading order: `listener` (connections), `public` and `admin` (routes), `seen` and `script` (what happens to a
//! request before its route), `accounts`, `keys`, `tokens`, `mint`, `orders`, `revocations`, `certs`.

mod accounts;
mod admin;
pub mod certs;
mod keys;
mod listener;
mod mint;
mod orders;
mod public;
mod reply;
pub mod revocations;
mod script;
mod seen;
mod tokens;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use revocations::{RedisRevocations, Revocations};

/// What [`serve`] needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the public listener binds; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the admin listener binds; port 0 takes a free one.
    pub admin: SocketAddr,
    /// `redis://HOST:PORT`, where revoked token ids are kept.
    pub redis: String,
    /// The `iss` of every token.
    pub issuer: String,
    /// The `aud` of every token.
    pub audience: String,
    /// How long a token lives, in seconds.
    pub token_seconds: u64,
}

/// Why the service did not start. `Display` is one line for the operator.
#[derive(Debug)]
pub enum StartError {
    /// The address can't be bound.
    Bind { address: SocketAddr, cause: io::Error },
    /// The URL is no Redis URL, or nothing there answered in time.
    Redis(revocations::ConnectError),
    /// The system gave no randomness, or its hashing failed.
    Secrets(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind { address, cause } if cause.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "{address} is already in use")
            }
            Self::Bind { address, cause } => write!(f, "can't listen on {address}: {cause}"),
            Self::Redis(cause) => cause.fmt(f),
            Self::Secrets(cause) => write!(f, "can't make keys: {cause}"),
        }
    }
}

impl std::error::Error for StartError {}

/// The running service. Dropping it, like [`Running::stop`], ends both listeners and all their connections at once.
#[derive(Debug)]
pub struct Running {
    /// The public listener's bound address.
    pub public: SocketAddr,
    /// The admin listener's bound address.
    pub admin: SocketAddr,
    tasks: [JoinHandle<()>; 2],
}

impl Running {
    /// Stops at once; requests under way get no answer.
    pub fn stop(self) {}
}

impl Drop for Running {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Everything the handlers share.
pub(crate) struct App {
    pub(crate) accounts: accounts::Accounts,
    pub(crate) keys: RwLock<keys::KeyRing>,
    pub(crate) orders: orders::Orders,
    pub(crate) revocations: Arc<dyn Revocations>,
    pub(crate) scripts: script::Scripts,
    pub(crate) seen: seen::Seen,
    pub(crate) tokens: tokens::Settings,
}

/// Binds both addresses, waits until Redis answers (10 s at most), then serves until the result is dropped.
///
/// # Errors
/// A [`StartError`]; nothing keeps running then.
pub async fn serve(config: Config) -> Result<Running, StartError> {
    // Bound before Redis is asked, so that a port in use is told at once and not after the wait.
    let (public, admin) = (bind(config.listen).await?, bind(config.admin).await?);
    let store = RedisRevocations::connect(&config.redis)
        .await
        .map_err(StartError::Redis)?;
    start(config, public, admin, Arc::new(store)).await
}

/// As [`serve`], with another place for revoked token ids; `config.redis` is not used.
///
/// # Errors
/// A [`StartError`]; nothing keeps running then.
pub async fn serve_with(config: Config, store: Arc<dyn Revocations>) -> Result<Running, StartError> {
    let (public, admin) = (bind(config.listen).await?, bind(config.admin).await?);
    start(config, public, admin, store).await
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|cause| StartError::Bind { address, cause })
}

async fn start(
    config: Config,
    public: TcpListener,
    admin: TcpListener,
    revocations: Arc<dyn Revocations>,
) -> Result<Running, StartError> {
    let app = Arc::new(App {
        accounts: accounts::Accounts::new()
            .await
            .map_err(|cause| StartError::Secrets(cause.to_string()))?,
        keys: RwLock::new(keys::KeyRing::new().map_err(|cause| StartError::Secrets(cause.to_string()))?),
        orders: orders::Orders::default(),
        revocations,
        scripts: script::Scripts::default(),
        seen: seen::Seen::default(),
        tokens: tokens::Settings {
            issuer: config.issuer,
            audience: config.audience,
            lifetime_seconds: config.token_seconds,
        },
    });
    let bound = |listener: &TcpListener, asked| {
        listener
            .local_addr()
            .map_err(|cause| StartError::Bind { address: asked, cause })
    };
    Ok(Running {
        public: bound(&public, config.listen)?,
        admin: bound(&admin, config.admin)?,
        tasks: [
            tokio::spawn(listener::run(
                public,
                public::router(Arc::clone(&app)),
                listener::PUBLIC_CONNECTIONS_MAX,
            )),
            tokio::spawn(listener::run(
                admin,
                admin::router(app),
                listener::ADMIN_CONNECTIONS_MAX,
            )),
        ],
    })
}

/// Seconds since 1970; 0 if the clock stands before that.
pub(crate) fn now_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The lock's content. A handler that panicked while it held the lock left nothing half done: each holds it for one
/// insertion or one look.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
