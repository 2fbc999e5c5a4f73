use super::*;
use crate::host::memory::MemoryHost;
use crate::jose::Proved;

fn policy() -> TokenPolicy {
    TokenPolicy {
        default: Requirement::Required,
        from: vec![
            Source::Header {
                name: "authorization".into(),
                scheme: Some("Bearer".into()),
            },
            Source::Header {
                name: "x-token".into(),
                scheme: None,
            },
            Source::Cookie("session".into()),
            Source::Query("access_token".into()),
        ],
        providers: Vec::new(),
        token_bytes_max: 20,
        mode: None,
        ask_host: true,
        wants_hash: false,
        wants_status: false,
    }
}

#[track_caller]
fn check(fields: &[(&str, &[u8])], expected: Result<Option<&[u8]>, Reason>) {
    let head = Head::from_fields(fields.iter().copied());
    assert_eq!(policy().extract(&head).map_err(|d| d.reason), expected, "{fields:?}");
}

#[test]
fn one_token_is_found_and_two_are_refused() {
    check(&[], Ok(None));
    check(&[("authorization", b"Bearer abc")], Ok(Some(b"abc")));
    check(&[("authorization", b"bEARER   abc")], Ok(Some(b"abc")));
    check(&[("x-token", b"abc")], Ok(Some(b"abc")));
    check(&[("authorization", b"Basic abc")], Ok(None));
    check(&[("authorization", b"Bearerabc")], Ok(None));
    check(&[("authorization", b"Bearer")], Err(Reason::TokenMalformed));
    check(&[("authorization", b"Bearer ")], Err(Reason::TokenMalformed));
    check(
        &[("authorization", b"Bearer a"), ("x-token", b"b")],
        Err(Reason::TokenRepeated),
    );
    check(
        &[("authorization", b"Bearer a"), ("authorization", b"Bearer a")],
        Err(Reason::TokenRepeated),
    );
    // Two in one value, as the host joins them, are told when the token is judged.
    let joined = b"a,Bearer b";
    check(&[("authorization", b"Bearer a,Bearer b")], Ok(Some(joined)));
    let host = MemoryHost::default();
    let by_module = Signatures {
        host: &host,
        proved: Proved::default(),
    };
    let judged = policy().judge(joined, |_| None, by_module, Instant::EPOCH);
    assert_eq!(judged.err(), Some(Trouble::Bad(Reason::TokenRepeated)));
    check(
        &[("authorization", b"Basic x"), ("authorization", b"Bearer a")],
        Ok(Some(b"a")),
    );
    check(&[("x-token", &[b'a'; 20])], Ok(Some(&[b'a'; 20])));
    check(&[("x-token", &[b'a'; 21])], Err(Reason::TokenTooLarge));
    check(&[("authorization", b"Bearer \xff\x80")], Ok(Some(b"\xff\x80")));
    check(&[("authorization", b"\xff\x80")], Ok(None));
    check(&[("cookie", b"a=1; session=abc;b=2")], Ok(Some(b"abc")));
    check(&[("cookie", b"a=1"), ("cookie", b" session = abc=")], Ok(Some(b"abc=")));
    check(&[("cookie", b"session=a; session=b")], Err(Reason::TokenRepeated));
    check(
        &[("cookie", b"session=a"), ("authorization", b"Bearer a")],
        Err(Reason::TokenRepeated),
    );
    check(&[("cookie", b"xsession=a; Session=b; session; =; ;")], Ok(None));
    check(&[("cookie", b"session=")], Err(Reason::TokenMalformed));
    check(&[(":path", b"/a?x=1&access_token=abc&y")], Ok(Some(b"abc")));
    check(&[(":path", b"/a?access%5ftoken=abc")], Ok(Some(b"abc")));
    check(&[(":path", b"/a?access_token=a=b?c")], Ok(Some(b"a=b?c")));
    check(&[(":path", b"/access_token=abc")], Ok(None));
    check(
        &[(":path", b"/a?xaccess_token=abc&Access_token=b&access_token%=c")],
        Ok(None),
    );
    for empty in [&b"/a?access_token"[..], b"/a?access_token=", b"/a?x&access_token&y"] {
        check(&[(":path", empty)], Err(Reason::TokenMalformed));
    }
    for twice in [
        &b"/a?access_token=a&access_token=b"[..],
        b"/a?access_token=a&access%5Ftoken=a",
    ] {
        check(&[(":path", twice)], Err(Reason::TokenRepeated));
    }
    check(
        &[(":path", b"/a?access_token=a"), ("authorization", b"Bearer a")],
        Err(Reason::TokenRepeated),
    );
}

#[test]
fn a_cookie_that_is_a_token_is_taken_out_and_others_stay() {
    let mut policy = policy();
    policy.from.push(Source::Cookie("other".into()));
    let without = |cookie: &[u8]| policy.without_token_cookies(&Head::from_fields([("cookie", cookie)]));
    assert_eq!(
        without(b"a=1; session=x; b=2; other=y"),
        Some(HeadEdit::Set("cookie".into(), b"a=1; b=2".to_vec()))
    );
    assert_eq!(without(b"session=x"), Some(HeadEdit::Remove("cookie".into())));
    assert_eq!(without(b"a=1"), None);
}

#[test]
fn a_parameter_that_is_a_token_is_taken_out_and_others_stay_as_they_came() {
    let without =
        |target: &[u8], path| policy().without_token_parameters(&Head::from_fields([(":path", target)]), path);
    let set = |target: &str| Some(HeadEdit::Set(":path".into(), target.into()));
    assert_eq!(without(b"/a?x=%31&access_token=t&y", None), set("/a?x=%31&y"));
    assert_eq!(without(b"/a?access%5ftoken=t", None), set("/a"));
    assert_eq!(without(b"//a?access_token=t&x=?", Some("/a")), set("/a?x=?"));
    assert_eq!(without(b"/a?x=1", None), None);
    assert_eq!(without(b"/access_token=t", None), None);
}

#[test]
fn bytes_are_written_in_lower_case_hex() {
    assert_eq!(hex(&[0x00, 0x9f, 0xff]), "009fff");
}
