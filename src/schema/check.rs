//! A document against compiled rules: bounded work, faults with their places and without their values.

use super::{ArrayRules, Node, NodeId, NumberRules, ObjectRules, Pattern, Rules, Schema, StringRules};
use crate::json::Value;
use crate::json::pointer::Place;
use crate::reply::PROBLEMS_MAX;
use crate::verdict::Problem;
use std::cmp::Ordering;

/// Work on one document, in steps of about 0.1 µs: it ends after about 0.2 s. A schema without branches takes one step
/// for each value, so this is for schemas that branch a hundredfold, and for long texts under large patterns.
const STEPS_MAX: u32 = 2_000_000;

/// Bytes of text times bytes of program that the pattern engine gets through in one step. Measured in V8: 6.2 µs for
/// each byte under `[a-z]{1,200}$`, a program of 8 to 16 KiB.
const PATTERN_WORK_PER_STEP: usize = 128;

/// Rules within rules: documents nest to 256 levels, each of which may pass a few references and branches. A schema
/// that refers to itself without going deeper ends here.
const NESTING_MAX: u32 = 1024;

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
    pub fn check(&self, value: &Value<'_>) -> Outcome {
        let mut check = Check {
            schema: self,
            steps: STEPS_MAX,
            nesting: 0,
            exhausted: false,
        };
        let mut problems = Some(Vec::new());
        let valid = check.node(0, value, Place::Root, &mut problems);
        match (check.exhausted, valid) {
            (true, _) => Outcome::TooCostly,
            (false, true) => Outcome::Valid,
            (false, false) => Outcome::Invalid(problems.unwrap_or_default()),
        }
    }
}

/// Where faults go; `None` while only the answer counts, as within `anyOf`.
type Problems = Option<Vec<Problem>>;

struct Check<'s> {
    schema: &'s Schema,
    steps: u32,
    nesting: u32,
    exhausted: bool,
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

impl Check<'_> {
    /// Pays for `steps`; `false` once the bound is met.
    fn pay(&mut self, steps: usize) -> bool {
        match u32::try_from(steps)
            .ok()
            .and_then(|steps| self.steps.checked_sub(steps))
        {
            Some(left) => self.steps = left,
            None => self.exhausted = true,
        }
        !self.exhausted
    }

    fn pay_match(&mut self, pattern: &Pattern, text: &str) -> bool {
        let work = text.len().saturating_add(1).saturating_mul(pattern.program_bytes);
        self.pay(work / PATTERN_WORK_PER_STEP + 1)
    }

    /// Whether to look on after a fault: for more faults to report, up to the bound.
    fn goes_on(valid: bool, problems: &Problems) -> bool {
        valid || problems.as_ref().is_some_and(|list| list.len() < PROBLEMS_MAX)
    }

    fn node(&mut self, id: NodeId, value: &Value<'_>, place: Place<'_>, problems: &mut Problems) -> bool {
        if !self.pay(1) {
            return false;
        }
        let rules = match self.schema.nodes.get(id) {
            Some(Node::Anything) => return true,
            Some(Node::Rules(rules)) => rules,
            Some(Node::Nothing) | None => return fault(problems, place, || "is not allowed".into()),
        };
        self.nesting += 1;
        let valid = if self.nesting > NESTING_MAX {
            self.exhausted = true;
            false
        } else {
            self.rules(rules, value, place, problems)
        };
        self.nesting -= 1;
        valid
    }

    fn quietly(&mut self, id: NodeId, value: &Value<'_>, place: Place<'_>) -> bool {
        self.node(id, value, place, &mut None)
    }

    fn rules(&mut self, rules: &Rules, value: &Value<'_>, place: Place<'_>, problems: &mut Problems) -> bool {
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
            valid &= self.node(target, value, place, problems);
        }
        valid &= match (value, &rules.number, &rules.string, &rules.array, &rules.object) {
            (Value::Number(n), Some(rules), ..) => number(rules, n, place, problems),
            (Value::String(text), _, Some(rules), ..) => self.string(rules, text, place, problems),
            (Value::Array(items), _, _, Some(rules), _) => self.array(rules, items, place, problems),
            (Value::Object(_), _, _, _, Some(rules)) => self.object(rules, value, place, problems),
            _ => true,
        };
        if Self::goes_on(valid, problems) {
            valid &= self.branches(rules, value, place, problems);
        }
        valid
    }

    fn branches(&mut self, rules: &Rules, value: &Value<'_>, place: Place<'_>, problems: &mut Problems) -> bool {
        let mut valid = true;
        for branch in &rules.all_of {
            valid &= self.node(*branch, value, place, problems);
        }
        if !rules.any_of.is_empty() && !rules.any_of.iter().any(|branch| self.quietly(*branch, value, place)) {
            valid = fault(problems, place, || "must have one of the allowed forms".into());
        }
        if !rules.one_of.is_empty() {
            let mut matching = 0_u32;
            for branch in &rules.one_of {
                matching += u32::from(self.quietly(*branch, value, place));
                if matching > 1 {
                    break;
                }
            }
            if matching != 1 {
                valid = fault(problems, place, || "must have exactly one of the allowed forms".into());
            }
        }
        if let Some(branch) = rules.not
            && self.quietly(branch, value, place)
        {
            valid = fault(problems, place, || "must not have this form".into());
        }
        if let Some(condition) = &rules.condition {
            let branch = if self.quietly(condition.test, value, place) {
                condition.then
            } else {
                condition.otherwise
            };
            valid &= branch.is_none_or(|branch| self.node(branch, value, place, problems));
        }
        valid
    }

    fn string(&mut self, rules: &StringRules, text: &str, place: Place<'_>, problems: &mut Problems) -> bool {
        if !self.pay(text.len() / 64) {
            return false;
        }
        let mut valid = true;
        if rules.chars_min.is_some() || rules.chars_max.is_some() {
            let chars = count(text.chars().count());
            if let Some(least) = rules.chars_min.filter(|least| chars < *least) {
                valid = fault(problems, place, || {
                    format!("must have at least {}", plural(least, "character", "characters"))
                });
            }
            if let Some(most) = rules.chars_max.filter(|most| chars > *most) {
                valid = fault(problems, place, || {
                    format!("must have at most {}", plural(most, "character", "characters"))
                });
            }
        }
        if let Some(pattern) = &rules.pattern {
            // A string over its length is not matched: a pattern costs pattern times text.
            if !valid || !self.pay_match(pattern, text) || !pattern.regex.is_match(text) {
                valid = fault(problems, place, || "must match the pattern".into());
            }
        }
        if let Some(format) = rules.format
            && !format.admits(text)
        {
            valid = fault(problems, place, || format.describe().into());
        }
        valid
    }

    fn array(&mut self, rules: &ArrayRules, items: &[Value<'_>], place: Place<'_>, problems: &mut Problems) -> bool {
        let mut valid = true;
        let length = count(items.len());
        if let Some(least) = rules.items_min.filter(|least| length < *least) {
            valid = fault(problems, place, || {
                format!("must have at least {}", plural(least, "item", "items"))
            });
        }
        if let Some(most) = rules.items_max.filter(|most| length > *most) {
            return fault(problems, place, || {
                format!("must have at most {}", plural(most, "item", "items"))
            });
        }
        for (i, item) in items.iter().enumerate() {
            let node = rules.prefix.get(i).copied().or(rules.items);
            if let Some(node) = node {
                valid &= self.node(node, item, Place::Element(&place, i), problems);
            }
            if self.exhausted || !Self::goes_on(valid, problems) {
                return false;
            }
        }
        if let Some(contains) = &rules.contains {
            let mut matching = 0_u64;
            for (i, item) in items.iter().enumerate() {
                matching += u64::from(self.quietly(contains.node, item, Place::Element(&place, i)));
            }
            if matching < contains.least || contains.most.is_some_and(|most| matching > most) {
                valid = fault(problems, place, || {
                    "must contain the expected number of matching items".into()
                });
            }
        }
        if rules.unique && !self.unique(items) {
            valid = fault(problems, place, || "must not hold an item twice".into());
        }
        valid
    }

    /// Sorts by a total order (sorting by one with contradictions panics) and looks at neighbours; the cost is paid beforehand.
    fn unique(&mut self, items: &[Value<'_>]) -> bool {
        let levels = usize::BITS.saturating_sub(items.len().leading_zeros());
        let comparisons = items
            .len()
            .saturating_mul(usize::try_from(levels).unwrap_or(usize::MAX));
        if !self.pay(comparisons) {
            return false;
        }
        let mut sorted: Vec<&Value<'_>> = items.iter().collect();
        sorted.sort_by(|a, b| order(a, b));
        sorted.windows(2).all(|pair| match pair {
            [a, b] => order(a, b) != Ordering::Equal,
            _ => true,
        })
    }

    fn object(&mut self, rules: &ObjectRules, value: &Value<'_>, place: Place<'_>, problems: &mut Problems) -> bool {
        let Some(object) = value.as_object() else { return true };
        let mut valid = true;
        let length = count(object.len());
        if let Some(least) = rules.members_min.filter(|least| length < *least) {
            valid = fault(problems, place, || {
                format!("must have at least {}", plural(least, "member", "members"))
            });
        }
        if let Some(most) = rules.members_max.filter(|most| length > *most) {
            return fault(problems, place, || {
                format!("must have at most {}", plural(most, "member", "members"))
            });
        }
        let mut require = |name: &String, valid: &mut bool| {
            if object.get(name).is_none() {
                *valid = fault(problems, Place::Member(&place, name), || "is required".into());
            }
        };
        rules.required.iter().for_each(|name| require(name, &mut valid));
        for (trigger, names) in &rules.dependent_required {
            if object.get(trigger).is_some() {
                names.iter().for_each(|name| require(name, &mut valid));
            }
        }
        for (name, member) in object.iter() {
            let here = Place::Member(&place, name);
            let mut declared = false;
            if let Ok(at) = rules.properties.binary_search_by(|(known, _)| known.as_str().cmp(name)) {
                declared = true;
                let node = rules.properties.get(at).map(|(_, node)| *node);
                valid &= node.is_none_or(|node| self.node(node, member, here, problems));
            }
            for (pattern, node) in &rules.patterns {
                if self.pay_match(pattern, name) && pattern.regex.is_match(name) {
                    declared = true;
                    valid &= self.node(*node, member, here, problems);
                }
            }
            if let Some(node) = rules.additional.filter(|_| !declared) {
                valid &= self.node(node, member, here, problems);
            }
            if let Some(node) = rules.names
                && !self.quietly(node, &Value::String(name.into()), here)
            {
                valid = fault(problems, here, || "has a name that is not allowed".into());
            }
            if self.exhausted || !Self::goes_on(valid, problems) {
                return false;
            }
        }
        for (trigger, node) in &rules.dependent_schemas {
            if object.get(trigger).is_some() {
                valid &= self.node(*node, value, place, problems);
            }
        }
        valid
    }
}

fn number(rules: &NumberRules, value: &crate::json::Number<'_>, place: Place<'_>, problems: &mut Problems) -> bool {
    let mut valid = true;
    let bounds = [
        (&rules.minimum, "at least", Ordering::Less, false),
        (&rules.maximum, "at most", Ordering::Greater, false),
        (&rules.above, "more than", Ordering::Less, true),
        (&rules.below, "less than", Ordering::Greater, true),
    ];
    for (bound, words, beyond, exclusive) in bounds {
        let Some(bound) = bound else { continue };
        let order = value.compare(bound);
        if order == beyond || (exclusive && order == Ordering::Equal) {
            valid = fault(problems, place, || format!("must be {words} {}", bound.text()));
        }
    }
    if let Some(step) = &rules.multiple_of
        && !value.is_multiple_of(step)
    {
        valid = fault(problems, place, || format!("must be a multiple of {}", step.text()));
    }
    valid
}

/// A total order in which equal means equal as JSON Schema has it.
fn order(a: &Value<'_>, b: &Value<'_>) -> Ordering {
    let rank = |value: &Value<'_>| match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    };
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => a.compare(b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => {
            let first_difference = a
                .iter()
                .zip(b)
                .map(|(a, b)| order(a, b))
                .find(|o| *o != Ordering::Equal);
            first_difference.unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        (Value::Object(a), Value::Object(b)) => {
            let sorted = |object: &crate::json::Object<'_>| {
                let mut names: Vec<String> = object.iter().map(|(name, _)| name.to_owned()).collect();
                names.sort_unstable();
                names
            };
            let (names_a, names_b) = (sorted(a), sorted(b));
            names_a.cmp(&names_b).then_with(|| {
                let values = names_a
                    .iter()
                    .filter_map(|name| Some(order(a.get(name)?, b.get(name)?)));
                values
                    .into_iter()
                    .find(|o| *o != Ordering::Equal)
                    .unwrap_or(Ordering::Equal)
            })
        }
        _ => rank(a).cmp(&rank(b)),
    }
}
