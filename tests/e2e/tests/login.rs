//! Login attempts: reserved when they come in, refunded when they were no failure, counted by all workers together.

use portcullis_e2e::client::{Client, Connection, Version};
use portcullis_e2e::message::{Request, TEST_ID};
use portcullis_e2e::stack::{Options, Stack};
use portcullis_e2e::suite::{answered, same};
use portcullis_e2e::tour::{Visitor, token_of};
use portcullis_e2e::{Outcome, fresh_name, scenarios};
use serde_json::json;

scenarios! { Options::default();
    the_right_password_passes_again_and_again,
    the_sixth_wrong_password_is_refused_and_so_is_every_spelling,
    a_ban_is_one_client_s_alone,
    a_success_refunds_its_own_attempt_and_nothing_more,
    a_failing_backend_refunds,
    a_refused_body_is_no_attempt,
    two_hundred_parallel_guesses_are_five_attempts,
    guesses_multiplexed_against_a_slow_backend_are_five_attempts,
    a_guess_is_its_peer_s_whatever_it_claims,
    a_padded_path_is_no_other_login,
    attempts_under_way_limit_but_do_not_ban,
    the_workers_count_together,
}

const ATTEMPTS: usize = 5;
const BAN_SECONDS: u64 = 15 * 60;

async fn registered(stack: &Stack) -> Outcome<Visitor> {
    let visitor = Visitor::new();
    stack.passes(&stack.client()?, &visitor.register(), 201).await?;
    Ok(visitor)
}

async fn fail(stack: &Stack, client: &Client, visitor: &Visitor, times: usize) -> Outcome<()> {
    for _ in 0..times {
        let reply = stack.passes(client, &visitor.guess(), 401).await?;
        same(
            "the backend's own answer",
            reply.json(),
            json!({ "error": "invalid_credentials" }),
        )?;
    }
    Ok(())
}

async fn banned(stack: &Stack, client: &Client, request: &Request) -> Outcome<()> {
    let reply = stack.refused(client, request, 429, "client_banned").await?;
    let seconds = reply.number("retry-after").unwrap_or(0);
    same(
        &format!("retry-after {seconds} lies within the ban"),
        (1..=BAN_SECONDS).contains(&seconds),
        true,
    )
}

async fn the_right_password_passes_again_and_again(stack: &mut Stack) -> Outcome<()> {
    let (client, visitor) = (stack.client()?, registered(stack).await?);
    for _ in 0..2 * ATTEMPTS {
        token_of(&stack.passes(&client, &visitor.login(), 200).await?)?;
    }
    Ok(())
}

async fn the_sixth_wrong_password_is_refused_and_so_is_every_spelling(stack: &mut Stack) -> Outcome<()> {
    let (client, visitor) = (stack.client()?, registered(stack).await?);
    fail(stack, &client, &visitor, ATTEMPTS).await?;
    banned(stack, &client, &visitor.guess()).await?;
    banned(stack, &client, &visitor.login()).await?;
    for path in [
        "/%6Cogin",
        "//login",
        "/./login",
        "/login/",
        "/login;x",
        "/login;x=y/",
        "/a/../login",
        "/login?x=1",
    ] {
        let spelled = Request {
            path: path.to_owned(),
            ..visitor.login()
        };
        banned(stack, &client, &spelled)
            .await
            .map_err(|fault| format!("{path}: {fault}"))?;
    }
    Ok(())
}

async fn a_ban_is_one_client_s_alone(stack: &mut Stack) -> Outcome<()> {
    let (client, visitor) = (stack.client()?, registered(stack).await?);
    fail(stack, &client, &visitor, ATTEMPTS).await?;
    banned(stack, &client, &visitor.login()).await?;
    // Whatever it says about where it comes from.
    let forged = visitor
        .login()
        .header("x-forwarded-for", "203.0.113.9")
        .header("x-real-ip", "203.0.113.9");
    banned(stack, &client, &forged).await?;
    banned(stack, &client.over(Version::Http2), &visitor.login()).await?;
    let other = stack.passes(&stack.client()?, &visitor.login(), 200).await?;
    // A ban from login is no ban from the rest.
    let get = Request::get("/orders").bearer(&token_of(&other)?);
    stack.passes(&client, &get, 200).await.map(drop)
}

async fn a_success_refunds_its_own_attempt_and_nothing_more(stack: &mut Stack) -> Outcome<()> {
    let (client, visitor) = (stack.client()?, registered(stack).await?);
    fail(stack, &client, &visitor, ATTEMPTS - 1).await?;
    stack.passes(&client, &visitor.login(), 200).await?;
    stack.passes(&client, &visitor.login(), 200).await?;
    fail(stack, &client, &visitor, 1).await?;
    banned(stack, &client, &visitor.login()).await
}

async fn a_failing_backend_refunds(stack: &mut Stack) -> Outcome<()> {
    let (client, visitor) = (stack.client()?, registered(stack).await?);
    let failures = 2 * ATTEMPTS;
    stack
        .backend
        .fail("/login", 503, u32::try_from(failures).unwrap_or_default())
        .await?;
    for _ in 0..failures {
        stack.passes(&client, &visitor.guess(), 503).await?;
    }
    stack.passes(&client, &visitor.login(), 200).await.map(drop)
}

async fn a_refused_body_is_no_attempt(stack: &mut Stack) -> Outcome<()> {
    let (client, visitor) = (stack.client()?, registered(stack).await?);
    for _ in 0..2 * ATTEMPTS {
        stack
            .refused(
                &client,
                &Request::post_json("/login", &json!({ "username": 1 })),
                400,
                "body_invalid",
            )
            .await?;
    }
    stack.passes(&client, &visitor.login(), 200).await.map(drop)
}

/// Sends all guesses at once, spread over the connections, and gives each answer's code, or its status.
async fn at_once(connections: &[Connection], guesses: Vec<Request>) -> Outcome<Vec<String>> {
    let mut tasks = tokio::task::JoinSet::new();
    for (connection, guess) in connections.iter().cycle().zip(guesses) {
        let mut connection = connection.share().ok_or("not HTTP/2")?;
        tasks.spawn(async move { connection.send(&guess).await });
    }
    let mut answers = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        let reply = joined.map_err(|error| error.to_string())??;
        if reply.status == 429 && reply.number("retry-after").is_none() {
            return Err(format!("a 429 without Retry-After: {}", reply.brief()));
        }
        answers.push(reply.code().unwrap_or_else(|| reply.status.to_string()));
    }
    Ok(answers)
}

async fn two_hundred_parallel_guesses_are_five_attempts(stack: &mut Stack) -> Outcome<()> {
    const CONNECTIONS: usize = 10;
    const GUESSES: usize = 200;
    let (client, visitor) = (stack.client()?.over(Version::Http2), registered(stack).await?);
    let mark = fresh_name("guesses");
    let mut connections = stack.connect_to_each_worker(&client).await?;
    while connections.len() < CONNECTIONS {
        connections.push(client.connect().await?);
    }
    let before = stack.edge.module_counters().await?;
    let guesses = vec![visitor.guess().header(TEST_ID, &mark); GUESSES];
    let answers = at_once(&connections, guesses).await?;
    same(
        "guesses at the backend",
        stack.backend.seen(&mark).await?.len(),
        ATTEMPTS,
    )?;
    let count = |code: &str| answers.iter().filter(|answer| *answer == code).count();
    same("guesses that the backend judged", count("401"), ATTEMPTS)?;
    let (limited, banned_now) = (count("login_limited"), count("client_banned"));
    same("guesses that were refused", limited + banned_now, GUESSES - ATTEMPTS)?;
    let after = stack.edge.module_counters().await?;
    for (code, answered) in [("denied.login_limited", limited), ("denied.client_banned", banned_now)] {
        let moved = after.get(code).copied().unwrap_or(0) - before.get(code).copied().unwrap_or(0);
        same(code, usize::try_from(moved), Ok(answered))?;
    }
    banned(stack, &client, &visitor.login()).await
}

/// As many guesses as one HTTP/2 connection takes at once, against a backend that answers none of them before all have
/// come: neither multiplexing nor slowness buys a guess.
async fn guesses_multiplexed_against_a_slow_backend_are_five_attempts(stack: &mut Stack) -> Outcome<()> {
    let (client, visitor) = (stack.client()?.over(Version::Http2), registered(stack).await?);
    let attempts = u32::try_from(ATTEMPTS).unwrap_or_default();
    stack.backend.delay("/login", 1_000, attempts).await?;
    let mark = fresh_name("multiplexed");
    let guesses = vec![visitor.guess().header(TEST_ID, &mark); 100];
    let answers = at_once(&[client.connect().await?], guesses).await?;
    let count = |code: &str| answers.iter().filter(|answer| *answer == code).count();
    let seen = stack.backend.seen(&mark).await?.len();
    same("seen, judged", (seen, count("401")), (ATTEMPTS, ATTEMPTS))?;
    banned(stack, &client, &visitor.login()).await
}

/// Guesses one after another, each made to look like another's or like something else.
async fn guesses_in_disguise(stack: &Stack, guesses: impl Iterator<Item = Request>) -> Outcome<()> {
    let client = stack.client()?;
    let mut judged = 0;
    for guess in guesses {
        // A 404 of a backend that knows no such path is no answer to a guess.
        judged += usize::from(client.send(&guess).await?.status == 401);
    }
    same("guesses that the backend judged", judged, ATTEMPTS)
}

async fn a_guess_is_its_peer_s_whatever_it_claims(stack: &mut Stack) -> Outcome<()> {
    let visitor = registered(stack).await?;
    let names = [
        "x-forwarded-for",
        "x-real-ip",
        "forwarded",
        "true-client-ip",
        "cf-connecting-ip",
    ];
    let forged = (1..=30_usize).map(|n| {
        let address = format!("203.0.113.{n}");
        let value = if n % 5 == 2 { format!("for={address}") } else { address };
        visitor.guess().header(names[n % names.len()], value)
    });
    guesses_in_disguise(stack, forged).await?;
    // Several, and one after another in one field.
    let lists = (1..=30).map(|n| {
        let guess = visitor
            .guess()
            .header("x-forwarded-for", format!("198.51.100.{n}, 127.0.0.1"));
        guess.header("x-forwarded-for", format!("203.0.113.{n}"))
    });
    guesses_in_disguise(stack, lists).await
}

async fn a_padded_path_is_no_other_login(stack: &mut Stack) -> Outcome<()> {
    let visitor = registered(stack).await?;
    let padded = (0..30_usize).map(|n| {
        let pad = "x".repeat(n);
        let path = match n % 6 {
            0 => format!("/{}login", "/".repeat(n)),
            1 => format!("/login?{pad}"),
            2 => format!("/{}login", "./".repeat(n)),
            3 => format!("/{pad}/../login"),
            4 => format!("/login;{pad}"),
            _ => format!("/%6C%6Fgin{}", "/".repeat(n)),
        };
        Request {
            path,
            ..visitor.guess()
        }
    });
    guesses_in_disguise(stack, padded).await
}

async fn attempts_under_way_limit_but_do_not_ban(stack: &mut Stack) -> Outcome<()> {
    let (client, visitor) = (stack.client()?.over(Version::Http2), registered(stack).await?);
    stack
        .backend
        .delay("/login", 1_500, u32::try_from(ATTEMPTS).unwrap_or_default())
        .await?;
    let mark = fresh_name("slow");
    let connection = client.connect().await?;
    let mut logins = tokio::task::JoinSet::new();
    for _ in 0..ATTEMPTS {
        let mut connection = connection.share().ok_or("not HTTP/2")?;
        let login = visitor.login().header(TEST_ID, &mark);
        logins.spawn(async move { connection.send(&login).await });
    }
    portcullis_e2e::until("five logins under way", std::time::Duration::from_secs(5), async || {
        same(
            "logins at the backend",
            stack.backend.seen(&mark).await?.len(),
            ATTEMPTS,
        )
    })
    .await?;
    stack.refused(&client, &visitor.login(), 429, "login_limited").await?;
    while let Some(joined) = logins.join_next().await {
        answered(&joined.map_err(|error| error.to_string())??, 200)?;
    }
    stack.passes(&client, &visitor.login(), 200).await.map(drop)
}

async fn the_workers_count_together(stack: &mut Stack) -> Outcome<()> {
    let (client, visitor) = (stack.client()?, registered(stack).await?);
    let mut connections = stack.connect_to_each_worker(&client).await?;
    for attempt in 0..ATTEMPTS {
        let connection = connections.get_mut(attempt % 2).ok_or("not two workers")?;
        stack.passes_on(connection, &visitor.guess(), 401).await?;
    }
    for connection in &mut connections {
        stack
            .refused_on(connection, &visitor.login(), 429, "client_banned")
            .await?;
    }
    Ok(())
}
