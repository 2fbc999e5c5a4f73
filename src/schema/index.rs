//! What a document names: its resources (`$id`) and anchors, found before anything is compiled, so that references may
//! point forward. Only places where schemas stand are looked at: an `$id` within `enum` names nothing. Of the documents
//! that the configuration gives beside it, those are looked at that something looked at refers to.

use super::dialect::{Dialect, Holds, holds};
use super::uri::{percent_decoded, resolve, split_fragment};
use crate::config::field::Field;
use crate::json::Value;
use crate::json::pointer::Pointer;
use std::collections::BTreeMap;

pub type ResourceId = usize;

/// A schema resource: what one `$id` begins.
#[derive(Debug)]
pub struct Resource<'v> {
    /// Without fragment.
    pub uri: String,
    pub root: &'v Value<'v>,
    pub dialect: Dialect,
    /// Where its document stands in the configuration; `None` for the document that was given first.
    pub path: Option<&'v str>,
    anchors: BTreeMap<&'v str, &'v Value<'v>>,
    dynamic: BTreeMap<&'v str, &'v Value<'v>>,
}

#[derive(Default)]
pub struct Index<'v> {
    resources: Vec<Resource<'v>>,
    by_uri: BTreeMap<String, ResourceId>,
    /// The resource of a schema, by where its text stands.
    homes: BTreeMap<*const Value<'v>, ResourceId>,
    /// Documents that may be referred to, by URI.
    documents: Documents<'v>,
    /// What was referred to and may be one of them.
    wanted: Vec<String>,
}

/// Schema documents by the URI that references name them by.
pub type Documents<'v> = &'v [(String, Field<'v>)];

/// Schemas within schemas that are looked into: the configuration's own limit on nesting.
const DEPTH_MAX: u32 = crate::json::DEPTH_CEILING;

impl<'v> Index<'v> {
    /// Starts with the document as its first resource; nothing in it is looked at yet.
    pub fn new(root: &'v Value<'v>, dialect: Dialect, documents: Documents<'v>) -> Self {
        let mut index = Self {
            documents,
            ..Self::default()
        };
        index.add(String::new(), root, dialect, None);
        index
    }

    /// Gives the first document the URI that it is known by.
    pub fn call(&mut self, uri: &str) {
        if let Some(first) = self.resources.first_mut() {
            uri.clone_into(&mut first.uri);
            self.by_uri.insert(uri.to_owned(), 0);
        }
    }

    fn add(&mut self, uri: String, root: &'v Value<'v>, dialect: Dialect, path: Option<&'v str>) -> ResourceId {
        let id = self.resources.len();
        // Of two with one name the first counts; the suite has no opinion.
        self.by_uri.entry(uri.clone()).or_insert(id);
        self.resources.push(Resource {
            uri,
            root,
            dialect,
            path,
            anchors: BTreeMap::new(),
            dynamic: BTreeMap::new(),
        });
        id
    }

    pub fn resource(&self, id: ResourceId) -> Option<&Resource<'v>> {
        self.resources.get(id)
    }

    pub fn dialect(&self, id: ResourceId) -> Dialect {
        self.resource(id).map(|r| r.dialect).unwrap_or_default()
    }

    /// The resource that a schema belongs to, if it was looked at.
    pub fn home(&self, schema: &'v Value<'v>) -> Option<ResourceId> {
        self.homes.get(&std::ptr::from_ref(schema)).copied()
    }

    /// Looks at a schema and all schemas in it, and at the documents that they refer to.
    pub fn look(&mut self, schema: &'v Value<'v>, resource: ResourceId) {
        self.look_deep(schema, resource, DEPTH_MAX);
        let (documents, dialect) = (self.documents, self.dialect(0));
        while let Some(uri) = self.wanted.pop() {
            let Some((_, field)) = documents.iter().find(|(name, _)| *name == uri) else {
                continue;
            };
            if !self.by_uri.contains_key(&uri) {
                let named = named(field.value, documents).unwrap_or(dialect);
                let id = self.add(uri, field.value, named, Some(&field.path));
                self.look_deep(field.value, id, DEPTH_MAX);
            }
        }
    }

    fn look_deep(&mut self, schema: &'v Value<'v>, resource: ResourceId, depth: u32) {
        let (Some(object), Some(depth)) = (schema.as_object(), depth.checked_sub(1)) else {
            return;
        };
        let text = |name: &str| object.get(name).and_then(Value::as_str);
        let dialect = self.dialect(resource);
        let hidden = dialect.reference_alone() && text("$ref").is_some();
        let (mut here, path) = (resource, self.resource(resource).and_then(|r| r.path));
        if let Some(id) = text("$id").filter(|_| !hidden && dialect.asserts("$id")) {
            let (uri, fragment) = split_fragment(id);
            let base = self.resource(resource).map(|r| r.uri.clone()).unwrap_or_default();
            if !uri.is_empty() {
                let dialect = named(schema, self.documents).unwrap_or(dialect);
                let same = self.resource(resource).is_some_and(|r| std::ptr::eq(r.root, schema));
                if same {
                    // The document names itself.
                    let uri = resolve(&base, uri);
                    self.by_uri.entry(uri.clone()).or_insert(resource);
                    if let Some(known) = self.resources.get_mut(resource) {
                        known.uri = uri;
                        known.dialect = dialect;
                    }
                } else {
                    here = self.add(resolve(&base, uri), schema, dialect, path);
                }
            }
            // Draft 7 names places this way.
            if dialect == Dialect::Draft7
                && !fragment.is_empty()
                && let Some(known) = self.resources.get_mut(here)
            {
                known.anchors.entry(fragment).or_insert(schema);
            }
        }
        if self.dialect(here).asserts("$anchor")
            && let Some(known) = self.resources.get_mut(here)
        {
            for name in ["$anchor", "$dynamicAnchor"] {
                if let Some(anchor) = text(name) {
                    known.anchors.entry(anchor).or_insert(schema);
                }
            }
            if let Some(anchor) = text("$dynamicAnchor") {
                known.dynamic.entry(anchor).or_insert(schema);
            }
        }
        self.homes.insert(schema, here);
        if !self.documents.is_empty() {
            let base = self.resource(here).map_or("", |r| r.uri.as_str());
            let references = ["$ref", "$dynamicRef"].into_iter().filter_map(text);
            let elsewhere = references
                .map(|reference| split_fragment(reference).0)
                .filter(|uri| !uri.is_empty());
            let full: Vec<String> = elsewhere.map(|uri| resolve(base, uri)).collect();
            self.wanted.extend(full);
        }
        for (keyword, value) in object.iter() {
            match (holds(keyword), value) {
                (Holds::One | Holds::OneOrList, Value::Object(_)) => self.look_deep(value, here, depth),
                (Holds::List | Holds::OneOrList, Value::Array(items)) => {
                    items.iter().for_each(|item| self.look_deep(item, here, depth));
                }
                (Holds::Named, Value::Object(members)) => {
                    members
                        .iter()
                        .for_each(|(_, member)| self.look_deep(member, here, depth));
                }
                _ => {}
            }
        }
    }

    /// What a reference in a resource points at; `Err` says why nothing.
    pub fn resolve(&self, from: ResourceId, reference: &str) -> Result<(&'v Value<'v>, ResourceId), &'static str> {
        const NOTHING: &str = "refers to nothing in this schema";
        let (uri, fragment) = split_fragment(reference);
        let resource = if uri.is_empty() {
            from
        } else {
            let base = self.resource(from).map_or("", |r| r.uri.as_str());
            let full = resolve(base, uri);
            *self
                .by_uri
                .get(&full)
                .ok_or("refers to another document: give it under `schemas`, nothing is ever fetched")?
        };
        let known = self.resource(resource).ok_or(NOTHING)?;
        let fragment = percent_decoded(fragment).ok_or("is no reference: its percent-encoding is malformed")?;
        let target = if fragment.is_empty() {
            Some(known.root)
        } else if fragment.starts_with('/') {
            Pointer::parse(&fragment).and_then(|pointer| pointer.find(known.root))
        } else {
            known.anchors.get(fragment.as_str()).copied()
        };
        let target = target.ok_or(NOTHING)?;
        Ok((target, self.home(target).unwrap_or(resource)))
    }

    /// The name of the dynamic anchor that a reference leads to at first, if it leads to one.
    pub fn dynamic_name<'r>(&self, from: ResourceId, reference: &'r str) -> Option<&'r str> {
        let (_, fragment) = split_fragment(reference);
        let (target, home) = self.resolve(from, reference).ok()?;
        let anchor = self.resource(home)?.dynamic.get(fragment)?;
        std::ptr::eq(*anchor, target).then_some(fragment)
    }

    /// All dynamic anchors of this name, with their resources.
    pub fn dynamic_anchors(&self, name: &str) -> Vec<(ResourceId, &'v Value<'v>)> {
        let named = self.resources.iter().enumerate();
        named
            .filter_map(|(id, resource)| Some((id, *resource.dynamic.get(name)?)))
            .collect()
    }
}

/// Meta-schemas that name a meta-schema, at most.
const HOPS_MAX: u32 = 8;

/// The dialect that a schema names in `$schema`: one that is known, or one by a meta-schema that was given.
pub fn named(schema: &Value<'_>, documents: Documents<'_>) -> Option<Dialect> {
    let mut here = schema;
    for _ in 0..HOPS_MAX {
        let uri = here.as_object()?.get("$schema")?.as_str()?;
        if let Some(dialect) = Dialect::named(uri) {
            return Some(dialect);
        }
        let (uri, _) = split_fragment(uri);
        let (_, meta) = documents.iter().find(|(name, _)| name == uri)?;
        here = meta.value;
        if wants_more(here) {
            return None;
        }
    }
    None
}

/// Whether a meta-schema demands a vocabulary that is not known here (core §8.1.2). The known ones hold in any case.
fn wants_more(meta: &Value<'_>) -> bool {
    const KNOWN: &str = "https://json-schema.org/draft/2020-12/vocab/";
    let vocabularies = meta.as_object().and_then(|o| o.get("$vocabulary")?.as_object());
    vocabularies.is_some_and(|all| {
        all.iter()
            .any(|(name, demanded)| !name.starts_with(KNOWN) && *demanded == Value::Bool(true))
    })
}
