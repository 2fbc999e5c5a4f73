//! Objects.

use super::{Check, Notes, Problems, count, fault, plural};
use crate::json::pointer::Place;
use crate::json::{Object, Value};
use crate::schema::ObjectRules;

impl<'s> Check<'s> {
    pub(super) fn object(
        &mut self,
        rules: &'s ObjectRules,
        object: &Object<'_>,
        value: &Value<'_>,
        place: Place<'_>,
        problems: &mut Problems,
        notes: &mut Notes<'_>,
    ) -> bool {
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
        if !self.pay(rules.required.len() / 8) {
            return false;
        }
        let triggered = rules
            .dependent_required
            .iter()
            .filter(|(trigger, _)| object.get(trigger).is_some());
        for name in rules.required.iter().chain(triggered.flat_map(|(_, names)| names)) {
            if object.get(name).is_none() {
                valid = fault(problems, Place::Member(&place, name), || "is required".into());
            }
        }
        for (at, (name, member)) in object.iter().enumerate() {
            let (holds, declared) = self.member(rules, name, member, Place::Member(&place, name), problems);
            valid &= holds;
            if let Some(seen) = notes.as_deref_mut().filter(|_| declared) {
                seen.mark(at);
            }
            if !self.goes_on(valid, problems) {
                return false;
            }
        }
        for (trigger, node) in &rules.dependent_schemas {
            if object.get(trigger).is_some() {
                valid &= self.node(*node, value, place, problems, notes.as_deref_mut());
            }
        }
        valid
    }

    /// One member: whether it is valid, and whether any keyword looked at it.
    fn member(
        &mut self,
        rules: &ObjectRules,
        name: &str,
        member: &Value<'_>,
        here: Place<'_>,
        problems: &mut Problems,
    ) -> (bool, bool) {
        let (mut valid, mut declared) = (true, false);
        if let Ok(at) = rules.properties.binary_search_by(|(known, _)| known.as_str().cmp(name)) {
            declared = true;
            let node = rules.properties.get(at).map(|(_, node)| *node);
            valid &= node.is_none_or(|node| self.node(node, member, here, problems, None));
        }
        for (regex, node) in &rules.patterns {
            match regex.is_match(name, &mut self.work) {
                Ok(true) => {
                    declared = true;
                    valid &= self.node(*node, member, here, problems, None);
                }
                Ok(false) => {}
                Err(_) => {
                    self.exhausted = true;
                    return (false, declared);
                }
            }
        }
        if let Some(node) = rules.additional.filter(|_| !declared && !rules.opaque_patterns) {
            declared = true;
            valid &= self.node(node, member, here, problems, None);
        }
        if let Some(node) = rules.names
            && !self.quietly(node, &Value::String(name.into()), here)
        {
            valid = fault(problems, here, || "has a name that is not allowed".into());
        }
        (valid, declared || rules.opaque_patterns)
    }
}
