//! Looking at bytes without panics: positions out of range read as zero, and every search is linear.

/// The byte at a position, in lower case; zero beyond the end.
#[inline(always)]
pub fn low(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0).to_ascii_lowercase()
}

pub const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// White space as SQL and HTML engines take it, the control bytes among it.
pub const fn is_blank(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ')
}

/// The part from `start` on; empty beyond the end.
pub fn from(bytes: &[u8], start: usize) -> &[u8] {
    bytes.get(start..).unwrap_or_default()
}

pub fn between(bytes: &[u8], start: usize, end: usize) -> &[u8] {
    bytes.get(start..end).unwrap_or_default()
}

/// The first position from `at` on whose byte is not blank.
pub fn skip_blank(bytes: &[u8], at: usize) -> usize {
    let blanks = from(bytes, at).iter().take_while(|b| is_blank(**b)).count();
    at.saturating_add(blanks)
}

/// The first position from `at` on that is no space or tab.
pub fn skip_spaces(bytes: &[u8], at: usize) -> usize {
    let spaces = from(bytes, at).iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    at.saturating_add(spaces)
}

/// Whether `bytes` begins with `word`, which is in lower case, in any case.
#[inline(always)]
pub fn starts_with(bytes: &[u8], word: &[u8]) -> bool {
    let mut head = bytes.iter();
    word.iter()
        .all(|known| head.next().is_some_and(|byte| byte.to_ascii_lowercase() == *known))
}

/// The same where it is seldom asked: in place it takes a hundred bytes of the module each time.
#[inline(never)]
pub fn begins_with(bytes: &[u8], word: &[u8]) -> bool {
    starts_with(bytes, word)
}

/// The length of the run of word bytes at a position.
pub fn word_len(bytes: &[u8], at: usize) -> usize {
    from(bytes, at).iter().take_while(|b| is_word(**b)).count()
}

/// The first position of a byte from `at` on. Eight bytes are looked at together, since every scanner looks so for what it
/// begins with.
pub fn find_byte(bytes: &[u8], at: usize, byte: u8) -> Option<usize> {
    const HIGHS: u64 = ONES << 7;
    let (chunks, tail) = from(bytes, at).as_chunks::<8>();
    let wanted = u64::from(byte) * ONES;
    let mut begin = at;
    for chunk in chunks {
        // Zero where the byte is; the lowest of the bits left is that of the first.
        let differs = u64::from_le_bytes(*chunk) ^ wanted;
        let hits = differs.wrapping_sub(ONES) & !differs & HIGHS;
        if hits != 0 {
            return usize::try_from(hits.trailing_zeros() / 8).ok()?.checked_add(begin);
        }
        begin += 8;
    }
    let found = tail.iter().position(|b| *b == byte)?;
    begin.checked_add(found)
}

const ONES: u64 = u64::MAX / 0xFF;

/// The highest bit of each byte of `word` that is `byte`, exactly: eight bytes are looked at together.
const fn equal(word: u64, byte: u8) -> u64 {
    const LOWS: u64 = ONES * 0x7F;
    let differs = word ^ (byte as u64 * ONES);
    !((differs & LOWS).wrapping_add(LOWS) | differs | LOWS)
}

/// Where one of some bytes stands, each place in turn: a third of what a search from each place on costs where they are near.
pub struct Positions<'b, const N: usize> {
    chunks: std::slice::Iter<'b, [u8; 8]>,
    tail: &'b [u8],
    wanted: [u8; N],
    /// Of the bytes before `behind`, those that are still to be given.
    found: u64,
    behind: usize,
}

pub fn positions(bytes: &[u8], byte: u8) -> Positions<'_, 1> {
    positions_of(bytes, [byte])
}

pub fn positions_of<const N: usize>(bytes: &[u8], wanted: [u8; N]) -> Positions<'_, N> {
    let (chunks, tail) = bytes.as_chunks::<8>();
    Positions {
        chunks: chunks.iter(),
        tail,
        wanted,
        found: 0,
        behind: 0,
    }
}

impl<const N: usize> Iterator for Positions<'_, N> {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        while self.found == 0 {
            let (chunk, filled) = match self.chunks.next() {
                Some(chunk) => (*chunk, u64::MAX),
                None if self.tail.is_empty() => return None,
                None => {
                    let mut chunk = [0; 8];
                    chunk.iter_mut().zip(self.tail).for_each(|(to, from)| *to = *from);
                    let filled = (1 << (8 * self.tail.len())) - 1;
                    self.tail = &[];
                    (chunk, filled)
                }
            };
            let word = u64::from_le_bytes(chunk);
            let found = self.wanted.iter().fold(0, |found, byte| found | equal(word, *byte));
            self.found = found & filled;
            self.behind += 8;
        }
        let first = self.found.trailing_zeros() / 8;
        self.found &= self.found - 1;
        Some(self.behind - 8 + first as usize)
    }
}

/// Some of the 256 bytes, told by a bit each.
#[derive(Default)]
pub struct ByteSet([u64; 4]);

#[allow(
    clippy::indexing_slicing,
    reason = "in constants an index beyond the end does not compile"
)]
impl ByteSet {
    pub const fn new(list: &[u8]) -> Self {
        let mut set = Self([0; 4]);
        let mut i = 0;
        while i < list.len() {
            set = set.with(list[i]);
            i += 1;
        }
        set
    }

    pub const fn with(mut self, byte: u8) -> Self {
        self.0[(byte >> 6) as usize] |= 1 << (byte & 63);
        self
    }

    /// And all bytes up to this one, which is below 64.
    pub const fn with_up_to(mut self, last: u8) -> Self {
        self.0[0] |= u64::MAX >> (63 - last);
        self
    }
}

impl ByteSet {
    #[inline(always)]
    pub fn has(&self, byte: u8) -> bool {
        self.0
            .get(usize::from(byte >> 6))
            .is_some_and(|bits| bits >> (byte & 63) & 1 != 0)
    }
}

/// The first position from `at` on whose byte has one of the `wanted` bits. Behind the first few, eight bytes are looked at
/// before it is asked whether any has: half the instructions where what is sought is rare, and few more where it is not.
#[inline(always)]
pub fn find_bits(bytes: &[u8], at: usize, bits: impl Fn(u8) -> u16, wanted: u16) -> Option<usize> {
    const NEAR: usize = 4;
    let rest = from(bytes, at);
    let is = |byte: &u8| bits(*byte) & wanted != 0;
    for near in 0..NEAR {
        if is(rest.get(near)?) {
            return at.checked_add(near);
        }
    }
    let mut begin = at.checked_add(NEAR)?;
    let (chunks, tail) = from(rest, NEAR).as_chunks::<8>();
    for chunk in chunks {
        if chunk.iter().fold(0, |any, byte| any | bits(*byte)) & wanted != 0 {
            return chunk.iter().position(is)?.checked_add(begin);
        }
        begin += 8;
    }
    tail.iter().position(is)?.checked_add(begin)
}

/// Where a pair of bytes stands from `at` on. Sixteen instructions for eight bytes, however often one of the two is there.
pub fn find_pair(bytes: &[u8], at: usize, [first, second]: [u8; 2]) -> Option<usize> {
    let (chunks, tail) = from(bytes, at).as_chunks::<8>();
    let (mut begin, mut carried) = (at, 0);
    for chunk in chunks {
        let word = u64::from_le_bytes(*chunk);
        let firsts = equal(word, first);
        let pairs = (firsts << 8 | carried) & equal(word, second);
        if pairs != 0 {
            // The mark is at the second.
            return usize::try_from(pairs.trailing_zeros() / 8)
                .ok()?
                .checked_add(begin)?
                .checked_sub(1);
        }
        carried = firsts >> 56;
        begin += 8;
    }
    let mut last = carried != 0;
    for (offset, byte) in tail.iter().enumerate() {
        if last && *byte == second {
            return begin.checked_add(offset)?.checked_sub(1);
        }
        last = *byte == first;
    }
    None
}

/// Whether a short `needle` in lower case occurs, in any case. For short texts only: product of both lengths.
pub fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    // Most places are told by their first byte.
    let begins = |window: &&[u8]| window.first().map(u8::to_ascii_lowercase) == needle.first().copied();
    let mut windows = bytes.windows(needle.len().max(1)).filter(begins);
    windows.any(|window| starts_with(window, needle))
}

/// What tells of most words that they are not among some: a bit for each mark that one of those has.
#[derive(Debug)]
pub struct Marks([u32; 64]);

impl Marks {
    /// Those of these words and of others.
    #[allow(
        clippy::indexing_slicing,
        reason = "in constants an index beyond the end does not compile"
    )]
    pub const fn with(&self, other: &Self) -> Self {
        let mut marks = self.0;
        let mut at = 0;
        while at < marks.len() {
            marks[at] |= other.0[at];
            at += 1;
        }
        Self(marks)
    }

    /// Whether a word may be among them.
    #[inline(always)]
    pub fn may_have(&self, word: &[u8]) -> bool {
        self.has(mark(word))
    }

    #[inline(always)]
    fn has(&self, mark: usize) -> bool {
        self.0.get(mark >> 5).copied().unwrap_or(0) & 1 << (mark & 31) != 0
    }
}

/// A sorted list of words in lower case that nearly every word of a text is looked for in: most are told to be in none by a
/// few bits, without a search.
#[derive(Debug)]
pub struct Words<const N: usize> {
    /// By the lowest bits of their marks.
    words: [&'static str; N],
    /// Where the words of each group end.
    ends: [u16; GROUPS],
    marks: Marks,
    /// The least and the greatest length, and a bit for each letter that a word begins with.
    lengths: (usize, usize),
    firsts: u32,
}

/// Groups of a list's words; a power of two.
const GROUPS: usize = 64;

#[allow(
    clippy::indexing_slicing,
    reason = "in constants an index beyond the end does not compile"
)]
impl<const N: usize> Words<N> {
    /// # Panics
    /// At compile time, if the words are not sorted.
    pub const fn new(sorted: [&'static str; N]) -> Self {
        let mut marks = [0_u32; 64];
        let mut lengths = (usize::MAX, 0);
        let mut firsts = 0;
        let mut ends = [0_u16; GROUPS];
        let mut at = 0;
        while at < N {
            let word = sorted[at].as_bytes();
            lengths.0 = if word.len() < lengths.0 { word.len() } else { lengths.0 };
            lengths.1 = if word.len() > lengths.1 { word.len() } else { lengths.1 };
            firsts |= first_bit(word);
            let mark = mark(word);
            marks[mark >> 5] |= 1 << (mark & 31);
            ends[mark % GROUPS] += 1;
            assert!(at == 0 || is_before(sorted[at - 1].as_bytes(), word));
            at += 1;
        }
        let mut free = [0_u16; GROUPS];
        let mut group = 1;
        while group < GROUPS {
            ends[group] += ends[group - 1];
            free[group] = ends[group - 1];
            group += 1;
        }
        let mut words = [""; N];
        at = 0;
        while at < N {
            let group = mark(sorted[at].as_bytes()) % GROUPS;
            words[free[group] as usize] = sorted[at];
            free[group] += 1;
            at += 1;
        }
        Self {
            words,
            ends,
            marks: Marks(marks),
            lengths,
            firsts,
        }
    }
}

impl<const N: usize> Words<N> {
    /// Whether a word, in any case, is in the list.
    pub fn has(&self, word: &[u8]) -> bool {
        if word.len() < self.lengths.0 || word.len() > self.lengths.1 || self.firsts & first_bit(word) == 0 {
            return false;
        }
        let mark = mark(word);
        self.marks.has(mark) && self.finds(mark % GROUPS, word)
    }

    #[inline(never)]
    fn finds(&self, group: usize, word: &[u8]) -> bool {
        let start = group
            .checked_sub(1)
            .map_or(Some(0), |before| self.ends.get(before).copied());
        let (Some(start), Some(end)) = (start, self.ends.get(group)) else {
            return false;
        };
        let group = self.words.get(usize::from(start)..usize::from(*end));
        let is = |known: &&str| known.len() == word.len() && word.eq_ignore_ascii_case(known.as_bytes());
        group.unwrap_or_default().iter().any(is)
    }

    pub const fn marks(&self) -> &Marks {
        &self.marks
    }
}

/// A bit for a word's first character: a letter, in either case, has one of its own, and all others share one.
#[inline(always)]
const fn first_bit(word: &[u8]) -> u32 {
    match word.first() {
        Some(first) if first.is_ascii_alphabetic() => 1 << (*first & 31),
        Some(_) => 1,
        None => 0,
    }
}

const fn is_before(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() {
        #[allow(clippy::indexing_slicing)]
        if a[at] != b[at] {
            return a[at] < b[at];
        }
        at += 1;
    }
    a.len() < b.len()
}

/// A number below 2048 that words of a list seldom share: of the length and three letters, whatever their case.
#[inline(always)]
const fn mark(word: &[u8]) -> usize {
    if word.is_empty() {
        return 0;
    }
    #[allow(clippy::indexing_slicing)]
    let (first, second, last) = (word[0] | 0x20, word[word.len() / 2] | 0x20, word[word.len() - 1] | 0x20);
    let sum = first as usize * 61 + second as usize * 13 + last as usize * 5 + word.len() * 149;
    sum & 0x7FF
}

/// Whether `word`, in lower case, is in a sorted list.
pub fn listed(list: &[&str], word: &[u8]) -> bool {
    /// Longer words are in no list.
    const WORD_BYTES_MAX: usize = 32;
    let mut buffer = [0_u8; WORD_BYTES_MAX];
    let Some(folded) = buffer.get_mut(..word.len()) else {
        return false;
    };
    for (to, byte) in folded.iter_mut().zip(word) {
        *to = byte.to_ascii_lowercase();
    }
    list.binary_search_by(|known| known.as_bytes().cmp(folded)).is_ok()
}
