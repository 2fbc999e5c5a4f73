//! Which accounts a login names: read from its body, and brought to one spelling.
//!
//! Every pointer that is there counts. What could mean another account to the backend than here is refused: a missing,
//! empty, repeated or non-string account, a body of a type that is not read, a member that is the same but for its case.

use crate::guard::requests::MediaType;
use crate::json::pointer::Pointer;
use crate::json::{Limits, Value, parse};
use unicode_normalization::UnicodeNormalization;

/// The longest account that is read, in bytes: an address of mail has up to 254.
const NAME_BYTES_MAX: usize = 512;
/// Fields of a form that are read.
const FIELDS_MAX: usize = 256;

/// Why no account can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// None is there, or the body is of a type that is not read.
    Missing,
    /// One is empty, repeated, too long, or no text.
    Invalid,
}

/// The accounts that a login names, in one spelling each; at least one.
pub fn accounts(from: &[Pointer], content_type: Option<&[u8]>, body: &[u8]) -> Result<Vec<String>, Fault> {
    if body.trim_ascii().is_empty() {
        return Err(Fault::Missing);
    }
    let media = match content_type {
        Some(text) => Some(MediaType::parse(text).ok_or(Fault::Missing)?),
        None => None,
    };
    if let Some(charset) = media.as_ref().and_then(|media| media.charset.as_deref())
        && charset != "utf-8"
    {
        return Err(Fault::Missing);
    }
    let essence = media.as_ref().map_or("", |media| media.essence.as_str());
    let found = match essence {
        "application/x-www-form-urlencoded" => in_form(from, body)?,
        // Whoever sends no type gets what most backends take.
        "" | "application/json" => in_json(from, body)?,
        _ if essence.ends_with("+json") => in_json(from, body)?,
        _ => return Err(Fault::Missing),
    };
    if found.is_empty() {
        return Err(Fault::Missing);
    }
    let mut names = Vec::new();
    for name in found {
        let name = folded(&name);
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(Fault::Invalid);
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

fn in_json(from: &[Pointer], body: &[u8]) -> Result<Vec<String>, Fault> {
    let value = parse(body, &Limits::FOREIGN).map_err(|_| Fault::Invalid)?;
    let mut found = Vec::new();
    for pointer in from {
        // Many backends bind members whatever their case: another spelling beside this one is a second account.
        if pointer.spellings(&value, |a, b| folded(a) == folded(b)) > 1 {
            return Err(Fault::Invalid);
        }
        match pointer.find(&value) {
            None if pointer.spellings(&value, |a, b| folded(a) == folded(b)) > 0 => return Err(Fault::Invalid),
            None => {}
            Some(Value::String(text)) if text.len() <= NAME_BYTES_MAX => found.push(text.clone().into_owned()),
            Some(_) => return Err(Fault::Invalid),
        }
    }
    Ok(found)
}

fn in_form(from: &[Pointer], body: &[u8]) -> Result<Vec<String>, Fault> {
    let fields: Vec<&[u8]> = body.split(|byte| *byte == b'&').collect();
    if fields.len() > FIELDS_MAX {
        return Err(Fault::Invalid);
    }
    let mut found: Vec<Option<String>> = vec![None; from.len()];
    for field in fields {
        let end = field.iter().position(|byte| *byte == b'=').unwrap_or(field.len());
        let (name, value) = field.split_at_checked(end).unwrap_or((field, &[]));
        let name = decoded(name).ok_or(Fault::Invalid)?;
        // `name[]` and `name[x]` are the field again to some backends, and `name.x` to others.
        let stem = name.split(['[', '.']).next().unwrap_or_default();
        for (pointer, found) in from.iter().zip(&mut found) {
            let Some(wanted) = pointer.only_token().filter(|wanted| folded(wanted) == folded(stem)) else {
                continue;
            };
            let value = decoded(value.strip_prefix(b"=").unwrap_or(value)).ok_or(Fault::Invalid)?;
            if name != wanted || found.is_some() || value.len() > NAME_BYTES_MAX {
                return Err(Fault::Invalid);
            }
            *found = Some(value);
        }
    }
    Ok(found.into_iter().flatten().collect())
}

/// Percent-decodes a form's text; `None` if it is malformed or no UTF-8.
fn decoded(text: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                let (high, low) = (digit(*bytes.next()?)?, digit(*bytes.next()?)?);
                high << 4 | low
            }
            other => *other,
        });
    }
    String::from_utf8(out).ok()
}

/// One spelling for all that may be one account: NFKC, case folded, without what can't be seen, trimmed.
pub fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text
            .trim_matches(|c: char| c.is_ascii_whitespace() || c.is_ascii_control())
            .to_ascii_lowercase();
    }
    // Upper, then lower case folds more than either (ß, ſ, final sigma); then once more to NFKC, which folding can leave.
    let shown = text.chars().filter(|c| !is_ignorable(*c));
    let upper: String = shown.nfkc().flat_map(char::to_uppercase).collect();
    let folded: String = upper.chars().flat_map(char::to_lowercase).nfkc().collect();
    let blank = |c: char| c.is_whitespace() || c.is_control();
    folded.trim_matches(blank).to_owned()
}

/// Characters that show nothing (Unicode's default ignorables, the common ones).
fn is_ignorable(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from() -> Vec<Pointer> {
        ["/username", "/email"].map(|text| Pointer::parse(text).unwrap()).into()
    }

    #[track_caller]
    fn check(content_type: &str, body: &str, expected: Result<&[&str], Fault>) {
        let found = accounts(&from(), Some(content_type.as_bytes()), body.as_bytes());
        let expected = expected.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(found, expected, "{content_type} {body}");
    }

    const JSON: &str = "application/json";
    const FORM: &str = "application/x-www-form-urlencoded";

    #[test]
    fn accounts_are_read_from_json_and_forms_alike() {
        check(JSON, r#"{"username":"Ann"}"#, Ok(&["ann"]));
        check(JSON, r#"{"username":" \u0041nn\t","x":1}"#, Ok(&["ann"]));
        check(
            "application/vnd.api+json; charset=utf-8",
            r#"{"email":"A@b.c","username":"ann"}"#,
            Ok(&["ann", "a@b.c"]),
        );
        check(FORM, "username=Ann&password=x", Ok(&["ann"]));
        check(FORM, "user%6Eame=%41nn+&email=a%40b.c", Ok(&["ann", "a@b.c"]));
    }

    #[test]
    fn what_may_mean_another_account_is_refused() {
        for body in [
            r#"{"username":""}"#,
            r#"{"username":"  "}"#,
            r#"{"username":1}"#,
            r#"{"username":["ann"]}"#,
            r#"{"username":null}"#,
            r#"{"username":"a","username":"b"}"#,
            r#"{"username":"a","userName":"b"}"#,
            r#"{"USERNAME":"b"}"#,
            r#"{"username":"a","u\u017Fername":"b"}"#,
            r#"{"username":"a""#,
            "username=ann",
        ] {
            check(JSON, body, Err(Fault::Invalid));
        }
        for body in [
            "username=",
            "username=a&username=b",
            "username=a&USERNAME=b",
            "username=a&username[]=b",
            "username[]=b",
            "username.x=b",
            "username=%",
            "username=%ff",
        ] {
            check(FORM, body, Err(Fault::Invalid));
        }
        check(JSON, r#"{"password":"x"}"#, Err(Fault::Missing));
        check(JSON, "[]", Err(Fault::Missing));
        check(JSON, " ", Err(Fault::Missing));
        check(FORM, "password=x", Err(Fault::Missing));
        for other in [
            "text/plain",
            "multipart/form-data; boundary=x",
            "application/json; charset=utf-16",
            "x",
        ] {
            check(other, r#"{"username":"ann"}"#, Err(Fault::Missing));
        }
        let long = format!(r#"{{"username":"{}"}}"#, "x".repeat(513));
        check(JSON, &long, Err(Fault::Invalid));
    }

    #[test]
    fn spellings_of_one_account_are_one() {
        for (a, b) in [
            ("ann", "ANN"),
            ("ann", " ann\n"),
            ("josé", "jose\u{301}"),
            ("josé", "JOSÉ"),
            ("ann", "ａｎｎ"),
            ("ann", "a\u{200B}nn"),
            ("straße", "STRASSE"),
            ("ſam", "sam"),
            ("ﬁn", "fin"),
            ("όσος", "ΌΣΟΣ"),
            ("K", "k"),
            ("ann", "\u{A0}ann"),
        ] {
            assert_eq!(folded(a), folded(b), "{a} {b}");
        }
        assert_ne!(folded("ann"), folded("anna"));
        assert_ne!(folded("a b"), folded("ab"));
        for text in ["İstanbul", "ǅ", "ΐ", "ᾳ"] {
            assert_eq!(folded(&folded(text)), folded(text), "{text}");
        }
    }
}
