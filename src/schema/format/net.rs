//! Names and addresses of the network.

pub fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// `Local-part@domain` of RFC 5321 without quoting, which no API that people use accepts.
pub fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let atom = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b);
    let dots = local.starts_with('.') || local.ends_with('.') || local.contains("..");
    (1..=64).contains(&local.len()) && local.bytes().all(atom) && !dots && is_hostname(domain)
}

/// Labels of letters, digits and inner hyphens (RFC 1123 §2.1).
pub fn is_hostname(text: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// As [`is_email`], with letters beyond ASCII (RFC 6531) on both sides.
pub fn is_idn_email(text: &str) -> bool {
    let plain: String = text
        .chars()
        .map(|c| if c.is_ascii() || !c.is_alphanumeric() { c } else { 'a' })
        .collect();
    is_email(&plain)
}
