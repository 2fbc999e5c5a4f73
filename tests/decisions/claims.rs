//! Properties of what a token says: times at every edge and in every spelling, audiences, agreement with another reader of
//! JSON on all that is taken, and what header fields get to carry.

use crate::robustness::Random;
use portcullis::config;
use portcullis::jose::{Claims, Verified};
use portcullis::json::{Limits, Value, parse};
use portcullis::rate::Instant;
use portcullis::verdict::Reason;

const NOW: i64 = 1_700_000_000;
const HALF: u64 = 500_000_000;
/// The default, in seconds.
const MAX_AGE: i64 = 24 * 3600;

fn claims(skew: i64) -> Claims {
    let policy = format!(
        r#"{{ "tokens": {{ "providers": [ {{ "issuer": "i", "audiences": ["api", "b c"], "algorithms": ["HS256"], "clock_skew": "{skew}s",
             "require": [], "claims_to_headers": {{ "x-user": "sub", "x-any": "any" }},
             "jwks": {{ "inline": {{ "keys": [ {{ "kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY" }} ] }} }} }} ] }} }}"#
    );
    let mut policy = config::load(policy.as_bytes()).unwrap();
    policy.tokens.take().unwrap().providers.remove(0).claims
}

fn judge(claims: &Claims, text: &str, now: Instant) -> Result<Verified, Reason> {
    let value = parse(text.as_bytes(), &Limits::FOREIGN).map_err(|_| Reason::TokenMalformed)?;
    claims.judge(0, value.as_object().unwrap(), now)
}

/// A time of so many half seconds in every spelling that JSON has for it.
fn spellings(halves: i64) -> Vec<String> {
    let (whole, tenths) = (halves / 2, halves % 2 * 5);
    let mut all = vec![
        format!("{whole}.{tenths}"),
        format!("{whole}.{tenths}00000"),
        format!("{whole}{tenths}e-1"),
        format!("{whole}{tenths}00E-3"),
        format!("0.{whole:010}{tenths}e+10"),
        format!("0.0000{whole:010}{tenths}E14"),
    ];
    if tenths == 0 {
        all.extend([format!("{whole}"), format!("{whole}e0"), format!("{whole}000e-003")]);
    }
    all
}

#[test]
fn times_are_judged_exactly_at_every_edge_in_every_spelling() {
    for skew in [0, 1, 30, 300] {
        let claims = claims(skew);
        for now_halves in [2 * NOW, 2 * NOW + 1] {
            let now = Instant(u64::try_from(now_halves).unwrap() * HALF);
            // Around now, around now and the skew either way, and around the greatest age.
            for edge in [0, 2 * skew, -2 * skew, -2 * (MAX_AGE + skew)] {
                for at in (-3..=3).map(|off| now_halves + edge + off) {
                    let expired = now_halves >= at + 2 * skew;
                    let early = now_halves < at - 2 * skew;
                    let old = now_halves >= at + 2 * (MAX_AGE + skew);
                    let issued = match (early, old) {
                        (true, _) => Err(Reason::TokenNotYetValid),
                        (_, true) => Err(Reason::TokenTooOld),
                        _ => Ok(()),
                    };
                    for (name, expected) in [
                        ("exp", if expired { Err(Reason::TokenExpired) } else { Ok(()) }),
                        ("nbf", if early { Err(Reason::TokenNotYetValid) } else { Ok(()) }),
                        ("iat", issued),
                    ] {
                        for spelling in spellings(at) {
                            let text = format!(r#"{{"aud":"api","{name}":{spelling}}}"#);
                            let judged = judge(&claims, &text, now);
                            assert_eq!(
                                judged.as_ref().map(|_| ()).map_err(|r| *r),
                                expected,
                                "{text} {skew} {now:?}"
                            );
                            if let (Ok(verified), "exp") = (judged, name) {
                                // What is remembered ends when the token does.
                                let ends = u64::try_from(at + 2 * skew).unwrap() * HALF;
                                assert_eq!(verified.ends, Some(Instant(ends)), "{text}");
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn times_far_out_are_times_or_are_refused() {
    let claims = claims(30);
    let now = Instant(u64::try_from(2 * NOW).unwrap() * HALF);
    let nines = "9".repeat(400);
    for (exp, expected) in [
        ("9007199254740991", Ok(())),
        ("9007199254740991.0", Ok(())),
        ("9.007199254740991e15", Ok(())),
        ("1e15", Ok(())),
        // 2^53 and beyond, also by rounding.
        ("9007199254740992", Err(Reason::TokenClaim)),
        ("9007199254740991.9", Err(Reason::TokenClaim)),
        ("1e16", Err(Reason::TokenClaim)),
        ("1e308", Err(Reason::TokenClaim)),
        ("1e309", Err(Reason::TokenClaim)),
        ("1e99999999999999999999", Err(Reason::TokenClaim)),
        (nines.as_str(), Err(Reason::TokenClaim)),
        ("-1", Err(Reason::TokenClaim)),
        ("-0.5", Err(Reason::TokenClaim)),
        ("-1e400", Err(Reason::TokenClaim)),
        ("0", Err(Reason::TokenExpired)),
        ("-0", Err(Reason::TokenExpired)),
        ("1e-400", Err(Reason::TokenExpired)),
        ("1e-99999999999999999999", Err(Reason::TokenExpired)),
        ("0e99999999999999999999", Err(Reason::TokenExpired)),
    ] {
        let text = format!(r#"{{"aud":"api","exp":{exp}}}"#);
        let judged = judge(&claims, &text, now).map(|_| ());
        // A number that is too long to be read may as well be refused as one; it is never taken.
        let unread = matches!(judged, Err(Reason::TokenClaim | Reason::TokenMalformed));
        let refused_too = expected.is_err() && unread;
        assert!(judged == expected || refused_too, "{exp}: {judged:?}");
    }
}

#[test]
fn an_audience_is_ours_or_an_array_of_texts_with_ours() {
    let claims = claims(0);
    let now = Instant(u64::try_from(2 * NOW).unwrap() * HALF);
    let mut random = Random(0x5eed);
    let texts = ["api", "b c", "API", "api ", "b", "", "a\u{0}pi", "ap\u{131}"];
    let others = ["1", "null", "true", "[]", "[\"api\"]", "{}", "{\"api\":\"api\"}"];
    for _ in 0..20_000 {
        let mut item = || {
            if random.below(5) == 0 {
                (others[random.below(others.len())].to_owned(), None)
            } else {
                let text = texts[random.below(texts.len())];
                (serde_json::to_string(text).unwrap(), Some(text))
            }
        };
        let (one, items) = (item(), [item(), item(), item()]);
        let number = random.below(4);
        let ours = |text: &Option<&str>| text.is_some_and(|text| ["api", "b c"].contains(&text));
        let (aud, good) = if random.below(4) == 0 {
            (one.0, ours(&one.1))
        } else {
            let items = &items[..number];
            let texts: Vec<&str> = items.iter().map(|(text, _)| text.as_str()).collect();
            let good = items.iter().all(|(_, text)| text.is_some()) && items.iter().any(|(_, text)| ours(text));
            (format!("[{}]", texts.join(",")), good)
        };
        // An array is an item of another kind, too.
        let text = format!(r#"{{"aud":{aud}}}"#);
        let nested = aud == "[\"api\"]";
        assert_eq!(judge(&claims, &text, now).is_ok(), good || nested, "{text}");
    }
}

/// Whether two readers see one document.
fn same(ours: &Value<'_>, theirs: &serde_json::Value) -> bool {
    use serde_json::Value as Theirs;
    match (ours, theirs) {
        (Value::Null, Theirs::Null) => true,
        (Value::Bool(a), Theirs::Bool(b)) => a == b,
        (Value::String(a), Theirs::String(b)) => a == b,
        // serde_json rounds to a neighbour at times.
        (Value::Number(a), Theirs::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= a.abs() * 4.0 * f64::EPSILON
        }
        (Value::Array(a), Theirs::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Theirs::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(name, value)| b.get(name).is_some_and(|found| same(value, found)))
        }
        _ => false,
    }
}

#[test]
fn what_is_taken_means_the_same_to_another_reader() {
    let claims = claims(0);
    let now = Instant(u64::try_from(2 * NOW).unwrap() * HALF);
    let fragments: &[&[u8]] = &[
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\"aud\":\"api\"",
        b"\"iss\":\"i\"",
        b"\"sub\":",
        b"\"exp\":1700000001",
        b"\"nbf\":17e8",
        b"\"a\"",
        b"\"\\u0061\"",
        b"\"\\ud83d\\ude00\"",
        b"\"\\ud83d\"",
        b"\"\xc3\xa9\"",
        b"\"\xff\"",
        b"\"\\x\"",
        b"1",
        b"-0",
        b"1.5e3",
        b"01",
        b"1.",
        b"1e999",
        b"true",
        b"null",
        b"nul",
        b" ",
        b"\n",
        b"\x00",
        b"\xef\xbb\xbf",
        b"/**/",
        b"\"keys\":[{\"kty\":\"oct\"}]",
        b",\"a\":1",
    ];
    let mut random = Random(0xc1a1);
    let (mut taken, mut good) = (0, 0);
    for turn in 0..60_000 {
        let mut text = random.bytes(fragments);
        // Every other one starts as an object, so that more is taken.
        if turn % 2 == 0 {
            text = [b"{\"aud\":\"api\",\"sub\":", text.as_slice(), b"}"].concat();
        }
        let Ok(ours) = parse(&text, &Limits::FOREIGN) else {
            continue;
        };
        taken += 1;
        match serde_json::from_slice::<serde_json::Value>(&text) {
            Ok(theirs) => assert!(same(&ours, &theirs), "{}", text.escape_ascii()),
            Err(error) => assert!(
                error.to_string().contains("out of range"),
                "{}: {error}",
                text.escape_ascii()
            ),
        }
        if let Some(object) = ours.as_object()
            && let Ok(verified) = claims.judge(0, object, now)
        {
            good += 1;
            if let Ok(theirs) = serde_json::from_slice::<serde_json::Value>(&text) {
                let subject = theirs["sub"].as_str();
                assert_eq!(verified.subject.as_deref(), subject, "{}", text.escape_ascii());
            }
        }
    }
    assert!(taken > 500 && good > 50, "{taken} {good}");
}

#[test]
fn no_header_field_carries_what_could_end_it() {
    let claims = claims(0);
    let now = Instant(u64::try_from(2 * NOW).unwrap() * HALF);
    let pieces = [
        "\r",
        "\n",
        "\0",
        "\r\nx-admin: 1",
        "\u{7f}",
        "\u{85}",
        "\t",
        " ",
        "a",
        "é",
        "\u{2028}",
        "ann",
        "1",
        ",",
        "\u{feff}",
    ];
    let mut random = Random(0xbead);
    let (mut carried, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let value: String = (0..random.below(4)).map(|_| random.pick(&pieces)).collect();
        let quoted = serde_json::to_string(&value).unwrap();
        // Also in the spelling that hides it.
        let escaped: String = value.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        let name = random.pick(&["sub", "any"]);
        for text in [quoted, format!("\"{escaped}\"")] {
            let text = format!(r#"{{"aud":"api","{name}":{text}}}"#);
            let clean = !value.chars().any(char::is_control) && value.trim() == value;
            match judge(&claims, &text, now) {
                Ok(verified) => {
                    carried += 1;
                    assert!(clean, "{text}");
                    let headers = verified.headers;
                    assert!(headers.iter().any(|(_, carried)| carried == value.as_bytes()), "{text}");
                    assert!(
                        headers
                            .iter()
                            .all(|(_, carried)| !carried.iter().any(|b| b"\r\n\0".contains(b)))
                    );
                }
                Err(reason) => {
                    refused += 1;
                    assert!(!clean && reason == Reason::TokenClaim, "{text}: {reason:?}");
                }
            }
        }
    }
    assert!(carried > 1_000 && refused > 1_000, "{carried} {refused}");
}
