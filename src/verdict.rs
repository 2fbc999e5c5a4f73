//! The closed list of refusals. Each reason has one stable code: the same in the reply, in the metric, in Envoy's
//! response details and in the filter state. A code, once shipped, is never renamed.

use std::borrow::Cow;
use std::time::Duration;

/// Declares every reason once: variant, code, HTTP status and a sentence for the caller that says what to do.
macro_rules! reasons {
    ($($variant:ident $code:literal $status:literal $summary:literal,)*) => {
        /// Why a request is refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason { $($variant,)* }

        impl Reason {
            pub const ALL: &[Reason] = &[$(Reason::$variant,)*];

            /// The stable code, in lower snake case.
            pub const fn code(self) -> &'static str {
                match self { $(Reason::$variant => $code,)* }
            }

            /// The HTTP status of the reply.
            pub const fn status(self) -> u16 {
                match self { $(Reason::$variant => $status,)* }
            }

            /// What is wrong, for people; holds nothing of the request.
            pub const fn summary(self) -> &'static str {
                match self { $(Reason::$variant => $summary,)* }
            }
        }
    };
}

reasons! {
    HeadInvalid "head_invalid" 400 "The request's head could not be read.",
    MethodInvalid "method_invalid" 400 "The method is not a token in upper case.",
    PathInvalid "path_invalid" 400 "The path has no single meaning.",
    HostInvalid "host_invalid" 400 "The request names no host, or one that is not valid.",
    HeaderRepeated "header_repeated" 400 "A header field that may come once came more than once.",
    HeaderInvalid "header_invalid" 400 "A header field has a value that can't be read.",
    HeaderMissing "header_missing" 400 "A required header field is missing.",
    MethodOverride "method_override" 400 "Header fields that override the method or the path are not accepted.",
    ParameterInvalid "parameter_invalid" 400 "A parameter does not have the expected form.",
    OperationUnknown "operation_unknown" 404 "There is no such operation.",
    MethodNotAllowed "method_not_allowed" 405 "The path does not accept this method.",
    TrailersUnsupported "trailers_unsupported" 400 "Requests with trailers are not accepted here.",
    BodyMissing "body_missing" 400 "A body is required.",
    BodyUnexpected "body_unexpected" 400 "This operation takes no body.",
    BodyTooLarge "body_too_large" 413 "The body is larger than allowed.",
    ContentType "content_type" 415 "The body's content type is missing or not accepted here.",
    ContentEncoding "content_encoding" 415 "The body's content encoding is not accepted here.",
    JsonMalformed "json_malformed" 400 "The body is not well-formed JSON.",
    JsonDuplicate "json_duplicate" 400 "The JSON body names a member twice.",
    JsonLimit "json_limit" 400 "The JSON body is more complex than allowed.",
    FormMalformed "form_malformed" 400 "The body is not a well-formed form.",
    MultipartMalformed "multipart_malformed" 400 "The body is not a well-formed multipart form.",
    FormLimit "form_limit" 400 "The form body is more complex than allowed.",
    BodyInvalid "body_invalid" 400 "The body does not have the expected form.",
    ClientUnknown "client_unknown" 403 "The client's address is not known.",
    ClientDenied "client_denied" 403 "The client is not allowed.",
    ClientBanned "client_banned" 429 "Too many failed logins: try again later.",
    LoginLimited "login_limited" 429 "Too many login attempts: try again later.",
    LoginSpraying "login_spraying" 429 "Too many accounts were tried: try again later.",
    AccountLimited "account_limited" 429 "Too many login attempts for this account: try again later.",
    AccountMissing "account_missing" 400 "The login names no account.",
    AccountInvalid "account_invalid" 400 "The login's account can't be read, or is named twice.",
    QuotaExceeded "quota_exceeded" 429 "Too many requests: try again later.",
    StoreUnavailable "store_unavailable" 503 "Limits can't be counted right now.",
    TokenMissing "token_missing" 401 "A token is required.",
    TokenRepeated "token_repeated" 400 "The request has more than one token.",
    TokenTooLarge "token_too_large" 401 "The token is larger than allowed.",
    TokenMalformed "token_malformed" 401 "The token can't be read.",
    TokenType "token_type" 401 "The token is of a type that is not accepted.",
    TokenCritical "token_critical" 401 "The token demands an extension that is not supported.",
    TokenAlgorithm "token_algorithm" 401 "The token's algorithm is not accepted.",
    TokenIssuer "token_issuer" 401 "The token's issuer is not accepted.",
    TokenKeyUnknown "token_key_unknown" 401 "The token's key is not known.",
    TokenKeysUnavailable "token_keys_unavailable" 503 "The issuer's keys are not available right now.",
    TokenSignature "token_signature" 401 "The token's signature is wrong.",
    TokenAudience "token_audience" 401 "The token is meant for another audience.",
    TokenExpired "token_expired" 401 "The token has expired.",
    TokenNotYetValid "token_not_yet_valid" 401 "The token is not valid yet.",
    TokenTooOld "token_too_old" 401 "The token was issued too long ago.",
    TokenClaim "token_claim" 401 "The token lacks a claim, or has one that is not acceptable.",
    TokenScope "token_scope" 403 "The token does not grant what this operation needs.",
    TokenWithoutId "token_without_id" 401 "The token can't be checked for revocation, for it lacks a claim.",
    TokenStatus "token_status" 401 "The token's status list has no entry for it.",
    TokenInactive "token_inactive" 401 "The token is not active.",
    TokenRevoked "token_revoked" 401 "The token was revoked.",
    RevocationUnavailable "revocation_unavailable" 503 "Whether the token was revoked can't be told right now.",
    ThreatSql "threat_sql" 403 "A value would act as SQL.",
    ThreatScript "threat_script" 403 "A value would act as script or markup.",
    ThreatPath "threat_path" 403 "A value names a file or path that no client has business with.",
    ThreatCommand "threat_command" 403 "A value would act as a command or as code.",
    ThreatTemplate "threat_template" 403 "A value would act in a template.",
    ThreatExpression "threat_expression" 403 "A value would be evaluated, or makes objects.",
    ThreatNosql "threat_nosql" 403 "A value or name would act as a query operator.",
    ThreatXml "threat_xml" 403 "A value declares XML entities or a document type.",
    ThreatRequestForgery "threat_request_forgery" 403 "A value points at an address inside.",
    ThreatHeader "threat_header" 403 "A value would split a header or a command of another protocol.",
    ThreatBudget "threat_budget" 403 "The request holds more text than is judged.",
    Internal "internal" 500 "The request could not be judged.",
}

/// One fault in a document: where (a JSON Pointer) and what would be right. Never holds a value of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub at: String,
    pub problem: String,
}

/// A refusal: a reason with what the reply needs beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    pub reason: Reason,
    /// For people, in place of the reason's summary.
    pub detail: Option<Cow<'static, str>>,
    pub extra: Extra,
}

/// What the reply to some refusals carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extra {
    Nothing,
    Problems(Vec<Problem>),
    /// Methods for `Allow`.
    Allow(Vec<String>),
    RetryAfter(Duration),
    /// The quota that refused, and when it admits again.
    Quota {
        name: String,
        retry_after: Duration,
    },
    /// The scopes that the operation needs, for `WWW-Authenticate`.
    Scope(String),
}

impl From<Reason> for Denial {
    fn from(reason: Reason) -> Self {
        reason.with(Extra::Nothing)
    }
}

impl Reason {
    pub const fn with(self, extra: Extra) -> Denial {
        Denial {
            reason: self,
            detail: None,
            extra,
        }
    }

    /// A refusal with a sentence of its own.
    pub fn because(self, detail: impl Into<Cow<'static, str>>) -> Denial {
        Denial {
            detail: Some(detail.into()),
            ..self.into()
        }
    }

    /// A refusal that ends after `span`.
    pub const fn retry_after(self, span: Duration) -> Denial {
        self.with(Extra::RetryAfter(span))
    }
}

/// Whether a guard's refusals are carried out or only counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    #[default]
    Enforce,
    /// Decide, count and log, but let the request go on.
    Shadow,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_distinct_and_plain() {
        let codes: HashSet<_> = Reason::ALL.iter().map(|r| r.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for code in codes {
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
        }
    }
}
