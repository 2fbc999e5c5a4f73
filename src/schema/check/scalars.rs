//! Strings and numbers.

use super::{Check, Problems, count, fault, plural};
use crate::json::Number;
use crate::json::pointer::Place;
use crate::schema::{NumberRules, StringRules};
use std::cmp::Ordering;

impl Check<'_> {
    pub(super) fn string(
        &mut self,
        rules: &StringRules,
        text: &str,
        place: Place<'_>,
        problems: &mut Problems,
    ) -> bool {
        if !self.pay(text.len() / 64) {
            return false;
        }
        let mut valid = true;
        if rules.chars_min.is_some() || rules.chars_max.is_some() {
            let chars = count(text.bytes().filter(|byte| byte & 0xC0 != 0x80).count());
            if let Some(least) = rules.chars_min.filter(|least| chars < *least) {
                valid = fault(problems, place, || {
                    format!("must have at least {}", plural(least, "character", "characters"))
                });
            }
            if let Some(most) = rules.chars_max.filter(|most| chars > *most) {
                valid = fault(problems, place, || {
                    format!("must have at most {}", plural(most, "character", "characters"))
                });
            }
        }
        if let Some(regex) = &rules.pattern {
            // A string over its length is not matched: a pattern costs pattern times text.
            let matches = valid && {
                let found = regex.is_match(text, &mut self.work);
                self.exhausted |= found.is_err();
                found == Ok(true)
            };
            if !matches {
                valid = fault(problems, place, || "must match the pattern".into());
            }
        }
        if let Some(format) = rules.format
            && !format.admits(text)
        {
            valid = fault(problems, place, || format.describe().into());
        }
        valid
    }
}

pub(super) fn number(rules: &NumberRules, value: &Number<'_>, place: Place<'_>, problems: &mut Problems) -> bool {
    let mut valid = true;
    let bounds = [
        (&rules.minimum, Ordering::Less, rules.minimum_exclusive),
        (&rules.maximum, Ordering::Greater, rules.maximum_exclusive),
        (&rules.above, Ordering::Less, true),
        (&rules.below, Ordering::Greater, true),
    ];
    for (bound, beyond, exclusive) in bounds {
        let Some(bound) = bound else { continue };
        let order = value.compare(bound);
        if order == beyond || (exclusive && order == Ordering::Equal) {
            let words = match (beyond, exclusive) {
                (Ordering::Less, false) => "at least",
                (Ordering::Less, true) => "more than",
                (_, false) => "at most",
                (_, true) => "less than",
            };
            valid = fault(problems, place, || format!("must be {words} {}", bound.text()));
        }
    }
    if let Some(step) = &rules.multiple_of
        && !value.is_multiple_of(step)
    {
        valid = fault(problems, place, || format!("must be a multiple of {}", step.text()));
    }
    if let Some(bits) = rules.bits
        && !bits.admits(value)
    {
        valid = fault(problems, place, || bits.describe().into());
    }
    valid
}
