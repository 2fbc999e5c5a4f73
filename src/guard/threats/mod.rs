//! Malicious content: whether a value of a request carries an attack in the text that validation lets pass.
//!
//! A pure engine: bytes and the kind of place they stand in go in, findings (a category and a rule) come out. It judges
//! decoded values, never the raw request, and each layer of the decoding chain once. It never keeps, shows or changes
//! what it judges. Work is linear in the value's length: one pass for its profile, one for all literals, one for each
//! tokeniser, for at most [`decode::LAYERS_MAX`] layers more; an account of steps and a budget of bytes bound the request.

mod address;
mod agent;
mod bytes;
mod command;
pub mod decode;
mod disguise;
mod effort;
mod engine;
mod file;
mod head;
mod left;
mod lines;
mod literals;
mod mail;
mod php;
pub mod profile;
mod query;
mod rejoin;
pub mod request;
mod returns;
mod script;
mod sql;
#[cfg(test)]
mod tests;
mod words;
mod written;

use crate::verdict::{Mode, Reason};
pub use effort::Account;
pub use engine::Engine;
use engine::Listener;

/// A kind of attack, by its name in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Category {
    Sql,
    Script,
    Path,
    Command,
    Template,
    Expression,
    Nosql,
    Xml,
    RequestForgery,
    Header,
}

impl Category {
    pub const ALL: [(&'static str, Self); 10] = [
        ("sql", Self::Sql),
        ("script", Self::Script),
        ("path", Self::Path),
        ("command", Self::Command),
        ("template", Self::Template),
        ("expression", Self::Expression),
        ("nosql", Self::Nosql),
        ("xml", Self::Xml),
        ("request_forgery", Self::RequestForgery),
        ("header", Self::Header),
    ];

    pub const fn reason(self) -> Reason {
        match self {
            Self::Sql => Reason::ThreatSql,
            Self::Script => Reason::ThreatScript,
            Self::Path => Reason::ThreatPath,
            Self::Command => Reason::ThreatCommand,
            Self::Template => Reason::ThreatTemplate,
            Self::Expression => Reason::ThreatExpression,
            Self::Nosql => Reason::ThreatNosql,
            Self::Xml => Reason::ThreatXml,
            Self::RequestForgery => Reason::ThreatRequestForgery,
            Self::Header => Reason::ThreatHeader,
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A set of categories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Categories(u16);

impl Categories {
    pub const NONE: Self = Self(0);

    pub const fn with(self, category: Category) -> Self {
        Self(self.0 | category.bit())
    }

    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub const fn has(self, category: Category) -> bool {
        self.0 & category.bit() != 0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What kind of place a value stands in: it decides which rules ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The path, normalised.
    Path,
    /// A query or form parameter's value.
    Parameter,
    /// A parameter's or member's name.
    Name,
    /// A header field without a grammar of its own.
    Header,
    /// `user-agent`, whose grammar has comments in parentheses.
    Agent,
    /// A URL of this or another site: `referer`, `origin`.
    Referer,
    /// A header field with a grammar, in which quotes and semicolons are common.
    Structured,
    Cookie,
    /// A password in one piece, whose signs are random: what tells an attack by a sign or two does not ask.
    Secret,
    /// A string of a JSON document.
    Json,
    FileName,
    /// A body, or a part of one, as a whole.
    Text,
}

/// What the engine found: never the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    pub category: Category,
    /// Stable, such as `sql.union`.
    pub rule: &'static str,
}

/// How a category or an operation is to be judged (`threats.modes`, `operations[].threats`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThreatMode {
    Off,
    On(Mode),
}

/// A place in which some categories are not looked for.
#[derive(Debug)]
pub struct Exemption {
    /// The operation's id; `None` for all.
    pub operation: Option<String>,
    /// A pointer such as `/body/text`, `/query/q`, `/headers/x-note`, `/cookies/c` or `/path`: it and what is below.
    pub at: String,
    pub categories: Categories,
}

/// The configuration's `threats`, compiled.
#[derive(Debug)]
pub struct ThreatPolicy {
    pub mode: Option<Mode>,
    pub categories: Categories,
    /// Modes of single categories.
    pub modes: Vec<(Category, ThreatMode)>,
    pub exempt: Vec<Exemption>,
    /// Bytes that are judged for one request, decoded layers included.
    pub budget_bytes: u64,
    pub engine: Engine,
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::Path,
        Self::Parameter,
        Self::Name,
        Self::Header,
        Self::Agent,
        Self::Referer,
        Self::Structured,
        Self::Cookie,
        Self::Secret,
        Self::Json,
        Self::FileName,
        Self::Text,
    ];

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

// A kind that is not listed would be asked by no literal's rule. The last stays last.
const _: () = assert!(Kind::Text as usize + 1 == Kind::ALL.len());
