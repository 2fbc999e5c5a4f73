//! Which members or items of one value the schemas that hold for it have looked at: what `unevaluatedProperties` and
//! `unevaluatedItems` go by (core §11). What a schema that failed has seen does not count.

use crate::json::Value;

/// By position in the array or object.
#[derive(Debug, Default)]
pub struct Seen {
    marks: Vec<bool>,
}

impl Seen {
    /// Nothing seen of this value.
    pub fn none(value: &Value<'_>) -> Self {
        let length = match value {
            Value::Array(items) => items.len(),
            Value::Object(members) => members.len(),
            _ => 0,
        };
        Self {
            marks: vec![false; length],
        }
    }

    pub fn len(&self) -> usize {
        self.marks.len()
    }

    pub fn mark(&mut self, at: usize) {
        if let Some(mark) = self.marks.get_mut(at) {
            *mark = true;
        }
    }

    pub fn is_marked(&self, at: usize) -> bool {
        self.marks.get(at).copied().unwrap_or(false)
    }

    /// Takes over what another has seen of the same value.
    pub fn add(&mut self, other: &Self) {
        for (mark, more) in self.marks.iter_mut().zip(&other.marks) {
            *mark |= more;
        }
    }
}
