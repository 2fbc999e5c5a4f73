//! Other edges than the shipped one, made from its text: behind proxies of its own, or with listeners that can be replaced.

use std::path::Path;

use crate::Outcome;
use crate::files::replace;

const LISTENER: &str = "\n  - name: https\n";
// Whoever is trusted may leave the header out: the connection's peer is then the client, as without all of this.
const PROXY_PROTOCOL: &str = r#"
  - name: https
    listener_filters:
    - name: envoy.filters.listener.proxy_protocol
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol
        allow_requests_without_proxy_protocol: true
"#;
const FORGED_ARE_REMOVED: &str = "              - remove_on_match: { key_matcher: { prefix: x-forwarded- } }";
const NO_HOPS: &str = "xff_num_trusted_hops: 0";

/// Behind one proxy that appends to `X-Forwarded-For`, or speaks the PROXY protocol; as `envoy/envoy.yaml` says for a real
/// edge. The pipe is a second address of the HTTPS listener.
pub fn behind_proxies(envoy: &str, pipe: &Path) -> Outcome<String> {
    let file = "envoy.yaml";
    let envoy = replace(file, envoy, LISTENER, PROXY_PROTOCOL)?;
    let envoy = replace(file, &envoy, NO_HOPS, "xff_num_trusted_hops: 1")?;
    let envoy = replace(file, &envoy, FORGED_ARE_REMOVED, &format!("#{FORGED_ARE_REMOVED}"))?;
    let filters = "    filter_chains:\n    - name: https\n";
    let second = format!(
        "    additional_addresses: [{{ address: {{ pipe: {{ path: {} }} }} }}]\n",
        pipe.display()
    );
    replace(file, &envoy, filters, &format!("{second}{filters}"))
}
