//! What judging a value may cost, whatever it is made of: all scanners take from one account, all layers together. What
//! runs out of it is left unfinished, and refused where the guard enforces.
//!
//! Counted in steps of some ten instructions, natively. The weights were fitted to what random texts of signs took
//! (`scripts/cost --search` looks for texts that cost more than they are charged).

/// Steps for each byte of the value, and for any value. Prose takes four a byte. Of 629 benign values of 2 KiB and more the
/// dearest (HTML with references, so two layers) took six times what prose does; short ones are dear by the byte, but
/// not by the request.
const STEPS_PER_BYTE: usize = 40;
const STEPS_MIN: usize = 20_000;

/// What is left to spend for a value.
#[derive(Debug)]
pub struct Effort {
    steps: usize,
    /// Bytes that may still be looked at behind a shell's separators.
    pub looked: usize,
    /// Bytes that may still be read as part of attributes.
    pub read: usize,
}

impl Effort {
    /// For a value of so many bytes.
    pub const fn new(len: usize) -> Self {
        Self {
            steps: len.saturating_mul(STEPS_PER_BYTE).saturating_add(STEPS_MIN),
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
}
