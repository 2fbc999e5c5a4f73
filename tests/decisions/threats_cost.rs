//! What the worst texts cost the threats guard beside prose of the same length, and that the cost is linear.

use crate::scene::{Scene, request};
use portcullis::guard::threats::{Account, Categories, Category, Engine, Kind};
use std::time::{Duration, Instant};

/// What rules, tokenisers and the decoding chain look for or stop at; texts are made of one or two of them, repeated.
const ATOMS: [&str; 61] = [
    "'",
    "\"",
    "`",
    "<",
    ">",
    "</",
    "<!--",
    "<a ",
    "=",
    "--",
    "/*",
    "*/",
    "(",
    ")",
    "{{",
    "${",
    "#{",
    "%",
    "%25",
    "%u00",
    "&#",
    "&#0000000",
    "&amp;",
    "\\",
    "\\u005c",
    "\\x5c",
    "\u{ff1c}",
    ";",
    "|",
    "$(",
    "../",
    "/",
    "://",
    "http://",
    "a",
    "0",
    " ",
    "\n",
    "or ",
    "select ",
    "union ",
    "on",
    "javascript:",
    "x=1 ",
    "[",
    "]",
    "$a[",
    "$a{",
    "}",
    "::",
    "``",
    "$_",
    "@(",
    "(a",
    ";return true}x",
    "process.a.",
    "'-",
    "\" is:",
    ",$comment:",
    "/usr/bin/",
    "-- ",
];

const PROSE: &str = "The order came late on Monday, and the second parcel (a lamp) was broken; please send another. ";

fn text(unit: &str, bytes: usize) -> Vec<u8> {
    unit.bytes().cycle().take(bytes).collect()
}

/// The same behind as many bytes that say nothing, and something that opens: what looks back for it, or from a beginning on,
/// finds it late.
fn late(open: &str, unit: &str, bytes: usize) -> Vec<u8> {
    let mut text = text("a", bytes / 2);
    text.extend(open.bytes().chain(unit.bytes().cycle()).take(bytes - text.len()));
    text
}

/// What hits are asked about what stands in front of them: at the value's beginning, as the whole of it, in markup, behind
/// nothing but separators.
const FRONTED: [&str; 14] = [
    ";rm x",
    "|rm x",
    "; cp a",
    "sftp:",
    "data:text/p",
    "[::1]",
    "localhost",
    "phpinfo",
    " web.config",
    " .ds_store",
    "xinclude",
    "xmlns:xsl",
    "<object>",
    "\nset-cookie:",
];

/// Bytes that what is at a value's beginning may stand behind.
const FILLERS: [&str; 7] = [" ", "'", "\"", "/", ";", "|", "="];

/// The least time of a few: what else runs on the machine only adds.
fn cost(engine: &Engine, value: &[u8], kind: Kind, rounds: u32) -> Duration {
    let every = Category::ALL.iter().fold(Categories::NONE, |set, (_, c)| set.with(*c));
    let once = || {
        let start = Instant::now();
        engine.judge(value, kind, every, &mut Account::default(), &mut |_| false);
        start.elapsed()
    };
    (0..rounds).map(|_| once()).min().unwrap()
}

fn units() -> Vec<String> {
    let pairs = ATOMS.iter().flat_map(|a| ATOMS.iter().map(move |b| format!("{a}{b}")));
    ATOMS.iter().map(|a| (*a).to_owned()).chain(pairs).collect()
}

/// Eight times the length takes at most thirty times as long, of which the noise of a busy machine has most: what is
/// quadratic takes sixty-four times.
#[test]
fn no_text_costs_more_than_in_proportion_to_its_length() {
    let engine = Engine::new();
    let mut grown = Vec::new();
    for unit in units() {
        let measured = |rounds| {
            let of = |bytes| cost(&engine, &text(&unit, bytes), Kind::Parameter, rounds);
            (of(1 << 10).max(Duration::from_micros(20)), of(8 << 10))
        };
        let within = |(small, large): (Duration, Duration)| large <= small * 30;
        // What a busy machine made slow is measured again, longer.
        if !within(measured(2)) && !within(measured(30)) {
            grown.push(format!("{unit:?}: {:?} for 1 KiB and for 8 KiB", measured(2)));
        }
    }
    assert!(grown.is_empty(), "{} of them:\n{}", grown.len(), grown.join("\n"));
}

/// What is asked of the value's beginning for each hit is quadratic only where the beginning is long, and hits stand apart
/// from it. Bounds as above.
#[test]
fn no_filler_in_front_makes_a_text_cost_more_than_in_proportion_to_its_length() {
    let engine = Engine::new();
    let mut grown = Vec::new();
    let filled = |filler: &str, unit: &str, bytes: usize| {
        let front = filler.bytes().cycle().take(bytes / 2);
        let text = front.chain(b"z".iter().copied()).chain(unit.bytes().cycle());
        text.take(bytes).collect::<Vec<u8>>()
    };
    let kinds = [Kind::Parameter, Kind::Json, Kind::Cookie];
    let texts = FILLERS.iter().flat_map(|filler| FRONTED.map(|unit| (*filler, unit)));
    for (filler, unit) in texts {
        for kind in kinds {
            let measured = |rounds| {
                let of = |bytes| cost(&engine, &filled(filler, unit, bytes), kind, rounds);
                (of(2 << 10).max(Duration::from_micros(20)), of(16 << 10))
            };
            let within = |(small, large): (Duration, Duration)| large <= small * 30;
            if !within(measured(2)) && !within(measured(5)) {
                let measured = measured(2);
                grown.push(format!(
                    "{filler:?} and {unit:?} as {kind:?}: {measured:?} for 2 KiB and for 16 KiB"
                ));
            }
        }
    }
    assert!(grown.is_empty(), "{} of them:\n{}", grown.len(), grown.join("\n"));
}

/// Names and cookies, in which many lines are no document: what a line asks of what is in front of it and behind is bounded.
#[test]
fn no_lines_cost_more_than_in_proportion_to_their_length() {
    let engine = Engine::new();
    let mut grown = Vec::new();
    for kind in [Kind::Name, Kind::Cookie, Kind::Header] {
        for unit in ["\nwget a", "\nls ", "\ncurl x\n\n\n\n", "\nid\n"] {
            for front in ["", " ", "1."] {
                let measured = |rounds: u32| {
                    let of = |bytes: usize| {
                        let ahead = if front.is_empty() {
                            Vec::new()
                        } else {
                            text(front, bytes)
                        };
                        cost(&engine, &[ahead, text(unit, bytes)].concat(), kind, rounds)
                    };
                    (of(16 << 10).max(Duration::from_micros(50)), of(128 << 10))
                };
                let within = |(small, large): (Duration, Duration)| large <= small * 30;
                if !within(measured(1)) && !within(measured(3)) {
                    grown.push(format!("{kind:?} {unit:?} behind {front:?}: {:?}", measured(1)));
                }
            }
        }
    }
    assert!(grown.is_empty(), "{} of them:\n{}", grown.len(), grown.join("\n"));
}

/// Whole bodies, since a reader of XML looks for the ends of what begins: of what has none, each beginning must not look to the
/// body's end. Bounds as above.
#[test]
fn no_body_of_xml_costs_more_than_in_proportion_to_its_length() {
    let scene = Scene::new(r#"{ "threats": { "mode": "shadow" } }"#);
    let once = |unit: &str, bytes: usize| {
        let body = text(unit, bytes);
        let request = request("POST", "/x")
            .field("content-type", "application/xml")
            .body(body);
        let start = Instant::now();
        let _ = scene.send(&request);
        start.elapsed()
    };
    let mut grown = Vec::new();
    for unit in [
        "<?a>",
        "<?a <b>",
        "<?a",
        "<?>",
        "<!--a>",
        "<![CDATA[a>",
        "<!a",
        "<a b=\">",
        "<a b='\">",
        "<a b=",
        "<a",
        "<",
        "<a><!---->",
        "<![CDATA[a]]>",
        "<![CDATA[]]]]>",
        "<a/><?a?>",
        "</a>",
        "&lt;<a>",
    ] {
        let measured = |rounds: u32| {
            let of = |bytes| (0..rounds).map(|_| once(unit, bytes)).min().unwrap();
            (of(16 << 10).max(Duration::from_micros(50)), of(128 << 10))
        };
        let within = |(small, large): (Duration, Duration)| large <= small * 30;
        if !within(measured(2)) && !within(measured(6)) {
            grown.push(format!("{unit:?}: {:?} for 16 KiB and for 128 KiB", measured(2)));
        }
    }
    assert!(grown.is_empty(), "{} of them:\n{}", grown.len(), grown.join("\n"));
}

/// All values of a list are given by one name, which none of them may read as a whole. Bounds as above.
#[test]
fn no_body_of_json_costs_more_than_in_proportion_to_its_length() {
    let scene =
        Scene::new(r#"{ "threats": { "mode": "shadow" }, "requests": { "max_body": 1048576, "mode": "shadow" } }"#);
    let once = |name: &str, value: &str, bytes: usize| {
        let long = [&text(name, bytes / 2)[..], b"url"].concat();
        let values = text(&format!("\"{value}\","), bytes / 2);
        let values = values.rsplitn(2, |b| *b == b',').last().unwrap();
        let body = [b"{\"", &long[..], b"\":[", values, b"]}"].concat();
        let request = request("POST", "/x")
            .field("content-type", "application/json")
            .body(body);
        let start = Instant::now();
        let _ = scene.send(&request);
        start.elapsed()
    };
    let mut grown = Vec::new();
    for name in ["a", "%41", "a_", "[a]", "$a", "."] {
        for value in ["abc", "a\\r\\nb", "127.0.0.1", "a%b"] {
            let measured = |rounds: u32| {
                let of = |bytes| (0..rounds).map(|_| once(name, value, bytes)).min().unwrap();
                (of(16 << 10).max(Duration::from_micros(50)), of(128 << 10))
            };
            let within = |(small, large): (Duration, Duration)| large <= small * 30;
            if !within(measured(2)) && !within(measured(6)) {
                grown.push(format!(
                    "{name:?}, {value:?}: {:?} for 16 KiB and for 128 KiB",
                    measured(2)
                ));
            }
        }
    }
    assert!(grown.is_empty(), "{} of them:\n{}", grown.len(), grown.join("\n"));
}

/// No member may ask how many there are beside it. Bounds as above.
#[test]
fn no_object_costs_more_than_in_proportion_to_its_members() {
    let scene = Scene::new(r#"{ "threats": { "mode": "shadow" } }"#);
    let once = |members: usize| {
        let list: Vec<String> = (0..members).map(|index| format!(r#""m{index}":1"#)).collect();
        let request = request("POST", "/x")
            .field("content-type", "application/json")
            .body(format!(r#"{{"o":{{{}}}}}"#, list.join(",")));
        let start = Instant::now();
        let _ = scene.send(&request);
        start.elapsed()
    };
    let measured = |rounds: u32| {
        let of = |members| (0..rounds).map(|_| once(members)).min().unwrap();
        (of(2_000).max(Duration::from_micros(50)), of(16_000))
    };
    let within = |(small, large): (Duration, Duration)| large <= small * 30;
    assert!(within(measured(2)) || within(measured(6)), "{:?}", measured(2));
}

/// `cargo test --profile cost -p portcullis --test decisions -- --ignored --nocapture threats_cost`
#[test]
#[ignore = "a measurement"]
fn the_worst_texts_beside_prose() {
    const BYTES: usize = 64 << 10;
    let engine = Engine::new();
    println!("the compiled rules take {} bytes", engine.bytes());
    for bytes in [1 << 10, 4 << 10, 16 << 10, BYTES, 256 << 10, 1 << 20] {
        println!(
            "prose, {bytes} bytes: {:?}",
            cost(&engine, &text(PROSE, bytes), Kind::Json, 20)
        );
    }
    let prose = cost(&engine, &text(PROSE, BYTES), Kind::Json, 20);
    let mut worst: Vec<_> = units()
        .into_iter()
        .flat_map(|unit| [Kind::Parameter, Kind::Json, Kind::Text].map(|kind| (unit.clone(), kind)))
        .map(|(unit, kind)| (cost(&engine, &text(&unit, BYTES), kind, 2), unit, kind))
        .collect();
    worst.sort_by_key(|(spent, ..)| std::cmp::Reverse(*spent));
    for (spent, unit, kind) in worst.iter().take(30) {
        println!(
            "{:.1} times prose: {unit:?} as {kind:?}",
            spent.as_secs_f64() / prose.as_secs_f64()
        );
    }
    // What is quadratic by little shows only in large texts.
    let prose = cost(&engine, &text(PROSE, 1 << 20), Kind::Text, 3);
    let mut grown: Vec<_> = ["", "{", "<", "(", "'", "/*", "://", "\n"]
        .into_iter()
        .flat_map(|open| ATOMS.map(|unit| (open, unit)))
        .flat_map(|(open, unit)| [Kind::Parameter, Kind::Json, Kind::Text].map(|kind| (open, unit, kind)))
        .map(|(open, unit, kind)| (cost(&engine, &late(open, unit, 1 << 20), kind, 1), open, unit, kind))
        .collect();
    grown.sort_by_key(|(spent, ..)| std::cmp::Reverse(*spent));
    for (spent, open, unit, kind) in grown.iter().take(20) {
        println!(
            "{:.1} times prose of 1 MiB: {open:?} and {unit:?} behind 512 KiB, as {kind:?}",
            spent.as_secs_f64() / prose.as_secs_f64()
        );
    }
    let started = Instant::now();
    let again = Engine::new();
    println!("compiling {} bytes of rules: {:?}", again.bytes(), started.elapsed());
}
