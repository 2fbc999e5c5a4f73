//! Counts the instructions of each scenario with valgrind, which a busy machine does not change, and compares them with the
//! budgets in `budgets.txt`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use portcullis_cost::scenarios::{ALL, PROSE, Scenario, admitted};
use portcullis_cost::search::search;

const USAGE: &str = "\
usage: portcullis-cost [OPTION]

What scripts/cost runs, which see.

  --write            stores what is counted as the budgets
  --search SECONDS   looks for the texts that the threats guard spends most on
  --run NAME COUNT   only judges the request of a scenario so many times: for a profiler
  -h, --help         this text";

/// A request costs the difference of two runs, divided: what starting costs falls out.
const COUNTS: [u64; 2] = [50, 250];

/// Beyond the tolerance, in instructions: what another C library or processor makes of a few copies.
const SLACK: u64 = 50;

/// Refusals that take more instructions than the request when it is admitted, and why. They are compared all the same, with
/// [`DEARER_MAX`]; one that no longer belongs here is a failure too. In Envoy they are cheaper, since what forwarding an
/// admitted request costs is not counted here: `scripts/bench --case refused` tells.
const DEARER: &[(&str, &str)] = &[
    ("refused: token_malformed", "all that is judged before, and the reply"),
    ("refused: token_expired", "all that is judged before, and the reply"),
    ("refused: token_revoked", "the shared revocation is read, and the reply"),
];

/// Per cent of the admitted request; what takes less than the least is no exception any more.
const DEARER_MIN: u64 = 95;
const DEARER_MAX: u64 = 130;

fn budgets_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("budgets.txt")
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["-h" | "--help"] => {
            println!("{USAGE}");
            Ok(true)
        }
        ["--search", seconds] => number(seconds).map(|seconds| {
            search(seconds, u64::from(std::process::id()), PROSE);
            true
        }),
        ["--run", name, count] => run(name, count).map(|()| true),
        [] => compare(),
        ["--write"] => write().map(|()| true),
        _ => Err("unknown arguments; --help lists them".to_owned()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(fault) => {
            eprintln!("portcullis-cost: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

fn run(name: &str, count: &str) -> Result<(), String> {
    let count = number(count)?;
    if !ALL.contains(&name) {
        return Err(format!("there is no scenario `{name}`"));
    }
    let scenario = Scenario::named(name);
    (0..count).for_each(|_| scenario.once());
    Ok(())
}

/// Instructions of this program for so many requests.
fn instructions(name: &str, count: u64) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--"]);
    // An address or an environment of another length would move the stack, and with it a few instructions.
    command
        .arg(program)
        .args(["--run", name, &count.to_string()])
        .env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    let done = command
        .output()
        .map_err(|error| format!("can't run valgrind: {error}"))?;
    let text = String::from_utf8_lossy(&done.stderr);
    let collected = text
        .lines()
        .find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    collected
        .filter(|_| done.status.success())
        .ok_or_else(|| format!("valgrind did not count `{name}`:\n{text}"))
}

fn per_request(name: &str) -> Result<u64, String> {
    let [few, many] = COUNTS;
    let difference = instructions(name, many)?.saturating_sub(instructions(name, few)?);
    Ok(difference / (many - few))
}

fn write() -> Result<(), String> {
    let mut text = String::from(
        "# Instructions of the native core for one request, by scenario: written by `scripts/cost --write`, checked by scripts/test.\n",
    );
    for name in ALL {
        let counted = per_request(name)?;
        println!("{counted:>9}  {name}");
        text.push_str(&format!("{counted:>9}  {name}\n"));
    }
    let path = budgets_path();
    std::fs::write(&path, text).map_err(|error| format!("can't write {}: {error}", path.display()))
}

fn compare() -> Result<bool, String> {
    let path = budgets_path();
    let text = std::fs::read_to_string(&path).map_err(|error| format!("can't read {}: {error}", path.display()))?;
    let budgets: Vec<(u64, &str)> = text
        .lines()
        .filter_map(|line| {
            let (number, name) = line.trim().split_once("  ")?;
            Some((number.parse().ok()?, name))
        })
        .collect();
    let (mut passed, mut failed) = (0_u32, 0_u32);
    let mut all = BTreeMap::new();
    for name in ALL {
        let counted = per_request(name)?;
        all.insert(*name, counted);
        let budget = budgets
            .iter()
            .find(|(_, known)| known == name)
            .map(|(budget, _)| *budget);
        let good = budget.is_some_and(|budget| (budget * 80 / 100..=budget * 105 / 100 + SLACK).contains(&counted));
        let verdict = if good { "ok" } else { "FAILED" };
        println!("{counted:>9} of {:>9}  {name} ... {verdict}", budget.unwrap_or(0));
        if good { passed += 1 } else { failed += 1 }
    }
    for (name, counted) in &all {
        let Some(base) = admitted(name) else { continue };
        let whole = all.get(base).copied().unwrap_or(0);
        let why = DEARER.iter().find(|(dearer, _)| dearer == name).map(|(_, why)| *why);
        let good = is_cheap_enough(*counted, whole, why.is_some());
        let verdict = if good { "ok" } else { "FAILED" };
        let why = why.map_or_else(String::new, |why| format!(", an exception ({why})"));
        println!("{counted:>9} against {whole}, {base}: {name}{why} ... {verdict}");
        if good { passed += 1 } else { failed += 1 }
    }
    // As every test program ends, so that scripts/test counts these too.
    let result = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {result}. {passed} passed; {failed} failed; 0 ignored");
    Ok(failed == 0)
}

/// Whether a refusal takes fewer instructions than the admitted request; an exception takes more, but not many more.
fn is_cheap_enough(refused: u64, admitted: u64, exception: bool) -> bool {
    if exception {
        refused * 100 >= admitted * DEARER_MIN && refused * 100 <= admitted * DEARER_MAX
    } else {
        refused < admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_below_what_is_admitted_and_an_exception_is_really_one() {
        for (refused, exception, good) in [
            (99, false, true),
            (100, false, false),
            (94, true, false),
            (95, true, true),
            (130, true, true),
            (131, true, false),
        ] {
            assert_eq!(is_cheap_enough(refused, 100, exception), good, "{refused} {exception}");
        }
    }

    #[test]
    fn every_refusal_has_what_it_is_held_against_and_exceptions_are_scenarios() {
        for name in ALL.iter().filter(|name| name.starts_with("refused")) {
            assert!(admitted(name).is_some_and(|base| ALL.contains(&base)), "{name}");
        }
        assert!(DEARER.iter().all(|(name, _)| ALL.contains(name)));
    }
}
