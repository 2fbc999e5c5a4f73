//! The README is true: its configurations load, its commands print what it says, its codes are all there are.

use crate::check;
use portcullis::config::load;
use portcullis::verdict::Reason;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// The fenced blocks: what stands after the fence, and the text.
fn blocks(text: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut parts = text.split("\n```");
    parts.next();
    while let (Some(block), Some(_)) = (parts.next(), parts.next()) {
        let (kind, body) = block.split_once('\n').unwrap();
        blocks.push((kind.to_owned(), format!("{body}\n")));
    }
    blocks
}

#[test]
fn every_configuration_in_the_readme_loads_but_the_faulty_one() {
    let text = readme();
    let examples = blocks(&text).into_iter().filter(|(kind, _)| kind.starts_with("json"));
    let mut good = 0;
    for (kind, body) in examples {
        match load(body.as_bytes()) {
            Ok(_) => good += 1,
            Err(faults) => assert_eq!(kind, "json faulty.json", "{faults:#?}\n{body}"),
        }
    }
    assert!(good >= 8, "{good}");
}

#[test]
fn every_check_in_the_readme_prints_what_it_says() {
    let text = readme();
    let blocks = blocks(&text);
    let files: BTreeMap<&str, &str> = blocks
        .iter()
        .filter_map(|(kind, body)| Some((kind.strip_prefix("json ")?, body.as_str())))
        .collect();
    let folder = std::env::temp_dir().join(format!("portcullis-readme-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let mut checked = 0;
    for (_, body) in blocks.iter().filter(|(kind, _)| kind == "console") {
        let Some((command, expected)) = body.split_once('\n') else {
            continue;
        };
        let Some(name) = command.strip_prefix("$ portcullis check ") else {
            continue;
        };
        let file = folder.join(name);
        fs::write(&file, files[name]).unwrap();
        let (_, out, _) = check(&["check", file.to_str().unwrap()]);
        assert_eq!(out.replace(file.to_str().unwrap(), name), expected, "{command}");
        checked += 1;
    }
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(checked, 2);
}

#[test]
fn the_readme_lists_every_code_under_its_status() {
    let text = readme();
    let start = text.find("| status | codes |").unwrap();
    let table = text[start..].split("\n\n").next().unwrap();
    let mut listed: Vec<(u16, String)> = Vec::new();
    for line in table.lines().skip(2) {
        let mut cells = line.trim_matches('|').split('|');
        let status = cells.next().unwrap().trim().parse().unwrap();
        let codes = cells.next().unwrap().split_whitespace();
        listed.extend(codes.map(|code| (status, code.trim_matches('`').to_owned())));
    }
    let mut all: Vec<(u16, String)> = Reason::ALL.iter().map(|r| (r.status(), r.code().to_owned())).collect();
    listed.sort();
    all.sort();
    assert_eq!(listed, all);
}
