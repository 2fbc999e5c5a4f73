//! Hostile tokens, one trick a row, each with its code. The same rows go through the decision core natively and through
//! real Envoy, where signatures are checked by the host and by the module.

use super::forge::{Forge, Row, Rows, encode, hs256_under};
use ct_codecs::{Base64UrlSafeNoPadding, Decoder};
use jwt_simple::algorithms::{ES256KeyPair, HS256Key, MACLike};

/// Every row but those of [`super::signatures`].
pub fn rows(forge: &Forge) -> Vec<Row> {
    let mut rows = Rows::default();
    let sections: [fn(&Forge, &mut Rows); 7] = [
        no_spelling_of_none_and_no_other_algorithm_passes,
        no_key_serves_an_algorithm_that_it_is_not_for,
        a_token_brings_no_key_of_its_own,
        extensions_encryption_and_nesting_are_refused,
        one_spelling_of_the_bytes_and_no_other,
        header_and_claims_are_one_strict_object_each,
        claims_of_another_shape_time_or_place_are_refused,
    ];
    for section in sections {
        section(forge, &mut rows);
    }
    rows.0
}

fn no_spelling_of_none_and_no_other_algorithm_passes(forge: &Forge, rows: &mut Rows) {
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
        rows.add("unsigned", &forge.unsigned(&header, ""), "token_algorithm");
        rows.add("signed", &forge.header(&header), "token_algorithm");
    }
    for alg in ["HS384", "HS512", "RS384", "PS256", "ES384", "EdDSA", "Ed25519"] {
        let header = format!(r#"{{"alg":"{alg}","kid":"hs"}}"#);
        rows.add("not listed", &forge.header(&header), "token_algorithm");
    }
    for alg in ["null", "0", "true", "[\"HS256\"]", "{\"HS256\":1}"] {
        rows.add(
            "no text",
            &forge.header(&format!(r#"{{"alg":{alg},"kid":"hs"}}"#)),
            "token_malformed",
        );
    }
}

fn no_key_serves_an_algorithm_that_it_is_not_for(forge: &Forge, rows: &mut Rows) {
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
            rows.add(
                "public key as secret",
                &hs256_under(secret, &header, claims.as_bytes()),
                "token_key_unknown",
            );
        }
        let header = r#"{"alg":"HS256","kid":"hs"}"#;
        rows.add(
            "wrong secret",
            &hs256_under(secret, header, claims.as_bytes()),
            "token_signature",
        );
        rows.add(
            "wrong secret, no name",
            &hs256_under(secret, r#"{"alg":"HS256"}"#, claims.as_bytes()),
            "token_signature",
        );
    }
    for (alg, kid) in [("RS256", "ec"), ("RS256", "hs"), ("ES256", "rsa"), ("ES256", "hs")] {
        let header = format!(r#"{{"alg":"{alg}","kid":"{kid}"}}"#);
        rows.add(
            "key of another kind",
            &forge.unsigned(&header, &encode([7; 64])),
            "token_key_unknown",
        );
    }
    // A key of one issuer is no key of another's.
    let foreign = claims.replace("https://id.example", "https://rsa.example");
    rows.add("foreign key", &forge.payload(&foreign), "token_algorithm");
    for signature in ["", "AA", &encode([0; 64]), &encode([0; 256]), &encode([0xff; 256])] {
        for alg in ["RS256\",\"kid\":\"rsa", "ES256\",\"kid\":\"ec"] {
            rows.add(
                "made-up signature",
                &forge.unsigned(&format!(r#"{{"alg":"{alg}"}}"#), signature),
                "token_signature",
            );
        }
    }
}

fn a_token_brings_no_key_of_its_own(forge: &Forge, rows: &mut Rows) {
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
        rows.add(
            "own key",
            &under(&format!(r#"{{"alg":"HS256","kid":"hs",{extra}}}"#)),
            "token_signature",
        );
        rows.add(
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
        rows.add(
            "kid",
            &forge.header(&format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#)),
            "token_key_unknown",
        );
    }
    for kid in ["1", "null", "[\"hs\"]", "{\"hs\":1}", "true"] {
        rows.add(
            "kid of another type",
            &forge.header(&format!(r#"{{"alg":"HS256","kid":{kid}}}"#)),
            "token_malformed",
        );
    }
}

fn extensions_encryption_and_nesting_are_refused(forge: &Forge, rows: &mut Rows) {
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
        rows.add(
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
        rows.add(
            "type",
            &forge.header(&format!(r#"{{"alg":"HS256","kid":"hs",{extra}}}"#)),
            "token_type",
        );
    }
    let encrypted = format!("{}.AA.AA.AA.AA", encode(r#"{"alg":"dir","enc":"A128GCM"}"#));
    rows.add("encrypted", &encrypted, "token_malformed");
    let inner = forge.header(r#"{"alg":"HS256","kid":"hs"}"#);
    rows.add("a token as payload", &forge.payload(&inner), "token_malformed");
    rows.add(
        "a token as text",
        &forge.payload(format!("\"{inner}\"")),
        "token_malformed",
    );
}

fn one_spelling_of_the_bytes_and_no_other(forge: &Forge, rows: &mut Rows) {
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
        rows.add("spare bits", &respelled, "token_malformed");
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
        rows.add(name, &token, "token_malformed");
    }
    rows.add("twice", &format!("{good},{good}"), "token_repeated");
    // A comma is in no token: Envoy joins repeated fields with it.
    let json = format!(r#"{{"protected":"{head}","payload":"{claims}","signature":"{tag}"}}"#);
    rows.add("JSON", &json, "token_repeated");
    for cut in [1, 2, 4, 8, 40, 43] {
        let token = &good[..good.len() - cut];
        let is_canonical = Base64UrlSafeNoPadding::decode_to_vec(&tag[..tag.len() - cut], None).is_ok();
        let code = if is_canonical {
            "token_signature"
        } else {
            "token_malformed"
        };
        rows.add("cut", token, code);
    }
}

fn header_and_claims_are_one_strict_object_each(forge: &Forge, rows: &mut Rows) {
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
        rows.add("header", &forge.header(header), "token_malformed");
    }
    let deep = format!(r#"{{"alg":"HS256","x":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    rows.add("deep header", &forge.header(&deep), "token_malformed");
    let long = format!(r#"{{"alg":"HS256","x":"{}"}}"#, "x".repeat(5000));
    rows.add("long header", &forge.header(&long), "token_malformed");
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
        rows.add("payload", &forge.payload(payload), "token_malformed");
    }
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("\"x\":{}1{},\"aud\"", open.repeat(2000), close.repeat(2000));
        rows.add("deep claims", &forge.replaced("\"aud\"", &deep), "token_malformed");
    }
}

fn claims_of_another_shape_time_or_place_are_refused(forge: &Forge, rows: &mut Rows) {
    let time = forge.time;
    let (iat, exp) = (format!("\"iat\":{time}"), forge.expiry());
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
        rows.add("issuer", &forge.replaced(issuer, other), "token_issuer");
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
        rows.add("audience", &forge.replaced("\"api\"", other), "token_audience");
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
        rows.add("audience's shape", &forge.replaced("\"api\"", other), "token_claim");
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
        rows.add(
            "expiry",
            &forge.replaced(&exp, &format!("\"exp\":{other}")),
            "token_claim",
        );
        rows.add(
            "not before",
            &forge.replaced(&exp, &format!("{exp},\"nbf\":{other}")),
            "token_claim",
        );
        rows.add(
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
        (format!("{exp},\"nbf\":{}", forge.ahead()), "token_not_yet_valid"),
        (format!("{exp},\"nbf\":9e15"), "token_not_yet_valid"),
        ("\"EXP\":9999999999".to_owned(), "token_claim"),
    ] {
        rows.add("time", &forge.replaced(&exp, &member), code);
    }
    rows.add(
        "issued ahead",
        &forge.replaced(&iat, &format!("\"iat\":{}", forge.ahead())),
        "token_not_yet_valid",
    );
    rows.add(
        "issued long ago",
        &forge.replaced(&iat, &format!("\"iat\":{}", time - 86_431)),
        "token_too_old",
    );
    for other in ["null", "1", "[\"ann\"]", "{}", "true"] {
        rows.add("subject", &forge.replaced("\"ann\"", other), "token_claim");
    }
    rows.add("id", &forge.replaced("\"sub\"", "\"jti\":1,\"sub\""), "token_claim");
    rows.add(
        "scope",
        &forge.replaced("\"sub\"", "\"scope\":{\"a\":1},\"sub\""),
        "token_claim",
    );
}
