//! Answers that a test has ordered for a path of the public listener: a status, a delay, fields, or all of it, for the next
//! requests.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;

use crate::lock;
use crate::reply::Refusal;

const PATHS_MAX: usize = 100;
const DELAY_MS_MAX: u64 = 60_000;

/// The body of `POST /fail`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    path: String,
    /// Without it the real answer comes, only later.
    status: Option<u16>,
    #[serde(default = "one")]
    count: u32,
    #[serde(default)]
    delay_ms: u64,
    /// Fields to add to the answer, by name.
    #[serde(default)]
    headers: Vec<(String, String)>,
}

fn one() -> u32 {
    1
}

/// What the next answer of a path is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scripted {
    pub(crate) status: Option<StatusCode>,
    pub(crate) delay: Duration,
    pub(crate) headers: HeaderMap,
}

#[derive(Default)]
pub(crate) struct Scripts(Mutex<HashMap<String, (Scripted, u32)>>);

impl Scripts {
    /// Takes an order, in place of an earlier one for the same path; a count of 0 only withdraws that.
    pub(crate) fn place(&self, order: Order) -> Result<(), Refusal> {
        let status = match order.status {
            None => None,
            // 1xx is no final answer and would break the connection.
            Some(code) if code < 200 => return Err(Refusal::INVALID),
            Some(code) => Some(StatusCode::from_u16(code).map_err(|_| Refusal::INVALID)?),
        };
        if order.delay_ms > DELAY_MS_MAX {
            return Err(Refusal::INVALID);
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &order.headers {
            let name = HeaderName::try_from(name).map_err(|_| Refusal::INVALID)?;
            headers.append(name, HeaderValue::try_from(value).map_err(|_| Refusal::INVALID)?);
        }
        let mut scripts = lock(&self.0);
        if order.count == 0 {
            scripts.remove(&order.path);
            return Ok(());
        }
        if scripts.len() == PATHS_MAX && !scripts.contains_key(&order.path) {
            return Err(Refusal(StatusCode::INSUFFICIENT_STORAGE, "full"));
        }
        let scripted = Scripted {
            status,
            delay: Duration::from_millis(order.delay_ms),
            headers,
        };
        scripts.insert(order.path, (scripted, order.count));
        Ok(())
    }

    /// What was ordered for this request, which uses it up.
    pub(crate) fn take(&self, path: &str) -> Option<Scripted> {
        let mut scripts = lock(&self.0);
        let (scripted, left) = scripts.get_mut(path)?;
        let scripted = scripted.clone();
        *left -= 1;
        if *left == 0 {
            scripts.remove(path);
        }
        Some(scripted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(path: &str, status: u16, count: u32) -> Order {
        Order {
            path: path.to_owned(),
            status: Some(status),
            count,
            delay_ms: 0,
            headers: Vec::new(),
        }
    }

    #[test]
    fn an_order_serves_its_path_as_often_as_it_says() {
        let scripts = Scripts::default();
        scripts.place(order("/a", 503, 2)).unwrap();
        assert_eq!(scripts.take("/b"), None);
        let expected = Scripted {
            status: Some(StatusCode::SERVICE_UNAVAILABLE),
            delay: Duration::ZERO,
            headers: HeaderMap::new(),
        };
        assert_eq!(
            [scripts.take("/a"), scripts.take("/a"), scripts.take("/a")],
            [Some(expected.clone()), Some(expected), None]
        );
        scripts.place(order("/a", 503, 2)).unwrap();
        scripts.place(order("/a", 503, 0)).unwrap();
        assert_eq!(scripts.take("/a"), None);
    }

    #[test]
    fn orders_are_bounded() {
        let scripts = Scripts::default();
        for status in [0, 101, 199, 1000] {
            assert_eq!(scripts.place(order("/a", status, 1)), Err(Refusal::INVALID), "{status}");
        }
        for n in 0..PATHS_MAX {
            scripts.place(order(&format!("/{n}"), 500, 1)).unwrap();
        }
        assert!(scripts.place(order("/more", 500, 1)).is_err());
        scripts.place(order("/0", 501, 1)).unwrap();
    }
}
