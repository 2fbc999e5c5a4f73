//! Reading a configuration value by value: every fault is noted with its path, and reading goes on.

use crate::json::{Object, Value, write_string};
use crate::path::encode_segment;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// One fault of a configuration, for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Such as `quotas[1].window`; empty for the document itself.
    pub path: String,
    /// What was expected and what was found; never a secret.
    pub problem: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "{}", self.problem),
            path => write!(f, "{path}: {}", self.problem),
        }
    }
}

/// The faults found so far, and what is no fault but should be known: rules that are written and not enforced.
#[derive(Debug, Default)]
pub struct Faults {
    errors: RefCell<Vec<ConfigError>>,
    warnings: RefCell<Vec<ConfigError>>,
}

impl Faults {
    pub fn note(&self, path: &str, problem: impl Into<String>) {
        self.errors.borrow_mut().push(ConfigError {
            path: path.to_owned(),
            problem: problem.into(),
        });
    }

    /// Notes what is written but not enforced.
    pub fn warn(&self, path: &str, problem: impl Into<String>) {
        self.warnings.borrow_mut().push(ConfigError {
            path: path.to_owned(),
            problem: problem.into(),
        });
    }

    pub fn into_errors(self) -> Vec<ConfigError> {
        each_once(self.errors.into_inner())
    }

    /// The warnings so far, which are then forgotten here.
    pub fn take_warnings(&self) -> Vec<ConfigError> {
        each_once(self.warnings.take())
    }

    /// How many faults there are.
    pub fn count(&self) -> usize {
        self.errors.borrow().len()
    }
}

/// A document that many refer to is read once for each of them.
fn each_once(mut all: Vec<ConfigError>) -> Vec<ConfigError> {
    let mut seen = BTreeSet::new();
    all.retain(|one| seen.insert(one.to_string()));
    all
}

/// A value with its path.
#[derive(Clone)]
pub struct Field<'v> {
    pub value: &'v Value<'v>,
    pub path: String,
    pub faults: &'v Faults,
}

/// A found value in a message is cut at this many characters.
const FOUND_CHARS_MAX: usize = 40;

fn found(value: &Value<'_>) -> String {
    match value {
        Value::String(text) => {
            let mut cut: String = text.chars().take(FOUND_CHARS_MAX).collect();
            if cut.len() < text.len() {
                cut.push('…');
            }
            let mut out = String::new();
            write_string(&mut out, &cut);
            out
        }
        Value::Number(number) => number.text().chars().take(FOUND_CHARS_MAX).collect(),
        Value::Bool(flag) => flag.to_string(),
        other => other.kind().to_owned(),
    }
}

/// A member's path: `.name`, or in brackets where the name is no identifier.
pub fn member_path(parent: &str, name: &str) -> String {
    let identifier = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '$')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$'));
    match (identifier, parent) {
        (true, "") => name.to_owned(),
        (true, _) => format!("{parent}.{name}"),
        (false, _) => {
            let mut out = format!("{parent}[");
            write_string(&mut out, name);
            out.push(']');
            out
        }
    }
}

impl<'v> Field<'v> {
    pub fn note(&self, problem: impl Into<String>) {
        self.faults.note(&self.path, problem);
    }

    /// Notes "expected ..., found ...".
    pub fn expected<T>(&self, what: &str) -> Option<T> {
        self.note(format!("expected {what}, found {}", found(self.value)));
        None
    }

    /// As [`Field::expected`], for values that may be secret: they are not shown.
    pub fn expected_secret<T>(&self, what: &str) -> Option<T> {
        self.note(format!("expected {what}"));
        None
    }

    pub fn string(&self) -> Option<&'v str> {
        self.value.as_str().or_else(|| self.expected("a string"))
    }

    /// A string that is not empty.
    pub fn text(&self) -> Option<&'v str> {
        match self.value.as_str() {
            Some(text) if !text.is_empty() => Some(text),
            _ => self.expected("a string that is not empty"),
        }
    }

    pub fn bool(&self) -> Option<bool> {
        match self.value {
            Value::Bool(flag) => Some(*flag),
            _ => self.expected("true or false"),
        }
    }

    /// A whole number within bounds, both included.
    pub fn count(&self, least: u32, most: u32) -> Option<u32> {
        let number = self.value.as_number().and_then(|n| n.as_u64());
        match number.and_then(|n| u32::try_from(n).ok()) {
            Some(n) if (least..=most).contains(&n) => Some(n),
            _ if most == u32::MAX => self.expected(&format!("a whole number of at least {least}")),
            _ => self.expected(&format!("a whole number from {least} to {most}")),
        }
    }

    /// A duration such as `"250ms"`, `"30s"`, `"15m"`, `"24h"`, `"7d"`, within bounds, both included.
    pub fn duration(&self, least: Duration, most: Duration) -> Option<Duration> {
        let Some(span) = self.value.as_str().and_then(parse_duration) else {
            return self.expected("a duration such as \"1m\"");
        };
        if span < least {
            return self.expected(&format!("a duration of at least {}", show_duration(least)));
        }
        if span > most {
            return self.expected(&format!("a duration of at most {}", show_duration(most)));
        }
        Some(span)
    }

    /// A size in bytes, as a number or such as `"64KiB"`, within bounds, both included.
    pub fn size(&self, least: u64, most: u64) -> Option<u64> {
        let size = match self.value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => parse_size(text),
            _ => None,
        };
        match size {
            Some(size) if (least..=most).contains(&size) => Some(size),
            Some(_) => self.expected(&format!("a size from {} to {}", show_size(least), show_size(most))),
            None => self.expected("a size such as \"64KiB\" or a number of bytes"),
        }
    }

    /// One of a few words.
    pub fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        if let Some(text) = self.value.as_str()
            && let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text)
        {
            return Some(*meaning);
        }
        let words: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        self.expected(&words.join(" or "))
    }

    pub fn list(&self) -> Option<Vec<Field<'v>>> {
        let Some(items) = self.value.as_array() else {
            return self.expected("an array");
        };
        let fields = items.iter().enumerate().map(|(i, value)| Field {
            value,
            path: format!("{}[{i}]", self.path),
            faults: self.faults,
        });
        Some(fields.collect())
    }

    /// A list of at least `least` texts that are not empty.
    pub fn texts(&self, least: usize) -> Option<Vec<String>> {
        let items = self.list()?;
        if items.len() < least {
            self.note(format!("expected at least {least} entry, found none"));
            return None;
        }
        items.iter().map(|item| item.text().map(str::to_owned)).collect()
    }

    pub fn object(&self) -> Option<&'v Object<'v>> {
        self.value.as_object().or_else(|| self.expected("an object"))
    }

    pub fn section(&self) -> Option<Section<'v>> {
        Some(Section {
            object: self.object()?,
            path: self.path.clone(),
            faults: self.faults,
            known: RefCell::default(),
        })
    }

    /// The members of an object whose names are the user's.
    pub fn members(&self) -> Option<Vec<(&'v str, Field<'v>)>> {
        let members = self.object()?.iter().map(|(name, value)| {
            let field = Field {
                value,
                path: member_path(&self.path, name),
                faults: self.faults,
            };
            (name, field)
        });
        Some(members.collect())
    }
}

/// An object of the contract: it knows which members were asked for, so that all others are faults.
pub struct Section<'v> {
    object: &'v Object<'v>,
    pub path: String,
    pub faults: &'v Faults,
    known: RefCell<Vec<&'static str>>,
}

impl<'v> Section<'v> {
    pub fn get(&self, name: &'static str) -> Option<Field<'v>> {
        self.known.borrow_mut().push(name);
        let value = self.object.get(name)?;
        Some(Field {
            value,
            path: member_path(&self.path, name),
            faults: self.faults,
        })
    }

    /// A member that must be there; its absence is noted.
    pub fn required(&self, name: &'static str) -> Option<Field<'v>> {
        let field = self.get(name);
        if field.is_none() {
            self.faults.note(&member_path(&self.path, name), "is required");
        }
        field
    }

    /// Notes members that belong to the contract but that this version does not carry out: nothing is ignored.
    pub fn unsupported(&self, names: &[&'static str]) {
        for name in names {
            if let Some(field) = self.get(name) {
                field.note("is not supported by this version");
            }
        }
    }

    /// Notes every member that nobody asked for.
    pub fn finish(self) {
        self.note_unknown();
    }

    /// As [`Section::finish`], for a section that is borrowed; nothing may be asked for after it.
    pub fn note_unknown(&self) {
        let known = self.known.borrow();
        for (name, _) in self.object.iter().filter(|(name, _)| !known.contains(name)) {
            let path = member_path(&self.path, name);
            self.faults
                .note(&path, format!("is not a known setting{}", suggestion(name, &known)));
        }
    }
}

/// A known name that the operator may have meant: one edit away, or the same but for case and separators.
pub fn suggestion(name: &str, known: &[&'static str]) -> String {
    let plain = |s: &str| s.to_ascii_lowercase().replace(['-', '_', '.'], "");
    let near = known
        .iter()
        .find(|k| plain(k) == plain(name) || one_edit_apart(k, name));
    near.map_or_else(String::new, |k| format!("; did you mean `{k}`?"))
}

fn one_edit_apart(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let same_start = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let same_end = |a: &[char], b: &[char]| a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    let rest = |v: &[char]| v.get(same_start..).map(<[char]>::to_vec).unwrap_or_default();
    let (a, b) = (rest(&a), rest(&b));
    let swapped = || matches!((a.get(..2), b.get(..2)), (Some([a0, a1]), Some([b0, b1])) if a0 == b1 && a1 == b0);
    let longest = a.len().max(b.len());
    let end = same_end(&a, &b);
    longest.saturating_sub(end) <= 1 || (a.len() == b.len() && longest.saturating_sub(end) == 2 && swapped())
}

/// Reads a whole number with a unit: ms, s, m, h or d.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let milliseconds = number.checked_mul(match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    })?;
    Some(Duration::from_millis(milliseconds))
}

/// A duration as the configuration writes it.
pub fn show_duration(span: Duration) -> String {
    let milliseconds = span.as_millis();
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if milliseconds.is_multiple_of(size) && milliseconds > 0 {
            return format!("\"{}{unit}\"", milliseconds / size);
        }
    }
    format!("\"{milliseconds}ms\"")
}

/// Reads a whole number with a unit: B, KiB, MiB or GiB.
pub fn parse_size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    number.checked_mul(match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    })
}

/// A size as the configuration writes it.
pub fn show_size(bytes: u64) -> String {
    for (unit, size) in [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes > 0 && bytes.is_multiple_of(size) {
            return format!("\"{}{unit}\"", bytes / size);
        }
    }
    format!("\"{bytes}B\"")
}

/// Whether a text is a field name (RFC 9110 §5.1) in lower case.
pub fn is_header_name(text: &str) -> bool {
    let token = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(token)
}

/// Whether a text can stand in a metric's or policy's name as it is.
pub fn is_plain_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && !encode_segment(text).contains('%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_and_shown() {
        for (text, milliseconds) in [
            ("0s", Some(0)),
            ("250ms", Some(250)),
            ("15m", Some(900_000)),
            ("7d", Some(604_800_000)),
        ] {
            assert_eq!(parse_duration(text), milliseconds.map(Duration::from_millis), "{text}");
        }
        for text in [
            "",
            "1",
            "m",
            "1 m",
            "1M",
            "-1s",
            "+1s",
            "1.5s",
            "99999999999999999999s",
            "18446744073709551615d",
            "1é",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        assert_eq!(parse_size("64KiB"), Some(65536));
        for text in ["", "KiB", "1KB", "1 KiB", "18446744073709551615GiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
        assert_eq!(show_duration(Duration::from_secs(86_400)), "\"1d\"");
        assert_eq!(show_duration(Duration::from_millis(1500)), "\"1500ms\"");
        assert_eq!(
            (show_size(1 << 20), show_size(1000)),
            ("\"1MiB\"".into(), "\"1000B\"".into())
        );
    }

    #[test]
    fn paths_put_names_that_are_no_identifiers_in_brackets() {
        assert_eq!(member_path("", "mode"), "mode");
        assert_eq!(
            member_path("operations[0].body.content", "application/json"),
            "operations[0].body.content[\"application/json\"]"
        );
        assert_eq!(member_path("", ""), "[\"\"]");
    }

    #[test]
    fn a_near_miss_is_suggested() {
        let known = ["max_body", "hold"];
        assert_eq!(suggestion("maxBody", &known), "; did you mean `max_body`?");
        assert_eq!(suggestion("holds", &known), "; did you mean `hold`?");
        assert_eq!(suggestion("max_boyd", &known), "; did you mean `max_body`?");
        assert_eq!(suggestion("other", &known), "");
    }
}
