//! Inputs for the targets: regressions, cut, joined and changed, with the words that the formats are made of put in.

/// What readers stop at or treat apart.
const WORDS: [&str; 56] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    "\\u0041",
    "\\ud800",
    "null",
    "true",
    "-0",
    "1e400",
    "0.1",
    "\u{feff}",
    "\"a\":1",
    "=",
    "&",
    "+",
    "%",
    "%2f",
    "%2E",
    "%00",
    "%c0%af",
    "%u002e",
    "/",
    "//",
    "/./",
    "/../",
    ";",
    "?",
    "#",
    "*",
    "\r\n",
    "--",
    "--x",
    "Content-Disposition: form-data; name=\"a\"",
    "; filename=\"b\"",
    "a",
    "id",
    "GET",
    "\0",
    "\u{e9}",
    "$ref",
    "type",
    "anyOf",
    ".",
    "eyJhbGciOiJIUzI1NiJ9",
    "\"exp\":9",
    "<script>",
    "' or 1=1--",
    "$(",
    "`",
    "{{",
    "&#x3c;",
];

/// No drawn input is longer.
const BYTES_MAX: usize = 400;

pub struct Draw<'s> {
    seeds: &'s [Vec<u8>],
    state: u64,
}

impl<'s> Draw<'s> {
    pub fn new(seeds: &'s [Vec<u8>]) -> Self {
        let state = 0x9E37_79B9_7F4A_7C15;
        Self { seeds, state }
    }

    /// Xorshift (Marsaglia, 64 bits).
    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state >> 33).expect("31 bits") % bound.max(1)
    }

    fn part_of_a_seed(&mut self) -> &'s [u8] {
        let at = self.below(self.seeds.len());
        let seed = self.seeds.get(at).map_or(&[][..], Vec::as_slice);
        let seed = &seed[..seed.len().min(BYTES_MAX)];
        let (start, end) = (self.below(seed.len() + 1), self.below(seed.len() + 1));
        if self.below(3) == 0 {
            seed
        } else {
            &seed[start.min(end)..start.max(end)]
        }
    }

    pub fn input(&mut self) -> Vec<u8> {
        let mut input = self.part_of_a_seed().to_vec();
        for _ in 0..self.below(12) {
            let at = self.below(input.len() + 1);
            match self.below(6) {
                0 if at < input.len() => input[at] ^= 1 << self.below(8),
                1 => input.truncate(at),
                2 => {
                    let part = self.part_of_a_seed();
                    input.splice(at..at, part.iter().copied());
                }
                _ => {
                    let word = WORDS[self.below(WORDS.len())];
                    input.splice(at..at, word.bytes());
                }
            }
        }
        input.truncate(BYTES_MAX);
        input
    }
}
