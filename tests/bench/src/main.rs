//! What the module costs: every set-up of Envoy runs at the same time, on one core with one worker, and one after the
//! other is driven from the other core, round after round, so that what disturbs one disturbs all.

mod bounds;
mod cases;
mod envoy;
mod load;
mod memory;
mod native;
mod peers;
mod refusals;
mod report;
mod revoked;
mod stand_in;
mod tokens;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use portcullis_e2e::places;
use portcullis_e2e::process::RunDirectory;

use bounds::{Figures, MEMORY_SETUPS};
use cases::{Case, When, World};
use envoy::{Envoy, Shape};
use load::Token;
use peers::{Peers, Running};
use report::{Middle, Series};
use tokens::Tokens;

const USAGE: &str = "\
usage: scripts/bench [OPTION...]

Measures what the module costs: starts Envoy with one worker on one core for each set-up, drives them in turn from another
core, and reports the CPU time of the Envoy process for a request (as the kernel counts it), throughput and latency: medians
over the rounds, quartiles, and what a case adds to its base within the same rounds; at the end the bounds of issue 8, and
which of them are reached. Needs at least two cores.

  --quick          the main cases, in about a minute
  --case NAME      only the case of that name, or those whose name holds it, and their bases; may be repeated
  --memory         also with --quick and --case: memory and the start on two cores, which a full run measures anyway
  --rounds N       how many rounds (5, or as many of them as a whole run has time for in ten minutes)
  --seconds N      how long each case runs in a round (1)
  --module FILE    another module than target/portcullis.wasm
  --against FILE   also with this module, in the same rounds: whether a change helps
  --json FILE      also writes the figures there
  --chart FILE     also draws what each case adds, as SVG
  --list           names the cases
  -h, --help       this text

The exit status says whether everything could be measured, not whether the bounds are reached.";

/// The set-ups whose start is told, and how often each is started on one core for it.
const TELL_STARTS: [&str; 3] = ["bare", "nothing", "all"];
const STARTS: usize = 3;
/// What a whole run takes at most, unless somebody says how many rounds, on a machine that is not slower than to have these.
const WHOLE_RUN: Duration = Duration::from_secs(600);
const ROUNDS_MIN: usize = 3;
/// Of it, what memory and the start on two cores take behind the rounds: 50 s on a slow machine.
const MEMORY: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Arguments {
    quick: bool,
    memory: bool,
    list: bool,
    help: bool,
    only: Vec<String>,
    rounds: Option<usize>,
    seconds: Option<u32>,
    module: Option<PathBuf>,
    against: Option<PathBuf>,
    json: Option<PathBuf>,
    chart: Option<PathBuf>,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self::default();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("`{word}` needs a value"));
            let number = |text: String| match text.parse::<u32>() {
                Ok(number @ 1..=1000) => Ok(number),
                _ => Err(format!("`{text}` is no number from 1 to 1000")),
            };
            match word.as_str() {
                "--quick" => arguments.quick = true,
                "--memory" => arguments.memory = true,
                "--list" => arguments.list = true,
                "--case" => arguments.only.push(value()?),
                "--rounds" => arguments.rounds = Some(number(value()?)? as usize),
                "--seconds" => arguments.seconds = Some(number(value()?)?),
                "--module" => arguments.module = Some(value()?.into()),
                "--against" => arguments.against = Some(value()?.into()),
                "--json" => arguments.json = Some(value()?.into()),
                "--chart" => arguments.chart = Some(value()?.into()),
                "-h" | "--help" => arguments.help = true,
                _ => return Err(format!("unknown option `{word}`; --help lists them")),
            }
        }
        Ok(arguments)
    }

    /// The cases that were asked for, with the bases they need.
    fn select(&self, cases: Vec<Case>) -> Result<Vec<Case>, String> {
        let whole = |name: &String| cases.iter().any(|case| case.name == name);
        let named = |case: &Case, name: &String| case.name == name || !whole(name) && case.name.contains(name.as_str());
        let asked = |case: &Case| {
            if self.only.is_empty() {
                match case.when {
                    When::Quick => true,
                    When::EachRound | When::SomeRounds => !self.quick,
                    When::Named => false,
                }
            } else {
                self.only.iter().any(|name| named(case, name))
            }
        };
        let names: Vec<&str> = cases
            .iter()
            .filter(|case| asked(case))
            .flat_map(|case| [case.name, case.base])
            .collect();
        if names.is_empty() {
            return Err("no case has such a name; --list names them".to_owned());
        }
        Ok(cases.into_iter().filter(|case| names.contains(&case.name)).collect())
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.split_first() {
        Some((word, ports)) if word == peers::AUTHORIZER => peers::authorize(ports),
        _ => Arguments::parse(words.into_iter()).and_then(run),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("scripts/bench: {fault}");
            ExitCode::FAILURE
        }
    }
}

/// The cores for Envoy and for what drives it: the first and the last of those that this program may use.
fn cores() -> Result<(String, String), String> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let all: Vec<usize> = list
        .unwrap_or_default()
        .trim()
        .split(',')
        .filter_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some(first.parse::<usize>().ok()?..=last.parse().ok()?)
        })
        .flatten()
        .collect();
    match all[..] {
        [first, .., last] => Ok((first.to_string(), last.to_string())),
        _ => Err("two cores are needed: one for Envoy, one for what drives it".to_owned()),
    }
}

fn certificate(directory: &Path) -> Result<(), String> {
    let mut command = Command::new("openssl");
    command.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=bench",
    ]);
    command
        .arg("-keyout")
        .arg(directory.join("tls.key"))
        .arg("-out")
        .arg(directory.join("tls.pem"));
    let done = command
        .output()
        .map_err(|error| format!("can't run openssl: {error}"))?;
    if done.status.success() {
        Ok(())
    } else {
        Err(format!("openssl: {}", String::from_utf8_lossy(&done.stderr)))
    }
}

fn run(arguments: Arguments) -> Result<(), String> {
    if arguments.help {
        println!("{USAGE}");
        return Ok(());
    }
    let found =
        |file: &PathBuf| fs::canonicalize(file).map_err(|error| format!("can't read {}: {error}", file.display()));
    let module = arguments.module.as_ref().map_or_else(places::module, found)?;
    let against = arguments.against.as_ref().map(found).transpose()?;
    let directory = RunDirectory::create()?;
    let run = directory.path();
    let empty = wat::parse_str(include_str!("empty.wat")).map_err(|error| format!("the empty filter: {error}"))?;
    let empty_module = run.join("empty.wasm");
    fs::write(&empty_module, empty).map_err(|error| format!("can't write the empty filter: {error}"))?;
    let world = World {
        module,
        against,
        empty_module,
        capabilities: envoy::shipped_capabilities()?,
        tokens: Tokens::open(&places::root().join(".cache/bench"))?,
        peers: Peers::choose()?,
    };
    let all = world.cases();
    if arguments.list {
        all.iter().for_each(|case| println!("{}", case.name));
        return Ok(());
    }
    let chosen = world.beside(arguments.select(all)?);
    for case in &chosen {
        if let Token::Each(algorithm, ..) = &case.ask.token {
            world.tokens.make_set(*algorithm)?;
            revoked::make_list_tokens(&world.tokens)?;
            refusals::make_forged(&world.tokens)?;
        }
    }
    certificate(run)?;
    let cores = cores()?;
    let asks_redis = chosen.iter().any(|case| case.setup.starts_with("redis"));
    let bench = Bench {
        run,
        stand_in: stand_in::start(revoked::lists(&world.tokens).into_iter().collect())?,
        peers: asks_redis.then(|| world.peers.start(&cores.1, run)).transpose()?,
        cores,
    };
    let begun = Instant::now();
    let mut figures = Figures {
        module_bytes: fs::metadata(&world.module).map_or(0, |file| file.len()),
        ..Figures::default()
    };
    let mut facts = vec![("module size".to_owned(), format!("{} bytes", figures.module_bytes))];
    let series = bench.measure(&arguments, &world, chosen, &mut figures, &mut facts)?;
    if arguments.memory || !arguments.quick && arguments.only.is_empty() {
        facts.extend(bench.memory(&world, &mut figures)?);
    }
    if arguments.only.iter().any(|name| name.contains("revoked entries")) {
        facts.extend(bench.entries_memory(&world)?);
    }
    let lines = report::lines(&series);
    let bounds = bounds::bounds(&lines, &figures);
    print!("{}", report::table(&lines, &facts, &bounds));
    let write = |file: &Option<PathBuf>, text: String| match file {
        Some(file) => fs::write(file, text).map_err(|error| format!("can't write {}: {error}", file.display())),
        None => Ok(()),
    };
    write(
        &arguments.json,
        format!("{:#}\n", report::json(&lines, &facts, &bounds)),
    )?;
    write(&arguments.chart, report::chart(&lines))?;
    eprintln!("measured in {} s", begun.elapsed().as_secs());
    Ok(())
}

struct Bench<'r> {
    cores: (String, String),
    run: &'r Path,
    stand_in: u16,
    peers: Option<Running>,
}

type Facts = Vec<(String, String)>;

impl Bench<'_> {
    /// Starts an Envoy on its one core.
    fn start(&self, name: &str, shape: &Shape) -> Result<Envoy, String> {
        Envoy::start(name, shape, self.stand_in, self.run, &self.cores.0, self.run)
    }

    fn both_cores(&self) -> String {
        format!("{},{}", self.cores.0, self.cores.1)
    }

    /// How long the main set-ups take to their first answer on one core, in turns.
    fn starts(&self, world: &World, chosen: &[Case], figures: &mut Figures, facts: &mut Facts) -> Result<(), String> {
        let mut setups = world.setups();
        setups.retain(|(name, _)| {
            let own = name.strip_suffix(cases::OTHER_MODULE).unwrap_or(name);
            TELL_STARTS.contains(&own) && chosen.iter().any(|case| case.setup == *name)
        });
        for _ in 0..STARTS {
            for (name, shape) in &setups {
                let envoy = self.start(name, shape)?;
                figures.starts.push((1, name, envoy.first_answer));
            }
        }
        for (name, _) in &setups {
            let Some(median) = figures.start(1, name) else { continue };
            facts.push((
                format!("start to first answer on one core, {name}"),
                format!("{:.0} ms, the median of {STARTS}", median * 1e3),
            ));
        }
        Ok(())
    }

    /// All rounds of the chosen cases.
    fn measure(
        &self,
        arguments: &Arguments,
        world: &World,
        chosen: Vec<Case>,
        figures: &mut Figures,
        facts: &mut Facts,
    ) -> Result<Vec<Series>, String> {
        let since = Instant::now();
        self.starts(world, &chosen, figures, facts)?;
        let mut envoys = BTreeMap::new();
        for (name, shape) in world.setups() {
            if chosen.iter().any(|case| case.setup == name) {
                // Compiling takes both cores half the time.
                let both = self.both_cores();
                let envoy = Envoy::start(name, &shape, self.stand_in, self.run, &both, self.run)?;
                envoy.keep_to(&self.cores.0)?;
                envoys.insert(name, envoy);
            }
        }
        let mut series: Vec<Series> = chosen
            .iter()
            .map(|case| Series {
                name: case.name.into(),
                base: case.base.into(),
                rounds: BTreeMap::new(),
            })
            .collect();
        let mut sent = vec![0; chosen.len()];
        // Of the first round, so that one run tells all of them.
        let mut faults = Vec::new();
        let rounds = arguments.rounds.unwrap_or(5);
        let mut lasted: Vec<Duration> = Vec::new();
        let seconds = f64::from(arguments.seconds.unwrap_or(1));
        // Whoever names a case wants all of it.
        let spared = |case: &Case| case.when == When::SomeRounds && arguments.only.is_empty();
        for round in 0..=rounds {
            // The one before the last had the same cases.
            let next = round.checked_sub(2).and_then(|same| lasted.get(same).copied());
            let late = next.is_some_and(|next| since.elapsed() + next > WHOLE_RUN - MEMORY);
            if late && arguments.rounds.is_none() && round > ROUNDS_MIN {
                eprintln!("no time for round {round} of {rounds}");
                break;
            }
            let started = Instant::now();
            eprintln!(
                "{}",
                if round == 0 {
                    "warming up".to_owned()
                } else {
                    format!("round {round} of {rounds}")
                }
            );
            for ((case, series), before) in chosen.iter().zip(&mut series).zip(&mut sent) {
                let told = |fault| format!("{}: {fault}", case.name);
                let envoy = envoys
                    .get(case.setup)
                    .ok_or_else(|| told("no such set-up".to_owned()))?;
                if round == 0 {
                    case.first.iter().for_each(|first| first.ask_anyway(envoy));
                    // A callout that a first request makes may still be under way.
                    let begun = Instant::now();
                    if let Err(fault) = case.ask.check_patiently(case.setup, envoy) {
                        faults.push(told(fault));
                        continue;
                    }
                    if case.setup.starts_with("feed-") {
                        let waited = begun.elapsed().as_millis();
                        facts.push((
                            format!("still loading when first asked, {}", case.name),
                            format!("{waited} ms"),
                        ));
                    }
                }
                if spared(case) && round % 2 == 0 {
                    continue;
                }
                let services = || self.peers.as_ref().map_or(Ok(Duration::ZERO), Running::cpu);
                let drive =
                    || load::drive_beside(&services, &case.ask, *before, envoy, seconds, &self.cores.1, self.run);
                // A machine with other work may not let a driver run for a whole second: that costs no run.
                let measured = drive().or_else(|fault| {
                    eprintln!("{}: once more, after: {fault}", case.name);
                    drive()
                });
                let measured = match measured.map_err(told) {
                    Ok(measured) => measured,
                    Err(fault) if round == 0 => {
                        faults.push(fault);
                        continue;
                    }
                    Err(fault) => return Err(fault),
                };
                *before += measured.requests;
                if round > 0 {
                    series.rounds.insert(round, measured);
                }
            }
            if !faults.is_empty() {
                return Err(faults.join("\n"));
            }
            lasted.push(started.elapsed());
        }
        // Of those that ask no service, what is measured is the noise of one that idles.
        for line in report::lines(&series).iter().filter(|line| line.name.contains("Redis")) {
            let told = format!("{:.1} µs a request", line.services);
            facts.push((format!("CPU of the services asked, {}", line.name), told));
            let Middle { median, low, high } = line.added_p99;
            let told = format!("{median:.0} µs ({low:.0}–{high:.0})");
            facts.push((format!("added p99, {}", line.name), told));
        }
        Ok(series)
    }

    /// What a thousand and a million revoked entries take, and how long they take to load.
    fn entries_memory(&self, world: &World) -> Result<Facts, String> {
        let (setups, cases) = (world.setups(), world.cases());
        let mut facts = Facts::new();
        for source in ["feed", "list"] {
            let mut sizes = Vec::new();
            for count in revoked::COUNTS {
                let name = if source == "feed" {
                    format!("feed-{count}-other")
                } else {
                    format!("list-{count}")
                };
                let (Some((_, shape)), Some(case)) = (
                    setups.iter().find(|(setup, _)| *setup == name),
                    cases.iter().find(|case| case.setup == name),
                ) else {
                    continue;
                };
                let start = |name: &str, shape: &Shape| self.start(name, shape);
                let places = (self.cores.1.as_str(), self.run);
                sizes.push(revoked::memory(
                    &format!("{name}-memory"),
                    shape,
                    &case.ask,
                    start,
                    places,
                )?);
            }
            let [few, many] = sizes[..] else { continue };
            let mib = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1_048_576.0;
            let (one, two) = (mib(few[0], many[0]), mib(few[1], many[1]));
            let told = format!(
                "{one:.1} MiB with one worker, {two:.1} MiB with two: {:.1} MiB a worker, {:.1} MiB for all",
                two - one,
                2.0 * one - two
            );
            facts.push((
                format!("resident memory of a million entries over a thousand, {source}"),
                told,
            ));
        }
        Ok(facts)
    }

    /// What the VMs and Envoy take with one and two workers, and how long a start on both cores takes.
    fn memory(&self, world: &World, figures: &mut Figures) -> Result<Facts, String> {
        let mut facts = Facts::new();
        let both = self.both_cores();
        let (setups, cases) = (world.setups(), world.cases());
        let real = world.real();
        if real.is_none() {
            let why =
                "5000 operations, since there is no .cache/corpora/openapi/github.json (scripts/corpora fetches it)";
            facts.push(("the real configuration".to_owned(), why.to_owned()));
        }
        let real = real.unwrap_or_else(|| world.with_operations(5000));
        for name in ["bare"].into_iter().chain(MEMORY_SETUPS) {
            let shape = setups.iter().find(|(setup, _)| *setup == name);
            let shape = shape.map_or(&real, |(_, shape)| shape);
            // Of the real configuration, the same is asked as of all guards.
            let driven = if name == "real" { "all" } else { name };
            let Some(case) = cases.iter().find(|case| case.setup == driven) else {
                return Err(format!("no case drives the set-up `{driven}`"));
            };
            let start = |directory: &str, shape: &Shape| {
                Envoy::start(directory, shape, self.stand_in, self.run, &both, self.run)
            };
            let memory = memory::measure(name, shape, &case.ask, start, (&self.cores.1, self.run))?;
            let mib = |bytes: u64| format!("{:.1}", bytes as f64 / 1_048_576.0);
            for (workers, found) in [1, 2].into_iter().zip(&memory.found) {
                let vms: Vec<String> = found.vms.iter().map(|size| mib(*size)).collect();
                let vms = if vms.is_empty() {
                    "no VM".to_owned()
                } else {
                    format!("linear memories of the VMs {} MiB", vms.join(", "))
                };
                let told = format!("{} MiB resident, {vms}", mib(found.resident));
                facts.push((format!("memory, {name}, {workers} worker(s)"), told));
            }
            let [one, _] = &memory.found;
            let told = format!("{} ms", one.first_answer.as_millis());
            facts.push((format!("start to first answer on two cores, {name}"), told));
            figures.starts.push((2, name, one.first_answer));
            figures.memories.push(memory);
        }
        Ok(facts)
    }
}
