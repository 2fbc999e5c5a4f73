//! Redis, and the two ways to it that are compared: webdis, which our lookup asks, and an authorisation service, which
//! ext_authz asks about each request. The service does as little as such a one can: it reads the token's id, asks Redis
//! over a connection that stays open, and answers. All run on the core of what drives the load.

use std::io::{Error, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use ct_codecs::{Base64UrlSafeNoPadding, Decoder};
use portcullis_cost::policies::revoked_id;
use portcullis_e2e::process::Process;
use serde_json::{Value, json};

use crate::envoy::{cpu_of, free_port};

const START_SECONDS_MAX: u64 = 10;

const ADMIT: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const REFUSE: &[u8] = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 32\r\n\r\n{\"code\":\"revoked_by_authorizer\"}";
const FAIL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";

/// The word by which this program becomes the authorisation service.
pub const AUTHORIZER: &str = "--authorizer";

/// Their ports.
#[derive(Clone, Copy, Debug)]
pub struct Peers {
    redis: u16,
    pub webdis: u16,
    pub authorizer: u16,
}

/// Their processes.
pub struct Running(Vec<Process>);

impl Running {
    /// CPU time of all of them so far.
    pub fn cpu(&self) -> Result<Duration, String> {
        self.0.iter().map(|process| cpu_of(process.id())).sum()
    }
}

impl Peers {
    pub fn choose() -> Result<Self, String> {
        Ok(Self {
            redis: free_port()?,
            webdis: free_port()?,
            authorizer: free_port()?,
        })
    }

    /// Starts them on a core, with one token revoked.
    pub fn start(&self, core: &str, run: &Path) -> Result<Running, String> {
        let pinned = |program: &Path| {
            let mut command = Command::new("taskset");
            command.args(["--cpu-list", core]).arg(program);
            command
        };
        let mut redis = pinned("redis-server".as_ref());
        redis.args(["--port", &self.redis.to_string(), "--bind", "127.0.0.1"]);
        redis.args(["--save", "", "--appendonly", "no"]).arg("--dir").arg(run);
        let config = run.join("webdis.json");
        let text = json!({
            "redis_host": "127.0.0.1", "redis_port": self.redis, "redis_auth": null,
            "http_host": "127.0.0.1", "http_port": self.webdis, "threads": 2, "daemonize": false,
            "verbosity": 3, "logfile": run.join("webdis.log"),
        });
        std::fs::write(&config, text.to_string()).map_err(|error| format!("can't write webdis.json: {error}"))?;
        let mut webdis = pinned("webdis".as_ref());
        webdis.arg(&config);
        let own = std::env::current_exe().map_err(|error| format!("can't find this program: {error}"))?;
        let mut authorizer = pinned(&own);
        authorizer.args([AUTHORIZER, &self.authorizer.to_string(), &self.redis.to_string()]);
        let mut running = vec![Process::start("redis", redis, run, None)?];
        self.wait(self.redis)?;
        running.push(Process::start("webdis", webdis, run, None)?);
        running.push(Process::start("authorizer", authorizer, run, None)?);
        self.wait(self.webdis)?;
        self.wait(self.authorizer)?;
        let told = TcpStream::connect(("127.0.0.1", self.redis)).and_then(|mut redis| {
            let answer = tell(&mut redis, &["SET", &key(&revoked_id()), "1"])?;
            if answer == "+OK" {
                Ok(())
            } else {
                Err(Error::other(answer))
            }
        });
        told.map_err(|error| format!("redis: {error}"))?;
        Ok(Running(running))
    }

    fn wait(&self, port: u16) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > deadline {
                return Err(format!("nobody listens on port {port} after {START_SECONDS_MAX} s"));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

fn key(id: &str) -> String {
    format!("revoked:{id}")
}

/// Sends a command to Redis and returns the line that it answers.
fn tell(redis: &mut TcpStream, words: &[&str]) -> std::io::Result<String> {
    let strings = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
    let command = format!("*{}\r\n{}", words.len(), strings.collect::<String>());
    redis.write_all(command.as_bytes())?;
    let (mut answer, mut piece) = (Vec::new(), [0; 64]);
    while !answer.ends_with(b"\r\n") {
        match redis.read(&mut piece)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            read => answer.extend_from_slice(&piece[..read]),
        }
    }
    Ok(String::from_utf8_lossy(&answer).trim_end().to_owned())
}

/// Is the authorisation service until it is ended: `ports` are its own and that of Redis.
pub fn authorize(ports: &[String]) -> Result<(), String> {
    let mut ports = ports.iter().map(|port| port.parse::<u16>());
    let (Some(Ok(own)), Some(Ok(redis))) = (ports.next(), ports.next()) else {
        return Err(format!("{AUTHORIZER} needs two ports"));
    };
    let listener = TcpListener::bind(("127.0.0.1", own)).map_err(|error| format!("can't listen: {error}"))?;
    for connection in listener.incoming().flatten() {
        // A connection that breaks is Envoy's to notice.
        thread::spawn(move || serve(connection, redis));
    }
    Ok(())
}

fn serve(mut connection: TcpStream, redis: u16) -> std::io::Result<()> {
    let mut redis = TcpStream::connect(("127.0.0.1", redis))?;
    connection.set_nodelay(true)?;
    redis.set_nodelay(true)?;
    let (mut buffer, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        // ext_authz sends a head only, unless it is told otherwise.
        while let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head: Vec<u8> = buffer.drain(..end + 4).collect();
            let answer = match id(&String::from_utf8_lossy(&head)) {
                None => REFUSE,
                Some(id) => match tell(&mut redis, &["EXISTS", &key(&id)])?.as_str() {
                    ":0" => ADMIT,
                    ":1" => REFUSE,
                    _ => FAIL,
                },
            };
            connection.write_all(answer)?;
        }
        match connection.read(&mut piece)? {
            0 => return Ok(()),
            read => buffer.extend_from_slice(&piece[..read]),
        }
    }
}

/// The id of the token in a head. Its signature is judged before, by jwt_authn.
fn id(head: &str) -> Option<String> {
    let token = head
        .lines()
        .find_map(|line| line.strip_prefix("authorization: Bearer "))?;
    let payload = Base64UrlSafeNoPadding::decode_to_vec(token.split('.').nth(1)?, None).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    Some(claims["jti"].as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_reads_the_id_and_refuses_what_has_none() {
        // {"jti":"a"}
        let head = "GET /x HTTP/1.1\r\nauthorization: Bearer e30.eyJqdGkiOiJhIn0.AA\r\n\r\n";
        assert_eq!(id(head).as_deref(), Some("a"));
        assert_eq!(id(&head.replace("eyJqdGkiOiJhIn0", "e30")), None);
        assert_eq!(id("GET /x HTTP/1.1\r\n\r\n"), None);
        assert!(
            REFUSE.ends_with(b"\"}")
                && REFUSE.len() - 32 == REFUSE.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(0) + 4
        );
    }
}
