//! Signatures by the host and by the module: for every vector one verdict, whoever checks it.

use crate::scene::{Scene, Verdict, get};
use crate::vectors::forge::Forge;
use crate::vectors::signatures::{ALGORITHMS, rows_of};
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

#[test]
fn host_and_module_have_one_verdict_for_every_spelling() {
    let forge = Forge::new(MemoryHost::default().now().seconds(), 0);
    for algorithm in ALGORITHMS {
        check(&forge, algorithm);
    }
}

fn check(forge: &Forge, algorithm: &str) {
    let policy = |extra: &str| format!(r#"{{ "tokens": {{ "providers": {} {extra} }} }}"#, forge.providers());
    let by_host = || {
        let host = MemoryHost::default();
        host.set_signatures(by_ring());
        host
    };
    let here = Scene::new(&policy(""));
    let hosted = Scene::on(by_host(), &policy(""));
    let forced = Scene::on(by_host(), &policy(r#", "signatures": "module""#));
    // A host that stops answering after it was proved.
    let lost = Scene::on(by_host(), &policy(""));
    lost.host.set_signatures(Box::new(|_, _, _, _| None));
    for row in rows_of(forge, algorithm) {
        let expected = row.code.map_or(Verdict::Allowed, Verdict::Denied);
        for (who, scene) in [
            ("module", &here),
            ("host", &hosted),
            ("forced", &forced),
            ("lost", &lost),
        ] {
            let verdict = scene.send(&get("/").bearer(&row.token)).verdict();
            assert_eq!(verdict, expected, "{} by the {who}", row.name);
        }
    }
    let is_asked = !["ps256", "eddsa"].contains(&algorithm);
    let counted = |scene: &Scene, counter| scene.host.counted(counter) > 0;
    assert_eq!(counted(&hosted, Counter::SignatureByHost), is_asked);
    assert_eq!(counted(&hosted, Counter::SignatureByModule), !is_asked);
    for scene in [&here, &forced, &lost] {
        assert!(!counted(scene, Counter::SignatureByHost) && counted(scene, Counter::SignatureByModule));
    }
}
