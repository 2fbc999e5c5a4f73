//! OpenAPI documents: small ones beside what becomes of them; one of our own with every place, style and content type, and
//! public ones of real size (`scripts/corpora` fetches them; without them the test says so), with whole requests generated
//! from them, valid ones and ones with one fault, through the whole pipeline.
// A test that can't go on says so by panicking.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod bodies;
mod generate;
mod operations;
#[path = "../decisions/scene.rs"]
#[allow(dead_code)]
mod scene;
mod small;
mod tree;
mod whole;

use std::fs;
use std::path::Path;
use std::time::Instant;

/// Names, and the operations that there are at least.
const DOCUMENTS: [(&str, usize); 4] = [("github", 1200), ("directus", 130), ("blockfrost", 120), ("figma", 50)];

fn judge(name: &str, document: &str, least: usize) -> whole::Tally {
    let start = Instant::now();
    let tally = whole::run(document);
    let faults: usize = tally.faults.values().sum();
    println!(
        "{name}: {} operations, {} valid requests, {faults} with one fault, {} wrong, {} operations or bodies not generated, {:?}",
        tally.operations,
        tally.valid,
        tally.wrong.len(),
        tally.skipped,
        start.elapsed()
    );
    for (kind, count) in &tally.faults {
        println!("  {count:6} {kind}");
    }
    assert!(tally.operations >= least, "{name}");
    assert!(
        tally.wrong.is_empty(),
        "{name}: {} wrong:\n{}",
        tally.wrong.len(),
        tally.wrong[..tally.wrong.len().min(40)].join("\n")
    );
    tally
}

#[test]
fn requests_of_every_style_get_the_right_verdict() {
    let tally = judge("every style", include_str!("every-style.json"), 7);
    assert_eq!(tally.skipped, 0);
    assert!(tally.faults.len() >= 30, "{:?}", tally.faults.keys());
}

#[test]
fn requests_of_public_documents_get_the_right_verdict() {
    for (name, least) in DOCUMENTS {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!(".cache/corpora/openapi/{name}.json"));
        match fs::read_to_string(file) {
            Ok(document) => drop(judge(name, &document, least)),
            Err(_) => println!("{name}: skipped: no document (scripts/corpora fetches it)"),
        }
    }
}
