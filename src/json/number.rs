//! A JSON number as it was written, compared by its exact decimal value: `1`, `1.0` and `1e0` are one number, and
//! 2^53 + 1 is not 2^53.

use std::borrow::Cow;
use std::cmp::Ordering;

/// A number in the text of RFC 8259 §6; made by the reader only, so the text is always well formed.
#[derive(Debug, Clone)]
pub struct Number<'a>(Cow<'a, str>);

/// `±0.d₁d₂d₃… · 10^scale`: digits without zeros at either end, none for zero. Exact for every text, so that comparing
/// is a total order: sorting by it must not meet a contradiction.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    scale: i64,
}

/// Exponents beyond this count as it: such numbers differ in nothing that matters, and stay in order.
const SCALE_MAX: i64 = 1 << 40;

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

    /// Nearly every number that is sent: without an exponent, and of at most 18 digits. Those before the point and after it
    /// as one integer, and how many stand after it.
    fn short(&self) -> Option<(i64, u32)> {
        let text = self.0.as_bytes();
        let digits = text.strip_prefix(b"-").unwrap_or(text);
        if digits.len() > 18 {
            return None;
        }
        let (mut magnitude, mut after, mut point) = (0_i64, 0, false);
        for byte in digits {
            match byte {
                b'0'..=b'9' => {
                    magnitude = magnitude * 10 + i64::from(byte - b'0');
                    after += u32::from(point);
                }
                b'.' => point = true,
                _ => return None,
            }
        }
        let negative = digits.len() < text.len();
        Some((if negative { -magnitude } else { magnitude }, after))
    }

    /// The value, if it is a whole number from 0 to 2^64 - 1, however written.
    pub fn as_u64(&self) -> Option<u64> {
        if let Some((value, 0)) = self.short() {
            return u64::try_from(value).ok();
        }
        let decimal = self.decimal();
        decimal.whole().filter(|_| !decimal.negative)
    }

    /// The value, if it is a whole number from -2^63 to 2^63 - 1, however written.
    pub fn as_i64(&self) -> Option<i64> {
        if let Some((value, 0)) = self.short() {
            return Some(value);
        }
        let decimal = self.decimal();
        let magnitude = decimal.whole()?;
        if decimal.negative {
            0_i64.checked_sub_unsigned(magnitude)
        } else {
            i64::try_from(magnitude).ok()
        }
    }

    /// Whether the value is mathematically an integer (`1.0` is, JSON Schema 2020-12 validation §6.1.1).
    pub fn is_integer(&self) -> bool {
        if let Some((value, after)) = self.short() {
            // Of 18 digits at most, so the power is one of 64 bits.
            return after == 0 || value % 10_i64.pow(after) == 0;
        }
        let decimal = self.decimal();
        decimal.digits.is_empty() || decimal.trailing_zeros() >= 0
    }

    /// Whether [`Number::is_multiple_of`] can compute with this as its step: above 0, at most 18 digits.
    pub fn is_step(&self) -> bool {
        let decimal = self.decimal();
        !decimal.negative && (1..=18).contains(&decimal.digits.len())
    }

    /// Whether the value is a whole multiple of `step`, exactly; `false` for a step that is none.
    pub fn is_multiple_of(&self, step: &Number<'_>) -> bool {
        let (value, divisor) = (self.decimal(), step.decimal());
        if value.digits.is_empty() || !step.is_step() {
            return value.digits.is_empty() && step.is_step();
        }
        // value / step = V·10^v / (S·10^s) with V free of trailing zeros: for v < s it has a fraction.
        let Ok(mut shift) = u64::try_from(value.trailing_zeros().saturating_sub(divisor.trailing_zeros())) else {
            return false;
        };
        let modulus = divisor
            .digits
            .iter()
            .fold(0_u128, |n, digit| n * 10 + u128::from(*digit))
            .max(1);
        let mut rest = value
            .digits
            .iter()
            .fold(0_u128, |n, digit| (n * 10 + u128::from(*digit)) % modulus);
        let mut power = 10 % modulus;
        while shift > 0 {
            if shift & 1 == 1 {
                rest = rest * power % modulus;
            }
            power = power * power % modulus;
            shift >>= 1;
        }
        rest == 0
    }

    fn decimal(&self) -> Decimal {
        let text = self.0.as_ref();
        let letter = text.bytes().position(|byte| matches!(byte, b'e' | b'E'));
        let (mantissa, exponent) = letter
            .and_then(|at| Some((text.get(..at)?, text.get(at + 1..)?)))
            .unwrap_or((text, "0"));
        let limit = if exponent.starts_with('-') {
            -SCALE_MAX
        } else {
            SCALE_MAX
        };
        let exponent = exponent.parse::<i64>().unwrap_or(limit).clamp(-SCALE_MAX, SCALE_MAX);
        let (negative, mantissa) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits: Vec<u8> = whole
            .bytes()
            .chain(fraction.bytes())
            .map(|b| b.wrapping_sub(b'0'))
            .collect();
        let leading = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..leading);
        while digits.last() == Some(&0) {
            digits.pop();
        }
        if digits.is_empty() {
            return Decimal {
                negative: false,
                digits,
                scale: 0,
            };
        }
        let length = |n: usize| i64::try_from(n).unwrap_or(SCALE_MAX);
        Decimal {
            negative,
            digits,
            scale: exponent
                .saturating_add(length(whole.len()))
                .saturating_sub(length(leading)),
        }
    }

    /// Compares by value.
    pub fn compare(&self, other: &Number<'_>) -> Ordering {
        if let (Some((a, a_after)), Some((b, b_after))) = (self.short(), other.short()) {
            // Both below 10^36.
            let scaled = |value: i64, after: u32| i128::from(value) * 10_i128.pow(after);
            return scaled(a, b_after).cmp(&scaled(b, a_after));
        }
        let (a, b) = (self.decimal(), other.decimal());
        match (a.sign(), b.sign()) {
            (x, y) if x != y => x.cmp(&y),
            (1, _) => a.magnitude().cmp(&b.magnitude()),
            (-1, _) => b.magnitude().cmp(&a.magnitude()),
            _ => Ordering::Equal,
        }
    }
}

impl Decimal {
    /// The value without its sign, if that is a whole number below 2^64.
    fn whole(&self) -> Option<u64> {
        let zeros = self.trailing_zeros();
        if !(0..=19).contains(&zeros) {
            return None;
        }
        let zeros = std::iter::repeat_n(0, usize::try_from(zeros).ok()?);
        let digits = self.digits.iter().copied().chain(zeros);
        digits.into_iter().try_fold(0_u64, |value, digit| {
            value.checked_mul(10)?.checked_add(u64::from(digit))
        })
    }

    fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => -1,
        }
    }

    /// Digits of one scale compare as texts do.
    fn magnitude(&self) -> (i64, &[u8]) {
        (self.scale, &self.digits)
    }

    /// Zeros after the last digit, before the decimal point; below zero, the digits after the point.
    fn trailing_zeros(&self) -> i64 {
        self.scale
            .saturating_sub(i64::try_from(self.digits.len()).unwrap_or(SCALE_MAX))
    }
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

    /// A short number and the same with an exponent, which is read the long way, are one.
    #[test]
    fn short_numbers_are_read_as_long_ones_are() {
        let texts = [
            "0",
            "-0",
            "-0.0",
            "7",
            "-7",
            "100",
            "0.10",
            "19.99",
            "-19.990",
            "999999999999999999",
            "0.0000000000000001",
        ];
        for a in texts {
            let long = format!("{a}e0");
            assert!(number(a).short().is_some() && number(&long).short().is_none());
            assert_eq!(
                (number(a).as_u64(), number(a).as_i64()),
                (number(&long).as_u64(), number(&long).as_i64()),
                "{a}"
            );
            assert_eq!(number(a).is_integer(), number(&long).is_integer(), "{a}");
            for b in texts {
                assert_eq!(
                    number(a).compare(&number(b)),
                    number(&long).compare(&number(b)),
                    "{a} {b}"
                );
            }
        }
        assert!(number("1000000000000000000").short().is_none());
    }

    /// What sorting needs: a contradiction would panic it (numbers beyond a double's range once gave one).
    #[test]
    fn the_order_is_total() {
        let mut texts: Vec<String> = [
            "0",
            "-0",
            "0.0",
            "1",
            "-1",
            "10",
            "0.1",
            "1e1000000000000000000000",
            "1e-99999999999999999999",
        ]
        .map(str::to_owned)
        .to_vec();
        for exponent in [308, 309, 400, 401, 459] {
            for mantissa in ["1", "-1", "1.5", "-1.5"] {
                texts.extend([format!("{mantissa}e{exponent}"), format!("{mantissa}e-{exponent}")]);
            }
        }
        texts.extend([
            format!("1{}1", "0".repeat(49)),
            format!("1{}", "0".repeat(50)),
            "9".repeat(400),
        ]);
        for a in &texts {
            for b in &texts {
                assert_eq!(
                    number(a).compare(&number(b)),
                    number(b).compare(&number(a)).reverse(),
                    "{a} {b}"
                );
                for c in &texts {
                    let at_most = |x: &str, y: &str| number(x).compare(&number(y)) != Ordering::Greater;
                    assert!(!(at_most(a, b) && at_most(b, c)) || at_most(a, c), "{a} {b} {c}");
                }
            }
        }
        assert_ne!(number("1e-400"), number("0"));
    }

    #[test]
    fn multiples_are_exact() {
        assert!(number("0").is_multiple_of(&number("7")) && number("-14").is_multiple_of(&number("7")));
        assert!(number("1e400").is_multiple_of(&number("4")) && !number("1e400").is_multiple_of(&number("3")));
        assert!(!number(&format!("1{}1", "0".repeat(53))).is_multiple_of(&number("10")));
        assert!(!number("1").is_multiple_of(&number("0")) && !number("1").is_multiple_of(&number("-1")));
        assert!(number("0.0075").is_multiple_of(&number("0.0001")));
        assert!(number("4.5").is_multiple_of(&number("1.5")));
        assert!(!number("0.00751").is_multiple_of(&number("0.0001")));
        assert!(!number("1e308").is_multiple_of(&number("0.123456789")));
    }
}
