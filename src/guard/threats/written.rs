//! What is written into a head by its parameter's or member's name, and has one line there: an address that somebody is sent
//! to, a language, a name, a mail's subject.

use super::bytes::{Words, begins_with, between, contains, find_byte, from, is_blank, listed};
use super::decode;
use super::head::{FIELD_BYTES_MAX, FIELDS, behind_ends, ends, is_field, is_private, spelt_out};
use std::borrow::Cow;

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

/// Of [`WRITTEN`], words that people have lines of labels under. Sorted.
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

/// Of [`HEADED`], those under which nobody cites a line's end as programs spell it.
const ADDRESSED: [&str; 5] = ["email", "from", "login", "mail", "to"];

/// Fields of one word that act, sorted; other words are labels (`Staging: https://…`).
const SINGLE: [&str; 15] = [
    "authorization",
    "connection",
    "cookie",
    "header",
    "host",
    "injected",
    "link",
    "location",
    "origin",
    "pragma",
    "referer",
    "refresh",
    "trailer",
    "upgrade",
    "vary",
];

/// Whether a parameter or a member is written into a head by its name, and its value goes on with another field, a head of its
/// own or a body. Such a value has one line: what texts have in their lines is none of its business.
pub fn splits_written(name: &[u8], value: &[u8]) -> bool {
    /// Longer values are looked at so far.
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
    let value = between(value, 0, value.len().min(VALUE_BYTES_MAX));
    let broken = |b: &u8| ends(b) || matches!(b, b'%' | b'&' | b'\\');
    value.iter().any(broken) && has_lines(name, value)
}

fn has_lines(name: &[u8], raw: &[u8]) -> bool {
    /// Behind more lines than these nothing is looked for.
    const LINES_MAX: usize = 8;
    let decoded = decode::step(raw);
    let value = decoded.as_deref().unwrap_or(raw);
    let headed = listed(&HEADED, name);
    let value = &*if headed && !listed(&ADDRESSED, name) {
        Cow::Borrowed(value)
    } else {
        spelt_out(value)
    };
    let Some(end) = value.iter().position(ends) else {
        return false;
    };
    let front = between(value, 0, end);
    if headed {
        return is_headed(name, front, from(value, end));
    }
    let made = !raw.iter().any(ends) && decoded.as_deref().is_some_and(|value| value.iter().any(ends));
    let lines = Lines::new(name, front, made);
    // A request of its own.
    if !listed(&SPOKEN, name) && contains(front, b" http/1.") {
        return true;
    }
    // A picture's own text.
    let page = !begins_with(value, b"data:image/");
    let mut rest = from(value, end);
    for line in 0..LINES_MAX {
        let broken = rest.iter().take_while(|b| ends(b)).count();
        let empty_line = broken > 2 || broken == 2 && rest.first() == rest.get(1);
        rest = behind_ends(rest);
        if empty_line && page && begins_page(rest) || lines.go_on(rest, line == 0) {
            return true;
        }
        let Some(end) = rest.iter().position(ends) else {
            return false;
        };
        rest = from(rest, end);
    }
    false
}

/// Whether a text is the beginning of a page that runs what it holds, whatever stands in front.
fn begins_page(text: &[u8]) -> bool {
    ["<html", "<script", "<svg", "<!doctype"]
        .iter()
        .any(|tag| begins_with(text, tag.as_bytes()))
}

/// A line's name, and what stands behind its colon. RFC 9112 §5.1 allows no blank between; who reads it may.
fn field_of(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let head = line.iter().take(FIELD_BYTES_MAX + 1);
    let len = head.take_while(|b| b.is_ascii_alphanumeric() || **b == b'-').count();
    let name = between(line, 0, len);
    let blanks = from(line, len).iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let known = || is_field(name) || listed(&SINGLE, name) || listed(&["bcc", "cc"], name);
    let colon = len + blanks;
    (line.get(colon) == Some(&b':') && (blanks == 0 || known())).then(|| (name, from(line, colon + 1)))
}

/// Whether behind what has one line in heads too (`front`) stand fields alone, up to an empty line, the first one that only
/// heads have; or first a cookie, or who else gets a mail, whatever follows. No text's paragraph, nor an indented list.
fn is_headed(name: &[u8], front: &[u8], rest: &[u8]) -> bool {
    /// So many of the lines behind it are looked at.
    const LINES_MAX: usize = 4;
    /// What stands in front of the subject of a mail that is answered or passed on, or of an address, sorted.
    const REPLIES: [&str; 9] = ["aw", "fw", "fwd", "http", "https", "mailto", "re", "sv", "wg"];
    let crlf = rest.contains(&b'\r');
    let broken = rest.iter().take_while(|b| ends(b)).count();
    let lines = from(rest, broken);
    // Folded by one blank, as mailers do (RFC 5322 §2.2.3).
    let indented = lines.iter().take_while(|b| is_blank(**b)).count() > 1;
    if broken > 2 || broken == 2 && rest.first() == rest.get(1) || indented {
        return false;
    }
    // Behind an empty line stands what is to be the body.
    let text = behind_ends(lines);
    let head = [&b"\n\n"[..], b"\r\n\r\n"]
        .iter()
        .filter_map(|empty| text.windows(empty.len()).position(|w| w == *empty))
        .min();
    let mut rest = between(text, 0, head.unwrap_or(text.len())).split(ends);
    let Some((field, value)) = rest.next().and_then(field_of) else {
        return false;
    };
    let copies = listed(&["bcc", "cc"], field) && value.contains(&b'@');
    if field.eq_ignore_ascii_case(b"set-cookie") || copies && field.len() == 3 {
        return true;
    }
    // `fix: the parser⏎Cc: stable@a.example`, but no mail's subject that is answered; and fields that are cited.
    let label = field_of(front).map(|(label, _)| label);
    let is_label = |label: &[u8]| !crlf && !listed(&REPLIES, label);
    let titled = listed(&["name", "subject", "title"], name) && label.is_some_and(is_label);
    let cited = titled && name != b"subject" && label.is_some_and(is_field);
    let sent = copies && !titled || FIELDS.has(field) || begins_with(field, b"x-") && is_private(field, value);
    let mut more = rest
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .take(LINES_MAX);
    sent && !cited && more.all(|line| crlf && field_of(line).is_some())
}

/// What is known of a value in front of its lines.
struct Lines<'v> {
    front: &'v [u8],
    /// People may have labels under it.
    spoken: bool,
    /// An address or a path stands in front.
    sited: bool,
    /// Decoding made the line ends, and a query holds them: there they are a text's.
    queried: bool,
    /// They stand right behind what a parameter of a query begins with.
    direct: bool,
    /// What stands in front is no text that people write.
    single: bool,
}

impl<'v> Lines<'v> {
    /// `made`: decoding made the line ends.
    fn new(name: &[u8], front: &'v [u8], made: bool) -> Self {
        let called = listed(&SPOKEN, name);
        let path = match front.first() {
            // `/tree/` is how it is spoken.
            Some(b'/') => !called || front.is_ascii() && !(front.len() > 1 && front.ends_with(b"/")),
            Some(b'?' | b'#') => !called,
            _ => false,
        };
        // `https://a.example/?text=Order%0AName: Ann`
        let query = find_byte(front, 0, b'?').map_or(&[][..], |mark| from(front, mark));
        let lang = listed(&["charset", "lang", "locale"], name);
        let host = listed(&["domain", "host", "hostname"], name);
        let queried = made && query.contains(&b'=') && !lang && !host;
        // `data:text/calendar,BEGIN:VCALENDAR⏎LOCATION:Berlin`
        let document = begins_with(front, b"data:")
            && find_byte(front, 0, b',').is_some_and(|comma| between(front, 0, comma).contains(&b'/'));
        let spoken = queried || document || called && !path;
        // `#`, `/index.php` or `text/html`; nor is `en`. A site's address is, and `Photo`.
        let letters = front.len() > 2 && front.iter().all(u8::is_ascii_alphabetic);
        let named = letters && front.first().is_some_and(u8::is_ascii_uppercase);
        let begun = front
            .iter()
            .rposition(|b| !is_blank(*b) && *b != b'#')
            .and_then(|last| front.get(last));
        Self {
            front,
            spoken,
            sited: path
                || contains(front, b"://")
                || front.is_ascii() && front.first() == Some(&b'/')
                || host && !front.iter().any(|b| is_blank(*b)),
            queried,
            direct: matches!(begun, Some(b'=' | b'?' | b'&')) && !begins_with(front, b"mailto:"),
            single: !spoken
                && !called
                && !front.is_empty()
                && front.len() <= FIELD_BYTES_MAX
                && !front.iter().any(|b| is_blank(*b))
                && !named
                && (lang || path || !front.contains(&b'.')),
        }
    }

    /// Whether a line of the value, the `first` behind what is in front or another, is a field of a head, or the first of a
    /// request or an answer.
    fn go_on(&self, text: &[u8], first: bool) -> bool {
        /// What begins an answer's or a request's line is not longer, where somebody tries.
        const LINE_BYTES_MAX: usize = 256;
        /// Of [`SINGLE`], what labels are as well; a place stands behind them. Sorted.
        const PLACES: [&str; 5] = ["host", "link", "location", "origin", "referer"];
        /// Of what heads have, what mails and tickets cite as well, sorted.
        const CITED: [&str; 6] = [
            "content-type",
            "message-id",
            "mime-version",
            "reply-to",
            "return-path",
            "user-agent",
        ];
        /// Schemes of URIs without `//`, sorted.
        const SCHEMES: [&str; 8] = ["data", "doi", "geo", "mailto", "sip", "sms", "tel", "urn"];
        let line = between(
            text,
            0,
            text.iter().position(ends).unwrap_or(text.len()).min(LINE_BYTES_MAX),
        );
        if begins_with(line, b"http/1.") || contains(line, b" http/1.") {
            return true;
        }
        let Some((field, behind)) = field_of(line) else {
            return false;
        };
        if field.len() < 2 || !field.first().is_some_and(u8::is_ascii_alphabetic) {
            return false;
        }
        let known = is_field(field);
        if self.queried {
            let private = begins_with(field, b"x-");
            let refreshes = field.eq_ignore_ascii_case(b"refresh") && contains(behind, b"url=");
            return known && !listed(&CITED, field)
                || refreshes
                || self.direct && (known || private || listed(&SINGLE, field));
        }
        if known || begins_with(field, b"x-") {
            return true;
        }
        // `localhost:3000/a`, `fe80::2`, `nfs:/a`, `db-2: 10.0.0.2`; and lists of one kind (`doi:10.1/a⏎doi:10.1/b`).
        let digits = behind.iter().take_while(|b| b.is_ascii_digit()).count();
        if listed(&SINGLE, field) && digits < behind.len() {
            let acts = if listed(&PLACES, field) {
                self.is_place(field, behind)
            } else {
                !self.spoken || self.sited
            };
            if acts {
                return true;
            }
        }
        let port =
            matches!(behind.get(digits), None | Some(b'/')) || behind.first() == Some(&b':') || contains(behind, b"::");
        let again = self.front.get(field.len()) == Some(&b':')
            && between(self.front, 0, field.len()).eq_ignore_ascii_case(field);
        !self.spoken
            && !contains(behind, b"//")
            && !port
            && !again
            && !listed(&SCHEMES, field)
            && !field.contains(&b'-')
            && (first && self.single || !behind.first().is_some_and(|b| is_blank(*b)))
    }

    /// Whether what stands behind a field's colon is where somebody may be sent, and no name: `Location: Berlin`, `Host: Ann`. A
    /// link's target stands in angle brackets there (RFC 8288 §3); labels have addresses.
    fn is_place(&self, field: &[u8], behind: &[u8]) -> bool {
        let place = behind.trim_ascii();
        let dotted = |b: &u8| matches!(b, b'.' | b'/' | b':');
        match place.first() {
            Some(b'<' | b'/') => true,
            _ if field.eq_ignore_ascii_case(b"link") => false,
            _ if contains(place, b"//") || place.eq_ignore_ascii_case(b"localhost") => true,
            _ => !place.iter().any(|b| is_blank(*b)) && (self.sited || place.iter().any(dotted)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("name", "Ann\r\nSet-Cookie: a=b\r\nX-Foo: b"),
            ("subject", "re: x\r\nBcc: b@evil.example"),
            ("email", "a@b.example\r\nBcc : x@e.example"),
            ("email", r"a@b.example\r\nBcc: a@e.example"),
            ("redirect", "/a?b=%20\r\n\r\n<html>x"),
            ("redirect", "/a?b=1%26\r\nInjected: yes"),
            ("url", "/index.php\r\nInjected: yes"),
            ("url", "/index.php\r\nFoo: yes"),
            ("url", "https://a.example/\r\nVary: *"),
            ("lang", "en_US.UTF-8\r\nFoo: bar"),
            ("next", "/a\r\nFoo:bar"),
            ("next", "/a\r\n\r\n<html>"),
            ("callback", "x\r\n\r\n<html>"),
            ("redirect", "data:x\r\n\r\n<html>"),
            ("redirect", "/a\r\nSet-Cookie : a=b"),
            ("url", "https://e.example/?x=1%0d%0aSet-Cookie:%20a=b"),
            ("name", "Ann\r\nSet-Cookie: a=b\r\n\r\n<html>x"),
            ("subject", "Hi\nBcc: x@e.example\n\nhello"),
            ("subject", "Re: Hi\r\nContent-Type: text/html"),
            ("subject", "Hi\nContent-Type: text/html\n\nhello"),
            ("email", "mailto:a@b.example\r\nCc: x@e.example"),
            ("login", "DOMAIN:user\r\nX-Forwarded-For: 127.0.0.1"),
            ("redirect", "/home%0d%0aContent-Type:%20text/html?"),
            ("redirect", "/home%0d%0aAuthorization:%20x?"),
            ("url", "https://e.example/?x=1%0d%0aTransfer-Encoding:%20chunked"),
            ("url", "/?%0d%0aContent-Type:%20text/html"),
            ("url", "https://a.example/x\r\nHost: localhost"),
            ("host", "a.example\r\nHost: evil.example"),
            ("next", "foo\r\nLocation: evil.example"),
            ("callback", "foo\r\nLink: </x>; rel=preload"),
            ("redirect", "/home\r\nInjected : yes"),
            ("redirect", "data:a,b\r\nFoo: bar"),
            ("subject", "Re: Hi\r\nCc: x@e.example"),
            ("subject", "Hi\r\nContent-Type: text/html\r\n "),
            ("token", "to:x\r\nTransfer-Encoding: chunked"),
            ("redirect", r"/a?x=y\r\nLocation: https://e.example"),
            ("lang", "a?b%0d%0aContent-Type:%20text/html"),
            ("redirect", "/a?x%0d%0aCookie:%20a=b"),
            ("redirect", "/a?b=%0d%0aX-Header1:%20value1"),
            ("next", "https://a.example/\r\nRefresh: 0;url=//e.example"),
            ("next", "http://a.example/ HTTP/1.1\r\nHost: internal"),
            ("url", "https://a.example\r\nHost: internal"),
            ("lang", "en\r\nLocation: https://e.example x"),
            ("redirect", "/a?x=1%0d%0aContent-Type:%20text/html%0d%0a%0d%0a<html>x"),
            ("redirect", "/a?x=1%0d%0aRefresh:%200;url=//e.example"),
            ("redirect", "/a?x=#%0d%0aContent-Type:%20text/html"),
            ("lang", "en?x=1%0d%0aLocation:%20https://e.example"),
            ("next", "/home/\r\nRefresh: 0;url=https://e.example"),
            ("host", "foo\r\nHost: internal"),
            ("subject", "Order: 5\r\nCc: x@e.example"),
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
            ("title", "fix: x\nCc: stable@a.example"),
            ("title", "Bug\nUser-Agent: Mozilla/5.0\nContent-Type: text/html"),
            ("back", "/haʊs/\nNoun: house"),
            ("back", "/tree/\nPlural: trees"),
            ("back", "/tree\nPlural: trees"),
            ("next", "/deploy\nOwner: Ann"),
            ("next", "#123\nOwner: Ann"),
            ("next", "https://a.example/abc\nTime:15 Uhr"),
            ("next", "Upgrade to HTTP/1.1\nAnn"),
            ("origin", "https://a.example\nStatus:ok"),
            ("url", "https://wa.me/?text=Concert%0ALink:%20https://a.example"),
            ("url", "https://wa.me/?text=Party%0ALocation:%20Berlin"),
            ("url", "mailto:a@b.example?body=%0D%0A%0D%0AUser-Agent%3A%20Mozilla"),
            ("url", "https://a.example/new?body=Browser%0AUser-Agent:%20Mozilla"),
            (
                "url",
                "https://a.example/graphql?query=%7B%0A%20%20user(%0A%20%20link%3Aa",
            ),
            ("redirect", "/search?q=site%3Aa%0Alink%3Ab"),
            ("url", "data:text/calendar,BEGIN:VCALENDAR%0ALOCATION:Berlin"),
            (
                "image_url",
                "data:image/svg+xml,<svg>\n<style>\na{\ncolor:red;\n}\n</style></svg>",
            ),
            ("image_url", "Photo\nSource: AP"),
            ("linkedin_url", "Ann\nLocation: Berlin"),
            ("lang", "Deutsch\nNiveau: C1"),
            ("lang", "English\nLevel: B2"),
            ("next", "Standup\nHost: Ann"),
            ("origin", "Berlin\nConnection: Munich"),
            ("destination", "Home\nLocation: Berlin"),
            ("back", "Haus\nLink: https://a.example/wiki/Haus"),
        ] {
            assert!(!splits_written(name.as_bytes(), value.as_bytes()), "{name} {value:?}");
        }
    }
}
