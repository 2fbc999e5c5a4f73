//! Looks for the texts that the threats guard spends most on: pieces of attacks and of documents, put together at random and
//! mutated, the dearest kept. What they take is timed, so that thousands can be tried; what is found is to be counted then.

use portcullis::guard::threats::{Account, Categories, Category, Engine, Kind};
use std::hint::black_box;
use std::time::{Duration, Instant};

const TEXT_BYTES: usize = 16 << 10;
const KEPT: usize = 40;
const UNIT_BYTES_MAX: usize = 64;
const KINDS: [(&str, Kind); 3] = [
    ("parameter", Kind::Parameter),
    ("json", Kind::Json),
    ("body", Kind::Text),
];
const SIGNS: &[u8] = b"$`'\"<>&;|(){}[]=%+-*/\\#@!?:,. \n\tax0_^~";
/// What openings, separators, encodings and names look like; literals of the rules among them.
const PIECES: &str = "$ ` ' \" < > & ; | ( ) { } [ ] = % + - * / \\ # @ ! ? : , . ~ ^ _ <a <a\u{a0}x= <a\u{a0}style=\" <a\u{a0}style= \
    <img\u{a0}src= <script> </script <style> <svg/onload= &amp; &#36; &lt; &quot; %25 %2525 %2e%2e%2f %25252e \\u0024 \\u005c ${ $( `` `0` \
    --; {{ }} {{% <% %> <? [] /* */ /*! -- #\n \r\n ' or\u{a0} ' and\u{a0} or\u{a0}1=1 union\u{a0}select x|Type| a=b& && || ;x |x ../ ..\\ .... http:// \
    //127.1 @ <!-- --> <![CDATA[ ]]> data: base64, javascript: onerror= =\" =' a.b( .a. x[ ['x'] 0x41 1e3 select from where like in\u{a0}( é 中 \0 \
    %00 %0a eval( exec( alert( sleep( system( concat( expression( document. window. constructor __proto__ java.lang. #{ @{ *{ T( cat\u{a0} \
    ls\u{a0}- /bin/sh cmd\u{a0}/c $IFS $ne {\"$gt\": db.x.find( *)(uid= php:// file:/// set-cookie: x^ \\x41 &x^ :: ... =<a {{{{";

/// A text: one unit again and again, behind a beginning and in front of an end.
#[derive(Debug, Clone)]
struct Text {
    begin: Vec<u8>,
    unit: Vec<u8>,
    end: Vec<u8>,
    kind: usize,
}

impl Text {
    fn bytes(&self) -> Vec<u8> {
        let middle = TEXT_BYTES.saturating_sub(self.begin.len() + self.end.len());
        let unit = self.unit.iter().copied().cycle().take(middle);
        self.begin
            .iter()
            .copied()
            .chain(unit)
            .chain(self.end.iter().copied())
            .collect()
    }

    /// Of the same kind of place, and of mostly the same bytes: one stands for both.
    fn is_like(&self, other: &Self) -> bool {
        let bytes = |text: &Self| {
            let mut bytes = text.unit.clone();
            bytes.sort_unstable();
            bytes.dedup();
            bytes
        };
        let (mine, theirs) = (bytes(self), bytes(other));
        let shared = theirs.iter().filter(|b| mine.contains(b)).count();
        self.kind == other.kind && shared * 10 >= mine.len().max(theirs.len()) * 7
    }
}

/// A generator of numbers that are random enough (xorshift; Marsaglia, 2003).
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end.max(1)
    }

    fn of<'l, T>(&mut self, list: &'l [T]) -> &'l T {
        &list[self.below(list.len())]
    }

    fn text(&mut self, pieces: &[Vec<u8>]) -> Text {
        let unit = (0..=self.below(4)).flat_map(|_| self.of(pieces).clone()).collect();
        let mut edge = || {
            if self.below(3) == 0 {
                self.of(pieces).clone()
            } else {
                Vec::new()
            }
        };
        let (begin, end) = (edge(), edge());
        Text {
            begin,
            unit,
            end,
            kind: self.below(KINDS.len()),
        }
    }

    fn mutate(&mut self, text: &mut Text, other: &[u8], pieces: &[Vec<u8>]) {
        let at = self.below(text.unit.len());
        match self.below(8) {
            0 => drop(text.unit.splice(at..at, self.of(pieces).clone())),
            1 => drop(text.unit.drain(at..(at + 1 + self.below(4)).min(text.unit.len()))),
            2 => text.unit[at] = *self.of(SIGNS),
            3 => text.unit.insert(at, *self.of(SIGNS)),
            4 => text.begin = self.of(pieces).repeat(self.below(4)),
            5 => text.end = self.of(pieces).repeat(self.below(4)),
            6 => {
                let from = self.below(other.len());
                let part = &other[from..(from + 1 + self.below(8)).min(other.len())];
                drop(text.unit.splice(at..at, part.iter().copied()));
            }
            _ => text.kind = self.below(KINDS.len()),
        }
    }
}

/// The least of some runs, in nanoseconds for a byte; 0 for what is left unfinished.
fn time(engine: &Engine, text: &[u8], kind: Kind, runs: usize) -> f64 {
    let every = Category::ALL
        .iter()
        .fold(Categories::NONE, |set, (_, category)| set.with(*category));
    let once = |_| {
        let begin = Instant::now();
        let whole = black_box(engine.judge(text, kind, every, &mut Account::default(), &mut |_| true)).is_some();
        whole.then(|| begin.elapsed())
    };
    let least = (0..runs)
        .map(once)
        .collect::<Option<Vec<Duration>>>()
        .and_then(|all| all.into_iter().min());
    least.map_or(0.0, |least| least.as_nanos() as f64 / text.len() as f64)
}

/// Searches for so long and prints the dearest, as multiples of what `prose` takes.
pub fn search(seconds: u64, seed: u64, prose: &str) {
    let engine = Engine::new();
    let pieces: Vec<Vec<u8>> = PIECES
        .split(' ')
        .map(|piece| piece.replace('\u{a0}', " ").into_bytes())
        .collect();
    let mut draw = Draw(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut kept: Vec<(f64, Text)> = Vec::new();
    let begin = Instant::now();
    let mut tried = 0_u64;
    while begin.elapsed() < Duration::from_secs(seconds) {
        tried += 1;
        let mut text = draw.text(&pieces);
        if kept.len() == KEPT && draw.below(12) > 0 {
            text = draw.of(&kept).1.clone();
            let other = draw.of(&kept).1.unit.clone();
            for _ in 0..=draw.below(3) {
                draw.mutate(&mut text, &other, &pieces);
                if text.unit.is_empty() {
                    break;
                }
            }
        }
        if text.unit.is_empty() || text.unit.len() > UNIT_BYTES_MAX {
            continue;
        }
        let (bytes, kind) = (text.bytes(), KINDS[text.kind].1);
        let least = kept.last().map_or(0.0, |(cost, _)| *cost);
        if kept.len() == KEPT && time(&engine, &bytes, kind, 2) <= least {
            continue;
        }
        let cost = time(&engine, &bytes, kind, 4);
        match kept.iter_mut().find(|(_, known)| known.is_like(&text)) {
            Some(known) if known.0 < cost => *known = (cost, text),
            Some(_) => {}
            None => kept.push((cost, text)),
        }
        kept.sort_by(|a, b| b.0.total_cmp(&a.0));
        kept.truncate(KEPT);
    }
    let prose: String = prose.chars().cycle().take(TEXT_BYTES).collect();
    let plain = time(&engine, prose.as_bytes(), Kind::Json, 50);
    // What else ran then made some dear that are not.
    for (cost, text) in &mut kept {
        *cost = time(&engine, &text.bytes(), KINDS[text.kind].1, 30);
    }
    kept.sort_by(|a, b| b.0.total_cmp(&a.0));
    println!("{tried} texts of {TEXT_BYTES} bytes; prose takes {plain:.1} ns a byte");
    for (cost, text) in kept.iter().take(12) {
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (begin, unit, end) = (shown(&text.begin), shown(&text.unit), shown(&text.end));
        println!(
            "{:>6.1}  {:<9} {begin:?} {unit:?} {end:?}",
            cost / plain,
            KINDS[text.kind].0
        );
    }
}
