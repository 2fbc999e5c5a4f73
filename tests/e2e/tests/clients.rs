//! Who a request counts for, where the edge stands behind proxies of its own: by the PROXY protocol, by one trusted hop of
//! `X-Forwarded-For`, and by a pipe; in IPv4, IPv6 and IPv4 written as IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use portcullis_e2e::client::Client;
use portcullis_e2e::message::Request;
use portcullis_e2e::stack::{Options, Stack, Update};
use portcullis_e2e::suite::same;
use portcullis_e2e::{Outcome, random, scenarios};
use serde_json::{Value, json};

scenarios! { options();
    an_ipv6_client_is_its_network_of_64_bits,
    an_ipv4_address_is_one_client_however_it_is_written,
    the_trusted_hop_names_the_client_and_nobody_before_it,
    a_pipe_is_no_client_unless_the_hop_names_one,
    ten_thousand_denied_networks_are_refused_and_their_neighbours_are_not,
}

fn options() -> Options {
    Options {
        policy: Some(policy(json!([]))),
        behind_proxies: true,
        ..Options::default()
    }
}

fn policy(deny: Value) -> Value {
    json!({
        "clients": { "deny": deny },
        "login": { "client": { "attempts": ATTEMPTS, "window": "15m" }, "ban": { "for": "15m" } },
    })
}

const ATTEMPTS: usize = 5;

fn guess() -> Request {
    Request::post_json("/login", &json!({ "username": "ann", "password": "wrong-password" }))
}

/// A name for `address` by the trusted hop.
fn forwarded(address: IpAddr) -> Request {
    guess().header("x-forwarded-for", address.to_string())
}

/// A /64 that no other test uses, and in it the address of this number.
fn network() -> impl Fn(u64) -> IpAddr {
    let upper = (u128::from(random()) >> 32 | 0x2001_0db8 << 32) << 64;
    move |lower| IpAddr::V6(Ipv6Addr::from_bits(upper | u128::from(lower)))
}

/// A documentation address that no other test uses, in both of its forms.
fn address() -> (IpAddr, IpAddr) {
    let [a, b, ..] = random().to_le_bytes();
    let v4 = Ipv4Addr::new(198, 18, a, b);
    (v4.into(), v4.to_ipv6_mapped().into())
}

/// Sends a guess each way and counts those that the backend judged.
async fn judged(ways: impl IntoIterator<Item = (Client, Request)>) -> Outcome<usize> {
    let mut judged = 0;
    for (client, request) in ways {
        judged += usize::from(client.send(&request).await?.status == 401);
    }
    Ok(judged)
}

async fn an_ipv6_client_is_its_network_of_64_bits(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    for announced in [true, false] {
        let (near, far) = (network(), network());
        let way = |address: IpAddr| match announced {
            true => (client.announced_as(address), guess()),
            false => (client.clone(), forwarded(address)),
        };
        let rotating = (0..40_u64).map(|n| near(n << 58 | random() >> 6));
        same("guesses judged", judged(rotating.map(way)).await?, ATTEMPTS)?;
        let (banned, guess) = way(near(u64::MAX));
        stack.refused(&banned, &guess, 429, "client_banned").await?;
        let (other, guess) = way(far(1));
        stack.passes(&other, &guess, 401).await?;
    }
    Ok(())
}

async fn an_ipv4_address_is_one_client_however_it_is_written(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    let (v4, mapped) = address();
    let ways = (0..20).map(|n| match n % 4 {
        0 => (client.announced_as(v4), guess()),
        1 => (client.announced_as(mapped), guess()),
        2 => (client.clone(), forwarded(v4)),
        _ => (client.clone(), forwarded(mapped)),
    });
    same("guesses judged", judged(ways).await?, ATTEMPTS)?;
    // Mapped addresses are no network of 64 bits, in which all of IPv4 would be one client.
    let (_, other) = address();
    stack.passes(&client.announced_as(other), &guess(), 401).await?;
    stack.passes(&client, &forwarded(other), 401).await.map(drop)
}

async fn the_trusted_hop_names_the_client_and_nobody_before_it(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    let (real, _) = address();
    let ways = (0..30).map(|n| {
        let request = match n % 3 {
            0 => guess().header("x-forwarded-for", format!("203.0.113.{n}, {real}")),
            1 => guess()
                .header("x-forwarded-for", format!("203.0.113.{n}"))
                .header("x-forwarded-for", real.to_string()),
            _ => forwarded(real).header("x-real-ip", format!("203.0.113.{n}")),
        };
        (client.clone(), request)
    });
    same("guesses judged", judged(ways).await?, ATTEMPTS)?;
    stack.refused(&client, &forwarded(real), 429, "client_banned").await?;
    // What is no address counts for the proxy itself, which appends none such.
    let nonsense = guess().header("x-forwarded-for", "unknown");
    stack.passes(&client, &nonsense, 401).await.map(drop)
}

async fn a_pipe_is_no_client_unless_the_hop_names_one(stack: &mut Stack) -> Outcome<()> {
    let pipe = stack.client_of_pipe()?;
    for _ in 0..2 * ATTEMPTS {
        stack.refused(&pipe, &guess(), 403, "client_unknown").await?;
    }
    let (real, _) = address();
    let ways = (0..20).map(|_| (pipe.clone(), forwarded(real)));
    same("guesses judged", judged(ways).await?, ATTEMPTS)?;
    stack.refused(&pipe, &forwarded(real), 429, "client_banned").await?;
    let (other, _) = address();
    stack.passes(&pipe, &forwarded(other), 401).await.map(drop)
}

async fn ten_thousand_denied_networks_are_refused_and_their_neighbours_are_not(stack: &mut Stack) -> Outcome<()> {
    // Every other /24 of 16.0.0.0 and on, and every other /48: none can be merged with the next.
    let v4 = |n: u32| Ipv4Addr::from_bits((16 << 24) + (n << 9));
    let v6 = |n: u16| Ipv6Addr::new(0x2001, 0xdb8, n << 1, 0, 0, 0, 0, 0);
    let deny: Vec<String> = (0..5_000)
        .map(|n| format!("{}/24", v4(n)))
        .chain((0..5_000).map(|n| format!("{}/48", v6(n))))
        .collect();
    same(
        "the update",
        stack.set_policy(&policy(json!(deny))).await?,
        Update::Accepted,
    )?;
    let client = stack.client()?;
    let ask = |address: IpAddr| Request::get("/healthz").header("x-forwarded-for", address.to_string());
    for n in [0_u16, 1, 2_499, 4_999] {
        let (first4, first6) = (v4(n.into()).to_bits(), v6(n).to_bits());
        for inside in [
            IpAddr::V4(first4.into()),
            IpAddr::V4((first4 + 255).into()),
            IpAddr::V6(Ipv4Addr::from(first4 + 9).to_ipv6_mapped()),
            IpAddr::V6(first6.into()),
            IpAddr::V6((first6 + (1 << 80) - 1).into()),
        ] {
            stack.refused(&client, &ask(inside), 403, "client_denied").await?;
        }
        for outside in [
            IpAddr::V4((first4 - 1).into()),
            IpAddr::V4((first4 + 256).into()),
            IpAddr::V6((first6 - 1).into()),
            IpAddr::V6((first6 + (1 << 80)).into()),
        ] {
            stack.passes(&client, &ask(outside), 200).await?;
        }
    }
    // By the PROXY protocol too.
    let announced = client.announced_as(IpAddr::V6(v6(77)));
    stack
        .refused(&announced, &Request::get("/healthz"), 403, "client_denied")
        .await
        .map(drop)
}
