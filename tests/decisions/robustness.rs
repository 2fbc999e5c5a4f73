//! Requests that nobody sends on purpose, thousands of them: the pipeline answers each, and never panics.

use crate::scene::{Scene, Verdict, request};

/// A small deterministic generator, so that a failure is found again.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Bytes cut and pasted from fragments that matter to some parser, with a few bytes at random.
    pub fn bytes(&mut self, fragments: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for _ in 0..self.below(12) {
            match self.below(8) {
                0 => out.push(u8::try_from(self.below(256)).unwrap()),
                1 => {
                    let at = self.below(out.len() + 1);
                    out.truncate(at);
                }
                _ => out.extend(self.pick(fragments)),
            }
        }
        out
    }
}

const POLICY: &str = r#"{
  "requests": { "max_body": 4096, "max_json_depth": 8, "max_json_members": 50 },
  "operations": [ { "methods": ["POST"], "path": "/a/{b}", "body": { "content": { "application/json": { "schema": {
      "type": "object", "patternProperties": { "^x": { "uniqueItems": true } }, "additionalProperties": { "anyOf": [ { "type": "number", "multipleOf": 0.1 }, { "format": "date-time" } ] } } } } } } ],
  "quotas": [ { "name": "q", "limit": 1000000000, "window": "1s" } ],
  "login": { "client": { "attempts": 1000000 } },
  "tokens": { "default": "optional", "providers": [ { "issuer": "i", "audiences": ["a"], "algorithms": ["HS256"], "jwks": { "inline": { "keys": [ { "kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY" } ] } } } ] } }"#;

#[test]
fn no_request_panics_the_pipeline() {
    let scene = Scene::new(POLICY);
    let mut random = Random(0x1234_5678_9ABC_DEF1);
    let path: [&[u8]; 14] = [
        b"/", b"/a", b"/login", b"..", b".", b";", b"%2e", b"%", b"%2f", b"%C3%A9", b"\xff", b"?", b"#", b"\\",
    ];
    let json: [&[u8]; 20] = [
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b"\"x\":",
        b",",
        b":",
        b"1",
        b"-0.1e9",
        b"1e-999",
        b"\\u",
        b"\\ud800",
        b"true",
        b"null",
        b" ",
        b"\xc3",
        b"\"2026-01-01T00:00:00Z\"",
        b"\"a\":",
        b"e",
    ];
    let token: [&[u8]; 10] = [
        b"Bearer ",
        b"bearer",
        b"eyJhbGciOiJIUzI1NiJ9",
        b".",
        b"eyJpc3MiOiJpIn0",
        b"e30",
        b"=",
        b",",
        b"\x80",
        b"AAAA",
    ];
    let media: [&[u8]; 10] = [
        b"application/json",
        b"text/",
        b";",
        b"charset=",
        b"\"",
        b"utf-8",
        b",",
        b"*/*",
        b"+json",
        b"\\",
    ];
    let mut verdicts = [0_u32; 2];
    for _ in 0..20_000 {
        let method = random.pick(&["POST", "GET", "PUT", "post", "X-Y", ""]);
        let mut sent = request(method, "").path_bytes([b"/", &random.bytes(&path)[..]].concat());
        for _ in 0..random.below(3) {
            sent = sent.field("authorization", random.bytes(&token));
        }
        for name in ["content-type", "content-length", "content-encoding", "x-http-method"] {
            if random.below(3) == 0 {
                sent = sent.field(name, random.bytes(&media));
            }
        }
        if random.below(3) > 0 {
            sent = sent.field("content-type", "application/json").body(random.bytes(&json));
        }
        match scene.send(&sent).verdict() {
            Verdict::Allowed => verdicts[0] += 1,
            Verdict::Denied(code) => {
                assert_ne!(code, "internal");
                verdicts[1] += 1;
            }
            Verdict::Waits(need) => panic!("{need:?}"),
        }
    }
    // Both ways were gone often: the generator does not just make one kind.
    assert!(verdicts.iter().all(|count| *count > 500), "{verdicts:?}");
}
