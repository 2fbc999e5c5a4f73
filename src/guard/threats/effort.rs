//! What judging a request's values may cost, whatever they are made of: all scanners take from one account, all layers and
//! values together. A value that it does not suffice for is left unfinished, and the request refused where the guard enforces.
//!
//! Counted in steps of some ten instructions, natively. The weights were fitted to what random texts of signs took
//! (`scripts/cost --search` looks for texts that cost more than they are charged).

/// Steps that each byte of a value adds, and each value, and those that a request begins with. Of 91,849 benign values and
/// bodies the dearest (a mail's HTML with a style in every cell) took 38 a byte; short values take more, up to some hundred
/// and fifty (`Fort Lee`: what begins with a word of a shell's).
const STEPS_PER_BYTE: usize = 48;
const STEPS_PER_VALUE: usize = 1_000;
const STEPS_MIN: usize = 20_000;

/// What is left to spend for a request.
#[derive(Debug)]
pub struct Account {
    steps: usize,
}

impl Default for Account {
    fn default() -> Self {
        Self { steps: STEPS_MIN }
    }
}

/// What is left to spend while a value is judged.
#[derive(Debug)]
pub struct Effort {
    steps: usize,
    /// Bytes that may still be looked at behind a shell's separators.
    pub looked: usize,
    /// Bytes that may still be read as part of attributes.
    pub read: usize,
}

impl Effort {
    /// For a value of so many bytes, with what earlier ones left.
    pub const fn new(account: &Account, len: usize) -> Self {
        Self {
            steps: len
                .saturating_mul(STEPS_PER_BYTE)
                .saturating_add(STEPS_PER_VALUE)
                .saturating_add(account.steps),
            looked: super::command::looked_max(len),
            read: super::script::read_max(len),
        }
    }

    #[inline(always)]
    pub const fn spend(&mut self, steps: usize) {
        self.steps = self.steps.saturating_sub(steps);
    }

    #[inline(always)]
    pub const fn is_spent(&self) -> bool {
        self.steps == 0
    }

    /// Leaves what was not spent to the values that follow.
    pub const fn settle(self, account: &mut Account) {
        account.steps = self.steps;
    }
}
