//! The engine as a whole: values, and the rule that each is refused by.

use super::*;

#[track_caller]
fn check(text: &str, kind: Kind, expected: Option<&str>) {
    let all = Category::ALL.iter().fold(Categories::NONE, |set, (_, c)| set.with(*c));
    let mut rule = None;
    Engine::new().judge(text.as_bytes(), kind, all, &mut |finding| {
        rule.get_or_insert(finding.rule);
        true
    });
    assert_eq!(rule, expected, "{text}");
}

#[test]
fn what_acts_whoever_reads_it_is_not_bought_off_by_prose() {
    let prose = "We have seen this on our side too, and it is the one that you were told of. ".repeat(3);
    for (attack, rule) in [
        ("x' or 1=1 -- ", "sql.boolean"),
        ("```\n<img src=x onerror=alert(1)>\n```", "script.proof"),
        ("`../../../etc/passwd`", "path.traversal"),
        ("`http://169.254.169.254/latest/`", "request_forgery.metadata"),
    ] {
        check(&format!("{prose}\n{attack}\n{prose}"), Kind::Json, Some(rule));
    }
    check(
        &format!("{prose} `'a' or 'b'`, or /etc/passwd. {prose}"),
        Kind::Json,
        None,
    );
}

#[test]
fn commands_are_found_behind_any_number_of_separators() {
    let many = "a;".repeat(100);
    check(&format!("{many}cat notes"), Kind::Parameter, Some("command.chained"));
    check(&"\n\n\n\n;".repeat(4096), Kind::Parameter, None);
    for (text, rule) in [
        ("time ifconfig", "command.chained"),
        ("go `sleep 5`", "command.chained"),
        ("f(){ f|f& };f", "command.function"),
        ("pi``ng 1.1.1.1", "command.obscured"),
        // Far into the value, so that a position within the span is none within the value.
        (
            "some words in front, and more of them so that it is far; pi$(x)ng 1.1.1.1",
            "command.chained",
        ),
    ] {
        check(text, Kind::Parameter, Some(rule));
    }
    for text in [
        "time sort",
        "use `cat` here",
        "the `id` of it",
        "function f() { return a | b }",
    ] {
        check(text, Kind::Json, None);
    }
}

#[test]
fn a_name_may_be_what_a_text_is_about() {
    for text in [
        "powershell for beginners",
        "ansible and terraform",
        "chef-owned restaurant",
        "touch (screen) of a phone",
    ] {
        check(text, Kind::Parameter, None);
    }
    check("{\"ip\":\"127.0.0.1\"}", Kind::Json, None);
    for (text, rule) in [
        ("powershell", "command.shell"),
        ("powershell -enc aQBlAHgA", "command.shell"),
        ("x; powershell for fun", "command.shell"),
        ("ansible-playbook site.yml", "command.shell"),
        ("touch ('/tmp/x')", "command.php"),
    ] {
        check(text, Kind::Parameter, Some(rule));
    }
}

#[test]
fn what_a_tag_loads_is_known_wherever_it_ends_and_whatever_tag_was_read_before() {
    for text in [
        "<meta http-equiv=\"refresh\" content=\"0; http://a.example?</a>",
        "<a b=<base href=\"//a.example/</a>",
        "<a <b <embed c src=x",
    ] {
        check(text, Kind::Parameter, Some("script.element"));
    }
}

/// Nothing is dropped where the automaton is built: its numbers hold all states there are.
#[test]
fn every_literal_of_every_rule_is_found() {
    let engine = Engine::new();
    for group in literals::groups() {
        for text in group.texts {
            let mut found = false;
            engine.automaton.scan(text.as_bytes(), |id, end| {
                let literal = engine.literals.get(id);
                found |= end == text.len()
                    && literal.is_some_and(|(len, groups)| {
                        *len == text.len() && groups.iter().any(|g| std::ptr::eq(*g, group))
                    });
                found
            });
            assert!(found, "{text} of {}", group.rule);
        }
    }
}
