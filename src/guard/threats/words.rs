//! The automaton over all literals: one pass over a value finds where any of them ends (Aho and Corasick, 1975), in any
//! case. Built once at configure; a transition is one table look-up for a byte.

use std::collections::VecDeque;

/// A state's number; the root is 0.
type State = u16;

/// In a transition, beside the state that it leads to: a literal ends there. So a byte that ends none, as nearly all do,
/// costs one look-up.
const ENDS: State = 1 << 15;

pub struct Automaton {
    /// A byte's column; 0 for bytes that are in no literal.
    columns: [u8; 256],
    width: usize,
    next: Vec<State>,
    /// For each state, the literal that ends there, plus one; 0 for none. What ends at a shorter suffix is not in it.
    ends: Vec<u16>,
    /// For each state, the longest shorter suffix at which a literal ends; 0 for none.
    shorter: Vec<State>,
}

impl Automaton {
    /// Builds it over literals in lower case. There are a few hundred short ones: states and columns fit their types by
    /// far, and a test holds that; what would not fit is left out rather than found wrong.
    pub fn new<'l>(literals: impl Iterator<Item = &'l [u8]> + Clone) -> Self {
        let mut columns = [0_u8; 256];
        let mut used: u8 = 0;
        for byte in literals.clone().flatten() {
            let column = columns.get_mut(usize::from(*byte));
            if let Some(column) = column.filter(|c| **c == 0) {
                used = used.saturating_add(1);
                *column = used;
            }
        }
        for byte in b'a'..=b'z' {
            let column = columns.get(usize::from(byte)).copied().unwrap_or(0);
            if let Some(upper) = columns.get_mut(usize::from(byte.to_ascii_uppercase())) {
                *upper = column;
            }
        }
        let width = usize::from(used).saturating_add(1);
        let mut automaton = Self {
            columns,
            width,
            next: vec![0; width],
            ends: vec![0],
            shorter: vec![0],
        };
        for (id, literal) in (1_u16..).zip(literals) {
            automaton.insert(literal, id);
        }
        automaton.link();
        automaton.mark();
        automaton
    }

    fn slot(&self, state: State, byte: u8) -> usize {
        let column = self.columns.get(usize::from(byte)).copied().unwrap_or(0);
        usize::from(state) * self.width + usize::from(column)
    }

    fn step(&self, state: State, byte: u8) -> State {
        self.next.get(self.slot(state, byte)).copied().unwrap_or(0)
    }

    fn insert(&mut self, literal: &[u8], id: u16) {
        let mut state = 0;
        for byte in literal {
            let mut to = self.step(state, *byte);
            if to == 0 {
                let new = State::try_from(self.ends.len()).ok().filter(|state| state & ENDS == 0);
                let Some(new) = new else {
                    return;
                };
                let slot = self.slot(state, *byte);
                self.next.resize(self.next.len() + self.width, 0);
                self.ends.push(0);
                self.shorter.push(0);
                if let Some(target) = self.next.get_mut(slot) {
                    *target = new;
                }
                to = new;
            }
            state = to;
        }
        if let Some(end) = self.ends.get_mut(usize::from(state)) {
            *end = id;
        }
    }

    /// Breadth first: what a state lacks, its longest proper suffix has.
    fn link(&mut self) {
        let mut suffix = vec![0 as State; self.ends.len()];
        let mut queue: VecDeque<State> = VecDeque::from([0]);
        while let Some(state) = queue.pop_front() {
            let fall = suffix.get(usize::from(state)).copied().unwrap_or(0);
            for column in 1..self.width {
                let slot = usize::from(state) * self.width + column;
                let to = self.next.get(slot).copied().unwrap_or(0);
                let other = self
                    .next
                    .get(usize::from(fall) * self.width + column)
                    .copied()
                    .unwrap_or(0);
                if to == 0 {
                    if let (Some(target), true) = (self.next.get_mut(slot), state != 0) {
                        *target = other;
                    }
                    continue;
                }
                let link = if state == 0 { 0 } else { other };
                if let Some(s) = suffix.get_mut(usize::from(to)) {
                    *s = link;
                }
                let ends = self.ends.get(usize::from(link)).copied().unwrap_or(0) != 0;
                let shorter = if ends {
                    link
                } else {
                    self.shorter.get(usize::from(link)).copied().unwrap_or(0)
                };
                if let Some(s) = self.shorter.get_mut(usize::from(to)) {
                    *s = shorter;
                }
                queue.push_back(to);
            }
        }
    }

    /// Marks the transitions to states at which, or at a suffix of which, a literal ends.
    fn mark(&mut self) {
        let at = |table: &[State], state: State| table.get(usize::from(state)).copied().unwrap_or(0);
        for to in &mut self.next {
            if at(&self.ends, *to) != 0 || at(&self.shorter, *to) != 0 {
                *to |= ENDS;
            }
        }
    }

    /// Calls `found(literal, end)` for each place where a literal ends, until it says to stop by `true`.
    pub fn scan(&self, bytes: &[u8], mut found: impl FnMut(usize, usize) -> bool) {
        let (mut state, mut rest) = (0, bytes);
        while let Some((at, behind)) = self.next_end(state, rest) {
            (state, rest) = (at, behind);
            if self.ends_at(state, |literal| found(literal, bytes.len() - behind.len())) {
                return;
            }
        }
    }

    /// From a state on, the next at which a literal ends, and what is behind it. By itself: among what is done with a hit,
    /// the loop over nearly every byte of a body would lose its registers, and take twice as long.
    #[inline(never)]
    fn next_end<'b>(&self, state: State, bytes: &'b [u8]) -> Option<(State, &'b [u8])> {
        // Where the state's transitions begin.
        let mut row = usize::from(state) * self.width;
        let mut rest = bytes.iter();
        while let Some(byte) = rest.next() {
            let column = self.columns.get(usize::from(*byte)).copied().unwrap_or(0);
            let to = self.next.get(row + usize::from(column)).copied().unwrap_or(0);
            let state = to & !ENDS;
            row = usize::from(state) * self.width;
            if to & ENDS != 0 {
                return Some((state, rest.as_slice()));
            }
        }
        None
    }

    /// Calls `found` for every literal that ends with a state, the longest first; `true` if it said to stop.
    fn ends_at(&self, state: State, mut found: impl FnMut(usize) -> bool) -> bool {
        let mut here = state;
        if self.ends.get(usize::from(here)).copied().unwrap_or(0) == 0 {
            here = self.shorter.get(usize::from(here)).copied().unwrap_or(0);
        }
        // Each step goes to a shorter suffix, so there are no more of them than bytes in the longest literal.
        while here != 0 {
            let id = usize::from(self.ends.get(usize::from(here)).copied().unwrap_or(0));
            if id.checked_sub(1).is_some_and(&mut found) {
                return true;
            }
            here = self.shorter.get(usize::from(here)).copied().unwrap_or(0);
        }
        false
    }

    /// Bytes of memory that the tables take.
    pub fn bytes(&self) -> usize {
        (self.next.len() + self.ends.len() + self.shorter.len()) * size_of::<State>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_literal_is_found_wherever_it_ends() {
        let words: [&[u8]; 5] = [b"he", b"she", b"his", b"hers", b"../"];
        let automaton = Automaton::new(words.iter().copied());
        let mut found = Vec::new();
        automaton.scan(b"uSHErs his ../", |id, end| {
            found.push((id, end));
            false
        });
        assert_eq!(found, [(1, 4), (0, 4), (3, 6), (2, 10), (4, 14)]);
    }
}
