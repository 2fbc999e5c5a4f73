//! The loopback ports of a run: free ones for tests, the fixed ones for the demo.
//!
//! A port in use is named, with the process that holds it where that can be seen, before anything is started.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::random;

/// One port per listener, all on 127.0.0.1.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// The HTTPS edge.
    pub https: u16,
    /// Plain HTTP, which redirects or refuses.
    pub http: u16,
    /// Envoy's admin interface.
    pub envoy_admin: u16,
    /// The backend's public listener.
    pub backend: u16,
    /// The backend's admin listener.
    pub backend_admin: u16,
    /// Redis.
    pub redis: u16,
    /// Webdis.
    pub webdis: u16,
}

/// The demo's ports: they stand in envoy/envoy.yaml and in the documentation.
pub const DEMO: Ports = Ports {
    https: 10443,
    http: 10080,
    envoy_admin: 9901,
    backend: 10001,
    backend_admin: 10002,
    redis: 16379,
    webdis: 17379,
};

// Below the kernel's usual range for outgoing connections, so that no connection takes a port between the choice and its use.
const FREE_FIRST: u16 = 20_000;
const FREE_SPAN: u16 = 12_000;

/// The address of a port.
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

impl Ports {
    /// Seven ports that were free a moment ago.
    pub fn free() -> Result<Self, String> {
        let mut held = Vec::new();
        for _ in 0..1_000 {
            let offset = u16::try_from(random() % u64::from(FREE_SPAN)).unwrap_or_default();
            if let Ok(listener) = TcpListener::bind(loopback(FREE_FIRST + offset)) {
                held.push((FREE_FIRST + offset, listener));
            }
            if let [
                (https, _),
                (http, _),
                (envoy_admin, _),
                (backend, _),
                (backend_admin, _),
                (redis, _),
                (webdis, _),
            ] = held[..]
            {
                return Ok(Self {
                    https,
                    http,
                    envoy_admin,
                    backend,
                    backend_admin,
                    redis,
                    webdis,
                });
            }
        }
        Err(format!(
            "no seven free ports between {FREE_FIRST} and {}",
            FREE_FIRST + FREE_SPAN
        ))
    }

    /// Fails with one line that names each port in use and, where it can be seen, who uses it.
    pub fn check_unused(&self) -> Result<(), String> {
        let taken: Vec<String> = self
            .named()
            .into_iter()
            .filter(|(_, port)| TcpListener::bind(loopback(*port)).is_err())
            .map(|(name, port)| match holder(port) {
                Some(process) => format!("{port} ({name}) by {process}"),
                None => format!("{port} ({name})"),
            })
            .collect();
        if taken.is_empty() {
            Ok(())
        } else {
            Err(format!("ports in use: {}", taken.join(", ")))
        }
    }

    fn named(&self) -> [(&'static str, u16); 7] {
        [
            ("HTTPS edge", self.https),
            ("plain HTTP", self.http),
            ("Envoy's admin", self.envoy_admin),
            ("backend", self.backend),
            ("backend's admin", self.backend_admin),
            ("redis", self.redis),
            ("webdis", self.webdis),
        ]
    }
}

/// The listening process, by way of /proc: the socket's inode in the kernel's table, then whose descriptor it is.
fn holder(port: u16) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        let text = fs::read_to_string(table).ok()?;
        text.lines().skip(1).find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let local = fields.get(1)?.rsplit(':').next()?;
            let listening = *fields.get(3)? == "0A";
            (listening && u16::from_str_radix(local, 16) == Ok(port)).then(|| fields.get(9).map(ToString::to_string))?
        })
    })?;
    let socket = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let descriptors = fs::read_dir(entry.path().join("fd")).ok()?;
        let owns = descriptors
            .flatten()
            .filter_map(|fd| fs::read_link(fd.path()).ok())
            .any(|target| target.as_os_str() == socket.as_str());
        let name = fs::read_to_string(entry.path().join("comm")).ok()?;
        owns.then(|| format!("{} (pid {pid})", name.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_named_with_its_process() {
        let listener = TcpListener::bind(loopback(0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let ports = Ports {
            redis: port,
            ..Ports::free().unwrap()
        };
        let told = ports.check_unused().unwrap_err();
        let expected = format!("ports in use: {port} (redis) by ");
        assert!(told.starts_with(&expected), "{told}");
        assert!(told.ends_with(&format!("(pid {})", std::process::id())), "{told}");
    }

    #[test]
    fn free_ports_are_seven_different_ones_that_nobody_uses() {
        let ports = Ports::free().unwrap();
        ports.check_unused().unwrap();
        let mut numbers = ports.named().map(|(_, port)| port).to_vec();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 7);
    }
}
