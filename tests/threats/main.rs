//! Grades the `threats` guard natively, through the whole pipeline: true and false positives of each public corpus, and
//! their means. Without the corpora it is skipped.

// A test that can't go on says so by panicking.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)]

mod corpus;

use corpus::Sample;
use portcullis::config;
use portcullis::engine::Engine;
use portcullis::host::memory::MemoryHost;
use portcullis::pipeline::{Pipeline, Step};
use portcullis::request::Head;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The reason's code and rule of a refusal; `None` if it is let go.
fn judge(host: &MemoryHost, engine: &Rc<Engine>, sample: &Sample) -> Option<String> {
    let pseudo: [(&str, &[u8]); 3] = [
        (":method", sample.method.as_bytes()),
        (":path", &sample.target),
        (":authority", b"api.example"),
    ];
    let fields = sample
        .fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_slice()));
    let mut pipeline = Pipeline::new(Rc::clone(engine));
    let mut step = pipeline.head(
        host,
        Some(Head::from_fields(pseudo.into_iter().chain(fields))),
        sample.body.is_none(),
    );
    if let (Step::Hold, Some(body)) = (&step, &sample.body) {
        step = pipeline.body_ended(host, u64::try_from(body.len()).unwrap(), || Some(body.clone()));
    }
    match step {
        Step::Deny(reply) => Some(match reply.body.split_once("matches ") {
            Some((_, rule)) => rule.split('"').next().unwrap_or_default().to_owned(),
            None => reply.code.to_owned(),
        }),
        _ => None,
    }
}

#[derive(Default)]
struct Count {
    all: u32,
    refused: u32,
}

impl Count {
    fn rate(&self) -> f64 {
        f64::from(self.refused) / f64::from(self.all.max(1))
    }
}

fn grade(samples: &[Sample], show: Option<&str>) -> BTreeMap<String, Count> {
    let host = MemoryHost::default();
    let engine = Rc::new(Engine::new(config::load(br#"{"threats":{}}"#).unwrap(), &host).unwrap());
    let mut groups: BTreeMap<String, Count> = BTreeMap::new();
    for sample in samples {
        let verdict = judge(&host, &engine, sample);
        let count = groups.entry(sample.group.clone()).or_default();
        count.all += 1;
        count.refused += u32::from(verdict.is_some());
        let wrong = match show {
            Some("misses") => verdict.is_none(),
            Some("alarms") => verdict.is_some(),
            _ => false,
        };
        if wrong {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().take(400).collect::<String>();
            let fields: Vec<_> = sample
                .fields
                .iter()
                .filter(|(n, v)| {
                    !n.starts_with("accept")
                        && v != b"OWASP CRS test agent"
                        && v != b"application/x-www-form-urlencoded"
                })
                .map(|(n, v)| format!("{n}={}", text(v)))
                .collect();
            println!(
                "{} [{}] {} {:?} {:?} {:?}",
                sample.group,
                sample.label,
                verdict.unwrap_or_default(),
                text(&sample.target),
                fields,
                sample.body.as_deref().map(text)
            );
        }
    }
    groups
}

fn report(title: &str, groups: &BTreeMap<String, Count>) -> (f64, f64) {
    println!("{title}");
    let mut total = Count::default();
    for (name, count) in groups {
        println!(
            "  {name:45} {:6} of {:6}  {:6.2} %",
            count.refused,
            count.all,
            100.0 * count.rate()
        );
        total.all += count.all;
        total.refused += count.refused;
    }
    let mean = groups.values().map(Count::rate).sum::<f64>() / f64::from(u32::try_from(groups.len().max(1)).unwrap());
    println!(
        "  {:45} {:6} of {:6}  {:6.2} %, mean {:6.2} %",
        "all",
        total.refused,
        total.all,
        100.0 * total.rate(),
        100.0 * mean
    );
    (total.rate(), mean)
}

#[test]
fn attacks_are_caught_and_ordinary_requests_pass() {
    if let Ok(more) = std::env::var("PORTCULLIS_MORE") {
        let show = std::env::var("SHOW").ok();
        report("more", &grade(&corpus::more(more.as_ref()), show.as_deref()));
        return;
    }
    let Some(vectors) = corpus::vectors() else {
        println!("skipped: no vectors");
        return;
    };
    let show = std::env::var("SHOW").ok();
    let is = |what: &str| show.as_deref().filter(|s| *s == what);
    let (caught, caught_mean) = report("caught", &grade(&corpus::attacks(&vectors), is("misses")));
    let (alarms, alarms_mean) = report("false alarms", &grade(&corpus::benign(&vectors), is("alarms")));
    let balanced = |caught: f64, alarms: f64| 100.0 * (caught + 1.0 - alarms) / 2.0;
    println!(
        "balanced accuracy {:.2} %, of the means {:.2} %",
        balanced(caught, alarms),
        balanced(caught_mean, alarms_mean)
    );
}
