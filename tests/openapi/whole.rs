//! Whole requests to every operation of a document, through the whole pipeline: valid ones, and ones with one fault each.

use crate::bodies::{bodies, is_required, is_wide};
use crate::generate::{Generator, takes_list};
use crate::operations::{Call, Operation, find, operations};
use crate::scene::{Request, Scene, Verdict};
use crate::tree::Tree;
use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use portcullis::guard::token::Requirement;
use portcullis::json::{Limits, parse};
use std::collections::BTreeMap;

const SECRET: &[u8; 32] = b"0123456789abcdef0123456789abcdef";

/// What was sent, counted by kind.
#[derive(Default)]
pub struct Tally {
    pub operations: usize,
    pub valid: usize,
    pub faults: BTreeMap<&'static str, usize>,
    /// Operations or bodies for which the generator knows no value.
    pub skipped: usize,
    pub wrong: Vec<String>,
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap()
}

pub fn scene(document: &str) -> Scene {
    Scene::new(&format!(
        r#"{{"requests":{{"undeclared":"deny","unknown_parameters":"deny"}},"tokens":{{"default":"none","providers":[{{"issuer":"https://id.example",
        "audiences":["a"],"algorithms":["HS256"],"jwks":{{"inline":{{"keys":[{{"kty":"oct","kid":"k","alg":"HS256","k":"{}"}}]}}}}}}]}},"openapi":{document}}}"#,
        base64(SECRET)
    ))
}

/// A token that grants every scope.
fn token(scene: &Scene) -> String {
    let mut scopes: Vec<&str> = scene
        .engine
        .policy
        .operations
        .iter()
        .flat_map(|o| &o.scopes)
        .map(String::as_str)
        .collect();
    scopes.sort_unstable();
    scopes.dedup();
    let claims = format!(
        r#"{{"iss":"https://id.example","aud":"a","sub":"s","exp":4102444800,"scope":"{}"}}"#,
        scopes.join(" ")
    );
    let input = format!("{}.{}", base64(r#"{"alg":"HS256","kid":"k"}"#), base64(claims));
    let tag = hmac_sha256::HMAC::mac(input.as_bytes(), SECRET);
    format!("{input}.{}", base64(tag))
}

struct Trial<'s> {
    scene: &'s Scene,
    token: String,
    tally: Tally,
}

impl Trial<'_> {
    fn valid(&mut self, name: &str, request: Request) {
        let exchange = self.scene.send(&request.bearer(&self.token));
        match exchange.verdict() {
            Verdict::Allowed => self.tally.valid += 1,
            verdict => {
                let body = exchange.into_reply().body;
                self.tally.wrong.push(format!("{name}: valid, but {verdict:?}: {body}"));
            }
        }
    }

    fn fault(&mut self, name: &str, kind: &'static str, request: Request, code: &'static str, at: Option<&str>) {
        let request = if code == "token_missing" {
            request
        } else {
            request.bearer(&self.token)
        };
        let exchange = self.scene.send(&request);
        let verdict = exchange.verdict();
        let mut told = String::new();
        let mut right = verdict == Verdict::Denied(code);
        if right {
            told = exchange.into_reply().body;
            let reply = parse(told.as_bytes(), &Limits::FOREIGN).unwrap();
            let errors = reply
                .as_object()
                .unwrap()
                .get("errors")
                .and_then(|errors| errors.as_array());
            let places = errors
                .unwrap_or_default()
                .iter()
                .filter_map(|e| e.as_object()?.get("at")?.as_str());
            right = at.is_none_or(|at| places.clone().any(|place| place == at));
        }
        if right {
            *self.tally.faults.entry(kind).or_default() += 1;
        } else {
            self.tally
                .wrong
                .push(format!("{name}: {kind}: {code} at {at:?}, but {verdict:?} {told}"));
        }
    }
}

/// Runs all requests to all operations of a document.
pub fn run(document: &str) -> Tally {
    let value = parse(document.as_bytes(), &Limits::CONFIGURATION).unwrap();
    let generator = Generator::new(&value);
    let all = operations(&value, &generator);
    let scene = scene(document);
    let mut trial = Trial {
        token: token(&scene),
        scene: &scene,
        tally: Tally::default(),
    };
    for operation in &all {
        trial.tally.operations += 1;
        let name = format!("{} /{}", operation.method, operation.template.join("/"));
        let values: Vec<_> = operation
            .parameters
            .iter()
            .map(|p| generator.sample(p.schema))
            .collect();
        let lacks = operation
            .parameters
            .iter()
            .zip(&values)
            .any(|(p, v)| v.is_none() && p.required);
        let mut bodies = operation
            .body
            .map(|body| bodies(&generator, body, &mut trial.tally.skipped))
            .unwrap_or_default();
        let first = bodies
            .first_mut()
            .map(|all| all.remove(0))
            .map(|body| (body.kind, body.bytes));
        let full = Call { values, body: first };
        let (segments, _) = operation.path(&full);
        let is_plain = segments
            .iter()
            .all(|segment| !segment.contains(['/', '{']) && !segment.is_empty());
        let is_own = |call: &Call| {
            let found = find(&all, Some(&operation.method), &operation.path(call).0);
            found.is_some_and(|found| std::ptr::eq(found, operation))
        };
        let needs_body = operation.body.is_some_and(is_required);
        if lacks || !is_plain || !is_own(&full) || (needs_body && full.body.is_none()) {
            trial.tally.skipped += 1;
            continue;
        }
        trial.valid(&name, operation.request(&full, ""));
        let mut bare = full.clone();
        for (value, parameter) in bare.values.iter_mut().zip(&operation.parameters) {
            *value = value.take().filter(|_| parameter.required);
        }
        if !needs_body {
            bare.body = None;
        }
        trial.valid(&name, operation.request(&bare, ""));
        parameters(&mut trial, &name, &generator, operation, &full, &is_own);
        head(&mut trial, &name, &all, operation, &full);
        for body in bodies.into_iter().flatten() {
            let call = Call {
                body: Some((body.kind, body.bytes)),
                ..full.clone()
            };
            let request = operation.request(&call, "");
            match body.fault {
                None => trial.valid(&name, request),
                Some((kind, code, at)) => trial.fault(&name, kind, request, code, at.as_deref()),
            }
        }
    }
    trial.tally
}

/// Faults in parameters.
fn parameters<'d>(
    trial: &mut Trial<'_>,
    name: &str,
    generator: &Generator<'d>,
    operation: &Operation<'d>,
    full: &Call,
    is_own: &dyn Fn(&Call) -> bool,
) {
    let refused = |trial: &mut Trial<'_>, kind, request, at: &str| {
        trial.fault(name, kind, request, "parameter_invalid", Some(at));
    };
    for (i, parameter) in operation.parameters.iter().enumerate() {
        let Some(value) = &full.values[i] else { continue };
        let with = |value: Option<Tree>| {
            let mut call = full.clone();
            call.values[i] = value;
            call
        };
        let at = parameter.at();
        // The members of an object may stand where other parameters do.
        let scattered = parameter.style == "form" && parameter.explode && parameter.is_object();
        if parameter.place != "path" && parameter.required {
            refused(trial, "parameter missing", operation.request(&with(None), ""), &at);
        }
        let whole = format!("{{{}}}", parameter.name);
        if parameter.place == "path" && !operation.template.contains(&whole) {
            continue;
        }
        for fault in generator.faults(parameter.schema, value, !parameter.json) {
            let empty = match &fault.value {
                Tree::Text(text) => text.is_empty(),
                Tree::List(items) => items.is_empty() || items.contains(&Tree::Text(String::new())),
                Tree::Map(members) => members.is_empty() || (scattered && fault.kind == "unknown member"),
                Tree::Plain(_) => false,
            };
            let call = with(Some(fault.value));
            if !empty && (parameter.place != "path" || is_own(&call)) {
                let kind = kinds_of_parameters(fault.kind);
                refused(trial, kind, operation.request(&call, ""), &format!("{at}{}", fault.at));
            }
        }
        let scalar = matches!(value, Tree::Plain(_) | Tree::Text(_)) && !takes_list(generator, parameter.schema);
        if scalar && parameter.place == "query" {
            let coded = crate::operations::encoded(parameter.name);
            let again = operation.request(full, &format!("{coded}={}", crate::operations::encoded(&value.plain())));
            refused(trial, "parameter twice", again, &at);
            if !parameter.name.contains('[') {
                let other = operation.request(full, &format!("{coded}%5B%5D=1"));
                refused(trial, "parameter spelt otherwise", other, &format!("{at}[]"));
            }
        }
    }
    let unknown = operation.request(full, "zz-unknown=1");
    refused(trial, "unknown in query", unknown, "query/zz-unknown");
    let unknown = operation.request(full, "").field("zz-unknown", "1");
    refused(trial, "unknown in header", unknown, "headers/zz-unknown");
    let unknown = operation.request(full, "").field("cookie", "zz-unknown=1");
    refused(trial, "unknown in cookie", unknown, "cookies/zz-unknown");
}

fn kinds_of_parameters(kind: &'static str) -> &'static str {
    match kind {
        "type" => "parameter type",
        "enum" => "parameter enum",
        "range" => "parameter range",
        "too long" | "too short" => "parameter length",
        "format" => "parameter format",
        _ => "parameter, other",
    }
}

/// Faults in method, path, token, content type and framing.
fn head(trial: &mut Trial<'_>, name: &str, all: &[Operation<'_>], operation: &Operation<'_>, full: &Call) {
    let (segments, _) = operation.path(full);
    for method in ["PROPFIND", "DELETE", "PATCH"] {
        if find(all, Some(method), &segments).is_none() {
            let request = operation.request_as(method, full, "");
            trial.fault(name, "wrong method", request, "method_not_allowed", None);
        }
    }
    let mut further = segments.clone();
    further.push("zz-none".into());
    if find(all, None, &further).is_none() {
        let below = Operation {
            template: further,
            method: operation.method.clone(),
            parameters: Vec::new(),
            body: None,
        };
        let request = below.request(&Call::default(), "");
        trial.fault(name, "undeclared path", request, "operation_unknown", None);
    }
    let rules = &trial.scene.engine.policy;
    let target: Vec<&str> = segments.iter().map(String::as_str).collect();
    if let portcullis::operation::Route::Found(at) = rules.router.find(&operation.method, &target)
        && rules.operations[*at].token == Some(Requirement::Required)
    {
        trial.fault(
            name,
            "without token",
            operation.request(full, ""),
            "token_missing",
            None,
        );
    }
    let Some(body) = operation.body else {
        if ["GET", "HEAD", "DELETE"].contains(&&*operation.method) {
            let request = operation.request(full, "").body("x");
            trial.fault(name, "body on none", request, "body_unexpected", None);
        }
        return;
    };
    let without = Call {
        body: None,
        ..full.clone()
    };
    if is_required(body) {
        trial.fault(
            name,
            "body missing",
            operation.request(&without, ""),
            "body_missing",
            None,
        );
    }
    let typed = |kind: &str| {
        let bytes = full
            .body
            .clone()
            .map(|(_, bytes)| bytes)
            .unwrap_or_else(|| b"x".to_vec());
        operation.request(
            &Call {
                body: Some((kind.to_owned(), bytes)),
                ..full.clone()
            },
            "",
        )
    };
    if !is_wide(body) {
        for kind in [
            "application/x-nothing",
            "application/json, text/plain",
            "json",
            "text/plain; charset",
        ] {
            trial.fault(name, "wrong content type", typed(kind), "content_type", None);
        }
    }
    let Some((kind, bytes)) = &full.body else { return };
    if kind.ends_with("json") || kind.starts_with("multipart/form-data") {
        let request = typed(&format!("{kind}; charset=utf-16"));
        trial.fault(name, "wrong charset", request, "content_type", None);
    }
    let coded = operation.request(full, "").field("content-encoding", "gzip");
    trial.fault(name, "content encoding", coded, "content_encoding", None);
    let long = operation
        .request(full, "")
        .field("content-length", (1 << 30).to_string());
    trial.fault(name, "too large", long, "body_too_large", None);
    let twice = without;
    let twice = operation
        .request(&twice, "")
        .field("content-type", kind)
        .field("content-type", kind)
        .body(bytes);
    trial.fault(name, "content type twice", twice, "header_repeated", None);
}
