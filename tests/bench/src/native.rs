//! The native filters that are compared. Limits are far above what a run sends: what is measured is admitted.

use portcullis_cost::policies::ISSUER;
use serde_json::{Value, json};

use crate::envoy::filter;

pub fn native_jwt(keys: &Value, cached: bool) -> Value {
    let mut provider = json!({ "issuer": ISSUER, "audiences": ["api"], "forward": true, "local_jwks": { "inline_string": keys.to_string() } });
    if cached {
        provider["jwt_cache_config"] = json!({ "jwt_cache_size": 10_000 });
    }
    filter(
        "jwt_authn",
        "JwtAuthentication",
        json!({ "providers": { "id": provider }, "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "id" } }] }),
    )
}

/// A token bucket for each client address.
pub fn native_rate_limit() -> Value {
    let bucket = json!({ "max_tokens": 1_000_000_000, "tokens_per_fill": 1_000_000_000, "fill_interval": "1s" });
    filter(
        "local_ratelimit",
        "LocalRateLimit",
        json!({
            "stat_prefix": "limit", "token_bucket": bucket, "max_dynamic_descriptors": 10_000,
            "filter_enabled": { "default_value": { "numerator": 100 } }, "filter_enforced": { "default_value": { "numerator": 100 } },
            "rate_limits": [{ "actions": [{ "remote_address": {} }] }],
            "descriptors": [{ "entries": [{ "key": "remote_address" }], "token_bucket": bucket }],
        }),
    )
}

/// Asks the service of this cluster about each request: where a revocation is looked up natively.
pub fn native_ext_authz(cluster: &str) -> Value {
    filter(
        "ext_authz",
        "ExtAuthz",
        json!({ "http_service": { "server_uri": { "uri": "http://127.0.0.1", "cluster": cluster, "timeout": "1s" } } }),
    )
}

pub fn native_buffer() -> Value {
    filter("buffer", "Buffer", json!({ "max_request_bytes": 2_097_152 }))
}
