//! Expressions such as `^[A-Z]{3}-[0-9]{4,5}$`: from start to end, classes one after the other, each so many times. Where
//! one may repeat, no class that can follow it shares a character with it, so each character has one place to go.

use super::class::Quick;
use super::parse::Expr;

#[derive(Debug)]
pub struct Sequence(Vec<Step>);

#[derive(Debug)]
struct Step {
    class: Quick,
    least: u32,
    most: u32,
}

impl Sequence {
    /// The sequence that an expression is, if it is one.
    pub fn of(expr: &Expr) -> Option<Self> {
        let Expr::Concat(parts) = expr else { return None };
        let [Expr::Start, middle @ .., Expr::End] = parts.as_slice() else {
            return None;
        };
        let steps: Vec<Step> = middle.iter().map(step).collect::<Option<_>>()?;
        let mut rest = steps.as_slice();
        while let Some((step, after)) = rest.split_first() {
            rest = after;
            if step.least == step.most {
                continue;
            }
            let needed = after.iter().position(|next| next.least > 0);
            let mut reachable = after.iter().take(needed.map_or(after.len(), |at| at + 1));
            if !reachable.all(|next| step.class.is_disjoint(&next.class)) {
                return None;
            }
        }
        Some(Self(steps))
    }

    /// How many steps it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_match(&self, text: &str) -> bool {
        let mut steps = self.0.iter();
        let (mut step, mut count) = (steps.next(), 0_u32);
        for c in text.chars() {
            loop {
                let Some(here) = step else { return false };
                if count < here.most && here.class.admits(c) {
                    count = count.saturating_add(1);
                    break;
                }
                if count < here.least {
                    return false;
                }
                (step, count) = (steps.next(), 0);
            }
        }
        step.is_none_or(|here| count >= here.least) && steps.all(|step| step.least == 0)
    }
}

fn step(part: &Expr) -> Option<Step> {
    let (class, least, most) = match part {
        Expr::Class(class) => (class, 1, Some(1)),
        Expr::Repeat { inner, least, most } => match inner.as_ref() {
            Expr::Class(class) => (class, *least, *most),
            _ => return None,
        },
        _ => return None,
    };
    Some(Step {
        class: class.clone().into(),
        least,
        most: most.unwrap_or(u32::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::super::program::Program;
    use super::super::run;
    use super::*;

    /// Every text of up to six of the letters that matter, by the sequence and by the program.
    #[test]
    fn a_sequence_matches_what_its_program_does() {
        for pattern in [
            "^[ab]{2}-[0-9]{1,2}$",
            "^a*b?-+$",
            "^a{0,2}b{0,1}c$",
            "^[a-c]+$",
            "^ab$",
            "^ab*$",
            "^a{2}b?$",
            "^[^a]a{1,3}$",
            "^é+a?$",
        ] {
            let expr = parse(pattern).unwrap();
            let sequence = Sequence::of(&expr).unwrap_or_else(|| panic!("{pattern}"));
            let program = Program::new(&expr).unwrap();
            let letters: Vec<char> = "abc-0é".chars().collect();
            for number in 0..7_usize.pow(6) {
                let mut rest = number;
                let mut text = String::new();
                while rest > 0 {
                    if let Some(letter) = (rest % 7).checked_sub(1) {
                        text.push(letters[letter]);
                    }
                    rest /= 7;
                }
                let expected = run::is_match(&program, &text, &mut 1_000_000).unwrap();
                assert_eq!(sequence.is_match(&text), expected, "{pattern} on {text:?}");
            }
        }
    }

    #[test]
    fn what_needs_a_choice_is_no_sequence() {
        for pattern in ["^a*a$", "^[a-z]+[0-9a]$", "^a+b?a$", "a", "^(?:ab)+$", "^a|b$", "^.*é$"] {
            assert!(Sequence::of(&parse(pattern).unwrap()).is_none(), "{pattern}");
        }
    }
}
