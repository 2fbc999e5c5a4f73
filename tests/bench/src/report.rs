//! From rounds to figures: medians, their spread, what a case adds to its base within the same rounds; as a table, as
//! JSON, and as a chart. The bounds that the figures are held against are in `bounds.rs`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::bounds::{Bound, Limit};
use crate::load::Round;

/// The rounds of a case by their number; round n of every case ran within the same turn. Not all have every round.
pub struct Series {
    pub name: String,
    pub base: String,
    pub rounds: BTreeMap<usize, Round>,
}

/// A median with the quartiles around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Middle {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Middle {
    /// Of any number of values; all zero for none.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = share * (values.len().max(1) - 1) as f64;
            let (below, part) = (place.floor() as usize, place.fract());
            let value = |index: usize| values.get(index).copied().unwrap_or_default();
            value(below) + part * (value(below + usize::from(part > 0.0)) - value(below))
        };
        Self {
            median: at(0.5),
            low: at(0.25),
            high: at(0.75),
        }
    }

    fn json(self) -> Value {
        let round = |value: f64| (value * 100.0).round() / 100.0;
        json!({ "median": round(self.median), "low": round(self.low), "high": round(self.high) })
    }
}

/// What is said of one case.
pub struct Line {
    pub name: String,
    pub base: String,
    pub cpu: Middle,
    /// CPU time beyond the base's, round by round.
    pub added: Middle,
    pub rate: Middle,
    /// The 99th percentile beyond the base's, round by round, in microseconds.
    pub added_p99: Middle,
    /// CPU time of the services that were asked, for one request, in microseconds.
    pub services: f64,
    /// Throughput against the base's, round by round.
    pub rate_ratio: f64,
    /// CPU time against the base's, round by round.
    pub cpu_ratio: f64,
    pub p50_us: f64,
    pub p99_us: f64,
}

#[cfg(test)]
impl Line {
    /// One without a round.
    pub fn empty(name: &str, base: &str) -> Self {
        let series = Series {
            name: name.into(),
            base: base.into(),
            rounds: BTreeMap::new(),
        };
        lines(&[series]).remove(0)
    }
}

pub fn lines(all: &[Series]) -> Vec<Line> {
    let line = |series: &Series| {
        let base = all.iter().find(|other| other.name == series.base).unwrap_or(series);
        let middle = |of: &dyn Fn(&Round) -> f64| Middle::of(series.rounds.values().map(of).collect());
        let pairs = || {
            let rounds = series.rounds.iter();
            rounds.filter_map(|(number, round)| Some((round, base.rounds.get(number)?)))
        };
        Line {
            name: series.name.clone(),
            base: series.base.clone(),
            cpu: middle(&|round| round.cpu),
            added: Middle::of(pairs().map(|(round, base)| round.cpu - base.cpu).collect()),
            added_p99: Middle::of(pairs().map(|(round, base)| round.p99_us - base.p99_us).collect()),
            services: middle(&|round| round.services).median,
            rate: middle(&|round| round.rate),
            rate_ratio: Middle::of(pairs().map(|(round, base)| round.rate / base.rate).collect()).median,
            cpu_ratio: Middle::of(pairs().map(|(round, base)| round.cpu / base.cpu).collect()).median,
            p50_us: middle(&|round| round.p50_us).median,
            p99_us: middle(&|round| round.p99_us).median,
        }
    };
    all.iter().map(line).collect()
}

pub fn table(lines: &[Line], facts: &[(String, String)], bounds: &[Bound]) -> String {
    let mut out = String::new();
    let width = lines
        .iter()
        .map(|line| line.name.chars().count())
        .max()
        .unwrap_or(4)
        .max(4);
    let _ = writeln!(
        out,
        "{:width$}  {:>8}  {:>16}  {:>8}  {:>17}  {:>6}  {:>6}  {:>6}",
        "case", "CPU µs", "quartiles", "added µs", "quartiles", "req/s", "p50 µs", "p99 µs"
    );
    for line in lines {
        let _ = writeln!(
            out,
            "{:width$}  {:>8.1}  {:>7.1}–{:<8.1}  {:>8}  {:>17}  {:>6.0}  {:>6.0}  {:>6.0}",
            line.name,
            line.cpu.median,
            line.cpu.low,
            line.cpu.high,
            if line.name == line.base {
                "–".to_owned()
            } else {
                format!("{:.1}", line.added.median)
            },
            if line.name == line.base {
                String::new()
            } else {
                format!("{:.1}–{:.1}", line.added.low, line.added.high)
            },
            line.rate.median,
            line.p50_us,
            line.p99_us,
        );
    }
    if !facts.is_empty() {
        let _ = writeln!(out, "\nsize, start and memory");
    }
    for (what, value) in facts {
        let _ = writeln!(out, "  {what}: {value}");
    }
    let (measured, others): (Vec<_>, Vec<_>) = bounds.iter().partition(|bound| bound.value.is_some());
    let reached = measured.iter().filter(|bound| bound.reached() == Some(true)).count();
    let _ = writeln!(
        out,
        "\nbounds: {reached} reached, {} not reached, {} not measured in this run",
        measured.len() - reached,
        others.len()
    );
    for bound in measured {
        let _ = writeln!(out, "  {bound}");
    }
    out
}

pub fn json(lines: &[Line], facts: &[(String, String)], bounds: &[Bound]) -> Value {
    let cases = lines.iter().map(|line| {
        json!({
            "name": line.name, "base": line.base, "cpu_us": line.cpu.json(), "added_us": line.added.json(), "requests_per_second": line.rate.json(),
            "throughput_ratio": line.rate_ratio, "cpu_ratio": line.cpu_ratio, "p50_us": line.p50_us, "p99_us": line.p99_us, "added_p99_us": line.added_p99.json(),
            "services_cpu_us": line.services,
        })
    });
    let bounds = bounds.iter().map(|bound| {
        let (limit, value) = match bound.limit {
            Limit::AtMost(value) => ("at_most", value),
            Limit::AtLeast(value) => ("at_least", value),
            Limit::Below(value) => ("below", value),
        };
        json!({ "bound": bound.what, "value": bound.value, limit: value, "verdict": bound.verdict() })
    });
    let facts: serde_json::Map<_, _> = facts.iter().map(|(what, value)| (what.clone(), json!(value))).collect();
    json!({ "cases": cases.collect::<Vec<_>>(), "bounds": bounds.collect::<Vec<_>>(), "facts": facts })
}

/// Bars of what each case adds to its base, with its quartiles.
pub fn chart(lines: &[Line]) -> String {
    const ROW: usize = 22;
    const LEFT: f64 = 260.0;
    const WIDTH: f64 = 480.0;
    let rows: Vec<&Line> = lines
        .iter()
        .filter(|line| line.name != line.base && !line.name.starts_with("refused"))
        .collect();
    // What is far longer than the rest is cut, and its figure tells.
    let mut longest: Vec<f64> = rows.iter().map(|line| line.added.high).collect();
    longest.sort_by(f64::total_cmp);
    let scale = longest.get(longest.len() * 3 / 4).copied().unwrap_or(1.0).max(1.0) * 1.3;
    let x = |value: f64| LEFT + value.clamp(0.0, scale) / scale * WIDTH;
    let height = ROW * rows.len() + 50;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 820 {height}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"820\" height=\"{height}\" fill=\"#fff\"/>\n<text x=\"10\" y=\"20\" font-size=\"14\">CPU time that each adds to a request, in microseconds (median and quartiles)</text>\n"
    );
    for (row, line) in rows.iter().enumerate() {
        let y = row * ROW + 36;
        let colour = if line.name.contains("native") || line.name.contains("empty") {
            "#9aa5b1"
        } else {
            "#2b6cb0"
        };
        let text = y + 13;
        let middle = y + 9;
        let name = line.name.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(
            out,
            "<text x=\"{:.0}\" y=\"{text}\" text-anchor=\"end\">{name}</text><rect x=\"{LEFT}\" y=\"{y}\" width=\"{:.1}\" height=\"16\" fill=\"{colour}\"/><path d=\"M{:.1} {middle}H{:.1}\" stroke=\"#000\"/><text x=\"{:.0}\" y=\"{text}\">{:.1}</text>",
            LEFT - 8.0,
            (x(line.added.median) - LEFT).max(0.5),
            x(line.added.low),
            x(line.added.high),
            x(line.added.high) + 6.0,
            line.added.median,
        );
    }
    out.push_str("</svg>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_quartiles() {
        let middle = |values: &[f64]| Middle::of(values.to_vec());
        assert_eq!(
            middle(&[3.0, 1.0, 2.0]),
            Middle {
                median: 2.0,
                low: 1.5,
                high: 2.5
            }
        );
        assert_eq!(
            middle(&[1.0]),
            Middle {
                median: 1.0,
                low: 1.0,
                high: 1.0
            }
        );
        assert_eq!(middle(&[]).median, 0.0);
    }

    fn round(cpu: f64) -> Round {
        Round {
            cpu,
            rate: 1e6 / cpu,
            p50_us: 1.0,
            p99_us: 2.0,
            requests: 1,
            services: 0.0,
        }
    }

    fn series(name: &str, rounds: &[(usize, f64)]) -> Series {
        Series {
            name: name.into(),
            base: "bare".into(),
            rounds: rounds.iter().map(|(number, cpu)| (*number, round(*cpu))).collect(),
        }
    }

    #[test]
    fn added_is_taken_round_by_round() {
        let lines = lines(&[
            series("bare", &[(1, 10.0), (2, 20.0), (3, 40.0)]),
            series("all guards", &[(1, 15.0), (2, 25.0), (3, 50.0)]),
        ]);
        assert_eq!(lines[1].added.median, 5.0);
        assert!(table(&lines, &[], &[]).contains("all guards"));
        assert!(chart(&lines).ends_with("</svg>\n"));
    }

    #[test]
    fn a_case_with_fewer_rounds_is_held_against_the_same_ones_of_its_base() {
        let lines = lines(&[
            series("bare", &[(1, 10.0), (2, 99.0), (3, 20.0)]),
            series("refused", &[(1, 5.0), (3, 10.0)]),
        ]);
        assert_eq!((lines[1].added.median, lines[1].cpu_ratio), (-7.5, 0.5));
    }

    #[test]
    fn bounds_are_told_with_what_came_of_them() {
        let bound = |what: &str, value| Bound {
            what: what.into(),
            value,
            limit: Limit::AtMost(1.5),
            unit: "MiB",
        };
        let bounds = [
            bound("module", Some(1.5)),
            bound("other", Some(1.6)),
            bound("third", None),
        ];
        let text = table(&[], &[], &bounds);
        for line in [
            "bounds: 1 reached, 1 not reached, 1 not measured in this run\n",
            "  reached      module: 1.50 MiB, at most 1.50\n",
            "  not reached  other: 1.60 MiB, at most 1.50\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
        let json = json(&[], &[], &bounds);
        assert_eq!(
            json["bounds"][1],
            json!({ "bound": "other", "value": 1.6, "at_most": 1.5, "verdict": "not reached" })
        );
        assert_eq!(json["bounds"][2]["verdict"], "not measured");
    }
}
