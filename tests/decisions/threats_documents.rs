//! What the threats guard makes of documents: XML, and what JSON and XML name beside themselves.

use crate::scene::{Scene, get, post_json, request};
use crate::threats::json;

/// Paths in documents that climb to what a site gives to anybody; what is read by a server is another matter.
#[test]
fn a_document_may_name_what_lies_beside_it() {
    let scene = Scene::new(r#"{ "threats": {} }"#);
    for path in [
        "../core/src/types.ts",
        "../../assets/media/video.mp4",
        "../img/a-b_2@3x.png",
    ] {
        scene.allowed(&json(path));
        scene.allowed(&post_json("/x", &format!(r#"["{path}"]"#)));
        scene.denied(&get(&format!("/x?file={path}")), "threat_path");
    }
    for path in [
        "../../config.php",
        "../.env.ts",
        "../a/../../etc/x.png",
        "../../etc/passwd",
        "../../a/.git/x.md",
        "../x.png%00.php",
        "../key.pem",
        "../../../../proc/self/cwd/app.js",
        "../../../../home/node/app/secrets.js",
    ] {
        scene.denied(&json(path), "threat_path");
    }
    let form = |attribute: &str| {
        let body = format!("<h:html><bind nodeset=\"/a/b\" {attribute}/></h:html>");
        request("POST", "/forms")
            .field("content-type", "application/xml")
            .body(body)
    };
    scene.allowed(&form(r#"calculate="../age""#));
    scene.allowed(&form(r#"calculate="concat('uuid:', uuid())""#));
    scene.denied(&form(r#"calculate="../../etc/passwd""#), "threat_path");
    scene.denied(&form(r#"required="x' or '1'='1""#), "threat_sql");
    scene.denied(&form(r#"note="concat('uuid:', uuid())""#), "threat_sql");
    scene.denied(&form(r#"calculate="x' or '1'='1""#), "threat_sql");
    scene.denied(&form(r#"calculate="/x' or '1'='1""#), "threat_sql");
    scene.allowed(&form(r#"calculate="if(../a = 'x', concat('a', ../b), 'c')""#));
    scene.denied(&form(r#"calculate="1 or if(1=1,1,0)""#), "threat_sql");
    scene.denied(&form(r#"ref="../../../../home/app/id_rsa""#), "threat_path");
    // An attribute's name says nothing of an element, and an empty element's nothing of what stands behind it.
    let text = |inner: &str| {
        let body = format!("<a><name>{inner}</name></a>");
        request("POST", "/forms")
            .field("content-type", "application/xml")
            .body(body)
    };
    scene.denied(&text("<calculate/>x' or '1'='1"), "threat_sql");
    scene.denied(&text("<calculate>concat(x) or sleep(5)</calculate>"), "threat_sql");
    scene.denied(&text("<ref/>../../../../srv/app/id_rsa"), "threat_path");
    scene.denied(&text("<redirect_uri/>http://127.0.0.1/admin"), "threat_request_forgery");
    scene.denied(&text("<password/>;id"), "threat_command");
}

#[test]
fn attributes_and_inclusions_are_known_however_they_are_spelt() {
    let scene = Scene::new(r#"{ "threats": {} }"#);
    let xml = |body: &str| {
        request("POST", "/x")
            .field("content-type", "application/xml")
            .body(body)
    };
    for equals in ["=", " =", "= ", " \n=\t"] {
        scene.denied(&xml(&format!(r#"<a b{equals}"' or 1=1-- "/>"#)), "threat_sql");
    }
    // A value may hold what ends a tag; one without an end holds nothing.
    scene.denied(&xml(r#"<a b=">" name="1 or 1=1"/>"#), "threat_sql");
    scene.denied(&xml(r#"<a b='>' c=">" name=";id"/>"#), "threat_command");
    scene.denied(&xml(r#"<a b=">x' or 1=1-- </a><a b="c"/>"#), "threat_sql");
    // What cuts a text in pieces is nothing to its reader.
    scene.denied(&xml("<a>x' o<!-- -->r 1=1#</a>"), "threat_sql");
    scene.denied(&xml("<a>x' o<?p?>r 1=1#"), "threat_sql");
    scene.denied(
        &xml("<a>..<!-- -->/..<![CDATA[/..]]>/et<!-- -->c/passwd</a>"),
        "threat_path",
    );
    // An instruction may hold what begins a tag, and ends where it says so.
    for instruction in [
        "<?xml-x <?>",
        "<?x <?>",
        "<?xml version=\"1.0\"?><?x href=\"a<b\"?>",
        "<a b=\"<\">",
        "<a b=\">\" ",
        "<?x ",
    ] {
        scene.denied(
            &xml(&format!("{instruction}<a><name>x' or 1=1#</name></a>")),
            "threat_sql",
        );
        scene.denied(
            &xml(&format!("{instruction}<a><b><![CDATA[;id]]></b></a>")),
            "threat_command",
        );
    }
    scene.denied(
        &xml("<?xml-x <?><!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>"),
        "threat_xml",
    );
    scene.denied(&xml("<a><name><?xml-password ?>;id</name></a>"), "threat_command");
    // How exporters write what would end a section.
    scene.allowed(&xml("<c><![CDATA[if (a[b[0]]]]><![CDATA[>1)]]></c>"));
    let namespace = "http://www.w3.org/2001/XInclude";
    let hidden = format!(r#"<x:include a=">" xmlns:x="{namespace}" href="f"/>"#);
    scene.denied(&xml(&hidden), "threat_xml");
    for (attribute, value) in [
        ("xmlns:xi=", namespace.to_owned()),
        ("xmlns:xi = ", namespace.to_owned()),
        ("xmlns:xi=", namespace.replace('e', "&#101;")),
    ] {
        let body = format!(r#"<a {attribute}"{value}"><xi:include href="http://a.example/x.xml"/></a>"#);
        scene.denied(&xml(&body), "threat_xml");
    }
    scene.allowed(&xml(&format!(r#"<a xmlns:xi="{namespace}"><b/></a>"#)));
    scene.allowed(&xml(r#"<a><include href="b"/></a>"#));
    // What tells a reader of JSON which class to make.
    scene.denied(
        &post_json("/x", r#"{"@type":"java.lang.Exception"}"#),
        "threat_expression",
    );
    scene.allowed(&post_json("/x", r#"{"@type":"Person","name":"java.lang.Exception"}"#));
}
