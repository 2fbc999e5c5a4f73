//! The module as a file: what it asks of a host, and what the shipped configuration lets it have.

use std::collections::BTreeSet;
use std::fs;

use portcullis_e2e::places;
use wasmparser::{Parser, Payload};

/// The functions that every proxy-wasm host offers of WASI (HOST-FACTS).
fn is_official_wasi(name: &str) -> bool {
    let whole_families = ["fd_", "environ_", "args_"];
    whole_families.iter().any(|start| name.starts_with(start))
        || ["proc_exit", "clock_time_get", "random_get"].contains(&name)
}

struct Module {
    imports: BTreeSet<(String, String)>,
    exports: BTreeSet<String>,
}

fn module() -> Module {
    let path = places::module().unwrap_or_else(|missing| panic!("{missing}"));
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("can't read {}: {error}", path.display()));
    let (mut imports, mut exports) = (BTreeSet::new(), BTreeSet::new());
    for payload in Parser::new(0).parse_all(&bytes) {
        match payload.unwrap_or_else(|error| panic!("{} is no wasm module: {error}", path.display())) {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.expect("a readable import");
                    imports.insert((import.module.to_owned(), import.name.to_owned()));
                }
            }
            Payload::ExportSection(section) => {
                exports.extend(
                    section
                        .into_iter()
                        .map(|export| export.expect("a readable export").name.to_owned()),
                );
            }
            _ => {}
        }
    }
    Module { imports, exports }
}

/// The names below `allowed_capabilities` in the shipped envoy/portcullis.yaml.
fn allowed() -> BTreeSet<String> {
    let path = places::root().join("envoy/portcullis.yaml");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("can't read {}: {error}", path.display()));
    let after = text
        .lines()
        .skip_while(|line| line.trim() != "allowed_capabilities:")
        .skip(1);
    let entries = after
        .map(str::trim)
        .take_while(|line| line.starts_with('#') || line.contains(": {}"));
    let names: BTreeSet<String> = entries
        .filter_map(|line| Some(line.split_once(": {}")?.0.to_owned()))
        .collect();
    assert!(
        names.len() > 10,
        "envoy/portcullis.yaml has no list of allowed capabilities"
    );
    names
}

#[test]
fn the_module_imports_nothing_but_the_proxy_s_functions_and_official_wasi() {
    for (from, name) in module().imports {
        let offered = match from.as_str() {
            "env" => name.starts_with("proxy_"),
            "wasi_snapshot_preview1" => is_official_wasi(&name),
            _ => false,
        };
        assert!(offered, "the module imports {from}.{name}, which not every host offers");
    }
}

/// What the standard library links in and the module never calls; without a capability each is a stub that
/// answers with an error. A name that is new here or gone asks for a look at the list in envoy/portcullis.yaml.
const NEVER_CALLED: [&str; 4] = ["environ_get", "environ_sizes_get", "fd_write", "proc_exit"];

#[test]
fn the_capability_list_is_what_the_module_calls_and_no_more() {
    let imported: BTreeSet<String> = module().imports.into_iter().map(|(_, name)| name).collect();
    let allowed: BTreeSet<String> = allowed()
        .into_iter()
        .filter(|name| !name.starts_with("proxy_on_"))
        .collect();
    let missing: BTreeSet<&str> = imported.difference(&allowed).map(String::as_str).collect();
    assert_eq!(
        missing,
        BTreeSet::from(NEVER_CALLED),
        "imported but not in allowed_capabilities"
    );
    let idle: Vec<_> = allowed.difference(&imported).collect();
    assert!(idle.is_empty(), "in allowed_capabilities but not imported: {idle:?}");
}

#[test]
fn every_callback_that_decides_is_allowed_and_exported() {
    let (module, allowed) = (module(), allowed());
    let callbacks: Vec<_> = allowed.iter().filter(|name| name.starts_with("proxy_on_")).collect();
    for callback in &callbacks {
        assert!(
            module.exports.contains(*callback),
            "allowed but not exported: {callback}"
        );
    }
    // Envoy calls none that is not listed: a missing one of these lets requests pass unjudged or never be answered.
    for callback in [
        "proxy_on_context_create",
        "proxy_on_vm_start",
        "proxy_on_configure",
        "proxy_on_tick",
        "proxy_on_request_headers",
        "proxy_on_request_body",
        "proxy_on_request_trailers",
        "proxy_on_response_headers",
        "proxy_on_http_call_response",
        "proxy_on_delete",
    ] {
        assert!(allowed.contains(callback), "not in allowed_capabilities: {callback}");
    }
    let memory = ["malloc", "proxy_on_memory_allocate"];
    assert!(
        memory.iter().any(|name| module.exports.contains(*name)),
        "the host can't hand anything to the module"
    );
}
