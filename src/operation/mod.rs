//! From host, method and path to the operation and its rules. Hosts, segments and methods are looked up in a tree, so that
//! the cost follows the request's length and not the number of operations. The most concrete declaration wins.

mod authority;
mod router;
mod template;

pub use authority::{HOST_EXPECTED, HostPattern, host_of};
pub use router::{Route, Router};
pub use template::{Segment, TEMPLATE_EXPECTED, TEMPLATE_SEGMENTS_MAX, parse_template};

use crate::guard::requests::BodyRule;
use crate::guard::requests::parameters::Parameters;
use crate::guard::threats::ThreatMode;
use crate::guard::token::Requirement;
use crate::verdict::Mode;

/// An operation of the configuration, and its rules.
#[derive(Debug)]
pub struct Operation {
    pub id: String,
    /// In place of `tokens.default`.
    pub token: Option<Requirement>,
    pub scopes: Vec<String>,
    /// Units that a request takes of its quotas.
    pub cost: u32,
    pub mode: Option<Mode>,
    /// What it says of parameters in path, query, header fields and cookies.
    pub parameters: Parameters,
    /// In place of `threats`' modes: off, shadow or enforce.
    pub threats: Option<ThreatMode>,
    pub body: Option<BodyRule>,
}
