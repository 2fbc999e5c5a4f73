//! Arrays.

use super::{Check, Notes, Problems, count, fault, plural};
use crate::json::Value;
use crate::json::pointer::Place;
use crate::schema::order::order;
use crate::schema::{ArrayRules, Contains};
use crate::sort;
use std::cmp::Ordering;

impl<'s> Check<'s> {
    pub(super) fn array(
        &mut self,
        rules: &'s ArrayRules,
        items: &[Value<'_>],
        place: Place<'_>,
        problems: &mut Problems,
        notes: &mut Notes<'_>,
    ) -> bool {
        let mut valid = true;
        let length = count(items.len());
        if let Some(least) = rules.items_min.filter(|least| length < *least) {
            valid = fault(problems, place, || {
                format!("must have at least {}", plural(least, "item", "items"))
            });
        }
        if let Some(most) = rules.items_max.filter(|most| length > *most) {
            return fault(problems, place, || {
                format!("must have at most {}", plural(most, "item", "items"))
            });
        }
        for (at, item) in items.iter().enumerate() {
            let Some(node) = rules.prefix.get(at).copied().or(rules.items) else {
                break;
            };
            valid &= self.node(node, item, Place::Element(&place, at), problems, None);
            if let Some(seen) = notes {
                seen.mark(at);
            }
            if !self.goes_on(valid, problems) {
                return false;
            }
        }
        if let Some(contains) = &rules.contains {
            valid &= self.contains(contains, items, place, problems, notes);
        }
        if rules.unique && !self.unique(items) {
            valid = fault(problems, place, || "must not hold an item twice".into());
        }
        valid
    }

    fn contains(
        &mut self,
        rules: &Contains,
        items: &[Value<'_>],
        place: Place<'_>,
        problems: &mut Problems,
        notes: &mut Notes<'_>,
    ) -> bool {
        let mut matching = 0_u64;
        for (at, item) in items.iter().enumerate() {
            if self.quietly(rules.node, item, Place::Element(&place, at)) {
                matching += 1;
                if let Some(seen) = notes.as_deref_mut().filter(|_| rules.marks) {
                    seen.mark(at);
                }
            }
            if self.exhausted {
                return false;
            }
        }
        if matching < rules.least {
            let least = rules.least;
            return fault(problems, place, || {
                format!(
                    "must hold at least {} of the required form",
                    plural(least, "item", "items")
                )
            });
        }
        match rules.most {
            Some(most) if matching > most => fault(problems, place, || {
                format!("must hold at most {} of this form", plural(most, "item", "items"))
            }),
            _ => true,
        }
    }

    /// Sorts by a total order and looks at neighbours; the cost is paid beforehand.
    fn unique(&mut self, items: &[Value<'_>]) -> bool {
        let levels = usize::BITS.saturating_sub(items.len().leading_zeros());
        let comparisons = items
            .len()
            .saturating_mul(usize::try_from(levels).unwrap_or(usize::MAX));
        if !self.pay(comparisons) {
            return false;
        }
        let mut sorted: Vec<&Value<'_>> = items.iter().collect();
        sort::by(&mut sorted, |a, b| order(a, b));
        sorted.windows(2).all(|pair| match pair {
            [a, b] => order(a, b) != Ordering::Equal,
            _ => true,
        })
    }
}
