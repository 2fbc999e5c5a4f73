//! Runs a program over a text with a set of positions in it that are alive: each character visits each of them at most
//! once, so the work is at most text times program.

use super::program::{Code, Instruction, Program};

/// The budget for work was used up before an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted;

/// Takes `units` from the budget.
pub fn pay(budget: &mut u64, units: usize) -> Result<(), Exhausted> {
    match budget.checked_sub(u64::try_from(units).unwrap_or(u64::MAX)) {
        Some(left) => {
            *budget = left;
            Ok(())
        }
        None => {
            *budget = 0;
            Err(Exhausted)
        }
    }
}

pub fn is_match(program: &Program, text: &str, budget: &mut u64) -> Result<bool, Exhausted> {
    pay(budget, text.len() / 4)?;
    let text: Vec<char> = text.chars().collect();
    let mut looks: Vec<Vec<bool>> = Vec::new();
    for look in &program.looks {
        pay(budget, text.len() / 4)?;
        let mut holds = vec![false; text.len() + 1];
        let mut machine = Machine::new(program, &look.code, &text, &looks);
        machine.scan(look.backwards, budget, |at| {
            if let Some(place) = holds.get_mut(at) {
                *place = true;
            }
            false
        })?;
        looks.push(holds);
    }
    let mut found = false;
    Machine::new(program, &program.code, &text, &looks).scan(false, budget, |_| {
        found = true;
        true
    })?;
    Ok(found)
}

struct Machine<'m> {
    program: &'m Program,
    code: &'m Code,
    text: &'m [char],
    looks: &'m [Vec<bool>],
    /// Instructions that consume and are alive at this character; `marks` tells in which round one was last seen.
    alive: Vec<usize>,
    marks: Vec<usize>,
    stack: Vec<usize>,
}

impl<'m> Machine<'m> {
    fn new(program: &'m Program, code: &'m Code, text: &'m [char], looks: &'m [Vec<bool>]) -> Self {
        Self {
            program,
            code,
            text,
            looks,
            alive: Vec::new(),
            marks: vec![0; code.len()],
            stack: Vec::new(),
        }
    }

    /// Goes over the text, starting anew at every position; `on_match` hears where a match ends, and says whether that
    /// is enough.
    fn scan(
        &mut self,
        backwards: bool,
        budget: &mut u64,
        mut on_match: impl FnMut(usize) -> bool,
    ) -> Result<(), Exhausted> {
        pay(budget, self.code.len() / 16)?;
        // A program that starts with `^` has one start only.
        let anchored = !backwards && matches!(self.code.first(), Some(Instruction::Start));
        let length = self.text.len();
        let mut arrived = Vec::new();
        for step in 0..=length {
            let at = if backwards { length - step } else { step };
            let mut matched = false;
            for target in arrived.drain(..) {
                matched |= self.follow(target, at, step + 1, budget)?;
            }
            if !anchored || step == 0 {
                matched |= self.follow(0, at, step + 1, budget)?;
            }
            if matched && on_match(at) {
                return Ok(());
            }
            if anchored && self.alive.is_empty() {
                return Ok(());
            }
            let next = if backwards { at.checked_sub(1) } else { Some(at) };
            let Some(c) = next.and_then(|next| self.text.get(next)) else {
                return Ok(());
            };
            pay(budget, self.alive.len())?;
            for at in self.alive.drain(..) {
                if let Some(Instruction::Class(class)) = self.code.get(at)
                    && self.program.classes.get(*class).is_some_and(|class| class.admits(*c))
                {
                    arrived.push(at + 1);
                }
            }
        }
        Ok(())
    }

    /// Follows what consumes nothing, from `start` at text position `at`; whether the program's end is reached.
    fn follow(&mut self, start: usize, at: usize, round: usize, budget: &mut u64) -> Result<bool, Exhausted> {
        let mut matched = false;
        let mut visits = 0_usize;
        self.stack.push(start);
        while let Some(here) = self.stack.pop() {
            visits += 1;
            match self.marks.get_mut(here) {
                Some(mark) if *mark != round => *mark = round,
                _ => continue,
            }
            match self.code.get(here) {
                Some(Instruction::Class(_)) => self.alive.push(here),
                Some(Instruction::Split(a, b)) => self.stack.extend([*a, *b]),
                Some(Instruction::Jump(to)) => self.stack.push(*to),
                Some(Instruction::Match) => matched = true,
                Some(assertion) if self.holds(assertion, at) => self.stack.push(here + 1),
                _ => {}
            }
        }
        pay(budget, visits)?;
        Ok(matched)
    }

    fn holds(&self, assertion: &Instruction, at: usize) -> bool {
        let is_word = |at: Option<usize>| {
            let c = at.and_then(|at| self.text.get(at));
            c.is_some_and(|c| c.is_ascii_alphanumeric() || *c == '_')
        };
        match assertion {
            Instruction::Start => at == 0,
            Instruction::End => at == self.text.len(),
            Instruction::WordEdge { negated } => (is_word(at.checked_sub(1)) != is_word(Some(at))) != *negated,
            Instruction::Look { look, negated } => {
                self.looks
                    .get(*look)
                    .and_then(|holds| holds.get(at))
                    .copied()
                    .unwrap_or(false)
                    != *negated
            }
            _ => false,
        }
    }
}
