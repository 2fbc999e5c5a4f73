//! An OpenAPI document (3.0 or 3.1) as configuration: every operation in it becomes one of ours, with rules for its
//! parameters, its body and its security.
//!
//! What a document says and we can't enforce is a warning that `portcullis check` prints; what makes no sense is a fault.
//! References lead within the document, and nothing is fetched.

mod body;
mod parameters;
mod security;

use crate::config::field::Field;
use crate::guard::requests::parameters::Parameters;
use crate::guard::token::Requirement;
use crate::json::Value;
use crate::json::pointer::Pointer;
use crate::operation::{Operation, Segment, parse_template};
use crate::schema::{Compiler, Dialect, Options, percent_decoded};
use crate::sort;
use crate::verdict::Mode;

/// An operation of the document, and how it is reached.
pub struct Described<'v> {
    pub operation: Operation,
    pub method: &'static str,
    pub template: Vec<Segment>,
    /// Whether it takes more paths than the document says.
    pub is_wide: bool,
    /// Where it stands, for faults.
    pub at: Field<'v>,
}

/// The methods that a path item may hold (§4.8.9).
const METHODS: [(&str, &str); 8] = [
    ("get", "GET"),
    ("put", "PUT"),
    ("post", "POST"),
    ("delete", "DELETE"),
    ("options", "OPTIONS"),
    ("head", "HEAD"),
    ("patch", "PATCH"),
    ("trace", "TRACE"),
];

/// References that lead to references, at most.
const HOPS_MAX: u32 = 8;

/// A document being read.
struct Reader<'v> {
    document: Field<'v>,
    compiler: Compiler<'v>,
    /// Whether the configuration knows tokens.
    tokens: bool,
    /// Security schemes that were found fault with, each once.
    blamed: Vec<String>,
    /// Warnings that would come once an operation, each once.
    told: Vec<String>,
}

/// Reads a document.
pub fn operations<'v>(document: &Field<'v>, options: Options<'v>, tokens: bool) -> Vec<Described<'v>> {
    let Some(dialect) = dialect(document) else {
        return Vec::new();
    };
    let mut reader = Reader {
        compiler: Compiler::new(document, dialect, options),
        document: document.clone(),
        tokens,
        blamed: Vec::new(),
        told: Vec::new(),
    };
    if let Some(schemas) = member(document, "components").and_then(|components| member(&components, "schemas")) {
        reader.compiler.look(&schemas);
    }
    let described = reader.paths();
    reader.compiler.finish();
    described
}

fn dialect(document: &Field<'_>) -> Option<Dialect> {
    const EXPECTED: &str = "an OpenAPI document of version 3.0 or 3.1";
    document.object()?;
    let Some(version) = member(document, "openapi") else {
        return document.expected(EXPECTED);
    };
    let text = version.value.as_str().unwrap_or_default();
    if text.starts_with("3.0.") {
        return Some(Dialect::OpenApi30);
    }
    if !text.starts_with("3.1.") {
        return version.expected("version \"3.0.…\" or \"3.1.…\"");
    }
    if let Some(named) = member(document, "jsonSchemaDialect")
        && named.value.as_str().and_then(Dialect::named).is_none()
    {
        return named.expected("the dialect of OpenAPI 3.1, of JSON Schema 2020-12 or of draft 7");
    }
    Some(Dialect::OpenApi31)
}

/// A member of an object, with its path.
fn member<'v>(field: &Field<'v>, name: &str) -> Option<Field<'v>> {
    let value = field.value.as_object()?.get(name)?;
    Some(Field {
        value,
        path: crate::config::field::member_path(&field.path, name),
        faults: field.faults,
    })
}

fn text<'v>(field: &Field<'v>, name: &str) -> Option<&'v str> {
    field.value.as_object()?.get(name)?.as_str()
}

fn flag(field: &Field<'_>, name: &str) -> Option<bool> {
    match field.value.as_object()?.get(name)? {
        Value::Bool(flag) => Some(*flag),
        _ => None,
    }
}

impl<'v> Reader<'v> {
    /// What a field says itself or, by `$ref`, what stands elsewhere in the document.
    fn follow(&self, field: &Field<'v>) -> Option<Field<'v>> {
        let mut here = field.clone();
        for _ in 0..HOPS_MAX {
            let Some(reference) = text(&here, "$ref") else {
                return Some(here);
            };
            let pointer = reference.strip_prefix('#').and_then(percent_decoded);
            let Some(pointer) = pointer else {
                here.note("refers to another document: none is ever fetched");
                return None;
            };
            let Some(value) = Pointer::parse(&pointer).and_then(|pointer| pointer.find(self.document.value)) else {
                here.note("refers to nothing in this document");
                return None;
            };
            here = Field {
                value,
                path: format!("{}#{pointer}", self.document.path),
                faults: field.faults,
            };
        }
        field.note(format!("expected what is referred to within {HOPS_MAX} references"));
        None
    }

    fn warn(&self, field: &Field<'v>, text: impl Into<String>) {
        field.faults.warn(&field.path, text);
    }

    /// A warning that is told once a document.
    fn warn_once(&mut self, field: &Field<'v>, text: String) {
        if !self.told.contains(&text) {
            field.faults.warn(&field.path, text.clone());
            self.told.push(text);
        }
    }

    fn paths(&mut self) -> Vec<Described<'v>> {
        let mut described = Vec::new();
        let prefix = self.prefix(&self.document.clone()).unwrap_or_default();
        let paths = member(&self.document, "paths").and_then(|paths| paths.members());
        for (path, item) in paths.unwrap_or_default() {
            if path.starts_with("x-") {
                continue;
            }
            let Some(item) = self.follow(&item) else { continue };
            let prefix = self.prefix(&item).unwrap_or_else(|| prefix.clone());
            for (name, method) in METHODS {
                let Some(operation) = member(&item, name) else { continue };
                let prefix = self.prefix(&operation).unwrap_or_else(|| prefix.clone());
                let Some((template, is_wide)) = self.template(&operation, &format!("{prefix}{path}")) else {
                    continue;
                };
                let operation_rules = self.operation(&operation, &item, method, path, &template);
                described.push(Described {
                    operation: operation_rules,
                    method,
                    template,
                    is_wide,
                    at: operation,
                });
            }
        }
        // Where a wide one takes the paths of another, the other's rules hold.
        sort::by(&mut described, |a, b| a.is_wide.cmp(&b.is_wide));
        described
    }

    /// The path of the first of `servers`, without a slash at its end; `None` where there are none.
    fn prefix(&mut self, field: &Field<'v>) -> Option<String> {
        let servers = member(field, "servers")?.list()?;
        let paths: Vec<String> = servers.iter().filter_map(server_path).collect();
        let first = paths.first()?.clone();
        if paths.iter().any(|other| *other != first) {
            let at = member(field, "servers")?;
            self.warn_once(
                &at,
                "the path of the first server prefixes all; the others' paths are not matched".into(),
            );
        }
        Some(first)
    }

    /// The template of a path. A segment that is only in part a parameter is matched as a whole one.
    fn template(&mut self, at: &Field<'v>, path: &str) -> Option<(Vec<Segment>, bool)> {
        let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
        if let Some(template) = parse_template(path) {
            return Some((template, false));
        }
        let mut wide = Vec::new();
        for segment in path.strip_prefix('/').unwrap_or(path).split('/') {
            match parse_template(&format!("/{segment}")).as_deref() {
                Some([known]) if !wide.contains(known) => wide.push(known.clone()),
                _ if segment.contains('{') && !segment.contains(['?', '#']) => {
                    wide.push(Segment::Parameter(segment.to_owned()));
                }
                _ => {
                    self.warn(
                        at,
                        format!("`{path}` is no path that a request can have: it is not declared"),
                    );
                    return None;
                }
            }
        }
        self.warn(
            at,
            "a segment that is a parameter in part only: any text is taken there".to_owned(),
        );
        Some((wide, true))
    }

    fn operation(
        &mut self,
        field: &Field<'v>,
        item: &Field<'v>,
        method: &str,
        path: &str,
        template: &[Segment],
    ) -> Operation {
        let id = text(field, "operationId").filter(|id| !id.is_empty());
        let (token, scopes) = self.security(field);
        let mut operation = Operation {
            id: id.map_or_else(|| format!("{method} {path}"), str::to_owned),
            token,
            scopes,
            cost: 1,
            mode: None,
            threats: None,
            parameters: self.parameters(field, item, template),
            body: member(field, "requestBody").and_then(|body| self.body(&body)),
        };
        self.extensions(field, &mut operation);
        operation
    }

    /// `x-portcullis-…`, the settings of `operations` that OpenAPI has no word for.
    fn extensions(&self, field: &Field<'v>, operation: &mut Operation) {
        for (name, value) in field.members().unwrap_or_default() {
            let Some(name) = name.strip_prefix("x-portcullis-") else {
                continue;
            };
            match name {
                "cost" => operation.cost = value.count(1, 1_000_000).unwrap_or(1),
                "mode" => operation.mode = value.one_of(&[("enforce", Mode::Enforce), ("shadow", Mode::Shadow)]),
                "token" => operation.token = value.one_of(&Requirement::WORDS),
                "unknown-parameters" => {
                    operation.parameters.unknown_denied = value.one_of(&crate::config::UNKNOWN_PARAMETERS);
                }
                "max-body" => operation.body.get_or_insert_default().bytes_max = value.size(1, 1 << 30),
                _ => value.note(
                    "expected x-portcullis-cost, -mode, -token, -unknown-parameters or -max-body as an extension",
                ),
            }
        }
    }

    fn parameters(&mut self, field: &Field<'v>, item: &Field<'v>, template: &[Segment]) -> Parameters {
        parameters::read(self, field, item, template)
    }
}

/// The path of a server's URL with its variables' defaults, without a slash at its end.
fn server_path(server: &Field<'_>) -> Option<String> {
    let mut url = text(server, "url")?.to_owned();
    let variables = member(server, "variables").and_then(|variables| variables.members());
    for (name, variable) in variables.unwrap_or_default() {
        if let Some(default) = text(&variable, "default") {
            url = url.replace(&format!("{{{name}}}"), default);
        }
    }
    let path = match url.split_once("://") {
        Some((_, rest)) => rest
            .split_at_checked(rest.find('/').unwrap_or(rest.len()))
            .map_or("", |(_, path)| path),
        None => url.as_str(),
    };
    let path = path.split(['?', '#']).next().unwrap_or("").trim_end_matches('/');
    let rooted = path.is_empty() || path.starts_with('/');
    Some(if rooted { path.to_owned() } else { format!("/{path}") })
}
