//! A line's end and a field of HTTP's head (RFC 9112 §5) behind it: what a value becomes that is written into one.

use super::bytes::{Words, between, contains, find_byte, from, is_blank, listed, starts_with};
use super::decode;
use std::borrow::Cow;

/// Longer names and values are a text's.
const FIELD_BYTES_MAX: usize = 96;

/// Fields of requests, answers and mails (some of IANA's registry, and what proxies, servers and mailers add), and those that
/// are mostly tried.
/// Names of one word are not among them: texts have lines that begin so (`Location: Berlin`).
static FIELDS: Words<164> = Words::new([
    "accept-ch",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-patch",
    "accept-post",
    "accept-ranges",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-allow-private-network",
    "access-control-expose-headers",
    "access-control-max-age",
    "access-control-request-headers",
    "access-control-request-method",
    "alt-svc",
    "authentication-info",
    "auto-submitted",
    "cache-control",
    "cdn-cache-control",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "cf-ipcountry",
    "clear-site-data",
    "client-ip",
    "content-base",
    "content-disposition",
    "content-encoding",
    "content-id",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-script-type",
    "content-security-policy",
    "content-security-policy-report-only",
    "content-style-type",
    "content-transfer-encoding",
    "content-type",
    "critical-ch",
    "cross-origin-embedder-policy",
    "cross-origin-embedder-policy-report-only",
    "cross-origin-opener-policy",
    "cross-origin-opener-policy-report-only",
    "cross-origin-resource-policy",
    "delivered-to",
    "disposition-notification-to",
    "dkim-signature",
    "document-policy",
    "errors-to",
    "expect-ct",
    "fastly-client-ip",
    "feature-policy",
    "front-end-https",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "in-reply-to",
    "integrity-policy",
    "last-modified",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "max-forwards",
    "message-id",
    "metadata-flavor",
    "mime-version",
    "no-vary-search",
    "origin-agent-cluster",
    "permissions-policy",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-client-ip",
    "proxy-connection",
    "proxy-status",
    "public-key-pins",
    "public-key-pins-report-only",
    "referrer-policy",
    "reply-to",
    "report-to",
    "reporting-endpoints",
    "resent-bcc",
    "resent-cc",
    "resent-from",
    "resent-to",
    "retry-after",
    "return-path",
    "return-receipt-to",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-fetch-user",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "server-timing",
    "service-worker-allowed",
    "set-cookie",
    "set-cookie2",
    "set-login",
    "speculation-rules",
    "strict-transport-security",
    "surrogate-control",
    "timing-allow-origin",
    "transfer-encoding",
    "true-client-ip",
    "upgrade-insecure-requests",
    "user-agent",
    "wl-proxy-client-ip",
    "www-authenticate",
    "x-accel-buffering",
    "x-accel-expires",
    "x-accel-limit-rate",
    "x-accel-redirect",
    "x-admin",
    "x-content-type-options",
    "x-crlf",
    "x-custom",
    "x-debug",
    "x-dns-prefetch-control",
    "x-evil",
    "x-foo",
    "x-forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-frame-options",
    "x-hack",
    "x-hacked",
    "x-header",
    "x-host",
    "x-http-method-override",
    "x-inject",
    "x-injected",
    "x-injection",
    "x-lighttpd-send-file",
    "x-mailer",
    "x-my",
    "x-original-url",
    "x-permitted-cross-domain-policies",
    "x-powered-by",
    "x-priority",
    "x-proxy",
    "x-pwned",
    "x-real-ip",
    "x-redirect-by",
    "x-rewrite-url",
    "x-robots-tag",
    "x-role",
    "x-sendfile",
    "x-test",
    "x-token",
    "x-ua-compatible",
    "x-user",
    "x-username",
    "x-webkit-csp",
    "x-xss",
    "x-xss-protection",
]);

/// A line's end as programs spell it, which some undo before they write it into a head.
const SPELT: &[u8; 4] = br"\r\n";

fn ends(byte: &u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// What stands behind line ends: a head's line may begin with blanks where the answer's are folded, and with what a URL's
/// fragment begins with.
fn behind_ends(bytes: &[u8]) -> &[u8] {
    let skipped = |b: &&u8| ends(b) || matches!(b, b' ' | b'\t' | b'#');
    from(bytes, bytes.iter().take_while(skipped).count())
}

/// Whether a name that only heads have, or that tells what it is for, stands in front.
fn is_field(name: &[u8]) -> bool {
    const TELLS: [&str; 3] = ["crlf", "header", "injected"];
    FIELDS.has(name)
        || name.len() <= FIELD_BYTES_MAX
            && name.contains(&b'-')
            && name.split(|b| *b == b'-').any(|part| listed(&TELLS, part))
}

/// Whether a value is a line's end and a field of a head, and no more; in a path, whatever is in front, and else a place that
/// somebody is sent to, or one word where the field's name is one of those that only heads have.
pub fn splits(bytes: &[u8], path: bool) -> bool {
    const LINES_BYTES_MAX: usize = 512;
    let bytes = &*spelt_out(bytes);
    let Some(end) = bytes.iter().position(ends) else {
        return false;
    };
    let front = between(bytes, 0, end);
    let place = matches!(front.first(), None | Some(b'/' | b'?' | b'#'))
        || front.starts_with(b"http://")
        || front.starts_with(b"https://");
    let single = front.len() <= FIELD_BYTES_MAX && !front.iter().any(|b| is_blank(*b));
    if !(path || single) {
        return false;
    }
    // No system has ended its lines so for long.
    let alone = bytes.get(end) == Some(&b'\r') && bytes.get(end + 1) != Some(&b'\n');
    let rest = behind_ends(from(bytes, end)).trim_ascii_end();
    let name = rest
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric() || **b == b'-')
        .count();
    let value = from(rest, name + 1);
    let value = value.strip_prefix(b" ").unwrap_or(value);
    let token = |b: &u8| b.is_ascii_graphic() && *b != b':';
    let name_of = between(rest, 0, name);
    // `lang=en` and `X-Injected: by me`: a word, and a field that heads have or that tells what it is for, whatever it holds.
    let header = is_field(name_of) || starts_with(name_of, b"x-") && (path || place || is_private(name_of, value));
    if header
        && rest.get(name) == Some(&b':')
        && !value.is_empty()
        && value.len() <= FIELD_BYTES_MAX
        && !value.iter().any(ends)
    {
        return true;
    }
    // Behind nothing but a line's end, more lines may follow: fields, and what is to be the answer's body.
    let leads = front.is_empty() && bytes.len() <= LINES_BYTES_MAX;
    if leads
        && (FIELDS.has(name_of) && name_of.contains(&b'-') && rest.get(name) == Some(&b':')
            || starts_with(rest, b"<html>"))
    {
        return true;
    }
    if !(path || place) {
        return false;
    }
    (2..40).contains(&name)
        && rest.get(name) == Some(&b':')
        && (1..=FIELD_BYTES_MAX).contains(&value.len())
        // A place on a line of its own.
        && !listed(&["ftp", "http", "https"], name_of)
        // Behind a place stand other lines of a form too (`localhost:3000`, `10:30`, `owner:me`): there a field is told by how
        // it is written, or by a place that nobody is sent to.
        && (front.is_empty()
            || path
            || alone
            || front.windows(4).any(|w| w == b"//..")
            || rest.first().is_some_and(u8::is_ascii_uppercase) && between(rest, 0, name).contains(&b'-'))
        && value.iter().all(token)
}

/// With line ends that are spelt (`\r\n`) as what they stand for, in what is short.
fn spelt_out(bytes: &[u8]) -> Cow<'_, [u8]> {
    const SPELT_BYTES_MAX: usize = 512;
    if bytes.len() > SPELT_BYTES_MAX || !contains(bytes, SPELT) {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, behind)) = rest.split_first() {
        match rest.strip_prefix(SPELT) {
            Some(behind) => {
                out.extend_from_slice(b"\r\n");
                rest = behind;
            }
            None => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    Cow::Owned(out)
}

/// Names of what is written into a head and has one line there: where somebody is sent, or their language, and [`HEADED`].
static WRITTEN: Words<42> = Words::new([
    "agent",
    "back",
    "callback",
    "charset",
    "continue",
    "dest",
    "destination",
    "domain",
    "email",
    "forward",
    "from",
    "goto",
    "host",
    "hostname",
    "key",
    "lang",
    "locale",
    "login",
    "mail",
    "name",
    "next",
    "origin",
    "redir",
    "redirect",
    "redirect_to",
    "referer",
    "referrer",
    "request_id",
    "return",
    "return_to",
    "returnto",
    "session",
    "session_id",
    "subject",
    "title",
    "to",
    "token",
    "uri",
    "url",
    "user",
    "user_agent",
    "username",
]);

/// Names of what has one line wherever it is written, in heads as well. Sorted.
const HEADED: [&str; 16] = [
    "agent",
    "email",
    "from",
    "key",
    "login",
    "mail",
    "name",
    "request_id",
    "session",
    "session_id",
    "subject",
    "title",
    "to",
    "token",
    "user",
    "username",
];

/// Of those, words that people have lines of labels under. Sorted.
const SPOKEN: [&str; 12] = [
    "back",
    "callback",
    "continue",
    "dest",
    "destination",
    "domain",
    "forward",
    "host",
    "next",
    "origin",
    "referrer",
    "return",
];

/// Whether a parameter or a member is written into a head by its name, and its value goes on with another field, a head of its
/// own or a body. Such a value has one line: what texts have in their lines is none of its business.
pub fn splits_written(name: &[u8], value: &[u8]) -> bool {
    /// Behind more lines than these, or within longer values, nothing is looked for.
    const LINES_MAX: usize = 8;
    const VALUE_BYTES_MAX: usize = 2048;
    let name_ends = |end: &[u8]| name.len() > end.len() && from(name, name.len() - end.len()).eq_ignore_ascii_case(end);
    let written = || match name.last() {
        Some(b'l' | b'L') => name_ends(b"url") && !name_ends(b"curl") && name != b"curl",
        Some(b'i' | b'I') => name_ends(b"uri"),
        Some(b't' | b'T') => name_ends(b"redirect"),
        _ => false,
    };
    // Words with blanks between are a title.
    if !(WRITTEN.has(name) || written()) || name.iter().any(|b| is_blank(*b)) {
        return false;
    }
    if !value
        .iter()
        .take(VALUE_BYTES_MAX)
        .any(|b| ends(b) || matches!(b, b'%' | b'&' | b'\\'))
    {
        return false;
    }
    let headed = listed(&HEADED, name);
    // `"next": "Testing⏎Blockers: none"`
    let spoken = listed(&SPOKEN, name);
    let value = between(value, 0, value.len().min(VALUE_BYTES_MAX));
    // What is encoded in a URL's query is a text there: `https://a.example/?text=Order%0AName: Ann`.
    let asked = value.contains(&b'?');
    let decoded = decode::step(value);
    let spoken = spoken || asked && decoded.is_some();
    let value = decoded.as_deref().unwrap_or(value);
    let value = &*if headed { Cow::Borrowed(value) } else { spelt_out(value) };
    let mut rest = value;
    // `#` or `text/html` in front: no text that people write.
    let single = |front: &[u8]| {
        !front.is_empty() && front.len() <= FIELD_BYTES_MAX && !front.iter().any(|b| is_blank(*b) || *b == b'.')
    };
    for _ in 0..LINES_MAX {
        let Some(end) = rest.iter().position(ends) else {
            return false;
        };
        let behind_single = !spoken && rest.len() == value.len() && single(between(rest, 0, end));
        let broken = from(rest, end).iter().take_while(|b| ends(b)).count();
        let empty_line = broken > 2 || broken == 2 && rest.get(end) == rest.get(end + 1);
        let before = from(rest, end);
        rest = behind_ends(before);
        if headed {
            // One line more, and no text's paragraph nor an indented list.
            let indented = rest.len() + broken + 1 < before.len();
            return !empty_line && !indented && !rest.trim_ascii_end().iter().any(ends) && sends(rest);
        }
        // A picture's own text.
        let page = || {
            !starts_with(value, b"data:")
                && ["<html", "<script", "<svg", "<!doctype"]
                    .iter()
                    .any(|tag| starts_with(rest, tag.as_bytes()))
        };
        if !spoken && empty_line && page() || goes_on(rest, value, behind_single, spoken) {
            return true;
        }
    }
    false
}

/// Whether a line is a field that only heads have, or one of a mail's that names who else gets it.
fn sends(text: &[u8]) -> bool {
    let name = text
        .iter()
        .take(FIELD_BYTES_MAX)
        .take_while(|b| b.is_ascii_alphanumeric() || **b == b'-')
        .count();
    let field = between(text, 0, name);
    let copies = || listed(&["bcc", "cc"], field) && text.contains(&b'@');
    text.get(name) == Some(&b':')
        && (FIELDS.has(field) || starts_with(field, b"x-") && is_private(field, from(text, name + 1)) || copies())
}

/// Whether a line of a value is a field of a head, or the first of a request or an answer. `behind_single`: what stands in front
/// of it is no text that people write.
fn goes_on(text: &[u8], value: &[u8], behind_single: bool, spoken: bool) -> bool {
    /// What begins an answer's or a request's line is not longer, where somebody tries.
    const LINE_BYTES_MAX: usize = 256;
    /// Fields of one word that act, sorted; other words are labels (`Staging: https://…`).
    const SINGLE: [&str; 12] = [
        "authorization",
        "connection",
        "cookie",
        "header",
        "host",
        "link",
        "location",
        "origin",
        "referer",
        "refresh",
        "trailer",
        "upgrade",
    ];
    /// Schemes of URIs without `//`, sorted.
    const SCHEMES: [&str; 8] = ["data", "doi", "geo", "mailto", "sip", "sms", "tel", "urn"];
    let line = between(
        text,
        0,
        text.iter().position(ends).unwrap_or(text.len()).min(LINE_BYTES_MAX),
    );
    let name = line
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric() || **b == b'-')
        .count();
    let field = between(line, 0, name);
    let behind = from(line, name + 1);
    let place = find_byte(behind, 0, b'/').is_some_and(|at| behind.get(at + 1) == Some(&b'/'));
    // `localhost:3000/a`, `fe80::2`, `nfs:/a`, `db-2: 10.0.0.2`; and lists of one kind (`doi:10.1/a⏎doi:10.1/b`).
    let digits = behind.iter().take_while(|b| b.is_ascii_digit()).count();
    let port =
        matches!(behind.get(digits), None | Some(b'/')) || behind.first() == Some(&b':') || contains(behind, b"::");
    let again = value
        .get(..=name)
        .is_some_and(|begin| begin.eq_ignore_ascii_case(between(line, 0, name + 1)));
    let word = !place
        && !port
        && !again
        && !spoken
        && !listed(&SCHEMES, field)
        && !field.contains(&b'-')
        && (behind_single || !behind.first().is_some_and(|b| is_blank(*b)));
    let known = is_field(field) || starts_with(field, b"x-") || listed(&SINGLE, field) && digits < behind.len();
    let named = (2..=FIELD_BYTES_MAX).contains(&name)
        && line.get(name) == Some(&b':')
        && field.first().is_some_and(u8::is_ascii_alphabetic)
        && (known || word);
    named || starts_with(line, b"http/1.") || contains(line, b" http/1.")
}

/// Whether a name that begins with `x-` is a field's whatever stands in front: `X-Client-IP`, and what has an address, a place
/// or a switch for its value. `X-large: yes` is a line of a text.
fn is_private(name: &[u8], value: &[u8]) -> bool {
    /// What words begin so, sorted.
    const WORDS: [&str; 8] = ["axis", "large", "mas", "rated", "ray", "section", "small", "xmas"];
    let mut parts = name.split(|b| *b == b'-').skip(1);
    let first = parts.next().unwrap_or_default();
    let more = parts.next().is_some_and(|part| !part.is_empty());
    let value = value.trim_ascii();
    let place = [&b"http://"[..], b"https://", b"//", b"/"]
        .iter()
        .any(|scheme| starts_with(value, scheme));
    let address = || std::str::from_utf8(value).is_ok_and(|text| text.parse::<std::net::IpAddr>().is_ok());
    let switch = value.eq_ignore_ascii_case(b"true") || value.eq_ignore_ascii_case(b"localhost");
    more && !listed(&WORDS, first) || !first.is_empty() && (place || switch || address())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_a_head_is_known_by_its_whole_name() {
        for field in [
            "Reply-To: a@b.example",
            "Return-Path: a@b.example",
            "Disposition-Notification-To: a@b.example",
            "Alt-Svc: h2=evil.example:443",
            "Clear-Site-Data: *",
            "WWW-Authenticate: Basic realm=x",
            "Service-Worker-Allowed: /",
            "Cache-Control: public",
            "Strict-Transport-Security: max-age=0",
            "Referrer-Policy: unsafe-url",
            "Proxy-Authorization: Basic x",
            "Public-Key-Pins: x",
            "Cross-Origin-Resource-Policy: cross-origin",
            "Timing-Allow-Origin: *",
            "last-modified: x",
            "TRANSFER-ENCODING: chunked",
            "Set-Cookie: a=b",
            "Evil-Header: by me",
            "CRLF-Test: by me",
            "X-Evil: 1",
            "X-Client-IP: 127.0.0.1",
            "X-Cluster-Client-IP: 127.0.0.1",
            "X-Original-Forwarded-For: 127.0.0.1",
            "X-Original-Host: a.example",
            "X-Remote-User: admin",
            "X-Auth-Token: x",
            "X-Api-Key: x",
            "X-Method-Override: PUT",
            "X-HTTP-Method: PUT",
            "X-Google-Metadata-Request: True",
            "X-aws-ec2-metadata-token: x",
            "X-Reproxy-URL: http://a.example/",
            "X-Sendfile-Type: X-Accel-Redirect",
            "X-Content-Security-Policy: x",
            "X-Wap-Profile: x",
            "X-Request-Id: 1",
            "X-My: x",
            "X-Any: true",
            "X-Any: 127.0.0.1",
            "X-Any: ::1",
            "X-Any: https://a.example",
            "Content-Base: x",
            "Content-Script-Type: x",
            "Content-Style-Type: x",
            "Metadata-Flavor: Google",
            "User-Agent: x",
            "True-Client-IP: 127.0.0.1",
            "CF-Connecting-IP: 127.0.0.1",
            "Upgrade-Insecure-Requests: 1",
            "Sec-Fetch-Site: none",
        ] {
            for front in ["lang=en\r\n", "en\n", "/x\r\n", "\r\n", "en\r"] {
                assert!(splits(format!("{front}{field}").as_bytes(), false), "{front:?} {field}");
            }
        }
        for text in [
            "/x\r\nX-Any: by me",
            "\nx-any: by me",
            "https://a.example/\nX-Any: by me",
        ] {
            assert!(splits(text.as_bytes(), false), "{text:?}");
        }
        assert!(splits(b"/a b\r\nAlt-Svc: h2=\"evil.example:443\"; ma=1", true));
        for text in [
            "Room\nX-large: yes",
            "Sizes\r\nX-Large: 2",
            "Ann\nX-mas: yes",
            "Sizes\nX-large-long: 2",
            "Ann\nX-ray-result: none",
            "Ann\nX-: yes",
            "Ann\nX--: yes",
            "Team\nX-men: 12",
            "Note\nSet-up: done",
            "Hi\nAccess-point: ok",
            "foo\nContent-warning: none",
            "John\nE-Mail: a@b.example",
            "fix\n\nChange-Id: I7d1e3a",
            "fix\nCo-Authored-By: Ann",
            "two words\nReply-To: a@b.example",
            "x\nReply-To",
            "x\nReply-Tomorrow: a",
        ] {
            assert!(!splits(text.as_bytes(), false), "{text:?}");
        }
    }

    #[test]
    fn line_ends_may_be_spelt_alone_or_folded() {
        for text in [
            r"\r\nSet-Cookie: a=b",
            r"en\r\nX-Injected: bar",
            "\r\n Header-Test: x",
            "#\rheader:x",
            "?\rheader:x",
            "/\n#Set-Cookie:a=b",
        ] {
            assert!(splits(text.as_bytes(), false), "{text:?}");
        }
        for text in [
            r"C:\new\readme: x",
            r"\r\n",
            r"it says: one\r\ntwo",
            "#\nheader: x",
            "a\n b: c",
            "\n  https://a.example/b.png\n ",
        ] {
            assert!(!splits(text.as_bytes(), false), "{text:?}");
        }
    }

    #[test]
    fn what_is_written_into_a_head_has_one_line() {
        for (name, value) in [
            ("url", "foo\r\nSet-Cookie: admin=1"),
            ("redirect", "\nLocation: https://evil.example/x\n\n"),
            ("redirect", "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            ("redirect_url", "/home\rX-Injected: x\rX-Forwarded-For: 127.0.0.1"),
            ("lang", "foobar \rContent-Length: 0 \rHTTP/1.1 200 OK"),
            ("returnUrl", "/a\n\n<html>"),
            ("url", "http://127.0.0.1:6379/ HTTP/1.1\r\nHost: x"),
            ("lang", "GET / HTTP/1.1\r\nHost: x"),
            ("next", "/a%0d%0aheader:header"),
            ("url", r"/a\r\nheader:header"),
            ("Referer", "x\n\tX-Any: 1"),
            ("redirect", "?\r\nInjected: yes"),
            ("redirect", "data:\r\nX-Injected: 1"),
            ("url", "https://e.example/?x=%0d%0aX-Injected:%20yes"),
            ("lang", "text/html\r\nFoo: bar"),
            ("name", "v\r\nSet-Cookie: pwned=1"),
            ("login", "user@a.example\r\nX-Injected: evil"),
            ("email", "Hello\r\nBcc: b@evil.example"),
            ("email", "Wed, 1 Jan 2020 00:00:00 +0000\r\n\tBcc: b@evil.example"),
        ] {
            assert!(splits_written(name.as_bytes(), value.as_bytes()), "{name} {value:?}");
        }
        for (name, value) in [
            ("url", "https://a.example\nhttps://b.example"),
            ("url", "a.example:80\nb.example:443"),
            ("url", "localhost:80\nlocalhost:443"),
            ("url", "Production: https://a.example\nStaging: https://b.example"),
            ("url", "https://a.example\r\n"),
            ("text", "x\r\nSet-Cookie: a=b"),
            ("next", "Call Ann\nThen: lunch"),
            ("next", "Testing\nBlockers: none"),
            ("url", "https://a.example/?text=Order%0AName:%20Ann"),
            ("url", "mailto:a@b.example?body=Hello%0AName: Ann"),
            ("redirect", "/login?msg=Error%0AReason:%20x"),
            ("url", "https://a.example\nlocalhost:3000/path"),
            ("url", "doi:10.1/a\ndoi:10.1/b"),
            ("url", "https://a.example\ntel:+49123"),
            ("host", "fe80::1\nfe80::2"),
            ("host", "nfs1:/a\nnfs2:/b"),
            ("host", "db-1: 10.0.0.1\ndb-2: 10.0.0.2"),
            ("host", "db-1:5432\ndb-2:5432"),
            ("name", "Ann\nE-Mail: a@b.example"),
            ("title", "fix(net): foo\n\nCc: stable@a.example"),
            ("name", "returns 200 with\n  Content-Type: application/json"),
            ("title", r"Header \r\nX-Custom: 1 is dropped"),
            ("email", "From: a@b.example\nTo: c@d.example\nCc: e@f.example\n\nx"),
            ("back", "Paris\n\n<img src=\"paris.jpg\">"),
            ("avatar_url", "data:image/svg+xml,<svg>\n\n<path>"),
            ("curl", "biceps\nreps:10"),
            ("title", "Meeting notes\ncc: Ann, Bob"),
            ("title", "Movie\nEvil-Dead: 1981"),
            ("url", "https://a.example\r\nSource: Wikipedia"),
            ("url", "https://a.example\n\n<p>hello</p>"),
            ("next", "lunch\nTime:12:30"),
            ("host", "1.1.1.1\nabcd:1234::1"),
            ("title", "Sizes\r\nX-Large: 2"),
            ("subject", "Call\nTo: Ann"),
        ] {
            assert!(!splits_written(name.as_bytes(), value.as_bytes()), "{name} {value:?}");
        }
    }
}
