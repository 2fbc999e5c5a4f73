//! The formats that can be asserted (JSON Schema 2020-12 validation §7.3), each a plain check without a regular
//! expression.

use std::net::{Ipv4Addr, Ipv6Addr};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Date,
    DateTime,
    Time,
    Uuid,
    Ipv4,
    Ipv6,
    Email,
    Hostname,
}

impl Format {
    pub const NAMED: [(&'static str, Self); 8] = [
        ("date", Self::Date),
        ("date-time", Self::DateTime),
        ("time", Self::Time),
        ("uuid", Self::Uuid),
        ("ipv4", Self::Ipv4),
        ("ipv6", Self::Ipv6),
        ("email", Self::Email),
        ("hostname", Self::Hostname),
    ];

    pub fn admits(self, text: &str) -> bool {
        match self {
            Self::Date => is_date(text),
            Self::Time => is_time(text),
            Self::DateTime => {
                let parts = text
                    .split_at_checked(10)
                    .and_then(|(date, rest)| Some((date, rest.strip_prefix(['T', 't'])?)));
                parts.is_some_and(|(date, time)| is_date(date) && is_time(time))
            }
            Self::Uuid => is_uuid(text),
            Self::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
            Self::Email => is_email(text),
            Self::Hostname => is_hostname(text),
        }
    }

    /// Whether what the format admits is harmless by its form alone.
    pub fn pins(self) -> bool {
        !matches!(self, Self::Email | Self::Hostname)
    }

    /// What a value should be, for messages.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Date => "must be a date such as 2026-01-31",
            Self::DateTime => "must be a date and time such as 2026-01-31T12:00:00Z",
            Self::Time => "must be a time such as 12:00:00Z",
            Self::Uuid => "must be a UUID",
            Self::Ipv4 => "must be an IPv4 address",
            Self::Ipv6 => "must be an IPv6 address",
            Self::Email => "must be an email address",
            Self::Hostname => "must be a host name",
        }
    }
}

/// `width` digits as a number.
fn digits(text: &str, width: usize) -> Option<u32> {
    (text.len() == width && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// `full-date` of RFC 3339 §5.6.
fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let (Some(year), Some(month), Some(day), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let (Some(year), Some(month), Some(day)) = (digits(year, 4), digits(month, 2), digits(day, 2)) else {
        return false;
    };
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// `full-time` of RFC 3339 §5.6, with a leap second only at the end of a UTC day.
fn is_time(text: &str) -> bool {
    let parse = || {
        let clock = |text: &str| -> Option<(u32, u32)> {
            let (hour, minute) = text.split_once(':')?;
            Some((
                digits(hour, 2).filter(|h| *h < 24)?,
                digits(minute, 2).filter(|m| *m < 60)?,
            ))
        };
        let (hour_minute, rest) = text.split_at_checked(5)?;
        let (hour, minute) = clock(hour_minute)?;
        let (second, mut rest) = rest.strip_prefix(':')?.split_at_checked(2)?;
        let second = digits(second, 2).filter(|s| *s <= 60)?;
        if let Some(fraction) = rest.strip_prefix('.') {
            let end = fraction.bytes().take_while(u8::is_ascii_digit).count();
            rest = fraction.get(end..).filter(|_| end > 0)?;
        }
        let offset_minutes = match rest {
            "Z" | "z" => 0,
            _ => {
                let (hours, minutes) = clock(rest.strip_prefix(['+', '-'])?)?;
                let offset = hours * 60 + minutes;
                if rest.starts_with('-') {
                    offset
                } else {
                    24 * 60 - offset
                }
            }
        };
        let utc_minute = (hour * 60 + minute + offset_minutes) % (24 * 60);
        Some(second < 60 || utc_minute == 23 * 60 + 59)
    };
    parse().unwrap_or(false)
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// `Local-part@domain` of RFC 5321 without quoting, which no API that people use accepts.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let atom = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b);
    let dots = local.starts_with('.') || local.ends_with('.') || local.contains("..");
    (1..=64).contains(&local.len()) && local.bytes().all(atom) && !dots && is_hostname(domain)
}

/// Labels of letters, digits and inner hyphens (RFC 1123 §2.1).
fn is_hostname(text: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_take_and_refuse() {
        for (format, good, bad) in [
            (
                Format::Date,
                &["2026-01-31", "2024-02-29"][..],
                &["2026-02-29", "2026-1-31", "2026-13-01", "1900-02-29", "2026-01-31T"][..],
            ),
            (
                Format::Time,
                &["12:00:00Z", "23:59:60Z", "00:59:60+01:00", "12:00:00.5-05:30"],
                &[
                    "12:00:60Z",
                    "24:00:00Z",
                    "12:00Z",
                    "12:00:00",
                    "12:00:00.Z",
                    "12:00:00+1:00",
                ],
            ),
            (
                Format::DateTime,
                &["2026-01-31T12:00:00Z", "2026-01-31t12:00:00z"],
                &["2026-01-31 12:00:00Z", "2026-01-31", "é026-01-31T12:00:00Z"],
            ),
            (
                Format::Uuid,
                &["2eb8aa08-aa98-11ea-b4aa-73b441d16380"],
                &[
                    "2eb8aa08-aa98-11ea-b4aa-73b441d1638",
                    "2eb8aa08aa98-11ea-b4aa-73b441d163800-",
                    "{eb8aa08-aa98-11ea-b4aa-73b441d1638}",
                ],
            ),
            (Format::Ipv4, &["192.0.2.1"], &["192.0.2.01", "192.0.2", "192.0.2.1/32"]),
            (
                Format::Ipv6,
                &["::1", "2001:db8::192.0.2.1"],
                &["::1%eth0", "[::1]", "12345::"],
            ),
            (
                Format::Email,
                &["a.b+c@example.com"],
                &["a@", "@b", "a..b@c", "a b@c", "a@b@c", "a@-b"],
            ),
            (
                Format::Hostname,
                &["example.com", "a", "xn--4gbwdl"],
                &["", "-a", "a-", "a_b", "a..b", "a."],
            ),
        ] {
            good.iter()
                .for_each(|text| assert!(format.admits(text), "{format:?} {text}"));
            bad.iter()
                .for_each(|text| assert!(!format.admits(text), "{format:?} {text}"));
        }
    }
}
