//! The hostile tokens and the spellings of signatures of `tests/vectors`, through real Envoy, with signatures checked by the
//! host, by the module because the policy says so, and by the module because the host's function is not to be had: each time
//! every row has its code.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)]

use std::time::{SystemTime, UNIX_EPOCH};

use portcullis_e2e::edge::Stats;
use portcullis_e2e::message::Request;
use portcullis_e2e::stack::{Options, Stack, Update};
use portcullis_e2e::suite::same;
use portcullis_e2e::{Outcome, scenarios};
use serde_json::{Value, json};

#[path = "../../vectors/mod.rs"]
mod vectors;
use vectors::forge::{Forge, Row};
use vectors::{signatures, tokens};

scenarios! { Options::with_own_revocations();
    checked_by_the_host_every_row_has_its_code,
    checked_by_the_module_every_row_has_its_code,
    without_the_hosts_function_every_row_has_its_code,
}

/// What stays between the making of a row and its judgement, in seconds: far more than a slow machine needs.
const PATIENCE: u64 = 600;

/// Envoy refuses these itself: a field can't carry them.
fn is_sendable(token: &str) -> bool {
    token.bytes().all(|byte| byte == b'\t' || !byte.is_ascii_control())
}

async fn checked_by(stack: &Stack, by: &str) -> Outcome<u64> {
    stack
        .edge
        .counter(&format!("wasmcustom.portcullis.signatures.{by}"))
        .await
}

fn denials(counters: &Stats) -> Stats {
    let denied = |(name, count): (&String, &u64)| Some((name.strip_prefix("denied.")?.to_owned(), *count));
    counters.iter().filter_map(denied).collect()
}

/// Sends every row; afterwards, how many signatures were checked by the host and by the module.
async fn judge_all(stack: &mut Stack, signatures_by: &str) -> Outcome<(u64, u64)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let forge = Forge::new(now, PATIENCE);
    let mut policy = stack.policy()?;
    policy["requests"]["undeclared"] = json!("allow");
    let providers: Value = serde_json::from_str(&forge.providers()).map_err(|error| error.to_string())?;
    policy["tokens"] = json!({ "providers": providers, "signatures": signatures_by });
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
    let spellings = signatures::ALGORITHMS;
    let spellings = spellings
        .iter()
        .flat_map(|algorithm| signatures::rows_of(&forge, algorithm));
    let rows = tokens::rows(&forge).into_iter().chain(spellings);
    let rows: Vec<Row> = rows.filter(|row| is_sendable(&row.token)).collect();
    let client = stack.client()?;
    stack.backend.reset().await?;
    let checked = (checked_by(stack, "host").await?, checked_by(stack, "module").await?);
    let mut expected = denials(&stack.edge.module_counters().await?);
    let mut passing = 0;
    // One connection for all rows.
    let mut kept = client.connect().await?;
    for row in &rows {
        let sent = kept.send(&Request::get("/vector").bearer(&row.token)).await;
        let reply = sent.map_err(|fault| format!("{}: {fault}: {:?}", row.name, row.token))?;
        // Envoy takes any 400 of a filter's for a broken message, and would end an HTTP/1.1 connection after it.
        let ends = reply.header("connection") == Some("close");
        same(&format!("{}: the connection ends", row.name), ends, false)?;
        let told = reply.code();
        if told.as_deref() != row.code {
            return Err(format!(
                "{}: expected {:?}, got {} for {}",
                row.name,
                row.code,
                reply.brief(),
                row.token
            ));
        }
        match row.code {
            Some(code) => *expected.entry(code.to_owned()).or_default() += 1,
            None => passing += 1,
        }
    }
    let seen = stack.backend.seen_all().await?;
    let seen = seen.iter().filter(|request| request["path"] == "/vector").count();
    same("requests at the backend", seen, passing)?;
    same("the counters", denials(&stack.edge.module_counters().await?), expected)?;
    let by_host = checked_by(stack, "host").await? - checked.0;
    let by_module = checked_by(stack, "module").await? - checked.1;
    println!(
        "{} rows, {passing} of them good; signatures: {by_host} by the host, {by_module} by the module",
        rows.len()
    );
    Ok((by_host, by_module))
}

async fn checked_by_the_host_every_row_has_its_code(stack: &mut Stack) -> Outcome<()> {
    let (by_host, by_module) = judge_all(stack, "auto").await?;
    // HS, PS and EdDSA are never the host's.
    same("both serve", by_host > 0 && by_module > 0, true)
}

async fn checked_by_the_module_every_row_has_its_code(stack: &mut Stack) -> Outcome<()> {
    let (by_host, _) = judge_all(stack, "module").await?;
    same("signatures by the host", by_host, 0)
}

async fn without_the_hosts_function_every_row_has_its_code(_: &mut Stack) -> Outcome<()> {
    let options = Options {
        without_host_signatures: true,
        ..Options::with_own_revocations()
    };
    let mut bare = Stack::start(options).await?;
    let (by_host, _) = judge_all(&mut bare, "auto").await?;
    same("signatures by the host", by_host, 0)?;
    bare.check_vms().await
}
