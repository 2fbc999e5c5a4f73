//! Other spellings of one signature, for each algorithm: what libraries may see differently has one verdict.

use super::forge::{Forge, Row, encode};
use ct_codecs::{Base64UrlSafeNoPadding, Decoder};
use jwt_simple::algorithms::{ECDSAP256KeyPairLike, ECDSAP384KeyPairLike, EdDSAKeyPairLike, RSAKeyPairLike};
use jwt_simple::claims::Claims;
use jwt_simple::prelude::{Duration as Span, JWTClaims, NoCustomClaims};

const P256_ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const P384_ORDER: &str =
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";

fn unhex(text: &str) -> Vec<u8> {
    let pairs = (0..text.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn minus(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut out: Vec<u8> = Vec::new();
    for (x, y) in a.iter().rev().zip(b.iter().rev()) {
        let difference = i16::from(*x) - i16::from(*y) - borrow;
        borrow = i16::from(difference < 0);
        out.push(u8::try_from(difference.rem_euclid(256)).unwrap());
    }
    out.reverse();
    out
}

/// Other spellings of a signature, each with whether it is good.
fn spellings(good: &[u8], order: Option<&[u8]>) -> Vec<(String, Vec<u8>, bool)> {
    let mut rows = vec![
        ("as signed".to_owned(), good.to_vec(), true),
        ("empty".to_owned(), Vec::new(), false),
        ("a byte less".to_owned(), good[1..].to_vec(), false),
        ("a byte cut".to_owned(), good[..good.len() - 1].to_vec(), false),
        ("a zero before".to_owned(), [&[0], good].concat(), false),
        ("a zero after".to_owned(), [good, &[0]].concat(), false),
        ("twice".to_owned(), [good, good].concat(), false),
        ("zeros".to_owned(), vec![0; good.len()], false),
        ("ones".to_owned(), vec![0xff; good.len()], false),
    ];
    for at in (0..good.len()).step_by(7) {
        let mut bad = good.to_vec();
        bad[at] ^= 0x10;
        rows.push((format!("byte {at} changed"), bad, false));
    }
    if let Some(order) = order {
        let (r, s) = good.split_at(good.len() / 2);
        let zero = vec![0; r.len()];
        let one: Vec<u8> = [&zero[1..], &[1]].concat();
        let more = |n: &[u8]| {
            let mut n = n.to_vec();
            *n.last_mut().unwrap() += 1;
            n
        };
        let der = |r: &[u8], s: &[u8]| {
            let integer = |n: &[u8]| [&[2, u8::try_from(n.len()).unwrap() + 1, 0], n].concat();
            let both = [integer(r), integer(s)].concat();
            [&[0x30, u8::try_from(both.len()).unwrap()], both.as_slice()].concat()
        };
        let pairs = [
            ("r zero", zero.clone(), s.to_vec(), false),
            ("s zero", r.to_vec(), zero.clone(), false),
            ("both zero", zero.clone(), zero.clone(), false),
            ("both one", one.clone(), one, false),
            ("r the order", order.to_vec(), s.to_vec(), false),
            ("s the order", r.to_vec(), order.to_vec(), false),
            ("r above the order", more(order), s.to_vec(), false),
            ("s above the order", r.to_vec(), more(order), false),
            ("r and s exchanged", s.to_vec(), r.to_vec(), false),
            // ECDSA has two signatures for one text, and JOSE forbids neither (RFC 7518 §3.4).
            ("the other s", r.to_vec(), minus(order, s), true),
        ];
        rows.extend(pairs.map(|(name, r, s, is_good)| (name.to_owned(), [r, s].concat(), is_good)));
        rows.push(("in DER".to_owned(), der(r, s), false));
    }
    rows
}

fn claims(forge: &Forge, issuer: &str) -> JWTClaims<NoCustomClaims> {
    let now = Span::from_secs(forge.time);
    let mut claims = Claims::create(Span::from_mins(5))
        .with_issuer(format!("https://{issuer}.example"))
        .with_audience("api")
        .with_subject("ann");
    claims.issued_at = Some(now);
    claims.invalid_before = None;
    claims.expires_at = Some(now + Span::from_secs(forge.patience + 300));
    claims
}

/// The algorithms that a host is asked for, and those that it is not.
pub const ALGORITHMS: [&str; 7] = ["rs256", "rs384", "rs512", "es256", "es384", "ps256", "eddsa"];

/// The rows of one algorithm.
pub fn rows_of(forge: &Forge, algorithm: &str) -> Vec<Row> {
    let claims = claims(forge, algorithm);
    let (token, order) = match algorithm {
        "rs256" => (forge.rsa.sign(claims), None),
        "rs384" => (forge.rs384.sign(claims), None),
        "rs512" => (forge.rs512.sign(claims), None),
        "es256" => (forge.ec.sign(claims), Some(unhex(P256_ORDER))),
        "es384" => (forge.es384.sign(claims), Some(unhex(P384_ORDER))),
        "ps256" => (forge.ps256.sign(claims), None),
        _ => (forge.eddsa.sign(claims), None),
    };
    let token = token.unwrap();
    let (input, signature) = token.rsplit_once('.').unwrap();
    let good = Base64UrlSafeNoPadding::decode_to_vec(signature, None).unwrap();
    let row = |(name, signature, is_good): (String, Vec<u8>, bool)| Row {
        name: format!("{algorithm}, {name}"),
        token: format!("{input}.{}", encode(signature)),
        code: (!is_good).then_some("token_signature"),
    };
    spellings(&good, order.as_deref()).into_iter().map(row).collect()
}
