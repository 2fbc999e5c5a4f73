//! The bounds of issues 7 and 8: what was measured beside what it may be at most, or must be at least. Nothing fails here;
//! a bound that is not reached is said to be so.

use std::fmt;
use std::time::Duration;

use crate::cases::{ASKED_EACH_TIME, ASKED_EACH_TIME_ALONE, LOOKUP, LOOKUP_ALONE};
use crate::memory::Memory;
use crate::report::{Line, Middle};

const MIB: f64 = 1_048_576.0;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    AtMost(f64),
    AtLeast(f64),
    Below(f64),
}

#[derive(Clone, Debug)]
pub struct Bound {
    pub what: String,
    /// `None`: not measured in this run.
    pub value: Option<f64>,
    pub limit: Limit,
    /// Empty for a ratio.
    pub unit: &'static str,
}

impl Bound {
    /// Whether it holds; `None` if that was not measured. A value that is no number reaches nothing.
    pub fn reached(&self) -> Option<bool> {
        let value = self.value?;
        Some(match self.limit {
            Limit::AtMost(most) => value <= most,
            Limit::AtLeast(least) => value >= least,
            Limit::Below(most) => value < most,
        })
    }

    pub fn verdict(&self) -> &'static str {
        match self.reached() {
            Some(true) => "reached",
            Some(false) => "not reached",
            None => "not measured",
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<11}  {}: ", self.verdict(), self.what)?;
        if let Some(value) = self.value {
            let space = if self.unit.is_empty() { "" } else { " " };
            write!(f, "{value:.2}{space}{}, ", self.unit)?;
        }
        match self.limit {
            Limit::AtMost(most) => write!(f, "at most {most:.2}"),
            Limit::AtLeast(least) => write!(f, "at least {least:.2}"),
            Limit::Below(most) => write!(f, "below {most:.2}"),
        }
    }
}

/// What is measured beside the cases.
#[derive(Default)]
pub struct Figures {
    pub module_bytes: u64,
    /// Each start: whether on one core or on two, the set-up, and how long its first answer took.
    pub starts: Vec<(u32, &'static str, Duration)>,
    pub memories: Vec<Memory>,
}

impl Figures {
    /// Median seconds from start to first answer.
    pub fn start(&self, cores: u32, name: &str) -> Option<f64> {
        let of = |(on, setup, span): &(u32, &'static str, Duration)| {
            (*on == cores && *setup == name).then_some(span.as_secs_f64())
        };
        let spans: Vec<f64> = self.starts.iter().filter_map(of).collect();
        (!spans.is_empty()).then(|| Middle::of(spans).median)
    }
}

/// The configurations whose memory is measured, after bare Envoy.
pub const MEMORY_SETUPS: [&str; 3] = ["nothing", "all", "real"];

/// Every bound, whether it was measured or not; refusals only as far as they were.
pub fn bounds(lines: &[Line], figures: &Figures) -> Vec<Bound> {
    let mut bounds = Vec::new();
    let mut bound = |what: &str, value: Option<f64>, limit: Limit, unit: &'static str| {
        bounds.push(Bound {
            what: what.to_owned(),
            value,
            limit,
            unit,
        });
    };
    // What is added to a base that did not run is not known.
    let has_base = |line: &&Line| lines.iter().any(|base| base.name == line.base);
    let line = |name: &str| lines.iter().filter(has_base).find(|line| line.name == name);
    let added = |name: &str| line(name).map(|line| line.added.median);
    let measured = Some(figures.module_bytes as f64 / MIB).filter(|size| *size > 0.0);
    bound("module size", measured, Limit::AtMost(1.5), "MiB");
    for (cores, how) in [(1, "one core"), (2, "two cores")] {
        let start = |name| figures.start(cores, name);
        let more = start("all").zip(start("bare")).map(|(ours, bare)| ours - bare);
        let what = format!("start to first answer with all guards on {how}: more than without");
        bound(&what, more, Limit::AtMost(1.0), "s");
    }
    let memory = |name: &str| figures.memories.iter().find(|memory| memory.name == name);
    for name in MEMORY_SETUPS {
        let largest = memory(name).map(|memory| memory.largest() as f64 / MIB);
        let what = format!("a worker's VM, {name}: linear memory of the largest");
        bound(&what, largest, Limit::AtMost(16.0), "MiB");
        let second = memory(name).zip(memory("bare"));
        let second = second.map(|(ours, bare)| (ours.second_worker() - bare.second_worker()) as f64 / MIB);
        let what = format!("a worker's VM, {name}: resident memory that a second worker adds over bare Envoy's");
        bound(&what, second, Limit::AtMost(16.0), "MiB");
    }
    bound(
        "all guards, cached token, GET: added",
        added("all guards"),
        Limit::AtMost(15.0),
        "µs",
    );
    let share = added("all guards")
        .zip(added("native chain"))
        .map(|(ours, chain)| ours / chain);
    bound(
        "all guards: share of the native chain's added CPU",
        share,
        Limit::AtMost(0.25),
        "",
    );
    let rate = line("all guards, proxied").map(|line| line.rate_ratio);
    bound(
        "all guards, proxied: throughput over bare Envoy's",
        rate,
        Limit::AtLeast(0.75),
        "",
    );
    let over_empty = added("nothing configured")
        .zip(added("empty filter"))
        .map(|(ours, empty)| ours - empty);
    bound(
        "nothing configured: above the empty filter",
        over_empty,
        Limit::AtMost(1.5),
        "µs",
    );
    bound(
        "all guards, 1 KiB of JSON: over Envoy that buffers",
        added("1 KiB, all guards"),
        Limit::AtMost(40.0),
        "µs",
    );
    for (ours, native, how) in [
        (LOOKUP, ASKED_EACH_TIME, ""),
        (LOOKUP_ALONE, ASKED_EACH_TIME_ALONE, ", one request at a time"),
    ] {
        let pair = line(ours).zip(line(native));
        let share = pair.map(|(ours, native)| ours.added.median / native.added.median);
        bound(
            &format!("token and lookup in Redis{how}: share of jwt_authn and ext_authz's added CPU"),
            share,
            Limit::AtMost(0.25),
            "",
        );
        // On a machine with other work, a few hundredths of the answers are as late without any filter.
        let told = pair.filter(|(_, native)| native.added_p99.median > 0.0);
        let share = told.map(|(ours, native)| ours.added_p99.median.max(0.0) / native.added_p99.median);
        bound(
            &format!("token and lookup in Redis{how}: share of jwt_authn and ext_authz's added p99"),
            share,
            Limit::AtMost(0.25),
            "",
        );
    }
    // The larger case's base is the smaller one.
    let grown = |from: &str, to: &str| added(from).zip(added(to)).map(|(from, more)| 1.0 + more / from);
    let mut growth = |what: &str, few: &str, many: &str| bound(what, grown(few, many), Limit::AtMost(1.1), "");
    for (few, many) in [
        ("2 operations", "2000 operations"),
        ("2 operations", "5000 operations"),
        ("2 clients", "1000000 clients"),
        ("2 tokens", "3000 tokens"),
        ("2 denied networks", "10000 denied networks"),
    ] {
        growth(&format!("no growth: added with {many} over {few}"), few, many);
    }
    for (few, many) in crate::revoked::pairs() {
        growth(&format!("no growth: {many}, added over a thousand"), few, many);
    }
    for line in lines
        .iter()
        .filter(has_base)
        .filter(|line| line.name.starts_with("refused"))
    {
        bound(
            &format!("{} over {}", line.name, line.base),
            Some(line.cpu_ratio),
            Limit::Below(1.0),
            "",
        );
    }
    bounds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Found;

    #[track_caller]
    fn check(value: f64, limit: Limit, reached: bool) {
        let bound = Bound {
            what: "it".into(),
            value: Some(value),
            limit,
            unit: "",
        };
        assert_eq!(bound.reached(), Some(reached), "{bound}");
    }

    #[test]
    fn limits_hold_at_themselves_unless_it_must_be_below() {
        for (value, most, least, below) in [
            (0.99, true, false, true),
            (1.0, true, true, false),
            (1.01, false, true, false),
        ] {
            check(value, Limit::AtMost(1.0), most);
            check(value, Limit::AtLeast(1.0), least);
            check(value, Limit::Below(1.0), below);
        }
        check(f64::NAN, Limit::AtMost(1.0), false);
        check(f64::NAN, Limit::AtLeast(1.0), false);
    }

    #[test]
    fn nothing_measured_reaches_nothing() {
        let all = bounds(&[], &Figures::default());
        assert!(all.len() >= 20);
        assert!(all.iter().all(|bound| bound.verdict() == "not measured"));
    }

    #[test]
    fn a_case_whose_base_did_not_run_tells_nothing() {
        let line = |name: &str, base: &str| Line {
            rate_ratio: 0.8,
            ..Line::empty(name, base)
        };
        let throughput = |lines: &[Line]| {
            let all = bounds(lines, &Figures::default());
            let bound = all.iter().find(|bound| bound.what.contains("throughput")).unwrap();
            bound.verdict()
        };
        let (ours, bare) = (
            line("all guards, proxied", "bare, proxied"),
            line("bare, proxied", "bare, proxied"),
        );
        assert_eq!(throughput(&[ours]), "not measured");
        let ours = line("all guards, proxied", "bare, proxied");
        assert_eq!(throughput(&[bare, ours]), "reached");
    }

    #[test]
    fn sizes_starts_and_memories_are_held_against_bare_envoys() {
        let mib = 1 << 20;
        let memory = |name, vms: &[u64], one: u64, two: u64| {
            let found = |resident: u64| Found {
                vms: vms.iter().map(|size| size * mib).collect(),
                resident: resident * mib,
                first_answer: Duration::ZERO,
            };
            Memory {
                name,
                found: [found(one), found(two)],
            }
        };
        let figures = Figures {
            module_bytes: 3 * mib,
            starts: [(1, "bare", 100), (1, "all", 1000), (1, "all", 1300), (2, "all", 50)]
                .map(|(cores, name, ms)| (cores, name, Duration::from_millis(ms)))
                .into(),
            memories: vec![memory("bare", &[], 40, 42), memory("all", &[1, 20], 60, 70)],
        };
        let all = bounds(&[], &figures);
        let of = |what: &str| {
            let bound = all.iter().find(|bound| bound.what.starts_with(what)).unwrap();
            (
                bound.value.map(|value| (value * 100.0).round() / 100.0),
                bound.verdict(),
            )
        };
        assert_eq!(of("module size"), (Some(3.0), "not reached"));
        assert_eq!(
            of("start to first answer with all guards on one core"),
            (Some(1.05), "not reached")
        );
        assert_eq!(
            of("start to first answer with all guards on two cores"),
            (None, "not measured")
        );
        assert_eq!(of("a worker's VM, all: linear"), (Some(20.0), "not reached"));
        assert_eq!(of("a worker's VM, all: resident"), (Some(8.0), "reached"));
        assert_eq!(of("a worker's VM, real"), (None, "not measured"));
    }
}
