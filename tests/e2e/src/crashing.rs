//! A module that traps on demand: the one that is shipped, with one function stopped at its first instruction.
//!
//! A test sends what makes Envoy call that function, and that worker's VM is gone. The shipped module has no such switch.

use wasmparser::{ExternalKind, Operator, Parser, Payload, TypeRef};

use crate::Outcome;

const UNREACHABLE: u8 = 0x00;
const NOP: u8 = 0x01;

/// `module` with the function that it exports as `export` trapping as soon as it is called.
pub fn trapping(module: &[u8], export: &str) -> Outcome<Vec<u8>> {
    let unreadable = |error: wasmparser::BinaryReaderError| format!("no readable module: {error}");
    let (mut imported, mut function, mut bodies) = (0, None, Vec::new());
    for payload in Parser::new(0).parse_all(module) {
        match payload.map_err(unreadable)? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    imported += usize::from(matches!(import.map_err(unreadable)?.ty, TypeRef::Func(_)));
                }
            }
            Payload::ExportSection(section) => {
                for found in section {
                    let found = found.map_err(unreadable)?;
                    if found.name == export && found.kind == ExternalKind::Func {
                        function = usize::try_from(found.index).ok();
                    }
                }
            }
            Payload::CodeSectionEntry(body) => bodies.push(body),
            _ => {}
        }
    }
    let body = function.and_then(|index| bodies.get(index.checked_sub(imported)?));
    let body = body.ok_or_else(|| format!("the module exports no function `{export}`"))?;
    let mut operators = body.get_operators_reader().map_err(unreadable)?;
    // Blocks are entered, not overwritten: what opens must be closed. After `unreachable` the rest of a block is valid
    // whatever it is.
    let (start, end) = loop {
        let start = operators.original_position();
        let operator = operators.read().map_err(unreadable)?;
        if !matches!(operator, Operator::Block { .. } | Operator::Loop { .. }) {
            break (start, operators.original_position());
        }
    };
    let mut trapping = module.to_vec();
    let first = trapping.get_mut(start..end).ok_or("an instruction beyond the module")?;
    first.fill(NOP);
    if let Some(byte) = first.first_mut() {
        *byte = UNREACHABLE;
    }
    Ok(trapping)
}
