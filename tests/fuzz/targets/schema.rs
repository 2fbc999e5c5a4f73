//! Schemas: any text compiles or is found fault with; a check of any value ends within its bounds, gives the same answer
//! twice, tells few faults, and agrees with what logic makes of it.

use portcullis::config::field::{Faults, Field};
use portcullis::json::{Limits, Value, parse};
use portcullis::reply::PROBLEMS_MAX;
use portcullis::schema::{Dialect, Options, Outcome, compile_shaped};

/// A byte that chooses the dialect, a schema, a line break, and a value.
pub fn run(input: &[u8]) {
    let Some((choice, text)) = input.split_first() else {
        return;
    };
    let Some(end) = text.iter().position(|b| *b == b'\n') else {
        return;
    };
    let (schema, value) = text.split_at(end);
    let (Ok(schema), Ok(value)) = (std::str::from_utf8(schema), parse(value, &Limits::FOREIGN)) else {
        return;
    };
    let dialect = match choice & 3 {
        0 => Dialect::Draft202012,
        1 => Dialect::Draft7,
        2 => Dialect::OpenApi30,
        _ => Dialect::OpenApi31,
    };
    let Some(outcome) = check(schema, dialect, &value) else {
        return;
    };
    if let Outcome::Invalid(problems) = &outcome {
        assert!(problems.len() <= PROBLEMS_MAX);
    }
    assert_eq!(check(schema, dialect, &value).as_ref(), Some(&outcome));
    // References and names would mean something else elsewhere; a check that has less left may end earlier.
    if schema.contains('$') || schema.contains("iscriminator") || outcome == Outcome::TooCostly {
        return;
    }
    let holds = outcome == Outcome::Valid;
    for (wrapped, expected) in [
        (format!(r#"{{"allOf":[{schema}]}}"#), holds),
        (format!(r#"{{"anyOf":[{schema},{schema}]}}"#), holds),
        (format!(r#"{{"oneOf":[{schema},{schema}]}}"#), false),
        (format!(r#"{{"not":{schema}}}"#), !holds),
    ] {
        match check(&wrapped, dialect, &value) {
            Some(Outcome::TooCostly) | None => {}
            Some(outcome) => assert_eq!(outcome == Outcome::Valid, expected, "{wrapped}"),
        }
    }
}

/// `None` where the schema has faults.
fn check(schema: &str, dialect: Dialect, value: &Value<'_>) -> Option<Outcome> {
    let schema = parse(schema.as_bytes(), &Limits::CONFIGURATION).ok()?;
    let faults = Faults::default();
    let field = Field {
        value: &schema,
        path: String::new(),
        faults: &faults,
    };
    let options = Options {
        assert_formats: true,
        ..Options::default()
    };
    let (compiled, _) = compile_shaped(&field, dialect, options);
    Some(compiled?.check(value))
}
