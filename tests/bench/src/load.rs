//! Drives one case for a while with wrk, or h2load for HTTP/2, and says what came of it.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::envoy::Envoy;
use crate::tokens::Algorithm;

/// As many requests are under way at any time.
const CONNECTIONS: u32 = 16;

/// How long a set-up may take until it gives the expected answers: a callout, or a feed of a million entries.
const PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE_WITH_A_FEED: Duration = Duration::from_secs(60);

/// Which token a request carries.
#[derive(Clone, Debug, Default)]
pub enum Token {
    #[default]
    None,
    Fixed(String),
    /// The first so many of a set, in turn.
    Each(Algorithm, PathBuf, usize),
}

/// A request, as often as the driver can send it.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub token: Token,
    pub body: Option<String>,
    /// How many clients it comes from; 1 is always the same one.
    pub clients: u32,
    pub status: u16,
    /// The code that a refusal has.
    pub code: Option<&'static str>,
    pub http2: bool,
    /// HTTP/1.1 connections, each with one request under way.
    pub connections: u32,
}

impl Ask {
    pub fn get(path: &str) -> Self {
        Self {
            method: "GET",
            path: path.to_owned(),
            headers: vec![
                ("user-agent", "bench/1".to_owned()),
                ("accept", "application/json".to_owned()),
            ],
            token: Token::None,
            body: None,
            clients: 1,
            status: 200,
            code: None,
            http2: false,
            connections: CONNECTIONS,
        }
    }

    pub fn post(path: &str, body: String) -> Self {
        let mut ask = Self::get(path);
        ask.method = "POST";
        ask.headers.push(("content-type", "application/json".to_owned()));
        ask.body = Some(body);
        ask
    }

    pub fn token(mut self, token: Token) -> Self {
        self.token = token;
        self
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn from(self, address: &str) -> Self {
        self.header("x-forwarded-for", address)
    }

    pub fn clients(mut self, clients: u32) -> Self {
        self.clients = clients;
        self
    }

    pub fn refused(mut self, status: u16, code: &'static str) -> Self {
        (self.status, self.code) = (status, Some(code));
        self
    }

    /// One request at a time, so that what is told of latency is not what others waited in front of it.
    pub fn alone(mut self) -> Self {
        self.connections = 1;
        self
    }

    pub fn http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    fn first_token(&self) -> Option<String> {
        match &self.token {
            Token::None => None,
            Token::Fixed(token) => Some(token.clone()),
            Token::Each(_, file, _) => fs::read_to_string(file).ok()?.lines().next().map(str::to_owned),
        }
    }

    /// All fields of a first request.
    fn fields(&self) -> Vec<(String, String)> {
        let mut fields: Vec<_> = self.headers.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
        if !fields.iter().any(|(name, _)| name == "x-forwarded-for") {
            fields.push(("x-forwarded-for".to_owned(), "198.51.100.7".to_owned()));
        }
        fields.extend(
            self.first_token()
                .map(|token| ("authorization".to_owned(), format!("Bearer {token}"))),
        );
        fields
    }

    /// Asks once, over plain HTTP/1.1, and fails unless the answer is the expected one.
    pub fn check(&self, envoy: &Envoy) -> Result<(), String> {
        if envoy.tls {
            return Ok(());
        }
        let answer = self
            .ask_once(envoy.port)
            .map_err(|error| format!("no answer: {error}"))?;
        let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
        let code = self
            .code
            .is_none_or(|code| answer.contains(&format!("\"code\":\"{code}\"")));
        if status == Some(self.status) && code {
            Ok(())
        } else {
            Err(format!(
                "expected {} {}, got: {answer}",
                self.status,
                self.code.unwrap_or_default()
            ))
        }
    }

    /// The same, for as long as it may take until Envoy has all that it asks for.
    pub fn check_patiently(&self, setup: &str, envoy: &Envoy) -> Result<(), String> {
        let feeds = setup.starts_with("feed-");
        let deadline = Instant::now() + if feeds { PATIENCE_WITH_A_FEED } else { PATIENCE };
        loop {
            match self.check(envoy) {
                Err(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(20)),
                checked => return checked,
            }
        }
    }

    /// Asks once, whatever the answer.
    pub fn ask_anyway(&self, envoy: &Envoy) {
        let _ = self.ask_once(envoy.port);
    }

    fn ask_once(&self, port: u16) -> std::io::Result<String> {
        let mut text = format!("{} {} HTTP/1.1\r\nconnection: close\r\n", self.method, self.path);
        if !self.headers.iter().any(|(name, _)| *name == "Host") {
            text.push_str("host: bench\r\n");
        }
        for (name, value) in self.fields() {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        if let Some(body) = &self.body {
            let _ = write!(text, "content-length: {}\r\n", body.len());
        }
        text.push_str("\r\n");
        text.push_str(self.body.as_deref().unwrap_or_default());
        let mut connection = TcpStream::connect(("127.0.0.1", port))?;
        connection.set_read_timeout(Some(Duration::from_secs(10)))?;
        connection.write_all(text.as_bytes())?;
        let mut answer = Vec::new();
        // A refusal of a large body may reset what was not read.
        let read = connection.read_to_end(&mut answer);
        if answer.is_empty() {
            read?;
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// For wrk; tokens are taken from position `start` on, so that a later run goes on where an earlier one ended.
    fn script(&self, start: u64) -> String {
        // Between long brackets Lua makes one line feed of a carriage return and a line feed.
        let quoted = |text: &str| {
            if text.contains('\r') {
                let text = text.replace('\\', "\\\\").replace('"', "\\\"");
                format!("\"{}\"", text.replace('\r', "\\r").replace('\n', "\\n"))
            } else {
                format!("[==[{text}]==]")
            }
        };
        let mut script = format!("wrk.method = {}\n", quoted(self.method));
        for (name, value) in self.fields() {
            let _ = writeln!(script, "wrk.headers[ {} ] = {}", quoted(&name), quoted(&value));
        }
        if let Some(body) = &self.body {
            let _ = writeln!(script, "wrk.body = {}", quoted(body));
        }
        if let Token::Each(_, file, count) = &self.token {
            // All requests are made before the first is sent. wrk calls `init` when it has set `Host`.
            let _ = writeln!(
                script,
                "local requests, at = {{}}, {start}
function init(args)
  for token in io.lines({file}) do
    wrk.headers['authorization'] = 'Bearer ' .. token
    requests[#requests + 1] = wrk.format(nil, wrk.path)
    if #requests == {count} then break end
  end
end
function request() at = at % #requests + 1; return requests[at] end",
                file = quoted(&file.to_string_lossy())
            );
        } else if self.clients > 1 {
            let _ = writeln!(
                script,
                "local at, before, after = 0, '', ''
function init(args)
  wrk.headers['x-forwarded-for'] = '@@'
  before, after = wrk.format(nil, wrk.path):match('^(.-)@@(.*)$')
end
function request()
  at = (at + 1) % {clients}
  return before .. '100.' .. math.floor(at / 65536) .. '.' .. math.floor(at / 256) % 256 .. '.' .. at % 256 .. after
end",
                clients = self.clients
            );
        }
        script.push_str(
            "function done(s, latency)
  io.stderr:write(string.format('{\"requests\":%d,\"us\":%d,\"failed\":%d,\"refused\":%d,\"p50\":%d,\"p99\":%d}',
    s.requests, s.duration, s.errors.connect + s.errors.read + s.errors.write + s.errors.timeout, s.errors.status,
    latency:percentile(50), latency:percentile(99)))
end\n",
        );
        script
    }
}

/// What one round gave.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// CPU time of Envoy for one request, in microseconds.
    pub cpu: f64,
    /// Requests a second.
    pub rate: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub requests: u64,
    /// CPU time of the services that Envoy asks, for one request, in microseconds.
    pub services: f64,
}

/// Drives `envoy` for about `seconds` from the given core, after `before` requests of this case.
pub fn drive(ask: &Ask, before: u64, envoy: &Envoy, seconds: f64, core: &str, run: &Path) -> Result<Round, String> {
    drive_beside(&|| Ok(Duration::ZERO), ask, before, envoy, seconds, core, run)
}

/// The same where Envoy asks services, whose CPU time so far `services` tells.
pub fn drive_beside(
    services: &dyn Fn() -> Result<Duration, String>,
    ask: &Ask,
    before: u64,
    envoy: &Envoy,
    seconds: f64,
    core: &str,
    run: &Path,
) -> Result<Round, String> {
    let spent_before = envoy.cpu()?;
    let services_before = services()?;
    let told = if ask.http2 {
        h2load(ask, envoy, seconds, core, run)?
    } else {
        wrk(ask, before, envoy, seconds, core, run)?
    };
    let spent = envoy.cpu()?.saturating_sub(spent_before);
    let services_spent = services()?.saturating_sub(services_before);
    let number = |name: &str| told[name].as_f64().unwrap_or_default();
    let (requests, refused) = (number("requests"), number("refused"));
    let expected = if ask.status >= 400 { requests } else { 0.0 };
    // A driver that stops may leave a few requests uncounted.
    if requests < 1.0 || number("failed") > 0.0 || (refused - expected).abs() > requests / 1000.0 {
        return Err(format!("not the expected answers: {told}\n{}", envoy.log_tail()));
    }
    Ok(Round {
        cpu: spent.as_secs_f64() * 1e6 / requests,
        rate: requests * 1e6 / number("us").max(1.0),
        p50_us: number("p50"),
        p99_us: number("p99"),
        requests: told["requests"].as_u64().unwrap_or_default(),
        services: services_spent.as_secs_f64() * 1e6 / requests,
    })
}

fn output(mut command: Command) -> Result<(String, String), String> {
    let done = command
        .output()
        .map_err(|error| format!("can't run {command:?}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if done.status.success() {
        Ok((text(&done.stdout), text(&done.stderr)))
    } else {
        Err(format!(
            "{command:?}: {}\n{}{}",
            done.status,
            text(&done.stdout),
            text(&done.stderr)
        ))
    }
}

fn wrk(ask: &Ask, before: u64, envoy: &Envoy, seconds: f64, core: &str, run: &Path) -> Result<Value, String> {
    let script = run.join("load.lua");
    fs::write(&script, ask.script(before)).map_err(|error| format!("can't write {}: {error}", script.display()))?;
    let scheme = if envoy.tls { "https" } else { "http" };
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", core, "wrk", "--threads", "1", "--timeout", "10"]);
    command.args(["--connections", &ask.connections.to_string()]);
    command.args(["--duration", &format!("{}s", (seconds.round() as u64).max(1))]);
    command.arg("--script").arg(&script);
    command.arg(format!("{scheme}://127.0.0.1:{}{}", envoy.port, ask.path));
    let (_, told) = output(command)?;
    let json = told.find('{').map(|at| &told[at..]).unwrap_or_default();
    serde_json::from_str(json).map_err(|error| format!("wrk said something else ({error}): {told}"))
}

fn h2load(ask: &Ask, envoy: &Envoy, seconds: f64, core: &str, run: &Path) -> Result<Value, String> {
    let log = run.join("h2load.log");
    let _ = fs::remove_file(&log);
    let mut command = Command::new("taskset");
    command.args([
        "--cpu-list",
        core,
        "h2load",
        "--threads",
        "1",
        "--clients",
        "4",
        "--max-concurrent-streams",
        "4",
    ]);
    command
        .args(["--duration", &(seconds.round() as u64).max(1).to_string()])
        .arg("--log-file")
        .arg(&log);
    command.arg(format!("--header=:method: {}", ask.method));
    for (name, value) in ask.fields() {
        command.arg(format!("--header={name}: {value}"));
    }
    if let Some(body) = &ask.body {
        let file = run.join("body");
        fs::write(&file, body).map_err(|error| format!("can't write {}: {error}", file.display()))?;
        command.arg("--data").arg(file);
    }
    let scheme = if envoy.tls { "https" } else { "http" };
    command.arg(format!("{scheme}://127.0.0.1:{}{}", envoy.port, ask.path));
    output(command)?;
    // Each line: when, status, microseconds.
    let text = fs::read_to_string(&log).map_err(|error| format!("h2load wrote no log: {error}"))?;
    let mut spans = Vec::new();
    let (mut refused, mut failed, mut first, mut last) = (0_u64, 0_u64, u64::MAX, 0_u64);
    for line in text.lines() {
        let mut words = line.split('\t').map(|word| word.parse::<i64>().unwrap_or(-1));
        let (begun, status, span) = (words.next(), words.next(), words.next());
        let (Some(begun), Some(status), Some(span)) = (begun, status, span) else {
            continue;
        };
        refused += u64::from(status >= 400);
        failed += u64::from(status < 0);
        let (begun, span) = (begun.unsigned_abs(), span.unsigned_abs());
        (first, last) = (first.min(begun), last.max(begun + span));
        spans.push(span);
    }
    spans.sort_unstable();
    let at = |percent: usize| spans.get(spans.len() * percent / 100).copied().unwrap_or_default();
    Ok(
        serde_json::json!({ "requests": spans.len(), "us": last.saturating_sub(first), "failed": failed, "refused": refused, "p50": at(50), "p99": at(99) }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_sends_what_is_asked() {
        let ask = Ask::post("/orders", "{\"a\":\"]]\"}".to_owned()).token(Token::Fixed("abc".to_owned()));
        let script = ask.script(0);
        assert!(script.contains("wrk.body = [==[{\"a\":\"]]\"}]==]"), "{script}");
        assert!(
            script.contains("[ [==[authorization]==] ] = [==[Bearer abc]==]"),
            "{script}"
        );
        assert!(!script.contains("function request"), "{script}");
        let lines = Ask::post("/", "a\r\n\"\\".to_owned()).script(0);
        assert!(lines.contains(r#"wrk.body = "a\r\n\"\\""#), "{lines}");
        assert!(Ask::get("/").clients(9).script(0).contains("(at + 1) % 9"));
    }
}
