//! Command injection: a shell's separator or substitution with a command behind it, or a value that is a command line.
//! Quotes, back-slashes, carets and empty expansions inside a command's name are read over, as shells do.

use super::bytes::{between, find_byte, from, is_blank, is_word, listed, low};

/// Commands that attacks begin with and that are no common words.
const COMMANDS: [&str; 224] = [
    "adduser",
    "alias",
    "ansible",
    "apt",
    "apt-get",
    "aria2c",
    "arp",
    "ash",
    "attrib",
    "awk",
    "axel",
    "base32",
    "base64",
    "bash",
    "bitsadmin",
    "bunzip2",
    "busybox",
    "bzip2",
    "c89",
    "c99",
    "cacls",
    "cat",
    "cc",
    "certutil",
    "chef",
    "chgrp",
    "chmod",
    "chown",
    "chroot",
    "chsh",
    "cksum",
    "cmake",
    "cmd",
    "cp",
    "cpan",
    "cpp",
    "crontab",
    "cscript",
    "csh",
    "curl",
    "cut",
    "dash",
    "del",
    "df",
    "dig",
    "dir",
    "dmesg",
    "dnf",
    "docker",
    "du",
    "echo",
    "ed",
    "egrep",
    "env",
    "erase",
    "eval",
    "expr",
    "fgrep",
    "finger",
    "flock",
    "fping",
    "ftp",
    "gawk",
    "gcc",
    "gdb",
    "gem",
    "getent",
    "getmac",
    "gimp",
    "git",
    "gpasswd",
    "grep",
    "groups",
    "gunzip",
    "gzip",
    "head",
    "hexdump",
    "hostname",
    "hping3",
    "htop",
    "icacls",
    "id",
    "iex",
    "ifconfig",
    "ip",
    "ipconfig",
    "irb",
    "iwr",
    "jar",
    "javac",
    "jjs",
    "jobs",
    "jrunscript",
    "ksh",
    "kubectl",
    "ldconfig",
    "less",
    "ln",
    "lp",
    "lpr",
    "ls",
    "lsof",
    "lua",
    "lwp-download",
    "lwp-request",
    "lynx",
    "mawk",
    "mkdir",
    "mkfifo",
    "mount",
    "mshta",
    "mv",
    "mysql",
    "nano",
    "nc",
    "ncat",
    "net",
    "netcat",
    "netstat",
    "nmap",
    "node",
    "nohup",
    "npm",
    "nsenter",
    "nslookup",
    "od",
    "openssl",
    "passwd",
    "perf",
    "perl",
    "pgrep",
    "php",
    "pidof",
    "ping",
    "pip",
    "pkill",
    "powershell",
    "printenv",
    "printf",
    "ps",
    "psql",
    "pwd",
    "pwsh",
    "python",
    "python2",
    "python3",
    "readlink",
    "realpath",
    "reboot",
    "reg",
    "regsvr32",
    "ren",
    "rm",
    "route",
    "rsync",
    "ruby",
    "rundll32",
    "rustc",
    "rview",
    "rvim",
    "sc",
    "schtasks",
    "scp",
    "screen",
    "sed",
    "sendmail",
    "sh",
    "shutdown",
    "sleep",
    "socat",
    "sort",
    "sqlite3",
    "ssh",
    "strace",
    "su",
    "sudo",
    "systemctl",
    "systeminfo",
    "tac",
    "tail",
    "tar",
    "taskkill",
    "tasklist",
    "tcc",
    "tclsh",
    "tcpdump",
    "tee",
    "telnet",
    "tftp",
    "timeout",
    "touch",
    "traceroute",
    "tracert",
    "ulimit",
    "umask",
    "uname",
    "uniq",
    "unlink",
    "unset",
    "unzip",
    "uptime",
    "useradd",
    "userdel",
    "usermod",
    "ver",
    "vi",
    "vim",
    "visudo",
    "vssadmin",
    "w3m",
    "wc",
    "wget",
    "whereis",
    "which",
    "whoami",
    "whois",
    "wmic",
    "wscript",
    "xargs",
    "xxd",
    "yum",
    "zcat",
    "zip",
    "zsh",
];
/// Further ones, that are common words too: they count with something like an argument only.
const WORDS: [&str; 20] = [
    "at", "date", "find", "host", "kill", "last", "make", "man", "more", "nice", "run", "set", "split", "test", "time",
    "top", "type", "w", "wall", "who",
];

/// How many separators of a value are looked behind.
const SEPARATORS_MAX: usize = 64;
/// A command's name with what obscures it is not longer.
const NAME_BYTES_MAX: usize = 48;
/// `${…}` within a name; what is longer stands for no empty text.
const EXPANSION_BYTES_MAX: usize = 64;

/// In `prose` only what acts in the midst of it counts: a separator or a substitution on a line of text, and behind it a
/// command with an argument as command lines have them.
pub fn judge(bytes: &[u8], prose: bool) -> Option<&'static str> {
    if !prose && let Some(rule) = command_at(bytes, 0, Before::Start).or_else(|| windows_at(bytes, 0)) {
        return Some(rule);
    }
    let mut at = 0;
    for _ in 0..SEPARATORS_MAX {
        let found = from(bytes, at)
            .iter()
            .position(|b| matches!(b, b';' | b'|' | b'&' | b'\n' | b'`' | b'(' | b'{' | b'!'))?;
        let position = at + found;
        let byte = low(bytes, position);
        at = position + 1;
        let before = position.checked_sub(1).map_or(0, |i| low(bytes, i));
        let kind = match byte {
            b'(' if matches!(before, b'$' | b'<' | b'>' | b'@') => Before::Substitution,
            b'(' | b'{' | b'!' => {
                if byte == b'{' && low(bytes, at) == b',' {
                    Before::Substitution
                } else {
                    continue;
                }
            }
            // A span of Markdown's stands apart from the words in front of it.
            b'`' if matches!(before, b' ' | b'\n' | b'[' | b'(')
                && bytes.iter().take(position).any(u8::is_ascii_alphabetic) =>
            {
                continue;
            }
            b'`' => Before::BackQuote,
            b'&' if low(bytes, at) == b'&' => {
                at += 1;
                Before::Separator
            }
            b'|' if low(bytes, at) == b'|' => {
                at += 1;
                Before::Separator
            }
            b'&' => Before::Ampersand,
            b'\n' => Before::Line,
            _ => Before::Separator,
        };
        if kind == Before::Substitution && byte == b'{' {
            at += 1;
        }
        if prose {
            // Tables have bars, and a statement's end is no shell's where a line ends with it.
            let table = byte == b'|' && before == b' ' && low(bytes, at) == b' ';
            let spoken = !matches!(kind, Before::Separator | Before::Substitution) || table;
            if spoken || matches!(low(bytes, super::bytes::skip_spaces(bytes, at)), b'\n' | b'\r') {
                continue;
            }
            if command_at(bytes, at, Before::Prose).is_some() {
                return Some("command.chained");
            }
            continue;
        }
        if let Some(rule) = command_at(bytes, at, kind).or_else(|| windows_at(bytes, at)) {
            return Some(rule);
        }
    }
    None
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Start,
    Separator,
    Ampersand,
    Line,
    BackQuote,
    Substitution,
    /// Any separator in prose.
    Prose,
}

fn command_at(bytes: &[u8], at: usize, before: Before) -> Option<&'static str> {
    let mut at = at;
    while bytes
        .get(at)
        .is_some_and(|b| is_blank(*b) || matches!(b, b'"' | b'\'' | b'\\' | b'@' | b'^' | b'(' | b'{'))
        && at < bytes.len()
    {
        at += 1;
    }
    let mut name = [0_u8; NAME_BYTES_MAX];
    let mut len = 0;
    let mut obscured = false;
    let mut broken = false;
    let mut pathed = false;
    while let Some(byte) = bytes.get(at).copied() {
        match byte {
            // An escaped end of line that was never unescaped, at the value's end.
            b'\\' if len > 0 && at + 2 == bytes.len() && matches!(low(bytes, at + 1), b'n' | b'r') => break,
            b'\'' | b'"' | b'\\' | b'^' => {
                broken |= len > 0;
                at += 1;
            }
            b'$' if len > 0
                && matches!(
                    low(bytes, at + 1),
                    b'@' | b'*' | b'-' | b'!' | b'1'..=b'9' | b'{' | b'u'
                ) =>
            {
                broken = true;
                at += if low(bytes, at + 1) == b'{' {
                    find_byte(between(bytes, at, bytes.len().min(at + EXPANSION_BYTES_MAX)), 0, b'}')
                        .map_or(2, |end| end + 1)
                } else {
                    2
                };
            }
            b'/' => {
                // Only the last part of a path is the name.
                pathed = true;
                len = 0;
                at += 1;
            }
            b if is_word(b) || matches!(b, b'.' | b'-' | b'?' | b'*' | b'[' | b']') => {
                // What stands behind a name, and not in it, obscures nothing.
                obscured |= broken;
                let slot = name.get_mut(len)?;
                *slot = b.to_ascii_lowercase();
                len += 1;
                at += 1;
            }
            _ => break,
        }
    }
    let name = name.get(..len)?;
    if name.is_empty() {
        return None;
    }
    let exe = name.strip_suffix(b".exe").unwrap_or(name);
    let known = listed(&COMMANDS, exe);
    let word = listed(&WORDS, exe);
    let wild = pathed
        && name.iter().any(|b| matches!(b, b'?' | b'*' | b'['))
        && name.first() != Some(&b'*')
        && before != Before::Start;
    if wild && matches!(before, Before::Separator | Before::BackQuote | Before::Substitution) {
        return Some("command.chained");
    }
    if !known && !word {
        return None;
    }
    if obscured && known && len > 1 {
        return Some("command.obscured");
    }
    let rest = from(bytes, at);
    let next = low(rest, 0);
    let argument = from(rest, rest.iter().take_while(|b| is_blank(**b)).count());
    let spaced = argument.len() < rest.len();
    let strong = spaced && strong_argument(argument)
        || matches!(next, b'<' | b'>' | b'$' | b'{')
        || from(rest, 0).starts_with(b"+/");
    let waits = spaced && matches!(exe, b"sleep" | b"timeout" | b"ping") && low(argument, 0).is_ascii_digit();
    let ends = argument.is_empty()
        || matches!(
            low(argument, 0),
            b'|' | b';' | b'&' | b'`' | b')' | b'#' | b'"' | b'\'' | b'\\' | b'>' | b'<'
        );
    let found = match before {
        Before::Prose => known && spaced && strong && exe.len() > 1,
        _ if waits => before != Before::Start || argument.iter().all(u8::is_ascii_digit),
        Before::Start => {
            strong
                && known
                && !matches!(
                    exe,
                    b"git" | b"node" | b"php" | b"mysql" | b"id" | b"ip" | b"head" | b"sort" | b"cut" | b"less"
                )
        }
        // A new line is one of text more often than of a script.
        Before::Line => known && (strong || ends && argument.is_empty() && exe.len() <= 8 && bytes.len() < 200),
        Before::Ampersand => {
            next != b'=' && known && (strong || ends || spaced && !is_blank(low(bytes, at.saturating_sub(len + 1))))
        }
        Before::Separator => {
            next != b'='
                && next != b':'
                && (known && (strong || ends || spaced && exe.len() != 2)
                    || word && (strong || ends && argument.is_empty()))
        }
        Before::BackQuote => known && (strong && !rest.is_empty() || ends && bytes.len() < 64),
        Before::Substitution => next != b'=' && (known || word) && (strong || ends || spaced),
    };
    found.then_some("command.chained")
}

/// The loops and conditions of Windows' command interpreter: `for %a in (…) do`, `if [/i] [not] exist …`, `if a==b …`.
fn windows_at(bytes: &[u8], at: usize) -> Option<&'static str> {
    /// What is looked at behind the first word.
    const REACH: usize = 160;
    let rest = from(bytes, at);
    let rest = rest.get(..rest.len().min(REACH)).unwrap_or(rest);
    let mut words = rest
        .split(|b| is_blank(*b) || matches!(b, b'(' | b'"'))
        .filter(|word| !word.is_empty());
    let is = |word: &[u8], other: &str| word.eq_ignore_ascii_case(other.as_bytes());
    let first = words.next()?;
    if is(first, "for") {
        let variable = words.next()?;
        let each = low(variable, 0) == b'%' && words.next().is_some_and(|word| is(word, "in"));
        return each.then_some("command.windows");
    }
    if !is(first, "if") {
        return None;
    }
    let mut word = words.next()?;
    while is(word, "/i") || is(word, "not") {
        word = words.next()?;
    }
    let known = ["exist", "defined", "errorlevel", "cmdextversion"];
    let compares = ["equ", "neq", "lss", "leq", "gtr", "geq"];
    let shell = rest.iter().any(|b| matches!(b, b'%' | b'(' | b'\\' | b'['))
        || words.clone().any(|word| {
            ["echo", "cmd", "goto", "set", "del", "exit"]
                .iter()
                .any(|c| is(word, c))
        });
    let condition = known.iter().any(|k| is(word, k))
        || rest.windows(2).any(|pair| pair == b"==") && !rest.contains(&b'{')
        || words.any(|word| compares.iter().any(|c| is(word, c)));
    (shell && condition).then_some("command.windows")
}

/// Whether a word is an argument as command lines have it: an option, a path, a variable, an address.
fn strong_argument(argument: &[u8]) -> bool {
    let word = between(
        argument,
        0,
        argument.iter().position(|b| is_blank(*b)).unwrap_or(argument.len()),
    );
    match low(word, 0) {
        b'-' => low(word, 1).is_ascii_alphabetic() || low(word, 1) == b'-' && low(word, 2).is_ascii_alphabetic(),
        b'/' => low(word, 1).is_ascii_alphabetic() || matches!(low(word, 1), b'?' | b'*' | b'['),
        b'$' | b'%' | b'~' | b'<' | b'>' | b'|' => true,
        b'.' => low(word, 1) == b'/' || low(word, 1) == b'.',
        b'\\' => low(word, 1) == b'\\',
        b'0'..=b'9' => word.iter().filter(|b| **b == b'.').count() == 3,
        first if first.is_ascii_alphabetic() && low(word, 1) == b':' => matches!(low(word, 2), b'\\' | b'/'),
        _ => word.windows(3).any(|w| w == b"://"),
    }
}

/// Whether a path is written with a shell's patterns where no web address has them: `/???/c?t`, `/et[c]/pa*wd`.
pub fn globbed_path(bytes: &[u8]) -> bool {
    bytes
        .split(|b| is_blank(*b) || matches!(b, b';' | b'|' | b'&' | b'"' | b'('))
        .take(64)
        .map(|word| match find_byte(word, 0, b'=') {
            // A path with a query.
            Some(equals) if find_byte(word, 0, b'?').is_some_and(|mark| mark < equals) => &[][..],
            Some(equals) => from(word, equals + 1),
            None => word,
        })
        .any(|word| {
            let starts = word.first() == Some(&b'/');
            let slashes = word.iter().filter(|b| **b == b'/').count();
            let pairs = word
                .windows(2)
                .filter(|pair| matches!(pair, [b'?', b'?' | b'/'] | [b'/', b'?'] | [b'*', b'a'..=b'z']))
                .count();
            starts
                && slashes >= 2
                && (pairs >= 2
                    || word
                        .windows(3)
                        .any(|w| matches!(w, [b'[', b'a'..=b'z', b']'] | [b'a'..=b'z', b'?' | b'*', b'a'..=b'z'])))
        })
}
