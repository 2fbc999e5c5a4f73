//! Certificates for the edge: an authority that signs once and is forgotten, and a server certificate from it.
//!
//! Called again, it replaces all three files, each by a rename: Envoy sees whole files only. Between the renames key and
//! certificate do not match; Envoy refuses that pair, keeps its old one, and takes the new one at the last rename.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::{fmt, process};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

/// In every server certificate.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// Below the 90 days that Mozilla's guidelines advise, the hour for slow clocks included.
const LIFETIME: Duration = Duration::days(89);
/// For clients whose clock is behind.
const BACKDATED: Duration = Duration::hours(1);

/// Why there are no certificates. `Display` is one line for the operator.
#[derive(Debug)]
pub enum CertError {
    /// A name is neither a DNS name nor an address.
    Name(String),
    /// The directory or a file can't be written.
    File { path: String, cause: io::Error },
    /// The library failed.
    Generate(rcgen::Error),
}

impl fmt::Display for CertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "`{name}` is neither a DNS name nor an IP address"),
            Self::File { path, cause } => write!(f, "can't write {path}: {cause}"),
            Self::Generate(cause) => write!(f, "can't make certificates: {cause}"),
        }
    }
}

impl std::error::Error for CertError {}

impl From<rcgen::Error> for CertError {
    fn from(cause: rcgen::Error) -> Self {
        Self::Generate(cause)
    }
}

/// Writes `ca.pem`, `server.key` (mode 0600) and `server.pem` into `dir`, which is made if it is missing.
///
/// The certificate is for localhost, 127.0.0.1, ::1 and `names`, with an ECDSA P-256 key. Its issuer is the root itself,
/// so the chain in `server.pem` has one link.
///
/// # Errors
/// A [`CertError`]; nothing is written if a name is wrong.
pub fn write(dir: &Path, names: &[String]) -> Result<(), CertError> {
    let all_names = all_names(names)?;
    let now = OffsetDateTime::now_utc();

    let mut ca = CertificateParams::default();
    ca.distinguished_name
        .push(DnType::CommonName, "Portcullis demo authority");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    limit(&mut ca, now);
    let ca_key = KeyPair::generate()?;
    let ca_pem = ca.self_signed(&ca_key)?.pem();
    let issuer = Issuer::new(ca, ca_key);

    let mut server = CertificateParams::new(all_names)?;
    server
        .distinguished_name
        .push(DnType::CommonName, "Portcullis demo edge");
    server.is_ca = IsCa::ExplicitNoCa;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    limit(&mut server, now);
    let server_key = KeyPair::generate()?;
    let server_pem = server.signed_by(&server_key, &issuer)?.pem();

    fs::create_dir_all(dir).map_err(|cause| CertError::File {
        path: dir.display().to_string(),
        cause,
    })?;
    replace(dir, "ca.pem", &ca_pem, 0o644)?;
    replace(dir, "server.key", &server_key.serialize_pem(), 0o600)?;
    replace(dir, "server.pem", &server_pem, 0o644)
}

fn all_names(names: &[String]) -> Result<Vec<String>, CertError> {
    let mut all: Vec<String> = OWN_NAMES.map(str::to_owned).to_vec();
    for name in names {
        if name.parse::<std::net::IpAddr>().is_err() && !is_dns_name(name) {
            return Err(CertError::Name(name.clone()));
        }
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
    Ok(all)
}

/// Labels of letters, digits and inner hyphens (RFC 1123 §2.1); `*` may be the first.
fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.strip_prefix("*.").unwrap_or(name).split('.').all(label)
}

fn limit(params: &mut CertificateParams, now: OffsetDateTime) {
    params.not_before = now - BACKDATED;
    params.not_after = params.not_before + LIFETIME;
}

/// Writes beside the file and renames, so that a reader finds the old file or the new one.
fn replace(dir: &Path, name: &str, content: &str, mode: u32) -> Result<(), CertError> {
    let path = dir.join(name);
    let temporary = dir.join(format!(".{name}.{}", process::id()));
    let written = write_new(&temporary, content, mode).and_then(|()| fs::rename(&temporary, &path));
    written.map_err(|cause| {
        // Best effort: the first error is the one to tell.
        let _ = fs::remove_file(&temporary);
        CertError::File {
            path: path.display().to_string(),
            cause,
        }
    })
}

fn write_new(path: &Path, content: &str, mode: u32) -> io::Result<()> {
    // What a killed run left behind would keep its own mode, so it goes first.
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()
}
