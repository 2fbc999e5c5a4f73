//! From a pattern's text to its structure, by the grammar of ECMA-262 §22.2.1 with the `u` flag; of Annex B only that a
//! brace or bracket which opens nothing stands for itself, and that punctuation may be escaped.

use super::class::{Class, Item, Property};
use crate::sort;

/// An expression's structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    Empty,
    Class(Class),
    Start,
    End,
    WordEdge {
        negated: bool,
    },
    Concat(Vec<Expr>),
    Either(Vec<Expr>),
    Repeat {
        inner: Box<Expr>,
        least: u32,
        most: Option<u32>,
    },
    Look {
        ahead: bool,
        negated: bool,
        inner: Box<Expr>,
    },
}

/// Why a back-reference is refused.
pub const BACK_REFERENCE: &str = "a back-reference, which has no form in linear time";

/// Groups within groups: parsing and compiling recurse this deep.
const NESTING_MAX: u32 = 64;

/// The longest pattern in bytes that is read at all.
const PATTERN_BYTES_MAX: usize = 16 * 1024;

impl Expr {
    /// Whether it can match the whole text only.
    pub fn is_anchored(&self) -> bool {
        match self {
            Self::Concat(parts) => {
                matches!(parts.first(), Some(Self::Start)) && matches!(parts.last(), Some(Self::End))
            }
            Self::Either(branches) => branches.iter().all(Self::is_anchored),
            _ => false,
        }
    }

    /// Whether what it consumes holds only what [`Class::is_plain`] names.
    pub fn is_plain(&self) -> bool {
        match self {
            Self::Empty | Self::Start | Self::End | Self::WordEdge { .. } | Self::Look { .. } => true,
            Self::Class(class) => class.is_plain(),
            Self::Concat(parts) | Self::Either(parts) => parts.iter().all(Self::is_plain),
            Self::Repeat { inner, .. } => inner.is_plain(),
        }
    }
}

/// Reads a pattern.
///
/// # Errors
/// What is wrong with it, for the operator.
pub fn parse(text: &str) -> Result<Expr, String> {
    if text.len() > PATTERN_BYTES_MAX {
        return Err(format!("longer than {PATTERN_BYTES_MAX} bytes"));
    }
    let mut parser = Parser {
        chars: text.chars().collect(),
        at: 0,
    };
    let expr = parser.either(NESTING_MAX)?;
    match parser.peek() {
        None => Ok(expr),
        Some(_) => Err("a closing parenthesis that opens nowhere".into()),
    }
}

struct Parser {
    chars: Vec<char>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn take(&mut self, expected: &str) -> bool {
        let end = self.at + expected.chars().count();
        let found = self
            .chars
            .get(self.at..end)
            .is_some_and(|c| c.iter().copied().eq(expected.chars()));
        if found {
            self.at = end;
        }
        found
    }

    fn either(&mut self, depth: u32) -> Result<Expr, String> {
        let mut branches = vec![self.concat(depth)?];
        while self.take("|") {
            branches.push(self.concat(depth)?);
        }
        Ok(match branches.pop() {
            Some(only) if branches.is_empty() => only,
            last => {
                branches.extend(last);
                Expr::Either(branches)
            }
        })
    }

    fn concat(&mut self, depth: u32) -> Result<Expr, String> {
        let mut parts = Vec::new();
        while let Some(c) = self.peek() {
            if matches!(c, '|' | ')') {
                break;
            }
            let atom = self.atom(depth)?;
            let repeatable = !matches!(
                atom,
                Expr::Start | Expr::End | Expr::WordEdge { .. } | Expr::Look { .. }
            );
            let part = match self.quantifier()? {
                Some(_) if !repeatable => return Err("a quantifier after an assertion".into()),
                Some((least, most)) => Expr::Repeat {
                    inner: Box::new(atom),
                    least,
                    most,
                },
                None => atom,
            };
            parts.push(part);
        }
        Ok(match parts.pop() {
            None => Expr::Empty,
            Some(only) if parts.is_empty() => only,
            Some(last) => {
                parts.push(last);
                Expr::Concat(parts)
            }
        })
    }

    fn quantifier(&mut self) -> Result<Option<(u32, Option<u32>)>, String> {
        let range = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => {
                let start = self.at;
                self.at += 1;
                let Some(range) = self.braces()? else {
                    self.at = start;
                    return Ok(None);
                };
                self.take("?");
                return Ok(Some(range));
            }
            _ => return Ok(None),
        };
        self.at += 1;
        // Laziness changes what is captured, not what matches.
        self.take("?");
        Ok(Some(range))
    }

    /// What follows `{`; `None` if that is no quantifier.
    fn braces(&mut self) -> Result<Option<(u32, Option<u32>)>, String> {
        let Some(least) = self.number() else { return Ok(None) };
        let most = if self.take(",") { self.number() } else { Some(least) };
        let unbounded = self.chars.get(self.at.wrapping_sub(1)) == Some(&',');
        if !self.take("}") {
            return Ok(None);
        }
        match most {
            None if !unbounded => Ok(None),
            Some(most) if most < least => Err("a range of repetitions whose end is before its start".into()),
            most => Ok(Some((least, most))),
        }
    }

    /// Digits as a number; beyond 32 bits they count as the largest.
    fn number(&mut self) -> Option<u32> {
        let mut number = None;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            self.at += 1;
            number = Some(number.unwrap_or(0_u32).saturating_mul(10).saturating_add(digit));
        }
        number
    }

    fn atom(&mut self, depth: u32) -> Result<Expr, String> {
        match self.next() {
            Some('(') => self.group(depth),
            Some('[') => self.class().map(Expr::Class),
            Some('.') => Ok(Expr::Class(Class::dot())),
            Some('^') => Ok(Expr::Start),
            Some('$') => Ok(Expr::End),
            Some('\\') => self.escape(),
            Some('*' | '+' | '?') => Err("a quantifier with nothing to repeat".into()),
            Some('{') => {
                let start = self.at;
                if self.braces()?.is_some() {
                    return Err("a quantifier with nothing to repeat".into());
                }
                self.at = start;
                Ok(Expr::Class(Class::of('{')))
            }
            Some(c) => Ok(Expr::Class(Class::of(c))),
            None => Ok(Expr::Empty),
        }
    }

    fn group(&mut self, depth: u32) -> Result<Expr, String> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(format!("groups nested more than {NESTING_MAX} deep"));
        };
        let look = [
            ("?=", true, false),
            ("?!", true, true),
            ("?<=", false, false),
            ("?<!", false, true),
        ]
        .into_iter()
        .find(|(start, ..)| self.take(start));
        if look.is_none() && !self.take("?:") {
            if self.take("?<") {
                self.name()?;
            } else if self.peek() == Some('?') {
                return Err("a kind of group that ECMA-262 does not have".into());
            }
        }
        let inner = self.either(depth)?;
        if !self.take(")") {
            return Err("a group that does not end".into());
        }
        Ok(match look {
            Some((_, ahead, negated)) => Expr::Look {
                ahead,
                negated,
                inner: Box::new(inner),
            },
            None => inner,
        })
    }

    fn name(&mut self) -> Result<(), String> {
        let start = self.at;
        while let Some(c) = self.next() {
            match c {
                '>' if self.at > start + 1 => return Ok(()),
                c if c == '_' || c == '$' || c.is_alphanumeric() => {}
                _ => break,
            }
        }
        Err("a group's name that is none".into())
    }

    fn escape(&mut self) -> Result<Expr, String> {
        match self.peek() {
            Some('b') => {
                self.at += 1;
                Ok(Expr::WordEdge { negated: false })
            }
            Some('B') => {
                self.at += 1;
                Ok(Expr::WordEdge { negated: true })
            }
            Some('1'..='9' | 'k') => Err(BACK_REFERENCE.into()),
            _ => self.class_escape().map(Expr::Class),
        }
    }

    /// What follows a backslash, in a class as outside.
    fn class_escape(&mut self) -> Result<Class, String> {
        let Some(c) = self.next() else {
            return Err("a backslash at the end".into());
        };
        Ok(match c {
            'd' => Class::digit(),
            'D' => Class::digit().negate(),
            'w' => Class::word(),
            'W' => Class::word().negate(),
            's' => Class::space(),
            'S' => Class::space().negate(),
            'p' => self.property()?,
            'P' => self.property()?.negate(),
            't' => Class::of('\t'),
            'n' => Class::of('\n'),
            'v' => Class::of('\u{b}'),
            'f' => Class::of('\u{c}'),
            'r' => Class::of('\r'),
            '0' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => Class::of('\0'),
            'c' => {
                let letter = self.next().filter(char::is_ascii_alphabetic);
                let control = letter.and_then(|letter| char::from_u32(u32::from(letter) % 32));
                Class::of(control.ok_or("an escape \\c without a letter")?)
            }
            'x' => Class::of(
                self.hex(2)
                    .and_then(char::from_u32)
                    .ok_or("an escape \\x without two hexadecimal digits")?,
            ),
            'u' => Class::of(self.unicode().ok_or("an escape \\u that is no character")?),
            c if !c.is_alphanumeric() => Class::of(c),
            c => return Err(format!("an unknown escape \\{c}")),
        })
    }

    fn hex(&mut self, digits: u32) -> Option<u32> {
        let mut code = 0;
        for _ in 0..digits {
            code = code * 16 + self.next()?.to_digit(16)?;
        }
        Some(code)
    }

    fn unicode(&mut self) -> Option<char> {
        if self.take("{") {
            let mut code = 0_u32;
            let mut digits = 0;
            loop {
                match self.next()? {
                    '}' if digits > 0 => return char::from_u32(code),
                    c => code = code.saturating_mul(16).saturating_add(c.to_digit(16)?),
                }
                digits += 1;
            }
        }
        let unit = self.hex(4)?;
        if !(0xD800..0xDC00).contains(&unit) {
            return char::from_u32(unit);
        }
        if !self.take("\\u") {
            return None;
        }
        let low = self.hex(4).filter(|low| (0xDC00..0xE000).contains(low))?;
        char::from_u32(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00))
    }

    fn property(&mut self) -> Result<Class, String> {
        if !self.take("{") {
            return Err("an escape \\p without a property".into());
        }
        let mut name = String::new();
        loop {
            match self.next() {
                Some('}') => break,
                Some(c) => name.push(c),
                None => return Err("an escape \\p that does not end".into()),
            }
        }
        let known =
            Property::named(&name).ok_or_else(|| format!("the Unicode property {name:?}, which has no table here"))?;
        Ok(Class::property(known))
    }

    /// A class, its opening bracket already taken.
    fn class(&mut self) -> Result<Class, String> {
        const ENDLESS: &str = "a class that does not end";
        let mut class = Class {
            negated: self.take("^"),
            items: Vec::new(),
        };
        loop {
            if self.take("]") {
                return Ok(class);
            }
            let (first, single) = self.class_member().ok_or(ENDLESS)??;
            let dash = self.peek() == Some('-') && self.chars.get(self.at + 1).is_some_and(|c| *c != ']');
            let Some(first_char) = single.filter(|_| dash) else {
                merge(&mut class, &first);
                continue;
            };
            self.at += 1;
            let (second, single) = self.class_member().ok_or(ENDLESS)??;
            match single {
                Some(last) if first_char <= last => class.items.push(Item::Range(first_char, last)),
                Some(_) => return Err("a range of characters whose end is before its start".into()),
                // `[a-\d]`: no range, three members (Annex B).
                None => {
                    merge(&mut class, &first);
                    merge(&mut class, &Class::of('-'));
                    merge(&mut class, &second);
                }
            }
        }
    }

    /// One member of a class and, if it is one character, which; `None` at the pattern's end.
    fn class_member(&mut self) -> Option<Result<(Class, Option<char>), String>> {
        let c = self.next()?;
        if c != '\\' {
            return Some(Ok((Class::of(c), Some(c))));
        }
        if self.take("b") {
            return Some(Ok((Class::of('\u{8}'), Some('\u{8}'))));
        }
        Some(self.class_escape().map(|class| {
            let single = match class.items.as_slice() {
                [Item::Range(first, last)] if first == last && !class.negated => Some(*first),
                _ => None,
            };
            (class, single)
        }))
    }
}

/// Adds a class to another. A negated one within a class is `\D`, `\W`, `\S` or `\P{…}`.
fn merge(into: &mut Class, class: &Class) {
    if !class.negated {
        into.items.extend_from_slice(&class.items);
        return;
    }
    let mut ranges = Vec::new();
    for item in &class.items {
        match item {
            Item::Property { property, negated } => into.items.push(Item::Property {
                property: *property,
                negated: !negated,
            }),
            Item::Range(first, last) => ranges.push((*first, *last)),
        }
    }
    if ranges.is_empty() {
        return;
    }
    sort::by(&mut ranges, Ord::cmp);
    let mut from = Some('\0');
    for (first, last) in ranges {
        if let Some(start) = from
            && start < first
            && let Some(end) = before(first)
        {
            into.items.push(Item::Range(start, end));
        }
        from = after(last);
    }
    if let Some(start) = from {
        into.items.push(Item::Range(start, char::MAX));
    }
}

fn before(c: char) -> Option<char> {
    let code = u32::from(c).checked_sub(1)?;
    char::from_u32(code).or(Some('\u{d7ff}'))
}

fn after(c: char) -> Option<char> {
    match u32::from(c).checked_add(1)? {
        0xD800 => Some('\u{e000}'),
        code => char::from_u32(code),
    }
}
