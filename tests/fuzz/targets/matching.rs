//! Operation matching: the tree finds what comparing with every template one by one finds.

use portcullis::operation::{Route, Router, Segment, parse_template};

const WORDS: [&str; 4] = ["a", "b", "c", "{p}"];
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "HEAD"];

/// Each template is a byte of method and length, and a byte for each segment; a zero byte ends the templates.
pub fn run(input: &[u8]) {
    let mut bytes = input.iter().copied();
    let mut router = Router::default();
    let mut all: Vec<(&str, Vec<Segment>)> = Vec::new();
    while let Some(head) = bytes.next()
        && head != 0
        && all.len() < 64
    {
        let words = bytes.by_ref().take(usize::from(head >> 2 & 7));
        let mut text = String::new();
        for (i, byte) in words.enumerate() {
            text.push('/');
            text.push_str(&WORDS[usize::from(byte & 3)].replace('p', &format!("p{i}")));
        }
        let method = METHODS[usize::from(head & 3)];
        let template = parse_template(if text.is_empty() { "/" } else { &text }).expect("a template");
        let clash = all
            .iter()
            .any(|(known, other)| *known == method && same(other, &template));
        assert_eq!(router.insert(method, &template, all.len()).is_err(), clash);
        if !clash {
            all.push((method, template));
        }
    }
    let method = METHODS[usize::from(bytes.next().unwrap_or(0) & 3)];
    let segments: Vec<&str> = bytes
        .take(8)
        .map(|b| ["a", "b", "c", "d"][usize::from(b & 3)])
        .collect();
    let matching = all
        .iter()
        .enumerate()
        .filter(|(_, (_, template))| matches(template, &segments));
    let best = |wanted: &str| {
        let of_method = matching.clone().filter(|(_, (method, _))| *method == wanted);
        of_method.max_by_key(|(_, (_, template))| concreteness(template))
    };
    // At one template, a HEAD of its own goes before GET's.
    let own = best(method);
    let get = best("GET").filter(|_| method == "HEAD");
    let expected = own
        .into_iter()
        .chain(get)
        .max_by_key(|(_, (method, template))| (concreteness(template), *method == "HEAD"));
    match (router.find(method, &segments), expected) {
        (Route::Found(found), Some((at, _))) => assert_eq!(*found, at),
        (Route::OtherMethods(methods), None) => {
            assert!(matching.clone().next().is_some() && !methods.contains(&method));
            assert!(matching.clone().all(|(_, (known, _))| methods.contains(known)));
        }
        (Route::Undeclared, None) => assert!(matching.clone().next().is_none()),
        (found, expected) => panic!("{found:?}, expected {expected:?}"),
    }
}

fn same(one: &[Segment], other: &[Segment]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|pair| match pair {
            (Segment::Literal(one), Segment::Literal(other)) => one == other,
            (Segment::Parameter(_), Segment::Parameter(_)) => true,
            _ => false,
        })
}

fn matches(template: &[Segment], segments: &[&str]) -> bool {
    template.len() == segments.len()
        && template.iter().zip(segments).all(|(part, segment)| match part {
            Segment::Literal(text) => text == segment,
            Segment::Parameter(_) => true,
        })
}

/// Segment by segment from the left, a literal before a parameter.
fn concreteness(template: &[Segment]) -> Vec<bool> {
    template
        .iter()
        .map(|part| matches!(part, Segment::Literal(_)))
        .collect()
}
