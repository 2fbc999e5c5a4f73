//! A whole request through the threats guard: its target on the first line, fields on the next ones up to an empty line, then
//! its body. The guard alone judges it, with requests validated and without, enforced and in shadow.

use portcullis::config;
use portcullis::engine::Engine;
use portcullis::host::memory::MemoryHost;
use portcullis::pipeline::{Pipeline, Step};
use portcullis::request::Head;
use std::rc::Rc;

struct Judge {
    host: MemoryHost,
    /// Enforced, the same in shadow, and both with requests validated.
    engines: [Rc<Engine>; 4],
}

impl Judge {
    fn new() -> Self {
        let host = MemoryHost::default();
        let engines = [
            r#"{"threats":{}}"#,
            r#"{"threats":{"mode":"shadow"}}"#,
            r#"{"threats":{},"requests":{}}"#,
            r#"{"threats":{"mode":"shadow"},"requests":{}}"#,
        ]
        .map(|policy| Rc::new(Engine::new(config::load(policy.as_bytes()).expect("a policy"), &host).expect("cells")));
        Self { host, engines }
    }

    /// The code of the refusal, and the codes that shadow mode let pass.
    fn judge(
        &self,
        engine: &Rc<Engine>,
        fields: &[(&str, &[u8])],
        body: &[u8],
    ) -> (Option<&'static str>, Vec<&'static str>) {
        let mut pipeline = Pipeline::new(Rc::clone(engine));
        let head = Head::from_fields(fields.iter().copied());
        let mut step = pipeline.head(&self.host, Some(head), body.is_empty());
        if matches!(step, Step::Hold) {
            let bytes = u64::try_from(body.len()).expect("a length");
            step = pipeline.body_ended(&self.host, bytes, || Some(body.to_vec()));
        }
        let shadowed = pipeline
            .take_shadowed()
            .into_iter()
            .map(|reason| reason.code())
            .collect();
        let refused = match step {
            Step::Allow => None,
            Step::Deny(reply) => Some(reply.code),
            Step::Hold | Step::Wait(_) => panic!("there is nothing to wait for"),
        };
        pipeline.finish(&self.host);
        (refused, shadowed)
    }
}

thread_local! {
    static JUDGE: Judge = Judge::new();
}

pub fn run(input: &[u8]) {
    let end = input.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = match end {
        Some(end) => (&input[..end], &input[end + 2..]),
        None => (input, &b""[..]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let target = lines.next().unwrap_or_default();
    let mut fields: Vec<(&str, &[u8])> = vec![
        (":method", if body.is_empty() { b"GET" } else { b"POST" }),
        (":authority", b"api.example"),
        (":path", target),
    ];
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let name = std::str::from_utf8(&line[..colon]).unwrap_or_default();
        if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') {
            fields.push((name, line.get(colon + 1..).unwrap_or_default()));
        }
    }
    JUDGE.with(|judge| {
        for pair in judge.engines.chunks(2) {
            let [enforcing, trying] = pair else { continue };
            let (refused, _) = judge.judge(enforcing, &fields, body);
            let (let_go, shadowed) = judge.judge(trying, &fields, body);
            assert_eq!(judge.judge(enforcing, &fields, body).0, refused, "judged anew");
            // Shadow refuses nothing that is the guard's matter, and tells what enforcing would have refused.
            let ours = |code: &&str| code.starts_with("threat_");
            assert_eq!(let_go.as_ref().filter(|code| ours(code)), None, "refused in shadow");
            if let Some(code) = refused.as_ref().filter(|code| ours(code)) {
                assert!(shadowed.contains(code), "{code} is not among {shadowed:?}");
            } else {
                assert_eq!(let_go, refused, "what others refuse is refused in shadow too");
            }
        }
    });
}
