//! The feed's document: JSON, read strictly. What is not understood is refused whole, for an entry that is skipped
//! would be a revocation that nobody carries out.

use super::{Namer, Record};
use crate::json::{Duplicates, Limits, Object, Value, parse};
use crate::rate::Instant;

/// The largest document, and what it costs to read one: a document in memory takes about twelve times its text.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;

/// The longest cursor, and the longest entity tag that is kept.
pub const CURSOR_BYTES_MAX: usize = 256;

const LIMITS: Limits = Limits {
    depth: 3,
    // The shortest entry has 24 bytes and four members, itself counted.
    members: 200_000,
    string_bytes: 16 * 1024,
    duplicates: Duplicates::Deny,
};

/// One answer of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Whether everything told before is void.
    pub reset: bool,
    /// Whether more follows, after `cursor`.
    pub more: bool,
    pub cursor: Option<String>,
    /// The entries that have not ended.
    pub records: Vec<Record>,
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// What is wrong with it, for the log; it never holds an entry.
    pub fn read(bytes: &[u8], namer: &Namer, now: Instant) -> Result<Self, &'static str> {
        let value = parse(bytes, &LIMITS).map_err(|_| "a body that is not JSON, or too deep")?;
        let object = value.as_object().ok_or("a body that is not an object")?;
        let known = ["version", "reset", "more", "cursor", "entries"];
        if object.iter().any(|(name, _)| !known.contains(&name)) {
            return Err("a member that is not known");
        }
        if object
            .get("version")
            .and_then(Value::as_number)
            .and_then(|v| v.as_u64())
            != Some(1)
        {
            return Err("a version other than 1");
        }
        let flag = |name| match object.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err("`reset` or `more` that is no truth value"),
        };
        let (reset, more) = (flag("reset")?, flag("more")?);
        let cursor = match object.get("cursor") {
            None => None,
            Some(Value::String(text)) if (1..=CURSOR_BYTES_MAX).contains(&text.len()) => Some(text.to_string()),
            Some(_) => return Err("a cursor that is no text of 1 to 256 bytes"),
        };
        if more && cursor.is_none() {
            return Err("`more` without a cursor");
        }
        let entries = object
            .get("entries")
            .and_then(Value::as_array)
            .ok_or("no array of entries")?;
        let mut records = Vec::with_capacity(entries.len());
        for entry in entries {
            let record = record(entry, namer).ok_or("an entry that is not understood")?;
            if u64::from(record.ends) > now.seconds() {
                records.push(record);
            }
        }
        Ok(Self {
            reset,
            more,
            cursor,
            records,
        })
    }
}

/// A time in seconds, fractions rounded up; past 2106, which 32 bits can't hold, it counts as then.
fn seconds(value: &Value<'_>) -> Option<u32> {
    let number = value.as_number()?;
    if let Some(whole) = number.as_u64() {
        return Some(u32::try_from(whole).unwrap_or(u32::MAX));
    }
    // A fraction in plain notation; anything else is refused.
    let (whole, fraction) = number.text().split_once('.')?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    Some(u32::try_from(whole.saturating_add(1)).unwrap_or(u32::MAX))
}

fn record(entry: &Value<'_>, namer: &Namer) -> Option<Record> {
    let entry: &Object<'_> = entry.as_object()?;
    let text = |name: &str| match entry.get(name) {
        None => Some(None),
        Some(Value::String(text)) if !text.is_empty() => Some(Some(text.as_ref())),
        Some(_) => None,
    };
    let (issuer, id, subject, hash) = (text("iss")?, text("jti")?, text("sub")?, text("token_hash")?);
    let before = match entry.get("before") {
        None => None,
        Some(value) => Some(seconds(value)?),
    };
    let ends = seconds(entry.get("exp")?)?;
    let given = [issuer, id, subject, hash].into_iter().flatten().count();
    let expected = given.checked_add(1)?.checked_add(usize::from(before.is_some()))?;
    if entry.len() != expected {
        return None;
    }
    let name = match (issuer, id, subject, hash, before) {
        (Some(issuer), Some(id), None, None, None) => namer.token(issuer, id),
        (None, None, None, Some(hash), None) => {
            let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            hash.bytes().all(hex).then(|| namer.hash(hash))?
        }
        (Some(issuer), None, Some(subject), None, None) => namer.subject(issuer, subject),
        (Some(issuer), None, Some(subject), None, Some(_)) => namer.subject_before(issuer, subject),
        (Some(issuer), None, None, None, Some(_)) => namer.issuer_before(issuer),
        _ => return None,
    };
    Some(Record {
        name,
        ends,
        before: before.unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Document, &'static str> {
        Document::read(text.as_bytes(), &Namer::new([7; 16]), Instant::from_seconds(1000))
    }

    #[test]
    fn a_document_says_whether_it_starts_anew_and_whether_more_follows() {
        let page = read(r#"{"version":1,"reset":true,"more":true,"cursor":"7","entries":[{"iss":"i","jti":"a","exp":1001},{"iss":"i","jti":"b","exp":1000}]}"#).unwrap();
        assert!(page.reset && page.more && page.cursor.as_deref() == Some("7"));
        assert_eq!(page.records.len(), 1);
        let idle = read(r#"{"version":1,"cursor":"7","entries":[]}"#).unwrap();
        assert!(!idle.reset && !idle.more && idle.records.is_empty());
        assert_eq!(read(r#"{"version":1,"entries":[]}"#).unwrap().cursor, None);
    }

    #[test]
    fn what_is_not_understood_is_refused_whole() {
        for bad in [
            "",
            "[]",
            "{}",
            "null",
            r#"{"version":2,"entries":[]}"#,
            r#"{"version":1}"#,
            r#"{"version":1,"entries":{}}"#,
            r#"{"version":1,"entries":[],"other":1}"#,
            r#"{"version":1,"entries":[],"more":true}"#,
            r#"{"version":1,"entries":[],"reset":1}"#,
            r#"{"version":1,"entries":[],"cursor":""}"#,
            r#"{"version":1,"entries":[],"cursor":7}"#,
            r#"{"version":1,"entries":[]"#,
            r#"{"version":1,"entries":[],"entries":[]}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let long = format!(r#"{{"version":1,"entries":[],"cursor":"{}"}}"#, "x".repeat(257));
        assert!(read(&long).is_err());
    }

    #[track_caller]
    fn entry(entry: &str, expected: bool) {
        let text = format!(r#"{{"version":1,"entries":[{{"iss":"i","jti":"good","exp":2000}},{entry}]}}"#);
        assert_eq!(read(&text).is_ok(), expected, "{entry}");
    }

    #[test]
    fn entries_are_of_five_kinds_and_no_other() {
        entry(r#"{"iss":"i","jti":"a","exp":2000}"#, true);
        entry(r#"{"token_hash":"0a","exp":2000}"#, true);
        entry(r#"{"iss":"i","sub":"a","exp":2000.5}"#, true);
        entry(r#"{"iss":"i","sub":"a","before":1.5,"exp":99999999999}"#, true);
        entry(r#"{"iss":"i","before":1,"exp":2e3}"#, true);
        for bad in [
            "7",
            "{}",
            r#"{"iss":"i","jti":"a"}"#,
            r#"{"jti":"a","exp":2000}"#,
            r#"{"sub":"a","exp":2000}"#,
            r#"{"iss":"i","exp":2000}"#,
            r#"{"before":5,"exp":2000}"#,
            r#"{"iss":"i","jti":"a","sub":"b","exp":2000}"#,
            r#"{"iss":"i","jti":"a","before":5,"exp":2000}"#,
            r#"{"iss":"i","token_hash":"0a","exp":2000}"#,
            r#"{"token_hash":"0A","exp":2000}"#,
            r#"{"iss":"i","jti":"","exp":2000}"#,
            r#"{"iss":"i","jti":7,"exp":2000}"#,
            r#"{"iss":"i","jti":"a","exp":"2000"}"#,
            r#"{"iss":"i","jti":"a","exp":-1}"#,
            r#"{"iss":"i","jti":"a","exp":1.5e-3}"#,
            r#"{"iss":"i","jti":"a","exp":-1.5}"#,
            r#"{"iss":"i","jti":"a","exp":2000,"aud":"x"}"#,
            r#"{"iss":"i","sub":"a","before":null,"exp":2000}"#,
        ] {
            entry(bad, false);
        }
    }
}
