//! `requests.hold: "buffer_filter"`: without the filter's flag, and with Envoy's buffer filter after ours, the backend sees
//! nothing before the verdict either.

use portcullis_e2e::client::{Client, Version};
use portcullis_e2e::message::Request;
use portcullis_e2e::stack::{Options, Stack};
use portcullis_e2e::tour::good_order;
use portcullis_e2e::{Outcome, scenarios};
use serde_json::json;

scenarios! { Options { held_by_buffer: true, ..Options::default() };
    requests_without_a_body_are_judged,
    good_bodies_pass_once_however_they_come,
    a_request_with_trailers_is_refused,
    bad_bodies_are_refused_and_never_seen,
    the_login_guard_counts,
}

const VERSIONS: [Version; 2] = [Version::Http1, Version::Http2];

/// A fresh token: its revocation is looked up, so the head waits for a callout before the body comes.
async fn ready(stack: &Stack) -> Outcome<(Client, String)> {
    Ok((stack.client()?, stack.backend.mint(&json!({})).await?))
}

async fn requests_without_a_body_are_judged(stack: &mut Stack) -> Outcome<()> {
    for version in VERSIONS {
        let (client, token) = ready(stack).await?;
        let client = client.over(version);
        stack
            .passes(&client, &Request::get("/orders").bearer(&token), 200)
            .await?;
        stack
            .refused(&client, &Request::get("/orders"), 401, "token_missing")
            .await?;
    }
    Ok(())
}

async fn good_bodies_pass_once_however_they_come(stack: &mut Stack) -> Outcome<()> {
    let order = good_order().to_string();
    for version in VERSIONS {
        for size in [1, order.len() / 2, order.len()] {
            let (client, token) = ready(stack).await?;
            let client = client.over(version);
            let request = Request::post("/orders").bearer(&token).json(&order).in_pieces(size);
            // First with a lookup, then with its answer remembered.
            stack.passes(&client, &request, 201).await?;
            stack.passes(&client, &request, 201).await?;
        }
    }
    Ok(())
}

/// The buffer filter does not hold such a body whole: what is judged would not be what is forwarded.
async fn a_request_with_trailers_is_refused(stack: &mut Stack) -> Outcome<()> {
    let order = good_order().to_string();
    for size in [1, order.len()] {
        let (client, token) = ready(stack).await?;
        let client = client.over(Version::Http2);
        let request = Request::post("/orders").bearer(&token).json(&order).in_pieces(size);
        let request = request.trailer("x-checksum", "1");
        stack.refused(&client, &request, 400, "trailers_unsupported").await?;
    }
    Ok(())
}

async fn bad_bodies_are_refused_and_never_seen(stack: &mut Stack) -> Outcome<()> {
    let bad = json!({ "items": [{ "sku": "ABC-1234", "qty": 0 }] }).to_string();
    let large = format!("{}{}", good_order(), " ".repeat(17 << 10));
    for version in VERSIONS {
        for (text, status, code) in [(&bad, 400, "body_invalid"), (&large, 413, "body_too_large")] {
            let (client, token) = ready(stack).await?;
            let client = client.over(version);
            let request = Request::post("/orders")
                .bearer(&token)
                .json(text)
                .in_pieces(text.len() / 3 + 1);
            stack.refused(&client, &request, status, code).await?;
            stack.refused(&client, &request, status, code).await?;
        }
    }
    Ok(())
}

async fn the_login_guard_counts(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    let guess =
        Request::post("/login").json(&json!({ "username": "nobody", "password": "wrong-password" }).to_string());
    for _ in 0..5 {
        stack.passes(&client, &guess, 401).await?;
    }
    stack.refused(&client, &guess, 429, "client_banned").await.map(drop)
}
