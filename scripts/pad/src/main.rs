//! Pads small functions of a module that many others call. V8, with which Envoy compiles the whole module before its first
//! answer, copies functions of less than 500 bytes into their callers, and that is an eighth of what compiling takes (measured:
//! all padded, Envoy starts 13 % sooner). What does nothing costs it nothing: requests take as long (`scripts/bench --against`).
//! So those are padded that save most for the bytes that they grow by.

use std::fmt::Display;
use std::ops::Range;
use std::process::ExitCode;
use std::{env, fs};

use wasm_encoder::{CodeSection, Module, RawSection};
use wasmparser::{FunctionBody, Operator, Parser, Payload, TypeRef, Validator};

const USAGE: &str = "usage: portcullis-pad MODULE PADDED";

/// The least size that V8 leaves where it is (`--wasm-inlining-max-size`), in bytes of the body.
const LARGE_BYTES: usize = 500;
/// Functions of less are copied whatever else: a call is no shorter.
const TINY_BYTES: usize = 12;
/// What all padding may take. With twice as much, Envoy starts another hundredth sooner.
const PADDING_BYTES: usize = 48 << 10;

const NOP: u8 = 0x01;

struct Function<'m> {
    /// Locals and instructions, as they stand in the module.
    body: &'m [u8],
    /// Where the instructions begin in it.
    code: usize,
    /// How many calls by name there are to it.
    calls: usize,
}

fn told<E: Display>(what: &'static str) -> impl Fn(E) -> String {
    move |error| format!("{what}: {error}")
}

/// Part of a module, as its reader names parts.
fn part(module: &[u8], range: Range<u64>) -> Result<&[u8], String> {
    let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
    let part = module.get(at(range.start)..at(range.end));
    part.ok_or_else(|| "the module: a section goes beyond its end".to_owned())
}

/// Counts the calls of a body, by the index of who is called.
fn count_calls(body: &FunctionBody<'_>, calls: &mut Vec<usize>) -> Result<(), String> {
    let operators = body.get_operators_reader().map_err(told("a function"))?;
    for operator in operators {
        if let Operator::Call { function_index } = operator.map_err(told("an instruction"))? {
            let index = function_index as usize;
            if calls.len() <= index {
                calls.resize(index + 1, 0);
            }
            calls[index] += 1;
        }
    }
    Ok(())
}

/// The functions that are defined in a module, in order.
fn functions(module: &[u8]) -> Result<Vec<Function<'_>>, String> {
    let mut imported = 0;
    let mut found = Vec::new();
    let mut calls = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload.map_err(told("the module"))? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import.map_err(told("an import"))?;
                    imported += usize::from(matches!(import.ty, TypeRef::Func(_)));
                }
            }
            Payload::CodeSectionEntry(body) => {
                let range = body.range();
                let operators = body.get_operators_reader().map_err(told("a function"))?;
                let locals = part(module, range.start..operators.original_position())?;
                count_calls(&body, &mut calls)?;
                found.push(Function {
                    body: part(module, range)?,
                    code: locals.len(),
                    calls: 0,
                });
            }
            _ => {}
        }
    }
    for (function, calls) in found.iter_mut().zip(calls.iter().skip(imported)) {
        function.calls = *calls;
    }
    Ok(found)
}

/// Which functions to pad: those that V8 would copy most bytes of, for each byte that they grow by, until all padding is used.
fn chosen(functions: &[Function<'_>]) -> Vec<bool> {
    let mut worth: Vec<(usize, usize)> = functions
        .iter()
        .enumerate()
        .filter(|(_, function)| function.calls > 1 && (TINY_BYTES + 1..LARGE_BYTES).contains(&function.body.len()))
        .map(|(index, function)| {
            let grows = LARGE_BYTES - function.body.len();
            // What is nearly as large as it need be would otherwise come before all others.
            ((function.calls * function.body.len() * 1000) / (grows + 20), index)
        })
        .collect();
    worth.sort_by_key(|(worth, index)| (std::cmp::Reverse(*worth), *index));
    let mut chosen = vec![false; functions.len()];
    let mut left = PADDING_BYTES;
    for (_, index) in worth {
        let Some(rest) = left.checked_sub(LARGE_BYTES - functions[index].body.len()) else {
            break;
        };
        left = rest;
        chosen[index] = true;
    }
    chosen
}

fn padded(module: &[u8]) -> Result<Vec<u8>, String> {
    let functions = functions(module)?;
    let mut code = CodeSection::new();
    for (function, pad) in functions.iter().zip(chosen(&functions)) {
        if !pad {
            code.raw(function.body);
            continue;
        }
        let (locals, instructions) = function.body.split_at(function.code);
        let nops = vec![NOP; LARGE_BYTES - function.body.len()];
        code.raw(&[locals, &nops, instructions].concat());
    }
    let mut out = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.map_err(told("the module"))?;
        if matches!(payload, Payload::CodeSectionStart { .. }) {
            out.section(&code);
        } else if let Some((id, range)) = payload.as_section() {
            let data = part(module, range)?;
            out.section(&RawSection { id, data });
        }
    }
    let out = out.finish();
    Validator::new().validate_all(&out).map_err(told("what was padded"))?;
    Ok(out)
}

fn run() -> Result<(), String> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [from, to] = &arguments[..] else {
        return Err(USAGE.to_owned());
    };
    let module = fs::read(from).map_err(|error| format!("can't read {from}: {error}"))?;
    fs::write(to, padded(&module)?).map_err(|error| format!("can't write {to}: {error}"))
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("portcullis-pad: {fault}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A function of some size that others call, one that one calls, one that is tiny, and one that is large.
    fn module() -> Vec<u8> {
        let body = |adds: usize| "(local.set 0 (i32.add (local.get 0) (i32.const 7)))".repeat(adds);
        let text = format!(
            r#"(module
                (import "env" "told" (func $told (param i32)))
                (memory 1)
                (data (i32.const 0) "kept")
                (func $shared (param i32) (local i64 i32) {} (call $told (local.get 0)))
                (func $lonely (param i32) {} (call $shared (local.get 0)))
                (func $tiny (param i32))
                (func $large (param i32) {} (call $tiny (i32.const 1)) (call $tiny (i32.const 2)))
                (func (export "run") (call $shared (i32.const 1)) (call $shared (i32.const 2)) (call $lonely (i32.const 3))
                    (call $large (i32.const 4)) (call $large (i32.const 5))))"#,
            body(20),
            body(20),
            body(200)
        );
        wat::parse_str(text).unwrap()
    }

    #[test]
    fn what_several_call_is_padded_and_nothing_else_changes() {
        let before = module();
        let after = padded(&before).unwrap();
        let (before, after) = (functions(&before).unwrap(), functions(&after).unwrap());
        assert_eq!(before.len(), after.len());
        for (index, (before, after)) in before.iter().zip(&after).enumerate() {
            assert_eq!(before.calls, after.calls);
            if index == 0 {
                assert_eq!(after.body.len(), LARGE_BYTES);
                assert_eq!(before.body[..before.code], after.body[..after.code]);
                assert!(after.body.ends_with(&before.body[before.code..]));
            } else {
                assert_eq!(before.body, after.body, "{index}");
            }
        }
    }

    #[test]
    fn padding_is_bounded_and_what_is_no_module_is_refused() {
        let small = format!("(func (param i32) {})", "(drop (i32.const 1))".repeat(8));
        let calls: String = (0..1000)
            .map(|index| format!("(call {index} (i32.const 0))").repeat(2))
            .collect();
        let text = format!("(module {} (func {calls}))", small.repeat(1000));
        let before = wat::parse_str(text).unwrap();
        let once = padded(&before).unwrap();
        let grown = once.len() - before.len();
        // Besides, sizes are spelt in more bytes.
        assert!(
            (PADDING_BYTES - LARGE_BYTES..=PADDING_BYTES + 200).contains(&grown),
            "{grown}"
        );
        assert!(padded(b"\0asm").is_err() && padded(b"no module").is_err());
    }

    #[test]
    fn other_sections_are_kept() {
        let before = module();
        let after = padded(&before).unwrap();
        let sections = |module: &[u8]| -> Vec<(u8, Vec<u8>)> {
            let payloads = Parser::new(0).parse_all(module);
            let section = |payload: Payload<'_>| {
                payload
                    .as_section()
                    .map(|(id, range)| (id, part(module, range).unwrap().to_vec()))
            };
            let all = payloads.filter_map(|payload| section(payload.unwrap()));
            all.filter(|(id, _)| *id != 10).collect()
        };
        assert_eq!(sections(&before), sections(&after));
    }
}
