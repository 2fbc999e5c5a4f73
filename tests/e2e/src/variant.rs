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

/// The same edge with its listeners in a file of their own: `envoy.yaml` without them, and that file.
pub fn discovered_listeners(envoy: &str, file: &Path) -> Outcome<(String, String)> {
    const START: &str = "static_resources:\n  listeners:\n";
    const END: &str = "\n  clusters:\n";
    let missing = || "envoy/envoy.yaml no longer has its listeners before its clusters".to_owned();
    let (before, rest) = envoy.split_once(START).ok_or_else(missing)?;
    let (listeners, clusters) = rest.split_once(END).ok_or_else(missing)?;
    let discovery = format!(
        "dynamic_resources:\n  lds_config: {{ resource_api_version: V3, path_config_source: {{ path: {} }} }}\n",
        file.display()
    );
    let rest = format!("{before}{discovery}static_resources:{END}{clusters}");
    let listeners = ["https", "http"].iter().fold(listeners.to_owned(), |text, name| {
        let typed = "  - \"@type\": type.googleapis.com/envoy.config.listener.v3.Listener\n    name:";
        text.replace(
            &format!("  - name: {name}\n    address:"),
            &format!("{typed} {name}\n    address:"),
        )
    });
    Ok((rest, format!("{VERSION}1\"\nresources:\n{listeners}\n")))
}

const VERSION: &str = "version_info: \"";

/// Discovered listeners that differ from these in a limit of the first, HTTPS; so Envoy replaces it as a whole.
pub fn another_listener(listeners: &str) -> Outcome<String> {
    const LIMIT: &str = "    per_connection_buffer_limit_bytes: ";
    let (before, rest) = listeners
        .split_once(LIMIT)
        .ok_or("the listener has no limit to change")?;
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (limit, after) = rest.split_at(digits);
    let limit: u64 = limit.parse().map_err(|_| "the listener's limit is no number")?;
    let before = before.replacen(VERSION, &format!("{VERSION}1"), 1);
    Ok(format!("{before}{LIMIT}{}{after}", limit + 1))
}
