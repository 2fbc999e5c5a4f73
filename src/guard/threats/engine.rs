//! The rules, compiled, and the order in which they are asked about a value and its layers.

use super::effort::Effort;
use super::literals::{Around, Group};
use super::profile::class;
use super::words::Literals;
use super::{
    Account, Categories, Category, Finding, Kind, address, agent, bytes, command, decode, disguise, file, head, left,
    literals, mail, php, profile, query, rejoin, script, sql,
};
use std::cell::{Cell, OnceCell};

/// Taken from a value's [`Effort`], in its steps: for a byte of each layer, in prose and else, for a place from which literals
/// are sought, and for one that is found, beside what stands around it ([`Around::steps`]).
const LAYER_STEPS: (usize, usize) = (4, 6);
const WALK_STEPS: usize = 12;
const HIT_STEPS: usize = 20;

/// A group, and a bit for each kind of place in which its literals mean something.
type Meaning = (&'static Group, u16);

/// The rules, compiled once.
pub struct Engine {
    pub(super) finder: Literals,
    /// For each literal of the finder, its length and the groups it belongs to.
    pub(super) literals: Vec<(usize, Vec<Meaning>)>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Engine({} literals)", self.literals.len())
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

/// What deserialisation attacks are built from, names of Java classes most of it; looked for in base64 too, in which
/// serialised objects travel.
const GADGETS: [&str; 17] = [
    "_$$ND_FUNC$$_",
    "child_process",
    "while(true)",
    "clonetransformer",
    "forclosure",
    "instantiatefactory",
    "instantiatetransformer",
    "invokertransformer",
    "prototypeclonefactory",
    "prototypeserializationfactory",
    "whileclosure",
    "processbuilder",
    "java.lang.Runtime",
    "getRuntime",
    "InvokerTransformer",
    "ProcessBuilder",
    "TemplatesImpl",
];

impl Engine {
    pub fn new() -> Self {
        let mut texts: Vec<(Vec<u8>, Meaning)> = Vec::new();
        let mut add = |text: Vec<u8>, group: &'static Group| {
            let means = Kind::ALL.iter().filter(|kind| allows(group, **kind));
            texts.push((text, (group, means.fold(0, |kinds, kind| kinds | kind.bit()))));
        };
        for group in literals::groups() {
            for text in group.texts {
                add(text.as_bytes().to_vec(), group);
            }
        }
        if let Some(group) = literals::groups().find(|group| group.rule == "expression.serialised") {
            for gadget in GADGETS {
                for skip in 0..3 {
                    add(base64_core(gadget.as_bytes(), skip), group);
                }
            }
        }
        crate::sort::by(&mut texts, |(a, _), (b, _)| a.cmp(b));
        let mut spelt: Vec<&[u8]> = Vec::new();
        let mut literals: Vec<(usize, Vec<Meaning>)> = Vec::new();
        for (text, means) in &texts {
            match literals.last_mut() {
                Some((_, groups)) if spelt.last() == Some(&text.as_slice()) => groups.push(*means),
                _ => {
                    spelt.push(text);
                    literals.push((text.len(), vec![*means]));
                }
            }
        }
        let finder = Literals::new(spelt.iter().copied());
        Self { finder, literals }
    }

    /// Bytes of memory that the compiled rules take.
    pub fn bytes(&self) -> usize {
        self.finder.bytes() + self.literals.len() * size_of::<(usize, Vec<&Group>)>()
    }

    /// Judges a value and the layers beneath it. `report` is called for findings of the wanted categories, at most once
    /// for each category, and says by `true` that it has heard enough. Gives the bytes that were judged; `None` if it was
    /// left unfinished, since it costs more than what people or programs write: more than its length, and what earlier values
    /// of the request left of the account, allow.
    pub fn judge(
        &self,
        value: &[u8],
        kind: Kind,
        wanted: Categories,
        account: &mut Account,
        report: &mut dyn FnMut(Finding) -> bool,
    ) -> Option<u64> {
        let mut effort = Effort::new(account, value.len());
        let judged = self.judge_layers(value, kind, wanted, &mut effort, report);
        effort.settle(account);
        judged
    }

    fn judge_layers(
        &self,
        value: &[u8],
        kind: Kind,
        wanted: Categories,
        effort: &mut Effort,
        report: &mut dyn FnMut(Finding) -> bool,
    ) -> Option<u64> {
        let mut left = wanted;
        let mut judged = 0_u64;
        let mut layer = value;
        let mut decoded: Vec<u8>;
        for _ in 0..=decode::LAYERS_MAX {
            judged = judged.saturating_add(u64::try_from(layer.len()).unwrap_or(u64::MAX));
            let bits = profile::bits(layer);
            let mut all = Listener {
                counts: &|_| true,
                report,
            };
            let mut heard = self.judge_layer(layer, bits, kind, &mut left, effort, &mut all);
            if kind == Kind::Parameter && !heard && bits & class::CONTROL != 0 && profile::is_document(layer) {
                heard = self.judge_outer_lines(layer, &mut left, effort, report);
            }
            if effort.is_spent() && !heard {
                return None;
            }
            if heard || left.is_empty() || bits & class::ENCODED == 0 {
                break;
            }
            match decode::step(layer) {
                Some(next) => {
                    decoded = next;
                    layer = &decoded;
                }
                None => break,
            }
        }
        Some(judged)
    }

    pub(super) fn judge_layer(
        &self,
        layer: &[u8],
        bits: u16,
        kind: Kind,
        left: &mut Categories,
        effort: &mut Effort,
        listener: &mut Listener<'_>,
    ) -> bool {
        // Letters, digits, `-`, `,`: nothing in it acts, but for what is serialised or a command by itself.
        let plain = bits & !(class::DIGIT) == 0;
        if layer.len() < 3 || plain && layer.len() < 5 {
            return false;
        }
        let prose = bits & class::BLANK != 0
            && matches!(kind, Kind::Json | Kind::Parameter | Kind::Text)
            && (profile::is_prose(layer) || profile::is_document(layer))
            || bits & class::MARK != 0 && matches!(kind, Kind::Json | Kind::Text) && profile::is_fenced(layer);
        // Code that prose marks stands as blanks in `bare`; what acts whoever reads it is sought there too.
        let whole = layer;
        let bare = (prose && bits & class::MARK != 0).then(|| profile::without_code(layer));
        let layer = bare.as_deref().unwrap_or(layer);
        effort.spend(
            layer
                .len()
                .saturating_mul(if prose { LAYER_STEPS.0 } else { LAYER_STEPS.1 }),
        );
        let mut verdict = Verdict {
            left,
            listener,
            effort,
            stop: false,
        };
        let around = literals::Text {
            bytes: layer,
            prose,
            blank: bits & class::BLANK != 0,
            json: kind == Kind::Json,
            code: matches!(kind, Kind::Json | Kind::Text),
            section: OnceCell::new(),
            opening: OnceCell::new(),
            read: Cell::new(0),
            joined: OnceCell::new(),
        };
        let walks = self.finder.scan(whole, |id, end| {
            let Some((len, groups)) = self.literals.get(id) else {
                return false;
            };
            verdict.effort.spend(HIT_STEPS);
            if verdict.effort.is_spent() {
                return true;
            }
            for (group, kinds) in groups {
                let start = end.saturating_sub(*len);
                let marked = layer.get(start) != whole.get(start) && group.around != Around::Strong;
                if !verdict.left.has(group.category) || marked || kinds & kind.bit() == 0 {
                    continue;
                }
                verdict.effort.spend(group.around.steps());
                let confirmed = literals::confirmed(&around, group.around, start, end);
                verdict.effort.spend(around.read.take());
                if confirmed {
                    verdict.found(group.category, group.rule);
                }
            }
            verdict.stop
        });
        verdict.effort.spend(walks * WALK_STEPS);
        if verdict.stop || verdict.effort.is_spent() || plain || kind == Kind::Structured {
            return verdict.stop;
        }
        // In prose each looks for one thing only: a quote that closes, a tag, a shell's separator or substitution.
        // Only an agent that has quotes and no slash is judged as other values are.
        let unquoted = kind == Kind::Agent && (bits & class::SLASH != 0 || bits & class::QUOTE == 0);
        let sql = !unquoted && (!prose || bits & class::QUOTE != 0);
        verdict.ask(Category::Sql, sql, |effort| {
            sql::judge(layer, bits & class::QUOTE != 0, prose, effort)
        });
        let markup = if prose {
            class::ANGLE
        } else {
            class::ANGLE | class::COLON | class::OPERATOR
        };
        verdict.ask(Category::Script, bits & markup != 0, |effort| {
            script::judge(layer, prose, effort)
        });
        let field = matches!(kind, Kind::Parameter | Kind::Cookie | Kind::Name);
        // `-1 or 1`, `0 or-1`, `1 or id-- -`
        let worded = || {
            bits & class::BLANK != 0
                && (layer.first() == Some(&b'-')
                    || layer.first().is_some_and(u8::is_ascii_digit) && bytes::find_pair(layer, 0, *b"r-").is_some()
                    || bytes::find_pair(layer, 0, *b"--").is_some())
        };
        let signs = bits & !(class::DIGIT | class::UNDERSCORE | class::BLANK) != 0;
        let pieces = !prose && (field || matches!(kind, Kind::Agent | Kind::Header)) && (signs || worded());
        verdict.ask(Category::Sql, pieces, |_| sql::fragment::judge(layer, bits, field));
        let brackets = kind == Kind::Json && !prose && bits & class::PAREN != 0;
        verdict.ask(Category::Sql, brackets, |_| {
            sql::brackets::reopens(layer, true).then_some("sql.boolean")
        });
        verdict.ask(Category::Script, pieces && field, |_| {
            disguise::judge(layer, bits, kind)
        });
        let shells = if prose {
            class::SHELL | class::BRACE | class::OPERATOR
        } else {
            class::SHELL | class::BLANK | class::QUOTE
        };
        // Of a password, only what expands.
        let expands = kind != Kind::Secret
            || bytes::find_pair(layer, 0, *b"$(").is_some()
            || bytes::find_pair(layer, 0, *b"${").is_some();
        let agent = || kind == Kind::Agent && agent::is_one(layer);
        let shell = bits & shells != 0 && expands && !agent();
        verdict.ask(Category::Command, shell, |effort| command::judge(layer, prose, effort));
        if prose {
            return verdict.stop;
        }
        verdict.ask(
            Category::Command,
            bits & class::GLOB != 0 && bits & class::SLASH != 0,
            |_| command::glob::globbed_path(layer).then_some("command.glob"),
        );
        verdict.ask(
            Category::Command,
            field && bits & (class::PAREN | class::BRACE) != 0,
            |_| php::judge(layer, bits),
        );
        verdict.ask(Category::Command, pieces && field, |_| {
            command::fragment::judge(layer, bits)
        });
        verdict.ask(
            Category::Path,
            bits & (class::SLASH | class::DOT | class::ENCODED) != 0,
            |_| file::judge(layer, kind),
        );
        let query = matches!(
            kind,
            Kind::Parameter | Kind::Cookie | Kind::Json | Kind::Text | Kind::Name
        );
        verdict.ask(
            Category::Nosql,
            query && bits & (class::BRACE | class::PAREN | class::SHELL) != 0,
            |effort| query::judge(layer, effort),
        );
        let members = field && bits & class::QUOTE != 0 && bits & class::COLON != 0;
        verdict.ask(Category::Nosql, members, |_| query::member(layer));
        verdict.ask(
            Category::Nosql,
            kind == Kind::Secret && bits & class::BRACE != 0,
            |effort| query::operator(layer, effort),
        );
        // Whoever looks a user up in a document puts names, passwords and fields of the head into a path.
        let path = bits & class::GLOB != 0 && bits & class::SHELL != 0 && bits & (class::SLASH | class::COLON) != 0;
        verdict.ask(Category::Nosql, path, |effort| left::path(layer, effort));
        verdict.ask(Category::Nosql, query && bits & class::QUOTE != 0, |_| {
            rejoin::judge(layer).then_some("nosql.expression")
        });
        verdict.ask(
            Category::Header,
            bits & class::CONTROL != 0 && kind != Kind::Json,
            |_| mail::judge(layer),
        );
        let addressed = bits & class::CONTROL != 0 && bits & class::COLON != 0 && kind == Kind::Json;
        verdict.ask(Category::Header, addressed, |_| {
            mail::addressed(layer).then_some("header.mail")
        });
        verdict.ask(
            Category::Header,
            (bits & class::CONTROL != 0 || bits & class::ENCODED != 0 && bits & class::COLON != 0)
                && matches!(kind, Kind::Path | Kind::Parameter | Kind::Cookie | Kind::Referer),
            |_| head::splits(layer, kind == Kind::Path).then_some("header.split"),
        );
        let addresses =
            bits & class::COLON != 0 && matches!(kind, Kind::Parameter | Kind::Json | Kind::Cookie | Kind::Text);
        verdict.ask(Category::RequestForgery, addresses, |effort| {
            address::judge(layer, effort)
        });
        verdict.stop
    }
}

/// Whether a group's literals mean something in a kind of place.
fn allows(group: &Group, kind: Kind) -> bool {
    match (group.rule, kind) {
        ("expression.jndi", _) => true,
        (_, Kind::Structured) => false,
        ("path.upload", _) => kind == Kind::FileName,
        // What a client calls a member is often what it is about: `all_users`.
        ("sql.catalogue", Kind::Name) => group.around != Around::Lone,
        ("path.hidden", _) => matches!(kind, Kind::Path | Kind::Parameter | Kind::Header | Kind::FileName),
        ("header.split", Kind::Json) => group.around == Around::Split,
        ("expression.node" | "expression.ruby" | "script.object" | "template.settings", Kind::Json) => false,
        // Frames of a stack have PHP's functions by name.
        ("command.php", Kind::Json) => group.around != Around::Whole,
        // Addresses by themselves are data as a rule (a log's `client_ip`); URLs are judged wherever they stand.
        ("request_forgery.loopback" | "request_forgery.data", Kind::Json) => false,
        (
            "request_forgery.loopback" | "request_forgery.metadata" | "request_forgery.scheme" | "request_forgery.data",
            Kind::Referer | Kind::Header | Kind::Agent,
        ) => false,
        // Documentation and repositories of packages have their names in paths; what is more than a name is judged segment
        // by segment.
        ("command.shell" | "expression.class" | "expression.node", Kind::Path) => false,
        _ => true,
    }
}

/// Who hears of findings, and which rules' count where they are made.
pub(super) struct Listener<'r> {
    pub counts: &'r dyn Fn(&str) -> bool,
    pub report: &'r mut dyn FnMut(Finding) -> bool,
}

struct Verdict<'l, 'r> {
    left: &'l mut Categories,
    listener: &'l mut Listener<'r>,
    effort: &'l mut Effort,
    stop: bool,
}

impl Verdict<'_, '_> {
    fn found(&mut self, category: Category, rule: &'static str) {
        // What does not count hides nothing of its category that does.
        if (self.listener.counts)(rule) {
            *self.left = self.left.without(Categories::NONE.with(category));
            self.stop |= (self.listener.report)(Finding { category, rule });
        }
    }

    fn ask(&mut self, category: Category, sensible: bool, judge: impl FnOnce(&mut Effort) -> Option<&'static str>) {
        if !self.stop
            && sensible
            && self.left.has(category)
            && !self.effort.is_spent()
            && let Some(rule) = judge(self.effort)
        {
            self.found(category, rule);
        }
    }
}

/// The characters of a text's base64 that don't depend on what stands around it, `skip` bytes into a group of three.
fn base64_core(text: &[u8], skip: usize) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bits = 0_u32;
    let mut held = 0_u32;
    let mut out = Vec::new();
    for byte in vec![0; skip].into_iter().chain(text.iter().copied()) {
        bits = bits << 8 | u32::from(byte);
        held += 8;
        while held >= 6 {
            held -= 6;
            let index = bits >> held & 0x3F;
            out.extend(usize::try_from(index).ok().and_then(|i| ALPHABET.get(i)));
        }
        bits &= 0xFF;
    }
    // The characters that hold bits of what stands in front.
    out.drain(..out.len().min(if skip == 0 { 0 } else { skip + 1 }));
    out
}
