//! The policies that are measured. Limits are far above what a run sends: what is measured is admitted.

use serde_json::{Value, json};

/// Who issues the tokens.
pub const ISSUER: &str = "https://id.example.com";

/// A token whose id starts so is revoked.
pub const REVOKED: &str = "out-";

/// The realistic order of a shop, its size in bytes about `bytes`.
pub fn order(bytes: usize) -> String {
    let body = |items: &[Value]| {
        json!({
            "customer": { "name": "Jane Doe", "email": "jane@example.com", "phone": "+44 20 7946 0000" },
            "address": { "street": "12 Long Lane", "city": "Oxford", "postcode": "OX1 2AB", "country": "GB" },
            "items": items, "note": "ring twice", "gift": false,
        })
        .to_string()
    };
    let mut items = Vec::new();
    let mut length = body(&items).len();
    loop {
        let number = items.len();
        let item =
            json!({ "sku": format!("ABC-{number:04}"), "qty": number % 9 + 1, "price": 19.99, "colour": "dark green" });
        length += item.to_string().len() + usize::from(number > 0);
        if length > bytes {
            return body(&items);
        }
        items.push(item);
    }
}

fn order_schema() -> Value {
    json!({
        "type": "object", "required": ["customer", "address", "items"], "additionalProperties": false,
        "properties": {
            "customer": { "type": "object", "required": ["name", "email"], "additionalProperties": false, "properties": {
                "name": { "type": "string", "minLength": 1, "maxLength": 80 }, "email": { "type": "string", "format": "email" },
                "phone": { "type": "string", "maxLength": 30 } } },
            "address": { "type": "object", "required": ["street", "city", "country"], "properties": {
                "street": { "type": "string", "maxLength": 120 }, "city": { "type": "string", "maxLength": 80 },
                "postcode": { "type": "string", "maxLength": 12 }, "country": { "enum": ["GB", "FR", "DE", "US"] } } },
            "items": { "type": "array", "minItems": 1, "maxItems": 20000, "items": {
                "type": "object", "required": ["sku", "qty"], "additionalProperties": false, "properties": {
                    "sku": { "type": "string", "pattern": "^[A-Z]{3}-[0-9]{4,5}$" }, "qty": { "type": "integer", "minimum": 1, "maximum": 100 },
                    "price": { "type": "number", "minimum": 0 }, "colour": { "type": "string", "maxLength": 30 } } } },
            "note": { "type": "string", "maxLength": 200 }, "gift": { "type": "boolean" },
        },
    })
}

pub fn requests() -> Value {
    json!({ "max_body": "1100KiB", "max_json_members": 200_000, "require_headers": ["user-agent"], "undeclared": "deny" })
}

/// So many networks, of which none can be merged with the next, and none holds who asks.
pub fn denied(count: u32) -> Value {
    let network = |n: u32| format!("{}/24", std::net::Ipv4Addr::from_bits((16 << 24) + (n << 9)));
    (0..count).map(network).collect()
}

/// Twelve operations of a shop, and more of the same kind up to `count`.
pub fn operations(count: usize, tokens: bool) -> Value {
    let body = json!({ "required": true, "content": { "application/json": { "schema": order_schema() } } });
    let mut list = vec![
        json!({ "id": "order", "methods": ["GET"], "path": "/orders/{id}" }),
        json!({ "id": "order-create", "methods": ["POST"], "path": "/orders", "body": body }),
        json!({ "id": "login", "methods": ["POST"], "path": "/login", "token": "none" }),
        json!({ "id": "admin", "methods": ["GET"], "path": "/admin/{id}", "scopes": ["admin"] }),
    ];
    let words = [
        "customers",
        "items",
        "invoices",
        "returns",
        "carts",
        "prices",
        "stores",
        "reviews",
    ];
    for number in list.len()..count.max(12) {
        let word = words[number % words.len()];
        let path = if number < 12 {
            format!("/{word}/{{id}}")
        } else {
            format!("/{word}/{{id}}/part-{number}/{{part}}")
        };
        list.push(json!({ "id": format!("{word}-{number}"), "methods": ["GET", "PUT"], "path": path }));
    }
    list.truncate(count.max(2));
    if !tokens {
        for operation in &mut list {
            if let Some(operation) = operation.as_object_mut() {
                operation.remove("scopes");
                operation.remove("token");
            }
        }
    }
    json!(list)
}

pub fn quota() -> Value {
    json!([{ "name": "per-client", "limit": 1_000_000_000, "window": "1s", "by": ["client"] }])
}

pub fn login(attempts: u32) -> Value {
    json!({
        "operations": [{ "methods": ["POST"], "path": "/login" }], "client": { "attempts": attempts, "window": "15m" },
        "ban": { "for": "15m", "scope": "all" },
    })
}

pub fn tokens(keys: &Value) -> Value {
    json!({ "providers": [{ "issuer": ISSUER, "audiences": ["api"], "algorithms": ["RS256", "ES256"], "jwks": { "inline": keys } }] })
}

pub fn revocation() -> Value {
    json!({ "lookup": { "cluster": "stand_in", "authority": "revocations", "path": "/revoked/{jti}",
        "revoked": { "status": [200] }, "valid": { "status": [404] } } })
}

/// The same by webdis, as the shipped policy has it.
pub fn lookup_in_redis() -> Value {
    json!({ "lookup": { "cluster": "revocations", "authority": "revocations", "path": "/EXISTS/revoked:{jti}",
        "revoked": { "json": "/EXISTS", "equals": 1 }, "timeout": "200ms", "cache": "1s" } })
}

/// All guards.
pub fn all(keys: &Value) -> Value {
    json!({
        "clients": { "deny": ["203.0.113.0/24"] },
        "requests": requests(), "operations": operations(12, true), "quotas": quota(), "login": login(5),
        "tokens": tokens(keys), "revocation": revocation(),
    })
}

/// All guards, and an OpenAPI document beside the shop's operations: `document`, which is whole.
pub fn with_document(keys: &Value, document: &Value) -> Value {
    let mut policy = all(keys);
    policy["openapi"] = document.clone();
    policy
}

/// All guards with so many operations.
pub fn with_operations(keys: &Value, count: usize) -> Value {
    let mut policy = all(keys);
    policy["operations"] = operations(count, true);
    policy
}

/// The same with a quota that is used up at once by a client of its own.
pub fn strict(keys: &Value) -> Value {
    let mut policy = all(keys);
    policy["quotas"] = json!([{ "name": "per-client", "limit": 1, "window": "1h", "by": ["client"] }]);
    policy
}

/// All guards and what they do not have by themselves: threats, parameters, forms, a token's age, and narrow bounds.
pub fn thorough(keys: &Value) -> Value {
    let mut policy = all(keys);
    policy["threats"] = json!({ "budget": "8KiB" });
    policy["tokens"]["providers"][0]["max_age"] = json!("24h");
    let form = json!({ "application/x-www-form-urlencoded": {}, "multipart/form-data": {} });
    if let Some(operations) = policy["operations"].as_array_mut() {
        operations.extend([
            json!({ "id": "search", "methods": ["GET"], "path": "/search", "query": { "properties": { "page": { "type": "integer" } } } }),
            json!({ "id": "note", "methods": ["POST"], "path": "/notes",
                    "body": { "required": true, "max": "2KiB", "content": { "application/json": {} } } }),
            json!({ "id": "text", "methods": ["POST"], "path": "/texts" }),
            json!({ "id": "form", "methods": ["POST"], "path": "/forms", "body": { "required": true, "content": form } }),
        ]);
    }
    policy["requests"]["max_json_members"] = json!(200);
    policy
}

/// Logins of which few are let through: six a client, two an account, three accounts a client.
pub fn narrow_login() -> Value {
    json!({
        "operations": [{ "methods": ["POST"], "path": "/login" }], "client": { "attempts": 6, "window": "15m" },
        "account": { "attempts": 2, "window": "1h", "from": ["/username"] }, "accounts_per_client": { "accounts": 3, "window": "1h" },
    })
}

/// The same guards on logins that are all let through: what the backend answers is no failure.
pub fn open_login() -> Value {
    let mut policy = narrow_login();
    policy["client"]["refunds"] = json!(4_000_000_000_u32);
    policy["failure"] = json!({ "statuses": [422] });
    policy
}

/// The id of a token that the source of revocations knows as revoked.
pub fn revoked_id() -> String {
    format!("{REVOKED}1")
}

/// A JSON body of about so many bytes of prose, in strings of 4 KiB at most: what free text costs.
pub fn prose(bytes: usize) -> String {
    const SENTENCE: &str =
        "The order came late on Monday, and the second parcel (a lamp) was broken; please send another. ";
    let text = |bytes: usize| SENTENCE.chars().cycle().take(bytes).collect::<String>();
    let whole = vec![text(4 << 10); bytes >> 12];
    let rest = Some(bytes & 0xFFF).filter(|rest| *rest > 0).map(text);
    json!({ "notes": whole.into_iter().chain(rest).collect::<Vec<_>>() }).to_string()
}

/// Ten query values such as a search has.
pub const TEN_VALUES: &str = "/orders/4711?q=dark+green+lamp&sort=-price&page=3&per_page=50&from=2024-05-01&to=2024-06-01&city=New%20York&tag=gift-wrap&email=jane%40example.com&ref=https%3A%2F%2Fshop.example.com%2Fsale";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_have_the_size_that_was_asked_for() {
        for bytes in [1 << 10, 16 << 10, 128 << 10, 1 << 20] {
            let length = order(bytes).len();
            assert!(length <= bytes && length + 80 > bytes, "{bytes}: {length}");
        }
    }
}
