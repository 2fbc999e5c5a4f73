//! Parameters in path, query, header fields and cookies: from text by OpenAPI's styles to values, and these against their
//! schemas.
//!
//! A scalar comes once. Where one request could be read in two ways (a parameter twice, `id[]` beside `id`, a `;` in a
//! path parameter) it is refused. What the schema says about a value is all that a refusal tells of it.

use super::pairs::{Coding, Pair, PairFault, decode};
use super::shape::{Shape, object};
use crate::json::{Limits, Object, Value, parse};
use crate::operation::Segment;
use crate::reply::PROBLEMS_MAX;
use crate::schema::{Cursor, Outcome, Schema};
use crate::sort;
use crate::verdict::Problem;
use std::borrow::Cow;

/// What an operation says of its parameters, by where they stand.
#[derive(Debug, Default)]
pub struct Parameters {
    /// The operation's path, which says where its path parameters stand.
    pub template: Vec<Segment>,
    pub path: Declared,
    pub query: Declared,
    /// Names in lower case.
    pub headers: Declared,
    pub cookies: Declared,
    /// In place of `requests.unknown_parameters`.
    pub unknown_denied: Option<bool>,
}

/// The parameters of one place, or the fields of a form.
#[derive(Debug, Default)]
pub struct Declared {
    pub parameters: Vec<Parameter>,
    /// What those that are not declared are read as.
    pub others: Shape,
    /// Over the object of all of them, those that are not declared too.
    pub whole: Option<Schema>,
}

#[derive(Debug, Default)]
pub struct Parameter {
    /// Decoded; in lower case if it is a header field.
    pub name: String,
    pub required: bool,
    pub style: Style,
    /// Whether an array comes as repeated parameters, or an object as a parameter for each member.
    pub explode: bool,
    /// OpenAPI's `allowEmptyValue`: without a value it is not looked at.
    pub allow_empty: bool,
    /// Whether its text is JSON (OpenAPI's `content`).
    pub json: bool,
    pub shape: Shape,
    /// Over its value alone.
    pub schema: Option<Schema>,
}

/// How arrays and objects are written (OpenAPI 3.1 §4.8.12.3); scalars are the same in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// `a,b` in path and header fields; an object is `name,value` or, exploded, `name=value`.
    #[default]
    Simple,
    /// `x=a,b`, exploded `x=a&x=b`; an object exploded is a parameter for each member.
    Form,
    /// `x=a%20b`
    SpaceDelimited,
    /// `x=a|b`
    PipeDelimited,
    /// `x[name]=value`, one level deep.
    DeepObject,
}

/// The pairs of one place, indexed by name.
pub struct Sent<'r> {
    pairs: &'r [Pair<'r>],
    /// Positions in `pairs`, sorted by name, then in the order they came.
    order: Vec<usize>,
    used: Vec<bool>,
    coding: Coding,
}

impl<'r> Sent<'r> {
    pub fn new(pairs: &'r [Pair<'r>], coding: Coding) -> Self {
        let name = |at: usize| pairs.get(at).map(|pair| pair.name.as_ref());
        let order = sort::positions(pairs.len(), &mut |a, b| name(a).cmp(&name(b)));
        Self {
            used: vec![false; pairs.len()],
            pairs,
            order,
            coding,
        }
    }

    fn name_at(&self, at: usize) -> &'r str {
        self.pairs.get(at).map_or("", |pair| pair.name.as_ref())
    }

    /// Those whose name is this one, or starts with it, in order; they count as declared.
    fn take(&mut self, name: &str, whole: bool) -> Vec<&'r Pair<'r>> {
        let start = self.order.partition_point(|at| self.name_at(*at) < name);
        let mut found = Vec::new();
        for at in self.order.iter().skip(start) {
            let known = self.name_at(*at);
            if !(known.starts_with(name) && (known == name || !whole)) {
                break;
            }
            if let (Some(pair), Some(used)) = (self.pairs.get(*at), self.used.get_mut(*at)) {
                *used = true;
                found.push(pair);
            }
        }
        found
    }
}

/// A judgement under way: what was found, at most [`PROBLEMS_MAX`].
#[derive(Debug, Default)]
pub struct Judged {
    pub problems: Vec<Problem>,
    /// The schemas' bound on work was met.
    pub too_costly: bool,
}

/// A name in a message is cut at this many characters: it comes from the client.
const NAME_CHARS_MAX: usize = 64;

/// `query/limit`, as a JSON Pointer has it.
fn place(at: &str, name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

impl Judged {
    pub fn note(&mut self, at: &str, name: &str, problem: &str) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem {
                at: if name.is_empty() {
                    at.to_owned()
                } else {
                    place(at, name)
                },
                problem: problem.to_owned(),
            });
        }
    }

    fn check(&mut self, schema: Option<&Schema>, value: &Value<'_>, at: &str) {
        match schema.map(|schema| schema.check(value)) {
            None | Some(Outcome::Valid) => {}
            Some(Outcome::TooCostly) => self.too_costly = true,
            Some(Outcome::Invalid(problems)) => {
                let left = PROBLEMS_MAX.saturating_sub(self.problems.len());
                self.problems
                    .extend(problems.into_iter().take(left).map(|problem| Problem {
                        at: format!("{at}{}", problem.at),
                        ..problem
                    }));
            }
        }
    }
}

/// What holds for the parameters of one place.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'p> {
    /// Such as `query`; empty for a body, whose places are pointers.
    pub at: &'p str,
    pub unknown_denied: bool,
    /// For parameters whose text is JSON.
    pub json: &'p Limits,
}

impl Declared {
    pub fn is_empty(&self) -> bool {
        self.parameters.is_empty() && self.whole.is_none()
    }

    /// Whether the text of a parameter of this name, found valid, is harmless by its form alone. Of arrays and objects,
    /// which come in pieces, that is not said.
    pub fn pins_text(&self, name: &str) -> bool {
        let pinned = |p: &Parameter| {
            let whole = self.whole.as_ref().map(|schema| schema.cursor().member(name));
            let own = p.schema.as_ref().map(Schema::cursor);
            !p.json && p.shape.is_scalar() && [whole, own].iter().flatten().any(Cursor::pins_text)
        };
        self.parameters.iter().any(|p| p.name == name && pinned(p))
    }

    /// Judges what was sent. `excused` says which names that are not declared are none of this matter.
    pub fn judge(&self, mut sent: Sent<'_>, rules: Rules<'_>, excused: &dyn Fn(&str) -> bool, judged: &mut Judged) {
        let mut members = Vec::new();
        for parameter in &self.parameters {
            let before = judged.problems.len();
            let found = parameter.read(&mut sent, rules, judged);
            if judged.problems.len() > before {
                continue;
            }
            match found {
                None if parameter.required => judged.note(rules.at, &parameter.name, "is required"),
                None => {}
                Some(Read::Empty) => {}
                Some(Read::Value(value)) => {
                    judged.check(parameter.schema.as_ref(), &value, &place(rules.at, &parameter.name));
                    if self.whole.is_some() {
                        members.push((Cow::Borrowed(parameter.name.as_str()), value));
                    }
                }
            }
        }
        self.judge_others(&sent, rules, excused, judged, &mut members);
        // With a fault above, the object is not whole: the schema would find fault with what is only unread.
        if judged.problems.is_empty() && self.whole.is_some() {
            judged.check(self.whole.as_ref(), &object(members), rules.at);
        }
    }

    fn judge_others<'r>(
        &self,
        sent: &Sent<'r>,
        rules: Rules<'_>,
        excused: &dyn Fn(&str) -> bool,
        judged: &mut Judged,
        members: &mut Vec<(Cow<'r, str>, Value<'r>)>,
    ) {
        let mut last = None;
        for at in &sent.order {
            let Some(pair) = sent.pairs.get(*at).filter(|_| sent.used.get(*at) == Some(&false)) else {
                continue;
            };
            let name = pair.name.as_ref();
            // `id[]` and `id[x]` are `id` to some servers.
            let stem = name.split('[').next().unwrap_or(name).trim();
            if stem != name && self.parameters.iter().any(|p| p.name == stem) {
                judged.note(rules.at, name, "is another spelling of a declared parameter");
            } else if excused(name) {
                continue;
            } else if rules.unknown_denied {
                judged.note(rules.at, name, "is not declared");
            } else if self.whole.is_some() {
                let value = self.others.coerce(Cow::Borrowed(pair.value.as_ref()));
                match members.last_mut() {
                    Some((_, Value::Array(items))) if last == Some(name) => items.push(value),
                    Some((_, held)) if last == Some(name) => {
                        let first = std::mem::replace(held, Value::Null);
                        *held = Value::Array(vec![first, value]);
                    }
                    _ => members.push((Cow::Borrowed(name), value)),
                }
                last = Some(name);
            }
        }
    }
}

/// What was sent of a parameter.
enum Read<'r> {
    /// Nothing that is to be looked at.
    Empty,
    Value(Value<'r>),
}

impl Parameter {
    /// `None` if it was not sent.
    fn read<'r>(&self, sent: &mut Sent<'r>, rules: Rules<'_>, judged: &mut Judged) -> Option<Read<'r>> {
        let is_object = self.shape.members.is_some() && !self.json;
        match (self.style, is_object) {
            (Style::DeepObject, _) => return self.read_deep(sent, rules, judged),
            (Style::Form, true) if self.explode => return self.read_exploded(sent, rules, judged),
            _ => {}
        }
        let found = sent.take(&self.name, true);
        let first = *found.first()?;
        let mut refuse = |problem: &str| {
            judged.note(rules.at, &self.name, problem);
            None
        };
        let items = self.shape.items.as_deref().filter(|_| !self.json);
        // `oneOf: [string, array]`: what came once is one value if the schema takes it as one.
        if items.is_some() && found.len() == 1 && self.shape.takes_scalar() {
            let alone = self.shape.coerce(Cow::Borrowed(first.value.as_ref()));
            if self
                .schema
                .as_ref()
                .is_some_and(|schema| schema.check(&alone) == Outcome::Valid)
            {
                return Some(Read::Value(alone));
            }
        }
        if let (Some(items), Style::Form, true) = (items, self.style, self.explode) {
            let values = found
                .iter()
                .map(|pair| items.coerce(Cow::Borrowed(pair.value.as_ref())));
            return Some(Read::Value(Value::Array(values.collect())));
        }
        // A header field that is a list may be spread over several lines (RFC 9110 §5.3).
        let is_field = sent.coding == Coding::Plain && items.is_some();
        if found.len() > 1 && !is_field {
            return refuse("must come once");
        }
        if self.allow_empty && first.raw.is_empty() {
            return Some(Read::Empty);
        }
        if self.json {
            let Ok(value) = parse(first.value.as_bytes(), rules.json) else {
                return refuse("must be well-formed JSON");
            };
            return Some(Read::Value(value));
        }
        let value = if let Some(items) = items {
            let mut values = Vec::new();
            for pair in found {
                match self.split(pair.raw, sent.coding) {
                    Ok(texts) => values.extend(texts.into_iter().map(|text| items.coerce(text))),
                    Err(fault) => return refuse(&format!("has {}", fault.text())),
                }
            }
            Value::Array(values)
        } else if is_object {
            match self.split(first.raw, sent.coding).map(|texts| self.members_of(texts)) {
                Ok(Some(members)) => members,
                Ok(None) => return refuse("must be names and values"),
                Err(fault) => return refuse(&format!("has {}", fault.text())),
            }
        } else {
            self.shape.coerce(Cow::Borrowed(first.value.as_ref()))
        };
        Some(Read::Value(value))
    }

    /// The parts between delimiters, each decoded after the split, so that an encoded delimiter is part of a value.
    fn split<'r>(&self, raw: &'r str, coding: Coding) -> Result<Vec<Cow<'r, str>>, PairFault> {
        if raw.is_empty() {
            return Ok(Vec::new());
        }
        // A space and a bar may not stand in a URI as they are, so there the delimiter itself comes encoded.
        let delimited: Vec<&str> = match self.style {
            Style::SpaceDelimited => raw.split("%20").flat_map(|part| part.split(['+', ' '])).collect(),
            Style::PipeDelimited => raw
                .split('|')
                .flat_map(|part| part.split("%7C"))
                .flat_map(|part| part.split("%7c"))
                .collect(),
            _ => raw.split(',').collect(),
        };
        let trimmed = delimited.into_iter().map(|part| match coding {
            Coding::Plain => part.trim_matches([' ', '\t']),
            _ => part,
        });
        trimmed.map(|part| decode(part, coding)).collect()
    }

    fn members_of<'r>(&self, texts: Vec<Cow<'r, str>>) -> Option<Value<'r>> {
        let mut members: Vec<(Cow<'r, str>, Value<'r>)> = Vec::new();
        let mut texts = texts.into_iter();
        while let Some(text) = texts.next() {
            let (name, value) = match (self.explode, text) {
                (false, name) => (name, texts.next()?),
                (true, Cow::Borrowed(text)) => text
                    .split_once('=')
                    .map(|(n, v)| (Cow::Borrowed(n), Cow::Borrowed(v)))?,
                (true, Cow::Owned(text)) => text
                    .split_once('=')
                    .map(|(n, v)| (Cow::Owned(n.into()), Cow::Owned(v.into())))?,
            };
            let value = self.shape.member(&name).coerce(value);
            members.push((name, value));
        }
        Object::from_members(members).ok().map(Value::Object)
    }

    /// `x[name]=value`
    fn read_deep<'r>(&self, sent: &mut Sent<'r>, rules: Rules<'_>, judged: &mut Judged) -> Option<Read<'r>> {
        let mut members: Vec<(Cow<'r, str>, Value<'r>)> = Vec::new();
        if !sent.take(&self.name, true).is_empty() {
            judged.note(rules.at, &self.name, "must be written with its members in brackets");
        }
        let opening = format!("{}[", self.name);
        for pair in sent.take(&opening, false) {
            let inner = pair.name.strip_prefix(&opening).and_then(|rest| rest.strip_suffix(']'));
            let Some(name) = inner.filter(|name| !name.is_empty() && !name.contains(['[', ']'])) else {
                judged.note(rules.at, &pair.name, "must name one member in brackets");
                continue;
            };
            let shape = self.shape.member(name);
            let value = Cow::Borrowed(pair.value.as_ref());
            match (members.last_mut().filter(|(known, _)| known == name), &shape.items) {
                (None, Some(items)) => members.push((name.into(), Value::Array(vec![items.coerce(value)]))),
                (None, None) => members.push((name.into(), shape.coerce(value))),
                (Some((_, Value::Array(values))), Some(items)) => values.push(items.coerce(value)),
                (Some(_), _) => judged.note(rules.at, &pair.name, "must come once"),
            }
        }
        (!members.is_empty()).then(|| Read::Value(object(members)))
    }

    /// A parameter for each member of an object.
    fn read_exploded<'r>(&self, sent: &mut Sent<'r>, rules: Rules<'_>, judged: &mut Judged) -> Option<Read<'r>> {
        let mut members: Vec<(Cow<'r, str>, Value<'r>)> = Vec::new();
        for name in self.shape.names() {
            let found = sent.take(name, true);
            let Some(first) = found.first() else { continue };
            let shape = self.shape.member(name);
            let value = match &shape.items {
                Some(items) => {
                    let values = found
                        .iter()
                        .map(|pair| items.coerce(Cow::Borrowed(pair.value.as_ref())));
                    Value::Array(values.collect())
                }
                None if found.len() > 1 => {
                    judged.note(rules.at, name, "must come once");
                    continue;
                }
                None => shape.coerce(Cow::Borrowed(first.value.as_ref())),
            };
            members.push((Cow::Borrowed(first.name.as_ref()), value));
        }
        (!members.is_empty()).then(|| Read::Value(object(members)))
    }
}
