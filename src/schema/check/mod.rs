//! A document against compiled rules: bounded work, faults with their places and without their values.

mod array;
mod branches;
mod object;
mod scalars;

use super::seen::Seen;
use super::{Node, NodeId, Rules, Schema, Set};
use crate::json::Value;
use crate::json::pointer::Place;
use crate::reply::PROBLEMS_MAX;
use crate::verdict::Problem;

/// Work on one document, in units of about 10 ns natively and twice that in the module: it ends after about 0.2 s. A
/// schema without branches takes one step for each value, so this is for schemas that branch a hundredfold, and for long
/// texts under large patterns.
const WORK_MAX: u64 = 10_000_000;

/// Units for one schema at one value.
const STEP: usize = 10;

/// Rules within rules: documents nest to 256 levels, each of which may pass a reference. A schema that refers to itself
/// without going deeper ends here. One takes up to 1 KiB of the module's stack of 1 MiB.
const NESTING_MAX: u32 = 600;

/// What became of a check.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Valid,
    /// The faults found first, at most [`PROBLEMS_MAX`].
    Invalid(Vec<Problem>),
    /// The bound on work was met before a verdict.
    TooCostly,
}

impl Schema {
    /// Checks a value. Its faults never show it.
    pub fn check(&self, value: &Value<'_>) -> Outcome {
        // Rules that are still being compiled admit nothing.
        let Some(set) = self.set.get() else {
            return Outcome::TooCostly;
        };
        let mut check = Check {
            set,
            work: WORK_MAX,
            nesting: 0,
            exhausted: false,
            way: Vec::new(),
        };
        let mut problems = Some(Vec::new());
        let valid = check.node(self.root, value, Place::Root, &mut problems, None);
        match (check.exhausted, valid) {
            (true, _) => Outcome::TooCostly,
            (false, true) => Outcome::Valid,
            (false, false) => Outcome::Invalid(problems.unwrap_or_default()),
        }
    }
}

/// Where faults go; `None` while only the answer counts, as within `not`.
type Problems = Option<Vec<Problem>>;

/// Where what was looked at is noted; `None` if nobody asks.
type Notes<'n> = Option<&'n mut Seen>;

struct Check<'s> {
    set: &'s Set,
    work: u64,
    nesting: u32,
    exhausted: bool,
    /// The resources on the way here, the outermost first (the dynamic scope), if any rule asks for it.
    way: Vec<usize>,
}

/// Notes a fault; always `false`, the answer.
fn fault(problems: &mut Problems, place: Place<'_>, problem: impl FnOnce() -> String) -> bool {
    if let Some(list) = problems
        && list.len() < PROBLEMS_MAX
    {
        list.push(Problem {
            at: place.to_string(),
            problem: problem(),
        });
    }
    false
}

fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

impl<'s> Check<'s> {
    /// Pays for `steps`; `false` once the bound is met.
    fn pay(&mut self, steps: usize) -> bool {
        match self.work.checked_sub(count(steps.saturating_mul(STEP))) {
            Some(left) => self.work = left,
            None => self.exhausted = true,
        }
        !self.exhausted
    }

    /// Whether to look on after a fault: for more faults to report, up to the bound.
    fn goes_on(&self, valid: bool, problems: &Problems) -> bool {
        !self.exhausted && (valid || problems.as_ref().is_some_and(|list| list.len() < PROBLEMS_MAX))
    }

    /// A value against the schema `id`. What it looks at goes to `notes` if it holds.
    fn node(
        &mut self,
        id: NodeId,
        value: &Value<'_>,
        place: Place<'_>,
        problems: &mut Problems,
        notes: Notes<'_>,
    ) -> bool {
        if !self.pay(1) {
            return false;
        }
        let rules = match self.set.nodes.get(id) {
            Some(Node::Anything) => return true,
            Some(Node::Rules(rules)) => rules,
            Some(Node::Nothing) | None => return fault(problems, place, || "is not allowed".into()),
        };
        if self.nesting >= NESTING_MAX {
            self.exhausted = true;
            return false;
        }
        self.nesting += 1;
        let entered = self.set.has_dynamic && self.way.last() != Some(&rules.resource);
        if entered {
            self.way.push(rules.resource);
        }
        let asks = rules.unevaluated_items.is_some()
            || rules.object.as_ref().is_some_and(|object| object.unevaluated.is_some());
        let valid = if asks || notes.is_some() {
            self.noting(rules, value, place, problems, notes)
        } else {
            self.rules(rules, value, place, problems, &mut None)
        };
        if entered {
            self.way.pop();
        }
        self.nesting -= 1;
        valid
    }

    /// As [`Check::rules`], where someone asks what was looked at.
    fn noting(
        &mut self,
        rules: &'s Rules,
        value: &Value<'_>,
        place: Place<'_>,
        problems: &mut Problems,
        notes: Notes<'_>,
    ) -> bool {
        let mut seen = Seen::none(value);
        if !self.pay(seen.len() / 16) {
            return false;
        }
        let mut valid = self.rules(rules, value, place, problems, &mut Some(&mut seen));
        if self.goes_on(valid, problems) {
            valid &= self.unevaluated(rules, value, place, problems, &mut seen);
        }
        if let (true, Some(notes)) = (valid, notes) {
            notes.add(&seen);
        }
        valid
    }

    /// What no other keyword has looked at.
    fn unevaluated(
        &mut self,
        rules: &'s Rules,
        value: &Value<'_>,
        place: Place<'_>,
        problems: &mut Problems,
        seen: &mut Seen,
    ) -> bool {
        let mut valid = true;
        if let (Some(node), Value::Array(items)) = (rules.unevaluated_items, value) {
            for (at, item) in items.iter().enumerate() {
                if !seen.is_marked(at) && self.goes_on(valid, problems) {
                    valid &= self.node(node, item, Place::Element(&place, at), problems, None);
                    seen.mark(at);
                }
            }
        }
        let node = rules.object.as_ref().and_then(|object| object.unevaluated);
        if let (Some(node), Value::Object(members)) = (node, value) {
            for (at, (name, member)) in members.iter().enumerate() {
                if !seen.is_marked(at) && self.goes_on(valid, problems) {
                    valid &= self.node(node, member, Place::Member(&place, name), problems, None);
                    seen.mark(at);
                }
            }
        }
        valid
    }

    fn quietly(&mut self, id: NodeId, value: &Value<'_>, place: Place<'_>) -> bool {
        self.node(id, value, place, &mut None, None)
    }

    fn rules(
        &mut self,
        rules: &'s Rules,
        value: &Value<'_>,
        place: Place<'_>,
        problems: &mut Problems,
        notes: &mut Notes<'_>,
    ) -> bool {
        if let Some(types) = rules.types
            && !types.admits(value)
        {
            return fault(problems, place, || format!("must be {}", types.describe()));
        }
        let mut valid = true;
        if let Some(allowed) = &rules.allowed {
            let found = allowed.iter().any(|a| a == value);
            if !self.pay(allowed.len()) || !found {
                valid = fault(problems, place, || "must be one of the allowed values".into());
            }
        }
        if let Some(target) = rules.reference {
            valid &= self.node(target, value, place, problems, notes.as_deref_mut());
        }
        if let Some(dynamic) = &rules.dynamic {
            let outermost = self
                .way
                .iter()
                .find_map(|resource| dynamic.anchors.iter().find(|(known, _)| known == resource));
            let target = outermost.map_or(dynamic.fallback, |(_, node)| *node);
            valid &= self.node(target, value, place, problems, notes.as_deref_mut());
        }
        valid &= match (value, &rules.number, &rules.string, &rules.array, &rules.object) {
            (Value::Number(n), Some(rules), ..) => scalars::number(rules, n, place, problems),
            (Value::String(text), _, Some(rules), ..) => self.string(rules, text, place, problems),
            (Value::Array(items), _, _, Some(rules), _) => self.array(rules, items, place, problems, notes),
            (Value::Object(members), _, _, _, Some(rules)) => {
                self.object(rules, members, value, place, problems, notes)
            }
            _ => true,
        };
        if let Some(branches) = &rules.branches
            && self.goes_on(valid, problems)
        {
            valid &= self.branches(branches, value, place, problems, notes);
        }
        // Over the bound nothing is valid.
        valid && !self.exhausted
    }
}
