//! Runs the scenarios of one file on one stack, in order, as ordinary tests with names and filters.
//!
//! After each test the VMs must be the ones from before: a module that crashed and came back fails the test that did it.
//! A stack that can't start fails the whole file with its line.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

use crate::process;
use crate::stack::{Options, Stack};
use crate::{Outcome, message};

const LOG_LINES_MAX: usize = 30;

/// A test: it borrows the running stack.
pub type Test = for<'a> fn(&'a mut Stack) -> Pin<Box<dyn Future<Output = Outcome<()>> + 'a>>;

/// Makes `main` of a scenario file: the options, then the tests, each an `async fn(&mut Stack) -> Outcome<()>`; those that
/// take long come last, and run with `--ignored` only.
#[macro_export]
macro_rules! scenarios {
    ($options:expr; $($test:ident),+ $(,)? $(; long: $($long:ident),+ $(,)?)?) => {
        fn main() -> std::process::ExitCode {
            let tests: Vec<(&str, $crate::suite::Test)> = vec![$((stringify!($test), |stack| Box::pin($test(stack)))),+];
            let long: Vec<(&str, $crate::suite::Test)> = vec![$($((stringify!($long), |stack| Box::pin($long(stack)))),+)?];
            $crate::suite::run($options, tests, long)
        }
    };
}

/// Runs the tests that the command line asks for; `long` are ignored unless it says otherwise.
pub fn run(options: Options, tests: Vec<(&'static str, Test)>, long: Vec<(&'static str, Test)>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They share a stack and compare counters before and after.
    arguments.test_threads = Some(1);
    let listing = arguments.list;
    let prepared = if listing {
        Ok(None)
    } else {
        Session::begin(options).map(Some)
    };
    let session = match prepared {
        Ok(session) => Arc::new(Mutex::new(session)),
        Err(fault) => {
            eprintln!("error: {fault}");
            return ExitCode::FAILURE;
        }
    };
    let trial = |(name, test): (&'static str, Test)| {
        let session = Arc::clone(&session);
        Trial::test(name, move || {
            session.lock().unwrap_or_else(PoisonError::into_inner).run(test)
        })
    };
    let short = tests.into_iter().map(trial);
    let long = long.into_iter().map(|test| trial(test).with_ignored_flag(true));
    let conclusion = libtest_mimic::run(&arguments, short.chain(long).collect());
    // Stops the processes before the program ends.
    drop(session.lock().unwrap_or_else(PoisonError::into_inner).take());
    conclusion.exit_code()
}

struct Session {
    // Dropped before the runtime on which its connections live.
    stack: Stack,
    runtime: Runtime,
}

trait Run {
    fn run(&mut self, test: Test) -> Result<(), Failed>;
}

impl Run for Option<Session> {
    fn run(&mut self, test: Test) -> Result<(), Failed> {
        let session = self.as_mut().ok_or("no stack is running")?;
        let logged = session.stack.edge_log().len();
        let caught = catch_unwind(AssertUnwindSafe(|| session.run_watched(test)));
        let outcome = caught.unwrap_or_else(|panic| Err(panic_text(panic.as_ref())));
        outcome.map_err(|fault| {
            let log = session.stack.edge_log();
            let lines: Vec<&str> = log.get(logged..).unwrap_or_default().lines().collect();
            let shown = lines.len().min(LOG_LINES_MAX);
            let end = lines.get(lines.len() - shown..).unwrap_or_default().join("\n");
            Failed::from(format!(
                "{fault}\n--- the last {shown} of {} lines of Envoy's log in this test\n{end}",
                lines.len()
            ))
        })
    }
}

impl Session {
    fn begin(options: Options) -> Outcome<Self> {
        let runtime = Runtime::new().map_err(|error| format!("can't start tokio: {error}"))?;
        stop_on_signals(&runtime)?;
        let stack = runtime.block_on(Stack::start(options))?;
        Ok(Self { stack, runtime })
    }

    fn run_watched(&mut self, test: Test) -> Outcome<()> {
        let stack = &mut self.stack;
        self.runtime.block_on(async {
            stack.restore().await?;
            test(stack).await?;
            stack.check_vms().await
        })
    }
}

/// On SIGINT and SIGTERM: stop all children, remove the run directories, end.
pub fn stop_on_signals(runtime: &Runtime) -> Outcome<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let _context = runtime.enter();
    for (kind, number) in [(SignalKind::interrupt(), 2), (SignalKind::terminate(), 15)] {
        let mut arriving = signal(kind).map_err(|error| format!("can't listen for signals: {error}"))?;
        runtime.spawn(async move {
            arriving.recv().await;
            process::abandon_all();
            std::process::exit(128 + number);
        });
    }
    Ok(())
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without words")
        .to_owned()
}

/// Fails with both sides if they differ; `assert_eq!` without a panic.
pub fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, expected: T) -> Outcome<()> {
    if got == expected {
        Ok(())
    } else {
        Err(format!("{what}: expected {expected:?}, got {got:?}"))
    }
}

/// Fails with the answer in brief unless it has this status and no code.
pub fn answered(reply: &message::Reply, status: u16) -> Outcome<()> {
    if reply.status == status {
        Ok(())
    } else {
        Err(format!("expected {status}, got {}", reply.brief()))
    }
}
