//! JSON-Schema-Test-Suite: the required cases of drafts 2020-12 and 7, and the formats.

use crate::{corpus, exceptions, settle};
use portcullis::config::field::{Faults, Field};
use portcullis::json::{Limits, Value, parse};
use portcullis::schema::{Dialect, Options, Outcome, compile_as};
use std::fs;
use std::path::Path;

/// The names of all cases of a folder, and of those that got another verdict than the suite's.
fn run(folder: &Path, dialect: Dialect, assert_formats: bool) -> (usize, Vec<String>) {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "json"));
    files.sort();
    let (mut total, mut failed) = (0, Vec::new());
    for file in files {
        let text = fs::read(&file).unwrap();
        let groups = parse(&text, &Limits::CONFIGURATION).unwrap();
        for group in groups.as_array().unwrap() {
            let of = |value: &Value<'_>, name: &str| value.as_object().unwrap().get(name).unwrap().clone().into_owned();
            let schema = of(group, "schema");
            let faults = Faults::default();
            let field = Field {
                value: &schema,
                path: String::new(),
                faults: &faults,
            };
            let compiled = compile_as(&field, dialect, Options { assert_formats });
            for test in of(group, "tests").as_array().unwrap() {
                total += 1;
                let valid = of(test, "valid") == Value::Bool(true);
                let outcome = compiled.as_ref().map(|schema| schema.check(&of(test, "data")));
                if !matches!(
                    (outcome, valid),
                    (Some(Outcome::Valid), true) | (Some(Outcome::Invalid(_)), false)
                ) {
                    failed.push(format!(
                        "{} / {} / {}",
                        file.file_name().unwrap().to_str().unwrap(),
                        of(group, "description").as_str().unwrap(),
                        of(test, "description").as_str().unwrap()
                    ));
                }
            }
        }
    }
    (total, failed)
}

#[track_caller]
fn suite(name: &str, folder: &str, dialect: Dialect, assert_formats: bool, expected: &str) {
    let Some(folder) = corpus(folder) else { return };
    let (total, failed) = run(&folder, dialect, assert_formats);
    assert!(total > 0, "{name}: the folder holds no cases");
    settle(name, &failed, &exceptions(expected), total);
}

#[test]
fn draft_2020_12_is_met() {
    let expected = include_str!("draft2020-12.exceptions");
    suite(
        "2020-12",
        "json-schema/draft2020-12",
        Dialect::Draft202012,
        false,
        expected,
    );
}

#[test]
fn draft_7_is_met() {
    let expected = include_str!("draft7.exceptions");
    suite("draft 7", "json-schema/draft7", Dialect::Draft7, false, expected);
}

#[test]
fn formats_are_asserted() {
    let expected = include_str!("formats.exceptions");
    suite(
        "formats",
        "json-schema/draft2020-12/optional/format",
        Dialect::Draft202012,
        true,
        expected,
    );
}

#[test]
fn optional_cases_are_met() {
    let expected = include_str!("optional.exceptions");
    suite(
        "optional",
        "json-schema/draft2020-12/optional",
        Dialect::Draft202012,
        false,
        expected,
    );
}
