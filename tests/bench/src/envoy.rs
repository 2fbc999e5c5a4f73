//! One Envoy with one worker on one core: its configuration, its start, its CPU time and its memory.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, thread};

use portcullis_e2e::places;
use portcullis_e2e::process::Process;
use portcullis_e2e::{random, vm};
use serde_json::{Value, json};

/// How long the first answer may take: compiling the module on a busy machine.
const START_SECONDS_MAX: u64 = 60;

/// What a listener looks like.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// The HTTP filters before the router.
    pub filters: Vec<Value>,
    /// Requests go on to the backend instead of being answered by a route.
    pub proxied: bool,
    pub tls: bool,
    pub workers: u32,
    /// Services on this machine beside the stand-in: cluster and port.
    pub clusters: Vec<(&'static str, u16)>,
}

impl Shape {
    /// The same with another module; `None` if it has not this one.
    pub fn with_module(&self, module: &Path, other: &Path) -> Option<Self> {
        let (module, other) = (json!(module), json!(other));
        let mut filters = json!(self.filters);
        let named = filters.to_string();
        if !named.contains(&module.to_string()) {
            return None;
        }
        filters = serde_json::from_str(&named.replace(&module.to_string(), &other.to_string())).ok()?;
        let filters = filters.as_array()?.clone();
        Some(Self {
            filters,
            ..self.clone()
        })
    }
}

pub struct Envoy {
    pub port: u16,
    pub tls: bool,
    /// From the start of the process to its first answer.
    pub first_answer: Duration,
    process: Process,
}

fn typed(kind: &str, mut config: Value) -> Value {
    config["@type"] = json!(format!("type.googleapis.com/{kind}"));
    config
}

/// An HTTP filter.
pub fn filter(name: &str, kind: &str, config: Value) -> Value {
    json!({ "name": format!("envoy.filters.http.{name}"), "typed_config": typed(&format!("envoy.extensions.filters.http.{name}.v3.{kind}"), config) })
}

/// A module as the shipped envoy/portcullis.yaml loads it; `capabilities` are those it may use, an empty list all.
pub fn wasm(module: &Path, name: &str, policy: &str, capabilities: &[String]) -> Value {
    let allowed: serde_json::Map<_, _> = capabilities.iter().map(|name| (name.clone(), json!({}))).collect();
    filter(
        "wasm",
        "Wasm",
        json!({ "config": {
            "name": name, "root_id": name, "failure_policy": "FAIL_RELOAD", "allow_on_headers_stop_iteration": true,
            "vm_config": { "vm_id": name, "runtime": "envoy.wasm.runtime.v8", "code": { "local": { "filename": module } } },
            "capability_restriction_config": { "allowed_capabilities": allowed },
            "configuration": typed("google.protobuf.StringValue", json!({ "value": policy })),
        } }),
    )
}

/// The capabilities that the shipped configuration grants.
pub fn shipped_capabilities() -> Result<Vec<String>, String> {
    let path = places::root().join("envoy/portcullis.yaml");
    let text = fs::read_to_string(&path).map_err(|error| format!("can't read {}: {error}", path.display()))?;
    let lines = text.lines().map(str::trim);
    let list = lines.skip_while(|line| *line != "allowed_capabilities:").skip(1);
    let entries = list.take_while(|line| line.starts_with('#') || line.contains(": {}"));
    Ok(entries
        .filter_map(|line| Some(line.split_once(": {}")?.0.to_owned()))
        .collect())
}

fn bootstrap(shape: &Shape, port: u16, stand_in: u16, certificate: &Path) -> Value {
    let mut filters = shape.filters.clone();
    filters.push(filter("router", "Router", json!({ "suppress_envoy_headers": true })));
    let mut route = json!({ "match": { "prefix": "/" }, "request_body_buffer_limit": 2_097_152 });
    if shape.proxied {
        route["route"] = json!({ "cluster": "stand_in" });
    } else {
        route["direct_response"] = json!({ "status": 200, "body": { "inline_string": "ok\n" } });
    }
    let manager = typed(
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        json!({
            "stat_prefix": "bench", "codec_type": "AUTO",
            // A client is who stands in X-Forwarded-For: so a run has as many as it likes.
            "use_remote_address": true, "xff_num_trusted_hops": 1, "generate_request_id": false,
            "normalize_path": true, "merge_slashes": true,
            "common_http_protocol_options": { "idle_timeout": "3600s" },
            "http_filters": filters,
            "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [route] }] },
        }),
    );
    let mut chain = json!({ "filters": [{ "name": "http", "typed_config": manager }] });
    if shape.tls {
        let file = |name: &str| json!({ "filename": certificate.join(name) });
        chain["transport_socket"] = json!({ "name": "tls", "typed_config": typed(
            "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            json!({ "common_tls_context": { "alpn_protocols": ["h2", "http/1.1"], "tls_certificates": [
                { "certificate_chain": file("tls.pem"), "private_key": file("tls.key") }] } })) });
    }
    let address = |port: u16| json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } });
    let cluster = |(name, port): (&str, u16)| {
        json!({
            "name": name, "type": "STATIC", "connect_timeout": "1s",
            "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address(port) } }] }] },
        })
    };
    let clusters = [("stand_in", stand_in)]
        .into_iter()
        .chain(shape.clusters.iter().copied());
    json!({ "static_resources": {
        "listeners": [{ "name": "bench", "address": address(port), "per_connection_buffer_limit_bytes": 2_097_152, "filter_chains": [chain] }],
        "clusters": clusters.map(cluster).collect::<Vec<_>>(),
    } })
}

/// A port below the kernel's range for outgoing connections, so that none takes it before it is used.
pub fn free_port() -> Result<u16, String> {
    let number = || 20_000 + u16::try_from(random() % 12_000).unwrap_or_default();
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (0..1000)
        .map(|_| number())
        .find(free)
        .ok_or_else(|| "no free port between 20000 and 32000".to_owned())
}

impl Envoy {
    /// Starts it on the given core and waits until it answers.
    pub fn start(
        name: &str,
        shape: &Shape,
        stand_in: u16,
        certificate: &Path,
        core: &str,
        run: &Path,
    ) -> Result<Self, String> {
        let port = free_port()?;
        let directory = run.join(name);
        let file: PathBuf = directory.join("envoy.json");
        fs::create_dir_all(&directory)
            .and_then(|()| fs::write(&file, bootstrap(shape, port, stand_in, certificate).to_string()))
            .map_err(|error| format!("can't write {}: {error}", file.display()))?;
        let binary = std::env::var_os("PORTCULLIS_ENVOY").unwrap_or_else(|| places::root().join(".cache/envoy").into());
        let mut command = Command::new("taskset");
        command
            .args(["--cpu-list", core])
            .arg(binary)
            .arg("--config-path")
            .arg(&file);
        command.args(["--concurrency", &shape.workers.max(1).to_string()]);
        command.args(["--disable-hot-restart", "--log-level", "warning"]);
        let begun = Instant::now();
        let mut process = Process::start("envoy", command, &directory, None)?;
        let deadline = begun + Duration::from_secs(START_SECONDS_MAX);
        while !answers(port, shape.tls) {
            process.check_running().map_err(|fault| format!("{name}: {fault}"))?;
            if Instant::now() > deadline {
                return Err(format!(
                    "{name}: no answer within {START_SECONDS_MAX} s\n{}",
                    process.log_tail(20)
                ));
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(Self {
            port,
            tls: shape.tls,
            first_answer: begun.elapsed(),
            process,
        })
    }

    /// Keeps all its threads to one core from now on.
    pub fn keep_to(&self, core: &str) -> Result<(), String> {
        let mut command = Command::new("taskset");
        command.args([
            "--all-tasks",
            "--cpu-list",
            "--pid",
            core,
            &self.process.id().to_string(),
        ]);
        let done = command
            .output()
            .map_err(|error| format!("can't run taskset: {error}"))?;
        if done.status.success() {
            Ok(())
        } else {
            Err(format!("taskset: {}", String::from_utf8_lossy(&done.stderr)))
        }
    }

    /// CPU time of all its threads so far, user and system, as the kernel's scheduler counts it.
    pub fn cpu(&self) -> Result<Duration, String> {
        cpu_of(self.process.id())
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> Result<u64, String> {
        let path = format!("/proc/{}/status", self.process.id());
        let text = fs::read_to_string(&path).map_err(|error| format!("can't read {path}: {error}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
        kib.map(|kib| kib * 1024)
            .ok_or_else(|| format!("{path} names no VmRSS"))
    }

    /// The sizes in bytes of its VMs' linear memories, smallest first.
    pub fn vm_memories(&self) -> Result<Vec<u64>, String> {
        vm::memories(self.process.id())
    }

    /// CPU time of each worker so far.
    pub fn workers_cpu(&self) -> Result<Vec<Duration>, String> {
        let threads = threads_cpu(self.process.id())?;
        let workers = threads.into_iter().filter(|(name, _)| name.starts_with("wrk:worker_"));
        Ok(workers.map(|(_, spent)| spent).collect())
    }

    pub fn log_tail(&self) -> String {
        self.process.log_tail(20)
    }
}

/// CPU time that all living threads of a process have had, user and system.
pub fn cpu_of(process: u32) -> Result<Duration, String> {
    Ok(threads_cpu(process)?.into_iter().map(|(_, spent)| spent).sum())
}

/// The name of each living thread of a process, and the CPU time that it has had; by name, since ids say nothing.
fn threads_cpu(process: u32) -> Result<Vec<(String, Duration)>, String> {
    let tasks = format!("/proc/{process}/task");
    let tasks = fs::read_dir(&tasks).map_err(|error| format!("can't read {tasks}: {error}"))?;
    let mut spent: Vec<_> = tasks
        .flatten()
        .filter_map(|task| {
            let read = |file| fs::read_to_string(task.path().join(file)).ok();
            let nanoseconds = read("schedstat")?.split(' ').next()?.parse().ok()?;
            Some((read("comm")?.trim_end().to_owned(), Duration::from_nanos(nanoseconds)))
        })
        .collect();
    spent.sort();
    Ok(spent)
}

/// Whether the port answers HTTP; for TLS, whether it takes a connection, since the filters are there before the listener is.
fn answers(port: u16, tls: bool) -> bool {
    let asked = || -> std::io::Result<bool> {
        let mut connection = TcpStream::connect(("127.0.0.1", port))?;
        if tls {
            return Ok(true);
        }
        connection.set_read_timeout(Some(Duration::from_secs(10)))?;
        connection.write_all(b"GET / HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
        let mut answer = [0; 9];
        connection.read_exact(&mut answer)?;
        Ok(answer == *b"HTTP/1.1 ")
    };
    asked().unwrap_or(false)
}
