//! Configurations with one fault each beside the exact message that it gives, and good ones beside their summaries.
//! `faults/NAME.json` has its message in `faults/NAME.txt`.
// A test that can't go on says so by panicking.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod readme;

use portcullis::config::{load, summary::summary};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/faults");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "json"));
    files.sort();
    files
}

#[test]
fn each_fault_gives_its_exact_message() {
    let cases = cases();
    assert!(cases.len() >= 10);
    for file in cases {
        let expected = fs::read_to_string(file.with_extension("txt")).unwrap();
        let errors = load(&fs::read(&file).unwrap()).expect_err("no fault");
        let messages: String = errors.iter().map(|error| format!("{error}\n")).collect();
        assert_eq!(messages, expected, "{}", file.display());
    }
}

#[test]
fn all_faults_are_reported_at_once() {
    let errors = load(br#"{"mode":"off","quotas":[{"name":"q","limit":0,"window":"1 minute"}],"login":{"client":{"attempts":"5"}},"replies":{"x":1}}"#).unwrap_err();
    let messages: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            r#"mode: expected "enforce" or "shadow", found "off""#,
            "quotas[0].limit: expected a whole number from 1 to 1000000000, found 0",
            r#"quotas[0].window: expected a duration such as "1m", found "1 minute""#,
            r#"login.client.attempts: expected a whole number of at least 1, found "5""#,
            "replies.x: is not a known setting",
        ]
    );
}

#[test]
fn empty_sections_are_on_with_their_defaults_and_nothing_is_a_configuration() {
    for text in ["", "{}", " {\n} "] {
        let policy = load(text.as_bytes()).unwrap();
        assert!(policy.requests.is_none() && policy.login.is_none() && !policy.asks_client() && !policy.asks_store());
    }
    let policy = load(br#"{"requests":{},"login":{},"clients":{},"replies":{},"store":{}}"#).unwrap();
    assert_eq!(policy.requests.as_ref().unwrap().body_bytes_max, 1 << 20);
    assert!(policy.login.is_some() && policy.rate_limit_fields.draft && policy.store_bytes == 8 << 20);
    assert!(
        summary(&policy)
            .iter()
            .any(|line| line.starts_with("login: bans refuse logins for 15m at first, 1d at most"))
    );
}

#[test]
fn numbers_may_be_written_as_a_struct_writes_them() {
    let policy = load(br#"{"quotas":[{"name":"q","limit":1e2,"window":"1m","burst":5.0}]}"#).unwrap();
    assert_eq!(policy.quotas[0].limit, 100);
}

fn check(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_command_line_says_all_faults_and_exits_with_one() {
    let file = &cases()[0];
    let (status, out, _) = check(&["check", file.to_str().unwrap()]);
    assert_eq!(status, Some(1));
    assert_eq!(out, fs::read_to_string(file.with_extension("txt")).unwrap());
    assert_eq!(check(&["check", "/none"]).0, Some(2));
    assert_eq!(check(&["chek"]).0, Some(2));
    assert_eq!(check(&[]).0, Some(2));
    assert_eq!(check(&["--help"]).0, Some(0));
}
