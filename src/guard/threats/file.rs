//! Paths by their shape: a file of the system as a whole value, a file named through whatever a lenient decoder takes for
//! a slash, and steps upwards that are spelled oddly. What is found anywhere in a value is among the literals.

use super::Kind;
use super::bytes::{between, contains, from, is_blank, listed, starts_with};
use super::literals::is_link;

/// Longer values are no path.
const PATH_BYTES_MAX: usize = 2048;
/// What stands for one slash is not longer: three bytes, each encoded twice.
const SEPARATOR_BYTES_MAX: usize = 24;

/// Files in `/etc` that a traversal is tried with, sorted.
const TARGETS: [&str; 8] = [
    "fstab", "group", "hostname", "hosts", "issue", "motd", "passwd", "shadow",
];

/// Folders below `/var` that hold what runs, sorted.
const VAR: [&str; 16] = [
    "adm", "apache", "apache2", "backups", "cpanel", "cron", "db", "lock", "log", "logs", "mail", "mysql", "run",
    "saf", "spool", "yp",
];
const USR: [&str; 9] = ["adm", "etc", "home", "lib", "local", "pkgsrc", "ports", "sbin", "spool"];
const DEVICES: [&str; 8] = ["fd", "kmem", "mem", "random", "shm", "tcp", "udp", "urandom"];

/// First parts of a path behind a drive's letter, sorted.
const WINDOWS: [&str; 18] = [
    "apache",
    "apache2",
    "autoexec.bat",
    "boot.ini",
    "documents and settings",
    "inetpub",
    "minint",
    "mysql",
    "nsm",
    "oracle",
    "pagefile.sys",
    "php",
    "program files",
    "program files (x86)",
    "sysprep",
    "wamp",
    "winnt",
    "xampp",
];

/// Endings of logs and settings.
const ENDINGS: [&[u8]; 9] = [
    b".log",
    b"_log",
    b"-log",
    b".conf",
    b".cnf",
    b".ini",
    b".pid",
    b"_history",
    b".htpasswd",
];

/// Judges a whole value that stands in a place of this kind.
#[inline(never)]
pub fn judge(bytes: &[u8], kind: Kind) -> Option<&'static str> {
    if bytes.len() > PATH_BYTES_MAX {
        return None;
    }
    // What comes after a NUL is cut off by what opens the file.
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let text = between(bytes, 0, end).trim_ascii();
    let text = text.strip_suffix(b"%00").unwrap_or(text);
    if !text.iter().any(|b| is_blank(*b)) && (disguised(text) || steps(text)) {
        return Some("path.traversal");
    }
    if kind == Kind::FileName && (spaced_program(text) || session(text)) {
        return Some("path.upload");
    }
    if kind == Kind::Path && hidden(text) {
        return Some("path.hidden");
    }
    let whole = matches!(
        kind,
        Kind::Parameter | Kind::Json | Kind::Cookie | Kind::Header | Kind::FileName
    );
    (whole && of_system(text, kind)).then_some("path.file")
}

/// `photo. php`, `x.phar .png`: an ending that runs, with a blank that the storing side drops.
fn spaced_program(text: &[u8]) -> bool {
    let plain: Vec<u8> = text.iter().copied().filter(|b| !is_blank(*b)).collect();
    plain.len() < text.len()
        && text.windows(2).any(|pair| matches!(pair, b". " | b" ."))
        && [&b".php"[..], b".phtml", b".phar", b".pht", b".jsp", b".asp"]
            .iter()
            .any(|ending| contains(&plain, ending))
}

/// The file of a PHP session, which an upload of that name would become.
fn session(text: &[u8]) -> bool {
    let name = text.rsplit(|b| matches!(b, b'/' | b'\\')).next().unwrap_or_default();
    starts_with(name, b"sess_")
        && name.len() >= 18
        && from(name, 5)
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b',' | b'-'))
}

/// A hidden file of the server's root, which nobody serves; a hidden file or folder that holds secrets, sources or settings
/// wherever it is, while others are served (`/.well-known`, `/.a/site.css`) or asked for by whoever reads a repository
/// (`/contents/.github/workflows`); or a log of errors.
fn hidden(text: &[u8]) -> bool {
    /// How the names begin, without the dot.
    const SECRET: [&str; 59] = [
        "addressbook",
        "aider",
        "aptitude",
        "aws",
        "azure",
        "bash",
        "boto",
        "bzr",
        "cache",
        "circleci",
        "codex",
        "config",
        "cshrc",
        "cursor",
        "cvs",
        "docker",
        "ds_store",
        "env",
        "fabric",
        "ftp",
        "git-credentials",
        "gitconfig",
        "gnupg",
        "hg",
        "history",
        "ht",
        "idea",
        "ido",
        "junie",
        "k5login",
        "kde",
        "ksh",
        "kube",
        "lesshst",
        "login",
        "lynx",
        "my.cnf",
        "mysql",
        "n8n",
        "nano",
        "netrc",
        "npmrc",
        "opencode",
        "pass",
        "pgpass",
        "profile",
        "psql",
        "pypirc",
        "rovodev",
        "s3cfg",
        "sftp",
        "ssh",
        "subversion",
        "svn",
        "terraform",
        "vault",
        "vscode",
        "zed",
        "zsh",
    ];
    const LOGS: [&str; 4] = ["access.log", "error.log", "error_log", "errors.log"];
    let mut parts = text.split(|b| *b == b'/').peekable();
    let root = from(text, text.iter().take_while(|b| **b == b'/').count());
    let alone = !root.contains(&b'/') && root.get(1).is_some_and(u8::is_ascii_alphabetic);
    if alone && root.first() == Some(&b'.') && root != b".json" && root != b".well-known" {
        return true;
    }
    while let Some(part) = parts.next() {
        let secret = part.strip_prefix(b".").is_some_and(|name| {
            name.eq_ignore_ascii_case(b"git") || SECRET.iter().any(|known| starts_with(name, known.as_bytes()))
        });
        if secret || parts.peek().is_none() && listed(&LOGS, part) {
            return true;
        }
    }
    false
}

/// Whether the value ends in `etc`, something, and a file's name, and the same something stands in front of `etc`.
fn disguised(text: &[u8]) -> bool {
    let name_len = text.iter().rev().take_while(|b| b.is_ascii_alphabetic()).count();
    let tail = from(text, text.len().saturating_sub(name_len));
    // The name may be glued to a separator's letters, as in `%qfissue`.
    TARGETS.iter().any(|name| {
        let Some(front_len) = tail.len().checked_sub(name.len()).map(|_| text.len() - name.len()) else {
            return false;
        };
        if !from(text, front_len).eq_ignore_ascii_case(name.as_bytes()) {
            return false;
        }
        let start = front_len.saturating_sub(SEPARATOR_BYTES_MAX + 3);
        let near = between(text, start, front_len);
        let Some(at) = near.windows(3).rposition(|w| w.eq_ignore_ascii_case(b"etc")) else {
            return false;
        };
        let separator = from(near, at + 3);
        let before = between(text, 0, start + at);
        stands_for_slash(separator) && (before.is_empty() || before.ends_with(separator))
    })
}

/// Whether something could be a slash to a lenient decoder: it is no word and no punctuation of lists.
fn stands_for_slash(separator: &[u8]) -> bool {
    let spelled = [&b"2f"[..], b"5c"].iter().any(|s| separator.eq_ignore_ascii_case(s));
    let Some(first) = separator.first() else { return false };
    let plain = first.is_ascii_alphanumeric() && !starts_with(separator, b"0x");
    spelled
        || !plain
            && !separator.iter().any(|b| {
                matches!(
                    b,
                    b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'<' | b'>' | b'"' | b'\'' | b',' | b'.'
                )
            })
}

/// Two steps upwards with the same in place of a slash; or dots in hexadecimal, as no other text has them.
fn steps(text: &[u8]) -> bool {
    let mut odd = 0_usize;
    for (at, pair) in text.windows(2).enumerate() {
        match pair {
            b".." => {
                let rest = from(text, at + 2);
                let reach = between(rest, 0, rest.len().min(SEPARATOR_BYTES_MAX + 2));
                let Some(len) = reach.windows(2).position(|w| w == b"..") else {
                    continue;
                };
                let separator = between(rest, 0, len);
                let link = separator == b"/" && is_link(text, at);
                if stands_for_slash(separator) && !link && from(rest, len + 2).starts_with(separator) {
                    return true;
                }
            }
            b"0x" if starts_with(from(text, at), b"0x2e") => odd += 1,
            b"%%" if starts_with(from(text, at), b"%%32%%65") => odd += 1,
            _ => {}
        }
    }
    odd >= 2 || odd == 1 && (contains(text, b"0x5c") || contains(text, b"0x2f"))
}

/// What is installed into a person's folder, so that errors and reports name it.
const INSTALLED: [&str; 14] = [
    ".asdf", ".bundle", ".cache", ".cargo", ".gem", ".gradle", ".jenkins", ".local", ".m2", ".npm", ".nvm", ".pyenv",
    ".rvm", ".sdkman",
];

/// Folders of code below those.
const CODE: [&str; 9] = [
    "_logs",
    "caches",
    "candidates",
    "gems",
    "lib",
    "registry",
    "rubies",
    "site-packages",
    "versions",
];

/// Folders of `/etc` that documents tell of: certificates, and settings that are public or the caller's own.
const MOUNTED: [&str; 12] = [
    "alertmanager",
    "ca-certificates",
    "certs",
    "config",
    "grafana",
    "kubernetes",
    "ldap",
    "localtime",
    "pki",
    "prometheus",
    "ssl",
    "timezone",
];

/// Whether the value is the absolute path of a file that belongs to the system or a server on it.
fn of_system(text: &[u8], kind: Kind) -> bool {
    if text.len() > 256 || text.iter().any(|b| matches!(b, b'\n' | b'\r' | b'?' | b'<')) {
        return false;
    }
    let slash = |b: &u8| matches!(b, b'/' | b'\\');
    let bare = from(text, text.iter().take_while(|b| slash(b)).count());
    let drive = bare.first().is_some_and(u8::is_ascii_alphabetic)
        && bare.get(1) == Some(&b':')
        && bare.get(2).is_some_and(slash);
    if bare.len() == text.len() && !drive {
        return false;
    }
    let json = kind == Kind::Json;
    let path = if drive { from(bare, 3) } else { bare };
    let mut parts = path.split(slash).filter(|part| !part.is_empty());
    let Some(first) = parts.next() else { return false };
    let second = parts.next().unwrap_or_default();
    let is = |part: &[u8], name: &str| part.eq_ignore_ascii_case(name.as_bytes());
    let ends = |text: &[u8]| {
        ENDINGS.iter().any(|ending| {
            text.len() > ending.len() && from(text, text.len() - ending.len()).eq_ignore_ascii_case(ending)
        })
    };
    if drive {
        let logs = is(first, "logs") || is(first, "log");
        return is(first, "windows") || listed(&WINDOWS, first) || (!json || logs) && ends(path);
    }
    if second.is_empty() {
        return false;
    }
    match () {
        // What is mounted into a container, as documents of its kind say.
        () if json && is(first, "etc") && listed(&MOUNTED, second) => {
            contains(path, b"private") || contains(path, b".key") || contains(path, b"..")
        }
        () if is(first, "etc") || is(first, "proc") => true,
        () if is(first, "var") => listed(&VAR, second) || is(second, "lib") && !json,
        () if is(first, "dev") => listed(&DEVICES, second) && !json,
        () if is(first, "usr") => listed(&USR, second) && !json,
        () if is(first, "root")
            || is(first, "home") && parts.clone().next().is_some_and(|p| p.first() == Some(&b'.')) =>
        {
            let hidden = if is(first, "home") {
                parts.next().unwrap_or_default()
            } else {
                second
            };
            let mut code = || parts.any(|part| listed(&CODE, part));
            hidden.first() == Some(&b'.') && !(json && listed(&INSTALLED, hidden) && code())
        }
        () if is(first, "private") => is(second, "etc") || is(second, "var"),
        () if is(first, "opt") => (is(second, "lampp") || is(second, "xampp")) && !json,
        () => {
            (!json || contains(path, b"/logs/") || contains(path, b"/log/"))
                && ends(path)
                && !path.iter().any(|b| is_blank(*b))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(judge(text.as_bytes(), Kind::Parameter), expected, "{text}");
    }

    #[test]
    fn files_are_seen_through_what_stands_for_a_slash() {
        for text in [
            "..%bg%qf..%bg%qfetc%bg%qfissue",
            "??0x2f??0x2fetc0x2fpasswd",
            "..2f..2f..2fvar2flog",
            "/..0x5c..0x5c..0x5c",
            "/0x2e0x2e/0x2e0x2e/",
            "%%32%%65%%32%%65|x",
        ] {
            check(text, Some("path.traversal"));
        }
        for text in [
            "a..b..b..c",
            "etc. hosts",
            "etc,hosts",
            "...",
            "[..][..][..]",
            "1..2",
            "fetc/hosts",
            "0x2e",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn files_of_the_system_are_whole_values() {
        for text in [
            "/etc/netconfig",
            "/proc/meminfo",
            "C:\\xampp\\FileZillaFTP\\Logs",
            "/D:/Program Files/x",
            "/apache2/logs/error.log",
            "/etc/utmp\0.png",
            "/home/x/.ssh/id",
        ] {
            check(text, Some("path.file"));
        }
        for text in [
            "/etc",
            "/users/7",
            "/var/x",
            "etc/x",
            "C:\\Users\\ann\\a.docx",
            "/home/ann/a",
            "see /etc/hosts?",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn lists_are_sorted() {
        assert!(
            TARGETS.is_sorted() && VAR.is_sorted() && USR.is_sorted() && DEVICES.is_sorted() && WINDOWS.is_sorted()
        );
    }
}
