//! Operations of a document, by a reading of its own, and requests to them as their callers write them.

use crate::generate::{Generator, escaped, get, is, kinds, text};
use crate::scene::{Request, request};
use crate::tree::Tree;
use portcullis::json::{Object, Value};

pub struct Operation<'d> {
    pub method: String,
    /// Segments, each a parameter in part or in whole if it holds a brace.
    pub template: Vec<String>,
    pub parameters: Vec<Parameter<'d>>,
    pub body: Option<&'d Value<'d>>,
}

pub struct Parameter<'d> {
    pub name: &'d str,
    pub place: &'d str,
    pub required: bool,
    pub schema: &'d Value<'d>,
    /// Whether its text is JSON.
    pub json: bool,
    pub style: &'d str,
    pub explode: bool,
}

/// What a caller means to send.
#[derive(Clone, Default)]
pub struct Call {
    /// By position in the operation's parameters.
    pub values: Vec<Option<Tree>>,
    /// Content type, and the body as bytes.
    pub body: Option<(String, Vec<u8>)>,
}

pub fn operations<'d>(document: &'d Value<'d>, generator: &Generator<'d>) -> Vec<Operation<'d>> {
    let mut found = Vec::new();
    for (path, item) in get(document, "paths").unwrap().as_object().unwrap().iter() {
        for (method, operation) in item.as_object().unwrap().iter() {
            if !["get", "put", "post", "delete", "options", "head", "patch"].contains(&method) {
                continue;
            }
            let prefix = [operation, item, document]
                .into_iter()
                .find_map(prefix)
                .unwrap_or_default();
            let mut parameters: Vec<Parameter<'d>> = Vec::new();
            let lists = [operation, item]
                .into_iter()
                .filter_map(|at| get(at, "parameters")?.as_array());
            for parameter in lists.flatten().map(|parameter| generator.follow(parameter)) {
                let read = Parameter::read(parameter, generator);
                let seen = |p: &Parameter<'_>| (p.name, p.place) == (read.name, read.place);
                let named = ["accept", "content-type", "authorization"].contains(&&*read.name.to_lowercase());
                if !(parameters.iter().any(seen) || read.place == "header" && named) {
                    parameters.push(read);
                }
            }
            let whole = format!("{prefix}{path}");
            found.push(Operation {
                method: method.to_uppercase(),
                template: whole.split('/').filter(|s| !s.is_empty()).map(str::to_owned).collect(),
                parameters,
                body: get(operation, "requestBody").map(|body| generator.follow(body)),
            });
        }
    }
    found
}

/// The path of the first server.
fn prefix(at: &Value<'_>) -> Option<String> {
    let server = get(at, "servers")?.as_array()?.first()?;
    let mut url = text(server, "url")?.to_owned();
    for (name, variable) in get(server, "variables")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Object::iter)
    {
        url = url.replace(&format!("{{{name}}}"), text(variable, "default").unwrap());
    }
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => url.trim_start_matches('/'),
    };
    Some(format!("/{}", path.trim_end_matches('/')))
}

impl<'d> Parameter<'d> {
    fn read(parameter: &'d Value<'d>, generator: &Generator<'d>) -> Self {
        let content = get(parameter, "content").and_then(|content| content.as_object()?.iter().next());
        let schema = get(parameter, "schema").or(content.and_then(|(_, media)| get(media, "schema")));
        let place = text(parameter, "in").unwrap();
        let default = if ["query", "cookie"].contains(&place) {
            "form"
        } else {
            "simple"
        };
        let style = text(parameter, "style").unwrap_or(default);
        Self {
            name: text(parameter, "name").unwrap(),
            place,
            required: is(parameter, "required"),
            schema: generator.follow(schema.unwrap_or(&Value::Bool(true))),
            json: content.is_some(),
            style,
            explode: match get(parameter, "explode") {
                Some(_) => is(parameter, "explode"),
                None => ["form", "deepObject"].contains(&style),
            },
        }
    }

    /// As a refusal names it.
    pub fn at(&self) -> String {
        let (place, name) = match self.place {
            "header" => ("headers", self.name.to_lowercase()),
            "cookie" => ("cookies", self.name.to_owned()),
            place => (place, self.name.to_owned()),
        };
        format!("{place}/{}", escaped(&name))
    }

    pub fn is_object(&self) -> bool {
        kinds(self.schema).contains(&"object") || get(self.schema, "properties").is_some()
    }

    /// The names and texts that a value is written as, encoded by `code`.
    fn pairs(&self, value: &Tree, code: fn(&str) -> String) -> Vec<(String, String)> {
        let name = code(self.name);
        let joined = |parts: Vec<String>, by: &str| vec![(name.clone(), parts.join(by))];
        let by = match self.style {
            "spaceDelimited" => "%20",
            "pipeDelimited" => "|",
            _ => ",",
        };
        match value {
            _ if self.json => vec![(name, code(&value.json()))],
            Tree::List(items) if self.explode && self.style == "form" => {
                items.iter().map(|item| (name.clone(), code(&item.plain()))).collect()
            }
            Tree::List(items) => joined(items.iter().map(|item| code(&item.plain())).collect(), by),
            Tree::Map(members) => {
                let texts = members.iter().map(|(n, v)| (code(n), code(&v.plain())));
                match (self.style, self.explode) {
                    ("deepObject", _) => texts.map(|(n, v)| (format!("{name}[{n}]"), v)).collect(),
                    ("form", true) => texts.collect(),
                    (_, true) => joined(texts.map(|(n, v)| format!("{n}={v}")).collect(), ","),
                    (_, false) => joined(texts.flat_map(|(n, v)| [n, v]).collect(), ","),
                }
            }
            scalar => vec![(name, code(&scalar.plain()))],
        }
    }
}

/// Percent-encoded, but for what needs it nowhere.
pub fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let bytes = text.bytes();
    bytes
        .map(|b| {
            if plain(b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

impl<'d> Operation<'d> {
    /// The path of a call: segments as matched, then as written.
    pub fn path(&self, call: &Call) -> (Vec<String>, String) {
        let (mut matched, mut written) = (Vec::new(), String::new());
        for segment in &self.template {
            let (mut plain, mut coded) = (segment.clone(), segment.clone());
            for (parameter, value) in self
                .parameters
                .iter()
                .zip(&call.values)
                .filter(|(p, _)| p.place == "path")
            {
                let Some(value) = value else { continue };
                let text = |code| parameter.pairs(value, code).swap_remove(0).1;
                let hole = format!("{{{}}}", parameter.name);
                plain = plain.replace(&hole, &text(str::to_owned));
                coded = coded.replace(&hole, &text(encoded));
            }
            written = format!("{written}/{coded}");
            matched.push(plain);
        }
        (matched, if written.is_empty() { "/".into() } else { written })
    }

    pub fn request(&self, call: &Call, more_query: &str) -> Request {
        self.request_as(&self.method, call, more_query)
    }

    pub fn request_as(&self, method: &str, call: &Call, more_query: &str) -> Request {
        let mut query: Vec<String> = Vec::new();
        let mut cookies: Vec<String> = Vec::new();
        let mut fields: Vec<(String, String)> = Vec::new();
        for (parameter, value) in self.parameters.iter().zip(&call.values) {
            let Some(value) = value else { continue };
            let lines = |code| {
                parameter
                    .pairs(value, code)
                    .into_iter()
                    .map(|(n, v)| format!("{n}={v}"))
            };
            match parameter.place {
                "query" => query.extend(lines(encoded)),
                "cookie" => cookies.extend(lines(encoded)),
                "header" => fields.extend(parameter.pairs(value, str::to_owned)),
                _ => {}
            }
        }
        query.extend(Some(more_query.to_owned()).filter(|more| !more.is_empty()));
        let (_, path) = self.path(call);
        let query = if query.is_empty() {
            String::new()
        } else {
            format!("?{}", query.join("&"))
        };
        let mut built = request(method, &format!("{path}{query}"));
        for (name, value) in fields {
            built = built.field(&name.to_lowercase(), value);
        }
        if !cookies.is_empty() {
            built = built.field("cookie", cookies.join("; "));
        }
        match &call.body {
            Some((kind, body)) => built.field("content-type", kind).body(body),
            None => built,
        }
    }

    /// Whether a template matches, and how concretely.
    fn concreteness(&self, segments: &[String]) -> Option<Vec<bool>> {
        let pairs = || self.template.iter().zip(segments);
        let fits = self.template.len() == segments.len() && pairs().all(|(t, s)| t.contains('{') || t == s);
        fits.then(|| pairs().map(|(t, _)| !t.contains('{')).collect())
    }
}

/// The methods of a path, each with the operation that the most concrete template gives.
pub fn find<'o, 'd>(all: &'o [Operation<'d>], method: Option<&str>, segments: &[String]) -> Option<&'o Operation<'d>> {
    let able = all.iter().filter(|o| method.is_none_or(|method| o.method == method));
    able.filter_map(|o| Some((o.concreteness(segments)?, o)))
        .max_by(|a, b| a.0.cmp(&b.0))
        .map(|(_, o)| o)
}
