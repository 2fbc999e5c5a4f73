//! Signatures by the host and by the module: for every vector one verdict, whoever checks it.

use crate::scene::{Scene, Verdict, get};
use ct_codecs::{Base64UrlSafeNoPadding, Decoder, Encoder};
use jwt_simple::algorithms::{
    ECDSAP256KeyPairLike, ECDSAP384KeyPairLike, ES256KeyPair, ES384KeyPair, RS256KeyPair, RS384KeyPair, RS512KeyPair,
    RSAKeyPairLike,
};
use jwt_simple::claims::Claims;
use jwt_simple::prelude::{Duration as Span, JWTClaims, NoCustomClaims};
use portcullis::host::memory::{MemoryHost, SignatureCheck};
use portcullis::host::{Counter, Host};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};

/// A host as Envoy is one, by other code than the module's: ring's, which comes from BoringSSL too.
pub fn by_ring() -> SignatureCheck {
    Box::new(|hash, key_info, signature, text| {
        // What stands before the key itself is of one length for each kind of key.
        let (algorithm, key): (&dyn VerificationAlgorithm, &[u8]) = match (hash, key_info.len()) {
            ("sha256", 91) => (&ECDSA_P256_SHA256_ASN1, &key_info[26..]),
            ("sha384", 120) => (&ECDSA_P384_SHA384_ASN1, &key_info[23..]),
            ("sha256", _) => (&RSA_PKCS1_2048_8192_SHA256, &key_info[24..]),
            ("sha384", _) => (&RSA_PKCS1_2048_8192_SHA384, &key_info[24..]),
            ("sha512", _) => (&RSA_PKCS1_2048_8192_SHA512, &key_info[24..]),
            _ => return None,
        };
        Some(UnparsedPublicKey::new(algorithm, key).verify(text, signature).is_ok())
    })
}

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

#[track_caller]
fn check(algorithm: &str, jwk: &str, sign: impl Fn(JWTClaims<NoCustomClaims>) -> String, order: Option<&str>) {
    let policy = |extra: &str| {
        format!(
            r#"{{ "tokens": {{ "providers": [ {{ "issuer": "i", "audiences": ["api"], "algorithms": ["{algorithm}"],
                 "jwks": {{ "inline": {{ "keys": [{jwk}] }} }} }} ] {extra} }} }}"#
        )
    };
    let here = Scene::new(&policy(""));
    let host = MemoryHost::default();
    host.set_signatures(by_ring());
    let hosted = Scene::on(host, &policy(""));
    let host = MemoryHost::default();
    host.set_signatures(by_ring());
    let forced = Scene::on(host, &policy(r#", "signatures": "module""#));
    // A host that stops answering after it was proved.
    let host = MemoryHost::default();
    host.set_signatures(by_ring());
    let lost = Scene::on(host, &policy(""));
    lost.host.set_signatures(Box::new(|_, _, _, _| None));

    let now = Span::from_secs(here.host.now().seconds());
    let mut claims = Claims::create(Span::from_mins(5))
        .with_issuer("i")
        .with_audience("api")
        .with_subject("ann");
    claims.issued_at = Some(now);
    claims.invalid_before = None;
    claims.expires_at = Some(now + Span::from_secs(300));
    let token = sign(claims);
    let (input, signature) = token.rsplit_once('.').unwrap();
    let good = Base64UrlSafeNoPadding::decode_to_vec(signature, None).unwrap();
    let order = order.map(unhex);
    for (name, signature, is_good) in spellings(&good, order.as_deref()) {
        let encoded = Base64UrlSafeNoPadding::encode_to_string(&signature).unwrap();
        let request = get("/").bearer(&format!("{input}.{encoded}"));
        let expected = if is_good {
            Verdict::Allowed
        } else {
            Verdict::Denied("token_signature")
        };
        for (who, scene) in [
            ("module", &here),
            ("host", &hosted),
            ("forced", &forced),
            ("lost", &lost),
        ] {
            assert_eq!(
                scene.send(&request).verdict(),
                expected,
                "{algorithm} {name} by the {who}"
            );
        }
    }
    assert!(hosted.host.counted(Counter::SignatureByHost) > 0);
    assert_eq!(hosted.host.counted(Counter::SignatureByModule), 0);
    for scene in [&here, &forced, &lost] {
        assert_eq!(scene.host.counted(Counter::SignatureByHost), 0);
        assert!(scene.host.counted(Counter::SignatureByModule) > 0);
    }
}

#[test]
fn rsa_by_the_host_and_by_the_module_is_one() {
    let key = RS256KeyPair::generate(2048).unwrap();
    check(
        "RS256",
        &key.public_key().to_jwk(),
        |claims| key.sign(claims).unwrap(),
        None,
    );
    let pem = key.to_pem().unwrap();
    let key = RS384KeyPair::from_pem(&pem).unwrap();
    check(
        "RS384",
        &key.public_key().to_jwk(),
        |claims| key.sign(claims).unwrap(),
        None,
    );
    let key = RS512KeyPair::from_pem(&pem).unwrap();
    check(
        "RS512",
        &key.public_key().to_jwk(),
        |claims| key.sign(claims).unwrap(),
        None,
    );
}

#[test]
fn ecdsa_by_the_host_and_by_the_module_is_one() {
    let key = ES256KeyPair::generate();
    check(
        "ES256",
        &key.public_key().to_jwk(),
        |claims| key.sign(claims).unwrap(),
        Some(P256_ORDER),
    );
    let key = ES384KeyPair::generate();
    check(
        "ES384",
        &key.public_key().to_jwk(),
        |claims| key.sign(claims).unwrap(),
        Some(P384_ORDER),
    );
}
