//! Keeps the functions of a module apart, where V8 would copy them into each other.
//!
//! Envoy has V8 compile the whole module with its optimising compiler before the first answer (`--no-liftoff`). Without counts of
//! calls, V8 copies whatever is called, in the order of the calls, as long as the copies are together smaller than twice or
//! more of what they are copied into: dlmalloc's five kilobytes into dozens of functions, and two fifths of what compiling
//! takes. LLVM has decided better already, and no setting of Envoy's turns it off. But V8 stops for good after 60 copies in
//! one function (`InliningTree::kMaxInlinedCount`, the same in V8 13.6 and 14.6). So each function begins with a call that is
//! never reached, of a function that makes 63 copies of nothing. It costs eight bytes and no time: the branch is a constant's.
//! Where V8 should stop counting so, the module starts later and does the same.

use std::fmt::Display;
use std::ops::Range;
use std::process::ExitCode;
use std::{env, fs};

use wasm_encoder::{CodeSection, Encode, Module, RawSection};
use wasmparser::{Operator, Parser, Payload, TypeRef, Validator};

const USAGE: &str = "usage: portcullis-apart MODULE APART";

/// Functions of fewer bytes are left: of twice as many they may copy, and what uses V8's patience up has to fit.
const LEAST_BYTES: usize = 48;
/// The functions that use it up: each calls the one before it twice, the first none. 2⁶−1 copies in all.
const LEVELS: u32 = 6;

const TYPE_SECTION: u8 = 1;
const FUNCTION_SECTION: u8 = 3;

const UNREACHED_CALL: [u8; 5] = [0x41, 0x00, 0x04, 0x40, 0x10]; // i32.const 0, if, call
const CALL: u8 = 0x10;
const END: u8 = 0x0B;

struct Function<'m> {
    /// Locals and instructions, as they stand in the module.
    body: &'m [u8],
    /// Where the instructions begin in it.
    code: usize,
    /// Whether it calls any by name.
    calls: bool,
}

#[derive(Default)]
struct Read<'m> {
    types: u32,
    imported: u32,
    functions: Vec<Function<'m>>,
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

fn read(module: &[u8]) -> Result<Read<'_>, String> {
    let mut read = Read::default();
    for payload in Parser::new(0).parse_all(module) {
        match payload.map_err(told("the module"))? {
            Payload::TypeSection(types) => {
                for group in types {
                    let types = group.map_err(told("a type"))?.into_types();
                    read.types += u32::try_from(types.count()).unwrap_or(u32::MAX);
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import.map_err(told("an import"))?;
                    read.imported += u32::from(matches!(import.ty, TypeRef::Func(_)));
                }
            }
            Payload::CodeSectionEntry(body) => {
                let range = body.range();
                let mut operators = body.get_operators_reader().map_err(told("a function"))?;
                let locals = part(module, range.start..operators.original_position())?;
                let mut calls = false;
                while !operators.eof() {
                    let operator = operators.read().map_err(told("an instruction"))?;
                    calls |= matches!(operator, Operator::Call { .. });
                }
                read.functions.push(Function {
                    body: part(module, range)?,
                    code: locals.len(),
                    calls,
                });
            }
            _ => {}
        }
    }
    Ok(read)
}

fn call(of: u32) -> Vec<u8> {
    let mut call = vec![CALL];
    of.encode(&mut call);
    call
}

/// A section that is a list, with more at its end.
fn longer(section: &[u8], more: u32, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let ends = section.iter().position(|byte| byte & 0x80 == 0);
    let ends = ends.ok_or_else(|| "the module: a list without its length".to_owned())?;
    let (count, rest) = section.split_at(ends + 1);
    let count = count
        .iter()
        .rev()
        .fold(0_u32, |count, byte| count << 7 | u32::from(byte & 0x7F));
    let mut out = Vec::new();
    (count + more).encode(&mut out);
    out.extend(rest);
    out.extend(bytes);
    Ok(out)
}

fn apart(module: &[u8]) -> Result<Vec<u8>, String> {
    let read = read(module)?;
    let first = read.imported + u32::try_from(read.functions.len()).map_err(told("the module"))?;
    let mut code = CodeSection::new();
    for function in &read.functions {
        if function.body.len() < LEAST_BYTES || !function.calls {
            code.raw(function.body);
            continue;
        }
        let (locals, instructions) = function.body.split_at(function.code);
        let call = call(first + LEVELS - 1);
        let unreached = [&UNREACHED_CALL[..UNREACHED_CALL.len() - 1], &call, &[END]].concat();
        code.raw(&[locals, &unreached, instructions].concat());
    }
    code.raw(&[0, END]);
    for level in 1..LEVELS {
        let call = call(first + level - 1);
        code.raw(&[&[0], &call[..], &call, &[END]].concat());
    }
    // What takes and gives nothing, and whose type that is.
    let nothing = [0x60, 0, 0];
    let mut nothings = Vec::new();
    (0..LEVELS).for_each(|_| read.types.encode(&mut nothings));

    let mut out = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.map_err(told("the module"))?;
        if matches!(payload, Payload::CodeSectionStart { .. }) {
            out.section(&code);
        } else if let Some((id, range)) = payload.as_section() {
            let data = part(module, range)?;
            let data = match id {
                TYPE_SECTION => longer(data, 1, &nothing)?,
                FUNCTION_SECTION => longer(data, LEVELS, &nothings)?,
                _ => data.to_vec(),
            };
            out.section(&RawSection { id, data: &data });
        }
    }
    let out = out.finish();
    Validator::new()
        .validate_all(&out)
        .map_err(told("what was kept apart"))?;
    Ok(out)
}

fn run() -> Result<(), String> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [from, to] = &arguments[..] else {
        return Err(USAGE.to_owned());
    };
    let module = fs::read(from).map_err(|error| format!("can't read {from}: {error}"))?;
    fs::write(to, apart(&module)?).map_err(|error| format!("can't write {to}: {error}"))
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("portcullis-apart: {fault}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A function that calls another, one that calls none, one that is tiny.
    fn module() -> Vec<u8> {
        let body = "(local.set 0 (i32.add (local.get 0) (i32.const 7)))".repeat(20);
        let text = format!(
            r#"(module
                (import "env" "told" (func $told (param i32)))
                (memory 1)
                (data (i32.const 0) "kept")
                (func $calls (param i32) (local i64 i32) {body} (call $told (local.get 0)))
                (func $alone (param i32) {body})
                (func $tiny (call $alone (i32.const 1)))
                (func (export "run") (call $calls (i32.const 1)) (call $tiny)))"#,
        );
        wat::parse_str(text).unwrap()
    }

    #[test]
    fn functions_that_call_begin_with_what_is_not_reached_and_nothing_else_changes() {
        let before = module();
        let after = apart(&before).unwrap();
        let (before, after) = (read(&before).unwrap(), read(&after).unwrap());
        assert_eq!((before.types + 1, before.imported), (after.types, after.imported));
        assert_eq!(before.functions.len() + LEVELS as usize, after.functions.len());
        for (index, (before, after)) in before.functions.iter().zip(&after.functions).enumerate() {
            if index == 0 {
                let grown = after.body.len() - before.body.len();
                assert_eq!(grown, UNREACHED_CALL.len() + 2);
                assert_eq!(before.body[..before.code], after.body[..after.code]);
                assert!(after.body[after.code..].starts_with(&UNREACHED_CALL));
                assert!(after.body.ends_with(&before.body[before.code..]));
            } else {
                assert_eq!(before.body, after.body, "{index}");
            }
        }
    }

    #[test]
    fn more_copies_are_made_than_v8_makes() {
        let after = apart(&module()).unwrap();
        let after = read(&after).unwrap();
        let calls = |function: &Function<'_>| function.body.iter().filter(|byte| **byte == CALL).count();
        let levels = &after.functions[after.functions.len() - LEVELS as usize..];
        let copies = levels.iter().fold(0, |below, level| 1 + calls(level) * below);
        assert!(copies > 60, "{copies}");
        // What is copied one in another has to fit into twice the least function.
        let most: usize = levels.iter().map(|level| 2 * level.body.len()).sum();
        assert!(most <= 2 * LEAST_BYTES, "{most}");
    }

    #[test]
    fn long_lists_are_counted_on_and_what_is_no_module_is_refused() {
        let text = format!("(module {})", "(func (param i32))".repeat(1000));
        let after = apart(&wat::parse_str(text).unwrap()).unwrap();
        assert_eq!(read(&after).unwrap().functions.len(), 1000 + LEVELS as usize);
        assert!(apart(b"\0asm").is_err() && apart(b"no module").is_err());
    }

    #[test]
    fn other_sections_are_kept() {
        let before = module();
        let after = apart(&before).unwrap();
        let sections = |module: &[u8]| -> Vec<(u8, Vec<u8>)> {
            let payloads = Parser::new(0).parse_all(module);
            let section = |payload: Payload<'_>| {
                payload
                    .as_section()
                    .map(|(id, range)| (id, part(module, range).unwrap().to_vec()))
            };
            let all = payloads.filter_map(|payload| section(payload.unwrap()));
            all.filter(|(id, _)| ![TYPE_SECTION, FUNCTION_SECTION, 10].contains(id))
                .collect()
        };
        assert_eq!(sections(&before), sections(&after));
    }
}
