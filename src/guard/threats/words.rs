//! All literals, looked for in one pass over a value, in any case. Three bytes at a time are told from those that no literal
//! begins with, by a bit; where one may begin, a trie is walked down. Its tables take 72 KB, where an automaton that follows
//! every byte (Aho and Corasick, 1975) took 1.2 MB, more than the caches hold.

use super::bytes::{ByteSet, from};
use std::cmp::Ordering;

/// A trie's node; the root is 0.
type Node = u16;

/// Which runs of three or four classes a literal may begin with: a bit for each of their hashes.
struct Grams {
    bits: Box<[u32; Self::WORDS]>,
    /// Spreads a run, a class in each byte, over the hash's bits: odd, but for what it shifts out.
    spread: u32,
}

impl Grams {
    const WORDS: usize = 1 << 10;
    /// 2^32 by the golden ratio (Knuth, The Art of Computer Programming, 6.4).
    const SPREAD: u32 = 0x9E37_79B1;

    /// Of so many classes, up to four: the oldest are shifted out.
    fn new(classes: u32) -> Self {
        Self {
            bits: Box::new([0; Self::WORDS]),
            spread: Self::SPREAD << (32 - 8 * classes),
        }
    }

    fn mark(&mut self, gram: u32) {
        let hash = self.hash(gram);
        if let Some(word) = self.bits.get_mut(hash as usize >> 5) {
            *word |= 1 << (hash & 31);
        }
    }

    #[inline(always)]
    fn has(&self, gram: u32) -> bool {
        let hash = self.hash(gram);
        self.bits.get(hash as usize >> 5).copied().unwrap_or(0) >> (hash & 31) & 1 != 0
    }

    /// Below 32 bits for each word.
    #[inline(always)]
    const fn hash(&self, gram: u32) -> u32 {
        gram.wrapping_mul(self.spread) >> (32 - 15)
    }
}

/// A run of classes, one in each byte.
fn of(classes: &[u8]) -> u32 {
    classes.iter().fold(0, |gram, class| gram << 8 | u32::from(*class))
}

/// A run of four, and a fifth mixed into it.
#[inline(always)]
const fn with_fifth(four: u32, fifth: u8) -> u32 {
    four.rotate_left(5) ^ fifth as u32
}

pub struct Literals {
    /// A byte's class; 0 for bytes that are in no literal. Letters have one in either case.
    classes: [u8; 256],
    /// How many classes there are.
    width: usize,
    /// Whether a literal may begin with three classes.
    threes: Grams,
    /// The same for four and five classes, of literals that have as many.
    fours: Grams,
    fives: Grams,
    /// Literals of three and of four bytes.
    whole_threes: Grams,
    whole_fours: Grams,
    /// The classes that literals of two bytes begin with: signs.
    short: ByteSet,
    /// The node behind two classes; 0 for none.
    pairs: Vec<Node>,
    /// Nodes are numbered by depth, so those behind one stand side by side: where they begin, for each and one more.
    behind: Vec<Node>,
    /// The class that leads to a node.
    labels: Vec<u8>,
    /// The literal that ends at a node, plus one; 0 for none.
    ends: Vec<u16>,
}

impl Literals {
    /// Builds it over literals in lower case, each of two bytes or more. There are some thousand: nodes and classes fit
    /// their types by far, and a test holds that; what would not fit is left out rather than found wrong.
    pub fn new<'l>(literals: impl Iterator<Item = &'l [u8]> + Clone) -> Self {
        let mut classes = [0_u8; 256];
        let mut used: u8 = 0;
        for byte in literals.clone().flatten() {
            if let Some(class) = classes.get_mut(usize::from(*byte)) {
                *class = 1;
            }
        }
        // In the order of the bytes, whatever that of the literals: a new one moves none of the hashes.
        for class in classes.iter_mut().filter(|class| **class != 0) {
            used = used.saturating_add(1);
            *class = used;
        }
        for byte in b'a'..=b'z' {
            let class = classes.get(usize::from(byte)).copied().unwrap_or(0);
            if let Some(upper) = classes.get_mut(usize::from(byte.to_ascii_uppercase())) {
                *upper = class;
            }
        }
        let width = usize::from(used).saturating_add(1);
        let mut built = Self {
            classes,
            width,
            threes: Grams::new(3),
            fours: Grams::new(4),
            fives: Grams::new(4),
            whole_threes: Grams::new(3),
            whole_fours: Grams::new(4),
            short: ByteSet::default(),
            pairs: vec![0; width * width],
            behind: Vec::new(),
            labels: vec![0],
            ends: vec![0],
        };
        let spelt = (1_u16..).zip(literals).map(|(id, literal)| {
            let classes: Vec<u8> = literal.iter().map(|byte| built.class(*byte)).collect();
            (classes, id)
        });
        let mut sorted: Vec<(Vec<u8>, u16)> = spelt.filter(|(classes, _)| classes.len() >= 2).collect();
        crate::sort::by(&mut sorted, |(a, _), (b, _)| a.cmp(b));
        for (literal, _) in &sorted {
            built.tell(literal);
        }
        built.grow(&sorted);
        built
    }

    #[inline(always)]
    fn class(&self, byte: u8) -> u8 {
        self.classes.get(usize::from(byte)).copied().unwrap_or(0)
    }

    /// Marks what a literal may begin with; where it is shorter, any class may stand behind it.
    fn tell(&mut self, literal: &[u8]) {
        let any = 0..u8::try_from(self.width).unwrap_or(u8::MAX);
        match *literal {
            [a, b] => {
                self.short = std::mem::take(&mut self.short).with(a);
                any.for_each(|c| self.threes.mark(of(&[a, b, c])));
            }
            [a, b, c] => {
                self.threes.mark(of(&[a, b, c]));
                self.whole_threes.mark(of(&[a, b, c]));
            }
            [a, b, c, d, ref rest @ ..] => {
                let four = of(&[a, b, c, d]);
                self.threes.mark(of(&[a, b, c]));
                self.fours.mark(four);
                match rest.first() {
                    Some(fifth) => self.fives.mark(with_fifth(four, *fifth)),
                    None => self.whole_fours.mark(four),
                }
            }
            _ => {}
        }
    }

    /// Makes the nodes, one depth after the other, from sorted literals. What goes on from a node is a range of them.
    fn grow(&mut self, sorted: &[(Vec<u8>, u16)]) {
        let mut ranges = vec![(0, sorted.len())];
        let (mut node, mut depth) = (0, 0);
        // Where the nodes of the next depth begin.
        let mut deeper = 1;
        while let Some((start, end)) = ranges.get(node).copied() {
            if node == deeper {
                depth += 1;
                deeper = ranges.len();
            }
            self.behind.push(Node::try_from(ranges.len()).unwrap_or(Node::MAX));
            let mut at = start;
            while at < end {
                let class = |at: usize| sorted.get(at).and_then(|(literal, _)| literal.get(depth)).copied();
                let Some(label) = class(at) else {
                    // It ends here, and as the shortest stands first.
                    let id = sorted.get(at).map_or(0, |(_, id)| *id);
                    self.ends.get_mut(node).into_iter().for_each(|e| *e = id);
                    at += 1;
                    continue;
                };
                let begin = at;
                while at < end && class(at) == Some(label) {
                    at += 1;
                }
                if depth == 1 {
                    let first = usize::from(self.labels.get(node).copied().unwrap_or(0));
                    let slot = self.pairs.get_mut(first * self.width + usize::from(label));
                    let pair = Node::try_from(ranges.len()).unwrap_or(0);
                    slot.into_iter().for_each(|slot| *slot = pair);
                }
                ranges.push((begin, at));
                self.labels.push(label);
                self.ends.push(0);
            }
            node += 1;
        }
        self.behind.push(Node::try_from(ranges.len()).unwrap_or(Node::MAX));
    }

    /// Calls `found(literal, end)` for each place where a literal ends, in the order of where they begin, until it says to
    /// stop by `true`. Gives the number of places that the trie was walked down from.
    pub fn scan(&self, bytes: &[u8], mut found: impl FnMut(usize, usize) -> bool) -> usize {
        let (mut start, mut walks) = (0, 0);
        while let Some(at) = self.next(bytes, start) {
            walks += 1;
            if self.walk(bytes, at, &mut found) {
                break;
            }
            start = at + 1;
        }
        walks
    }

    /// The first position from `start` on at which a literal may begin. By itself: among what is done with a hit, the loop
    /// over nearly every byte of a body would lose its registers, and take twice as long.
    #[inline(never)]
    fn next(&self, bytes: &[u8], start: usize) -> Option<usize> {
        let rest = bytes.get(start..)?;
        let (first, rest) = rest.split_first()?;
        let (second, rest) = rest.split_first()?;
        let mut gram = u32::from(self.class(*first)) << 8 | u32::from(self.class(*second));
        let (chunks, tail) = rest.as_chunks::<4>();
        let mut at = start;
        for chunk in chunks {
            for (offset, third) in chunk.iter().enumerate() {
                gram = gram << 8 | u32::from(self.class(*third));
                if self.threes.has(gram) && self.goes_on(gram, from(bytes, at + offset + 3)) {
                    return Some(at + offset);
                }
            }
            at += chunk.len();
        }
        for third in tail {
            gram = gram << 8 | u32::from(self.class(*third));
            if self.threes.has(gram) && self.goes_on(gram, from(bytes, at + 3)) {
                return Some(at);
            }
            at += 1;
        }
        // Behind the last two there is nothing.
        self.threes.has(gram << 8).then_some(bytes.len() - 2)
    }

    /// Whether a literal may begin with three classes, and what is behind them: the fourth and fifth tell most. Seldom asked,
    /// so no part of the loop.
    #[inline(never)]
    fn goes_on(&self, gram: u32, behind: &[u8]) -> bool {
        let class = |at: usize| behind.get(at).map_or(0, |byte| self.class(*byte));
        let four = gram << 8 | u32::from(class(0));
        self.fours.has(four) && (self.fives.has(with_fifth(four, class(1))) || self.whole_fours.has(four))
            || self.whole_threes.has(gram)
            || self.short.has((gram >> 16 & 0xFF) as u8)
    }

    /// Calls `found` for every literal that begins at a position, the shortest first; `true` if it said to stop.
    #[inline(always)]
    fn walk(&self, bytes: &[u8], at: usize, found: &mut impl FnMut(usize, usize) -> bool) -> bool {
        let class = |at: usize| bytes.get(at).map_or(0, |byte| usize::from(self.class(*byte)));
        let pair = class(at) * self.width + class(at + 1);
        let mut node = usize::from(self.pairs.get(pair).copied().unwrap_or(0));
        let mut end = at + 2;
        while node != 0 {
            let id = self.ends.get(node).copied().unwrap_or(0);
            if id != 0 && found(usize::from(id) - 1, end) {
                return true;
            }
            let Some(byte) = bytes.get(end) else { return false };
            node = self.child(node, self.class(*byte));
            end += 1;
        }
        false
    }

    /// The node that a class leads to; 0 for none.
    #[inline(always)]
    fn child(&self, node: usize, class: u8) -> usize {
        let (Some(start), Some(end)) = (self.behind.get(node), self.behind.get(node + 1)) else {
            return 0;
        };
        // Sorted. Some have dozens, and in a run of what they begin with, each byte asks.
        let (mut start, mut end) = (usize::from(*start), usize::from(*end));
        while start < end {
            let middle = start.midpoint(end);
            match self.labels.get(middle).map(|label| label.cmp(&class)) {
                Some(Ordering::Less) => start = middle + 1,
                Some(Ordering::Greater) => end = middle,
                Some(Ordering::Equal) => return middle,
                None => return 0,
            }
        }
        0
    }

    /// Bytes of memory that the tables take.
    pub fn bytes(&self) -> usize {
        (self.pairs.len() + self.behind.len() + self.ends.len()) * size_of::<Node>()
            + self.labels.len()
            + 5 * size_of::<[u32; Grams::WORDS]>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(words: &[&[u8]], text: &[u8]) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        Literals::new(words.iter().copied()).scan(text, |id, end| {
            found.push((id, end));
            false
        });
        found
    }

    #[test]
    fn every_literal_is_found_wherever_it_ends() {
        let words: [&[u8]; 5] = [b"he", b"she", b"his", b"hers", b"../"];
        assert_eq!(
            all(&words, b"uSHErs his ../"),
            [(1, 4), (0, 4), (3, 6), (2, 10), (4, 14)]
        );
        assert_eq!(all(&words, b"h"), []);
        assert_eq!(all(&words, b"he"), [(0, 2)]);
    }

    /// Compared with looking for each literal at each position.
    #[test]
    fn what_is_found_is_what_is_there() {
        let words: [&[u8]; 8] = [b"ab", b"aba", b"bab", b"ba.", b"abab.", b"..", b"b.a", b"aab"];
        let mut state = 7_u32;
        for _ in 0..2000 {
            let mut text = Vec::new();
            for _ in 0..state % 29 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                text.push(*b"aABb.x".get((state >> 24) as usize % 6).unwrap_or(&b'a'));
            }
            state = state.wrapping_add(12_345);
            let lower = text.to_ascii_lowercase();
            let mut expected = Vec::new();
            for at in 0..text.len() {
                for (id, word) in words.iter().enumerate() {
                    if lower.get(at..).is_some_and(|rest| rest.starts_with(word)) {
                        expected.push((id, at + word.len()));
                    }
                }
            }
            let mut found = all(&words, &text);
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{}", String::from_utf8_lossy(&text));
        }
    }
}
