//! The orders: a list in memory, each seen by its owner only. Past the bound the oldest goes.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::lock;

const ORDERS_MAX: usize = 10_000;
const LISTED_MAX: usize = 100;
const ITEMS_MAX: usize = 20;
const QTY_MAX: u32 = 99;
const NOTE_CHARS_MAX: usize = 500;

/// What a caller sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draft {
    items: Vec<Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    sku: String,
    qty: u32,
}

impl Draft {
    /// The bounds that the gateway's schema sets too; this service does not count on it.
    pub(crate) fn is_valid(&self) -> bool {
        let note_fits = self
            .note
            .as_ref()
            .is_none_or(|note| note.chars().count() <= NOTE_CHARS_MAX);
        (1..=ITEMS_MAX).contains(&self.items.len()) && note_fits && self.items.iter().all(Item::is_valid)
    }
}

impl Item {
    fn is_valid(&self) -> bool {
        (1..=QTY_MAX).contains(&self.qty) && is_sku(self.sku.as_bytes())
    }
}

/// Three capital letters, a hyphen, four digits.
fn is_sku(sku: &[u8]) -> bool {
    match sku {
        [a, b, c, b'-', digits @ ..] => {
            [a, b, c].iter().all(|byte| byte.is_ascii_uppercase())
                && digits.len() == 4
                && digits.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}

/// What a caller gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Order {
    pub(crate) id: u64,
    #[serde(flatten)]
    draft: Draft,
}

#[derive(Default)]
pub(crate) struct Orders(Mutex<Book>);

#[derive(Default)]
struct Book {
    last_id: u64,
    by_id: BTreeMap<u64, (String, Draft)>,
}

impl Orders {
    pub(crate) fn create(&self, owner: &str, draft: Draft) -> Order {
        let mut book = lock(&self.0);
        book.last_id += 1;
        let id = book.last_id;
        if book.by_id.len() == ORDERS_MAX {
            book.by_id.pop_first();
        }
        book.by_id.insert(id, (owner.to_owned(), draft.clone()));
        Order { id, draft }
    }

    /// The owner's orders, newest first, a hundred at most.
    pub(crate) fn list(&self, owner: &str) -> Vec<Order> {
        let book = lock(&self.0);
        let own = book.by_id.iter().rev().filter(|(_, (name, _))| name == owner);
        own.take(LISTED_MAX)
            .map(|(id, (_, draft))| Order {
                id: *id,
                draft: draft.clone(),
            })
            .collect()
    }

    /// The order, if it is the owner's.
    pub(crate) fn find(&self, owner: &str, id: u64) -> Option<Order> {
        let book = lock(&self.0);
        let (name, draft) = book.by_id.get(&id)?;
        (name == owner).then(|| Order {
            id,
            draft: draft.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn draft(value: Value) -> Option<Draft> {
        serde_json::from_value(value).ok().filter(Draft::is_valid)
    }

    fn of(sku: &str, qty: u32) -> Value {
        json!({ "items": [{ "sku": sku, "qty": qty }] })
    }

    #[test]
    fn a_draft_has_bounds() {
        let many = |n: usize| json!({ "items": vec![json!({ "sku": "ABC-1234", "qty": 1 }); n] });
        let note = |n: usize| json!({ "items": [{ "sku": "ABC-1234", "qty": 1 }], "note": "é".repeat(n) });
        let rows = [
            (of("ABC-1234", 1), true),
            (of("ABC-1234", 99), true),
            (of("ABC-1234", 0), false),
            (of("ABC-1234", 100), false),
            (of("abc-1234", 1), false),
            (of("ABC-123", 1), false),
            (of("ABC-12345", 1), false),
            (of("ABC-12٣4", 1), false),
            (many(0), false),
            (many(20), true),
            (many(21), false),
            (note(500), true),
            (note(501), false),
            (json!({ "items": [{ "sku": "ABC-1234", "qty": 1, "price": 0 }] }), false),
            (json!({ "items": [], "owner": "x" }), false),
        ];
        for (value, valid) in rows {
            assert_eq!(draft(value.clone()).is_some(), valid, "{value}");
        }
    }

    #[test]
    fn an_order_belongs_to_its_owner() {
        let orders = Orders::default();
        let order = orders.create("ada", draft(of("ABC-1234", 2)).unwrap());
        assert_eq!(orders.find("ada", order.id), Some(order.clone()));
        assert_eq!(orders.find("bob", order.id), None);
        assert_eq!(orders.list("ada"), [order]);
        assert_eq!(orders.list("bob"), []);
    }

    #[test]
    fn the_oldest_order_makes_room() {
        let orders = Orders::default();
        let draft = draft(of("ABC-1234", 2)).unwrap();
        for _ in 0..=ORDERS_MAX {
            orders.create("ada", draft.clone());
        }
        assert_eq!(orders.find("ada", 1), None);
        assert!(orders.find("ada", 2).is_some());
        assert_eq!(orders.list("ada").len(), LISTED_MAX);
    }
}
