//! Keys, the policy that trusts them, and tokens under them, honest or not.

use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use jwt_simple::algorithms::{
    ES256KeyPair, ES384KeyPair, Ed25519KeyPair, HS256Key, MACLike, PS256KeyPair, RS256KeyPair, RS384KeyPair,
    RS512KeyPair,
};

pub const SECRET: &[u8; 32] = b"0123456789abcdef0123456789abcdef";

/// A token, and the code that it is refused with; none: it passes.
pub struct Row {
    pub name: String,
    pub token: String,
    pub code: Option<&'static str>,
}

#[derive(Default)]
pub struct Rows(pub Vec<Row>);

impl Rows {
    pub fn add(&mut self, name: &str, token: &str, code: &'static str) {
        self.0.push(Row {
            name: name.to_owned(),
            token: token.to_owned(),
            code: Some(code),
        });
    }
}

pub struct Forge {
    pub rsa: RS256KeyPair,
    pub rs384: RS384KeyPair,
    pub rs512: RS512KeyPair,
    pub ps256: PS256KeyPair,
    pub ec: ES256KeyPair,
    pub es384: ES384KeyPair,
    pub eddsa: Ed25519KeyPair,
    /// When the rows are made.
    pub time: u64,
    /// How much later they may be judged, in seconds.
    pub patience: u64,
}

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap()
}

pub fn hs256_under(secret: &[u8], header: &str, payload: &[u8]) -> String {
    let input = format!("{}.{}", encode(header), encode(payload));
    let tag = HS256Key::from_bytes(secret).authentication_tag(input.as_bytes());
    format!("{input}.{}", encode(tag))
}

impl Forge {
    pub fn new(time: u64, patience: u64) -> Self {
        let rsa = RS256KeyPair::generate(2048).unwrap().with_key_id("rsa");
        // One key under several names: making one takes a while.
        let pem = rsa.to_pem().unwrap();
        Self {
            rs384: RS384KeyPair::from_pem(&pem).unwrap(),
            rs512: RS512KeyPair::from_pem(&pem).unwrap(),
            ps256: PS256KeyPair::from_pem(&pem).unwrap(),
            rsa,
            ec: ES256KeyPair::generate().with_key_id("ec"),
            es384: ES384KeyPair::generate(),
            eddsa: Ed25519KeyPair::generate(),
            time,
            patience,
        }
    }

    /// The policy's list of providers: one of several algorithms, one of one, and one for each algorithm's signatures.
    pub fn providers(&self) -> String {
        let provider = |issuer: &str, algorithms: &str, keys: &[String]| {
            format!(
                r#"{{ "issuer": "https://{issuer}.example", "audiences": ["api"], "algorithms": [{algorithms}], "jwks": {{ "inline": {{ "keys": [{}] }} }} }}"#,
                keys.join(", ")
            )
        };
        let rsa = self.rsa.public_key().to_jwk();
        let ec = self.ec.public_key().to_jwk();
        let oct = format!(r#"{{"kty":"oct","kid":"hs","alg":"HS256","k":"{}"}}"#, encode(SECRET));
        let all = [
            provider("id", r#""RS256", "ES256", "HS256""#, &[rsa.clone(), ec.clone(), oct]),
            provider("rsa", r#""RS256""#, std::slice::from_ref(&rsa)),
            provider("rs256", r#""RS256""#, &[rsa]),
            provider("rs384", r#""RS384""#, &[self.rs384.public_key().to_jwk()]),
            provider("rs512", r#""RS512""#, &[self.rs512.public_key().to_jwk()]),
            provider("ps256", r#""PS256""#, &[self.ps256.public_key().to_jwk()]),
            provider("es256", r#""ES256""#, &[ec]),
            provider("es384", r#""ES384""#, &[self.es384.public_key().to_jwk()]),
            provider("eddsa", r#""EdDSA""#, &[self.eddsa.public_key().to_jwk()]),
        ];
        format!("[{}]", all.join(", "))
    }

    /// Good claims.
    pub fn claims(&self) -> String {
        format!(
            r#"{{"iss":"https://id.example","aud":"api","sub":"ann","iat":{},{}}}"#,
            self.time,
            self.expiry()
        )
    }

    pub fn expiry(&self) -> String {
        format!("\"exp\":{}", self.time + self.patience + 300)
    }

    /// The first second that is too far ahead, skew and patience considered.
    pub fn ahead(&self) -> u64 {
        self.time + self.patience + 31
    }

    /// Good claims under another header, with the right tag.
    pub fn header(&self, header: &str) -> String {
        hs256_under(SECRET, header, self.claims().as_bytes())
    }

    /// Other claims under a good header, with the right tag.
    pub fn payload(&self, payload: impl AsRef<[u8]>) -> String {
        hs256_under(SECRET, r#"{"alg":"HS256","kid":"hs"}"#, payload.as_ref())
    }

    pub fn replaced(&self, from: &str, to: &str) -> String {
        let claims = self.claims();
        assert!(claims.contains(from), "{from}");
        self.payload(claims.replace(from, to))
    }

    pub fn unsigned(&self, header: &str, signature: &str) -> String {
        format!("{}.{}.{signature}", encode(header), encode(self.claims()))
    }
}
