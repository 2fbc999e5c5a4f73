//! What a value is by the name that it was given by: a path to be included, a password, an address that is only reported.

use crate::guard::threats::bytes::{
    Words, begins_with, between, contains, find_byte, find_pair, from, is_blank, is_word, listed, word_len,
};
use crate::guard::threats::query::OPERATORS;

/// A name that a document database takes for an operator: `$ne`, `user[$ne]`.
pub(super) fn operator_name(name: &[u8]) -> bool {
    let Some(dollar) = find_byte(name, 0, b'$') else {
        return false;
    };
    let before = dollar.checked_sub(1).and_then(|at| name.get(at));
    let word = between(name, dollar + 1, dollar + 1 + word_len(name, dollar + 1));
    matches!(before, None | Some(b'[' | b'.' | b'"' | b'\'')) && OPERATORS.has(word)
}

/// Whether a parameter's name says that a file is to be included.
pub(super) fn includes(name: &[u8]) -> bool {
    static NAMES: Words<24> = Words::new([
        "absolute_path",
        "conf",
        "config",
        "dir",
        "doc",
        "document",
        "file",
        "filename",
        "folder",
        "inc",
        "include",
        "layout",
        "mod",
        "module",
        "page",
        "pagina",
        "path",
        "root",
        "show",
        "site_path",
        "style",
        "template",
        "theme",
        "tpl",
    ]);
    /// Where a browser is led, and pictures.
    const LED_TO: [&str; 8] = [
        "_failure_path",
        "_target_path",
        "image_path",
        "img_path",
        "redirect_path",
        "return_path",
        "success_path",
        "target_path",
    ];
    // `_CONF[path]` names a path by its index.
    let name = name
        .strip_suffix(b"]")
        .and_then(|inner| inner.rsplit(|b| *b == b'[').next())
        .filter(|inner| !inner.is_empty() && inner.len() + 1 < name.len())
        .unwrap_or(name);
    let ends = |suffix: &[u8]| {
        name.len() >= suffix.len() && from(name, name.len() - suffix.len()).eq_ignore_ascii_case(suffix)
    };
    NAMES.has(name)
        || ends(b"_path") && !listed(&LED_TO, name)
        || ends(b"_root")
        || ends(b"basedir")
        || ends(b"_dir")
        || begins_with(name, b"_server[")
        || begins_with(name, b"globals[")
}

/// Whether a value is a password in one piece: by the name it was given by, and without blanks, which a sentence has. Those
/// that programs make are random signs, and whoever has one that a rule refuses could never log in.
pub(super) fn is_password(name: &[u8], value: &[u8]) -> bool {
    /// Longer texts are no password.
    const BYTES_MAX: usize = 128;
    let name = name.strip_suffix(b"]").unwrap_or(name);
    let last = name
        .rsplit(|b| matches!(b, b'[' | b'.' | b'_' | b'-' | b':'))
        .next()
        .unwrap_or(name);
    let ends = |word: &[u8]| last.len() >= word.len() && from(last, last.len() - word.len()).eq_ignore_ascii_case(word);
    // By the last letter, since most names are none.
    let named = match last.last().map(u8::to_ascii_lowercase) {
        Some(b'd') => ends(b"password") || ends(b"passwd") || ends(b"pwd"),
        Some(b'e') => ends(b"passphrase"),
        Some(b's') => ends(b"pass"),
        Some(b'w') => ends(b"pw"),
        Some(b't') => ends(b"secret"),
        _ => false,
    } || begins_with(name, b"password");
    named && value.len() <= BYTES_MAX && !value.iter().any(|b| is_blank(*b) || *b == 0)
}

/// Whether a member tells a reader which class to make of an object, and it is one of Java's own or of what programs have with
/// it: `{"@type": "java.lang.Exception"}`. Linked data and protocol buffers have names and URLs there.
pub(super) fn is_class(name: &[u8], value: &[u8]) -> bool {
    let package = |prefix: &&[u8]| value.starts_with(prefix);
    name == b"@type"
        && [
            &b"java.lang."[..],
            b"java.net.",
            b"java.io.",
            b"javax.",
            b"com.sun.",
            b"org.apache.",
        ]
        .iter()
        .any(package)
        && value.iter().all(|b| is_word(*b) || matches!(b, b'.' | b'$'))
}

/// Names of what a server is to run, and what is sent by them to see whether it does, both sorted.
static RUN: Words<6> = Words::new(["cmd", "command", "exec", "shell", "system", "utilcmdargs"]);
static TRIED: Words<12> = Words::new([
    "cat", "curl", "dir", "id", "ifconfig", "ipconfig", "ls", "netstat", "pwd", "uname", "wget", "whoami",
]);

/// Whether a parameter names a command that is to run, and its value is one: `cmd=id`.
pub(super) fn is_command(name: &[u8], value: &[u8]) -> bool {
    if !RUN.has(name) {
        return false;
    }
    let value = value.trim_ascii();
    let value = value.strip_prefix(b"-c ").unwrap_or(value);
    let end = value.iter().position(|b| is_blank(*b)).unwrap_or(value.len());
    let argument = from(value, end);
    let argued = argument.is_empty() || argument.iter().any(|b| b.is_ascii_punctuation());
    let program = between(value, 0, end);
    TRIED.has(program) && (argued || matches!(program, b"curl" | b"wget"))
}

/// Names that clients are told by where they listen (RFC 6749 §3.1.2, OpenID Connect RP-Initiated Logout 1.0), sorted.
static REDIRECTS: Words<4> = Words::new([
    "post_logout_redirect_uri",
    "post_logout_redirect_uris",
    "redirect_uri",
    "redirect_uris",
]);

/// Whether a value is where a native client listens (RFC 8252 §7.3): its browser goes there, never the server.
pub(super) fn is_loopback_redirect(name: &[u8], value: &[u8]) -> bool {
    REDIRECTS.has(name)
        && value.strip_prefix(b"http://").is_some_and(|rest| {
            let authority = between(rest, 0, rest.iter().position(|b| *b == b'/').unwrap_or(rest.len()));
            let host = ["localhost", "127.0.0.1", "[::1]"]
                .iter()
                .find_map(|host| authority.strip_prefix(host.as_bytes()));
            host.is_some_and(|port| {
                port.is_empty() || port.first() == Some(&b':') && from(port, 1).iter().all(u8::is_ascii_digit)
            }) && value.iter().all(u8::is_ascii_graphic)
        })
}

/// Whether a value is the bare address of this machine or of none, as applications report a client's, by the name it was
/// given by: `uip=0.0.0.0`, `"ip_address": "::1"`. A cloud's metadata are not excused by a name.
pub(super) fn is_client_address(name: &[u8], value: &[u8]) -> bool {
    /// IPv6 in full, with an IPv4 address at its end and in brackets.
    const ADDRESS_BYTES_MAX: usize = 47;
    const ENDS: [&[u8]; 3] = [b"ip", b"addr", b"address"];
    let begins = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b'[' | b':');
    let ends_as = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b']' | b':');
    if value.len() > ADDRESS_BYTES_MAX || !value.first().is_some_and(begins) || !value.last().is_some_and(ends_as) {
        return false;
    }
    let ends = |end: &[u8]| {
        let start = name.len().checked_sub(end.len());
        start.is_some_and(|start| from(name, start).eq_ignore_ascii_case(end))
    };
    let plain = value
        .strip_prefix(b"[")
        .and_then(|inner| inner.strip_suffix(b"]"))
        .unwrap_or(value);
    ENDS.iter().any(|end| ends(end))
        && std::str::from_utf8(plain)
            .ok()
            .and_then(|text| text.parse::<std::net::IpAddr>().ok())
            .is_some_and(|address| address.is_loopback() || address.is_unspecified())
}

/// Whether a value is a relative reference (RFC 3986 §4.2) to a document, by the name it was given by: JSON's `$ref` and
/// `href`, and the places of schemas (XML Schema 1.0 Part 1 §4.3.2), which are pairs.
pub(super) fn is_relative_reference(name: &[u8], value: &[u8]) -> bool {
    static NAMES: Words<4> = Words::new(["$ref", "$schema", "extends", "href"]);
    const DOCUMENTS: [&str; 11] = [
        "geojson", "htm", "html", "json", "jsonld", "md", "schema", "wsdl", "xsd", "yaml", "yml",
    ];
    let schema =
        name.eq_ignore_ascii_case(b"schemalocation") || name.eq_ignore_ascii_case(b"nonamespaceschemalocation");
    /// Longer ones are none that people write.
    const REFERENCE_BYTES_MAX: usize = 512;
    if value.len() > REFERENCE_BYTES_MAX || !(schema || NAMES.has(name)) {
        return false;
    }
    let plain = |b: &u8| {
        b.is_ascii_alphanumeric()
            || matches!(b, b'/' | b'.' | b'-' | b'_' | b'#' | b'~')
            || schema && (b.is_ascii_whitespace() || *b == b':')
    };
    let document = between(value, 0, find_byte(value, 0, b'#').unwrap_or(value.len()));
    let ending = document.rsplit(|b| *b == b'.').next().unwrap_or_default();
    listed(&DOCUMENTS, ending) && value.iter().all(plain)
}

/// Whether a document's string is a relative path to what a site gives to anybody: scripts, styles, pictures and texts that it
/// is made of, as builds, stories and pages name them. It climbs at its beginning only, and nothing of it is hidden.
pub(super) fn is_asset(value: &[u8]) -> bool {
    const ASSETS: [&str; 29] = [
        "cjs", "css", "gif", "ico", "jpeg", "jpg", "js", "jsx", "less", "md", "mdx", "mjs", "mp3", "mp4", "mts", "png",
        "rst", "scss", "svelte", "svg", "ts", "tsx", "ttf", "vue", "wav", "webm", "webp", "woff", "woff2",
    ];
    /// Longer ones are none that people write.
    const PATH_BYTES_MAX: usize = 256;
    if !value.starts_with(b"../") || value.len() > PATH_BYTES_MAX {
        return false;
    }
    let mut rest = value;
    while let Some(shorter) = rest.strip_prefix(b"../") {
        rest = shorter;
    }
    let ending = rest.rsplit(|b| *b == b'.').next().unwrap_or_default();
    rest.first().is_some_and(u8::is_ascii_alphanumeric)
        && rest
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_' | b'@'))
        && find_pair(rest, 0, *b"..").is_none()
        && find_pair(rest, 0, *b"/.").is_none()
        && listed(&ASSETS, ending)
        && !is_of_machine(value)
}

/// Attributes of a form that hold its expressions, or refer to a part of it (XForms 1.1 §6, ODK XForms).
const EXPRESSIONS: [&str; 7] = [
    "calculate",
    "constraint",
    "nodeset",
    "readonly",
    "ref",
    "relevant",
    "required",
];

pub(super) fn is_expression(name: &[u8]) -> bool {
    listed(&EXPRESSIONS, name)
}

/// Whether an attribute's value is what a form computes (XForms 1.1 §6.1.6): it is XPath's, which has functions of SQL's names. Of
/// the names of its expressions only the one that no other document has for a value.
pub(super) fn is_formula(name: &[u8], value: &[u8]) -> bool {
    /// Longer ones are judged as other values are.
    const FORMULA_BYTES_MAX: usize = 1024;
    /// What no form computes.
    const QUERIES: [&[u8]; 18] = [
        b"user(",
        b"version(",
        b"database(",
        b"select",
        b"union",
        b"--",
        b";",
        b"#",
        b"/*",
        b"||",
        b"@@",
        b"sleep",
        b"benchmark",
        b"into",
        b"waitfor",
        b"extractvalue",
        b"updatexml",
        b"schema",
    ];
    if !name.eq_ignore_ascii_case(b"calculate") || value.len() > FORMULA_BYTES_MAX {
        return false;
    }
    // A text stands behind an operator, a bracket or a comma, never right behind a name (XPath 1.0 §3.7).
    let stands = |at: usize| {
        let front = between(value, 0, at).trim_ascii_end();
        matches!(
            front.last(),
            Some(b'(' | b',' | b'[' | b'=' | b'<' | b'>' | b'+' | b'-' | b'*' | b'|')
        )
    };
    let mut open: Option<u8> = None;
    let placed = value.iter().enumerate().all(|(at, byte)| match open {
        None if matches!(byte, b'\'' | b'"') => {
            open = Some(*byte);
            stands(at)
        }
        Some(quote) if quote == *byte => {
            open = None;
            true
        }
        _ => true,
    });
    // A path, or a function of what follows: not a value's end.
    let word = value.iter().take_while(|b| is_word(**b) || **b == b'-').count();
    let begins = matches!(value.first(), Some(b'/' | b'.' | b'$')) || word > 0 && value.get(word) == Some(&b'(');
    begins && placed && open.is_none() && !QUERIES.iter().any(|query| contains(value, query))
}

/// Whether a path that climbs goes down again where machines keep what is theirs: few documents lie three folders deep beside
/// a folder of such a name.
fn is_of_machine(value: &[u8]) -> bool {
    const ALWAYS: [&str; 4] = ["etc", "proc", "var", "windows"];
    const FOLDERS: [&str; 11] = [
        "app", "boot", "dev", "home", "opt", "root", "run", "srv", "sys", "tmp", "usr",
    ];
    let climbs = value.split(|b| *b == b'/').take_while(|part| *part == b"..").count();
    let mut down = value.split(|b| *b == b'/').skip(climbs);
    down.clone().any(|part| listed(&ALWAYS, part))
        || climbs > 2 && down.next().is_some_and(|part| listed(&FOLDERS, part))
}

/// Whether an attribute of a form's expressions, or one that refers to a part of the form, is a step upwards in its document: `calculate="../age"`.
pub(super) fn is_step(name: &[u8], value: &[u8]) -> bool {
    is_expression(name)
        && value.starts_with(b"../")
        && value.iter().all(|b| is_word(*b) || matches!(b, b'/' | b'.' | b'-'))
        && value
            .split(|b| *b == b'/')
            .all(|part| part == b".." || !part.contains(&b'.'))
        && !is_of_machine(value)
}

/// Whether a value is the page that somebody visits, as measurements report it in `page=`: of a site with a name, and no
/// program's text.
pub(super) fn is_visited(name: &[u8], value: &[u8]) -> bool {
    const PAGES: [&str; 3] = ["htm", "html", "xhtml"];
    let Some(rest) = value
        .strip_prefix(b"https://")
        .filter(|_| name.eq_ignore_ascii_case(b"page") || name.ends_with(b"[page]"))
    else {
        return false;
    };
    let slash = find_byte(rest, 0, b'/').unwrap_or(rest.len());
    let host = between(rest, 0, slash);
    let path = between(rest, slash, find_byte(rest, 0, b'?').unwrap_or(rest.len()));
    let last = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let ending = last.iter().rposition(|b| *b == b'.').map(|dot| from(last, dot + 1));
    host.contains(&b'.')
        && host
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
        && host.iter().any(u8::is_ascii_alphabetic)
        && rest.last() != Some(&b'?')
        && path
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_'))
        && ending.is_none_or(|ending| listed(&PAGES, ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_client_s_by_its_name_and_by_itself() {
        for (name, value, expected) in [
            ("uip", "0.0.0.0", true),
            ("client_ip", "127.0.0.1", true),
            ("ip_address", "[::1]", true),
            ("Address", "127.0.0.1", true),
            ("url", "127.0.0.1", false),
            ("ip", "http://127.0.0.1", false),
            ("ip", "127.0.0.1/admin", false),
            ("ip", "127.1", false),
            ("ip", "localhost", false),
            ("ip", "169.254.169.254", false),
        ] {
            let found = is_client_address(name.as_bytes(), value.as_bytes());
            assert_eq!(found, expected, "{name} {value}");
        }
    }

    #[test]
    fn a_reference_is_one_to_a_document() {
        for (name, value, expected) in [
            ("$ref", "../examples/edu.json", true),
            ("$ref", "../a.yaml#/definitions/x", true),
            ("href", "../../catalog.json", true),
            ("schemaLocation", "http://www.siri.org.uk/siri ../../xsd/siri.xsd", true),
            ("href", "../../../../etc/passwd", false),
            ("href", "../web.config", false),
            ("href", "..%2fa.json", false),
            ("file", "../a.json", false),
        ] {
            let found = is_relative_reference(name.as_bytes(), value.as_bytes());
            assert_eq!(found, expected, "{name} {value}");
        }
    }

    #[test]
    fn a_page_is_visited_at_a_site_with_a_name() {
        for (name, value, expected) in [
            ("page", "https://www.example.com/software/jira?x=1", true),
            ("page", "https://www.example.com/a.html", true),
            ("page", "https://www.example.com/shell.txt", false),
            ("page", "https://www.example.com/a?", false),
            ("page", "https://192.0.2.1/a", false),
            ("page", "https://host/a", false),
            ("page", "http://www.example.com/", false),
            ("file", "https://www.example.com/", false),
        ] {
            let found = is_visited(name.as_bytes(), value.as_bytes());
            assert_eq!(found, expected, "{name} {value}");
        }
    }

    #[test]
    fn names_that_are_operators() {
        for (name, expected) in [
            ("$ne", true),
            ("user[$gt]", true),
            ("a.$where", true),
            ("$ref", false),
            ("$filter", false),
            ("price$in", false),
            ("ne", false),
        ] {
            assert_eq!(operator_name(name.as_bytes()), expected, "{name}");
        }
    }
}
