//! A total order over JSON values, in which equal means equal as JSON Schema has it: sorting by one with contradictions
//! panics.

use crate::json::{Object, Value};
use crate::sort;
use std::cmp::Ordering;

/// A total order in which equal means equal as JSON Schema has it.
pub fn order(a: &Value<'_>, b: &Value<'_>) -> Ordering {
    let rank = |value: &Value<'_>| match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    };
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => a.compare(b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => {
            let first_difference = a
                .iter()
                .zip(b)
                .map(|(a, b)| order(a, b))
                .find(|o| *o != Ordering::Equal);
            first_difference.unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        (Value::Object(a), Value::Object(b)) => {
            let sorted = |object: &Object<'_>| {
                let mut names: Vec<String> = object.iter().map(|(name, _)| name.to_owned()).collect();
                sort::by(&mut names, Ord::cmp);
                names.dedup();
                names
            };
            let (names_a, names_b) = (sorted(a), sorted(b));
            names_a.cmp(&names_b).then_with(|| {
                let values = names_a
                    .iter()
                    .filter_map(|name| Some(order(a.get(name)?, b.get(name)?)));
                values
                    .into_iter()
                    .find(|o| *o != Ordering::Equal)
                    .unwrap_or(Ordering::Equal)
            })
        }
        _ => rank(a).cmp(&rank(b)),
    }
}
