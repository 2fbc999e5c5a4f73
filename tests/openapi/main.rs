//! OpenAPI documents: small ones beside what becomes of them, and public ones of real size (`scripts/corpora` fetches them;
//! without them the test says so) with bodies generated from their schemas, valid ones and ones with one fault.
// A test that can't go on says so by panicking.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod generate;
mod small;

use generate::{Generator, faulty};
use portcullis::config::load;
use portcullis::json::{Limits, Value, parse};
use portcullis::schema::Outcome;
use std::fs;
use std::path::Path;
use std::time::Instant;

const DOCUMENTS: [(&str, usize); 4] = [("github", 1200), ("directus", 130), ("blockfrost", 120), ("figma", 50)];

#[test]
fn public_documents_load_and_judge_generated_bodies() {
    for (name, least) in DOCUMENTS {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!(".cache/corpora/openapi/{name}.json"));
        let Ok(document) = fs::read_to_string(file) else {
            println!("{name}: skipped: no document (scripts/corpora fetches it)");
            continue;
        };
        let config = format!(
            r#"{{"requests":{{"undeclared":"deny"}},"tokens":{{"default":"none","providers":[{{"issuer":"https://id.example","audiences":["a"],
            "algorithms":["RS256"],"jwks":{{"cluster":"c","authority":"a","path":"/k"}}}}]}},"openapi":{document}}}"#
        );
        let start = Instant::now();
        let policy = load(config.as_bytes()).unwrap_or_else(|faults| panic!("{name}: {faults:#?}"));
        println!(
            "{name}: {} operations in {:?}",
            policy.operations.len(),
            start.elapsed()
        );
        assert!(policy.operations.len() >= least, "{name}");
        let limits = Limits::CONFIGURATION;
        let value = parse(document.as_bytes(), &limits).unwrap();
        let generator = Generator::new(&value);
        let (mut valid, mut invalid, mut skipped) = (0, 0, 0);
        for (id, schema) in generator.json_bodies() {
            let Some(operation) = policy.operations.iter().find(|o| o.id == id) else {
                panic!("{name}: {id} is not there");
            };
            let content = &operation.body.as_ref().unwrap().content;
            let rule = content.iter().find(|c| c.range == "application/json").unwrap();
            let Some(body) = generator.sample(schema) else {
                skipped += 1;
                continue;
            };
            let check = |text: &str| {
                let value: Value<'_> = parse(text.as_bytes(), &limits).unwrap();
                rule.schema.as_ref().unwrap().check(&value)
            };
            assert_eq!(check(&body), Outcome::Valid, "{name}: {id}: {body}");
            valid += 1;
            for (what, text) in faulty(&generator, schema, &body) {
                let outcome = check(&text);
                assert!(
                    matches!(outcome, Outcome::Invalid(_)),
                    "{name}: {id}: {what}: {outcome:?}: {text}"
                );
                invalid += 1;
            }
        }
        println!("{name}: {valid} valid bodies, {invalid} with one fault, {skipped} not generated");
    }
}
