//! The program and a real Redis, which this file starts and stops by itself.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{DEADLINE, Service, config};
use demo_backend::serve;

/// A child that does not outlive its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Redis without persistence in a directory of its own; the service waits for it to answer.
fn redis() -> (Process, tempfile::TempDir, String) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let dir = tempfile::tempdir().unwrap();
    let child = Command::new("redis-server")
        .args([
            "--bind",
            "127.0.0.1",
            "--port",
            &port.to_string(),
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
        ])
        .arg(dir.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server on PATH (scripts/setup puts it there)");
    (Process(child), dir, format!("redis://127.0.0.1:{port}"))
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo-backend"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The exit code, once it has ended.
fn ended(process: &mut Process) -> Option<i32> {
    let start = Instant::now();
    while start.elapsed() < DEADLINE {
        if let Some(status) = process.0.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("still running after {DEADLINE:?}");
}

#[tokio::test]
async fn logout_writes_the_key_that_the_gateway_reads() {
    let (_redis, _dir, url) = redis();
    let service = Service::of(serve(config(&url)).await.unwrap());
    let token = service.admin("POST /mint", r#"{"jti":"abc"}"#).await["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let reply = service
        .public("POST /logout", &[("authorization", &format!("Bearer {token}"))], "")
        .await;
    assert_eq!(reply.status, 204);
    let mut redis = redis::Client::open(url)
        .unwrap()
        .get_multiplexed_async_connection()
        .await
        .unwrap();
    let seconds: i64 = redis::cmd("TTL")
        .arg("revoked:abc")
        .query_async(&mut redis)
        .await
        .unwrap();
    assert!((890..=900).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn the_program_says_where_it_listens_and_ends_on_sigterm() {
    let (_redis, _dir, url) = redis();
    let arguments = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--redis",
        &url,
    ];
    let mut process = Process(program(&arguments).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(process.0.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    let ["listening", public, "admin", admin] = words.as_slice() else {
        panic!("{line:?}")
    };
    let public = public.strip_prefix("http://127.0.0.1:").unwrap();
    assert!(public.parse::<u16>().is_ok() && admin.starts_with("http://127.0.0.1:"));

    let taken = program(&[
        "serve",
        "--listen",
        &format!("127.0.0.1:{public}"),
        "--admin",
        "127.0.0.1:0",
    ])
    .output()
    .unwrap();
    assert_eq!(taken.status.code(), Some(1));
    let message = format!("demo-backend: 127.0.0.1:{public} is already in use\n");
    assert_eq!(String::from_utf8(taken.stderr).unwrap(), message);

    let start = Instant::now();
    let killed = Command::new("kill").arg(process.0.id().to_string()).status().unwrap();
    assert!(killed.success());
    assert_eq!(ended(&mut process), Some(0));
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[test]
fn a_missing_redis_is_named_once_the_wait_is_over() {
    // Bound and never accepting: a port that no one else takes meanwhile, and an answer that never comes.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let url = format!("redis://:secret@{address}");
    let start = Instant::now();
    let output = program(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--redis",
        &url,
    ])
    .output()
    .unwrap();
    assert!((9..15).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.starts_with(&format!("demo-backend: Redis at {address} did not answer within 10 s")),
        "{message}"
    );
    assert!(message.lines().count() == 1 && !message.contains("secret"), "{message}");

    let output = program(&[
        "serve",
        "--redis",
        "http://x",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ])
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .starts_with("demo-backend: not a Redis URL: ")
    );
}
