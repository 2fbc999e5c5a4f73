//! Walks a request's values, each with the kind of place it stands in, and asks the engine about them: path, query, cookies,
//! header fields, and the body's strings, names, parts and file names.
//!
//! Splitting is lenient on purpose: what validation would refuse is judged all the same, in case it is off or in shadow.
//! It is bounded by the request's own limits and by the policy's budget of bytes.

mod given;
mod place;
mod text;
mod xml;

use super::bytes::{Words, between, find_byte, find_pair, from, positions, starts_with};
use super::decode;
use super::sql::filter;
use super::written::splits_written;
use super::{Account, Categories, Category, Finding, Kind, ThreatMode, ThreatPolicy};
use crate::guard::requests;
use crate::guard::requests::parameters::{Declared, Parameters};
use crate::json::Value;
use crate::request::Head;
use crate::schema::{Cursor, Schema};
use crate::verdict::{Denial, Extra, Mode, Problem, Reason};
use given::{
    includes, is_asset, is_class, is_client_address, is_command, is_formula, is_loopback_redirect, is_password,
    is_relative_reference, is_step, is_visited, operator_name,
};
use place::{DEPTH_MAX, Place, Step, covers, name_of, render};
use std::borrow::Cow;
use text::{form_decoded, has_keys, included, is_mime, remote, utf16_as_ascii, without_host};

/// A body as it was read.
#[derive(Debug)]
pub enum Content<'r> {
    Nothing,
    Json(&'r Value<'r>),
    /// `application/x-www-form-urlencoded`, as it came.
    Form(&'r [u8]),
    Multipart(Vec<Part<'r>>),
    Xml(&'r [u8]),
    /// Text of another or of no type.
    Text(&'r [u8]),
}

/// One part of a multipart form.
#[derive(Debug, Clone, Copy)]
pub struct Part<'r> {
    pub name: &'r str,
    pub file_name: Option<&'r str>,
    pub content: &'r [u8],
}

/// What is judged.
#[derive(Debug)]
pub struct Subject<'r> {
    pub head: &'r Head,
    pub content: Content<'r>,
    /// What the operation says of its parameters and of this type of body, where they were checked and found good: texts
    /// that it pins down are not looked at.
    pub parameters: Option<&'r Parameters>,
    pub declared: Option<&'r requests::Content>,
    /// The operation's id.
    pub operation: Option<&'r str>,
    /// The operation's own mode for this guard.
    pub operation_mode: Option<ThreatMode>,
}

/// Header fields with a grammar of their own in which quotes, semicolons and patterns are common, or that hold no text.
static STRUCTURED: Words<25> = Words::new([
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "authorization",
    "cache-control",
    "connection",
    "content-disposition",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "dpop",
    "expect",
    "host",
    "keep-alive",
    "priority",
    "range",
    "signature",
    "signature-input",
    "te",
    "traceparent",
    "tracestate",
    "via",
    "x-requested-with",
]);

/// Whether a field has what the grammar of none of these has: what opens an expression, or climbs.
fn is_foreign(value: &[u8]) -> bool {
    /// A longer one is a token.
    const CLIMBING_BYTES_MAX: usize = 256;
    let opens = positions(value, b'{')
        .any(|at| matches!(at.checked_sub(1).and_then(|at| value.get(at)), Some(b'%' | b'$' | b'#')));
    let climbs = || {
        let dots = find_pair(value, 0, *b"..");
        dots.is_some_and(|dots| matches!(value.get(dots + 2), Some(b'/' | b'\\')))
    };
    opens
        || value.len() <= CLIMBING_BYTES_MAX && climbs()
        || starts_with(value, b"bearer") && find_byte(value, 0, b'\'').is_some()
}

/// Names that tell what a value is are not longer, with what forms put around them.
const TELLING_BYTES_MAX: usize = 256;

/// The answer for a request: the refusals, each with the mode that it is to be carried out in.
pub type Verdicts = Vec<(Mode, Denial)>;

impl ThreatPolicy {
    fn mode_of(&self, category: Category, operation: Option<ThreatMode>, default: Mode) -> ThreatMode {
        if self.modes.is_empty() && operation.is_none() && self.categories.has(category) {
            return ThreatMode::On(default);
        }
        // What is off stays off; the more lenient of the operation's and the category's own mode holds.
        let own = self.modes.iter().find(|(of, _)| *of == category).map(|(_, mode)| *mode);
        let modes = [operation, own];
        if modes.contains(&Some(ThreatMode::Off)) || !self.categories.has(category) {
            return ThreatMode::Off;
        }
        if modes.contains(&Some(ThreatMode::On(Mode::Shadow))) {
            return ThreatMode::On(Mode::Shadow);
        }
        modes.into_iter().flatten().next().unwrap_or(ThreatMode::On(default))
    }

    /// The strictest mode of any category here; `None` if all are off.
    pub fn strictest(&self, operation: Option<ThreatMode>, default: Mode) -> Option<Mode> {
        let modes = Category::ALL.map(|(_, category)| self.mode_of(category, operation, default));
        [Mode::Enforce, Mode::Shadow]
            .into_iter()
            .find(|mode| modes.contains(&ThreatMode::On(*mode)))
    }

    /// Bytes of a body whose size nothing else bounds: with the layers that may lie beneath them, the budget.
    pub const fn body_bytes_max(&self) -> u64 {
        self.budget_bytes / (decode::LAYERS_MAX as u64 + 1)
    }

    /// Judges a whole request; `default` is the mode where none is set nearer.
    pub fn judge(&self, subject: &Subject<'_>, default: Mode) -> Verdicts {
        let (mut wanted, mut enforced) = (Categories::NONE, Categories::NONE);
        for (_, category) in Category::ALL {
            if let ThreatMode::On(mode) = self.mode_of(category, subject.operation_mode, default) {
                wanted = wanted.with(category);
                if mode == Mode::Enforce {
                    enforced = enforced.with(category);
                }
            }
        }
        let mut verdicts: Verdicts = Vec::new();
        let mut walk = self.walk(subject, wanted, enforced);
        if walk.over && !enforced.is_empty() && enforced != wanted {
            // What categories on trial cost refuses nothing: those that are enforced are judged by themselves.
            verdicts.push((Mode::Shadow, Reason::ThreatBudget.into()));
            walk.found.retain(|(finding, _)| !enforced.has(finding.category));
            let alone = self.walk(subject, enforced, enforced);
            walk.found.extend(alone.found);
            walk.over = alone.over;
        }
        for (finding, at) in walk.found {
            let mode = if enforced.has(finding.category) {
                Mode::Enforce
            } else {
                Mode::Shadow
            };
            let problem = Problem {
                at,
                problem: format!("matches {}", finding.rule),
            };
            verdicts.push((mode, finding.category.reason().with(Extra::Problems(vec![problem]))));
        }
        if walk.over {
            let mode = if enforced.is_empty() {
                Mode::Shadow
            } else {
                Mode::Enforce
            };
            verdicts.push((mode, Reason::ThreatBudget.into()));
        }
        verdicts
    }

    fn walk<'p>(&'p self, subject: &Subject<'p>, wanted: Categories, enforced: Categories) -> Walk<'p> {
        let mut walk = Walk {
            policy: self,
            wanted,
            enforced,
            operation: subject.operation,
            exempts: self
                .exempt
                .iter()
                .any(|e| e.operation.as_deref().is_none_or(|id| Some(id) == subject.operation)),
            account: Account::default(),
            spent: 0,
            found: Vec::new(),
            done: wanted.is_empty(),
            over: false,
        };
        walk.head(subject.head, subject.parameters);
        walk.content(&subject.content, subject.declared);
        walk
    }
}

struct Walk<'p> {
    policy: &'p ThreatPolicy,
    wanted: Categories,
    enforced: Categories,
    operation: Option<&'p str>,
    /// Whether any exemption may hold for this request.
    exempts: bool,
    account: Account,
    spent: u64,
    found: Vec<(Finding, String)>,
    /// Nothing more needs to be found: an enforced category was, or all were.
    done: bool,
    over: bool,
}

impl Walk<'_> {
    fn value(&mut self, value: &[u8], kind: Kind, place: Place<'_>, steps: &[Step<'_>]) {
        self.named_value(name_of(place, steps), value, kind, place, steps);
    }

    /// A value that was given by a name, which its place need not tell.
    fn named_value(&mut self, name: Option<&[u8]>, value: &[u8], kind: Kind, place: Place<'_>, steps: &[Step<'_>]) {
        if self.done || value.is_empty() {
            return;
        }
        if self.spent > self.policy.budget_bytes {
            self.over = true;
            self.done = true;
            return;
        }
        let mut wanted = self.wanted_at(place, steps);
        let mut kind = kind;
        let document = kind == Kind::Json || matches!(place, Place::Body);
        if document && is_asset(value) {
            wanted = wanted.without(Categories::NONE.with(Category::Path));
        }
        // A longer name says nothing, and all values of a list have the same: each would read it.
        let name = name.filter(|name| name.len() <= TELLING_BYTES_MAX);
        if matches!(kind, Kind::Parameter | Kind::Json)
            && let Some(name) = name.map(form_decoded)
        {
            // What is spelt in another way is judged as it will be read.
            if filter::is_given_by(&name) && filter::is_filter(value) && decode::step(value).is_none() {
                wanted = wanted.without(Categories::NONE.with(Category::Sql));
            }
            // Programs are asked for what they can do in JSON: `{"command": "ls"}`.
            let sent = kind == Kind::Parameter && !matches!(place, Place::Body) || &*name == b"utilCmdArgs";
            if sent && is_command(&name, value) {
                self.note(Category::Command, "command.shell", place, steps);
                wanted = wanted.without(Categories::NONE.with(Category::Command));
            }
            if kind == Kind::Json && is_class(&name, value) {
                self.note(Category::Expression, "expression.class", place, steps);
                wanted = wanted.without(Categories::NONE.with(Category::Expression));
            }
            if is_loopback_redirect(&name, value) {
                wanted = wanted.without(Categories::NONE.with(Category::RequestForgery));
            }
            if is_client_address(&name, value) {
                wanted = wanted.without(Categories::NONE.with(Category::RequestForgery));
            }
            let attribute = kind == Kind::Parameter && matches!(place, Place::Body);
            if !attribute && splits_written(&name, value) {
                self.note(Category::Header, "header.split", place, steps);
                wanted = wanted.without(Categories::NONE.with(Category::Header));
            }
            if document && is_relative_reference(&name, value) || attribute && is_step(&name, value) {
                wanted = wanted.without(Categories::NONE.with(Category::Path));
            }
            if attribute && is_formula(&name, value) {
                wanted = wanted.without(Categories::NONE.with(Category::Sql));
            }
            if is_password(&name, value) && decode::step(value).is_none() {
                kind = Kind::Secret;
            }
        }
        if self.done {
            return;
        }
        let (found, enforced, account) = (&mut self.found, self.enforced, &mut self.account);
        let mut done = false;
        let judged = self.policy.engine.judge(value, kind, wanted, account, &mut |finding| {
            found.push((finding, render(place, steps)));
            done |= enforced.has(finding.category);
            done
        });
        for (finding, _) in &self.found {
            self.wanted = self.wanted.without(Categories::NONE.with(finding.category));
        }
        let Some(judged) = judged else {
            self.over = true;
            self.done = true;
            return;
        };
        self.done |= done || self.wanted.is_empty();
        // A visit costs something too, however short the value.
        self.spent = self.spent.saturating_add(judged).saturating_add(8);
    }

    /// The categories that are looked for at a place.
    fn wanted_at(&self, place: Place<'_>, steps: &[Step<'_>]) -> Categories {
        let mut wanted = self.wanted;
        if self.exempts {
            let at = render(place, steps);
            let exempt =
                self.policy.exempt.iter().filter(|e| {
                    e.operation.as_deref().is_none_or(|id| Some(id) == self.operation) && covers(&e.at, &at)
                });
            for exemption in exempt {
                wanted = wanted.without(exemption.categories);
            }
        }
        wanted
    }

    /// Notes what a name or a place tells by itself, unless it was found already or the place is exempt from it.
    fn note(&mut self, category: Category, rule: &'static str, place: Place<'_>, steps: &[Step<'_>]) {
        if self.done || !self.wanted_at(place, steps).has(category) {
            return;
        }
        self.found.push((Finding { category, rule }, render(place, steps)));
        self.wanted = self.wanted.without(Categories::NONE.with(category));
        self.done |= self.enforced.has(category);
    }

    fn name(&mut self, name: &[u8], place: Place<'_>, steps: &[Step<'_>]) {
        if name
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
            && name.len() < 12
        {
            return;
        }
        if operator_name(name) {
            self.note(Category::Nosql, "nosql.operator", place, steps);
        }
        self.value(name, Kind::Name, place, steps);
        // A pair that was encoded as a whole: to what decodes once more, a name and a value.
        if let Some(equals) = find_byte(name, 0, b'=') {
            self.value(from(name, equals + 1), Kind::Parameter, place, steps);
        }
    }

    /// `{"constructor": {"prototype": …}}`: what merges it into an object changes all objects.
    fn prototype(&mut self, steps: &[Step<'_>]) {
        if matches!(steps, [.., Step::Member("constructor"), Step::Member("prototype")]) {
            self.note(Category::Expression, "expression.prototype", Place::Body, steps);
        }
    }

    fn head(&mut self, head: &Head, parameters: Option<&Parameters>) {
        for (name, value) in head.fields() {
            match name {
                b":path" => self.target(value, parameters.map(|p| &p.query)),
                [b':', ..] => {}
                b"cookie" => self.cookies(value, parameters.map(|p| &p.cookies)),
                _ if pinned(parameters.map(|p| &p.headers), name) => {}
                b"user-agent" => self.value(value, Kind::Agent, Place::Header(name), &[]),
                b"referer" | b"origin" => {
                    self.value(&without_host(value), Kind::Referer, Place::Header(name), &[]);
                }
                _ => {
                    let structured = STRUCTURED.has(name)
                        || name.starts_with(b"sec-")
                        || name.starts_with(b"if-")
                        || name.starts_with(b"x-envoy-")
                        || name.starts_with(b"access-control-");
                    let file = !structured && name.windows(4).any(|w| w == b"file");
                    let kind = match () {
                        () if structured && !is_foreign(value) => Kind::Structured,
                        () if file => Kind::FileName,
                        () => Kind::Header,
                    };
                    self.value(value, kind, Place::Header(name), &[]);
                }
            }
        }
    }

    fn target(&mut self, target: &[u8], declared: Option<&Declared>) {
        let query = find_byte(target, 0, b'?');
        let path = between(target, 0, query.unwrap_or(target.len()));
        // Of keys in quotes, segment by segment is judged what they hold.
        let (wanted, keys) = (self.wanted, has_keys(path));
        if keys {
            self.wanted = wanted.without(Categories::NONE.with(Category::Sql));
        }
        self.value(path, Kind::Path, Place::Path, &[]);
        if keys && wanted.has(Category::Sql) && !self.done {
            self.wanted = self.wanted.with(Category::Sql);
        }
        let special =
            |b: &u8| !b.is_ascii_alphanumeric() && !matches!(b, b'/' | b'-' | b'_' | b'.' | b'~' | b':' | b'@' | b',');
        if path.iter().any(special) {
            // Programs that take words out of paths read them as forms are.
            for segment in path.split(|b| *b == b'/') {
                self.value(&form_decoded(segment), Kind::Parameter, Place::Path, &[]);
            }
        }
        if let Some(query) = query {
            self.pairs(from(target, query + 1), Place::Query, declared);
        }
    }

    fn pairs<'v>(&mut self, pairs: &'v [u8], place: impl Fn(&'v [u8]) -> Place<'v>, declared: Option<&Declared>) {
        for pair in pairs.split(|b| *b == b'&') {
            if self.done {
                return;
            }
            let equals = find_byte(pair, 0, b'=');
            let name = between(pair, 0, equals.unwrap_or(pair.len()));
            let value = equals.map_or(&[][..], |at| from(pair, at + 1));
            let decoded = form_decoded(name);
            // A link that was copied from HTML with its references.
            let decoded = match decoded.strip_prefix(b"amp;") {
                Some(name) => Cow::Owned(name.to_vec()),
                None => decoded,
            };
            if pinned(declared, &decoded) {
                continue;
            }
            self.name(&decoded, place(name), &[]);
            let value = form_decoded(value);
            if remote(&value) && includes(name) && !is_visited(name, &value) || included(&value) {
                self.note(Category::Path, "path.remote", place(name), &[]);
            }
            self.value(&value, Kind::Parameter, place(name), &[]);
        }
    }

    fn cookies(&mut self, field: &[u8], declared: Option<&Declared>) {
        for pair in field.split(|b| *b == b';') {
            let pair = pair.trim_ascii();
            let equals = find_byte(pair, 0, b'=');
            let name = between(pair, 0, equals.unwrap_or(pair.len()));
            if pinned(declared, name) {
                continue;
            }
            self.name(name, Place::Cookie(name), &[]);
            self.value(
                equals.map_or(&[][..], |at| from(pair, at + 1)),
                Kind::Cookie,
                Place::Cookie(name),
                &[],
            );
        }
    }

    fn content(&mut self, content: &Content<'_>, declared: Option<&requests::Content>) {
        let fields = declared.map(|content| &content.fields);
        match content {
            Content::Nothing => {}
            Content::Json(value) => {
                let schema = declared.and_then(|content| content.schema.as_ref());
                self.json(value, &mut Vec::new(), schema.map(Schema::cursor).as_ref());
            }
            Content::Form(bytes) => self.pairs(bytes, Place::Field, fields),
            Content::Multipart(parts) => {
                for part in parts {
                    if part.file_name.is_none() && pinned(fields, part.name.as_bytes()) {
                        continue;
                    }
                    let place = Place::Field(part.name.as_bytes());
                    self.name(part.name.as_bytes(), place, &[]);
                    if let Some(file_name) = part.file_name {
                        self.value(file_name.as_bytes(), Kind::FileName, place, &[]);
                    }
                    let is_file = part.file_name.is_some();
                    let kind = if is_file { Kind::Text } else { Kind::Parameter };
                    self.text(part.content, kind, place, is_file);
                }
            }
            Content::Xml(bytes) => self.xml(utf16_as_ascii(bytes).as_deref().unwrap_or(bytes)),
            Content::Text(bytes) => {
                if is_mime(bytes) {
                    self.wanted = self.wanted.without(Categories::NONE.with(Category::Header));
                }
                self.text(bytes, Kind::Text, Place::Body, false);
                let lines = bytes.iter().take(4096).filter(|b| **b == b'\n').count();
                if lines < 3 && bytes.len() < 4096 && bytes.contains(&b'=') {
                    self.pairs(bytes, Place::Field, None);
                }
            }
        }
    }

    /// What may be no text. A file that holds NUL is data. Elsewhere an attack may stand behind the NUL: what could be text
    /// is judged run by run.
    fn text(&mut self, bytes: &[u8], kind: Kind, place: Place<'_>, is_file: bool) {
        if !bytes.contains(&0) {
            return self.value(bytes, kind, place, &[]);
        }
        if let Some(text) = utf16_as_ascii(bytes) {
            return self.value(&text, kind, place, &[]);
        }
        if is_file {
            return;
        }
        let runs = bytes.utf8_chunks().flat_map(|chunk| {
            let data = |c: char| c.is_ascii_control() && !c.is_ascii_whitespace();
            chunk.valid().split(data)
        });
        for run in runs.filter(|run| run.len() >= RUN_BYTES_MIN) {
            self.value(run.as_bytes(), kind, place, &[]);
        }
    }

    /// `schema`: the place in it, where the document is valid.
    fn json<'r>(&mut self, value: &'r Value<'r>, steps: &mut Vec<Step<'r>>, schema: Option<&Cursor<'_>>) {
        if self.done || steps.len() > DEPTH_MAX {
            return;
        }
        match value {
            Value::String(_) if schema.is_some_and(Cursor::pins_text) => {}
            Value::String(text) => self.value(text.as_bytes(), Kind::Json, Place::Body, steps),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    steps.push(Step::Element(index));
                    self.json(item, steps, schema.map(|schema| schema.element(index)).as_ref());
                    steps.pop();
                }
            }
            Value::Object(members) => {
                for (name, member) in members.iter() {
                    steps.push(Step::Member(name));
                    self.name(name.as_bytes(), Place::Body, steps);
                    self.prototype(steps);
                    // Beside other members a class or a schema is named by it.
                    let type_of = *name == *"$type" && matches!(member, Value::Number(_) | Value::Array(_));
                    let operators = || members.iter().take(MEMBERS_MAX).all(|(name, _)| may_be_operator(name));
                    if type_of && steps.len() > 1 && operators() {
                        self.note(Category::Nosql, "nosql.operator", Place::Body, steps);
                    }
                    self.json(member, steps, schema.map(|schema| schema.member(name)).as_ref());
                    steps.pop();
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Whether a member may stand beside `$type` as an operator, and none of what serialisers have there.
fn may_be_operator(name: &str) -> bool {
    name.starts_with('$') && !matches!(name, "$id" | "$ref" | "$value" | "$values")
}

/// Members that are looked at beside one: an object of operators has few.
const MEMBERS_MAX: usize = 8;

/// Shorter runs in data are not judged: it has them by chance, and an attack takes more.
const RUN_BYTES_MIN: usize = 8;

/// Whether a parameter's text, found valid, is harmless by its form alone.
fn pinned(declared: Option<&Declared>, name: &[u8]) -> bool {
    declared.is_some_and(|declared| std::str::from_utf8(name).is_ok_and(|name| declared.pins_text(name)))
}
