//! From a schema's text to rules. Every fault is noted with its path in the configuration; what is written but can't be
//! asserted is a fault or a warning, and never dropped in silence.

use super::dialect::{ANNOTATIONS, Dialect};
use super::index::{Documents, Index, ResourceId, named};
use super::regex::Regex;
use super::uri::split_fragment;
use super::{Branches, Condition, Dynamic, Node, NodeId, Rules, Schema, Set};
use crate::config::field::{Field, suggestion};
use crate::guard::requests::shape::{Shape, is_file};
use crate::json::Value;
use crate::sort;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// How a schema is to be read.
#[derive(Clone, Copy, Default)]
pub struct Options<'v> {
    /// Whether `format` is asserted; otherwise it is an annotation.
    pub assert_formats: bool,
    /// The documents that it may refer to beside its own.
    pub documents: Documents<'v>,
    /// Whether it is of the parts of a form: what it says of a file, other than its type, is judged by the part.
    pub files: bool,
}

/// Compiles a schema that is a document of its own, in 2020-12 or what its `$schema` says. `None` once any fault was noted.
pub fn compile<'v>(root: &Field<'v>, options: Options<'v>) -> Option<Schema> {
    compile_as(root, Dialect::default(), options)
}

/// As [`compile`], with another dialect where `$schema` is absent.
pub fn compile_as<'v>(root: &Field<'v>, dialect: Dialect, options: Options<'v>) -> Option<Schema> {
    compile_shaped(root, dialect, options).0
}

/// As [`compile_as`], with what the schema makes of texts.
pub fn compile_shaped<'v>(root: &Field<'v>, dialect: Dialect, options: Options<'v>) -> (Option<Schema>, Shape) {
    let before = root.faults.count();
    let mut compiler = Compiler::new(root, dialect, options);
    let schema = compiler.schema(root);
    let shape = compiler.shape(root);
    compiler.finish();
    ((root.faults.count() == before).then_some(schema), shape)
}

/// Notes the faults of a document that others may refer to.
pub fn check_document<'v>(uri: &str, document: &Field<'v>, options: Options<'v>) {
    let mut compiler = Compiler::new(document, Dialect::default(), options);
    compiler.index.call(uri);
    compiler.schema(document);
    compiler.finish();
}

/// Compiles the schemas of one document, each once: a schema that a thousand operations refer to is there once.
pub struct Compiler<'v> {
    document: Field<'v>,
    pub(super) options: Options<'v>,
    pub(super) index: Index<'v>,
    nodes: Vec<Node>,
    /// Nodes by where their text stands, so that a reference to one that is known, or still being compiled, ends.
    known: BTreeMap<*const Value<'v>, NodeId>,
    /// The same with [`Options::files`].
    known_with_files: BTreeMap<*const Value<'v>, NodeId>,
    set: Arc<OnceLock<Set>>,
    has_dynamic: bool,
    /// Warnings by what they say: where it was first, and how many more there are.
    warnings: BTreeMap<String, (String, usize)>,
    /// Schemas that were referred to and are still to be read: references chain longer than a stack is deep.
    waiting: Vec<Waiting<'v>>,
}

/// A schema that has its place among the nodes, and is not read yet. It is read before [`Options::files`] changes.
struct Waiting<'v> {
    id: NodeId,
    field: Field<'v>,
    home: ResourceId,
}

impl<'v> Compiler<'v> {
    /// A compiler for the schemas in `document`, which references point into.
    pub fn new(document: &Field<'v>, dialect: Dialect, options: Options<'v>) -> Self {
        let mut compiler = Self {
            index: Index::new(document.value, dialect, options.documents),
            document: document.clone(),
            options,
            nodes: Vec::new(),
            known: BTreeMap::new(),
            known_with_files: BTreeMap::new(),
            set: Arc::default(),
            has_dynamic: false,
            warnings: BTreeMap::new(),
            waiting: Vec::new(),
        };
        if let Some(named) = compiler.dialect_of(document) {
            compiler.index = Index::new(document.value, named, options.documents);
        }
        compiler
    }

    /// Finds what the schemas under `field`, an object of named ones, name themselves.
    pub fn look(&mut self, field: &Field<'v>) {
        if let Some(object) = field.value.as_object() {
            object.iter().for_each(|(_, schema)| self.index.look(schema, 0));
        }
    }

    /// Whether the schemas that follow are of the parts of a form.
    pub fn of_files(&mut self, files: bool) {
        self.options.files = files;
    }

    /// What one schema of the document makes of a text.
    pub fn shape(&mut self, field: &Field<'v>) -> Shape {
        self.look_once(field);
        Shape::of(field.value, &self.index)
    }

    /// A schema may stand where [`Compiler::look`] was not called.
    fn look_once(&mut self, field: &Field<'v>) {
        if self.index.home(field.value).is_none() {
            self.index.look(field.value, 0);
        }
    }

    /// Compiles one schema of the document. It can be asked once [`Compiler::finish`] was called.
    pub fn schema(&mut self, field: &Field<'v>) -> Schema {
        self.look_once(field);
        let home = self.index.home(field.value).unwrap_or(0);
        let root = self.node(field, home);
        while let Some(Waiting { id, field, home }) = self.waiting.pop() {
            self.fill(id, &field, home);
        }
        Schema {
            set: Arc::clone(&self.set),
            root,
        }
    }

    /// Hands the rules to all schemas that were compiled, and notes the warnings.
    pub fn finish(self) {
        for (text, (path, more)) in self.warnings {
            let more = match more {
                0 => String::new(),
                more => format!(" (and in {more} more place(s))"),
            };
            self.document.faults.warn(&path, format!("{text}{more}"));
        }
        let set = Set {
            nodes: self.nodes,
            has_dynamic: self.has_dynamic,
        };
        // It is empty: only this sets it.
        drop(self.set.set(set));
    }

    fn dialect_of(&self, field: &Field<'v>) -> Option<Dialect> {
        let value = field.value.as_object()?.get("$schema")?;
        let dialect = named(field.value, self.options.documents);
        if dialect.is_none() {
            let at = Field {
                value,
                path: format!("{}.$schema", field.path),
                faults: field.faults,
            };
            at.expected::<()>(
                "\"https://json-schema.org/draft/2020-12/schema\", \"http://json-schema.org/draft-07/schema#\" or a meta-schema of theirs under `schemas`",
            );
        }
        dialect
    }

    /// Notes what is written but asserted by nothing.
    pub(super) fn warn(&mut self, field: &Field<'v>, text: String) {
        self.warnings
            .entry(text)
            .and_modify(|(_, more)| *more += 1)
            .or_insert_with(|| (field.path.clone(), 0));
    }

    /// Notes what can't be asserted: a fault, or a warning in a document that was not written for us.
    pub(super) fn cannot(&mut self, field: &Field<'v>, home: ResourceId, text: String) {
        if self.index.dialect(home).is_openapi() {
            self.warn(field, text);
        } else {
            field.note(text);
        }
    }

    /// Compiles a schema where it stands. It recurses as deep as the text nests, to [`crate::json::DEPTH_CEILING`] at most.
    pub(super) fn node(&mut self, field: &Field<'v>, home: ResourceId) -> NodeId {
        let (id, is_new) = self.place(field);
        if is_new {
            self.fill(id, field, home);
        }
        id
    }

    /// As [`Compiler::node`], for a schema that stands elsewhere: it is read later.
    fn node_later(&mut self, field: Field<'v>, home: ResourceId) -> NodeId {
        let (id, is_new) = self.place(&field);
        if is_new {
            self.waiting.push(Waiting { id, field, home });
        }
        id
    }

    /// The node of a schema, and whether it is still to be read.
    fn place(&mut self, field: &Field<'v>) -> (NodeId, bool) {
        let text = std::ptr::from_ref(field.value);
        let all = match self.options.files {
            true => &mut self.known_with_files,
            false => &mut self.known,
        };
        if let Some(known) = all.get(&text) {
            return (*known, false);
        }
        let id = self.nodes.len();
        self.nodes.push(Node::Anything);
        all.insert(text, id);
        (id, true)
    }

    fn fill(&mut self, id: NodeId, field: &Field<'v>, home: ResourceId) {
        let home = self.index.home(field.value).unwrap_or(home);
        let node = match field.value {
            Value::Bool(true) => Node::Anything,
            Value::Bool(false) => Node::Nothing,
            Value::Object(_) => Node::Rules(Box::new(self.rules(field, home))),
            _ if self.index.dialect(home).is_openapi() => {
                self.warn(field, "is no schema: it asserts nothing".into());
                Node::Anything
            }
            _ => {
                field.expected::<()>("a schema: an object, true or false");
                Node::Nothing
            }
        };
        if let Some(place) = self.nodes.get_mut(id) {
            *place = node;
        }
    }

    pub(super) fn nodes(&mut self, field: &Field<'v>, home: ResourceId) -> Vec<NodeId> {
        let list = field.list().unwrap_or_default();
        if list.is_empty() {
            field.note("expected at least one schema");
        }
        list.iter().map(|item| self.node(item, home)).collect()
    }

    pub(super) fn named_nodes(&mut self, field: &Field<'v>, home: ResourceId) -> Vec<(String, NodeId)> {
        let members = field.members().unwrap_or_default();
        let mut nodes: Vec<_> = members
            .iter()
            .map(|(name, schema)| ((*name).to_owned(), self.node(schema, home)))
            .collect();
        sort::by(&mut nodes, Ord::cmp);
        nodes
    }

    fn rules(&mut self, field: &Field<'v>, home: ResourceId) -> Rules {
        let dialect = self.index.dialect(home);
        let mut rules = Rules {
            resource: home,
            ..Rules::default()
        };
        let members = field.members().unwrap_or_default();
        if dialect.reference_alone()
            && let Some((_, reference)) = members
                .iter()
                .find(|(name, value)| *name == "$ref" && value.value.as_str().is_some())
        {
            rules.reference = self.reference(reference, home);
            return rules;
        }
        let has = |name: &str| members.iter().any(|(n, _)| *n == name);
        let is_file = self.options.files && field.value.as_object().is_some_and(is_file);
        for (keyword, value) in &members {
            if !dialect.asserts(keyword) {
                self.silent(keyword, value, home);
                continue;
            }
            match *keyword {
                "minLength" | "maxLength" | "format" if is_file => {}
                "pattern" | "enum" | "const" if is_file => {
                    self.warn(value, "says nothing about a file: it asserts nothing".into());
                }
                "$ref" => rules.reference = self.reference(value, home),
                "$dynamicRef" => self.dynamic_reference(&mut rules, value, home),
                "$schema" => drop(self.dialect_of(field).filter(|_| !dialect.is_openapi())),
                "$id" | "$anchor" | "$dynamicAnchor" => drop(value.string()),
                "allOf" => branches(&mut rules).all_of = self.nodes(value, home),
                "anyOf" => branches(&mut rules).any_of = self.nodes(value, home),
                "oneOf" => branches(&mut rules).one_of = self.nodes(value, home),
                "not" => branches(&mut rules).not = Some(self.node(value, home)),
                "if" => condition(&mut rules).test = self.node(value, home),
                "then" if has("if") => condition(&mut rules).then = Some(self.node(value, home)),
                "else" if has("if") => condition(&mut rules).otherwise = Some(self.node(value, home)),
                // Without `if` they say nothing (core §10.2.2).
                "then" | "else" => self.warn(value, "has no effect without `if`".into()),
                "minContains" | "maxContains" if !has("contains") => {
                    self.warn(value, "has no effect without `contains`".into());
                }
                "additionalItems"
                    if !members
                        .iter()
                        .any(|(n, v)| *n == "items" && v.value.as_array().is_some()) =>
                {
                    self.warn(value, "has no effect without a list of `items`".into());
                }
                "discriminator" => self.discriminator(&mut rules, value, home),
                "nullable" => rules.nullable = value.bool().unwrap_or(false),
                _ => self.keyword(keyword, value, home, dialect, &mut rules),
            }
        }
        self.close(&mut rules, field, dialect);
        rules
    }

    /// What takes two keywords together.
    fn close(&mut self, rules: &mut Rules, field: &Field<'v>, dialect: Dialect) {
        // OpenAPI 3.0.3: `nullable` adds to a `type` that stands beside it, and says nothing otherwise.
        if rules.nullable
            && let Some(types) = &mut rules.types
        {
            *types = types.union(super::Types::NULL);
        }
        if !dialect.is_openapi() {
            return;
        }
        // A required property that is read-only is required of answers only (OpenAPI 3.0 §4.7.24.2).
        if let (Some(object), Some(properties)) = (
            &mut rules.object,
            field
                .value
                .as_object()
                .and_then(|o| o.get("properties"))
                .and_then(Value::as_object),
        ) {
            let read_only = |name: &String| properties.get(name).is_some_and(|schema| self.is_read_only(schema));
            object.required.retain(|name| !read_only(name));
        }
    }

    fn is_read_only(&self, schema: &Value<'v>) -> bool {
        let flag = |schema: &Value<'_>| schema.as_object().and_then(|o| o.get("readOnly")) == Some(&Value::Bool(true));
        let target = schema.as_object().and_then(|o| o.get("$ref")).and_then(Value::as_str);
        let target = target.and_then(|reference| self.index.resolve(0, reference).ok());
        flag(schema) || target.is_some_and(|(target, _)| flag(target))
    }

    /// A keyword that asserts nothing: one that describes, one of another dialect, or none at all.
    fn silent(&mut self, keyword: &str, value: &Field<'v>, home: ResourceId) {
        if ANNOTATIONS.contains(&keyword) || keyword.starts_with("x-") {
            return;
        }
        let dialect = self.index.dialect(home);
        if matches!(keyword, "$recursiveRef") {
            return self.cannot(value, home, "is not supported: use `$dynamicRef` of 2020-12".into());
        }
        let near = suggestion(keyword, &KEYWORDS);
        let text = match near.is_empty() {
            false if !KEYWORDS.contains(&keyword) => format!("is not a keyword of JSON Schema{near}"),
            _ => {
                let what = match dialect {
                    Dialect::Draft202012 | Dialect::OpenApi31 => "JSON Schema 2020-12",
                    Dialect::Draft7 => "JSON Schema draft 7",
                    Dialect::OpenApi30 => "OpenAPI 3.0's schemas",
                };
                return self.warn(
                    value,
                    format!("`{keyword}` is not a keyword of {what}: it asserts nothing"),
                );
            }
        };
        // A slip of the pen would be a rule that is not there.
        self.cannot(value, home, text);
    }

    /// A reference within the document.
    fn reference(&mut self, value: &Field<'v>, home: ResourceId) -> Option<NodeId> {
        let Some(text) = value.value.as_str() else {
            return value.expected("a reference within this schema such as \"#/$defs/item\"");
        };
        self.target(value, text, home)
    }

    pub(super) fn target(&mut self, at: &Field<'v>, reference: &str, home: ResourceId) -> Option<NodeId> {
        match self.index.resolve(home, reference) {
            Ok((target, target_home)) => {
                let field = Field {
                    value: target,
                    path: self.path_of(target_home, reference),
                    faults: at.faults,
                };
                Some(self.node_later(field, target_home))
            }
            Err(problem) => {
                at.note(problem);
                None
            }
        }
    }

    /// Where a reference leads to, for faults.
    fn path_of(&self, home: ResourceId, reference: &str) -> String {
        match self.index.resource(home).and_then(|resource| resource.path) {
            Some(path) => match split_fragment(reference).1 {
                "" => path.to_owned(),
                fragment => format!("{path}#{fragment}"),
            },
            None => format!("{}#{}", self.document.path, reference.trim_start_matches('#')),
        }
    }

    /// Core §8.2.3.2: as `$ref`, unless it leads to a dynamic anchor; then the outermost resource on the way that has an
    /// anchor of this name decides.
    fn dynamic_reference(&mut self, rules: &mut Rules, value: &Field<'v>, home: ResourceId) {
        let Some(text) = value.string() else { return };
        let Some(fallback) = self.target(value, text, home) else {
            return;
        };
        let mut dynamic = Dynamic {
            fallback,
            anchors: Vec::new(),
        };
        if let Some(name) = self.index.dynamic_name(home, text) {
            self.has_dynamic = true;
            for (resource, target) in self.index.dynamic_anchors(name) {
                let field = Field {
                    value: target,
                    path: self.path_of(resource, name),
                    faults: value.faults,
                };
                let node = self.node_later(field, resource);
                dynamic.anchors.push((resource, node));
            }
        }
        rules.dynamic = Some(Box::new(dynamic));
    }

    pub(super) fn regex(&mut self, at: &Field<'v>, text: &str, home: ResourceId) -> Option<Regex> {
        match Regex::new(text) {
            Ok(regex) => Some(regex),
            Err(error) => {
                self.cannot(
                    at,
                    home,
                    format!("is no pattern that can be matched in linear time: {error}"),
                );
                None
            }
        }
    }
}

fn branches(rules: &mut Rules) -> &mut Branches {
    rules.branches.get_or_insert_default()
}

fn condition(rules: &mut Rules) -> &mut Condition {
    branches(rules).condition.get_or_insert(Condition {
        test: 0,
        then: None,
        otherwise: None,
    })
}

/// Keywords that a misspelt one may have been.
const KEYWORDS: [&str; 40] = [
    "$ref",
    "$id",
    "$anchor",
    "$defs",
    "$schema",
    "type",
    "enum",
    "const",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minItems",
    "maxItems",
    "uniqueItems",
    "items",
    "prefixItems",
    "contains",
    "minProperties",
    "maxProperties",
    "required",
    "properties",
    "patternProperties",
    "additionalProperties",
    "propertyNames",
    "unevaluatedProperties",
    "unevaluatedItems",
    "dependentRequired",
];
