//! The parts of a stack as processes: how each is started, and how Redis and webdis are asked whether they serve.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::Outcome;
use crate::client::Client;
use crate::message::Request;
use crate::places::Tools;
use crate::ports::{Ports, loopback};
use crate::process::Process;

/// A part of the stack that can be stopped and started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    // In the order in which they are stopped: whoever asks before whoever answers.
    /// Envoy with the module.
    Edge,
    /// The demo backend.
    Backend,
    /// Webdis, the HTTP door to Redis.
    Webdis,
    /// Redis.
    Redis,
}

/// What starting a part needs to know.
pub(crate) struct Launch<'a> {
    pub tools: &'a Tools,
    pub ports: &'a Ports,
    pub run: &'a Path,
    pub envoy_file: PathBuf,
    pub workers: u32,
    /// How long a listener that was replaced goes on with its connections.
    pub drain_seconds: Option<u32>,
}

impl Launch<'_> {
    /// Starts the process; it may not serve yet.
    pub fn start(&self, part: Part) -> Outcome<Process> {
        match part {
            Part::Edge => self.edge(),
            Part::Backend => self.backend(),
            Part::Webdis => self.webdis(),
            Part::Redis => self.redis(),
        }
    }

    fn redis(&self) -> Outcome<Process> {
        let mut command = Command::new(&self.tools.redis);
        command.args(["--port", &self.ports.redis.to_string(), "--bind", "127.0.0.1"]);
        command.arg("--dir").arg(self.run);
        command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
        Process::start("redis", command, self.run, None)
    }

    fn webdis(&self) -> Outcome<Process> {
        let config = self.run.join("webdis.json");
        let text = json!({
            "redis_host": "127.0.0.1", "redis_port": self.ports.redis, "redis_auth": null,
            "http_host": "127.0.0.1", "http_port": self.ports.webdis, "threads": 2, "daemonize": false,
            // Only what the module and this harness ask: everything else is off.
            "acl": [{ "disabled": ["*"] }, { "enabled": ["EXISTS", "GET", "PING"] }],
            "verbosity": 3, "logfile": self.run.join("webdis.log"),
        });
        fs::write(&config, text.to_string()).map_err(|error| format!("can't write {}: {error}", config.display()))?;
        let mut command = Command::new(&self.tools.webdis);
        command.arg(config);
        Process::start("webdis", command, self.run, None)
    }

    fn backend(&self) -> Outcome<Process> {
        let mut command = Command::new(&self.tools.backend);
        command.args(["serve", "--listen", &loopback(self.ports.backend).to_string()]);
        command.args(["--admin", &loopback(self.ports.backend_admin).to_string()]);
        command.args(["--redis", &format!("redis://127.0.0.1:{}", self.ports.redis)]);
        Process::start("backend", command, self.run, None)
    }

    fn edge(&self) -> Outcome<Process> {
        let mut command = Command::new(&self.tools.envoy);
        command.arg("-c").arg(&self.envoy_file);
        command.args(["--concurrency", &self.workers.to_string(), "--disable-hot-restart"]);
        command.args(["--log-level", "warning", "--component-log-level", "wasm:info"]);
        // The access log is read by tests; ten seconds, the default, are too long to wait.
        command.args(["--file-flush-interval-msec", "50"]);
        if let Some(seconds) = self.drain_seconds {
            command.args(["--drain-time-s", &seconds.to_string()]);
        }
        Process::start("envoy", command, self.run, Some("access.log"))
    }
}

/// Fails unless Redis answers a PING.
pub(crate) async fn check_redis(port: u16) -> Outcome<()> {
    tell_redis(port, &["PING"], "+PONG\r\n").await
}

/// Sets `key` to something.
pub(crate) async fn redis_set(port: u16, key: &str) -> Outcome<()> {
    tell_redis(port, &["SET", key, "1"], "+OK\r\n").await
}

/// Sends a command; fails unless the answer begins as expected.
pub async fn tell_redis(port: u16, words: &[&str], expected: &str) -> Outcome<()> {
    // RESP: an array of strings, each with its length, so that a key may hold any byte.
    let strings = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
    let command = format!("*{}\r\n{}", words.len(), strings.collect::<String>());
    let answer = async {
        let mut stream = tokio::net::TcpStream::connect(loopback(port)).await?;
        stream.write_all(command.as_bytes()).await?;
        let mut answer = vec![0; expected.len()];
        stream.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    match answer.await {
        Ok(answer) if answer == expected.as_bytes() => Ok(()),
        Ok(answer) => Err(format!("redis answered {:?}", String::from_utf8_lossy(&answer))),
        Err(error) => Err(format!("redis: {error}")),
    }
}

/// Fails unless webdis passes a PING on to Redis and back.
pub(crate) async fn check_webdis(port: u16) -> Outcome<()> {
    let client = Client::http(loopback(port), Ipv4Addr::LOCALHOST);
    let reply = client.send(&Request::get("/PING")).await?;
    if reply.status == 200 {
        Ok(())
    } else {
        Err(reply.brief())
    }
}
