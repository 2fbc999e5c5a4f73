//! The corpora as requests: OWASP's regression tests (an own small reader for their YAML), lines of attacks, and benign
//! bodies, agents and lines. Nothing of them is in this repository: they are read from `PORTCULLIS_VECTORS`.

#[path = "yaml.rs"]
mod yaml;

use std::fs;
use std::path::{Path, PathBuf};

/// A request to be graded.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Category or corpus, and where it came from.
    pub group: String,
    pub label: String,
    pub method: String,
    pub target: Vec<u8>,
    pub fields: Vec<(String, Vec<u8>)>,
    pub body: Option<Vec<u8>>,
}

pub fn vectors() -> Option<PathBuf> {
    let place = std::env::var("PORTCULLIS_VECTORS").unwrap_or_else(|_| "../shared/vectors".into());
    let place = Path::new(&place).join("threats");
    place.is_dir().then_some(place)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .map(|entries| entries.filter_map(|e| Some(e.ok()?.path())).collect())
        .unwrap_or_default();
    found.sort();
    found
}

/// Percent-encodes a value for a query.
pub fn encode(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in value {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(byte) {
            out.push(*byte);
        } else {
            out.extend(format!("%{byte:02X}").bytes());
        }
    }
    out
}

/// A value in a query parameter.
pub fn in_query(group: &str, label: &str, value: &[u8]) -> Sample {
    Sample {
        group: group.into(),
        label: label.into(),
        method: "GET".into(),
        target: [b"/search?q=".as_slice(), &encode(value)].concat(),
        fields: Vec::new(),
        body: None,
    }
}

/// A JSON body.
pub fn in_json(group: &str, label: &str, body: Vec<u8>) -> Sample {
    Sample {
        group: group.into(),
        label: label.into(),
        method: "POST".into(),
        target: b"/items".to_vec(),
        fields: vec![("content-type".into(), b"application/json".to_vec())],
        body: Some(body),
    }
}

pub fn json_string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A body of one text.
pub fn in_text(group: &str, label: &str, text: &str) -> Sample {
    in_json(
        group,
        label,
        format!("{{\"title\":\"note\",\"body\":{}}}", json_string(text)).into_bytes(),
    )
}

/// All attacks of the public corpora.
pub fn attacks(vectors: &Path) -> Vec<Sample> {
    let mut samples = Vec::new();
    for folder in files(&vectors.join("attack/coreruleset")).iter().filter(|p| p.is_dir()) {
        let name = folder.file_name().unwrap().to_string_lossy();
        let group = format!("crs {}", name.trim_start_matches("REQUEST-").to_lowercase());
        for file in files(folder) {
            samples.extend(crs(&group, &file));
        }
    }
    for file in files(&vectors.join("attack/libinjection")) {
        let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
        let Some(kind) = ["sqli", "xss"].into_iter().find(|kind| stem.starts_with(kind)) else {
            continue;
        };
        let text = fs::read(&file).unwrap();
        for line in text.split(|b| *b == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            samples.push(in_query(&format!("libinjection {kind}"), &stem, &unquote(line)));
        }
    }
    samples
}

/// Undoes percent-encoding once: the corpus has its lines so encoded in places.
fn unquote(line: &[u8]) -> Vec<u8> {
    let encoded = line.contains(&b'%') && !line.contains(&b' ');
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(byte) = line.get(at) {
        let hex = line
            .get(at + 1..at + 3)
            .and_then(|h| u8::from_str_radix(std::str::from_utf8(h).ok()?, 16).ok());
        match (byte, hex) {
            (b'%', Some(value)) => {
                out.push(value);
                at += 2;
            }
            (b'+', _) if encoded => out.push(b' '),
            _ => out.push(*byte),
        }
        at += 1;
    }
    out
}

/// All benign requests of the public corpora.
pub fn benign(vectors: &Path) -> Vec<Sample> {
    let folder = vectors.join("benign");
    let mut samples = Vec::new();
    let lines = |name: &str| -> Vec<String> {
        let text = fs::read_to_string(folder.join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    for line in lines("aws-requests.jsonl") {
        let body = line
            .split_once("\"body\": ")
            .map(|(_, body)| body.strip_suffix('}').unwrap_or(body));
        samples.push(in_json("aws requests", "", body.unwrap().as_bytes().to_vec()));
    }
    for line in lines("user-agents.jsonl") {
        let agent = line.split_once("\"user_agent\": ").map(|(_, rest)| rest).unwrap();
        let agent = read_json_string(agent);
        let mut sample = in_query("user agents", &agent, b"shoes");
        sample.fields.push(("user-agent".into(), agent.into_bytes()));
        samples.push(sample);
    }
    for line in lines("libinjection-false-positives.txt") {
        if !line.is_empty() && !line.starts_with('#') {
            samples.push(in_query("libinjection false positives", "", line.as_bytes()));
        }
    }
    samples
}

fn read_json_string(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().skip(1);
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next() {
                Some('u') => {
                    let hex: String = chars.by_ref().take(4).collect();
                    out.extend(u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32));
                }
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some(other) => out.push(other),
                None => {}
            },
            c => out.push(c),
        }
    }
    out
}

/// A file of benign texts or attacks of one's own, from `PORTCULLIS_MORE`: JSON Lines of `{"group", "place", "text"}` with the
/// place `query`, `text`, `json`, `agent` or `header`.
pub fn more(path: &Path) -> Vec<Sample> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let member = |line: &str, name: &str| {
        line.split_once(&format!("\"{name}\": "))
            .map(|(_, rest)| read_json_string(rest))
            .unwrap_or_default()
    };
    text.lines()
        .map(|line| {
            let (group, place, text) = (member(line, "group"), member(line, "place"), member(line, "text"));
            match place.as_str() {
                "text" => in_text(&group, "", &text),
                "json" => in_json(&group, "", text.into_bytes()),
                "agent" | "header" => {
                    let mut sample = in_query(&group, "", b"shoes");
                    let name = if place == "agent" { "user-agent" } else { "referer" };
                    sample.fields.push((name.into(), text.into_bytes()));
                    sample
                }
                "url" => Sample {
                    target: text.into_bytes(),
                    ..in_query(&group, "", b"")
                },
                _ => in_query(&group, "", text.as_bytes()),
            }
        })
        .collect()
}

/// Reads one of OWASP's regression files: stages with `expect_ids` are attacks.
fn crs(group: &str, file: &Path) -> Vec<Sample> {
    let text = fs::read_to_string(file).unwrap();
    let mut samples = Vec::new();
    let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let mut at = 0;
    let mut test = String::new();
    let mut stage: Option<Stage> = None;
    let mut in_headers = None;
    while let Some(line) = lines.get(at) {
        at += 1;
        let indent = line.len() - line.trim_start().len();
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        if let Some(id) = trimmed.strip_prefix("- test_id:") {
            test = id.trim().to_owned();
            stage = None;
        }
        if trimmed.contains("input:") && trimmed.trim_start_matches("- ") == "input:" {
            stage = Some(Stage::default());
            in_headers = None;
            continue;
        }
        let Some(current) = &mut stage else { continue };
        if trimmed.starts_with("expect_ids:") || trimmed.starts_with("expect_ids :") {
            let done = stage.take().unwrap();
            samples.push(done.sample(group, &format!("{stem}-{test}")));
            continue;
        }
        let Some((key, value)) = trimmed.split_once(':') else {
            continue;
        };
        let key = key.trim().trim_matches(['"', '\'']);
        if key == "headers" {
            in_headers = Some(indent);
            continue;
        }
        if in_headers.is_some_and(|least| indent <= least) {
            in_headers = None;
        }
        let value = yaml::scalar(value, indent, &lines, &mut at);
        if in_headers.is_some() {
            current.headers.push((key.to_owned(), value));
            continue;
        }
        match key {
            "method" => current.method = value,
            "uri" => current.uri = value,
            "data" => current.data = Some(value),
            "encoded_request" => current.encoded = Some(value),
            _ => {}
        }
    }
    samples
}

#[derive(Default)]
struct Stage {
    method: String,
    uri: String,
    headers: Vec<(String, String)>,
    data: Option<String>,
    encoded: Option<String>,
}

impl Stage {
    fn sample(self, group: &str, label: &str) -> Sample {
        let latin = |text: &str| text.as_bytes().to_vec();
        if let Some(encoded) = &self.encoded {
            return raw_request(group, label, &base64(encoded));
        }
        let mut fields: Vec<(String, Vec<u8>)> = Vec::new();
        for (name, value) in &self.headers {
            let name = name.to_lowercase();
            if [
                "host",
                "content-length",
                "connection",
                "transfer-encoding",
                "keep-alive",
                "proxy-connection",
            ]
            .contains(&name.as_str())
            {
                continue;
            }
            fields.push((name, latin(value)));
        }
        if self.data.is_some() && !fields.iter().any(|(name, _)| name == "content-type") {
            fields.push(("content-type".into(), b"application/x-www-form-urlencoded".to_vec()));
        }
        // A target with what no client sends is encoded where it must be.
        let mut target = Vec::new();
        for byte in self.uri.bytes() {
            if byte <= b' ' || byte >= 0x7F {
                target.extend(format!("%{byte:02X}").bytes());
            } else {
                target.push(byte);
            }
        }
        Sample {
            group: group.into(),
            label: label.into(),
            method: if self.method.is_empty() {
                "GET".into()
            } else {
                self.method
            },
            target: if target.is_empty() { b"/".to_vec() } else { target },
            fields,
            body: self.data.map(|data| {
                let multipart = data.starts_with("--");
                if multipart && !data.contains("\r\n") {
                    data.replace('\n', "\r\n").into_bytes()
                } else {
                    data.into_bytes()
                }
            }),
        }
    }
}

fn raw_request(group: &str, label: &str, raw: &[u8]) -> Sample {
    let split = raw
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .map_or(raw.len(), |at| at + 4);
    let (head, body) = raw.split_at(split);
    let mut lines = head.split(|b| *b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l));
    let first = lines.next().unwrap_or_default();
    let mut words = first.split(|b| *b == b' ');
    let method = String::from_utf8_lossy(words.next().unwrap_or_default()).into_owned();
    let target = words.next().unwrap_or_default().to_vec();
    let fields = lines
        .filter_map(|line| {
            let colon = line.iter().position(|b| *b == b':')?;
            let name = String::from_utf8_lossy(&line[..colon]).to_lowercase();
            let skipped = ["host", "content-length", "connection", "transfer-encoding"].contains(&name.as_str());
            (!skipped).then(|| (name, line[colon + 1..].trim_ascii().to_vec()))
        })
        .collect();
    Sample {
        group: group.into(),
        label: label.into(),
        method,
        target,
        fields,
        body: (!body.is_empty()).then(|| body.to_vec()),
    }
}

fn base64(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        bits = (bits << 6 | u32::from(value)) & 0xFFFF;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from(bits >> held & 0xFF).unwrap());
        }
    }
    out
}
