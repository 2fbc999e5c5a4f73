//! A line's end and a field of HTTP's head (RFC 9112 §5) behind it: what a value becomes that is written into one.

use super::bytes::{Words, begins_with, between, contains, from, is_blank, listed};
use std::borrow::Cow;

/// Longer names and values are a text's.
pub(super) const FIELD_BYTES_MAX: usize = 96;

/// Fields of requests, answers and mails (some of IANA's registry, and what proxies, servers and mailers add), and those that
/// are mostly tried.
/// Names of one word are not among them: texts have lines that begin so (`Location: Berlin`).
pub(super) static FIELDS: Words<164> = Words::new([
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

pub(super) fn ends(byte: &u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// What stands behind line ends: a head's line may begin with blanks where the answer's are folded, and with what a URL's
/// fragment begins with.
pub(super) fn behind_ends(bytes: &[u8]) -> &[u8] {
    let skipped = |b: &&u8| ends(b) || matches!(b, b' ' | b'\t' | b'#');
    from(bytes, bytes.iter().take_while(skipped).count())
}

/// Whether a name that only heads have, or that tells what it is for, stands in front.
pub(super) fn is_field(name: &[u8]) -> bool {
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
    let header = is_field(name_of) || begins_with(name_of, b"x-") && (path || place || is_private(name_of, value));
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
            || begins_with(rest, b"<html>"))
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
pub(super) fn spelt_out(bytes: &[u8]) -> Cow<'_, [u8]> {
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

/// Whether a name that begins with `x-` is a field's whatever stands in front: `X-Client-IP`, and what has an address, a place
/// or a switch for its value. `X-large: yes` is a line of a text.
pub(super) fn is_private(name: &[u8], value: &[u8]) -> bool {
    /// What words begin so, sorted.
    const WORDS: [&str; 16] = [
        "axis", "box", "factor", "files", "large", "mas", "max", "men", "rated", "ray", "section", "small", "trail",
        "twitter", "wing", "xmas",
    ];
    let mut parts = name.split(|b| *b == b'-').skip(1);
    let first = parts.next().unwrap_or_default();
    let more = parts.next().is_some_and(|part| !part.is_empty());
    let value = value.trim_ascii();
    let place = [&b"http://"[..], b"https://", b"//", b"/"]
        .iter()
        .any(|scheme| begins_with(value, scheme));
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
}
