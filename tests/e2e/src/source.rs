//! A source of revocations that answers what a test says and fails in every way that a source can, on the port that webdis
//! would have: the module reaches it by the cluster `revocations`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::ports::loopback;
use crate::stack::Stack;
use crate::{Outcome, until};

/// How long a slow source takes: beyond every timeout that is used with it.
pub const SLOW: Duration = Duration::from_millis(800);

const HUGE_BYTES: usize = 100 << 20;
const BLOCK_BYTES: usize = 64 << 10;
const HEAD_END: &[u8] = b"\r\n\r\n";

/// How a source behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It answers.
    Well,
    /// It answers too late.
    Slow,
    /// It resets the connection instead of an answer.
    Reset,
    /// It answers as well as it can, with status 500.
    Status500,
    /// Its answers are 200 with a page for people.
    Html,
    /// Its answers end in the middle, and say that this is their length.
    Truncated,
    /// Its answers have 100 MiB.
    Huge,
    /// Each second answer is slow.
    Flapping,
    /// Nobody listens on its port.
    Down,
}

/// Every mood but [`Mood::Well`].
pub const FAULTS: [Mood; 8] = [
    Mood::Slow,
    Mood::Reset,
    Mood::Status500,
    Mood::Html,
    Mood::Truncated,
    Mood::Huge,
    Mood::Flapping,
    Mood::Down,
];

/// What a source is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Method and path, and the fields with names in lower case, as they came.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Question {
    /// The path with its query.
    pub fn path(&self) -> &str {
        self.head.split_whitespace().nth(1).unwrap_or_default()
    }

    /// A field's value.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(found, _)| *found == name).map(|(_, value)| value)
    }
}

/// What it answers while it is well.
#[derive(Clone, Debug)]
pub struct Said {
    /// The status code.
    pub status: u16,
    /// The content type.
    pub kind: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

impl Said {
    /// 200 with JSON.
    pub fn json(text: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            kind: "application/json",
            body: text.into(),
        }
    }
}

type Answers = Arc<dyn Fn(&Question) -> Said + Send + Sync>;

/// The source, while it runs.
pub struct Source {
    mood: watch::Sender<Mood>,
    asked: Arc<AtomicUsize>,
    port: u16,
    task: JoinHandle<()>,
}

impl Drop for Source {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Source {
    /// Starts it, well.
    pub async fn start(stack: &Stack, answers: impl Fn(&Question) -> Said + Send + Sync + 'static) -> Outcome<Self> {
        let (mood, watched) = watch::channel(Mood::Well);
        let asked = Arc::<AtomicUsize>::default();
        let port = stack.ports.webdis;
        let service = Service {
            mood: watched,
            asked: Arc::clone(&asked),
            answers: Arc::new(answers),
        };
        let source = Self {
            mood,
            asked,
            port,
            task: tokio::spawn(service.run(port)),
        };
        source.settle(true).await?;
        Ok(source)
    }

    /// Has it behave so from now on.
    pub async fn set(&self, mood: Mood) -> Outcome<()> {
        self.mood.send_replace(mood);
        self.settle(mood != Mood::Down).await
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    async fn settle(&self, listens: bool) -> Outcome<()> {
        until(
            "the source's port",
            Duration::from_secs(5),
            async || match TcpStream::connect(loopback(self.port)).await.is_ok() {
                found if found == listens => Ok(()),
                found => Err(format!("listens: {found}")),
            },
        )
        .await
    }
}

#[derive(Clone)]
struct Service {
    mood: watch::Receiver<Mood>,
    asked: Arc<AtomicUsize>,
    answers: Answers,
}

impl Service {
    async fn run(self, port: u16) {
        let mut mood = self.mood.clone();
        loop {
            // The port may still be that of the source before.
            let Ok(listener) = TcpListener::bind(loopback(port)).await else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            // Dropped with all its connections when the source goes down, or ends.
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        if let Ok((stream, _)) = accepted {
                            connections.spawn(self.clone().serve(stream));
                        }
                    }
                    changed = mood.wait_for(|mood| *mood == Mood::Down) => {
                        if changed.is_err() {
                            return;
                        }
                        break;
                    }
                }
            }
            drop((listener, connections));
            if mood.wait_for(|mood| *mood != Mood::Down).await.is_err() {
                return;
            }
        }
    }

    async fn serve(self, mut stream: TcpStream) {
        // A head and its body are written apart.
        let _ = stream.set_nodelay(true);
        let mut read = Vec::new();
        while let Some(question) = next_question(&mut stream, &mut read).await {
            let turn = self.asked.fetch_add(1, Ordering::SeqCst);
            let mood = match *self.mood.borrow() {
                Mood::Flapping if turn.is_multiple_of(2) => Mood::Well,
                Mood::Flapping => Mood::Slow,
                mood => mood,
            };
            let mut said = (self.answers)(&question);
            match mood {
                Mood::Slow => tokio::time::sleep(SLOW).await,
                Mood::Reset => {
                    let _ = stream.set_zero_linger();
                    return;
                }
                Mood::Status500 => said.status = 500,
                Mood::Html => {
                    said = Said {
                        status: 200,
                        kind: "text/html",
                        body: b"<html>".to_vec(),
                    }
                }
                Mood::Truncated => said.body.truncate(said.body.len() / 2),
                Mood::Huge => said.body = vec![b' '; BLOCK_BYTES],
                Mood::Well | Mood::Flapping | Mood::Down => {}
            }
            let times = if mood == Mood::Huge {
                HUGE_BYTES / BLOCK_BYTES
            } else {
                1
            };
            let head = format!(
                "HTTP/1.1 {} as told\r\ncontent-type: {}\r\ncontent-length: {}\r\n\r\n",
                said.status,
                said.kind,
                said.body.len() * times
            );
            if stream.write_all(head.as_bytes()).await.is_err() {
                return;
            }
            for _ in 0..times {
                if stream.write_all(&said.body).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// The next question on a connection; `None` at its end.
async fn next_question(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<Question> {
    let mut block = [0; 4096];
    loop {
        if let Some(at) = read.windows(HEAD_END.len()).position(|four| four == HEAD_END) {
            let body_start = at + HEAD_END.len();
            let mut question = Question {
                head: String::from_utf8_lossy(read.get(..at)?).into_owned(),
                body: String::new(),
            };
            let length = question.field("content-length").and_then(|text| text.parse().ok());
            let end = body_start + length.unwrap_or(0_usize);
            if let Some(body) = read.get(body_start..end) {
                question.body = String::from_utf8_lossy(body).into_owned();
                read.drain(..end);
                return Some(question);
            }
        }
        match stream.read(&mut block).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => read.extend_from_slice(block.get(..count)?),
        }
    }
}
