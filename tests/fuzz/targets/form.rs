//! Forms, queries and cookies: what is accepted keeps every limit, is what a decoder written plainly makes of it, and reads
//! back the same when it is written again.

use portcullis::guard::requests::pairs::{PairLimits, cookie_pairs, form_pairs};

const LIMITS: PairLimits = PairLimits { pairs: 32, bytes: 64 };

pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(pairs) = cookie_pairs([text].into_iter(), LIMITS) {
        assert!(pairs.len() <= LIMITS.pairs);
        assert!(
            pairs
                .iter()
                .all(|pair| !pair.value.contains('\0') && !pair.raw.contains(';'))
        );
    }
    let Ok(pairs) = form_pairs(text, LIMITS) else { return };
    assert!(pairs.len() <= LIMITS.pairs && !text.contains(';'));
    let pieces: Vec<&str> = text.split('&').filter(|piece| !piece.is_empty()).collect();
    assert_eq!(pieces.len(), pairs.len());
    let mut written = String::new();
    for (pair, piece) in pairs.iter().zip(pieces) {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        assert_eq!(
            (plainly(name), plainly(value)),
            (pair.name.to_string(), pair.value.to_string())
        );
        assert!(pair.name.len() <= LIMITS.bytes && pair.value.len() <= LIMITS.bytes);
        assert!(!pair.name.contains('\0') && !pair.value.contains('\0'));
        written.push('&');
        encode(&pair.name, &mut written);
        written.push('=');
        encode(&pair.value, &mut written);
    }
    let again = form_pairs(&written, LIMITS).expect("what was accepted, written again");
    let named = |pair: &portcullis::guard::requests::pairs::Pair<'_>| (pair.name.to_string(), pair.value.to_string());
    assert_eq!(
        pairs.iter().map(named).collect::<Vec<_>>(),
        again.iter().map(named).collect::<Vec<_>>()
    );
}

fn plainly(text: &str) -> String {
    let text = text.replace('+', " ");
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).expect("two digits"));
        bytes.extend(rest.bytes());
    }
    String::from_utf8(bytes).expect("UTF-8")
}

fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        out.push_str(&format!("%{byte:02x}"));
    }
}
