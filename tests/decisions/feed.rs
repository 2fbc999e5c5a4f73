//! The revocation feed: told ahead, followed by every worker, never older than it may be.

use crate::revocation::{with_claims, with_id};
use crate::scene::{Scene, Verdict};
use portcullis::callout::{Answer, Callout};
use portcullis::engine::Engine;
use portcullis::guard::revocation::Claim;
use portcullis::host::{Counter, Gauge, Host};
use portcullis::knowledge::Need;
use std::rc::Rc;
use std::time::Duration;

const POLICY: &str = r#"{
  "tokens": { "providers": [ { "issuer": "i", "audiences": ["a"], "algorithms": ["HS256"], "jwks": { "inline": { "keys": [ { "kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY" } ] } } } ] },
  "revocation": { "on_error": "deny", "stale": "1m", "feed": { "cluster": "c", "authority": "a", "path": "/feed.json", "every": "1s" } } }"#;

/// One tick of a worker; the poll that it makes, if any.
fn tick(scene: &Scene, worker: &Rc<Engine>) -> Option<Callout> {
    let due = worker.due(&scene.host);
    let polls = due.contains(&Need::FeedPoll);
    polls.then(|| {
        worker.asked(&scene.host, &Need::FeedPoll);
        worker.callout(&Need::FeedPoll).unwrap()
    })
}

fn answer(scene: &Scene, worker: &Rc<Engine>, status: u16, fields: &[(&str, &str)], body: &str) -> bool {
    let mut all = vec![("content-type", "application/json")];
    all.extend(fields);
    worker.learn(&scene.host, &Need::FeedPoll, Some(&Answer::of(status, &all, body)))
}

fn far(scene: &Scene) -> u64 {
    scene.host.now().seconds() + 100_000
}

fn entries(scene: &Scene, ids: &[&str]) -> String {
    let entries = ids
        .iter()
        .map(|id| format!(r#"{{"iss":"i","jti":"{id}","exp":{}}}"#, far(scene)));
    entries.collect::<Vec<_>>().join(",")
}

#[test]
fn one_worker_polls_and_every_worker_decides_without_a_callout() {
    let scene = Scene::new(POLICY);
    let other = scene.worker(POLICY);
    let (good, revoked) = (with_id(&scene, "good"), with_id(&scene, "revoked"));
    // Before the first feed a request waits for it, on every worker.
    let mut early = scene.send_to(&other, &good);
    assert_eq!(early.verdict(), Verdict::Waits(Need::Feed));
    assert!(matches!(early.claim(), Claim::Elsewhere(_)) && !early.heard());
    let poll = tick(&scene, &scene.engine).unwrap();
    assert_eq!((poll.method, poll.path.as_str()), ("GET", "/feed.json"));
    assert!(tick(&scene, &other).is_none() && tick(&scene, &scene.engine).is_none());
    // Nor does one that read the clock a little before the one that polls.
    scene.host.put_back(Duration::from_millis(1));
    assert!(tick(&scene, &other).is_none());
    scene.host.advance(Duration::from_millis(1));
    let body = format!(
        r#"{{"version":1,"reset":true,"cursor":"1-0","entries":[{}]}}"#,
        entries(&scene, &["revoked"])
    );
    assert!(answer(&scene, &scene.engine, 200, &[], &body));
    assert!(tick(&scene, &other).is_none());
    assert!(early.heard());
    assert_eq!(early.verdict(), Verdict::Allowed);
    for worker in [&scene.engine, &other] {
        assert_eq!(scene.send_to(worker, &good).verdict(), Verdict::Allowed);
        assert_eq!(
            scene.send_to(worker, &revoked).verdict(),
            Verdict::Denied("token_revoked")
        );
    }
    // The next turn is anybody's, after the cursor; changes are added.
    scene.pass(1);
    let poll = tick(&scene, &other).unwrap();
    assert_eq!(poll.path, "/feed.json?after=1-0");
    let body = format!(
        r#"{{"version":1,"cursor":"2-0","entries":[{}]}}"#,
        entries(&scene, &["good"])
    );
    assert!(answer(&scene, &other, 200, &[], &body));
    assert_eq!(scene.send_to(&other, &good).verdict(), Verdict::Denied("token_revoked"));
    assert!(tick(&scene, &scene.engine).is_none());
    for request in [&good, &revoked] {
        scene.denied(request, "token_revoked");
    }
    // A snapshot takes back what it does not name.
    scene.pass(1);
    assert_eq!(tick(&scene, &scene.engine).unwrap().path, "/feed.json?after=2-0");
    let body = format!(
        r#"{{"version":1,"reset":true,"entries":[{}]}}"#,
        entries(&scene, &["revoked"])
    );
    assert!(answer(&scene, &scene.engine, 200, &[], &body));
    assert!(tick(&scene, &other).is_none());
    for worker in [&scene.engine, &other] {
        assert_eq!(scene.send_to(worker, &good).verdict(), Verdict::Allowed);
        assert_eq!(
            scene.send_to(worker, &revoked).verdict(),
            Verdict::Denied("token_revoked")
        );
    }
    assert_eq!(scene.host.counted(Counter::RevocationAsked), 0);
}

#[test]
fn a_snapshot_in_pages_counts_once_it_is_whole() {
    let scene = Scene::new(POLICY);
    let other = scene.worker(POLICY);
    let page = |reset: bool, more: bool, cursor: &str, ids: &[&str]| {
        let entries = entries(&scene, ids);
        format!(r#"{{"version":1,"reset":{reset},"more":{more},"cursor":"{cursor}","entries":[{entries}]}}"#)
    };
    tick(&scene, &scene.engine).unwrap();
    assert!(answer(&scene, &scene.engine, 200, &[], &page(true, true, "p1", &["a"])));
    let request = with_id(&scene, "z");
    assert_eq!(scene.send(&request).verdict(), Verdict::Waits(Need::Feed));
    // The next page is due at once, of the worker that has the first.
    assert!(tick(&scene, &other).is_none());
    assert_eq!(tick(&scene, &scene.engine).unwrap().path, "/feed.json?after=p1");
    // A cursor that does not move would be asked for ever.
    assert!(!answer(
        &scene,
        &scene.engine,
        200,
        &[],
        &page(false, true, "p1", &["b"])
    ));
    assert!(tick(&scene, &scene.engine).is_none());
    scene.pass(1);
    assert_eq!(tick(&scene, &other).unwrap().path, "/feed.json");
    assert!(answer(&scene, &other, 200, &[], &page(true, true, "p1", &["a"])));
    tick(&scene, &other).unwrap();
    assert!(answer(&scene, &other, 200, &[], &page(false, false, "p2", &["b"])));
    tick(&scene, &scene.engine);
    for worker in [&scene.engine, &other] {
        for (id, expected) in [("a", false), ("b", false), ("c", true)] {
            let passed = scene.send_to(worker, &with_id(&scene, id)).verdict() == Verdict::Allowed;
            assert_eq!(passed, expected, "{id}");
        }
    }
    assert_eq!(scene.host.measured(Gauge::FeedEntries), Some(2));
}

#[test]
fn an_unchanged_file_costs_nothing_by_its_entity_tag() {
    let scene = Scene::new(POLICY);
    let poll = tick(&scene, &scene.engine).unwrap();
    assert!(poll.fields.iter().all(|(name, _)| *name != "if-none-match"));
    // An answer that nobody may give to an unconditional question.
    assert!(!answer(&scene, &scene.engine, 304, &[], ""));
    scene.pass(1);
    tick(&scene, &scene.engine).unwrap();
    let body = format!(
        r#"{{"version":1,"reset":true,"entries":[{}]}}"#,
        entries(&scene, &["revoked"])
    );
    assert!(answer(&scene, &scene.engine, 200, &[("etag", "\"v1\"")], &body));
    for _ in 0..90 {
        scene.pass(1);
        let poll = tick(&scene, &scene.engine).unwrap();
        assert!(poll.fields.contains(&("if-none-match", "\"v1\"".into())) && poll.path == "/feed.json");
        assert!(answer(&scene, &scene.engine, 304, &[], ""));
    }
    scene.allowed(&with_id(&scene, "good"));
    scene.denied(&with_id(&scene, "revoked"), "token_revoked");
    assert_eq!(scene.host.measured(Gauge::FeedAge), Some(0));
    // Without a tag: the same file again changes nothing either.
    scene.pass(1);
    tick(&scene, &scene.engine).unwrap();
    assert!(answer(&scene, &scene.engine, 200, &[], &body));
    scene.denied(&with_id(&scene, "revoked"), "token_revoked");
}

#[test]
fn a_feed_that_can_not_be_used_is_down_and_grows_old() {
    let bad = [
        "",
        "<html>",
        "{}",
        r#"{"version":1,"entries":[{"iss":"i"}]}"#,
        r#"{"version":1,"entries":[{"iss":"i","jti":"x","exp":9"#,
    ];
    for body in bad {
        let scene = Scene::new(POLICY);
        tick(&scene, &scene.engine).unwrap();
        let first = format!(
            r#"{{"version":1,"reset":true,"cursor":"c","entries":[{}]}}"#,
            entries(&scene, &["revoked"])
        );
        assert!(answer(&scene, &scene.engine, 200, &[], &first));
        for _ in 0..60 {
            scene.pass(1);
            assert_eq!(tick(&scene, &scene.engine).unwrap().path, "/feed.json?after=c");
            assert!(!answer(&scene, &scene.engine, 200, &[], body));
        }
        scene.allowed(&with_id(&scene, "good"));
        assert_eq!(scene.host.counted(Counter::RevocationStale), 1);
        assert_eq!(scene.host.measured(Gauge::FeedAge), Some(60));
        scene.pass(1);
        assert!(!{
            tick(&scene, &scene.engine).unwrap();
            scene.engine.learn(&scene.host, &Need::FeedPoll, None)
        });
        scene.denied(&with_id(&scene, "good"), "revocation_unavailable");
        // What is known as revoked stays so.
        scene.denied(&with_id(&scene, "revoked"), "token_revoked");
        let told: Vec<_> = scene
            .host
            .lines()
            .into_iter()
            .filter(|line| line.contains("feed"))
            .collect();
        assert_eq!(told.len(), 1, "{told:?}");
        scene.pass(1);
        tick(&scene, &scene.engine).unwrap();
        assert!(answer(
            &scene,
            &scene.engine,
            200,
            &[],
            r#"{"version":1,"cursor":"c","entries":[]}"#
        ));
        scene.allowed(&with_id(&scene, "good"));
    }
}

#[test]
fn without_any_feed_on_error_answers() {
    let scene = Scene::new(POLICY);
    let request = with_id(&scene, "x");
    assert_eq!(
        scene.send(&request).unasked().verdict(),
        Verdict::Denied("revocation_unavailable")
    );
    let scene = Scene::new(&POLICY.replace("\"deny\"", "\"allow\""));
    assert_eq!(scene.send(&request).unasked().verdict(), Verdict::Allowed);
    scene.pass(100);
    tick(&scene, &scene.engine);
    scene.pass(20);
    tick(&scene, &scene.engine);
    assert_eq!(scene.host.measured(Gauge::FeedAge), Some(20));
}

#[test]
fn another_source_and_a_lost_worker_start_anew() {
    let scene = Scene::new(POLICY);
    tick(&scene, &scene.engine).unwrap();
    // The worker is lost with its claim; after its time another polls.
    let other = scene.worker(POLICY);
    scene.pass(1);
    assert!(tick(&scene, &other).is_none());
    scene.pass(2);
    assert!(tick(&scene, &other).is_some());
    let body = format!(
        r#"{{"version":1,"reset":true,"cursor":"c","entries":[{}]}}"#,
        entries(&scene, &["x"])
    );
    assert!(answer(&scene, &other, 200, &[], &body));
    // A worker that starts later has it from the others.
    let late = scene.worker(POLICY);
    assert!(tick(&scene, &late).is_none());
    assert_eq!(
        scene.send_to(&late, &with_id(&scene, "x")).verdict(),
        Verdict::Denied("token_revoked")
    );
    // One with another feed in its configuration does not take this one for it.
    let moved = scene.worker(&POLICY.replace("/feed.json", "/moved.json"));
    assert_eq!(tick(&scene, &moved).unwrap().path, "/moved.json");
    assert_eq!(
        scene.send_to(&moved, &with_id(&scene, "x")).verdict(),
        Verdict::Waits(Need::Feed)
    );
}

#[test]
fn subjects_and_issuers_before_an_instant() {
    let scene = Scene::new(POLICY);
    let now = scene.host.now().seconds();
    tick(&scene, &scene.engine).unwrap();
    let body = format!(
        r#"{{"version":1,"reset":true,"entries":[{{"iss":"i","sub":"ann","before":{now},"exp":{}}}]}}"#,
        far(&scene)
    );
    assert!(answer(&scene, &scene.engine, 200, &[], &body));
    scene.denied(&with_claims(&scene, &format!(r#","iat":{}"#, now - 1)), "token_revoked");
    scene.allowed(&with_claims(&scene, &format!(r#","iat":{now}"#)));
    scene.denied(&with_claims(&scene, ""), "token_revoked");
}

#[test]
fn many_changes_fill_pages_that_other_workers_follow_and_late_ones_catch_up() {
    let scene = Scene::new(POLICY);
    let other = scene.worker(POLICY);
    let mut told = 0;
    for round in 0..25 {
        scene.pass(1);
        tick(&scene, &scene.engine).unwrap();
        let ids: Vec<String> = (told..told + 777).map(|i| format!("n{i}")).collect();
        told += 777;
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let reset = round == 0;
        let body = format!(
            r#"{{"version":1,"reset":{reset},"cursor":"c{round}","entries":[{}]}}"#,
            entries(&scene, &ids)
        );
        assert!(answer(&scene, &scene.engine, 200, &[], &body));
        if round % 3 == 0 {
            tick(&scene, &other);
        }
    }
    let late = scene.worker(POLICY);
    for worker in [&scene.engine, &other, &late] {
        tick(&scene, worker);
        for i in (0..told).step_by(97) {
            let verdict = scene.send_to(worker, &with_id(&scene, &format!("n{i}"))).verdict();
            assert_eq!(verdict, Verdict::Denied("token_revoked"), "n{i}");
        }
        assert_eq!(scene.send_to(worker, &with_id(&scene, "n")).verdict(), Verdict::Allowed);
    }
}
