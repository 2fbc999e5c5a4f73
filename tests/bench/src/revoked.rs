//! What many revoked entries cost: feeds and status lists of a thousand and of a million, asked by the same tokens. Tokens
//! are the first of the bench's set (`id-…`), so that each request looks at another place.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use portcullis_cost::policies::ISSUER;
use serde_json::{Value, json};

use crate::cases::{Case, When};
use crate::envoy::{Envoy, Shape};
use crate::load::{Ask, Token};
use crate::tokens::{Algorithm, Tokens, base64url};

/// How many entries there are.
pub const COUNTS: [u32; 2] = [1_000, 1_000_000];

/// Tokens that ask, in turn.
pub const ASKING: u32 = 1_000;

/// Entries in one page of the feed: below the 1 MiB that the module takes.
const PAGE: u32 = 8_000;

const FAR: u64 = 4_000_000_000;

/// The set-ups and cases are named in full, since names live as long as the program: source, entries, what is asked, set-up,
/// case, and the case that it is compared with.
const CASES: [(&str, u32, bool, &str, &str, &str); 8] = [
    (
        "feed",
        1_000,
        false,
        "feed-1000-other",
        "1000 revoked entries, feed, miss",
        "bare",
    ),
    (
        "feed",
        1_000_000,
        false,
        "feed-1000000-other",
        "1000000 revoked entries, feed, miss",
        "1000 revoked entries, feed, miss",
    ),
    (
        "feed",
        1_000,
        true,
        "feed-1000-id",
        "1000 revoked entries, feed, hit",
        "bare",
    ),
    (
        "feed",
        1_000_000,
        true,
        "feed-1000000-id",
        "1000000 revoked entries, feed, hit",
        "1000 revoked entries, feed, hit",
    ),
    (
        "list",
        1_000,
        false,
        "list-1000",
        "1000 revoked entries, status list, miss",
        "bare",
    ),
    (
        "list",
        1_000_000,
        false,
        "list-1000000",
        "1000000 revoked entries, status list, miss",
        "1000 revoked entries, status list, miss",
    ),
    (
        "list",
        1_000,
        true,
        "list-1000",
        "1000 revoked entries, status list, hit",
        "bare",
    ),
    (
        "list",
        1_000_000,
        true,
        "list-1000000",
        "1000000 revoked entries, status list, hit",
        "1000 revoked entries, status list, hit",
    ),
];

/// Each case's name with that of the smaller one it is compared with.
pub fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
    CASES
        .iter()
        .filter(|case| case.1 > COUNTS[0])
        .map(|case| (case.5, case.4))
}

/// The policy of a set-up.
pub fn policy(source: &str, count: u32, hits: bool, tokens: &Value) -> Value {
    let revocation = if source == "feed" {
        let word = if hits { "id" } else { "other" };
        json!({ "feed": { "cluster": "stand_in", "authority": "revocations", "path": format!("/feed/{word}/{count}"), "every": "1s" } })
    } else {
        json!({ "status_list": { "clusters": { "status.example": "stand_in" } } })
    };
    json!({ "tokens": tokens, "revocation": revocation })
}

/// The set-ups, made by `ours` of a policy.
pub fn setups(tokens: &Value, ours: impl Fn(Value) -> Shape) -> Vec<(&'static str, Shape)> {
    let of = |(source, count, hits, setup, ..): &(&'static str, u32, bool, &'static str, &str, &str)| {
        (*setup, ours(policy(source, *count, *hits, tokens)))
    };
    // Both cases of a status list share one.
    CASES.iter().take(6).map(of).collect()
}

pub fn cases(tokens: &Tokens) -> Vec<Case> {
    let case = |(source, count, hits, setup, name, base): &(
        &'static str,
        u32,
        bool,
        &'static str,
        &'static str,
        &'static str,
    )| {
        let file = if *source == "feed" {
            tokens.set_path(Algorithm::Rs256)
        } else {
            list_tokens(tokens, *count, *hits)
        };
        let ask = Ask::get("/orders/4711").token(Token::Each(Algorithm::Rs256, file, ASKING as usize));
        Case {
            name,
            setup,
            ask: if *hits { ask.refused(401, "token_revoked") } else { ask },
            base,
            when: When::SomeRounds,
            first: Vec::new(),
        }
    };
    CASES.iter().map(case).collect()
}

/// A page of the feed, by the path that asks for it; `None` for another path.
pub fn feed_page(path: &str) -> Option<String> {
    let (word, rest) = path.strip_prefix("/feed/")?.split_once('/')?;
    let (count, query) = rest.split_once('?').unwrap_or((rest, ""));
    let count: u32 = count.parse().ok()?;
    let first: u32 = query.strip_prefix("after=").map_or(Ok(0), str::parse).ok()?;
    let end = count.min(first.saturating_add(PAGE));
    let entry = |number| format!(r#"{{"iss":"{ISSUER}","jti":"{word}-{number:08}","exp":{FAR}}}"#);
    let entries: Vec<String> = (first..end).map(entry).collect();
    Some(format!(
        r#"{{"version":1,"reset":{},"more":{},"cursor":"{end}","entries":[{}]}}"#,
        first == 0,
        end < count,
        entries.join(",")
    ))
}

fn uri(count: u32) -> String {
    format!("https://status.example/statuses/{count}")
}

/// Whether a list of so many has revoked this one: every second.
fn is_revoked(index: u32) -> bool {
    index % 2 == 1
}

/// The path of each status list, and the list, signed.
pub fn lists(tokens: &Tokens) -> Vec<(String, String)> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let list = |count: u32| {
        // Statuses of 8 bits, the largest there are, so that a million are a million bytes.
        let bytes: Vec<u8> = (0..count).map(|index| u8::from(is_revoked(index))).collect();
        let lst = base64url(&miniz_oxide::deflate::compress_to_vec_zlib(&bytes, 6));
        let payload = json!({ "iss": ISSUER, "sub": uri(count), "iat": now, "exp": FAR, "ttl": 43_200,
                              "status_list": { "bits": 8, "lst": lst } });
        let token = tokens.sign(Algorithm::Rs256, "statuslist+jwt", &payload);
        (format!("/statuses/{count}"), token)
    };
    COUNTS.map(list).into()
}

/// Where the tokens are kept that ask a list of so many.
pub fn list_tokens(tokens: &Tokens, count: u32, hits: bool) -> PathBuf {
    let name = format!("status-{count}-{}.tokens", if hits { "hit" } else { "miss" });
    tokens.set_path(Algorithm::Rs256).with_file_name(name)
}

/// Makes the sets of tokens that ask the lists, if they are not there yet.
pub fn make_list_tokens(tokens: &Tokens) -> Result<(), String> {
    for (count, hits) in COUNTS.into_iter().flat_map(|count| [(count, false), (count, true)]) {
        let path = list_tokens(tokens, count, hits);
        if path.exists() {
            continue;
        }
        let token = |number: u32| {
            // Spread over the whole list.
            let index = ((number * (count / ASKING)) & !1) | u32::from(hits);
            let claims = json!({ "status": { "status_list": { "idx": index, "uri": uri(count) } } });
            tokens.mint(Algorithm::Rs256, &format!("listed-{count}-{index}"), &claims) + "\n"
        };
        let text: String = (0..ASKING).map(token).collect();
        let partial = path.with_extension("partial");
        let written = fs::write(&partial, text).and_then(|()| fs::rename(&partial, &path));
        written.map_err(|error| format!("can't write {}: {error}", path.display()))?;
    }
    Ok(())
}

/// Resident memory of one set-up with one and with two workers, once all of them have what they ask for.
pub fn memory(
    name: &str,
    shape: &Shape,
    ask: &Ask,
    start: impl Fn(&str, &Shape) -> Result<Envoy, String>,
    (core, run): (&str, &Path),
) -> Result<[u64; 2], String> {
    let mut sizes = [0; 2];
    for (workers, size) in [1_u32, 2].into_iter().zip(&mut sizes) {
        let shape = Shape {
            workers,
            ..shape.clone()
        };
        let envoy = start(&format!("{name}-{workers}"), &shape)?;
        ask.check_patiently(name, &envoy)?;
        // The other worker follows at its first request, which may be refused for it.
        let driven = (0..10).find_map(|_| crate::load::drive(ask, 0, &envoy, 1.0, core, run).ok());
        driven.ok_or_else(|| format!("{name}: not every worker has the entries"))?;
        *size = envoy.resident()?;
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_and_end() {
        let first = feed_page("/feed/id/9000").unwrap();
        assert!(first.contains(r#""reset":true,"more":true,"cursor":"8000""#) && first.contains("id-00007999"));
        let last = feed_page("/feed/id/9000?after=8000").unwrap();
        assert!(last.contains(r#""reset":false,"more":false,"cursor":"9000""#) && last.contains("id-00008999"));
        assert!(
            feed_page("/feed/id/9000?after=9000")
                .unwrap()
                .ends_with(r#""entries":[]}"#)
        );
        assert_eq!(feed_page("/other"), None);
    }

    #[test]
    fn each_larger_case_has_its_smaller_one() {
        for (smaller, larger) in pairs() {
            assert_eq!(larger.replacen("1000000", "1000", 1), smaller);
        }
        assert_eq!(pairs().count(), 4);
    }
}
