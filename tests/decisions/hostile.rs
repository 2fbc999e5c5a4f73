//! Hostile tokens, one trick a row, each with its code; and hostile key sets, whose good keys still serve. The same rows go
//! through the module's own signatures and through a host's.

use crate::scene::{Scene, Verdict};
use crate::signatures::by_ring;
use crate::tokens::{encode, now, with};
use jwt_simple::algorithms::{ES256KeyPair, HS256Key, MACLike, RS256KeyPair};
use portcullis::config;
use portcullis::host::memory::MemoryHost;

const SECRET: &[u8; 32] = b"0123456789abcdef0123456789abcdef";

struct Forge {
    rsa: RS256KeyPair,
    ec: ES256KeyPair,
    scene: Scene,
    hosted: Scene,
    time: u64,
}

fn hs256_under(secret: &[u8], header: &str, payload: &[u8]) -> String {
    let input = format!("{}.{}", encode(header), encode(payload));
    let tag = HS256Key::from_bytes(secret).authentication_tag(input.as_bytes());
    format!("{input}.{}", encode(tag))
}

impl Forge {
    fn new() -> Self {
        let rsa = RS256KeyPair::generate(2048).unwrap().with_key_id("rsa");
        let ec = ES256KeyPair::generate().with_key_id("ec");
        let policy = format!(
            r#"{{ "tokens": {{ "providers": [
                 {{ "issuer": "https://id.example", "audiences": ["api"], "algorithms": ["RS256", "ES256", "HS256"], "jwks": {{ "inline": {{ "keys": [
                    {}, {}, {{"kty":"oct","kid":"hs","alg":"HS256","k":"{}"}} ] }} }} }},
                 {{ "issuer": "https://rsa.example", "audiences": ["api"], "algorithms": ["RS256"], "jwks": {{ "inline": {{ "keys": [{}] }} }} }} ] }} }}"#,
            rsa.public_key().to_jwk(),
            ec.public_key().to_jwk(),
            encode(SECRET),
            rsa.public_key().to_jwk(),
        );
        let host = MemoryHost::default();
        host.set_signatures(by_ring());
        let scene = Scene::new(&policy);
        Self {
            time: now(&scene),
            hosted: Scene::on(host, &policy),
            scene,
            rsa,
            ec,
        }
    }

    fn claims(&self) -> String {
        format!(
            r#"{{"iss":"https://id.example","aud":"api","sub":"ann","iat":{},"exp":{}}}"#,
            self.time,
            self.time + 300
        )
    }

    /// Good claims under another header, with the right tag.
    fn header(&self, header: &str) -> String {
        hs256_under(SECRET, header, self.claims().as_bytes())
    }

    /// Other claims under a good header, with the right tag.
    fn payload(&self, payload: impl AsRef<[u8]>) -> String {
        hs256_under(SECRET, r#"{"alg":"HS256","kid":"hs"}"#, payload.as_ref())
    }

    fn replaced(&self, from: &str, to: &str) -> String {
        let claims = self.claims();
        assert!(claims.contains(from), "{from}");
        self.payload(claims.replace(from, to))
    }

    fn unsigned(&self, header: &str, signature: &str) -> String {
        format!("{}.{}.{signature}", encode(header), encode(self.claims()))
    }

    #[track_caller]
    fn check(&self, name: &str, token: &str, code: &'static str) {
        for scene in [&self.scene, &self.hosted] {
            let exchange = scene.send(&with(token));
            assert_eq!(exchange.verdict(), Verdict::Denied(code), "{name}: {token}");
            assert!(exchange.edits().is_empty(), "{name}");
        }
    }
}

#[test]
fn no_spelling_of_none_and_no_other_algorithm_passes() {
    let forge = Forge::new();
    for alg in [
        "none",
        "None",
        "NONE",
        "nOnE",
        "noNe",
        "NonE",
        "none ",
        " none",
        "",
        "null",
        "n\\u006fne",
        "HS256 ",
        "hs256",
        "Hs256",
        "HS-256",
        "HMAC",
        "RS256\\u0000",
        "rs256",
        "RSA",
        "RS1",
        "SHA256",
        "HS1",
        "HS128",
        "ES256K",
        "PS1",
        "EdDSA ",
        "ed25519",
        "A128KW",
        "dir",
        "RSA-OAEP",
        "RSA1_5",
        "ECDH-ES",
        "PBES2-HS256+A128KW",
    ] {
        let header = format!(r#"{{"alg":"{alg}","kid":"hs"}}"#);
        forge.check("unsigned", &forge.unsigned(&header, ""), "token_algorithm");
        forge.check("signed", &forge.header(&header), "token_algorithm");
    }
    for alg in ["HS384", "HS512", "RS384", "PS256", "ES384", "EdDSA", "Ed25519"] {
        let header = format!(r#"{{"alg":"{alg}","kid":"hs"}}"#);
        forge.check("not listed", &forge.header(&header), "token_algorithm");
    }
    for alg in ["null", "0", "true", "[\"HS256\"]", "{\"HS256\":1}"] {
        forge.check(
            "no text",
            &forge.header(&format!(r#"{{"alg":{alg},"kid":"hs"}}"#)),
            "token_malformed",
        );
    }
}

#[test]
fn no_key_serves_an_algorithm_that_it_is_not_for() {
    let forge = Forge::new();
    let public = forge.rsa.public_key();
    let jwk = public.to_jwk();
    let pem = public.to_pem().unwrap();
    let components = public.to_components();
    let secrets: [&[u8]; 6] = [
        &public.to_der().unwrap(),
        pem.as_bytes(),
        pem.trim().as_bytes(),
        jwk.as_bytes(),
        &components.n,
        b"",
    ];
    let claims = forge.claims();
    for secret in secrets {
        for kid in ["rsa", "ec"] {
            let header = format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#);
            forge.check(
                "public key as secret",
                &hs256_under(secret, &header, claims.as_bytes()),
                "token_key_unknown",
            );
        }
        let header = r#"{"alg":"HS256","kid":"hs"}"#;
        forge.check(
            "wrong secret",
            &hs256_under(secret, header, claims.as_bytes()),
            "token_signature",
        );
        forge.check(
            "wrong secret, no name",
            &hs256_under(secret, r#"{"alg":"HS256"}"#, claims.as_bytes()),
            "token_signature",
        );
    }
    for (alg, kid) in [("RS256", "ec"), ("RS256", "hs"), ("ES256", "rsa"), ("ES256", "hs")] {
        let header = format!(r#"{{"alg":"{alg}","kid":"{kid}"}}"#);
        forge.check(
            "key of another kind",
            &forge.unsigned(&header, &encode([7; 64])),
            "token_key_unknown",
        );
    }
    // A key of one issuer is no key of another's.
    let foreign = claims.replace("https://id.example", "https://rsa.example");
    forge.check("foreign key", &forge.payload(&foreign), "token_algorithm");
    for signature in ["", "AA", &encode([0; 64]), &encode([0; 256]), &encode([0xff; 256])] {
        for alg in ["RS256\",\"kid\":\"rsa", "ES256\",\"kid\":\"ec"] {
            forge.check(
                "made-up signature",
                &forge.unsigned(&format!(r#"{{"alg":"{alg}"}}"#), signature),
                "token_signature",
            );
        }
    }
}

#[test]
fn a_token_brings_no_key_of_its_own() {
    let forge = Forge::new();
    let evil = ES256KeyPair::generate();
    let jwk = evil.public_key().to_jwk();
    let claims = forge.claims();
    let under = |header: &str| {
        let input = format!("{}.{}", encode(header), encode(&claims));
        // jwt-simple signs whole tokens only: the tag of another key stands for any signature of the attacker's.
        format!(
            "{input}.{}",
            encode(HS256Key::from_bytes(jwk.as_bytes()).authentication_tag(input.as_bytes()))
        )
    };
    for extra in [
        format!(r#""jwk":{jwk}"#),
        r#""jku":"https://evil.example/jwks.json""#.to_owned(),
        r#""jku":"https://id.example@evil.example/""#.to_owned(),
        r#""x5u":"https://evil.example/cert""#.to_owned(),
        r#""x5c":["MIIB"]"#.to_owned(),
        r#""x5t":"abc","x5t#S256":"abc""#.to_owned(),
    ] {
        forge.check(
            "own key",
            &under(&format!(r#"{{"alg":"HS256","kid":"hs",{extra}}}"#)),
            "token_signature",
        );
        forge.check(
            "own key of a name",
            &under(&format!(r#"{{"alg":"ES256","kid":"evil",{extra}}}"#)),
            "token_key_unknown",
        );
    }
    for kid in [
        "../../../../dev/null",
        "/dev/null",
        "hs' OR '1'='1",
        "hs\\u0000",
        "hs ",
        " hs",
        "HS",
        "hs\\n",
        "hs/../hs",
        "file:///etc/passwd",
        "https://evil.example/key",
        "| whoami",
        "${jndi:ldap://evil}",
        "",
    ] {
        forge.check(
            "kid",
            &forge.header(&format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#)),
            "token_key_unknown",
        );
    }
    for kid in ["1", "null", "[\"hs\"]", "{\"hs\":1}", "true"] {
        forge.check(
            "kid of another type",
            &forge.header(&format!(r#"{{"alg":"HS256","kid":{kid}}}"#)),
            "token_malformed",
        );
    }
}

#[test]
fn extensions_encryption_and_nesting_are_refused() {
    let forge = Forge::new();
    for extra in [
        r#""crit":["exp"]"#,
        r#""crit":[]"#,
        r#""crit":["b64"],"b64":false"#,
        r#""crit":["b64"],"b64":true"#,
        r#""b64":false"#,
        r#""b64":true"#,
        r#""crit":null"#,
        r#""crit":"b64""#,
        r#""crit":["alg"]"#,
        r#""crit":["x","x"]"#,
        r#""crit":[""]"#,
        r#""crit":{}"#,
        r#""crit":[1]"#,
        r#""cr\u0069t":["x"]"#,
        r#""zip":"DEF""#,
        r#""zip":null"#,
        r#""enc":"A256GCM""#,
    ] {
        forge.check(
            "extension",
            &forge.header(&format!(r#"{{"alg":"HS256","kid":"hs",{extra}}}"#)),
            "token_critical",
        );
    }
    for extra in [
        r#""cty":"JWT""#,
        r#""cty":"jwt""#,
        r#""cty":"application/jwt""#,
        r#""typ":"logout+jwt""#,
        r#""typ":"secevent+jwt""#,
        r#""typ":"dpop+jwt""#,
        r#""typ":"JWE""#,
        r#""typ":"""#,
        r#""typ":" JWT""#,
        r#""typ":"at+jwt;x""#,
        r#""typ":"application/application/jwt""#,
    ] {
        forge.check(
            "type",
            &forge.header(&format!(r#"{{"alg":"HS256","kid":"hs",{extra}}}"#)),
            "token_type",
        );
    }
    let encrypted = format!("{}.AA.AA.AA.AA", encode(r#"{"alg":"dir","enc":"A128GCM"}"#));
    forge.check("encrypted", &encrypted, "token_malformed");
    let inner = forge.header(r#"{"alg":"HS256","kid":"hs"}"#);
    forge.check("a token as payload", &forge.payload(&inner), "token_malformed");
    forge.check(
        "a token as text",
        &forge.payload(format!("\"{inner}\"")),
        "token_malformed",
    );
}

#[test]
fn one_spelling_of_the_bytes_and_no_other() {
    let forge = Forge::new();
    let good = forge.payload(forge.claims());
    let (head, rest) = good.split_once('.').unwrap();
    let (claims, tag) = rest.split_once('.').unwrap();
    // The last digit of 32 bytes has two bits to spare.
    let last = tag.chars().last().unwrap();
    let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = digits.find(last).unwrap();
    for spare in 1..4 {
        let other = digits.chars().nth(at + spare).unwrap();
        let respelled = format!("{head}.{claims}.{}{other}", &tag[..tag.len() - 1]);
        forge.check("spare bits", &respelled, "token_malformed");
    }
    for (name, token) in [
        ("padding", format!("{good}=")),
        ("two paddings", format!("{good}==")),
        ("padding inside", format!("{head}=.{claims}.{tag}")),
        ("padding in the claims", format!("{head}.{claims}=.{tag}")),
        ("a dot after", format!("{good}.")),
        ("a dot before", format!(".{good}")),
        ("two dots", format!("{head}..{claims}.{tag}")),
        ("no tag", format!("{head}.{claims}")),
        ("head only", head.to_owned()),
        ("no claims", format!("{head}..{tag}")),
        ("no head", format!(".{claims}.{tag}")),
        ("dots", "..".to_owned()),
        ("many dots", ".".repeat(2000)),
        (
            "standard alphabet",
            format!("{head}.{claims}.{}+/", &tag[..tag.len() - 2]),
        ),
        ("white space", format!("{head} .{claims}.{tag}")),
        ("tab", format!("{head}.\t{claims}.{tag}")),
        ("percent", format!("{head}%2E{claims}%2E{tag}")),
        ("quoted", format!("\"{good}\"")),
        ("full width", good.replace('.', "\u{ff0e}")),
        ("zero byte", format!("{good}\0")),
    ] {
        forge.check(name, &token, "token_malformed");
    }
    forge.check("twice", &format!("{good},{good}"), "token_repeated");
    // A comma is in no token: Envoy joins repeated fields with it.
    let json = format!(r#"{{"protected":"{head}","payload":"{claims}","signature":"{tag}"}}"#);
    forge.check("JSON", &json, "token_repeated");
    for cut in [1, 2, 4, 8, 40, 43] {
        let token = &good[..good.len() - cut];
        let exchange = forge.scene.send(&with(token));
        assert!(
            matches!(
                exchange.verdict(),
                Verdict::Denied("token_signature" | "token_malformed")
            ),
            "{cut}"
        );
    }
}

#[test]
fn header_and_claims_are_one_strict_object_each() {
    let forge = Forge::new();
    for header in [
        "",
        " ",
        "{",
        "[]",
        "null",
        "\"x\"",
        "1",
        "{}",
        "{\"alg\"}",
        r#"{"alg":"HS256","alg":"none"}"#,
        r#"{"alg":"none","alg":"HS256"}"#,
        r#"{"alg":"HS256","\u0061lg":"HS256"}"#,
        r#"{"alg":"HS256","kid":"hs","kid":"x"}"#,
        r#"{"alg":"HS256",}"#,
        r#"{'alg':'HS256'}"#,
        r#"{"alg":"HS256"}{}"#,
        r#"{"alg":"HS256"} x"#,
        "{\"alg\":\"HS256\"}\0",
        "\u{feff}{\"alg\":\"HS256\"}",
        r#"{"alg":"HS256"/**/}"#,
        r#"{"alg":"HS256","x":NaN}"#,
        r#"{"alg":"HS256","x":01}"#,
        r#"{"alg":"HS256","x":"\ud800"}"#,
        "{\"alg\":\"HS256\",\"x\":\"\n\"}",
        r#"{"Alg":"HS256"}"#,
    ] {
        forge.check("header", &forge.header(header), "token_malformed");
    }
    let deep = format!(r#"{{"alg":"HS256","x":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    forge.check("deep header", &forge.header(&deep), "token_malformed");
    let long = format!(r#"{{"alg":"HS256","x":"{}"}}"#, "x".repeat(5000));
    forge.check("long header", &forge.header(&long), "token_malformed");
    for payload in [
        &b""[..],
        b"null",
        b"[]",
        b"1",
        b"\"\"",
        b"{",
        b"{}{}",
        b"{} x",
        b"\xff",
        b"{\"a\":\"\xff\"}",
        b"\xef\xbb\xbf{}",
        b"{\"a\":1,\"a\":1}",
        b"{\"a\":1,\"\\u0061\":2}",
        b"{\"x\":{\"a\":1,\"a\":2}}",
        b"{\"a\":1e}",
        b"{\"a\":+1}",
        b"{\"a\":.5}",
        b"{\"a\":0x1}",
        b"{\"a\":Infinity}",
    ] {
        forge.check("payload", &forge.payload(payload), "token_malformed");
    }
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("\"x\":{}1{},\"aud\"", open.repeat(2000), close.repeat(2000));
        forge.check("deep claims", &forge.replaced("\"aud\"", &deep), "token_malformed");
    }
}

#[test]
fn claims_of_another_shape_time_or_place_are_refused() {
    let forge = Forge::new();
    let time = forge.time;
    let (iat, exp) = (format!("\"iat\":{time}"), format!("\"exp\":{}", time + 300));
    let issuer = "\"https://id.example\"";
    for other in [
        "\"https://id.example/\"",
        "\"https://id.example \"",
        "\"HTTPS://id.example\"",
        "\"https://ID.example\"",
        "\"http://id.example\"",
        "\"https://id.example.evil\"",
        "\"https://id.example#\"",
        "\"https://id.example?\"",
        "\"https://id.example\\u0000\"",
        "\"https://id.ex\u{430}mple\"",
        "[\"https://id.example\"]",
        "{\"https://id.example\":1}",
        "null",
        "1",
        "\"\"",
    ] {
        forge.check("issuer", &forge.replaced(issuer, other), "token_issuer");
    }
    for other in [
        "\"apis\"",
        "\"API\"",
        "\"ap\"",
        "\"api \"",
        "\"api,other\"",
        "\"api other\"",
        "\"\"",
        "[]",
        "[\"\"]",
        "[\"API\"]",
        "\"*\"",
        "[\"*\"]",
    ] {
        forge.check("audience", &forge.replaced("\"api\"", other), "token_audience");
    }
    for other in [
        "[\"api\",1]",
        "[\"api\",null]",
        "[[\"api\"]]",
        "[{\"aud\":\"api\"}]",
        "{\"aud\":\"api\"}",
        "null",
        "true",
        "1",
    ] {
        forge.check("audience's shape", &forge.replaced("\"api\"", other), "token_claim");
    }
    for other in [
        "\"9999999999\"",
        "null",
        "true",
        "[9999999999]",
        "{}",
        "-1",
        "-9999999999",
        "1e999",
        "9007199254740992",
        "99999999999999999999",
        "1e16",
    ] {
        forge.check(
            "expiry",
            &forge.replaced(&exp, &format!("\"exp\":{other}")),
            "token_claim",
        );
        forge.check(
            "not before",
            &forge.replaced(&exp, &format!("{exp},\"nbf\":{other}")),
            "token_claim",
        );
        forge.check(
            "issued at",
            &forge.replaced(&iat, &format!("\"iat\":{other}")),
            "token_claim",
        );
    }
    for (member, code) in [
        (format!("\"exp\":{}", time - 30), "token_expired"),
        (format!("\"exp\":{}.999", time - 31), "token_expired"),
        ("\"exp\":0".to_owned(), "token_expired"),
        ("\"exp\":-0".to_owned(), "token_expired"),
        ("\"exp\":1e-400".to_owned(), "token_expired"),
        (format!("{exp},\"nbf\":{}", time + 31), "token_not_yet_valid"),
        (format!("{exp},\"nbf\":9e15"), "token_not_yet_valid"),
        ("\"EXP\":9999999999".to_owned(), "token_claim"),
    ] {
        forge.check("time", &forge.replaced(&exp, &member), code);
    }
    forge.check(
        "issued ahead",
        &forge.replaced(&iat, &format!("\"iat\":{}", time + 31)),
        "token_not_yet_valid",
    );
    forge.check(
        "issued long ago",
        &forge.replaced(&iat, &format!("\"iat\":{}", time - 86_431)),
        "token_too_old",
    );
    for other in ["null", "1", "[\"ann\"]", "{}", "true"] {
        forge.check("subject", &forge.replaced("\"ann\"", other), "token_claim");
    }
    forge.check("id", &forge.replaced("\"sub\"", "\"jti\":1,\"sub\""), "token_claim");
    forge.check(
        "scope",
        &forge.replaced("\"sub\"", "\"scope\":{\"a\":1},\"sub\""),
        "token_claim",
    );
}

#[test]
fn of_a_hostile_key_set_the_good_keys_serve_and_no_other() {
    let forge = Forge::new();
    let good = forge.ec.public_key().to_jwk();
    let oct = encode(SECRET);
    let short = encode([7; 31]);
    let n = encode([0xff; 128]);
    let even = encode([0xfe; 256]);
    let huge = encode([0xff; 1024]);
    let odd = encode([0xff; 256]);
    let x = encode([7; 32]);
    for bad in [
        "null".to_owned(),
        "1".to_owned(),
        "[]".to_owned(),
        "\"x\"".to_owned(),
        "{}".to_owned(),
        r#"{"kty":1}"#.to_owned(),
        r#"{"kty":"ec"}"#.to_owned(),
        r#"{"kty":"XYZ","kid":"a"}"#.to_owned(),
        format!(r#"{{"kty":"oct","k":"{short}"}}"#),
        r#"{"kty":"oct","k":""}"#.to_owned(),
        r#"{"kty":"oct","k":1}"#.to_owned(),
        format!(r#"{{"kty":"oct","k":"{oct}=","kid":"a"}}"#),
        format!(r#"{{"kty":"oct","k":"{oct}","use":"enc"}}"#),
        format!(r#"{{"kty":"oct","k":"{oct}","alg":"none"}}"#),
        format!(r#"{{"kty":"oct","k":"{oct}","alg":"HS512"}}"#),
        format!(r#"{{"kty":"oct","k":"{oct}","key_ops":["encrypt"]}}"#),
        format!(r#"{{"kty":"oct","k":"{oct}","key_ops":"verify"}}"#),
        format!(r#"{{"kty":"oct","k":"{oct}","kid":7}}"#),
        format!(r#"{{"kty":"oct","k":"{oct}","use":["sig"]}}"#),
        format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB"}}"#),
        format!(r#"{{"kty":"RSA","n":"{even}","e":"AQAB"}}"#),
        format!(r#"{{"kty":"RSA","n":"{huge}","e":"AQAB"}}"#),
        format!(r#"{{"kty":"RSA","n":"{odd}","e":"AQ"}}"#),
        format!(r#"{{"kty":"RSA","n":"{odd}","e":"Aw"}}"#),
        format!(r#"{{"kty":"RSA","n":"{odd}","e":"AA"}}"#),
        format!(r#"{{"kty":"RSA","n":"{odd}","e":""}}"#),
        format!(r#"{{"kty":"RSA","n":"{odd}","e":"{odd}"}}"#),
        format!(r#"{{"kty":"RSA","n":"{odd}"}}"#),
        format!(r#"{{"kty":"RSA","n":"{odd}=","e":"AQAB"}}"#),
        format!(r#"{{"kty":"RSA","n":"{odd}","e":"AQAB","d":"{odd}"}}"#),
        format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{x}"}}"#),
        r#"{"kty":"EC","crv":"P-256","x":"","y":""}"#.to_owned(),
        format!(r#"{{"kty":"EC","crv":"secp256k1","x":"{x}","y":"{x}"}}"#),
        format!(r#"{{"kty":"EC","crv":"P-384","x":"{x}","y":"{x}"}}"#),
        good.replace("P-256", "P-384"),
        good.replace("P-256", "p-256"),
        good.replace("\"EC\"", "\"OKP\""),
        good.replace("ES256", "RS256"),
        good.replace('}', ",\"d\":\"AQ\"}"),
        good.replace("\"x\":\"", "\"x\":\"AA"),
        good.replace("\"sig\"", "\"enc\""),
    ] {
        let jwks = |keys: &str| {
            format!(
                r#"{{ "tokens": {{ "providers": [ {{ "issuer": "https://id.example", "audiences": ["api"], "algorithms": ["RS256", "ES256", "HS256"],
                     "jwks": {{ "inline": {{ "keys": [{keys}] }} }} }} ] }} }}"#
            )
        };
        assert!(config::load(jwks(&bad).as_bytes()).is_err(), "usable: {bad}");
        let scene = Scene::new(&jwks(&format!("{bad},{good},{bad}")));
        let exchange = scene.send(&with(&forge.header(r#"{"alg":"HS256","kid":"hs"}"#)));
        assert_eq!(exchange.verdict(), Verdict::Denied("token_key_unknown"), "{bad}");
    }
}
