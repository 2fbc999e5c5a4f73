//! No refusal tells a value of the request: hostile requests of all kinds, drawn by a generator with a fixed seed.

use crate::scene::{Request, Scene, Verdict, request};

/// Stands in every value that is sent, and in no name.
const MARK: &str = "Zq7Zq";

const POLICY: &str = r#"{
    "requests": { "undeclared": "deny", "max_json_depth": 6, "max_json_members": 20, "max_string": 64, "max_body": "2KiB" },
    "threats": {},
    "operations": [ { "id": "all", "methods": ["POST"], "path": "/a/{n}", "unknown_parameters": "deny",
        "path_params": { "properties": { "n": { "enum": ["1", "2"] } } },
        "query": { "properties": { "i": { "type": "integer" }, "list": { "type": "array", "items": { "type": "boolean" } }, "t": { "pattern": "^[a-z]+$", "maxLength": 5 } } },
        "headers": { "properties": { "x-d": { "format": "date" } } }, "cookies": { "properties": { "c": { "const": "1" } } },
        "body": { "content": {
            "application/json": { "schema": { "type": "object", "additionalProperties": false, "properties": {
                "a": { "enum": [1, "x"] }, "b": { "type": "array", "uniqueItems": true, "items": { "minLength": 9, "format": "email" } },
                "c": { "oneOf": [ { "const": 1 }, { "pattern": "^x" } ] }, "d": { "not": { "type": "string" } }, "e": { "type": "object", "propertyNames": { "maxLength": 1 } } } } },
            "application/x-www-form-urlencoded": { "schema": { "properties": { "a": { "type": "integer" }, "b": { "maxLength": 2 } } } },
            "multipart/form-data": { "schema": { "properties": { "a": { "type": "integer" }, "b": { "contentMediaType": "image/png" } } } } } } } ]
}"#;

/// Xorshift (Marsaglia, 64 bits).
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn of<'t>(&mut self, all: &[&'t str]) -> &'t str {
        all[self.below(all.len())]
    }

    /// A value with the mark in it, and whatever breaks readers around it.
    fn value(&mut self) -> String {
        const AROUND: [&str; 12] = [
            "", "1", "'--", "<script>", "\"", "\\", "%00", "%zz", "é", "../", "\u{7f}", ";",
        ];
        let (before, after) = (self.of(&AROUND), self.of(&AROUND));
        format!("{before}{}{after}", MARK.repeat(1 + self.below(20)))
    }

    fn json(&mut self, depth: usize) -> String {
        match self.below(if depth == 0 { 3 } else { 6 }) {
            0 | 1 => format!("\"{}\"", self.value().replace('"', "")),
            2 => self.of(&["1", "nul", "1e999", "{", "]", "\"\\ud800\""]).to_owned(),
            3 => format!("[{},{}]", self.json(depth - 1), self.json(depth - 1)),
            _ => {
                let (first, second) = (self.of(&["a", "b", "c"]), self.of(&["b", "d", "e", "f"]));
                format!(
                    "{{\"{first}\":{},\"{second}\":{}}}",
                    self.json(depth - 1),
                    self.json(depth - 1)
                )
            }
        }
    }

    fn request(&mut self) -> Request {
        let path = match self.below(4) {
            0 => format!("/a/{}", self.value()),
            1 => format!("/{}", self.value()),
            _ => "/a/1".to_owned(),
        };
        let query: Vec<String> = (0..self.below(4))
            .map(|_| format!("{}={}", self.of(&["i", "list", "t", "u", "i[]"]), self.value()))
            .collect();
        let mut request = request("POST", &format!("{path}?{}", query.join("&")));
        for name in ["x-d", "x-other", "cookie", "content-length", "content-encoding"] {
            if self.below(8) == 0 {
                let start = if name == "cookie" { self.of(&["c=", "d="]) } else { "" };
                request = request.field(name, format!("{start}{}", self.value()));
            }
        }
        let pair = |draw: &mut Self| format!("{}={}", draw.of(&["a", "b", "c"]), draw.value());
        let (kind, body) = match self.below(5) {
            0 => (
                "application/x-www-form-urlencoded".to_owned(),
                format!("{}&{}", pair(self), pair(self)),
            ),
            1 => {
                let (name, head) = (
                    self.of(&["a", "b", "c"]),
                    self.of(&["", "; filename=x", "; x=1", "\r\nX: 1"]),
                );
                let part = format!(
                    "--B\r\nContent-Disposition: form-data; name={name}{head}\r\n\r\n{}\r\n",
                    self.value()
                );
                (
                    "multipart/form-data; boundary=B".to_owned(),
                    part + self.of(&["--B--", "--B", ""]),
                )
            }
            2 => (self.value(), self.value()),
            _ => ("application/json".to_owned(), self.json(3)),
        };
        request.field("content-type", kind).body(body)
    }
}

#[test]
fn no_refusal_holds_a_value_of_the_request() {
    let scene = Scene::new(POLICY);
    let mut draw = Draw(0x9E37_79B9_7F4A_7C15);
    let mut codes = std::collections::BTreeMap::new();
    for _ in 0..20_000 {
        let request = draw.request();
        let exchange = scene.send(&request);
        let Verdict::Denied(code) = exchange.verdict() else {
            continue;
        };
        *codes.entry(code).or_insert(0) += 1;
        let reply = exchange.into_reply();
        assert!(!reply.body.contains(MARK), "{code}: {}", reply.body);
        assert!(reply.headers.iter().all(|(_, value)| !value.contains(MARK)), "{code}");
    }
    println!("{codes:?}");
    assert!(codes.len() >= 12, "{codes:?}");
}
