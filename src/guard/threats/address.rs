//! Request forgery: whether a value is a URL whose host no client has business with: loopback, link-local and private
//! addresses in whatever spelling resolvers take (decimal, octal, hexadecimal, short), or with a scheme that reaches
//! other services.

use super::bytes::{begins_with, between, contains, find_byte, from};
use super::effort::Effort;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Schemes beside those of the web that clients fetch from hosts of any spelling: curl's, and those of databases.
const FETCHED: [&[u8]; 31] = [
    b"amqp",
    b"dict",
    b"ftps",
    b"gopher",
    b"gophers",
    b"imap",
    b"imaps",
    b"ldap",
    b"ldaps",
    b"memcached",
    b"mongodb",
    b"mqtt",
    b"mysql",
    b"pop3",
    b"pop3s",
    b"postgres",
    b"postgresql",
    b"redis",
    b"rtmp",
    b"rtsp",
    b"scp",
    b"sftp",
    b"smb",
    b"smbs",
    b"smtp",
    b"smtps",
    b"ssh",
    b"ssh2",
    b"svn",
    b"telnet",
    b"tftp",
];

/// Taken from the value's effort, in its steps, for each byte of the authority: user information or a host may be all of it.
const AUTHORITY_STEPS: usize = 3;

/// How a URL-valued text is dangerous, or `None`; a text that is no URL is not.
pub fn judge(bytes: &[u8], effort: &mut Effort) -> Option<&'static str> {
    let text = bytes.trim_ascii();
    let text = [&b"url:"[..], b"url=", b"uri="]
        .iter()
        .find_map(|name| text.strip_prefix(*name))
        .unwrap_or(text);
    let colon = text.iter().take(16).position(|b| *b == b':')?;
    let scheme = between(text, 0, colon);
    if !scheme.iter().all(u8::is_ascii_alphanumeric) || scheme.is_empty() {
        return None;
    }
    let rest = from(text, colon + 1);
    let web = [&b"http"[..], b"https", b"ws", b"wss", b"ftp"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known));
    let slashes = rest.iter().take_while(|b| matches!(b, b'/' | b'\\')).count();
    // `http:127.0.0.1` is a URL to lenient clients; `key:value` is none.
    let numeric = web && (rest.first() == Some(&b'[') || rest.len() > 6 && rest.iter().all(u8::is_ascii_digit));
    if slashes < 2 && !(web && rest.iter().take(16).any(|b| *b == b'.')) && !numeric {
        return None;
    }
    let rest = from(rest, slashes);
    let authority = between(
        rest,
        0,
        rest.iter()
            .position(|b| matches!(b, b'/' | b'?' | b'#' | b'\\'))
            .unwrap_or(rest.len()),
    );
    effort.spend(authority.len().saturating_mul(AUTHORITY_STEPS));
    // Where some readers end the authority, others read on to the host: `http://good.example\\@127.0.0.1/`.
    let ended = from(rest, authority.len());
    let behind = from(
        ended,
        ended.iter().take_while(|b| matches!(b, b'?' | b'#' | b'\\')).count(),
    );
    if web
        && behind.len() < ended.len()
        && let Some(second) = behind.strip_prefix(b"@")
    {
        let end = second.iter().position(|b| matches!(b, b'/' | b'?' | b'#' | b'\\'));
        let host = host_of(between(second, 0, end.unwrap_or(second.len())));
        if internal(host).is_some() || ended.first() == Some(&b'\\') && host.contains(&b'.') {
            return Some("request_forgery.authority");
        }
    }
    let blank = authority.iter().any(u8::is_ascii_whitespace);
    if blank && authority.contains(&b'@') {
        return Some("request_forgery.authority");
    }
    // Where parsers differ about user information, the host is the last part, or the first.
    let mut parts = authority.rsplit(|b| *b == b'@');
    let host = host_of(parts.next()?);
    // What is written in C reads a host to the NUL.
    let nul = find_byte(host, 0, b'\0').unwrap_or(host.len());
    let rule = internal(host).or_else(|| internal(between(host, 0, nul)));
    // A number behind another scheme is no address that a client of its would look for: `vlan://50`, `docker://1.9.1`.
    let resolves = web
        || FETCHED.iter().any(|known| scheme.eq_ignore_ascii_case(known))
        || matches!(
            (host.iter().filter(|b| **b == b'.').count(), host.len()),
            (3, _) | (0, 7..)
        )
        || host.iter().any(|b| b.is_ascii_alphabetic() || *b == b'[');
    if rule.is_some() {
        return rule.filter(|_| resolves);
    }
    match parts.next().map(host_of) {
        Some(first) if contains(first, b".") || internal(first).is_some() => Some("request_forgery.authority"),
        _ => None,
    }
}

fn host_of(authority: &[u8]) -> &[u8] {
    if authority.first() == Some(&b'[') {
        let end = authority.iter().position(|b| *b == b']').unwrap_or(authority.len());
        return between(authority, 0, (end + 1).min(authority.len()));
    }
    between(
        authority,
        0,
        authority.iter().position(|b| *b == b':').unwrap_or(authority.len()),
    )
}

fn internal(host: &[u8]) -> Option<&'static str> {
    let bare = host.strip_suffix(b".").unwrap_or(host);
    let is = |name: &str| bare.eq_ignore_ascii_case(name.as_bytes());
    let under =
        |suffix: &[u8]| bare.len() > suffix.len() && from(bare, bare.len() - suffix.len()).eq_ignore_ascii_case(suffix);
    if is("localhost") || under(b".localhost") || is("localhost.localdomain") || is("ip6-localhost") {
        return Some("request_forgery.loopback");
    }
    if under(b".internal") || under(b".svc") || under(b".cluster.local") || is("metadata") {
        return Some("request_forgery.metadata");
    }
    if let Some(inner) = bare.strip_prefix(b"[") {
        let inner = inner.strip_suffix(b"]").unwrap_or(inner);
        let plain = between(inner, 0, inner.iter().position(|b| *b == b'%').unwrap_or(inner.len()));
        let address: Option<Ipv6Addr> = std::str::from_utf8(plain).ok()?.parse().ok();
        let Some(address) = address else {
            // An IPv4 address within that is spelled as `inet_aton` reads it.
            const MAPPED: &[u8] = b"::ffff:";
            let loose = begins_with(plain, MAPPED).then(|| from(plain, MAPPED.len()))?;
            let (address, odd) = lenient_v4(loose)?;
            return internal_v4(address).or(odd.then_some("request_forgery.spelling"));
        };
        let mapped = embedded(address);
        let own = address.is_loopback() || address.is_unspecified();
        let local = (address.segments().first().copied().unwrap_or(0) & 0xFE00) == 0xFC00
            || (address.segments().first().copied().unwrap_or(0) & 0xFFC0) == 0xFE80;
        return match mapped {
            Some(inner) if !own => internal_v4(inner),
            _ => (own || local).then_some("request_forgery.loopback"),
        };
    }
    // More than fits an address: cut by what reads it.
    let digits = bare.strip_prefix(b"0x").unwrap_or(bare);
    let number = !digits.is_empty()
        && digits.iter().all(u8::is_ascii_hexdigit)
        && (digits.len() < bare.len() || digits.iter().all(u8::is_ascii_digit));
    let Some((address, odd)) = lenient_v4(bare) else {
        return number.then_some("request_forgery.spelling");
    };
    internal_v4(address).or(odd.then_some("request_forgery.spelling"))
}

/// The IPv4 address that one of IPv6's stands for: compatible and mapped (RFC 4291 §2.5.5), translated (RFC 2765 §2.1), and
/// behind a translator's prefix (RFC 6052 §2.1, RFC 8215).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = address.segments();
    let known = matches!(
        (a, b, c, d, e, f),
        (0, 0, 0, 0, 0, 0 | 0xFFFF) | (0, 0, 0, 0, 0xFFFF, 0) | (0x64, 0xFF9B, 0, 0, 0, 0) | (0x64, 0xFF9B, 1, ..)
    );
    known.then(|| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
}

fn internal_v4(address: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, _] = address.octets();
    if address.is_loopback() || address.is_unspecified() || a == 0 {
        return Some("request_forgery.loopback");
    }
    if address.is_link_local() || (a, b, c) == (100, 100, 100) || (a, b, c) == (192, 0, 0) {
        return Some("request_forgery.metadata");
    }
    address.is_private().then_some("request_forgery.private")
}

/// An IPv4 address as `inet_aton` reads it: one to four parts, each decimal, octal or hexadecimal; and whether it is
/// spelled otherwise than with four decimals.
fn lenient_v4(host: &[u8]) -> Option<(Ipv4Addr, bool)> {
    let mut parts = [0_u32; 4];
    let mut count = 0;
    let mut odd = false;
    for part in host.split(|b| *b == b'.') {
        let text = std::str::from_utf8(part).ok()?;
        let value = if begins_with(part, b"0x") {
            odd = true;
            u32::from_str_radix(text.get(2..)?, 16).ok()?
        } else if text.len() > 1 && text.starts_with('0') {
            odd = true;
            u32::from_str_radix(text, 8).ok()?
        } else {
            text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()))?
        };
        *parts.get_mut(count)? = value;
        count += 1;
    }
    odd |= count != 4;
    let last = *parts.get(count.checked_sub(1)?)?;
    let mut address = last;
    for (shift, part) in [24_u32, 16, 8].into_iter().zip(parts).take(count - 1) {
        address |= u32::from(u8::try_from(part).ok()?).checked_shl(shift)?;
    }
    // The last part fills what the others leave.
    let room = 32_u32.checked_sub(8 * u32::try_from(count - 1).ok()?)?;
    if room < 32 && last >= 1_u32.checked_shl(room)? {
        return None;
    }
    Some((Ipv4Addr::from(address), odd))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::threats::Account;

    #[track_caller]
    fn check(url: &str, expected: Option<&str>) {
        let mut effort = Effort::new(&Account::default(), url.len());
        assert_eq!(judge(url.as_bytes(), &mut effort), expected, "{url}");
    }

    #[test]
    fn hosts_are_seen_through_their_spelling() {
        for url in [
            "http://127.0.0.1/",
            "http://localhost:8080/x",
            "http://127.1",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1",
            "http://[::1]/",
            "http://[::]:80",
            "http://[::ffff:127.0.0.1]",
            "http://[::FffF:0x7f000001]",
            "http://[::ffff:0:127.0.0.1]",
            "http://[64:ff9b::7f00:1]/",
            "http://0/",
            "http:127.0.0.1",
            "HTTPS:\\\\localhost\\x",
            "gopher://localhost:6379/_x",
            "http://user@127.0.0.1",
            "foo://[::1]/",
            "foo://2130706433",
            "rtsp://127.1",
            "rtmp://0/",
        ] {
            check(url, Some("request_forgery.loopback"));
        }
        check("http://169.254.169.254/latest", Some("request_forgery.metadata"));
        check("http://[64:ff9b:1::a9fe:a9fe]/", Some("request_forgery.metadata"));
        check("http://[2001:db8::7f00:1]/", None);
        check("http://metadata.google.internal/", Some("request_forgery.metadata"));
        check("http://10.0.0.7/", Some("request_forgery.private"));
        check("http://good.example@10.0.0.7/", Some("request_forgery.private"));
        check("http://good.example@evil.example/", Some("request_forgery.authority"));
        check("http://good.example\\@127.0.0.1/", Some("request_forgery.authority"));
        check(
            "http://good.example\\\\@evil.example/",
            Some("request_forgery.authority"),
        );
        check("http://good.example?@127.0.0.1/", Some("request_forgery.authority"));
        check("http://good.example#@localhost/", Some("request_forgery.authority"));
        check("http://127.0.0.1\0good.example/", Some("request_forgery.loopback"));
        check("http://good.example/?@someone", None);
        check("http://good.example?@someone", None);
        check("http://0x08080808/", Some("request_forgery.spelling"));
        for url in [
            "https://example.com/a?b=c",
            "https://user:pw@host/",
            "mailto:a@b.c",
            "arn:aws:iam::1:role/x",
            "10:30",
            "key:value",
            "http://1.2.3.4.5/",
            "http://8.8.8.8/",
            "http://2024/",
            "localhost",
            "vlan://50",
            "docker://1.9.1",
            "",
        ] {
            let spelled = url == "http://2024/";
            check(url, spelled.then_some("request_forgery.loopback"));
        }
    }
}
