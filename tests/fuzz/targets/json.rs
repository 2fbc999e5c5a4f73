//! JSON: what is accepted keeps every limit, and reads back as the same value when it is written again.

use portcullis::json::{Duplicates, Limits, Value, parse, write_string};

const LIMITS: Limits = Limits {
    depth: 8,
    members: 64,
    string_bytes: 64,
    duplicates: Duplicates::Deny,
};

pub fn run(input: &[u8]) {
    // The first byte chooses what duplicates get.
    let Some((choice, text)) = input.split_first() else {
        return;
    };
    let duplicates = if choice & 1 == 0 {
        Duplicates::Deny
    } else {
        Duplicates::Allow
    };
    let limits = Limits { duplicates, ..LIMITS };
    match parse(text, &limits) {
        Err(fault) => assert!(fault.at <= text.len(), "a fault lies behind the end"),
        Ok(value) => {
            let mut left = limits.members;
            bounded(&value, limits.depth, &mut left);
            let mut written = String::new();
            write(&value, &mut written);
            let again = parse(written.as_bytes(), &limits).expect("what was accepted, written again");
            assert_eq!(again, value);
        }
    }
}

fn bounded(value: &Value<'_>, depth: u32, members: &mut u32) {
    let mut take = || *members = members.checked_sub(1).expect("more members than the limit");
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => assert!(text.len() <= 64),
        Value::Array(items) => {
            let depth = depth.checked_sub(1).expect("deeper than the limit");
            items.iter().for_each(|_| take());
            items.iter().for_each(|item| bounded(item, depth, members));
        }
        Value::Object(object) => {
            let depth = depth.checked_sub(1).expect("deeper than the limit");
            object.iter().for_each(|_| take());
            for (name, value) in object.iter() {
                assert!(name.len() <= 64);
                bounded(value, depth, members);
            }
        }
    }
}

fn write(value: &Value<'_>, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => out.push_str(number.text()),
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(object) => {
            out.push('{');
            for (i, (name, value)) in object.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_string(out, name);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
    }
}
