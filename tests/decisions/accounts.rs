//! Attempts at accounts: slowed down for strangers, open to their owners, whatever a guesser tries.

use crate::scene::{Request, Scene, Verdict, get, header, post_json, request};
use portcullis::host::{Counter, Host};
use std::time::Duration;

const POLICY: &str = r#"{ "login": {
  "client": { "attempts": 5, "window": "15m", "refunds": 20 },
  "account": { "attempts": 20, "window": "1h", "from": ["/username", "/email"] },
  "accounts_per_client": { "accounts": 3, "window": "1h" } } }"#;

const LOOSE: &str = r#"{ "login": {
  "client": { "attempts": 1000, "window": "1m", "refunds": 1000 },
  "account": { "attempts": 20, "window": "1h" }, "accounts_per_client": { "accounts": 3, "window": "1h" } } }"#;

fn guess(name: &str) -> Request {
    post_json("/login", &format!(r#"{{"username":"{name}","password":"x"}}"#))
}

/// The next of many clients, none of which was seen before.
fn from(scene: &Scene, client: u32) {
    scene
        .host
        .set_address(&format!("198.18.{}.{}:1", client >> 8, client & 255));
}

#[test]
fn an_account_is_slowed_down_for_all_strangers_together_in_any_spelling() {
    let scene = Scene::new(POLICY);
    let spellings = ["ann", "ANN", " ann ", "\\u0061nn", "ａｎｎ", "a\u{200B}nn"];
    for i in 0..20 {
        from(&scene, i / 4);
        let name = spellings[usize::try_from(i).unwrap() % spellings.len()];
        scene.allowed(&guess(name)).responds(401);
    }
    from(&scene, 0);
    scene.denied(&guess("ann"), "account_limited");
    let form = request("POST", "/login")
        .field("content-type", "application/x-www-form-urlencoded")
        .body("username=Ann&password=x");
    let reply = scene.denied(&form, "account_limited");
    assert_eq!((reply.status, header(&reply, "retry-after")), (429, Some("180")));
    // Another account of the same client goes on, and what was refused cost the client nothing.
    scene.allowed(&guess("bob")).responds(401);
    scene.pass(179);
    from(&scene, 1);
    scene.denied(&guess("ann"), "account_limited");
    scene.pass(1);
    scene.allowed(&guess("ann")).responds(401);
}

#[test]
fn strangers_do_not_lock_the_owner_out() {
    let scene = Scene::new(POLICY);
    from(&scene, 9_999);
    scene.allowed(&guess("ann")).responds(200);
    for i in 0..500 {
        from(&scene, i);
        let exchange = scene.send(&guess("ann"));
        if exchange.verdict() == Verdict::Allowed {
            exchange.responds(401);
        }
    }
    // The owner from where he has been before: any time, and with mistakes.
    from(&scene, 9_999);
    for status in [200, 401, 401, 200, 200] {
        scene.allowed(&guess("ann")).responds(status);
    }
}

#[test]
fn who_was_never_seen_failing_draws_on_a_reserve() {
    let scene = Scene::new(POLICY);
    for i in 0..20 {
        from(&scene, i / 4);
        scene.allowed(&guess("ann")).responds(401);
    }
    from(&scene, 3);
    scene.denied(&guess("ann"), "account_limited");
    // The owner from a new place, while strangers are at it.
    from(&scene, 77);
    scene.allowed(&guess("ann")).responds(200);
    // A guesser with fresh addresses has the reserve to share, no more.
    let mut passed = 0;
    for i in 1_000..2_000 {
        from(&scene, i);
        let exchange = scene.send(&guess("ann"));
        if exchange.verdict() == Verdict::Allowed {
            exchange.responds(401);
            passed += 1;
        }
    }
    assert_eq!(passed, 20);
}

#[test]
fn never_more_than_a_hundred_failures_in_a_row() {
    let scene = Scene::new(POLICY);
    let mut failures = 0;
    for hour in 0..20_u32 {
        for i in 0..40 {
            from(&scene, hour * 40 + i);
            let exchange = scene.send(&guess("ann"));
            if exchange.verdict() == Verdict::Allowed {
                exchange.responds(401);
                failures += 1;
            }
        }
        scene.pass(3600);
    }
    assert_eq!(failures, 100);
    from(&scene, 60_000);
    scene.denied(&guess("ann"), "account_limited");
}

#[test]
fn known_and_unknown_accounts_get_the_same_answers() {
    let answers = |known: bool| {
        let scene = Scene::new(POLICY);
        if known {
            from(&scene, 9_999);
            scene.allowed(&guess("ann")).responds(200);
        }
        let mut answers = Vec::new();
        for i in 0..60 {
            from(&scene, i / 6);
            let exchange = scene.send(&guess("ann"));
            answers.push(exchange.verdict());
            if exchange.verdict() == Verdict::Allowed {
                exchange.responds(401);
            }
        }
        answers
    };
    assert_eq!(answers(true), answers(false));
}

#[test]
fn a_sprayer_is_stopped_at_the_fourth_account() {
    let scene = Scene::new(LOOSE);
    for name in ["ann", "bob", "cid"] {
        scene.allowed(&guess(name)).responds(401);
    }
    let reply = scene.denied(&guess("dan"), "login_spraying");
    assert_eq!(header(&reply, "retry-after"), Some("1200"));
    // Those that it tried already are a matter of the other limits.
    scene.allowed(&guess("ann")).responds(401);
    scene.allowed(&guess("BOB")).responds(401);
    // Accounts that turn out to be its own do not count; nor does an own login open the way to others.
    scene.denied(&guess("dan"), "login_spraying");
    from(&scene, 5);
    for name in ["a1", "a2", "a3", "a4", "a5"] {
        scene.allowed(&guess(name)).responds(200);
    }
    for name in ["ann", "bob", "cid"] {
        scene.allowed(&guess(name)).responds(401);
    }
    scene.denied(&guess("dan"), "login_spraying");
}

#[test]
fn a_login_that_names_no_account_is_refused_before_it_costs_anything() {
    let scene = Scene::new(POLICY);
    for (body, code) in [
        (r#"{"password":"x"}"#, "account_missing"),
        (r#"{"username":""}"#, "account_invalid"),
        (r#"{"username":7}"#, "account_invalid"),
        (r#"{"username":"a","username":"b"}"#, "account_invalid"),
        (r#"{"username":"a","Username":"b"}"#, "account_invalid"),
        ("{", "account_invalid"),
    ] {
        scene.denied(&post_json("/login", body), code);
    }
    scene.denied(&request("POST", "/login"), "account_missing");
    scene.denied(
        &request("POST", "/login")
            .field("content-type", "text/plain")
            .body(r#"{"username":"a"}"#),
        "account_missing",
    );
    scene.denied(&post_json("/login", &" ".repeat(70_000)), "body_too_large");
    assert_eq!(scene.host.counted(Counter::AttemptReserved), 0);
    // Every pointer that is there counts.
    for _ in 0..4 {
        scene
            .allowed(&post_json("/login", r#"{"username":"u","email":"E@x.y"}"#))
            .responds(401);
    }
    from(&scene, 1);
    for _ in 0..4 {
        scene
            .allowed(&post_json("/login", r#"{"email":"e@X.y"}"#))
            .responds(401);
    }
}

#[test]
fn a_policy_that_knows_no_failure_is_still_a_bound() {
    let scene = Scene::new(POLICY);
    let mut passed = 0;
    for _ in 0..200 {
        let exchange = scene.send(&guess("ann"));
        if exchange.verdict() == Verdict::Allowed {
            // Not in `failure.statuses`: each is given back, up to `refunds`.
            exchange.responds(404);
            passed += 1;
        }
    }
    assert_eq!(passed, 25);
    assert_eq!(scene.host.counted(Counter::AttemptKept), 5);
    assert_eq!(scene.host.counted(Counter::BanStarted), 0);
}

/// A backend looks one of two names up, and the policy can't tell which: so a login with one's own name beside somebody
/// else's is no proof for either.
#[test]
fn an_own_login_that_names_another_account_too_proves_nothing_of_that() {
    const BOTH: &str = r#"{"username":"mallory","email":"ann","password":"x"}"#;
    let scene = Scene::new(LOOSE);
    from(&scene, 500);
    scene.allowed(&post_json("/login", BOTH)).responds(200);
    // Strangers use up what they share, and newcomers the reserve.
    for i in 0..40 {
        from(&scene, i);
        scene.allowed(&guess("ann")).responds(401);
    }
    from(&scene, 500);
    scene.denied(&guess("ann"), "account_limited");
    // Nor does it break a row of failures.
    let mut failures = 40;
    for hour in 1..20_u32 {
        scene.pass(3600);
        from(&scene, 500);
        let own = scene.send(&post_json("/login", BOTH));
        if own.verdict() == Verdict::Allowed {
            own.responds(200);
        }
        for i in 0..40 {
            from(&scene, 600 + hour * 40 + i);
            let exchange = scene.send(&guess("ann"));
            if exchange.verdict() == Verdict::Allowed {
                exchange.responds(401);
                failures += 1;
            }
        }
    }
    assert_eq!(failures, 100);
}

#[test]
fn an_own_login_that_names_a_tried_account_too_gives_no_account_back() {
    let scene = Scene::new(LOOSE);
    for name in ["ann", "bob", "cid"] {
        // While the own login waits for its answer, the name beside it is tried.
        let own = scene.send(&post_json(
            "/login",
            &format!(r#"{{"username":"mallory","email":"{name}"}}"#),
        ));
        if own.verdict() == Verdict::Allowed {
            scene.allowed(&guess(name)).responds(401);
            own.responds(200);
        }
    }
    scene.denied(&guess("dan"), "login_spraying");
}

#[test]
fn a_clock_that_is_put_back_closes_an_account_no_longer_than_one_window() {
    let scene = Scene::new(LOOSE);
    for i in 0..40 {
        from(&scene, i);
        scene.allowed(&guess("ann")).responds(401);
    }
    scene.host.put_back(Duration::from_secs(86_400));
    from(&scene, 90);
    let reply = scene.denied(&guess("ann"), "account_limited");
    assert_eq!(header(&reply, "retry-after"), Some("180"));
    scene.pass(179);
    scene.denied(&guess("ann"), "account_limited");
    scene.pass(1);
    scene.allowed(&guess("ann")).responds(401);
}

#[test]
fn a_clock_that_is_put_back_holds_a_known_client_no_longer_than_one_window() {
    let scene = Scene::new(LOOSE);
    scene.allowed(&guess("ann")).responds(200);
    for _ in 0..20 {
        scene.allowed(&guess("ann")).responds(401);
    }
    scene.host.put_back(Duration::from_secs(86_400));
    // Of a failure ahead of now nobody can tell how many there were: it is a ban, whose wait is that of all limits.
    let reply = scene.denied(&guess("ann"), "client_banned");
    assert_eq!(header(&reply, "retry-after"), Some("900"));
    scene.pass(899);
    scene.denied(&guess("ann"), "client_banned");
    scene.pass(1);
    for _ in 0..5 {
        scene.allowed(&guess("ann")).responds(401);
    }
    scene.denied(&guess("ann"), "account_limited");
}

#[test]
fn a_clock_that_is_put_back_closes_an_account_no_longer_than_the_longest_ban() {
    let scene = Scene::new(&LOOSE.replace("{ \"login\": {", "{ \"login\": { \"ban\": { \"max\": \"2h\" },"));
    for i in 0..100 {
        from(&scene, i);
        if i % 20 == 0 {
            scene.pass(3600);
        }
        scene.allowed(&guess("ann")).responds(401);
    }
    from(&scene, 900);
    let reply = scene.denied(&guess("ann"), "account_limited");
    assert_eq!(header(&reply, "retry-after"), Some("7200"));
    scene.host.put_back(Duration::from_secs(86_400));
    from(&scene, 901);
    let reply = scene.denied(&guess("ann"), "account_limited");
    assert_eq!(header(&reply, "retry-after"), Some("7200"));
    scene.pass(7199);
    scene.denied(&guess("ann"), "account_limited");
    scene.pass(1);
    scene.allowed(&guess("ann")).responds(401);
}

#[test]
fn a_clock_that_is_put_back_holds_a_sprayer_no_longer_than_one_window() {
    let scene = Scene::new(LOOSE);
    for name in ["ann", "bob", "cid"] {
        scene.allowed(&guess(name)).responds(401);
    }
    scene.host.put_back(Duration::from_secs(86_400));
    let reply = scene.denied(&guess("dan"), "client_banned");
    assert_eq!(header(&reply, "retry-after"), Some("1200"));
    scene.pass(1199);
    scene.denied(&guess("dan"), "login_spraying");
    scene.pass(1);
    scene.allowed(&guess("dan")).responds(401);
    scene.denied(&guess("eve"), "login_spraying");
}

/// The limits that did not speak are put right with the one that did: the wait that is told is the truth at once.
#[test]
fn after_a_clock_was_put_back_a_retry_passes_all_limits_at_the_second_it_was_told() {
    let scene = Scene::new(LOOSE);
    for i in 0..40 {
        from(&scene, i);
        scene.allowed(&guess("ann")).responds(401);
    }
    from(&scene, 90);
    for name in ["bob", "cid", "dan"] {
        scene.allowed(&guess(name)).responds(401);
    }
    scene.host.put_back(Duration::from_secs(86_400));
    let reply = scene.denied(&guess("ann"), "client_banned");
    assert_eq!(header(&reply, "retry-after"), Some("1200"));
    scene.pass(1200);
    scene.allowed(&guess("ann")).responds(401);
}

/// Another worker may have a newer clock: what lies ahead by less than ten seconds gives nothing back.
#[test]
fn a_refusal_by_a_clock_that_is_behind_gives_no_attempt_back() {
    let policy = LOOSE.replace(
        "\"attempts\": 20, \"window\": \"1h\"",
        "\"attempts\": 2, \"window\": \"2s\"",
    );
    for known in [true, false] {
        let scene = Scene::new(&policy);
        if known {
            scene.allowed(&guess("ann")).responds(200);
        } else {
            from(&scene, 1);
            scene.allowed(&guess("bob")).responds(401);
        }
        for _ in 0..2 {
            scene.allowed(&guess("ann")).responds(401);
        }
        for _ in 0..9 {
            scene.host.put_back(Duration::from_millis(100));
            scene.denied(&guess("ann"), "account_limited");
        }
        scene.host.advance(Duration::from_millis(900 + 999));
        scene.denied(&guess("ann"), "account_limited");
        scene.host.advance(Duration::from_millis(1));
        scene.allowed(&guess("ann")).responds(401);
    }
}

/// A small table, so that it is soon full: 28 buckets of 48 seats.
const SMALL: &str = r#"{ "store": { "memory": "64KiB" }, "quotas": [ { "name": "q", "limit": 5, "window": "1m", "operations": ["x"] } ],
  "operations": [ { "id": "x", "methods": ["GET"], "path": "/x" } ],
  "login": { "client": { "attempts": 5, "window": "15m" }, "account": { "attempts": 20, "window": "1h" } } }"#;
const SEATS: u32 = 28 * 48;

fn fail(scene: &Scene, client: u32, name: &str) -> bool {
    scene
        .host
        .set_address(&format!("10.{}.{}.{}:1", client >> 16, client >> 8 & 255, client & 255));
    let exchange = scene.send(&guess(name));
    let allowed = exchange.verdict() == Verdict::Allowed;
    if allowed {
        exchange.responds(401);
    }
    allowed
}

/// Four times as many made-up names as there are seats, four from each client: one short of its limit.
fn flood(scene: &Scene, clients: &mut u32) {
    for name in 0..4 * SEATS {
        *clients += u32::from(name % 4 == 0);
        fail(scene, *clients, &format!("made-up-{clients}-{name}"));
    }
}

#[test]
fn made_up_names_reset_no_row_of_failures() {
    let scene = Scene::new(SMALL);
    let (mut clients, mut failures) = (0, 0);
    for hour in 0..8 {
        for _ in 0..20 {
            clients += 1;
            failures += u32::from(fail(&scene, clients, "ann"));
        }
        // The strangers' allowance is used up, and its record held, for three minutes.
        scene.pass(200);
        if hour >= 1 {
            flood(&scene, &mut clients);
        }
        scene.pass(3400);
    }
    assert_eq!(failures, 100);
}

#[test]
fn made_up_names_reset_no_quota() {
    let scene = Scene::new(SMALL);
    flood(&scene, &mut 0);
    scene.pass(900);
    let mut admitted = 0;
    for _ in 0..50 {
        for client in 0..28 * 8 {
            from(&scene, client);
            admitted += u32::from(scene.send(&get("/x")).verdict() == Verdict::Allowed);
        }
    }
    assert_eq!(admitted, 28 * 8 * 5);
}

/// Whoever has an account of his own and many addresses makes many clients known to it, and none unknown.
#[test]
fn logins_to_another_account_make_no_owner_unknown() {
    let scene = Scene::new(SMALL);
    from(&scene, 9_999);
    scene.allowed(&guess("ann")).responds(200);
    for client in 0..2 * SEATS {
        scene.host.set_address(&format!("[2001:db8:0:{client:x}::1]:1"));
        scene.allowed(&guess("mallory")).responds(200);
    }
    for client in 0..50 {
        fail(&scene, client, "ann");
    }
    from(&scene, 9_999);
    for status in [401, 401, 200] {
        scene.allowed(&guess("ann")).responds(status);
    }
}

/// An attempt that is remembered no more has nothing to give back, and is no reason to forget another account.
#[test]
fn an_answer_displaces_no_record() {
    let scene = Scene::new(SMALL);
    let evicted = |scene: &Scene| scene.host.counted(Counter::StoreEviction);
    let mut under_way = Vec::new();
    for client in 0..40 {
        from(&scene, client);
        under_way.push(scene.allowed(&guess(&format!("own-{client}"))));
    }
    scene.pass(86_400 * 2);
    let mut clients = 0;
    flood(&scene, &mut clients);
    scene.pass(1000);
    let before = evicted(&scene);
    for own in under_way {
        own.responds(404);
    }
    assert_eq!(evicted(&scene), before);
}

#[test]
fn an_account_whose_last_login_was_good_takes_no_seat() {
    let scene = Scene::new(SMALL);
    for client in 0..20 {
        from(&scene, client);
        scene.allowed(&guess(&format!("good-{client}"))).responds(200);
    }
    let table = portcullis::store::Table::open(&scene.host, 64 << 10).unwrap();
    scene.pass(1);
    for client in 0..20 {
        let name = format!("good-{client}");
        let account = table.fingerprint(portcullis::store::Use::Account, &[name.as_bytes()]);
        let record = table.peek(&scene.host, account).unwrap().unwrap();
        assert!(record.idle_at <= scene.host.now(), "{record:?}");
    }
}

/// Answers that come late give back no more than was taken: whoever names his own account beside another's, and has the backend
/// answer as late as it may, gets no guess beyond the limit's burst and rate.
#[test]
fn own_logins_beside_another_name_buy_no_guesses_however_late_they_are_answered() {
    let scene = Scene::new(LOOSE);
    let both = post_json("/login", r#"{"username":"mallory","email":"ann","password":"x"}"#);
    from(&scene, 1);
    scene.allowed(&guess("ann")).responds(401);
    let mut failures = 1;
    for _ in 0..480 {
        let under_way: Vec<_> = (0..20).map(|_| scene.send(&both)).collect();
        scene.pass(15);
        let mut guesses = || {
            loop {
                let exchange = scene.send(&guess("ann"));
                if exchange.verdict() != Verdict::Allowed {
                    break;
                }
                exchange.responds(401);
                failures += 1;
            }
        };
        guesses();
        for own in under_way {
            if own.verdict() == Verdict::Allowed {
                own.responds(200);
            }
        }
        guesses();
    }
    // Two hours and the longest answer, at twenty an hour.
    assert!((55..=20 + (7200 + 15) / 180).contains(&failures), "{failures}");
}
