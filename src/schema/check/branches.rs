//! Schemas within a schema at the same value: `allOf`, `anyOf`, `oneOf`, `not`, `if`.

use super::{Check, Notes, Problems, fault};
use crate::json::Value;
use crate::json::pointer::Place;
use crate::schema::{Branches, Node, NodeId};

impl<'s> Check<'s> {
    pub(super) fn branches(
        &mut self,
        rules: &'s Branches,
        value: &Value<'_>,
        place: Place<'_>,
        problems: &mut Problems,
        notes: &mut Notes<'_>,
    ) -> bool {
        let mut valid = true;
        for branch in &rules.all_of {
            valid &= self.node(*branch, value, place, problems, notes.as_deref_mut());
            if !self.goes_on(valid, problems) {
                return false;
            }
        }
        if !rules.any_of.is_empty() {
            let mut matching = false;
            for branch in &rules.any_of {
                matching |= self.node(*branch, value, place, &mut None, notes.as_deref_mut());
                // One is enough, unless someone asks what all of them have looked at.
                if (matching && notes.is_none()) || self.exhausted {
                    break;
                }
            }
            if !matching {
                valid = self.no_branch(
                    &rules.any_of,
                    rules,
                    value,
                    place,
                    problems,
                    "must have one of the allowed forms",
                );
            }
        }
        if !rules.one_of.is_empty() {
            valid &= self.one_of(rules, value, place, problems, notes);
        }
        if let Some(branch) = rules.not
            && self.quietly(branch, value, place)
        {
            valid = fault(problems, place, || "must not have this form".into());
        }
        if let Some(condition) = &rules.condition {
            let branch = if self.node(condition.test, value, place, &mut None, notes.as_deref_mut()) {
                condition.then
            } else {
                condition.otherwise
            };
            valid &= branch.is_none_or(|branch| self.node(branch, value, place, problems, notes.as_deref_mut()));
        }
        valid && !self.exhausted
    }

    fn one_of(
        &mut self,
        rules: &'s Branches,
        value: &Value<'_>,
        place: Place<'_>,
        problems: &mut Problems,
        notes: &mut Notes<'_>,
    ) -> bool {
        let mut matching = 0_u32;
        for branch in &rules.one_of {
            matching += u32::from(self.node(*branch, value, place, &mut None, notes.as_deref_mut()));
            if matching > 1 || self.exhausted {
                break;
            }
        }
        match matching {
            1 => true,
            0 => self.no_branch(
                &rules.one_of,
                rules,
                value,
                place,
                problems,
                "must have exactly one of the allowed forms",
            ),
            _ => fault(problems, place, || {
                "must have exactly one of the allowed forms, and has several".into()
            }),
        }
    }

    /// No branch holds. If it is plain which one was meant, by its discriminator or because only one takes values of this
    /// type, its faults help most.
    fn no_branch(
        &mut self,
        branches: &'s [NodeId],
        rules: &'s Branches,
        value: &Value<'_>,
        place: Place<'_>,
        problems: &mut Problems,
        otherwise: &'static str,
    ) -> bool {
        if problems.is_none() || self.exhausted {
            return false;
        }
        let named = rules.discriminator.as_ref().and_then(|discriminator| {
            let name = value.as_object()?.get(&discriminator.property)?.as_str()?;
            let meaning = discriminator.meanings.iter().find(|(known, _)| known == name);
            meaning.map(|(_, node)| *node)
        });
        let mut fitting = branches
            .iter()
            .copied()
            .filter(|branch| self.takes_type(*branch, value, 8));
        let meant = named.or_else(|| fitting.next().filter(|_| fitting.next().is_none()));
        if let Some(branch) = meant
            && !self.node(branch, value, place, problems, None)
        {
            return false;
        }
        fault(problems, place, || otherwise.into())
    }

    fn takes_type(&self, id: NodeId, value: &Value<'_>, depth: u32) -> bool {
        let (Some(Node::Rules(rules)), Some(depth)) = (self.set.nodes.get(id), depth.checked_sub(1)) else {
            return true;
        };
        rules.types.is_none_or(|types| types.admits(value))
            && rules
                .reference
                .is_none_or(|target| self.takes_type(target, value, depth))
    }
}
