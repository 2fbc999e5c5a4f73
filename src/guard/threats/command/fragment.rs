//! A short value that is, by itself, a piece of a shell's line or of a PHP program, told by its form: expansions, calls and
//! settings. For parameters, cookies and the like only: in documents such pieces are quoted.

use crate::guard::threats::bytes::{begins_with, between, from, is_blank, is_word, listed, low, skip_blank, word_len};
use crate::guard::threats::literals::numbers_change;
use crate::guard::threats::php::gap;
use crate::guard::threats::profile::class;

/// Longer values are texts.
const FRAGMENT_BYTES_MAX: usize = 256;

/// PHP's functions of one word that reach files, processes or code, sorted.
const FUNCTIONS: [&str; 72] = [
    "assert",
    "basename",
    "chdir",
    "chgrp",
    "chmod",
    "chown",
    "compact",
    "constant",
    "crypt",
    "dirname",
    "dl",
    "end",
    "eval",
    "exec",
    "explode",
    "extract",
    "fgets",
    "file",
    "fileatime",
    "filegroup",
    "fileinode",
    "filemtime",
    "fileowner",
    "fileperms",
    "filesize",
    "filetype",
    "fopen",
    "fputs",
    "fread",
    "fscanf",
    "fsockopen",
    "fwrite",
    "getcwd",
    "getenv",
    "glob",
    "gzdecode",
    "gzinflate",
    "gzuncompress",
    "header",
    "hexdec",
    "implode",
    "intval",
    "link",
    "lstat",
    "mail",
    "mkdir",
    "opendir",
    "ord",
    "pack",
    "passthru",
    "phpinfo",
    "pi",
    "popen",
    "putenv",
    "range",
    "readdir",
    "readfile",
    "readlink",
    "rename",
    "rmdir",
    "scandir",
    "serialize",
    "shuffle",
    "stat",
    "symlink",
    "syslog",
    "system",
    "tempnam",
    "unlink",
    "unpack",
    "unserialize",
    "virtual",
];

/// What PHP's settings that change what runs, or how much, begin with.
const SETTINGS: [&[u8]; 15] = [
    b"allow_url_",
    b"auto_append_file",
    b"auto_prepend_file",
    b"disable_classes",
    b"disable_functions",
    b"enable_dl",
    b"extension_dir",
    b"mbstring.",
    b"memory_limit",
    b"opcache.",
    b"open_basedir",
    b"safe_mode",
    b"suhosin.",
    b"unserialize_",
    b"zend.",
];

/// A rule, and the signs of which it needs one, by their bits: a value without them is not read for it.
struct Rule {
    signs: u16,
    is: fn(&[u8]) -> bool,
    name: &'static str,
}

const fn rule(signs: u16, is: fn(&[u8]) -> bool, name: &'static str) -> Rule {
    Rule { signs, is, name }
}

const RULES: [Rule; 9] = [
    rule(class::BRACE, braces, "command.expansion"),
    rule(class::MARK, tilde, "command.expansion"),
    rule(class::BRACE | class::MARK, obscured, "command.obscured"),
    rule(class::BRACE, variable, "command.chained"),
    rule(class::SHELL, changes_folder, "command.chained"),
    rule(class::SLASH, program, "command.program"),
    rule(class::OPERATOR, compared, "command.windows"),
    rule(class::PAREN, call, "command.php_call"),
    rule(class::OPERATOR, setting, "command.php_setting"),
];

/// How a value, whose profile is `bits`, is a piece of a command or program, or `None`.
pub fn judge(bytes: &[u8], bits: u16) -> Option<&'static str> {
    if bytes.len() > FRAGMENT_BYTES_MAX {
        return None;
    }
    let text = bytes.trim_ascii();
    let found = RULES.iter().find(|rule| bits & rule.signs != 0 && (rule.is)(text));
    found.map(|rule| rule.name)
}

/// `{,id,}`, `{ls,-l}`, `c{a,u}t`: a brace expansion that makes words of a command: without blanks, and with an empty part, an
/// option or a path in it.
fn braces(text: &[u8]) -> bool {
    let Some(open) = text.iter().position(|b| *b == b'{') else {
        return false;
    };
    let Some(len) = from(text, open).iter().position(|b| *b == b'}') else {
        return false;
    };
    let inside = between(text, open + 1, open + len);
    let plain = |b: &u8| is_word(*b) || matches!(b, b',' | b'-' | b'/' | b'.' | b'#' | b'?' | b'*');
    let glued = open > 0 && from(text, open + len + 1).first().is_some_and(u8::is_ascii_alphabetic);
    inside.contains(&b',')
        && inside.iter().all(plain)
        && between(text, 0, open).iter().all(|b| is_word(*b))
        && (glued
            || inside.first() == Some(&b',')
            || inside.last() == Some(&b',')
            || inside.windows(2).any(|pair| matches!(pair, b",-" | b",/")))
}

/// `~+`, `~-2`: the shell's current, former or stacked folder.
fn tilde(text: &[u8]) -> bool {
    matches!(text, [b'~', b'+' | b'-', digits @ ..] if digits.iter().all(u8::is_ascii_digit))
}

/// `c$_at`, `ping$() `, ``pi``ng``: what expands to nothing, beside letters.
fn obscured(text: &[u8]) -> bool {
    let letter = |at: Option<usize>| at.is_some_and(|at| low(text, at).is_ascii_alphabetic());
    // ``code`` in texts is opened and closed.
    let lone = text.windows(2).filter(|pair| *pair == b"``").count() == 1;
    let mut empties = 0_usize;
    for (at, pair) in text.windows(2).enumerate() {
        let before = letter(at.checked_sub(1));
        let hidden = match pair {
            // `…e$_sn:3`: a name and its value.
            b"$_" => before && letter(Some(at + 2)) && low(text, at + 2 + word_len(text, at + 2)) != b':',
            b"``" => before && (lone || letter(Some(at + 2))),
            b"$(" => before && low(text, at + 2) == b')',
            _ => false,
        };
        if hidden && pair != b"$_" {
            return true;
        }
        empties += usize::from(hidden);
    }
    empties > 1
}

/// `;$a cat`, `x=nc&&$x -l`: a variable run as a command, behind a separator.
fn variable(text: &[u8]) -> bool {
    text.iter().enumerate().any(|(at, byte)| {
        if !matches!(byte, b';' | b'|' | b'&') {
            return false;
        }
        let dollar = skip_blank(text, at + 1);
        if low(text, dollar) != b'$' {
            return false;
        }
        let end = dollar + 1 + word_len(text, dollar + 1);
        let next = skip_blank(text, end);
        // `; $x = 1` is another program's.
        end > dollar + 1
            && (is_blank(low(text, end)) || low(text, end) == b'$')
            && !matches!(low(text, next), b'=' | 0 | b'-' | b'+' | b'.')
            || end > dollar + 1 && is_blank(low(text, end)) && low(text, next) == b'-' && low(text, next + 1) != b'='
    })
}

/// `cd /;...`.
fn changes_folder(text: &[u8]) -> bool {
    begins_with(text, b"cd ")
        && text
            .iter()
            .position(|b| matches!(b, b';' | b'|' | b'&'))
            .is_some_and(|at| at < 40 && at + 1 < text.len())
}

/// The whole value is a program in a folder of programs: `/usr/bin/x`.
fn program(text: &[u8]) -> bool {
    if text
        .iter()
        .any(|b| !is_word(*b) && !matches!(b, b'/' | b'-' | b'.' | b'+'))
    {
        return false;
    }
    let mut parts = text.split(|b| *b == b'/').filter(|part| !part.is_empty());
    let Some(mut first) = parts.next() else { return false };
    if first == b"usr" {
        first = parts.next().unwrap_or_default();
        if first == b"local" {
            first = parts.next().unwrap_or_default();
        }
    }
    matches!(first, b"bin" | b"sbin") && parts.next().is_some() && parts.next().is_none()
}

/// `if "a"=="b" dir`: a condition of the Windows shell with what is run.
fn compared(text: &[u8]) -> bool {
    if !begins_with(text, b"if") || !matches!(low(text, 2), b' ' | b'/') || text.contains(&b'(') {
        return false;
    }
    let Some(at) = text.windows(2).position(|pair| pair == b"==") else {
        return false;
    };
    from(text, at + 2).trim_ascii().iter().any(|b| is_blank(*b))
}

/// `read_file()`, `exec (x)`: the whole value is a call by a name of PHP's form; of other names, only the known ones.
fn call(text: &[u8]) -> bool {
    let len = word_len(text, 0);
    let name = between(text, 0, len);
    if len < 2 || !name.first().is_some_and(u8::is_ascii_alphabetic) {
        return false;
    }
    let known = listed(&FUNCTIONS, name);
    let joined = name.contains(&b'_') && name.iter().filter(|b| b.is_ascii_alphabetic()).count() >= 6;
    if !known && !joined {
        return false;
    }
    let open = gap(text, len);
    if low(text, open) != b'(' {
        return false;
    }
    let inside = from(text, open + 1).trim_ascii();
    let inside = inside.strip_suffix(b";").unwrap_or(inside);
    // `import (#5017)`: the number of a change.
    if open > len && numbers_change(text, open) {
        return false;
    }
    match inside.strip_suffix(b")") {
        Some(arguments) => {
            let arguments = arguments.trim_ascii();
            arguments.is_empty() || known && !arguments.iter().any(|b| matches!(b, b'(' | b')'))
        }
        None => inside.is_empty(),
    }
}

/// `memory_limit = 512M`.
fn setting(text: &[u8]) -> bool {
    let Some(equals) = text.iter().position(|b| *b == b'=') else {
        return false;
    };
    let name = between(text, 0, equals).trim_ascii();
    name.iter().all(|b| is_word(*b) || *b == b'.') && SETTINGS.iter().any(|known| begins_with(name, known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::threats::profile;

    #[test]
    fn pieces_of_commands_and_programs_are_found() {
        assert!(FUNCTIONS.is_sorted());
        for (text, rule) in [
            ("{,ifconfig,eth0}", "command.expansion"),
            ("{ls,-lh}", "command.expansion"),
            ("~+3", "command.expansion"),
            ("c$_at /et$_c", "command.obscured"),
            ("ping$() host", "command.obscured"),
            (";$a cat notes", "command.chained"),
            ("a=nc&&$a -l", "command.chained"),
            ("cd /;cd etc;fold x", "command.chained"),
            ("/usr/bin/thing", "command.program"),
            ("if /i \"a\"==\"b\" dir", "command.windows"),
            ("read_some_file (", "command.php_call"),
            ("symlink//c\n()", "command.php_call"),
            ("crypt(abc)", "command.php_call"),
            ("opcache.enable=1", "command.php_setting"),
        ] {
            assert_eq!(
                judge(text.as_bytes(), profile::bits(text.as_bytes())),
                Some(rule),
                "{text}"
            );
        }
        for text in [
            "{id,name}",
            "{a, b}",
            "~1.2",
            "a_b",
            "US$_",
            "f(x)",
            "created_at(desc)",
            "x; $y = 1; $z = 2",
            "; $x",
            "cd player",
            "bin",
            "bin/",
            "/bins/3",
            "recycle bin/blue",
            "if a == b",
            "sum(amount)",
            "map()",
            "session=1",
            "a.b=c",
            "Smith & $ons",
            "file",
            "2 + 2 = 4",
            "/api/bin/list/all",
            "use ``mode`` here",
        ] {
            assert_eq!(judge(text.as_bytes(), profile::bits(text.as_bytes())), None, "{text}");
        }
    }
}
