//! One running stack: redis-server, webdis, the demo backend and Envoy with the module, and handles on each of them.
//!
//! Starting waits until every part answers, with a deadline, and shows the log of the part that does not. Dropping stops
//! all of them and removes the run's directory.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::backend::Backend;
use crate::client::{Client, Connection, Trust};
use crate::edge::{Edge, VmMarks};
use crate::files::{Files, PIPE, shipped_policy};
use crate::message::Request;
pub use crate::parts::Part;
use crate::parts::{self, Launch};
use crate::places::Tools;
pub use crate::policy::Update;
use crate::ports::{Ports, loopback};
use crate::process::{Process, RunDirectory};
use crate::{Outcome, fresh_address, random, until};

// A debug build of the backend on a busy machine takes the longest; a healthy stack takes one to three seconds.
const PART_SECONDS_MAX: u64 = 30;
// Loading and compiling the module blocks Envoy's main thread, up to 5 s for a large one (HOST-FACTS).
const EDGE_SECONDS_MAX: u64 = 60;
const KEYS_SECONDS_MAX: u64 = 20;
// With two workers and the kernel's even spread, 64 connections miss one with a chance of 2^-63.
const SPREAD_CONNECTIONS_MAX: usize = 64;

// Enough for a test to ask on the connections that are there; Envoy's default is ten minutes.
const DRAIN_SECONDS: u32 = 3;

// How V8's message about a trap begins, as proxy-wasm-cpp-host logs it.
const TRAP_MARK: &str = "failed: Uncaught";

/// How to start a stack.
#[derive(Clone, Debug)]
pub struct Options {
    /// The ports; free ones unless set.
    pub ports: Option<Ports>,
    /// Envoy's workers.
    pub workers: u32,
    /// Another policy than the shipped one.
    pub policy: Option<Value>,
    /// Parts that are not started at first.
    pub without: Vec<Part>,
    /// For hosts without the filter's flag: requests are held by Envoy's buffer filter after ours.
    pub held_by_buffer: bool,
    /// The edge stands behind proxies of its own: one trusted hop of `X-Forwarded-For`, the PROXY protocol, and a pipe.
    pub behind_proxies: bool,
    /// A function of the module, by its export, that traps when it is called.
    pub traps_at: Option<&'static str>,
    /// The listeners come as a file of their own, so that they can be replaced ([`Stack::replace_listener`]).
    pub listeners_by_discovery: bool,
    /// The module may not call the host's function that checks signatures.
    pub without_host_signatures: bool,
    /// Where progress is told.
    pub progress: fn(&str),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ports: None,
            workers: 2,
            policy: None,
            without: Vec::new(),
            held_by_buffer: false,
            behind_proxies: false,
            traps_at: None,
            listeners_by_discovery: false,
            without_host_signatures: false,
            progress: |_| (),
        }
    }
}

impl Options {
    /// Without webdis and without a revocation section: a test's own source takes their place.
    pub fn with_own_revocations() -> Self {
        let policy = shipped_policy().map(|mut policy| {
            policy["quotas"] = json!([]);
            if let Some(sections) = policy.as_object_mut() {
                sections.remove("revocation");
            }
            policy
        });
        Self {
            // A policy that can't be read is told of when the stack starts with the shipped one.
            policy: policy.ok(),
            without: vec![Part::Webdis],
            ..Self::default()
        }
    }
}

/// A running stack.
pub struct Stack {
    /// The ports in use.
    pub ports: Ports,
    /// The backend's admin listener.
    pub backend: Backend,
    /// Envoy's admin interface.
    pub edge: Edge,
    /// From the start of the first process to the first answer over HTTPS.
    pub first_answer: Duration,
    pub(crate) files: Files,
    tools: Tools,
    workers: u32,
    not_at_first: Vec<Part>,
    pub(crate) vm_marks: VmMarks,
    log_checked: usize,
    // Fields drop in this order: the directory goes after those who use it.
    processes: BTreeMap<Part, Process>,
    run: RunDirectory,
}

impl Stack {
    /// Starts everything and waits until it serves. The error is a line, and the log of what failed below it.
    pub async fn start(options: Options) -> Outcome<Self> {
        let tools = Tools::find()?;
        let ports = match options.ports {
            Some(ports) => ports,
            None => Ports::free()?,
        };
        ports.check_unused()?;
        let run = RunDirectory::create()?;
        let files = Files::write(run.path(), &tools, &ports, &options)?;
        let mut stack = Self {
            ports,
            backend: Backend::new(loopback(ports.backend_admin)),
            edge: Edge::new(loopback(ports.envoy_admin), ports.https),
            first_answer: Duration::ZERO,
            files,
            tools,
            workers: options.workers,
            not_at_first: options.without,
            vm_marks: VmMarks::default(),
            log_checked: 0,
            processes: BTreeMap::new(),
            run,
        };
        let begun = Instant::now();
        stack.make_certificates()?;
        for (part, what) in [
            (Part::Redis, "redis-server"),
            (Part::Webdis, "webdis"),
            (Part::Backend, "the demo backend"),
            (Part::Edge, "Envoy, which compiles the module"),
        ] {
            if !stack.not_at_first.contains(&part) {
                (options.progress)(&format!("starting {what}"));
                stack.start_part(part).await?;
            }
        }
        stack.first_answer = begun.elapsed();
        if stack.not_at_first.is_empty() {
            (options.progress)("waiting until the module has the backend's keys");
            stack.wait_for_keys().await?;
        }
        Ok(stack)
    }

    /// Starts a part and waits until it serves.
    pub async fn start_part(&mut self, part: Part) -> Outcome<()> {
        let launch = Launch {
            tools: &self.tools,
            ports: &self.ports,
            run: self.run.path(),
            envoy_file: self.files.envoy(),
            workers: self.workers,
            drain_seconds: self.files.has_listeners().then_some(DRAIN_SECONDS),
        };
        self.processes.insert(part, launch.start(part)?);
        let limit = if part == Part::Edge {
            EDGE_SECONDS_MAX
        } else {
            PART_SECONDS_MAX
        };
        let ready = self.wait_for(part, Duration::from_secs(limit)).await;
        ready.map_err(|fault| format!("{fault}\n{}", self.logs_of(part)))?;
        if part == Part::Edge {
            // Not the reloads: at a start there are none, or `check_vms` tells.
            self.vm_marks = VmMarks::default();
            self.note_vms_made().await?;
        }
        Ok(())
    }

    /// Stops a part; returns when it is gone.
    pub fn stop_part(&mut self, part: Part) {
        self.processes.remove(&part);
    }

    /// Kills a part, as a crash would; returns when it is gone.
    pub fn kill_part(&mut self, part: Part) {
        if let Some(mut process) = self.processes.remove(&part) {
            process.kill();
        }
    }

    /// Brings back the state of the start: the parts that ran, the policy, a backend that has seen nothing.
    pub async fn restore(&mut self) -> Outcome<()> {
        for part in [Part::Redis, Part::Webdis, Part::Backend, Part::Edge] {
            if !self.processes.contains_key(&part) && !self.not_at_first.contains(&part) {
                self.start_part(part).await?;
            }
        }
        self.log_checked = self.edge_log().len();
        let backend_runs = self.processes.contains_key(&Part::Backend);
        if let Some(policy) = self.files.first_policy() {
            let update = self.set_policy_text(&policy).await?;
            if update == Update::Refused {
                return Err("the policy of the start is refused now".to_owned());
            }
            if backend_runs {
                self.wait_for_keys().await?;
            }
        }
        if backend_runs {
            self.backend.reset().await
        } else {
            Ok(())
        }
    }

    /// Fails if a VM was lost since the edge or its newest policy started, or has trapped since [`Stack::restore`].
    pub async fn check_vms(&self) -> Outcome<()> {
        let now = self.edge.vm_marks().await?;
        if now != self.vm_marks {
            return Err(format!("a VM was lost: before {:?}, now {now:?}", self.vm_marks));
        }
        // A VM that has trapped is replaced, and counted, only when the next request needs it; the log has it at once.
        let log = self.edge_log();
        let mut lines = log.get(self.log_checked..).unwrap_or_default().lines();
        match lines.find(|line| line.contains(TRAP_MARK)) {
            Some(line) => Err(format!("the module has trapped: {line}")),
            None => Ok(()),
        }
    }

    /// Takes the VMs as they are now for those that should be there; what is lost from here on is still told of.
    pub(crate) async fn note_vms_made(&mut self) -> Outcome<()> {
        self.vm_marks.created = self.edge.vm_marks().await?.created;
        Ok(())
    }

    /// The test has lost VMs on purpose; fails if the log says nothing of it.
    pub async fn accept_lost_vms(&mut self) -> Outcome<()> {
        let log = self.edge_log();
        if !log.get(self.log_checked..).unwrap_or_default().contains(TRAP_MARK) {
            return Err("the module has not trapped".to_owned());
        }
        self.vm_marks = self.edge.vm_marks().await?;
        self.log_checked = log.len();
        Ok(())
    }

    /// Gives Envoy another HTTPS listener in place of the one that is there, which is drained; returns when the new one serves.
    pub async fn replace_listener(&mut self) -> Outcome<()> {
        const ADDED: &str = "listener_manager.listener_modified";
        let before = self.edge.counter(ADDED).await?;
        self.files.replace_listener()?;
        until("the new listener", Duration::from_secs(EDGE_SECONDS_MAX), async || {
            let modified = self.edge.counter(ADDED).await? > before;
            let warming = self.edge.counter("listener_manager.total_listeners_warming").await?;
            if modified && warming == 0 {
                Ok(())
            } else {
                Err("not there yet".to_owned())
            }
        })
        .await?;
        self.note_vms_made().await
    }

    /// A client nobody else is, over HTTPS and HTTP/1.1.
    pub fn client(&self) -> Outcome<Client> {
        Ok(Client::https(self.https(), fresh_address(), self.trust()?))
    }

    /// A client of the same listener by way of its pipe, where the edge stands behind proxies.
    pub fn client_of_pipe(&self) -> Outcome<Client> {
        Ok(self.client()?.through(self.run.path().join(PIPE)))
    }

    /// A client of the plain HTTP port.
    pub fn plain_client(&self) -> Client {
        Client::http(loopback(self.ports.http), fresh_address())
    }

    /// Trust in the run's certificate authority, as it is now.
    pub fn trust(&self) -> Outcome<Trust> {
        let path = self.authority_file();
        Trust::from_pem(&fs::read(&path).map_err(|error| format!("can't read {}: {error}", path.display()))?)
    }

    /// The certificate authority's file.
    pub fn authority_file(&self) -> PathBuf {
        self.files.certificates().join("ca.pem")
    }

    /// The HTTPS address.
    pub fn https(&self) -> SocketAddr {
        loopback(self.ports.https)
    }

    /// Envoy's configuration file.
    pub fn envoy_file(&self) -> PathBuf {
        self.files.envoy()
    }

    /// The programs in use.
    pub fn tools(&self) -> &Tools {
        &self.tools
    }

    /// Envoy's process id.
    pub fn edge_pid(&self) -> Option<u32> {
        self.processes.get(&Part::Edge).map(Process::id)
    }

    /// Envoy's resident memory.
    pub fn edge_resident_mib(&self) -> Outcome<u64> {
        let process = self.processes.get(&Part::Edge).ok_or("no Envoy")?;
        process.resident_mib()
    }

    /// The policy in the file, to change and set.
    pub fn policy(&self) -> Outcome<Value> {
        self.files.policy()
    }

    /// Writes a new server certificate from a new authority over the old files.
    pub fn make_certificates(&self) -> Outcome<()> {
        let mut command = Command::new(&self.tools.backend);
        let output = command.arg("certs").arg(self.files.certificates()).output();
        let output = output.map_err(|error| format!("can't start demo-backend: {error}"))?;
        if output.status.success() {
            Ok(())
        } else {
            Err(format!(
                "demo-backend certs failed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            ))
        }
    }

    /// One connection of `client` to each worker, in the workers' order.
    pub async fn connect_to_each_worker(&self, client: &Client) -> Outcome<Vec<Connection>> {
        let mut found = BTreeMap::new();
        let mut before = self.edge.worker_connections().await?;
        for _ in 0..SPREAD_CONNECTIONS_MAX {
            let connection = client.connect().await?;
            let after = self.edge.worker_connections().await?;
            let grown: Vec<usize> = (0..after.len()).filter(|at| after.get(*at) > before.get(*at)).collect();
            // More than one means that somebody else connected meanwhile: whose is whose can't be told.
            if let [worker] = grown[..] {
                found.entry(worker).or_insert(connection);
            }
            if u32::try_from(found.len()) == Ok(self.workers) {
                return Ok(found.into_values().collect());
            }
            before = after;
        }
        Err(format!(
            "{SPREAD_CONNECTIONS_MAX} connections reached {} of {} workers",
            found.len(),
            self.workers
        ))
    }

    /// Waits until a good token passes on every worker: the key set has come.
    pub async fn wait_for_keys(&self) -> Outcome<()> {
        let client = self.client()?;
        let token = self.backend.mint(&json!({})).await?;
        let mut connections = self.connect_to_each_worker(&client).await?;
        for connection in &mut connections {
            // An unknown order: no narrow quota is charged.
            let request = Request::get(&format!("/orders/{}", random() >> 32)).bearer(&token);
            until(
                "a good token's passage",
                Duration::from_secs(KEYS_SECONDS_MAX),
                async || {
                    let reply = connection.send(&request).await?;
                    if reply.code().is_none() && reply.status < 500 {
                        Ok(())
                    } else {
                        Err(reply.brief())
                    }
                },
            )
            .await
            .map_err(|fault| format!("{fault}\n{}", self.logs_of(Part::Edge)))?;
        }
        Ok(())
    }

    /// The ends of all logs.
    pub fn logs(&self) -> String {
        self.processes.keys().map(|part| self.logs_of(*part)).collect()
    }

    /// Sets a key in Redis, behind everybody's back.
    pub async fn set_in_redis(&self, key: &str) -> Outcome<()> {
        parts::redis_set(self.ports.redis, key).await
    }

    /// Sends Redis a command; fails unless the answer begins as expected.
    pub async fn tell_redis(&self, words: &[&str], expected: &str) -> Outcome<()> {
        parts::tell_redis(self.ports.redis, words, expected).await
    }

    /// All that Envoy and the module have logged.
    pub fn edge_log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.run.path().join("envoy.log")).unwrap_or_default()).into_owned()
    }

    /// The access log's entries so far.
    pub fn access_log(&self) -> Vec<Value> {
        let bytes = fs::read(self.run.path().join("access.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes)
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The run's directory.
    pub fn directory(&self) -> &Path {
        self.run.path()
    }

    fn logs_of(&self, part: Part) -> String {
        self.processes
            .get(&part)
            .map(|process| process.log_tail(30))
            .unwrap_or_default()
    }

    async fn wait_for(&mut self, part: Part, limit: Duration) -> Outcome<()> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(process) = self.processes.get_mut(&part) {
                process.check_running()?;
            }
            match self.probe(part).await {
                Ok(()) => return Ok(()),
                Err(fault) if Instant::now() >= deadline => {
                    return Err(format!("{part:?} is not ready within {} s: {fault}", limit.as_secs()));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    async fn probe(&self, part: Part) -> Outcome<()> {
        match part {
            Part::Redis => parts::check_redis(self.ports.redis).await,
            Part::Webdis => parts::check_webdis(self.ports.webdis).await,
            Part::Backend => self.backend.check_health().await,
            Part::Edge => {
                self.edge.check_ready().await?;
                let reply = self.client()?.send(&Request::get("/harness-probe")).await?;
                // 500 before the first accepted policy is Envoy's «no filter yet».
                if reply.status < 500 { Ok(()) } else { Err(reply.brief()) }
            }
        }
    }
}
