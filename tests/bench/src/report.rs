//! From rounds to figures: medians, their spread, what a case adds to its base within the same rounds; as a table, as
//! JSON, and as a chart.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::cases::{ASKED_EACH_TIME, ASKED_EACH_TIME_ALONE, LOOKUP, LOOKUP_ALONE};
use crate::load::Round;

/// All rounds of a case, in order; round n of every case ran within the same turn.
pub struct Series {
    pub name: String,
    pub base: String,
    pub rounds: Vec<Round>,
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
    pub p50_us: f64,
    pub p99_us: f64,
}

pub fn lines(all: &[Series]) -> Vec<Line> {
    let line = |series: &Series| {
        let base = all.iter().find(|other| other.name == series.base).unwrap_or(series);
        let middle = |of: &dyn Fn(&Round) -> f64| Middle::of(series.rounds.iter().map(of).collect());
        let pairs = || series.rounds.iter().zip(&base.rounds);
        Line {
            name: series.name.clone(),
            base: series.base.clone(),
            cpu: middle(&|round| round.cpu),
            added: Middle::of(pairs().map(|(round, base)| round.cpu - base.cpu).collect()),
            added_p99: Middle::of(pairs().map(|(round, base)| round.p99_us - base.p99_us).collect()),
            services: middle(&|round| round.services).median,
            rate: middle(&|round| round.rate),
            rate_ratio: Middle::of(pairs().map(|(round, base)| round.rate / base.rate).collect()).median,
            p50_us: middle(&|round| round.p50_us).median,
            p99_us: middle(&|round| round.p99_us).median,
        }
    };
    all.iter().map(line).collect()
}

fn added(lines: &[Line], name: &str) -> Option<f64> {
    lines
        .iter()
        .find(|line| line.name == name)
        .map(|line| line.added.median)
}

/// The aims of issues 7 and 8 that the measured cases can tell of: what, the figure, the bound, whether it holds.
pub fn aims(lines: &[Line]) -> Vec<(String, f64, f64, bool)> {
    let mut aims = Vec::new();
    let mut aim = |what: &str, value: Option<f64>, most: f64| {
        aims.extend(value.map(|value| (what.to_owned(), value, most, value <= most)));
    };
    let added = |name: &str| added(lines, name);
    aim("all guards, cached token, GET: added µs", added("all guards"), 15.0);
    let share = added("all guards")
        .zip(added("native chain"))
        .map(|(ours, chain)| ours / chain);
    aim("all guards: share of the native chain's added CPU", share, 0.25);
    let slower = lines
        .iter()
        .find(|line| line.name == "all guards, proxied")
        .map(|line| 1.0 / line.rate_ratio);
    aim("all guards, proxied: bare's throughput over ours", slower, 1.0 / 0.75);
    for (ours, native, how) in [
        (LOOKUP, ASKED_EACH_TIME, ""),
        (LOOKUP_ALONE, ASKED_EACH_TIME_ALONE, ", one request at a time"),
    ] {
        let line = |name: &str| lines.iter().find(|line| line.name == name);
        let Some((ours, native)) = line(ours).zip(line(native)) else {
            continue;
        };
        let share = ours.added.median / native.added.median;
        aim(
            &format!("token and lookup in Redis{how}: share of jwt_authn and ext_authz's added CPU"),
            Some(share),
            0.25,
        );
        // On a machine with other work, a few hundredths of the answers are as late without any filter.
        let told = native.added_p99.median > 0.0;
        let share = ours.added_p99.median.max(0.0) / native.added_p99.median;
        aim(
            &format!("token and lookup in Redis{how}: share of jwt_authn and ext_authz's added p99"),
            told.then_some(share),
            0.25,
        );
    }
    let over_empty = added("nothing configured")
        .zip(added("empty filter"))
        .map(|(ours, empty)| ours - empty);
    aim("nothing configured: µs above the empty filter", over_empty, 1.5);
    aim(
        "all guards, 1 KiB of JSON: µs over Envoy that buffers",
        added("1 KiB, all guards"),
        40.0,
    );
    // The larger case's base is the smaller one.
    let grown = |from: &str, to: &str| added(from).zip(added(to)).map(|(from, more)| 1.0 + more / from);
    aim(
        "cost with 2000 operations over 2",
        grown("2 operations", "2000 operations"),
        1.1,
    );
    aim(
        "cost with 5000 operations over 2",
        grown("2 operations", "5000 operations"),
        1.1,
    );
    aim(
        "cost with 1000000 clients over 2",
        grown("2 clients", "1000000 clients"),
        1.1,
    );
    aim("cost with 3000 tokens over 2", grown("2 tokens", "3000 tokens"), 1.1);
    for (few, many) in crate::revoked::pairs() {
        aim(&format!("{many}: cost over a thousand"), grown(few, many), 1.1);
    }
    let cpu = |name: &str| lines.iter().find(|line| line.name == name).map(|line| line.cpu.median);
    for line in lines.iter().filter(|line| line.name.starts_with("refused")) {
        let share = cpu(&line.base).map(|base| line.cpu.median / base);
        aim(&format!("{} over {}", line.name, line.base), share, 1.0);
    }
    aims
}

pub fn table(lines: &[Line], facts: &[(String, String)]) -> String {
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
    let aims = aims(lines);
    if !aims.is_empty() {
        let _ = writeln!(out, "\naims");
    }
    for (what, value, most, holds) in aims {
        let _ = writeln!(
            out,
            "  {} {what}: {value:.2}, at most {most:.2}",
            if holds { "ok" } else { "NO" }
        );
    }
    if !facts.is_empty() {
        let _ = writeln!(out, "\nsize, start and memory");
    }
    for (what, value) in facts {
        let _ = writeln!(out, "  {what}: {value}");
    }
    out
}

pub fn json(lines: &[Line], facts: &[(String, String)]) -> Value {
    let cases = lines.iter().map(|line| {
        json!({
            "name": line.name, "base": line.base, "cpu_us": line.cpu.json(), "added_us": line.added.json(), "requests_per_second": line.rate.json(),
            "throughput_ratio": line.rate_ratio, "p50_us": line.p50_us, "p99_us": line.p99_us, "added_p99_us": line.added_p99.json(), "services_cpu_us": line.services,
        })
    });
    let aims = aims(lines)
        .into_iter()
        .map(|(what, value, most, holds)| json!({ "aim": what, "value": value, "most": most, "holds": holds }));
    let facts: serde_json::Map<_, _> = facts.iter().map(|(what, value)| (what.clone(), json!(value))).collect();
    json!({ "cases": cases.collect::<Vec<_>>(), "aims": aims.collect::<Vec<_>>(), "facts": facts })
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

    #[test]
    fn added_is_taken_round_by_round() {
        let series = |name: &str, cpu: &[f64]| Series {
            name: name.into(),
            base: "bare".into(),
            rounds: cpu
                .iter()
                .map(|cpu| Round {
                    cpu: *cpu,
                    rate: 1e6 / cpu,
                    p50_us: 1.0,
                    p99_us: 2.0,
                    requests: 1,
                    services: 0.0,
                })
                .collect(),
        };
        let lines = lines(&[
            series("bare", &[10.0, 20.0, 40.0]),
            series("all guards", &[15.0, 25.0, 50.0]),
        ]);
        assert_eq!(lines[1].added.median, 5.0);
        assert!(aims(&lines)[0].3);
        assert!(table(&lines, &[]).contains("all guards"));
        assert!(chart(&lines).ends_with("</svg>\n"));
    }
}
