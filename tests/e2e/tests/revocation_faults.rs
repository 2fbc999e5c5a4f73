//! Every fault of a source that is asked about each token, by one that can have each of them: with `deny` nothing revoked
//! or unknown passes, with `allow` everything else does, with `stale` the last known answer serves. No request waits longer
//! than the question's timeout allows.

use std::time::{Duration, Instant};

use ct_codecs::{Base64UrlSafeNoPadding, Decoder};
use portcullis_e2e::client::{Connection, Version};
use portcullis_e2e::message::Request;
use portcullis_e2e::source::{FAULTS, Mood, Question, Said, Source};
use portcullis_e2e::stack::{Options, Stack, Update};
use portcullis_e2e::suite::same;
use portcullis_e2e::{Outcome, random, scenarios, until};
use serde_json::{Value, json};

scenarios! { Options::with_own_revocations();
    lookup_with_deny_no_fault_lets_a_revoked_or_unknown_token_pass,
    lookup_with_allow_no_fault_refuses_anybody_but_the_revoked,
    lookup_with_stale_the_last_known_answer_serves_and_the_unknown_are_refused,
    introspection_with_deny_no_fault_lets_a_revoked_or_unknown_token_pass,
    introspection_with_allow_no_fault_refuses_anybody_but_the_revoked,
    introspection_with_stale_the_last_known_answer_serves_and_the_unknown_are_refused,
    waiters_that_are_cut_off_leave_nothing_behind,
}

const TIMEOUT: Duration = Duration::from_millis(200);

/// Beyond the timeout, what a request may wait.
const SLACK: Duration = Duration::from_millis(20);

/// How long an answer is kept, with as much again: from then on each use asks.
const FORGOTTEN: Duration = Duration::from_millis(250);

/// A kind of source: its section of the policy, and how it answers. Ids that begin with `bad` are revoked.
struct Kind {
    name: &'static str,
    section: fn() -> Value,
    answer: fn(&Question) -> Said,
}

const LOOKUP: Kind = Kind {
    name: "lookup",
    section: || {
        json!({ "cluster": "revocations", "authority": "revocations", "path": "/EXISTS/revoked:{jti}",
                "revoked": { "json": "/EXISTS", "equals": 1 }, "timeout": "200ms", "cache": "100ms" })
    },
    answer: |question| {
        let revoked = u8::from(question.path().contains("revoked:bad"));
        Said::json(format!("{{\"EXISTS\":{revoked}}}"))
    },
};

const INTROSPECTION: Kind = Kind {
    name: "introspection",
    section: || {
        json!({ "cluster": "revocations", "authority": "revocations", "path": "/introspect",
                "client_id": "edge", "client_secret": "of the tests", "timeout": "200ms", "cache": "100ms" })
    },
    answer: |question| {
        let token = question.body.strip_prefix("token=").unwrap_or_default();
        let payload = token.split("%2E").nth(1).unwrap_or_default();
        let bytes = Base64UrlSafeNoPadding::decode_to_vec(payload, None).unwrap_or_default();
        let claims: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let revoked = claims["jti"].as_str().is_none_or(|id| id.starts_with("bad"));
        Said::json(format!("{{\"active\":{}}}", !revoked))
    },
};

async fn with_policy(stack: &mut Stack, kind: &Kind, on_error: &str, stale: &str) -> Outcome<Source> {
    let source = Source::start(stack, kind.answer).await?;
    let mut policy = stack.policy()?;
    policy["revocation"] = json!({ "on_error": on_error, "stale": stale });
    policy["revocation"][kind.name] = (kind.section)();
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
    stack.wait_for_keys().await?;
    Ok(source)
}

async fn on_each_worker(stack: &Stack) -> Outcome<Vec<Connection>> {
    stack
        .connect_to_each_worker(&stack.client()?.over(Version::Http2))
        .await
}

fn get(token: &str) -> Request {
    Request::get("/orders/1").bearer(token)
}

/// Tokens for one fault: one known as good, one known as revoked, and never seen ones of both kinds.
struct Tokens {
    known: String,
    known_bad: String,
    unknown: Vec<String>,
    unknown_bad: Vec<String>,
}

/// Makes both workers well and shows them what they are to know, then lets the fault begin.
async fn begin(stack: &Stack, source: &Source, workers: &mut [Connection], fault: Mood) -> Outcome<Tokens> {
    source.set(Mood::Well).await?;
    let tag = format!("{:x}", random());
    let mint = async |id: String| stack.backend.mint(&json!({ "jti": id })).await;
    let known = mint(format!("good-{tag}")).await?;
    let known_bad = mint(format!("bad-{tag}")).await?;
    for worker in &mut *workers {
        // Only an answer of the source refuses it so: with `allow`, what is good passes without one.
        for (token, expected) in [(&known_bad, "401 token_revoked"), (&known, "404")] {
            until("the source's recovery", Duration::from_secs(20), async || {
                let brief = worker.send(&get(token)).await?.brief();
                if brief.starts_with(expected) {
                    Ok(())
                } else {
                    Err(brief)
                }
            })
            .await?;
        }
    }
    let (mut unknown, mut unknown_bad) = (Vec::new(), Vec::new());
    // The first of them find a breaker that is closed, the last one that is open.
    for i in 0..4 {
        unknown.push(mint(format!("good-{tag}-{i}")).await?);
        unknown_bad.push(mint(format!("bad-{tag}-{i}")).await?);
    }
    source.set(fault).await?;
    tokio::time::sleep(FORGOTTEN).await;
    Ok(Tokens {
        known,
        known_bad,
        unknown,
        unknown_bad,
    })
}

/// How long answers took: those that may have to do with the source, and those that have not, to tell what the machine
/// adds.
#[derive(Default)]
struct Times {
    asked: Vec<Duration>,
    unasked: Vec<Duration>,
}

impl Times {
    async fn send(&mut self, worker: &mut Connection, token: &str) -> Outcome<String> {
        let begun = Instant::now();
        let brief = worker.send(&get(token)).await?.brief();
        self.asked.push(begun.elapsed());
        let begun = Instant::now();
        let without = worker.send(&Request::get("/orders/1")).await?.brief();
        self.unasked.push(begun.elapsed());
        same("without a token", without.as_str(), "401 token_missing")?;
        Ok(brief)
    }

    /// No request waits beyond the timeout and its slack. What the machine itself kept a request waiting in this very run
    /// comes on top: on a quiet one a few milliseconds.
    fn check(&self, fault: Mood) -> Outcome<()> {
        let most = |times: &[Duration]| times.iter().max().copied().unwrap_or_default();
        let (asked, unasked) = (most(&self.asked), most(&self.unasked));
        println!(
            "{fault:?}: the longest of {} {asked:?}; of those that ask nobody {unasked:?}",
            self.asked.len()
        );
        same(
            &format!("{fault:?}: {asked:?} is at most {TIMEOUT:?}, {SLACK:?} and {unasked:?}"),
            asked <= TIMEOUT + SLACK + unasked,
            true,
        )
    }
}

/// Has each fault begin, and judges what each worker then says.
async fn for_each_fault(
    stack: &Stack,
    source: &Source,
    judge: impl AsyncFn(Mood, &Tokens, &mut Connection, &mut Times) -> Outcome<()>,
) -> Outcome<()> {
    let mut workers = on_each_worker(stack).await?;
    for fault in FAULTS {
        let tokens = begin(stack, source, &mut workers, fault).await?;
        let mut times = Times::default();
        for worker in &mut workers {
            judge(fault, &tokens, worker, &mut times).await?;
        }
        times.check(fault)?;
    }
    Ok(())
}

fn refused(fault: Mood, brief: &str) -> Outcome<()> {
    let refused = ["503 revocation_unavailable", "401 token_revoked"].contains(&brief);
    same(&format!("{fault:?}, revoked: {brief}"), refused, true)
}

async fn with_deny(stack: &mut Stack, kind: &Kind) -> Outcome<()> {
    let source = with_policy(stack, kind, "deny", "0s").await?;
    for_each_fault(stack, &source, async |fault, tokens, worker, times| {
        for token in tokens.unknown_bad.iter().chain([&tokens.known_bad]) {
            refused(fault, &times.send(worker, token).await?)?;
        }
        for token in tokens.unknown.iter().chain([&tokens.known]) {
            let brief = times.send(worker, token).await?;
            // A flapping source answers in between.
            let fits = brief == "503 revocation_unavailable" || (fault == Mood::Flapping && brief.starts_with("404"));
            same(&format!("{fault:?}, unknown: {brief}"), fits, true)?;
        }
        Ok(())
    })
    .await
}

async fn with_allow(stack: &mut Stack, kind: &Kind) -> Outcome<()> {
    let source = with_policy(stack, kind, "allow", "0s").await?;
    for_each_fault(stack, &source, async |fault, tokens, worker, times| {
        for token in tokens.unknown.iter().chain([&tokens.known]) {
            let brief = times.send(worker, token).await?;
            same(&format!("{fault:?}: {brief}"), brief.starts_with("404"), true)?;
        }
        let brief = times.send(worker, &tokens.known_bad).await?;
        same(
            &format!("{fault:?}, known as revoked"),
            brief.as_str(),
            "401 token_revoked",
        )
    })
    .await
}

async fn with_stale(stack: &mut Stack, kind: &Kind) -> Outcome<()> {
    let source = with_policy(stack, kind, "deny", "10m").await?;
    for_each_fault(stack, &source, async |fault, tokens, worker, times| {
        for _ in 0..4 {
            let brief = times.send(worker, &tokens.known).await?;
            same(&format!("{fault:?}, known: {brief}"), brief.starts_with("404"), true)?;
        }
        for token in tokens.unknown_bad.iter().chain([&tokens.known_bad]) {
            refused(fault, &times.send(worker, token).await?)?;
        }
        Ok(())
    })
    .await
}

async fn lookup_with_deny_no_fault_lets_a_revoked_or_unknown_token_pass(stack: &mut Stack) -> Outcome<()> {
    with_deny(stack, &LOOKUP).await
}

async fn lookup_with_allow_no_fault_refuses_anybody_but_the_revoked(stack: &mut Stack) -> Outcome<()> {
    with_allow(stack, &LOOKUP).await
}

async fn lookup_with_stale_the_last_known_answer_serves_and_the_unknown_are_refused(stack: &mut Stack) -> Outcome<()> {
    with_stale(stack, &LOOKUP).await
}

async fn introspection_with_deny_no_fault_lets_a_revoked_or_unknown_token_pass(stack: &mut Stack) -> Outcome<()> {
    with_deny(stack, &INTROSPECTION).await
}

async fn introspection_with_allow_no_fault_refuses_anybody_but_the_revoked(stack: &mut Stack) -> Outcome<()> {
    with_allow(stack, &INTROSPECTION).await
}

async fn introspection_with_stale_the_last_known_answer_serves_and_the_unknown_are_refused(
    stack: &mut Stack,
) -> Outcome<()> {
    with_stale(stack, &INTROSPECTION).await
}

/// Streams of one connection; Envoy takes 100 at once.
const STREAMS: usize = 100;
const CONNECTIONS: usize = 20;
const WAVES: usize = 50;

async fn waiters_that_are_cut_off_leave_nothing_behind(stack: &mut Stack) -> Outcome<()> {
    let source = with_policy(stack, &LOOKUP, "deny", "0s").await?;
    let client = stack.client()?.over(Version::Http2);
    let mut levels = Vec::new();
    for wave in 0..WAVES {
        source.set(Mood::Slow).await?;
        let token = stack
            .backend
            .mint(&json!({ "jti": format!("cut-{wave}-{:x}", random()) }))
            .await?;
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..CONNECTIONS {
            let connection = client.connect().await?;
            for _ in 0..STREAMS {
                let mut stream = connection.share().ok_or("not HTTP/2")?;
                let request = get(&token);
                // Cut off while the lookup is out: some before it times out, some just as it does.
                waiting.spawn(async move {
                    let _ = tokio::time::timeout(Duration::from_millis(150), stream.send(&request)).await;
                });
            }
            drop(connection);
        }
        while waiting.join_next().await.is_some() {}
        if wave % 10 == 9 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            levels.push(stack.edge_resident_mib()?);
        }
    }
    println!(
        "{} waiters cut off; resident MiB after every ten waves: {levels:?}",
        WAVES * CONNECTIONS * STREAMS
    );
    let (first, last) = (levels[0], levels[levels.len() - 1]);
    same(
        &format!("memory back to its level: {levels:?} MiB"),
        last <= first + first / 10,
        true,
    )?;
    // Nobody hangs: the same workers judge as before.
    source.set(Mood::Well).await?;
    let good = stack.backend.mint(&json!({ "jti": "good-after" })).await?;
    for worker in &mut stack.connect_to_each_worker(&client).await? {
        until("a good token's passage", Duration::from_secs(20), async || {
            let brief = worker.send(&get(&good)).await?.brief();
            if brief.starts_with("404") { Ok(()) } else { Err(brief) }
        })
        .await?;
    }
    same("the source was asked", source.asked() > 0, true)
}
