//! Queries that are no SQL: filters of directories (RFC 4515), and operators and scripts of document databases in a text.

use super::bytes::{
    Words, begins_with, between, contains, find_byte, find_pair, from, is_blank, is_word, listed, low, positions,
    skip_blank, word_len,
};
use super::effort::Effort;
use super::returns::returns;

/// Longer values are no filter.
const FILTER_BYTES_MAX: usize = 512;

/// Names that document databases take for operators, without their `$`.
pub static OPERATORS: Words<28> = Words::new([
    "accumulator",
    "all",
    "and",
    "elemmatch",
    "eq",
    "exists",
    "expr",
    "func",
    "function",
    "gt",
    "gte",
    "in",
    "jsonschema",
    "like",
    "lookup",
    "lt",
    "lte",
    "mod",
    "ne",
    "nin",
    "nor",
    "not",
    "or",
    "regex",
    "regexp",
    "size",
    "text",
    "where",
]);

static METHODS: Words<17> = Words::new([
    "aggregate",
    "count",
    "createcollection",
    "drop",
    "dropdatabase",
    "eval",
    "find",
    "findone",
    "getcollection",
    "getcollectionnames",
    "insert",
    "insertone",
    "mapreduce",
    "remove",
    "save",
    "update",
    "version",
]);

/// What directories know of those who log in (RFC 4519 and Microsoft's): filters of APIs have other names.
const ATTRIBUTES: [&str; 20] = [
    "cn",
    "dc",
    "displayname",
    "gidnumber",
    "givenname",
    "mail",
    "member",
    "memberof",
    "objectcategory",
    "objectclass",
    "objectsid",
    "ou",
    "samaccountname",
    "sn",
    "telephonenumber",
    "uid",
    "uidnumber",
    "useraccountcontrol",
    "userpassword",
    "userprincipalname",
];

/// Taken from the value's effort, in its steps, for what may be an operator.
const OPERATOR_STEPS: usize = 24;

#[inline(never)]
pub fn judge(bytes: &[u8], effort: &mut Effort) -> Option<&'static str> {
    operator(bytes, effort)
        .or_else(|| script(bytes))
        .or_else(|| filter(bytes))
}

/// `x','name':'y`, behind a quote that opens nothing in the value: a member more, where a query is put together as a text.
pub fn member(bytes: &[u8]) -> Option<&'static str> {
    let (open, close) = (find_pair(bytes, 0, *b"',")?, find_pair(bytes, 0, *b"':")?);
    let front = between(bytes, 0, open);
    let name = from(bytes, open + 2).trim_ascii_start();
    let goes_on = from(bytes, close + 2).trim_ascii_start();
    (open < close
        && !front.iter().any(|b| matches!(b, b'\'' | b'{' | b'[' | b'('))
        && name.starts_with(b"'")
        && goes_on.starts_with(b"'")
        && find_byte(goes_on, 1, b'\'').is_none())
    .then_some("nosql.member")
}

/// `{"$ne": 1}`, `', $or: [`, `[$gt]`: an operator where an object has a name, or a parameter an index.
pub fn operator(bytes: &[u8], effort: &mut Effort) -> Option<&'static str> {
    /// How far the quote is looked for that was left.
    const LEFT_BYTES: usize = 128;
    let mut at = 0;
    for dollar in positions(bytes, b'$') {
        if dollar < at {
            continue;
        }
        effort.spend(OPERATOR_STEPS);
        at = dollar + 1;
        let len = word_len(bytes, at);
        let word = between(bytes, at, at + len);
        // `"$comment": …` is a member of JSON Schemas; without quotes it goes on in an object that was left.
        let comment = word == b"comment";
        if !comment && !OPERATORS.has(word) {
            continue;
        }
        let front = between(bytes, 0, dollar);
        let before = front.iter().rev().take(8).find(|b| !is_blank(**b)).copied();
        let mut end = at + len;
        end += usize::from(matches!(low(bytes, end), b'"' | b'\''));
        let next = low(bytes, skip_blank_near(bytes, end));
        let quoted = matches!(before, Some(b'"' | b'\''));
        let near = between(front, front.len().saturating_sub(LEFT_BYTES), front.len());
        let left = || near.iter().any(|b| matches!(b, b'"' | b'\''));
        let named = (matches!(before, Some(b'{' | b',')) && (!comment || left()) || quoted && !comment) && next == b':';
        if named || before == Some(b'[') && next == b']' {
            return Some("nosql.operator");
        }
        at = end;
    }
    None
}

/// A few blanks at most: runs of them stand behind every operator of a hostile text.
fn skip_blank_near(bytes: &[u8], at: usize) -> usize {
    let near = between(bytes, 0, bytes.len().min(at.saturating_add(16)));
    skip_blank(near, at)
}

/// `db.users.find(`, and what leaves a function's string: `';return true`.
fn script(bytes: &[u8]) -> Option<&'static str> {
    /// What stands for a value in front of what leaves the function is not longer.
    const VALUE_BYTES_MAX: usize = 256;
    let mut at = 0;
    for dot in positions(bytes, b'.') {
        let database = dot >= 2
            && low(bytes, dot - 1) == b'b'
            && low(bytes, dot - 2) == b'd'
            && dot.checked_sub(3).is_none_or(|i| !is_word(low(bytes, i)));
        if !database || dot < at {
            continue;
        }
        at = dot + 1;
        let first = between(bytes, at, at + word_len(bytes, at));
        let end = at + first.len();
        let (method, end) = if low(bytes, end) == b'.' {
            let len = word_len(bytes, end + 1);
            (between(bytes, end + 1, end + 1 + len), end + 1 + len)
        } else {
            (first, end)
        };
        if low(bytes, end) == b'(' && METHODS.has(method) {
            return Some("nosql.script");
        }
        at = end.max(at);
    }
    for end in positions(bytes, b';') {
        let quoted = end
            .checked_sub(1)
            .is_some_and(|i| matches!(low(bytes, i), b'\'' | b'"'));
        let next = low(bytes, end + 1);
        if !is_blank(next) && !matches!(next, b'r' | b'w') {
            continue;
        }
        // No two semicolons have the same blanks behind them.
        let behind = from(bytes, skip_blank(bytes, end + 1));
        // What leaves a function that stands around it: `x;return true;}`.
        let leaves = || {
            let rest = from(behind, b"return true".len());
            let rest = rest.strip_prefix(b";").unwrap_or(rest);
            let front = between(bytes, 0, end.min(VALUE_BYTES_MAX + 1));
            begins_with(behind, b"return true")
                && rest.first() == Some(&b'}')
                && front.len() <= VALUE_BYTES_MAX
                && !front.iter().any(|b| matches!(b, b'{' | b'(' | b' '))
        };
        // What closes a string, or a number at the beginning.
        let part = |b: &u8| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b' ' | b')' | b'}');
        let number = || end <= 8 && between(bytes, 0, end).iter().all(part);
        let returned = || {
            let rest = from(behind, b"return".len());
            begins_with(behind, b"return")
                && !is_word(low(rest, 0))
                && (quoted || (end <= 3 || number()) && returns(rest))
        };
        if returned() || begins_with(behind, b"while(") && (quoted || number()) || leaves() {
            return Some("nosql.script");
        }
    }
    None
}

/// Whether a list names what is to be embedded (`*,jobs(*,projects(*))`, as PostgREST has it): each parenthesis stands behind
/// a name and is closed, and nothing is compared.
fn embeds(text: &[u8]) -> bool {
    let mut open = 0_usize;
    let mut before = b'(';
    for byte in text.iter().copied() {
        match byte {
            b'(' if is_word(before) => open += 1,
            b')' if open > 0 => open -= 1,
            b'*' | b',' | b'!' | b':' | b'.' => {}
            _ if is_word(byte) => {}
            _ => return false,
        }
        before = byte;
    }
    open == 0 && text.first().is_some_and(|b| is_word(*b) || *b == b'*')
}

/// A filter that is closed, opened or widened: `*)(uid=*`, `(&(a=1)(b=2))`.
fn filter(bytes: &[u8]) -> Option<&'static str> {
    let text = bytes.trim_ascii();
    if text.len() > FILTER_BYTES_MAX {
        return None;
    }
    if text.iter().any(|b| is_blank(*b)) {
        // `*) (uid=*)) (|(uid=*`: blanks between parentheses say nothing.
        return (text.starts_with(b"*)") && contains(text, b"=*") && {
            let rest = from(text, 2).trim_ascii_start();
            rest.starts_with(b"(")
        })
        .then_some("nosql.filter");
    }
    let has = |needle: &[u8]| text.windows(needle.len()).any(|w| w == needle);
    // A condition more behind one that is closed, or one with a sign in front that stands for all of it.
    let closed =
        has(b")(") && !text.starts_with(b"(") && (has(b")(&)") || has(b":=") || text.ends_with(b"=*") || has(b"=\\2a"));
    // `admin)(&`, `admin)(*`: what is left open the query closes.
    let left = text.iter().position(|b| *b == b')').is_some_and(|close| {
        let behind = from(text, close + 1);
        let word = |b: &u8| is_word(*b) || matches!(b, b'.' | b'@' | b'-');
        close > 1
            && between(text, 0, close).iter().all(word)
            && matches!(
                behind,
                [b'(', b'*' | b'&' | b'|'] | [b'(', b'&' | b'|' | b'!', b'(', ..]
            )
    });
    if left {
        return Some("nosql.filter");
    }
    let signed = matches!(text, [b'|' | b'&' | b'!', b'(', first, .., b')'] if first.is_ascii_alphabetic())
        && text.iter().filter(|b| **b == b'(').count() == 1
        // `!(status=closed)` is a filter of an API's own.
        && (text.contains(&b'*') || listed(&ATTRIBUTES, between(text, 2, 2 + word_len(text, 2))))
        && from(text, 2 + word_len(text, 2)).first() == Some(&b'=');
    if closed || signed {
        return Some("nosql.filter");
    }
    // What is open in front is closed, and what is opened left so: `IT)(title=SysAdmin`; or it holds of all.
    let first = text.iter().find(|b| matches!(b, b'(' | b')'));
    if first == Some(&b')') && has(b")(") && text.ends_with(b"=*)") {
        return Some("nosql.filter");
    }
    let opened = text
        .iter()
        .rposition(|b| *b == b'(')
        .map(|at| from(text, at + 1))
        .unwrap_or_default();
    let left_open = first == Some(&b')')
        && has(b")(")
        && !opened.contains(&b')')
        && from(opened, word_len(opened, 0)).first() == Some(&b'=')
        && opened.first().is_some_and(u8::is_ascii_alphabetic);
    if left_open {
        return Some("nosql.filter");
    }
    let breaks = has(b"*)(")
        || has(b"*))") && !embeds(text)
        || has(b")(|")
        || has(b")(&(")
        || has(b"*)*")
        || text.starts_with(b"*)")
        || has(b"*(|(");
    let whole =
        text.contains(&b'=') && (has(b"(|(") || has(b"(&(") || has(b")(!(") || has(b"((|")) && text.starts_with(b"(");
    let all = text.starts_with(b"*")
        && text.len() > 2
        && text
            .iter()
            .all(|b| matches!(b, b'*' | b'(' | b')' | b'|' | b'&' | b'\''));
    (breaks || whole || all && text.contains(&b'(')).then_some("nosql.filter")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::threats::Account;

    #[test]
    fn what_widens_a_query_is_found() {
        for (text, expected) in [
            ("{\"$gt\": \"\"}", Some("nosql.operator")),
            ("', $or: [ {}, { 'a':'a", Some("nosql.operator")),
            ("u[$ne]", Some("nosql.operator")),
            ("db.users.find()", Some("nosql.script")),
            ("db.dropDatabase()", Some("nosql.script")),
            ("'; return true; var a='", Some("nosql.script")),
            ("*)(uid=*))(|(uid=*", Some("nosql.filter")),
            ("(&(uid=admin)(!(&(1=0)(userPassword=q))))", Some("nosql.filter")),
            ("*()|&'", Some("nosql.filter")),
            ("*,jobs(*,projects(*))", None),
            ("jobs(*,*))", Some("nosql.filter")),
            ("(uid=*))", Some("nosql.filter")),
            ("*) (uid=*)) (|(uid=*", Some("nosql.filter")),
            (
                "admin)(userAccountControl:1.2.840.113556.1.4.803:=2)",
                Some("nosql.filter"),
            ),
            ("admin)(&)", Some("nosql.filter")),
            ("admin)(*", Some("nosql.filter")),
            ("admin)(!(&(1=0", Some("nosql.filter")),
            ("f(a)(*", None),
            (")(cn=*", Some("nosql.filter")),
            (r"\2a)(uid=\2a", Some("nosql.filter")),
            ("!(uid=nonexistent)", Some("nosql.filter")),
            ("|(objectClass=*)", Some("nosql.filter")),
            ("*) (see below)", None),
            ("!(a && b)", None),
            ("f(a)(b=1)", None),
            ("x;return true;}//", Some("nosql.script")),
            ("'; while(true){}; var foo='", Some("nosql.script")),
            ("0; return true", Some("nosql.script")),
            ("12.50; return 1", Some("nosql.script")),
            ("1;return this.x", Some("nosql.script")),
            ("1; return !x", Some("nosql.script")),
            ("1; return/**/x", Some("nosql.script")),
            ("1; return x.y", Some("nosql.script")),
            ("1; return a == b", Some("nosql.script")),
            ("1; return f(x)", Some("nosql.script")),
            ("1; return new Date()", Some("nosql.script")),
            ("1; return .5", Some("nosql.script")),
            ("x; return", Some("nosql.script")),
            ("a'; return a; var b='", Some("nosql.script")),
            ("0;while(1){}", Some("nosql.script")),
            ("0;return sleep", Some("nosql.script")),
            ("0;return isNaN", Some("nosql.script")),
            ("0;return isNaN (1)", Some("nosql.script")),
            ("0;return Math;}//", Some("nosql.script")),
            ("0;return Math,1", Some("nosql.script")),
            ("0;return Math. PI", Some("nosql.script")),
            ("0;return Math .PI", Some("nosql.script")),
            ("0;return x=1", Some("nosql.script")),
            ("0;return x?1:1", Some("nosql.script")),
            ("0;return typeof x", Some("nosql.script")),
            ("0;return new Date", Some("nosql.script")),
            ("0;return new Object;}//", Some("nosql.script")),
            ("1;return Date+1", Some("nosql.script")),
            ("0;return 1 in{1:1}", Some("nosql.script")),
            ("0;return Math instanceof Object", Some("nosql.script")),
            ("0;return true\nx", Some("nosql.script")),
            ("0;return 1\na", Some("nosql.script")),
            ("0;return Math\u{2028}var x", Some("nosql.script")),
            ("0;return Math \u{2028}var x", Some("nosql.script")),
            ("0;return 1\u{a0}in x", Some("nosql.script")),
            ("0;return\u{a0}true", Some("nosql.script")),
            ("0;return 1..constructor", Some("nosql.script")),
            ("0;return function a(){}", Some("nosql.script")),
            ("0;return async x=>1", Some("nosql.script")),
            ("0;return class A extends B{}", Some("nosql.script")),
            ("0;return it;function it(){}", Some("nosql.script")),
            ("0;return it\nfunction it(){}", Some("nosql.script")),
            ("x';function it(){} '';return it", Some("nosql.script")),
            (
                "0;                    return                    true",
                Some("nosql.script"),
            ),
            ("0;return (Math)", Some("nosql.script")),
            ("0;return async\nvar x;function async(){}", Some("nosql.script")),
            ("0;return 1in x", Some("nosql.script")),
            ("0;return+a", Some("nosql.script")),
            ("0;return ()=>1", Some("nosql.script")),
            ("0;return (()=>1)()", Some("nosql.script")),
            ("0;return (...a)=>1", Some("nosql.script")),
            ("x';return Date ()", Some("nosql.script")),
            ("x';return function (){}", Some("nosql.script")),
            ("x';return class extends Object{}", Some("nosql.script")),
            ("x';return typeof'a", Some("nosql.script")),
            ("0;return typeof'a'", Some("nosql.script")),
            ("0;return 1.", Some("nosql.script")),
            ("0;return this.items", Some("nosql.script")),
            ("0;return async ()=>1", Some("nosql.script")),
            ("1;return obj", Some("nosql.script")),
            ("0;return 2-10", Some("nosql.script")),
            ("0;return 0, true", Some("nosql.script")),
            ("0;return (1, 2)", Some("nosql.script")),
            ("0;return MD5", Some("nosql.script")),
            ("0;return WeakMap", Some("nosql.script")),
            ("0;return assert", Some("nosql.script")),
            ("2; return label", None),
            ("1; return within 14 days", None),
            ("OK; return code 200", None),
            ("2; return item (damaged)", None),
            ("i++; return i;", None),
            ("1; return key + card", None),
            ("2; return order #55", None),
            ("5; return items; keep box", None),
            ("1; return (see below)", None),
            ("1; return 5, if you can", None),
            ("2; return 10-12 days", None),
            ("2; return it. Thanks a lot", None),
            ("2; return policy: 14 days", None),
            ("2; return customer's item", None),
            ("2; return items!", None),
            ("3; return new shoes please", None),
            ("12.50; return policy applies", None),
            ("1-2; return it", None),
            ("2) ; return the item", None),
            ("Ok; return it", None),
            ("3; return 2 items", None),
            ("3; return this one, please", None),
            ("3; return: yes", None),
            ("3; return policy (14 days)", None),
            ("3; return é", None),
            ("function f() { g(); return true; }", None),
            ("function f() {g();return true;}", None),
            ("{\"$comment\": \"x\"}", None),
            ("price: $in stock", None),
            ("costs $all: 5", None),
            ("my db.x is down", None),
            ("f(a)(b)", None),
            ("*", None),
            ("a && (b || c)", None),
        ] {
            assert_eq!(
                judge(text.as_bytes(), &mut Effort::new(&Account::default(), text.len())),
                expected,
                "{text}"
            );
        }
    }
}
