//! What documents are read as, and what is refused.

use super::*;

const LIMITS: Limits = Limits {
    depth: 3,
    members: 4,
    string_bytes: 5,
    duplicates: Duplicates::Deny,
};

#[track_caller]
fn refused(text: &[u8], kind: FaultKind, at: usize) {
    assert_eq!(parse(text, &LIMITS).unwrap_err(), Fault { kind, at });
}

#[track_caller]
fn malformed(text: &[u8]) {
    let fault = parse(text, &Limits::FOREIGN).unwrap_err();
    assert!(matches!(fault.kind, FaultKind::Malformed(_)), "{fault:?}");
}

#[test]
fn a_plain_run_ends_where_it_does_byte_by_byte() {
    let plainly = |bytes: &[u8]| {
        let ends = |byte: &u8| *byte == b'"' || *byte == b'\\' || *byte < 0x20;
        bytes.iter().position(ends).unwrap_or(bytes.len())
    };
    // Each byte beside each other one, at each place of a word.
    for first in 0..=u8::MAX {
        for second in [
            0, 1, 0x1f, 0x20, 0x21, b'"', b'#', b'\\', b']', b'a', 0x7f, 0x80, 0xa2, 0xdc, 0xff,
        ] {
            for at in 0..19 {
                let mut bytes = [b'x'; 20];
                (bytes[at], bytes[at + 1]) = (first, second);
                assert_eq!(plain_bytes(&bytes), plainly(&bytes), "{first:#x} {second:#x} at {at}");
            }
        }
    }
}

#[test]
fn documents_are_read() {
    let value = parse(
        br#" {"a":[1,-0.5e+3,true,null],"b\u00e9\ud83d\ude00":"\"\\\/\b\f\n\r\t"} "#,
        &Limits::FOREIGN,
    )
    .unwrap();
    let object = value.as_object().unwrap();
    assert_eq!(object.get("a").unwrap().as_array().unwrap().len(), 4);
    assert_eq!(object.get("bé😀").unwrap().as_str(), Some("\"\\/\u{8}\u{c}\n\r\t"));
    assert_eq!(object.get("c"), None);
}

#[test]
fn what_rfc_8259_does_not_allow_is_malformed() {
    for text in [
        "",
        " ",
        "{",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "01",
        "-",
        "-01",
        "1.",
        ".5",
        "+1",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "Infinity",
        "nul",
        "nulL",
        "True",
        "\"",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\ud800x\"",
        "\"a\tb\"",
        "\"a\u{0}b\"",
        "1 2",
        "{}[]",
        "[1]x",
        "\u{feff}{}",
        "/**/1",
        "[1]//",
        "[\u{a0}1]",
        "\u{c}1",
        "[1}",
        "{\"a\":1]",
    ] {
        malformed(text.as_bytes());
    }
}

#[test]
fn text_that_is_not_utf8_is_refused_where_it_stops_being() {
    refused(b"\"\xff\"", FaultKind::NotUtf8, 1);
    refused(b"\"\xc0\xaf\"", FaultKind::NotUtf8, 1);
    refused(b"\"\xed\xa0\x80\"", FaultKind::NotUtf8, 1);
}

#[test]
fn each_limit_holds_at_its_bound_and_not_one_beyond() {
    assert!(parse(b"[[[1]]]", &LIMITS).is_ok());
    refused(b"[[[[]]]]", FaultKind::TooDeep, 3);
    assert!(parse(b"[1,2,{\"a\":3}]", &LIMITS).is_ok());
    refused(b"[1,2,{\"a\":3,\"b\":4}]", FaultKind::TooManyMembers, 12);
    assert!(parse(b"\"12345\"", &LIMITS).is_ok());
    refused(b"\"123456\"", FaultKind::StringTooLong, 0);
    refused(b"{\"12345\\n\":1}", FaultKind::StringTooLong, 1);
    assert!(parse("9".repeat(512).as_bytes(), &LIMITS).is_ok());
    refused("9".repeat(513).as_bytes(), FaultKind::NumberTooLong, 0);
}

#[test]
fn a_deep_document_is_refused_without_recursing_that_deep() {
    let limits = Limits {
        depth: u32::MAX,
        ..LIMITS
    };
    let fault = parse("[".repeat(1_000_000).as_bytes(), &limits).unwrap_err();
    assert_eq!(fault.kind, FaultKind::TooManyMembers);
    let limits = Limits {
        members: u32::MAX,
        ..limits
    };
    assert_eq!(
        parse("[".repeat(1_000_000).as_bytes(), &limits).unwrap_err().kind,
        FaultKind::TooDeep
    );
}

#[test]
fn duplicate_members_are_refused_in_small_and_large_objects_also_when_escaped() {
    refused(br#"[{"a":1,"\u0061":2}]"#, FaultKind::Duplicate, 1);
    let many = |extra: &str| {
        let members: Vec<String> = (0..50).map(|i| format!("\"m{i}\":{i}")).collect();
        format!("{{{}{extra}}}", members.join(","))
    };
    let limits = Limits::FOREIGN;
    assert_eq!(
        parse(many(",\"m7\":0").as_bytes(), &limits).unwrap_err().kind,
        FaultKind::Duplicate
    );
    let text = many("");
    let value = parse(text.as_bytes(), &limits).unwrap();
    for i in 0..50 {
        let found = value.as_object().unwrap().get(&format!("m{i}")).unwrap();
        assert_eq!(found.as_number().unwrap().as_u64(), Some(i));
    }
    assert_eq!(value.as_object().unwrap().get("m"), None);
    let lenient = Limits {
        duplicates: Duplicates::Allow,
        ..limits
    };
    for text in [many(",\"m7\":99"), r#"{"m7":1,"m7":99}"#.to_owned()] {
        let value = parse(text.as_bytes(), &lenient).unwrap();
        assert_eq!(
            value
                .as_object()
                .unwrap()
                .get("m7")
                .unwrap()
                .as_number()
                .unwrap()
                .as_u64(),
            Some(99)
        );
    }
}
