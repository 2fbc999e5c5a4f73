//! Replays every committed regression through its fuzz target, natively. `scripts/fuzz` finds new ones.
// A target says by panicking that a promise is broken.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::Path;

mod draw;
mod targets;

/// Inputs that each target gets.
const DRAWN: usize = 10_000;

/// Every target states properties: what is accepted is written and read again as the same, a search over all templates finds
/// what the router finds, a path in normal form stays as it is. Held here over inputs drawn from the regressions and from
/// what the formats are made of, the same in every run.
#[test]
fn properties_hold_over_drawn_inputs() {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/regressions");
    for (name, target) in targets::ALL {
        let files = fs::read_dir(all.join(name)).unwrap_or_else(|e| panic!("regressions/{name}: {e}"));
        let mut seeds: Vec<Vec<u8>> = files.map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
        seeds.sort();
        let mut draw = draw::Draw::new(&seeds);
        for _ in 0..DRAWN {
            let input = draw.input();
            // Shown if the target panics.
            println!("{name}: {}", input.escape_ascii());
            target(&input);
        }
    }
}

#[test]
fn regressions_stay_mended() {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/regressions");
    for (name, target) in targets::ALL {
        let inputs = fs::read_dir(all.join(name)).unwrap_or_else(|e| panic!("regressions/{name}: {e}"));
        let mut files: Vec<_> = inputs.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            // The name of the input that fails, for what it panics with does not say it.
            println!("{}", file.display());
            target(&fs::read(&file).unwrap());
        }
    }
}

#[test]
fn every_folder_of_regressions_has_a_target() {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/regressions");
    for folder in fs::read_dir(all).unwrap() {
        let name = folder.unwrap().file_name();
        assert!(targets::ALL.iter().any(|(known, _)| name == *known), "{name:?}");
    }
}

/// A fuzzer's first steps, so that a target that fails at once fails here.
#[test]
fn short_inputs_break_nothing() {
    for (_, target) in targets::ALL {
        target(b"");
        for byte in 0..=u8::MAX {
            target(&[byte]);
            target(&[byte, b'a', byte]);
        }
    }
}
