//! JSON-Schema-Test-Suite: the required cases of drafts 2020-12 and 7, and the formats. The documents that it expects at
//! `http://localhost:1234` and the meta-schemas are given as a configuration gives them, under `schemas`.

use crate::{corpus, exceptions, settle};
use portcullis::config::field::{Faults, Field};
use portcullis::json::{Limits, Value, parse};
use portcullis::schema::{Dialect, Options, Outcome, compile_as};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// All files of a folder and below.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}

/// Documents by URI. Those that the suite has moved to the folder of its draft since are under both names.
fn documents() -> BTreeMap<String, Value<'static>> {
    const BASE: &str = "http://localhost:1234";
    let read = |file: &Path| {
        let text = fs::read(file).unwrap();
        parse(&text, &Limits::CONFIGURATION).map(Value::into_owned)
    };
    let mut documents = BTreeMap::new();
    for (root, file) in corpus("json-schema/remotes")
        .iter()
        .flat_map(|root| files(root).into_iter().map(move |file| (root, file)))
    {
        let name = file.strip_prefix(root).unwrap().to_str().unwrap();
        let document = read(&file).unwrap();
        let moved = format!("{BASE}/draft2020-12/{name}");
        documents.entry(moved).or_insert_with(|| document.clone());
        documents.insert(format!("{BASE}/{name}"), document);
    }
    for file in corpus("json-schema/metaschemas").iter().flat_map(|root| files(root)) {
        let Ok(document) = read(&file) else { continue };
        let id = document.as_object().and_then(|o| o.get("$id")).and_then(Value::as_str);
        if let Some(id) = id {
            documents.insert(id.trim_end_matches('#').to_owned(), document);
        }
    }
    documents
}

/// What a folder's cases came to.
struct Run {
    total: usize,
    /// Those that got another verdict than the suite's.
    failed: Vec<String>,
    /// Those that refer to documents that are not here, and so say nothing.
    unfed: Vec<String>,
}

fn run(folder: &Path, dialect: Dialect, assert_formats: bool) -> Run {
    let documents = documents();
    let foreign = Faults::default();
    let documents: Vec<_> = documents
        .iter()
        .map(|(uri, value)| {
            let field = Field {
                value,
                path: uri.clone(),
                faults: &foreign,
            };
            (uri.clone(), field)
        })
        .collect();
    let options = Options {
        assert_formats,
        documents: &documents,
        files: false,
    };
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "json"));
    files.sort();
    let (mut total, mut failed, mut unfed) = (0, Vec::new(), Vec::new());
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
            let compiled = compile_as(&field, dialect, options);
            let here = !documents.is_empty() || !faults.into_errors().iter().any(|e| e.problem.contains("`schemas`"));
            for test in of(group, "tests").as_array().unwrap() {
                let name = format!(
                    "{} / {} / {}",
                    file.file_name().unwrap().to_str().unwrap(),
                    of(group, "description").as_str().unwrap(),
                    of(test, "description").as_str().unwrap()
                );
                if !here {
                    unfed.push(name);
                    continue;
                }
                total += 1;
                let valid = of(test, "valid") == Value::Bool(true);
                let outcome = compiled.as_ref().map(|schema| schema.check(&of(test, "data")));
                if !matches!(
                    (outcome, valid),
                    (Some(Outcome::Valid), true) | (Some(Outcome::Invalid(_)), false)
                ) {
                    failed.push(name);
                }
            }
        }
    }
    if !unfed.is_empty() {
        println!(
            "{} cases refer to documents that are not here (scripts/corpora): not counted",
            unfed.len()
        );
    }
    Run { total, failed, unfed }
}

#[track_caller]
fn suite(name: &str, folder: &str, dialect: Dialect, assert_formats: bool, expected: &str) {
    let Some(folder) = corpus(folder) else { return };
    let Run { total, failed, unfed } = run(&folder, dialect, assert_formats);
    assert!(total > 0, "{name}: the folder holds no cases");
    let mut expected = exceptions(expected);
    expected.retain(|case| !unfed.iter().any(|unfed| unfed == case));
    settle(name, &failed, &expected, total);
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
