//! Regular expressions as ECMA-262 has them (with its `u` flag), matched in time linear in the text: no backtracking.
//!
//! It answers one question, whether a text matches somewhere; it captures nothing. Look-around is linear too: each
//! assertion is one pass over the text of its own. Back-references have no linear form and are refused when compiled.
//! Every match pays for its work from a budget.

mod class;
mod parse;
mod program;
mod run;
mod sequence;

use program::Program;
pub use run::Exhausted;
use sequence::Sequence;

/// A compiled expression.
#[derive(Debug)]
pub struct Regex {
    form: Form,
    pins: bool,
}

#[derive(Debug)]
enum Form {
    /// The form of most patterns in APIs: no program is needed.
    Sequence(Sequence),
    Program(Program),
}

impl Regex {
    /// Compiles an expression.
    ///
    /// # Errors
    /// Why it can't be: its syntax, a back-reference, or a program over [`program::INSTRUCTIONS_MAX`].
    pub fn new(text: &str) -> Result<Self, String> {
        let expr = parse::parse(text)?;
        let pins = expr.is_anchored() && expr.is_plain();
        let form = match Sequence::of(&expr) {
            Some(sequence) => Form::Sequence(sequence),
            None => Form::Program(Program::new(&expr)?),
        };
        Ok(Self { form, pins })
    }

    /// Whether the expression matches somewhere in `text`.
    ///
    /// # Errors
    /// `budget`, in units of about 10 ns, is used up.
    pub fn is_match(&self, text: &str, budget: &mut u64) -> Result<bool, Exhausted> {
        match &self.form {
            Form::Sequence(sequence) => {
                // A character is asked about once for each step that it leaves behind.
                run::pay(budget, text.len().saturating_add(sequence.len()))?;
                Ok(sequence.is_match(text))
            }
            Form::Program(program) => run::is_match(program, text, budget),
        }
    }

    /// Whether a text is an expression. One with a back-reference counts: it is one, though not matched here.
    pub fn is_syntax(text: &str) -> bool {
        match parse::parse(text) {
            Ok(_) => true,
            Err(problem) => problem == parse::BACK_REFERENCE,
        }
    }

    /// Whether a text that matches holds nothing but ASCII letters, digits, `_`, `-` and `.`.
    pub fn pins(&self) -> bool {
        self.pins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], others: &[&str]) {
        let regex = Regex::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        for (texts, expected) in [(matching, true), (others, false)] {
            for text in texts {
                let found = regex.is_match(text, &mut 1_000_000);
                assert_eq!(found, Ok(expected), "{pattern} on {text:?}");
            }
        }
    }

    #[test]
    fn what_ecma_262_has_is_matched() {
        check("", &["", "a"], &[]);
        check("a+", &["xxaayy"], &["", "b"]);
        check("^a*$", &["", "aaa"], &["ab", "a\n"]);
        check("^(?:ab|c)+$", &["ab", "cabc"], &["", "a", "abb"]);
        check("^a{2}$", &["aa"], &["a", "aaa"]);
        check("^a{2,}$", &["aa", "aaaaa"], &["a"]);
        check("^(a?b){1,3}$", &["b", "abab", "bbb"], &["", "a", "bbbb"]);
        check("^a{0}b$", &["b"], &["ab"]);
        check("^.$", &["é", "😀"], &["\n", "\r", "\u{2028}", "ab"]);
        check("^[^a-c]$", &["d", "\n"], &["a", "c"]);
        check("^[]$", &[], &["", "a"]);
        check("^[^]$", &["a", "\n"], &[""]);
        check("^[\\w.-]+$", &["a_1.-"], &["é", "a b"]);
        check("^[a\\-z]$", &["a", "-", "z"], &["b"]);
        check("^[-a]$", &["a", "-"], &["b"]);
        check("^[a-]$", &["a", "-"], &["b"]);
        check("^[\\b]$", &["\u{8}"], &["b"]);
        check("^\\d$", &["7"], &["৪", "a"]);
        check("^\\D$", &["৪"], &["7"]);
        check("^\\w$", &["a", "_"], &["é"]);
        check(
            "^\\s$",
            &[" ", "\t", "\u{feff}", "\u{2029}", "\u{2003}"],
            &["a", "\u{1}", "\u{180e}"],
        );
        check("^\\S$", &["a"], &[" ", "\u{a0}"]);
        check("^\\cC\\cc$", &["\u{3}\u{3}"], &["\\cC"]);
        check("^\\x41\\u0042\\u{43}\\ud83d\\ude00\\t\\0$", &["ABC😀\t\0"], &[]);
        check("^\\p{L}+$", &["aπ"], &["1", "a1"]);
        check("^\\p{Lu}\\p{Ll}\\P{L}$", &["Aé1"], &["aA1"]);
        check("^\\p{Nd}+$", &["42", "৪২"], &["Ⅷ", "a"]);
        check("\\bfoo\\b", &["a foo b", "foo"], &["afoo", "foo_"]);
        check("o\\Bo", &["foo"], &[]);
        check("^/a\\/b$", &["/a/b"], &[]);
        check("^(?<year>\\d{4})-x??$", &["2026-", "2026-x"], &["26-"]);
        check("x{", &["x{"], &["x"]);
        check("^x{,3}$", &["x{,3}"], &["xx"]);
        check("a}]", &["a}]"], &[]);
        check("^(|a)$", &["", "a"], &["b"]);
        check("^(a*)*$", &["", "aaa"], &["b"]);
        check("^(a*)+b$", &["aab"], &["aac"]);
    }

    #[test]
    fn look_around_is_matched() {
        let password = r"^(?=.*[A-Z])(?=.*\d)(?!.*\s).{8,}$";
        check(
            password,
            &["Passw0rdX"],
            &["passw0rdx", "Password", "Passw0rd X", "Pa0"],
        );
        check("foo(?=bar)", &["foobar"], &["foobaz", "foo"]);
        check("foo(?!bar)", &["foobaz", "foo"], &["foobar"]);
        check("(?<=\\$)\\d+", &["$42"], &["42"]);
        check("(?<!\\$)\\b\\d+", &["42"], &["$42"]);
        check("^(?!(?:con|prn)$)[a-z]+$", &["co", "cons"], &["con", "prn"]);
        check("^(?=a(?=b)).b$", &["ab"], &["aa"]);
        check("^(?:(?!--)[a-z-])+$", &["a-b"], &["a--b"]);
    }

    #[test]
    fn what_has_no_meaning_or_no_linear_form_is_refused() {
        for pattern in [
            "(",
            ")",
            "(?",
            "[",
            "[a",
            "[z-a]",
            "*",
            "a**",
            "+",
            "?",
            "a{3,2}",
            "\\",
            "\\1",
            "\\k<a>",
            "\\p{Nope}",
            "\\p",
            "\\u{110000}",
            "\\ud800",
            "\\xg0",
            "\\Z",
            "\\a",
            "(?i)a",
            "(?<>a)",
            "(?P<n>a)",
            "a{99999}b",
            "\\c",
            "\\u12",
            "(?=a)*",
            "^*",
            "((a{100}){100}){100}",
        ] {
            assert!(Regex::new(pattern).is_err(), "{pattern}");
        }
        assert!(Regex::new(&"(".repeat(10_000)).is_err());
        assert!(Regex::new(&format!("{}a{}", "(".repeat(60), ")".repeat(60))).is_ok());
    }

    #[test]
    fn hard_patterns_cost_what_is_paid_and_no_more() {
        let regex = Regex::new("(a*)*(a|aa)+(.*)*$x").unwrap();
        let text = "a".repeat(10_000);
        assert_eq!(regex.is_match(&text, &mut 10_000_000), Ok(false));
        let mut budget = 100;
        assert_eq!(regex.is_match(&text, &mut budget), Err(Exhausted));
        let regex = Regex::new("^[a-z]{1,40}$").unwrap();
        assert_eq!(regex.is_match(&text, &mut 10), Err(Exhausted));
    }

    #[test]
    fn only_anchored_expressions_of_plain_characters_pin() {
        for (pattern, pins) in [
            ("^[a-z0-9_-]{1,40}$", true),
            ("^(?:v\\d+\\.)?[A-F]+$", true),
            ("^a$|^b$", true),
            ("^(a|b)$", true),
            ("^\\w+$", true),
            ("[a-z]+", false),
            ("^a$|b", false),
            ("^a|b$", false),
            ("^.*$", false),
            ("^[^<]*$", false),
            ("^\\p{L}$", false),
            ("^[a-z ]$", false),
            ("^(?=.*<)[a-z]$", true),
        ] {
            assert_eq!(Regex::new(pattern).unwrap().pins(), pins, "{pattern}");
        }
    }
}
