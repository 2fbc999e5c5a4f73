//! A JSON number as it was written, compared by its exact decimal value: `1`, `1.0` and `1e0` are one number, and
//! 2^53 + 1 is not 2^53.

use std::borrow::Cow;
use std::cmp::Ordering;

/// A number in the text of RFC 8259 §6; made by the reader only, so the text is always well formed.
#[derive(Debug, Clone)]
pub struct Number<'a>(Cow<'a, str>);

/// `±digits · 10^exponent`, digits without trailing zeros (zero is `0 · 10^0`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Decimal {
    digits: i128,
    exponent: i32,
}

impl<'a> Number<'a> {
    pub(super) fn from_checked(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }

    pub fn text(&self) -> &str {
        &self.0
    }

    pub fn into_owned(self) -> Number<'static> {
        Number(Cow::Owned(self.0.into_owned()))
    }

    /// The nearest double; `None` where it overflows to infinity.
    pub fn as_f64(&self) -> Option<f64> {
        self.0.parse().ok().filter(|f: &f64| f.is_finite())
    }

    /// The value, if it is a whole number from 0 to 2^64 - 1, however written.
    pub fn as_u64(&self) -> Option<u64> {
        let decimal = self.decimal()?;
        let scale = 10_i128.checked_pow(u32::try_from(decimal.exponent).ok()?)?;
        u64::try_from(decimal.digits.checked_mul(scale)?).ok()
    }

    /// Whether the value is mathematically an integer (`1.0` is, JSON Schema 2020-12 validation §6.1.1).
    pub fn is_integer(&self) -> bool {
        match self.decimal() {
            Some(decimal) => decimal.exponent >= 0,
            // Out of the decimal's range: a double of that size has no fraction, one that small is not whole.
            None => self.as_f64().is_none_or(|f| f.fract() == 0.0 && f != 0.0),
        }
    }

    /// Whether the value is a whole multiple of `step`; `false` where that can't be computed exactly.
    pub fn is_multiple_of(&self, step: &Number<'_>) -> bool {
        let exact = || {
            let (value, step) = (self.decimal()?, step.decimal()?);
            let (value, step) = align(value, step)?;
            (step != 0).then(|| value.checked_rem(step) == Some(0))
        };
        exact().unwrap_or_else(|| match (self.as_f64(), step.as_f64()) {
            (Some(value), Some(step)) => (value / step).fract() == 0.0,
            _ => false,
        })
    }

    /// The exact value, or `None` beyond 38 digits or an exponent beyond ±1000.
    fn decimal(&self) -> Option<Decimal> {
        let text = self.0.as_ref();
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, mantissa) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let fraction = fraction.trim_end_matches('0');
        let mut digits = 0_i128;
        for digit in whole.bytes().chain(fraction.bytes()) {
            digits = digits
                .checked_mul(10)?
                .checked_add(i128::from(digit.wrapping_sub(b'0')))?;
        }
        if digits == 0 {
            return Some(Decimal { digits: 0, exponent: 0 });
        }
        let mut exponent = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
        while digits % 10 == 0 {
            digits /= 10;
            exponent = exponent.checked_add(1)?;
        }
        (exponent.abs() <= 1000).then_some(Decimal {
            digits: if negative { digits.checked_neg()? } else { digits },
            exponent,
        })
    }

    /// Compares by value: exactly where both fit a decimal, else as doubles.
    pub fn compare(&self, other: &Number<'_>) -> Ordering {
        let exact = || {
            let (a, b) = align(self.decimal()?, other.decimal()?)?;
            Some(a.cmp(&b))
        };
        exact().unwrap_or_else(|| {
            let double = |n: &Number<'_>| n.0.parse::<f64>().unwrap_or(0.0);
            double(self).total_cmp(&double(other))
        })
    }
}

/// Both values as integers of one scale; `None` where that overflows.
fn align(a: Decimal, b: Decimal) -> Option<(i128, i128)> {
    let scale = a.exponent.min(b.exponent);
    let at = |d: Decimal| {
        let shift = u32::try_from(d.exponent.checked_sub(scale)?).ok()?;
        d.digits.checked_mul(10_i128.checked_pow(shift)?)
    };
    Some((at(a)?, at(b)?))
}

impl PartialEq for Number<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.compare(other) == Ordering::Equal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number<'_> {
        Number::from_checked(text)
    }

    #[test]
    fn equal_values_are_equal_however_written() {
        for (a, b) in [
            ("1", "1.0"),
            ("1", "1e0"),
            ("100", "1e2"),
            ("0.10", "1E-1"),
            ("0", "-0.0"),
            ("12e-1", "1.2"),
        ] {
            assert_eq!(number(a), number(b), "{a} {b}");
        }
        assert_ne!(number("9007199254740993"), number("9007199254740992"));
        assert_ne!(number("1"), number("-1"));
    }

    #[test]
    fn order_is_by_value() {
        for (a, b) in [
            ("-1", "0"),
            ("0.1", "0.2"),
            ("9", "10"),
            ("1e-3", "1"),
            ("1e400", "1e401"),
            ("-1e400", "1"),
        ] {
            assert_ne!(number(a).compare(&number(b)), Ordering::Greater, "{a} {b}");
        }
    }

    #[test]
    fn whole_numbers_are_seen_and_bounded() {
        assert!(number("1.0").is_integer() && number("1e3").is_integer() && number("1e300").is_integer());
        assert!(!number("1.5").is_integer() && !number("1e-3").is_integer() && !number("1e-2000").is_integer());
        assert_eq!(number("18446744073709551615").as_u64(), Some(u64::MAX));
        for text in ["18446744073709551616", "-1", "1.5", "1e99999999999"] {
            assert_eq!(number(text).as_u64(), None, "{text}");
        }
    }

    #[test]
    fn multiples_are_exact() {
        assert!(number("0.0075").is_multiple_of(&number("0.0001")));
        assert!(number("4.5").is_multiple_of(&number("1.5")));
        assert!(!number("0.00751").is_multiple_of(&number("0.0001")));
        assert!(!number("1e308").is_multiple_of(&number("0.123456789")));
    }
}
