//! Operation matching: the tree finds what comparing with every declaration one by one finds.

use portcullis::operation::{HostPattern, Route, Router, Segment, parse_template};

const WORDS: [&str; 4] = ["a", "b", "{p}", "{p=**}"];
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "HEAD"];
const PATTERNS: [&str; 4] = ["", "x.y", "*.y", "*.x.y"];
const HOSTS: [&str; 8] = ["x.y", "X.Y:80", "z.y", "y", "a.x.y.", "a.b.x.y", "other", ""];

struct Declaration {
    host: Option<HostPattern>,
    method: &'static str,
    template: Vec<Segment>,
}

/// Each declaration is a byte of method, host and length, and a byte for each segment; a zero byte ends them.
pub fn run(input: &[u8]) {
    let mut bytes = input.iter().copied();
    let mut router = Router::default();
    let mut all: Vec<Declaration> = Vec::new();
    while let Some(head) = bytes.next()
        && head != 0
        && all.len() < 64
    {
        let mut text = String::new();
        for (i, byte) in bytes.by_ref().take(usize::from(head >> 4 & 7)).enumerate() {
            text.push('/');
            text.push_str(&WORDS[usize::from(byte & 3)].replace('p', &format!("p{i}")));
        }
        // Only one that ends with `**` is a template.
        let Some(template) = parse_template(if text.is_empty() { "/" } else { &text }) else {
            continue;
        };
        let method = METHODS[usize::from(head & 3)];
        let host = HostPattern::parse(PATTERNS[usize::from(head >> 2 & 3)]);
        let known = |d: &Declaration| d.method == method && d.host == host && shape(&d.template) == shape(&template);
        let clash = all.iter().any(known);
        let inserted = match &host {
            None => router.insert(method, &template, all.len()).is_ok(),
            Some(host) => router.insert_for(host, method, &template, all.len()).is_ok(),
        };
        assert_eq!(inserted, !clash);
        if inserted {
            all.push(Declaration { host, method, template });
        }
    }
    let choice = bytes.next().unwrap_or(0);
    let (method, host) = (METHODS[usize::from(choice & 3)], HOSTS[usize::from(choice >> 2 & 7)]);
    let segments: Vec<&str> = bytes.take(8).map(|b| ["a", "b", "c"][usize::from(b % 3)]).collect();
    let matching: Vec<(usize, &Declaration)> = all
        .iter()
        .enumerate()
        .filter(|(_, d)| d.admits(host) && d.matches(&segments))
        .collect();
    let serves = |d: &Declaration| d.method == method || (method == "HEAD" && d.method == "GET");
    let able = matching.iter().filter(|(_, d)| serves(d));
    // At one template, a HEAD of its own goes before GET's.
    let best = able.max_by_key(|(_, d)| (d.concreteness(), d.method == method));
    match (router.find_for(host, method, &segments), best) {
        (Route::Found(found), Some((at, _))) => assert_eq!(found, at),
        (Route::OtherMethods(methods), None) => {
            assert!(!matching.is_empty() && !methods.contains(&method));
            assert!(matching.iter().all(|(_, d)| methods.contains(&d.method)));
        }
        (Route::Undeclared, None) => assert!(matching.is_empty()),
        (found, best) => panic!("{found:?}, expected {:?}", best.map(|(at, _)| at)),
    }
}

/// What a template matches by, without names.
fn shape(template: &[Segment]) -> Vec<Option<&str>> {
    let parts = template.iter().map(|segment| match segment {
        Segment::Literal(text) => Some(text.as_str()),
        Segment::Parameter(_) => None,
        Segment::Rest(_) => Some("**"),
    });
    parts.collect()
}

impl Declaration {
    fn admits(&self, authority: &str) -> bool {
        let host = authority.to_lowercase().replace(":80", "");
        let host = host.trim_end_matches('.');
        match &self.host {
            None => true,
            Some(HostPattern::Exact(name)) => host == name,
            Some(HostPattern::Below(domain)) => host.len() > domain.len() && host.ends_with(domain),
        }
    }

    fn matches(&self, segments: &[&str]) -> bool {
        let rest = matches!(self.template.last(), Some(Segment::Rest(_)));
        let fixed = self.template.len() - usize::from(rest);
        let fits = if rest {
            segments.len() >= fixed
        } else {
            segments.len() == fixed
        };
        fits && self.template.iter().zip(segments).all(|(part, segment)| match part {
            Segment::Literal(text) => text == segment,
            Segment::Parameter(_) | Segment::Rest(_) => true,
        })
    }

    /// The host, then segment by segment from the left.
    fn concreteness(&self) -> (usize, Vec<u8>) {
        let host = match &self.host {
            None => 0,
            Some(HostPattern::Below(domain)) => domain.len(),
            Some(HostPattern::Exact(_)) => usize::MAX,
        };
        let parts = self.template.iter().map(|part| match part {
            Segment::Literal(_) => 2,
            Segment::Parameter(_) => 1,
            Segment::Rest(_) => 0,
        });
        // The end of a template is more concrete than a rest that takes nothing.
        (host, parts.chain([3]).collect())
    }
}
