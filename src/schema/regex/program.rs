//! From an expression's structure to a program of small instructions, forwards or backwards.

use super::class::Class;
use super::parse::Expr;

/// One step of a program; targets are positions in it.
#[derive(Debug)]
pub enum Instruction {
    /// One character of this class.
    Class(usize),
    Split(usize, usize),
    Jump(usize),
    Start,
    End,
    WordEdge {
        negated: bool,
    },
    /// The look-around of this number holds here, or does not.
    Look {
        look: usize,
        negated: bool,
    },
    Match,
}

/// A list of instructions that starts at its first one.
pub type Code = Vec<Instruction>;

/// A look-around: which way its code runs over the text.
#[derive(Debug)]
pub struct Look {
    pub code: Code,
    /// Looks ahead: its code is reversed, and runs from the text's end.
    pub backwards: bool,
}

#[derive(Debug, Default)]
pub struct Program {
    pub code: Code,
    /// Inner ones first: code refers only to earlier ones.
    pub looks: Vec<Look>,
    pub classes: Vec<Class>,
}

/// Instructions of one pattern: `{1,1000}` of a short group takes a few thousand. At 24 bytes each it stays under 1 MiB.
pub const INSTRUCTIONS_MAX: usize = 32 * 1024;

impl Program {
    /// # Errors
    /// The program would have more than [`INSTRUCTIONS_MAX`] instructions.
    pub fn new(expr: &Expr) -> Result<Self, String> {
        let mut writer = Writer {
            program: Self::default(),
            left: INSTRUCTIONS_MAX,
        };
        let mut code = Code::new();
        writer.write(expr, false, &mut code)?;
        writer.push(&mut code, Instruction::Match)?;
        writer.program.code = code;
        Ok(writer.program)
    }
}

struct Writer {
    program: Program,
    left: usize,
}

impl Writer {
    fn push(&mut self, code: &mut Code, instruction: Instruction) -> Result<usize, String> {
        self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| format!("a program of more than {INSTRUCTIONS_MAX} instructions"))?;
        code.push(instruction);
        Ok(code.len() - 1)
    }

    fn set(code: &mut Code, at: usize, instruction: Instruction) {
        if let Some(place) = code.get_mut(at) {
            *place = instruction;
        }
    }

    fn write(&mut self, expr: &Expr, backwards: bool, code: &mut Code) -> Result<(), String> {
        match expr {
            Expr::Empty => {}
            Expr::Class(class) => {
                let known = self.program.classes.iter().position(|known| known == class);
                let class = known.unwrap_or_else(|| {
                    self.program.classes.push(class.clone());
                    self.program.classes.len() - 1
                });
                self.push(code, Instruction::Class(class))?;
            }
            Expr::Start => {
                self.push(code, Instruction::Start)?;
            }
            Expr::End => {
                self.push(code, Instruction::End)?;
            }
            Expr::WordEdge { negated } => {
                self.push(code, Instruction::WordEdge { negated: *negated })?;
            }
            Expr::Concat(parts) if backwards => {
                for part in parts.iter().rev() {
                    self.write(part, backwards, code)?;
                }
            }
            Expr::Concat(parts) => {
                for part in parts {
                    self.write(part, backwards, code)?;
                }
            }
            Expr::Either(branches) => self.write_either(branches, backwards, code)?,
            Expr::Repeat { inner, least, most } => self.write_repeat(inner, *least, *most, backwards, code)?,
            Expr::Look { ahead, negated, inner } => {
                let mut inner_code = Code::new();
                self.write(inner, *ahead, &mut inner_code)?;
                self.push(&mut inner_code, Instruction::Match)?;
                self.program.looks.push(Look {
                    code: inner_code,
                    backwards: *ahead,
                });
                let look = self.program.looks.len() - 1;
                self.push(
                    code,
                    Instruction::Look {
                        look,
                        negated: *negated,
                    },
                )?;
            }
        }
        Ok(())
    }

    fn write_either(&mut self, branches: &[Expr], backwards: bool, code: &mut Code) -> Result<(), String> {
        let mut ends = Vec::new();
        let Some((last, others)) = branches.split_last() else {
            return Ok(());
        };
        for branch in others {
            let split = self.push(code, Instruction::Jump(0))?;
            self.write(branch, backwards, code)?;
            ends.push(self.push(code, Instruction::Jump(0))?);
            let next = code.len();
            Self::set(code, split, Instruction::Split(split + 1, next));
        }
        self.write(last, backwards, code)?;
        let end = code.len();
        ends.into_iter()
            .for_each(|at| Self::set(code, at, Instruction::Jump(end)));
        Ok(())
    }

    fn write_repeat(
        &mut self,
        inner: &Expr,
        least: u32,
        most: Option<u32>,
        backwards: bool,
        code: &mut Code,
    ) -> Result<(), String> {
        // Each round that writes nothing would let a large count cost time without meeting the bound.
        if matches!(inner, Expr::Empty) {
            return Ok(());
        }
        for _ in 0..least {
            let before = self.left;
            self.write(inner, backwards, code)?;
            if self.left == before {
                return Ok(());
            }
        }
        let Some(most) = most else {
            let split = self.push(code, Instruction::Jump(0))?;
            self.write(inner, backwards, code)?;
            self.push(code, Instruction::Jump(split))?;
            let end = code.len();
            Self::set(code, split, Instruction::Split(split + 1, end));
            return Ok(());
        };
        let mut splits = Vec::new();
        for _ in least..most {
            splits.push(self.push(code, Instruction::Jump(0))?);
            self.write(inner, backwards, code)?;
        }
        let end = code.len();
        splits
            .into_iter()
            .for_each(|at| Self::set(code, at, Instruction::Split(at + 1, end)));
        Ok(())
    }
}
