//! Public test suites through the same core that the module runs. They are not in the repository: where one is missing,
//! its test says so and passes.
// A test that can't go on says so by panicking.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod json_parsing;
mod json_schema;

use std::path::{Path, PathBuf};

/// The first of these folders that is there: of `PORTCULLIS_VECTORS` (default `../shared/vectors`), then of
/// `.cache/corpora`, which `scripts/corpora` fills.
fn corpus(name: &str) -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let vectors = std::env::var_os("PORTCULLIS_VECTORS").map_or_else(|| here.join("../shared/vectors"), PathBuf::from);
    let found = [vectors.join(name), here.join(".cache/corpora").join(name)]
        .into_iter()
        .find(|folder| folder.is_dir());
    if found.is_none() {
        println!("{name}: skipped: no vectors");
    }
    found
}

/// Lines of an exceptions file: `KEY # REASON`. Every entry needs its reason.
fn exceptions(text: &str) -> Vec<&str> {
    let lines = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (key, reason) = line.split_once(" # ").unwrap_or_else(|| panic!("no reason: {line}"));
            assert!(!reason.trim().is_empty(), "no reason: {line}");
            key.trim()
        })
        .collect()
}

/// Compares what failed with what is expected to: both ways count.
fn settle(suite: &str, failed: &[String], expected: &[&str], total: usize) {
    let is_expected = |name: &str| expected.contains(&name);
    let surprising: Vec<_> = failed.iter().filter(|name| !is_expected(name)).collect();
    let mended: Vec<_> = expected
        .iter()
        .filter(|name| !failed.iter().any(|f| f == **name))
        .collect();
    println!("{suite}: {} of {total} cases pass", total - failed.len());
    assert!(surprising.is_empty(), "{suite}: failed: {surprising:#?}");
    assert!(
        mended.is_empty(),
        "{suite}: listed as an exception, and passes: {mended:#?}"
    );
}
