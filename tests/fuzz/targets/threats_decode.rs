//! The decoding chain: each step takes something away, and a text without anything encoded is left as it is.

use portcullis::guard::threats::decode::step;
use portcullis::guard::threats::profile::{bits, class};

/// A code point takes at most as many bytes as its shortest spelling: `%` and two digits for one byte, `&#` and one digit.
pub fn run(input: &[u8]) {
    match step(input) {
        None => {}
        Some(decoded) => {
            assert!(bits(input) & class::ENCODED != 0, "nothing was encoded");
            assert!(decoded.len() < input.len(), "a step has made its text no shorter");
        }
    }
}
