//! The demo: starts the whole stack on the demo's ports, takes the tour, and prints what came of it.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use portcullis_e2e::backend::Backend;
use portcullis_e2e::client::Trust;
use portcullis_e2e::message::Request;
use portcullis_e2e::ports::{DEMO, loopback};
use portcullis_e2e::stack::{Options, Stack};
use portcullis_e2e::suite::stop_on_signals;
use portcullis_e2e::tour::{self, Target, Visitor};
use portcullis_e2e::{Outcome, places, until};

const USAGE: &str = "\
usage: demo [--keep] [--attach --ca FILE]

Starts Envoy with the module, a login backend, Redis and webdis on 127.0.0.1 (HTTPS on port 10443), sends real
requests, and prints for each what should come back and what came. Exits 0 only if all agree.

  --keep      leave it running until Ctrl-C, and print curl lines to try
  --attach    send the requests to a stack that already runs on these ports (compose); needs --ca
  --ca FILE   the certificate authority of that stack
  --help      this text";

// Containers that are just starting.
const ATTACH_SECONDS_MAX: u64 = 60;

#[derive(Debug, Default, PartialEq, Eq)]
struct Arguments {
    keep: bool,
    attach: bool,
    ca: Option<PathBuf>,
    help: bool,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut arguments = Self::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--keep" => arguments.keep = true,
                "--attach" => arguments.attach = true,
                "--ca" => arguments.ca = Some(words.next().ok_or("--ca needs a file")?.into()),
                "--help" | "-h" => arguments.help = true,
                other => return Err(format!("unknown argument `{other}`; --help tells which there are")),
            }
        }
        match (arguments.attach, &arguments.ca, arguments.keep) {
            (true, None, _) => Err("--attach needs --ca FILE, the stack's certificate authority".to_owned()),
            (false, Some(_), _) => Err("--ca goes with --attach only".to_owned()),
            (true, _, true) => Err("--keep and --attach exclude each other".to_owned()),
            _ => Ok(arguments),
        }
    }
}

fn main() -> ExitCode {
    let outcome = Arguments::parse(std::env::args().skip(1)).and_then(|arguments| {
        if arguments.help {
            println!("{USAGE}");
            return Ok(true);
        }
        let runtime = tokio::runtime::Runtime::new().map_err(|error| format!("can't start tokio: {error}"))?;
        stop_on_signals(&runtime)?;
        runtime.block_on(async {
            match arguments.ca {
                Some(ca) => attached(ca).await,
                None => started(arguments.keep).await,
            }
        })
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(fault) => {
            eprintln!("demo: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn tell(line: &str) {
    println!("demo: {line}");
}

async fn started(keep: bool) -> Outcome<bool> {
    let stack = Stack::start(Options {
        ports: Some(DEMO),
        progress: tell,
        ..Options::default()
    })
    .await?;
    let target = Target {
        https: stack.https(),
        http: loopback(DEMO.http),
        trust: stack.trust()?,
        backend: stack.backend.clone(),
    };
    tell("taking the tour\n");
    let agreed = tour_of(&target)
        .await
        .map_err(|fault| format!("{fault}\n{}", stack.logs()))?;
    tell(&format!(
        "{:.2} s from the start of the first process to the first answer over HTTPS",
        stack.first_answer.as_secs_f64()
    ));
    stack.check_vms().await?;
    if !agreed {
        eprintln!("{}", stack.logs());
    }
    if keep {
        print_invitation(&stack, &target).await?;
        // A signal ends the program from here.
        std::future::pending::<()>().await;
    }
    Ok(agreed)
}

async fn attached(ca: PathBuf) -> Outcome<bool> {
    let pem = fs::read(&ca).map_err(|error| format!("can't read {}: {error}", ca.display()))?;
    let target = Target {
        https: loopback(DEMO.https),
        http: loopback(DEMO.http),
        trust: Trust::from_pem(&pem)?,
        backend: Backend::new(loopback(DEMO.backend_admin)),
    };
    tell("waiting for the stack on port 10443");
    until(
        "the running stack",
        Duration::from_secs(ATTACH_SECONDS_MAX),
        async || {
            target.backend.check_health().await?;
            let token = target.backend.mint(&serde_json::json!({})).await?;
            let reply = target.client().send(&Request::get("/orders/1").bearer(&token)).await?;
            if reply.status < 500 { Ok(()) } else { Err(reply.brief()) }
        },
    )
    .await?;
    tell("taking the tour\n");
    tour_of(&target).await
}

async fn tour_of(target: &Target) -> Outcome<bool> {
    let (rows, failed) = tour::take(target).await?.counts();
    println!();
    tell(&format!("{rows} requests, {} as expected, {failed} not", rows - failed));
    Ok(failed == 0)
}

async fn print_invitation(stack: &Stack, target: &Target) -> Outcome<()> {
    let visitor = Visitor::new();
    target.client().send(&visitor.register()).await?;
    let token = tour::token_of(&target.client().send(&visitor.login()).await?)?;
    let curl = format!("curl -i --cacert {}", stack.authority_file().display());
    let url = format!("https://localhost:{}", DEMO.https);
    let json = "-H 'content-type: application/json'";
    println!(
        "
It runs until Ctrl-C. The token is good for 15 minutes. Try:

  TOKEN={token}
  {curl} {url}/orders -H \"authorization: Bearer $TOKEN\"
  {curl} {url}/orders -H \"authorization: Bearer $TOKEN\" {json} -d '{{\"items\":[{{\"sku\":\"ABC-1234\",\"qty\":2}}]}}'
  {curl} {url}/orders -H \"authorization: Bearer $TOKEN\" {json} -d '{{\"items\":[{{\"sku\":\"ABC-1234\",\"qty\":0}}]}}'
  {curl} {url}/orders
  {curl} {url}/login {json} -d '{{\"username\":\"{}\",\"password\":\"a guess\"}}'     # six times
  {curl} -X POST {url}/logout -H \"authorization: Bearer $TOKEN\"
  curl -i http://localhost:{}/orders
  curl -s http://localhost:{}/stats?filter=wasmcustom
  # the module: {}",
        visitor.name,
        DEMO.http,
        DEMO.envoy_admin,
        places::module()?.display(),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(words: &[&str], expected: Result<Arguments, &str>) {
        let parsed = Arguments::parse(words.iter().map(ToString::to_string));
        assert_eq!(parsed, expected.map_err(str::to_owned));
    }

    #[test]
    fn arguments_are_taken_or_refused_with_one_line() {
        check(&[], Ok(Arguments::default()));
        check(
            &["--keep"],
            Ok(Arguments {
                keep: true,
                ..Arguments::default()
            }),
        );
        let attached = Arguments {
            attach: true,
            ca: Some("ca.pem".into()),
            ..Arguments::default()
        };
        check(&["--attach", "--ca", "ca.pem"], Ok(attached));
        check(
            &["--attach"],
            Err("--attach needs --ca FILE, the stack's certificate authority"),
        );
        check(&["--ca", "x"], Err("--ca goes with --attach only"));
        check(&["--attach", "--ca"], Err("--ca needs a file"));
        check(
            &["--what"],
            Err("unknown argument `--what`; --help tells which there are"),
        );
    }
}
