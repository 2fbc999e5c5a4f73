//! A key set: bounded, never empty, and no key of it takes a signature that nobody made; a single key brings no more keys
//! than there are algorithms.

use portcullis::host::memory::MemoryHost;
use portcullis::jose::keys::Signature;
use portcullis::jose::{Algorithm, KeySet, Proved, Signatures};
use portcullis::json::{Limits, parse};

/// Of HS512's length, of RSA's, and of the others'.
const LENGTHS: [usize; 4] = [64, 96, 256, 32];

pub fn run(input: &[u8]) {
    let names = Algorithm::names();
    let all: Vec<Algorithm> = names.split(", ").filter_map(Algorithm::named).collect();
    let alone = [br#"{"keys":["#, input, b"]}"].concat();
    for (text, most) in [(input, 64 * all.len()), (&alone, 64 * all.len())] {
        let Ok(value) = parse(text, &Limits::FOREIGN) else {
            continue;
        };
        let Ok(set) = KeySet::parse(&value, &all) else { continue };
        assert!(!set.is_empty() && set.len() <= most);
        let host = MemoryHost::default();
        let signatures = Signatures {
            host: &host,
            proved: Proved::default(),
        };
        for algorithm in &all {
            for length in LENGTHS {
                let made_up = vec![7; length];
                let verdict = set.check(signatures, *algorithm, None, b"text", &made_up);
                assert!(matches!(verdict, Signature::Bad | Signature::UnknownKey));
            }
        }
    }
}
