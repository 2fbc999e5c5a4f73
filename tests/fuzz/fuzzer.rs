//! The program that `scripts/fuzz` runs: one target, named by PORTCULLIS_FUZZ_TARGET, under libFuzzer.
#![no_main]

use std::sync::OnceLock;

mod targets;

static TARGET: OnceLock<targets::Run> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        let name = std::env::var("PORTCULLIS_FUZZ_TARGET").unwrap_or_default();
        let names: Vec<_> = targets::ALL.iter().map(|(name, _)| *name).collect();
        let Some((_, target)) = targets::ALL.iter().find(|(known, _)| *known == name) else {
            eprintln!("PORTCULLIS_FUZZ_TARGET is not one of {names:?}");
            std::process::exit(2);
        };
        let _ = TARGET.set(*target);
    },
    |input: &[u8]| {
        if let Some(target) = TARGET.get() {
            target(input);
        }
    }
);
