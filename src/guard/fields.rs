//! Our `RateLimit` fields beside the backend's own: each field has one value, and nothing is taken away from the backend's
//! (draft-ietf-httpapi-ratelimit-headers-10 §6: an intermediary may be stricter, and neither looser nor silent).
//!
//! The draft's fields are lists (RFC 9651 §3.1), so ours follow the backend's; of one name, which may stand once, the
//! backend's stays. `X-RateLimit-*` are three single values: those of whoever has less left stand.

use super::quota;

/// What to set in an answer that has the fields that `theirs` gives the values of.
pub fn beside(mut ours: Vec<quota::Field>, theirs: &dyn Fn(&str) -> Vec<Vec<u8>>) -> Vec<quota::Field> {
    let ours_left = ours.iter().find(|(name, _)| *name == quota::REMAINING);
    let legacy = ours_left.is_some_and(|(name, value)| !is_less(&theirs(name), value));
    ours.retain_mut(|(name, value)| match *name {
        quota::POLICY | quota::LIMIT => joined(&theirs(name), value),
        _ => legacy,
    });
    ours
}

/// Whether the backend's one number is below ours.
fn is_less(theirs: &[Vec<u8>], ours: &str) -> bool {
    let [theirs] = theirs else { return false };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let theirs = std::str::from_utf8(theirs).ok().and_then(number);
    theirs.zip(number(ours)).is_some_and(|(theirs, ours)| theirs < ours)
}

/// Makes ours one list of both; `false` if the backend's is to stay alone: it names all that ours does, or is of another
/// form (earlier drafts), and would with ours be readable to nobody.
fn joined(theirs: &[Vec<u8>], ours: &mut String) -> bool {
    if theirs.is_empty() {
        return true;
    }
    let Ok(theirs) = String::from_utf8(theirs.join(&b", "[..])) else {
        return false;
    };
    let items = items(&theirs);
    if !items.iter().all(|item| item.starts_with('"')) {
        return false;
    }
    let named = |item: &str| items.iter().any(|other| name(other) == name(item));
    let more: Vec<&str> = ours.split(", ").filter(|item| !named(item)).collect();
    if more.is_empty() {
        return false;
    }
    *ours = format!("{theirs}, {}", more.join(", "));
    true
}

/// The members of a list, of which each may have commas in quotes.
fn items(list: &str) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    let members = list.split(|c| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        c == ',' && !quoted
    });
    members.map(str::trim).collect()
}

/// What stands before an item's parameters; our own names hold no semicolon.
fn name(item: &str) -> &str {
    item.split(';').next().unwrap_or_default().trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(theirs: &[(&str, &str)], expected: &[(&str, &str)]) {
        let ours = [
            ("ratelimit-policy", r#""a";q=9;w=60, "b";q=5;w=1"#),
            ("ratelimit", r#""a";r=7;t=6, "b";r=4;t=1"#),
            ("x-ratelimit-limit", "5"),
            ("x-ratelimit-remaining", "4"),
            ("x-ratelimit-reset", "1"),
        ];
        let theirs = |name: &str| -> Vec<Vec<u8>> {
            let named = theirs.iter().filter(|(other, _)| *other == name);
            named.map(|(_, value)| value.as_bytes().to_vec()).collect()
        };
        let set = beside(ours.map(|(name, value)| (name, value.to_owned())).into(), &theirs);
        let set: Vec<(&str, &str)> = set.iter().map(|(name, value)| (*name, value.as_str())).collect();
        // What is not named here is set as it is, of the draft's fields.
        let mut all = ours[..2].to_vec();
        for (name, value) in expected {
            all.retain(|(other, _)| other != name);
            all.push((name, value));
        }
        all.retain(|(_, value)| !value.is_empty());
        let sorted = |mut fields: Vec<(&str, &str)>| {
            fields.sort_unstable();
            fields.iter().map(|(n, v)| format!("{n}: {v}")).collect::<Vec<_>>()
        };
        assert_eq!(sorted(set), sorted(all));
    }

    const LEGACY: [(&str, &str); 3] = [
        ("x-ratelimit-limit", "5"),
        ("x-ratelimit-remaining", "4"),
        ("x-ratelimit-reset", "1"),
    ];

    #[track_caller]
    fn check_list(theirs: &[&str], expected: &str) {
        let theirs: Vec<_> = theirs.iter().map(|value| ("ratelimit", *value)).collect();
        check(&theirs, &[&[("ratelimit", expected)], &LEGACY[..]].concat());
    }

    #[test]
    fn lists_are_joined_and_a_name_stands_once() {
        check(&[], &LEGACY);
        check_list(&[r#""x";r=1"#], r#""x";r=1, "a";r=7;t=6, "b";r=4;t=1"#);
        check_list(
            &[r#""x";r=1"#, r#""y";r=2"#],
            r#""x";r=1, "y";r=2, "a";r=7;t=6, "b";r=4;t=1"#,
        );
        check_list(&[r#""a";r=1"#], r#""a";r=1, "b";r=4;t=1"#);
        check_list(&[r#""b" ;r=1 , "a""#], "");
        check_list(&[r#""x, \"a\"";r=1"#], r#""x, \"a\"";r=1, "a";r=7;t=6, "b";r=4;t=1"#);
    }

    #[test]
    fn what_is_of_another_form_stays_alone() {
        for other in [
            "limit=100, remaining=50, reset=5",
            "100",
            "default;r=1",
            "",
            "\"x\";r=1,",
        ] {
            check_list(&[other], "");
        }
        let bytes = |_: &str| vec![vec![0xff]];
        assert_eq!(beside(vec![("ratelimit", "\"a\";r=1".into())], &bytes), []);
    }

    #[test]
    fn of_the_single_values_those_with_less_left_stand() {
        check(&[("x-ratelimit-remaining", "3"), ("x-ratelimit-limit", "1000")], &[]);
        for theirs in ["4", "5", "x", ""] {
            check(&[("x-ratelimit-remaining", theirs)], &LEGACY);
        }
        check(
            &[("x-ratelimit-remaining", "1"), ("x-ratelimit-remaining", "2")],
            &LEGACY,
        );
        check(&[("x-ratelimit-limit", "1")], &LEGACY);
    }
}
