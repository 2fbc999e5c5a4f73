//! From the configuration's text to a [`Policy`]: strict, every fault with its path, all of them at once.
//!
//! Read by our own JSON reader rather than by serde: it refuses duplicate members (serde_json keeps the last), and a
//! derived reader stops at the first fault. Members of the contract that this version does not carry out are faults too,
//! so that nobody relies on a rule that is not there.

mod body;
mod clients;
mod common;
pub mod field;
mod login;
mod operations;
mod parameters;
mod quotas;
mod replies;
mod requests;
mod revocation;
mod schemas;
pub mod summary;
mod threats;
mod tokens;

pub use field::ConfigError;
pub(crate) use parameters::UNKNOWN as UNKNOWN_PARAMETERS;

use crate::guard::quota::{By, Quota};
use crate::guard::requests::RequestPolicy;
use crate::guard::revocation::RevocationPolicy;
use crate::guard::token::{Requirement, Source, TokenPolicy};
use crate::json::{Limits, parse};
use crate::policy::Policy;
use crate::schema;
use crate::verdict::Mode;
use field::{Faults, Field, Section};

/// The largest configuration that is read.
const TEXT_BYTES_MAX: usize = 16 << 20;

/// `mode` of the whole, a guard, an operation or a quota.
fn mode(section: &Section<'_>) -> Option<Mode> {
    section
        .get("mode")?
        .one_of(&[("enforce", Mode::Enforce), ("shadow", Mode::Shadow)])
}

/// Reads a configuration. An empty text is the empty configuration `{}`.
///
/// # Errors
/// Every fault, in the order of the document's sections.
pub fn load(text: &[u8]) -> Result<Policy, Vec<ConfigError>> {
    let text = if text.trim_ascii().is_empty() { b"{}" } else { text };
    let fault = |problem: String| ConfigError {
        path: String::new(),
        problem,
    };
    if text.len() > TEXT_BYTES_MAX {
        return Err(vec![fault(format!("expected at most {TEXT_BYTES_MAX} bytes"))]);
    }
    let value = parse(text, &Limits::CONFIGURATION).map_err(|e| {
        let before = text.get(..e.at).unwrap_or(text);
        let line = before.iter().filter(|b| **b == b'\n').count().saturating_add(1);
        vec![fault(format!("expected JSON, found {e} (line {line})"))]
    })?;
    let faults = Faults::default();
    let policy = Field {
        value: &value,
        path: String::new(),
        faults: &faults,
    }
    .section()
    .and_then(read);
    let warnings = faults.take_warnings();
    match (policy, faults.into_errors()) {
        (Some(policy), errors) if errors.is_empty() => Ok(Policy { warnings, ..policy }),
        (_, errors) => Err(errors),
    }
}

fn read(root: Section<'_>) -> Option<Policy> {
    let global = mode(&root).unwrap_or_default();
    let clients = clients::clients(root.get("clients"));
    let requests = root.get("requests");
    let operations = root.get("operations");
    let document = root.get("openapi");
    let declared = requests.is_some() || operations.is_some() || document.is_some();
    let (mut request_policy, request_extras) = requests::requests(requests);
    let tokens_field = root.get("tokens");
    let revocation_field = root.get("revocation");
    let mut revocation = revocation_field.as_ref().and_then(revocation::revocation);
    let wants_hash = revocation.as_ref().is_some_and(RevocationPolicy::asks_hash);
    let mut tokens = tokens_field
        .as_ref()
        .and_then(|field| tokens::tokens(field, wants_hash));
    if let (Some(field), None) = (&revocation_field, &tokens_field) {
        field.note("needs a `tokens` section: without it no token is known");
    }
    if let (Some(field), Some(policy), Some(tokens)) = (&revocation_field, &mut revocation, &tokens) {
        revocation::settle_issuer(field, policy, tokens);
    }
    // Tokens with faults of their own are not known well enough to find fault with scopes.
    let declared_tokens = match (&tokens_field, &tokens) {
        (None, _) => operations::Tokens::Off,
        (Some(_), tokens) => operations::Tokens::On(tokens.as_ref().map_or(Requirement::Required, |t| t.default)),
    };
    let documents = root
        .get("schemas")
        .map(|field| schemas::documents(&field))
        .unwrap_or_default();
    let options = schema::Options {
        assert_formats: request_extras.assert_formats,
        documents: &documents,
        files: false,
    };
    schemas::check(options);
    let (operations, router) = operations::all(document.as_ref(), operations.as_ref(), options, declared_tokens);
    let quotas = root
        .get("quotas")
        .map(|field| quotas::quotas(&field, &operations, tokens_field.is_some()))
        .unwrap_or_default();
    if let Some(tokens) = &mut tokens {
        tokens.keep_claims(&quotas);
        tokens.wants_status = revocation.as_ref().is_some_and(|policy| policy.status_list.is_some());
    }
    ask_for(&mut request_policy, tokens.as_ref(), &quotas);
    let threats = root
        .get("threats")
        .and_then(|field| threats::threats(&field, &operations));
    let login = root.get("login").and_then(|field| login::login(&field));
    let (style, rate_limit_fields) = replies::replies(root.get("replies"));
    let store_bytes = replies::store(root.get("store"));
    root.finish();
    Some(Policy {
        mode: global,
        clients,
        requests: declared.then_some(request_policy),
        operations,
        router,
        quotas,
        threats,
        login,
        tokens,
        revocation,
        style,
        rate_limit_fields,
        hold: request_extras.hold,
        store_bytes,
        warnings: Vec::new(),
    })
}

/// What other guards read of a head is never an unknown parameter.
fn ask_for(requests: &mut RequestPolicy, tokens: Option<&TokenPolicy>, quotas: &[Quota]) {
    for source in tokens.iter().flat_map(|tokens| &tokens.from) {
        match source {
            Source::Header { name, .. } => requests.asked_headers.push(name.clone()),
            Source::Cookie(name) => requests.asked_cookies.push(name.clone()),
            Source::Query(name) => requests.asked_query.push(name.clone()),
        }
    }
    for by in quotas.iter().flat_map(|quota| &quota.by) {
        if let By::Header(name) = by {
            requests.asked_headers.push(name.clone());
        }
    }
}
