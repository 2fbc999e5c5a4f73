//! Signatures checked by the host, where it can: Envoy's `verify_signature` takes 20 µs for RS256, code in the module
//! 1.1 ms. A host is believed for an algorithm only if, at configure, it takes a good signature and refuses bad ones.
//!
//! Both ways give one verdict: what differs between libraries (lengths, ranges of r and s) is judged here first.

use super::Algorithm;
use super::base64url;
use crate::host::Host;

/// The algorithms that a host may check, by their hash.
const CANDIDATES: [(Algorithm, &str, &str); 5] = [
    (Algorithm::Rs256, RSA_KEY, RS256),
    (Algorithm::Rs384, RSA_KEY, RS384),
    (Algorithm::Rs512, RSA_KEY, RS512),
    (Algorithm::Es256, P256_KEY, ES256),
    (Algorithm::Es384, P384_KEY, ES384),
];

/// The known answers are over this text.
const TEXT: &[u8] = b"portcullis known answer";

/// Which algorithms a host has proved to check rightly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Proved(u16);

impl Proved {
    /// Tries a host with known answers: a good signature, one with a changed bit, and one over another text.
    pub fn by(host: &dyn Host) -> Self {
        let proved = CANDIDATES.iter().filter(|(algorithm, key, signature)| {
            let (Some(key), Some(signature)) = (
                base64url::decode(key.as_bytes()),
                base64url::decode(signature.as_bytes()),
            ) else {
                return false;
            };
            let mut changed = signature.clone();
            if let Some(last) = changed.last_mut() {
                *last ^= 1;
            }
            let Some(hash) = hash_name(*algorithm) else {
                return false;
            };
            let says = |signature: &[u8], text: &[u8]| host.verify_signature(hash, &key, signature, text);
            says(&signature, TEXT) == Some(true)
                && says(&changed, TEXT) == Some(false)
                && says(&signature, b"another text") == Some(false)
        });
        proved.fold(Self::default(), |all, (algorithm, ..)| Self(all.0 | bit(*algorithm)))
    }

    pub const fn has(self, algorithm: Algorithm) -> bool {
        self.0 & bit(algorithm) != 0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

const fn bit(algorithm: Algorithm) -> u16 {
    match algorithm {
        Algorithm::Rs256 => 1,
        Algorithm::Rs384 => 2,
        Algorithm::Rs512 => 4,
        Algorithm::Es256 => 8,
        Algorithm::Es384 => 16,
        _ => 0,
    }
}

/// The host's name for an algorithm's hash; `None` for what it is not asked.
pub const fn hash_name(algorithm: Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::Rs256 | Algorithm::Es256 => Some("sha256"),
        Algorithm::Rs384 | Algorithm::Es384 => Some("sha384"),
        Algorithm::Rs512 => Some("sha512"),
        _ => None,
    }
}

/// A DER value: tag, length, contents (X.690 §8.1, §10.1).
fn der(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len().to_be_bytes();
    let skipped = length.iter().take_while(|byte| **byte == 0).count();
    let length = length.get(skipped..).unwrap_or_default();
    let mut out = vec![tag];
    match length {
        [] => out.push(0),
        [short @ 0..=0x7f] => out.push(*short),
        long => {
            // A length of a length: 8 at most.
            out.push(0x80 | u8::try_from(long.len()).unwrap_or(0x7f));
            out.extend(long);
        }
    }
    out.extend(contents);
    out
}

/// An unsigned integer in its shortest form.
fn der_unsigned(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let short = number.get(zeros..).unwrap_or_default();
    match short {
        [] => der(2, &[0]),
        [0x80..=0xff, ..] => der(2, &[&[0], short].concat()),
        _ => der(2, short),
    }
}

/// SubjectPublicKeyInfo of an RSA key (RFC 3279 §2.3.1).
pub fn rsa_key_info(n: &[u8], e: &[u8]) -> Vec<u8> {
    // rsaEncryption with NULL parameters.
    const ALGORITHM: [u8; 15] = [
        0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
    ];
    let key = der(0x30, &[der_unsigned(n), der_unsigned(e)].concat());
    let bits = der(3, &[&[0], key.as_slice()].concat());
    der(0x30, &[ALGORITHM.as_slice(), &bits].concat())
}

/// SubjectPublicKeyInfo of a P-256 or P-384 key (RFC 5480 §2.1.1), from an uncompressed point.
pub fn ec_key_info(algorithm: Algorithm, point: &[u8]) -> Option<Vec<u8>> {
    // id-ecPublicKey with the named curve.
    const P256: &[u8] = &[
        0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
        0x03, 0x01, 0x07,
    ];
    const P384: &[u8] = &[
        0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22,
    ];
    let algorithm = match algorithm {
        Algorithm::Es256 => P256,
        Algorithm::Es384 => P384,
        _ => return None,
    };
    let bits = der(3, &[&[0], point].concat());
    Some(der(0x30, &[algorithm, &bits].concat()))
}

/// An ECDSA signature in DER from r and s, whose ranges were checked.
pub fn ecdsa_signature(r_and_s: &[u8]) -> Vec<u8> {
    let (r, s) = r_and_s.split_at(r_and_s.len() / 2);
    der(0x30, &[der_unsigned(r), der_unsigned(s)].concat())
}

// Made once with OpenSSL 3.0; the private keys were thrown away.
const RSA_KEY: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAy6UkQtagYgHHwxFt7mVf9z8_XeXsKOApg-Oa1gmXK8K0Aiq1ZC9cLfNs\
    YMY1Y0KD2nK2B3Ca4gCTVsOeETnk56wTARb_-EKgP5DVX3uaAddMOuQ_taoKVXPJVoS5lfGIGuXWqXGxLbNKA1E0eKS8uGNJxHFk\
    qqPTFHgiuFGuinMHOCJO-SLgIThPTArlx6uS4PJXU0ukMRxyi4bzgBE2S7OUhs0I2dRreyU1Cr5r8WhAJUANhHt0xUhUaNF2oDDW\
    _IBixLAuF4EytuKpPTTqbzS12u8d6Vs0tF-CeOj-TdmFtAVw_xI-mye2ctLytbOkrlIrah8m7RnQWkLX1JuU_wIDAQAB";
const RS256: &str = "iAxfaOAc32HQIwC7oZlu1PzhjNS_uXNY2iZHYKKfQVlDJglMpdtYyuo-zue9Z443HF-mCki1w9YqOFjCwEIw1GzEaxG99bQEaP-K\
    1HTgEJNhA8g30YyZxSoxHNzoCreSyaDeUfazmuglT-QJeQDyKseFPz6nVGK19wG766AqSQFiL6erz0DA-nLk-5RttMzn75IXCa5q\
    7YXDRchIVp-pqJJwS5DGvCi80_3eMmv2ZFPdClNoLxGS95ACOB2t77woayorwE1ILd3MNzpSHt7-5BP9E_EXt3aUxUAmcnFpHKTy\
    glMDnSrmo1SvP_CJNnV9of3rzqzxIxt1WUE65ObaAg";
const RS384: &str = "PAQPVXMrZFZqovwrjC5Q_JapR1Ve8x92bf5GauUgGRca9V97WhuDnG1b2mSWp6p4zVGwKeHavejkajkrnRLdMDXn-yM3maxXv9kJ\
    5HiP-NJzOqJ74Ae4nJ0jvAYTr3_vQSEYmobuPk3vLgWxPpSqDtaZpIwIgK7G0PlWzRUPKZBIBSp_yHgA2jxxskeZ8aXNPbny6Rnz\
    hZJo5dkNpjQ-kmiLq3CdkDTa4FfgbLNuMvknuajSTXGJE0uI0KRBK_fUL67VKcfNEE6JLieD37UdXBuGPYJx6NyomZmXJw5Qa5oj\
    I55Dc5YxfRuSrEKqex4DfTQKhBLdiOiTn8l2V4jkFQ";
const RS512: &str = "bEnNaWK6XKeNNLLUpuyYMFlYg-_feXA_-G6mOC-BknVwp_tdzZcYd54GeKkjtQOyVru-eUPW2ubUamZxFL0oqElb6F0XNq1axn-J\
    j23LxBw6eG1FiPLLntLQfDH4a20ZEGaZGufCHEleQvwMFvesR04yAjFNYVVtsaLpZWz5gUBiu-lV7f7Se91imTZeicZt43-6DUDI\
    -P8LTAGmCjmk9wpcNhhwydTCmXtccVraiCCAk7hSxssEv_Epcv7BaBGjWkqnZ6Lrr0Wx7VvNawPlX-5I11CZIj0I4d9ztg3-nO2l\
    iqC4TNSQW2HoWGtDtK-UUagvVNpoP60qwfPGOfyx7w";
const P256_KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEXhoXIKiWl2t7vPk6QyqUJKPQl18hkurDw798LZKCUMjZkeGNsgi9EyGsG3cqXW_V\
    iiXOb4qzYL7yA9K2GQKtLg";
const ES256: &str = "MEQCIAK__YZ_5WIbtqcxOxgqay9BLsBr8xixLp-xQjvgDfTBAiAKak-9zbBSM4tutw8G18pa_QodvdSPVpefX1bDMyEwcw";
const P384_KEY: &str = "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE-43nGFep22g5sZ398KdsAuO2Zjrc_joqPG14DrQ7u_pcwo8K7qwckaapr7GDl7OxOlUq\
    wdbm2CA0oHEAh_5qyhNZAre_2YCo7kNSXgoEb67Sj-R-GW2u5U12n2inGo_I";
const ES384: &str = "MGYCMQDoWj9adsM1YZ4QBwlMicLuLn1F5sLASHNo96Gd0jcG1nQ0L5nQDSV8bvIth7G-Th4CMQC1fVnkp7bTLleOtn1VGYaCTWHy\
    A-hkepZg_OQmIgu1mF5aETOUwmE8HyBwWEtIDAQ";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::memory::MemoryHost;

    #[test]
    fn integers_and_lengths_are_as_short_as_can_be() {
        assert_eq!(der_unsigned(&[]), [2, 1, 0]);
        assert_eq!(der_unsigned(&[0, 0, 1]), [2, 1, 1]);
        assert_eq!(der_unsigned(&[0x7f]), [2, 1, 0x7f]);
        assert_eq!(der_unsigned(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(der(4, &[])[..], [4, 0]);
        assert_eq!(der(4, &[7; 127])[..2], [4, 127]);
        assert_eq!(der(4, &[7; 128])[..3], [4, 0x81, 128]);
        assert_eq!(der(4, &[7; 256])[..4], [4, 0x82, 1, 0]);
        assert_eq!(ecdsa_signature(&[0, 1, 0xff, 2]), [0x30, 8, 2, 1, 1, 2, 3, 0, 0xff, 2]);
    }

    #[test]
    fn keys_are_encoded_as_others_do() {
        let known = base64url::decode(RSA_KEY.as_bytes()).unwrap();
        // n starts after two sequences, an algorithm, a bit string and its own header.
        let (n, e) = (&known[33..33 + 256], [1, 0, 1]);
        assert_eq!(rsa_key_info(n, &e), known);
        assert_eq!(rsa_key_info(&[&[0, 0], n].concat(), &e), known);
        let known = base64url::decode(P256_KEY.as_bytes()).unwrap();
        assert_eq!(ec_key_info(Algorithm::Es256, &known[26..]), Some(known));
        let known = base64url::decode(P384_KEY.as_bytes()).unwrap();
        assert_eq!(ec_key_info(Algorithm::Es384, &known[23..]), Some(known));
        assert_eq!(ec_key_info(Algorithm::EdDsa, &[]), None);
    }

    #[test]
    fn a_host_that_gives_no_answer_or_always_the_same_is_not_believed() {
        for says in [None, Some(true), Some(false)] {
            let host = MemoryHost::default();
            host.set_signatures(Box::new(move |_, _, _, _| says));
            assert!(Proved::by(&host).is_empty());
        }
        let host = MemoryHost::default();
        // Right for one algorithm only.
        let good = base64url::decode(ES256.as_bytes()).unwrap();
        host.set_signatures(Box::new(move |hash, _, signature, text| {
            Some(hash == "sha256" && signature == good && text == TEXT)
        }));
        let proved = Proved::by(&host);
        assert!(proved.has(Algorithm::Es256) && !proved.has(Algorithm::Rs256) && !proved.has(Algorithm::EdDsa));
    }
}
