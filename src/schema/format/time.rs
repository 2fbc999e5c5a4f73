//! Dates, times and spans (RFC 3339 §5.6 and appendix A).

/// `width` digits as a number.
fn digits(text: &str, width: usize) -> Option<u32> {
    (text.len() == width && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// `full-date` of RFC 3339 §5.6.
pub fn is_date(text: &str) -> bool {
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
pub fn is_time(text: &str) -> bool {
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

pub fn is_date_time(text: &str) -> bool {
    let parts = text
        .split_at_checked(10)
        .and_then(|(date, rest)| Some((date, rest.strip_prefix(['T', 't'])?)));
    parts.is_some_and(|(date, time)| is_date(date) && is_time(time))
}

/// `duration` of RFC 3339 appendix A: weeks alone, or parts in their order without a gap.
pub fn is_duration(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('P') else {
        return false;
    };
    if let Some(weeks) = rest.strip_suffix('W') {
        return is_number(weeks);
    }
    let (date, time) = match rest.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (rest, None),
    };
    let date_holds = (date.is_empty() && time.is_some()) || has_parts(date, &['Y', 'M', 'D']);
    date_holds && time.is_none_or(|time| has_parts(time, &['H', 'M', 'S']))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// One or more numbers, each before the next of these units.
fn has_parts(text: &str, units: &[char]) -> bool {
    let mut place = None;
    for part in text.split_inclusive(|c: char| c.is_ascii_alphabetic()) {
        let unit = units.iter().position(|unit| part.ends_with(*unit));
        let follows = match (place, unit) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(before), Some(unit)) => unit == before + 1,
        };
        let number = part.strip_suffix(|c: char| c.is_ascii_alphabetic()).unwrap_or("");
        if !follows || !is_number(number) {
            return false;
        }
        place = unit;
    }
    place.is_some()
}
