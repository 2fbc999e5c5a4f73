//! The run's copy of the shipped configuration: the same text but for paths and ports, which are replaced literally.
//!
//! A literal that isn't there is an error, so the shipped files can't drift away from what is tested. The policy is the
//! JSON block in portcullis.yaml; a new one is put beside the old file and renamed over it, as an operator does.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::places::{self, Tools};
use crate::ports::{DEMO, Ports};
use crate::stack::Options;
use crate::{Outcome, crashing, variant};

const SHIPPED: &str = "/etc/portcullis/";
const BUFFER_FILTER: &str = r#"Wasm]
          - name: envoy.filters.http.buffer
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer
              max_request_bytes: 1179648
          ROUTER"#;
/// Where the HTTPS listener of an edge behind proxies listens too, below the run's directory.
pub(crate) const PIPE: &str = "edge.sock";
const LISTENERS: &str = "listeners.yaml";
const FOREIGN_FUNCTION: &str = "proxy_call_foreign_function: {}";
const POLICY_START: &str = "value: |";

/// The files of one run, below its directory.
#[derive(Debug)]
pub struct Files {
    run: PathBuf,
    filter: String,
    in_force: String,
    first_policy: String,
    version: u32,
    /// Where they are discovered.
    listeners: Option<String>,
}

impl Files {
    /// Writes the copy of `envoy/` for these ports, with what the options change.
    pub fn write(run: &Path, tools: &Tools, ports: &Ports, options: &Options) -> Outcome<Self> {
        let run_prefix = format!("{}/", run.display());
        let renamed = |name: &str| {
            let text = read(&places::root().join("envoy").join(name))?;
            replace(name, &text, SHIPPED, &run_prefix)
        };
        let mut envoy = renamed("envoy.yaml")?;
        for (from, to) in [
            (DEMO.https, ports.https),
            (DEMO.http, ports.http),
            (DEMO.envoy_admin, ports.envoy_admin),
            (DEMO.backend, ports.backend),
            (DEMO.webdis, ports.webdis),
        ] {
            envoy = replace(
                "envoy.yaml",
                &envoy,
                &format!("port_value: {from}"),
                &format!("port_value: {to}"),
            )?;
        }
        let (from, to) = (
            format!("port_redirect: {}", DEMO.https),
            format!("port_redirect: {}", ports.https),
        );
        envoy = replace("envoy.yaml", &envoy, &from, &to)?;

        if options.held_by_buffer {
            let anchor = "Wasm]\n          - name: envoy.filters.http.router";
            let with_buffer = BUFFER_FILTER.replace("ROUTER", "- name: envoy.filters.http.router");
            envoy = replace("envoy.yaml", &envoy, anchor, &with_buffer)?;
        }
        if options.behind_proxies {
            envoy = variant::behind_proxies(&envoy, &run.join(PIPE))?;
        }

        for directory in ["sds", "certs"] {
            let path = run.join(directory);
            fs::create_dir_all(&path).map_err(|error| format!("can't make {}: {error}", path.display()))?;
        }
        write(&run.join("sds/server.yaml"), &renamed("sds/server.yaml")?)?;
        let mut listeners = None;
        if options.listeners_by_discovery {
            let (rest, found) = variant::discovered_listeners(&envoy, &run.join(LISTENERS))?;
            write(&run.join(LISTENERS), &found)?;
            (envoy, listeners) = (rest, Some(found));
        }
        write(&run.join("envoy.yaml"), &envoy)?;
        let mut module = fs::read(&tools.module).map_err(|error| format!("can't read the module: {error}"))?;
        if let Some(export) = options.traps_at {
            module = crashing::trapping(&module, export)?;
        }
        fs::write(run.join("portcullis.wasm"), module).map_err(|error| format!("can't write the module: {error}"))?;
        let mut files = Self {
            run: run.to_owned(),
            filter: renamed("portcullis.yaml")?,
            in_force: String::new(),
            first_policy: String::new(),
            version: 1,
            listeners,
        };
        if options.without_host_signatures {
            files.filter = replace("portcullis.yaml", &files.filter, FOREIGN_FUNCTION, "")?;
        }
        if let Some(policy) = &options.policy {
            files.filter = files.with_policy(&policy.to_string())?;
        }
        if options.held_by_buffer {
            let flag = |value: bool| format!("allow_on_headers_stop_iteration: {value}");
            files.filter = replace("portcullis.yaml", &files.filter, &flag(true), &flag(false))?;
            let mut policy = files.policy()?;
            policy["requests"]["hold"] = "buffer_filter".into();
            files.filter = files.with_policy(&policy.to_string())?;
        }
        files.first_policy = split(&files.filter)?.1.to_owned();
        write(&files.filter_path(), &files.filter)?;
        Ok(files)
    }

    /// Envoy's configuration.
    pub fn envoy(&self) -> PathBuf {
        self.run.join("envoy.yaml")
    }

    /// Where the certificates are.
    pub fn certificates(&self) -> PathBuf {
        self.run.join("certs")
    }

    /// Whether the listeners are discovered.
    pub fn has_listeners(&self) -> bool {
        self.listeners.is_some()
    }

    /// Puts another HTTPS listener beside the old one's file, renamed over it.
    pub fn replace_listener(&mut self) -> Outcome<()> {
        let old = self.listeners.as_ref().ok_or("the listeners are not discovered")?;
        let new = variant::another_listener(old)?;
        let beside = self.run.join("listeners.yaml.new");
        write(&beside, &new)?;
        self.listeners = Some(new);
        fs::rename(&beside, self.run.join(LISTENERS)).map_err(|error| format!("can't move {LISTENERS}: {error}"))
    }

    /// The policy in force.
    pub fn policy(&self) -> Outcome<Value> {
        let (_, block, _) = split(&self.filter)?;
        serde_json::from_str(block).map_err(|error| format!("the policy in portcullis.yaml is no JSON: {error}"))
    }

    /// The policy of the start, if another one is in force now.
    pub fn first_policy(&self) -> Option<String> {
        let now = split(&self.filter).map(|(_, block, _)| block).unwrap_or_default();
        (now != self.first_policy).then(|| self.first_policy.clone())
    }

    /// Puts another policy in force: a new file beside the old one, renamed over it.
    pub fn replace_policy(&mut self, policy: &str) -> Outcome<()> {
        self.in_force = self.filter.clone();
        let old = format!("version_info: \"{}\"", self.version);
        self.version += 1;
        let new = format!("version_info: \"{}\"", self.version);
        self.filter = replace("portcullis.yaml", &self.with_policy(policy)?, &old, &new)?;
        let beside = self.run.join("portcullis.yaml.new");
        write(&beside, &self.filter)?;
        fs::rename(&beside, self.filter_path()).map_err(|error| format!("can't move portcullis.yaml: {error}"))
    }

    /// Envoy goes on with the policy before the last one: so does this copy of it, while the file stays as it is.
    pub fn forget_refused(&mut self) {
        let version = |number: u32| format!("version_info: \"{number}\"");
        self.filter = self
            .in_force
            .replace(&version(self.version - 1), &version(self.version));
    }

    fn filter_path(&self) -> PathBuf {
        self.run.join("portcullis.yaml")
    }

    fn with_policy(&self, policy: &str) -> Outcome<String> {
        let (before, old, after) = split(&self.filter)?;
        let indent: String = old.chars().take_while(|char| *char == ' ').collect();
        let line = |line: &str| format!("{indent}{}\n", line.strip_prefix(&indent).unwrap_or(line));
        let lines: String = policy.lines().map(line).collect();
        Ok(format!("{before}{lines}{after}"))
    }
}

/// The policy as it is shipped.
pub fn shipped_policy() -> Outcome<Value> {
    let text = read(&places::root().join("envoy/portcullis.yaml"))?;
    serde_json::from_str(split(&text)?.1).map_err(|error| format!("the policy in portcullis.yaml is no JSON: {error}"))
}

/// What stands before the policy's block, the block, and what stands after it.
fn split(text: &str) -> Outcome<(&str, &str, &str)> {
    let missing = || format!("portcullis.yaml holds no line `{POLICY_START}` with a block below it");
    let start = text.find(POLICY_START).ok_or_else(missing)?;
    let line_start = text
        .get(..start)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |newline| newline + 1);
    let outer = start - line_start;
    let block_start = start + POLICY_START.len() + 1;
    let block = text.get(block_start..).ok_or_else(missing)?;
    let inside = |line: &str| line.trim().is_empty() || line.len() - line.trim_start().len() > outer;
    let length = block
        .split_inclusive('\n')
        .take_while(|line| inside(line))
        .map(str::len)
        .sum::<usize>();
    let (block, after) = block.split_at_checked(length).ok_or_else(missing)?;
    Ok((text.get(..block_start).unwrap_or_default(), block, after))
}

pub(crate) fn replace(file: &str, text: &str, from: &str, to: &str) -> Outcome<String> {
    if text.contains(from) {
        Ok(text.replace(from, to))
    } else {
        Err(format!(
            "envoy/{file} no longer holds `{from}`, which the harness replaces"
        ))
    }
}

fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| format!("can't read {}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Outcome<()> {
    fs::write(path, text).map_err(|error| format!("can't write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_block_ends_where_the_indentation_does() {
        let text = "a:\n  value: |\n    {\n      \"b\": 1\n\n    }\n  c: d\n";
        let (before, block, after) = split(text).unwrap();
        assert_eq!(before, "a:\n  value: |\n");
        assert_eq!(block, "    {\n      \"b\": 1\n\n    }\n");
        assert_eq!(after, "  c: d\n");
        let files = Files {
            run: PathBuf::new(),
            filter: text.to_owned(),
            in_force: String::new(),
            first_policy: String::new(),
            version: 1,
            listeners: None,
        };
        assert_eq!(
            files.with_policy("{\n}").unwrap(),
            "a:\n  value: |\n    {\n    }\n  c: d\n"
        );
        assert_eq!(files.policy().unwrap(), serde_json::json!({ "b": 1 }));
    }

    #[test]
    fn a_literal_that_is_gone_is_named() {
        let told = replace("envoy.yaml", "port_value: 1", "port_value: 2", "").unwrap_err();
        assert_eq!(
            told,
            "envoy/envoy.yaml no longer holds `port_value: 2`, which the harness replaces"
        );
    }
}
