//! What the threats guard makes of a value by the name that it was given by.

use crate::scene::{Scene, Verdict, get, post_json, request};

/// A command by itself is a word; by the name of what is to run, it is one.
#[test]
fn a_command_is_known_by_the_name_it_is_sent_by() {
    let scene = Scene::new(r#"{ "threats": {} }"#);
    for target in ["/x?cmd=id", "/x?exec=ls%20-la", "/x?Command=wget+a.example"] {
        scene.denied(&get(target), "threat_command");
    }
    scene.denied(
        &post_json("/x", r#"{"command":"run","utilCmdArgs":"-c id"}"#),
        "threat_command",
    );
    for target in ["/x?cmd=start", "/x?q=id", "/x?sort=id", "/x?command=list"] {
        scene.allowed(&get(target));
    }
    scene.allowed(&post_json("/x", r#"{"command":"ls"}"#));
}

#[test]
fn what_a_name_tells_is_exempted_where_it_stands() {
    let policy = |exempt: &str| format!(r#"{{ "threats": {{ "exempt": [{exempt}] }} }}"#);
    let nested = post_json("/x", r#"{"constructor":{"prototype":{"a":1}}}"#);
    let operator = post_json("/x", r#"{"filter":{"$ne":1}}"#);
    let remote = get("/x?page=http://a.example/x.php");
    let plain = Scene::new(&policy(""));
    for (request, code) in [
        (&nested, "threat_expression"),
        (&operator, "threat_nosql"),
        (&remote, "threat_path"),
    ] {
        plain.denied(request, code);
    }
    for (request, at, category) in [
        (&nested, "/body/constructor", "expression"),
        (&operator, "/body/filter", "nosql"),
        (&remote, "/query/page", "path"),
    ] {
        let exempt = format!(r#"{{ "at": "{at}", "categories": ["{category}"] }}"#);
        Scene::new(&policy(&exempt)).allowed(request);
        let other = format!(r#"{{ "at": "{at}", "categories": ["template"] }}"#);
        assert_ne!(Scene::new(&policy(&other)).send(request).verdict(), Verdict::Allowed);
    }
}

#[test]
fn a_filter_passes_where_its_name_says_that_it_is_one() {
    let scene = Scene::new(r#"{ "threats": {} }"#);
    for request in [
        get("/items?q=status+%3D+'open'+AND+size+>+3"),
        get("/items?%24filter=startswith(name,'A')+and+endswith(name,'B')"),
        post_json("/search", r#"{"filter":"name like 'A%' and city = 'Oxford'"}"#),
        post_json("/search", r#"{"filters":["type in ('a','b') and status = 'x'"]}"#),
        request("POST", "/search")
            .field("content-type", "application/x-www-form-urlencoded")
            .body("where=state+%3D+%22ACTIVE%22+AND+labels.env%3Aprod"),
    ] {
        scene.allowed(&request);
    }
    for request in [
        // Where a number is expected, it would read a database one comparison at a time.
        get("/items?id=id+%3D+1+and+password+like+'a%25'"),
        post_json("/items", r#"{"id":"id = 1 and name like 'A%'"}"#),
        post_json("/items", r#"{"filter":{"id":"id = 1 and name like 'A%'"}}"#),
        // Spelt so that what decodes once more reads another text.
        get("/items?q=name+%3D+'x%2527+or+1%3D1--+'+and+b+%3D+1"),
        get("/items?q=name+%3D+'x'+or+1%3D1"),
        get("/items?q=a+%3D+'+or+b+%3D+'+or+'1'%3D'1"),
    ] {
        scene.denied(&request, "threat_sql");
    }
}

/// A password manager's password is random signs; whoever has one that a rule refuses could never log in. The same signs
/// elsewhere are judged, and so is what a password field spells out.
#[test]
fn a_password_is_told_by_its_name_and_by_having_no_blanks() {
    let scene = Scene::new(r#"{ "threats": {} }"#);
    let form = |name: &str, value: &str| {
        request("POST", "/login")
            .field("content-type", "application/x-www-form-urlencoded")
            .body(format!("user=ann&{name}={value}"))
    };
    let random = "e%24LTbfGW%28B0LP7";
    for name in [
        "password",
        "new_password",
        "user%5Bpassword%5D",
        "currentPassword",
        "pwd",
        "client_secret",
    ] {
        scene.allowed(&form(name, random));
    }
    scene.allowed(&post_json("/login", r#"{"user":"ann","password":"X0$8&3r/Nc&D"}"#));
    for (request, code) in [
        (form("q", random), "threat_command"),
        (form("passport", random), "threat_command"),
        (form("password", "%27or%271%27=%271"), "threat_sql"),
        (form("password", "x;+cat+/etc/passwd"), "threat_command"),
        (
            form("password", "%2524%2528id%2529%2520%253Bcat%2520notes"),
            "threat_command",
        ),
        (
            post_json("/login", r#"{"password":"<script>alert(1)</script>"}"#),
            "threat_script",
        ),
        (form("password", "x%27]|//*[%271"), "threat_nosql"),
        (get("/x").field("x-user", "x']|//*['1"), "threat_nosql"),
    ] {
        assert_eq!(scene.send(&request).verdict(), Verdict::Denied(code));
    }
}

/// RFC 8252 §7.3: a native client listens on its own machine, and only its browser goes there.
#[test]
fn a_native_client_may_name_where_it_listens() {
    let scene = Scene::new(r#"{ "threats": {} }"#);
    for query in [
        "redirect_uri=http://127.0.0.1:51004/callback",
        "redirect_uri=http%3A%2F%2Flocalhost%3A8080",
        "post_logout_redirect_uri=http://[::1]:3000/",
    ] {
        scene.allowed(&get(&format!("/authorize?{query}")));
    }
    scene.allowed(&post_json(
        "/register",
        r#"{"redirect_uris":["http://localhost:8080/cb"]}"#,
    ));
    for query in [
        "url=http://127.0.0.1:51004/callback",
        "redirect_uri=http://10.0.0.1/",
        "redirect_uri=http://localhost:80@169.254.169.254/",
        "redirect_uri=http://localhost.internal/",
        "redirect_uri=gopher://127.0.0.1:6379/",
    ] {
        let verdict = scene.send(&get(&format!("/authorize?{query}"))).verdict();
        assert_eq!(verdict, Verdict::Denied("threat_request_forgery"), "{query}");
    }
}

/// Alone or beside other operators it asks a document database whether there is such a member; a serialiser tells a class by it.
#[test]
fn a_type_by_its_number_is_an_operator_where_nothing_else_stands_beside_it() {
    let scene = Scene::new(r#"{ "threats": {} }"#);
    for body in [
        r#"{"name":{"$type":2}}"#,
        r#"{"name":{"$type":2,"$type":2}}"#,
        r#"{"name":{"$type":2,"$options":"i"}}"#,
        r#"{"name":{"$type":["string"]}}"#,
    ] {
        scene.denied(&post_json("/x", body), "threat_nosql");
    }
    for body in [
        r#"{"$type":1,"city":"Berlin"}"#,
        r#"[{"$type":3,"city":"Berlin"}]"#,
        r#"{"user":{"$type":2,"city":"Berlin"}}"#,
        r#"{"user":{"$id":"1","$type":3}}"#,
        r#"{"user":{"$type":3,"$values":[1]}}"#,
    ] {
        scene.allowed(&post_json("/x", body));
    }
}
