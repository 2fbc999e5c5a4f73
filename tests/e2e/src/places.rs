//! Where the programs and files of a run are.
//!
//! Everything has one default place below the repository and one environment variable that overrides it. What is
//! missing is one line that names the script which provides it; nothing is built or downloaded here.

use std::env;
use std::path::{Path, PathBuf};

/// The repository's root, fixed at compile time.
pub fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// The programs and the module that a run needs.
#[derive(Clone, Debug)]
pub struct Tools {
    /// Envoy itself.
    pub envoy: PathBuf,
    /// The module under test.
    pub module: PathBuf,
    /// The demo backend's program.
    pub backend: PathBuf,
    /// `redis-server`.
    pub redis: PathBuf,
    /// `webdis`.
    pub webdis: PathBuf,
}

impl Tools {
    /// Finds all of them, or says in one line what is missing and which script provides it.
    pub fn find() -> Result<Self, String> {
        Ok(Self {
            envoy: file(
                "Envoy",
                "PORTCULLIS_ENVOY",
                &[root().join(".cache/envoy")],
                "scripts/setup",
            )?,
            module: module()?,
            backend: file(
                "the demo backend",
                "PORTCULLIS_BACKEND",
                &backends(),
                "scripts/build --programs",
            )?,
            redis: on_path("redis-server")?,
            webdis: on_path("webdis")?,
        })
    }
}

/// The module under test.
pub fn module() -> Result<PathBuf, String> {
    file(
        "the module",
        "PORTCULLIS_WASM",
        &[root().join("target/portcullis.wasm")],
        "scripts/build",
    )
}

/// The demo backend of the same build first: beside the demo's program, or above the tests'.
fn backends() -> Vec<PathBuf> {
    let own = env::current_exe().unwrap_or_default();
    let beside = own.ancestors().skip(1).take(2).map(Path::to_owned);
    let built = ["debug", "release"].map(|profile| root().join("target").join(profile));
    beside
        .chain(built)
        .map(|directory| directory.join("demo-backend"))
        .collect()
}

fn file(what: &str, variable: &str, places: &[PathBuf], provider: &str) -> Result<PathBuf, String> {
    let (places, hint) = match env::var_os(variable) {
        Some(value) => (vec![PathBuf::from(value)], format!("{variable} names it")),
        None => (places.to_vec(), format!("or set {variable}")),
    };
    match places.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => {
            let last = places.last().map(|path| path.display().to_string()).unwrap_or_default();
            Err(format!(
                "{what} is missing: no file {last} ({hint}); run {provider} first"
            ))
        }
    }
}

/// Where scripts/setup has put oidc-provider.
pub fn provider() -> Result<PathBuf, String> {
    let directory = root().join(".cache/provider");
    if directory.join("installed").is_file() {
        Ok(directory)
    } else {
        Err("oidc-provider is missing; run scripts/setup provider first".to_owned())
    }
}

pub(crate) fn on_path(program: &str) -> Result<PathBuf, String> {
    let found = env::var_os("PATH").and_then(|paths| {
        env::split_paths(&paths)
            .map(|dir| dir.join(program))
            .find(|candidate| candidate.is_file())
    });
    found.ok_or_else(|| format!("{program} is missing on PATH; run scripts/setup first"))
}
