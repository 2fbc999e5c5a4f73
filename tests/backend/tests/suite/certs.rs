//! The certificates, read back by OpenSSL, which is what a user would look at them with.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use demo_backend::certs::{self, CertError};

fn openssl(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(dir)
        .output()
        .expect("openssl on PATH");
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            (
                path.file_name().unwrap().to_str().unwrap().to_owned(),
                fs::read(&path).unwrap(),
            )
        })
        .collect()
}

#[test]
fn the_server_certificate_is_for_its_names_and_from_the_authority() {
    let dir = tempfile::tempdir().unwrap();
    let dir = &dir.path().join("new");
    certs::write(dir, &["api.example.com".into(), "192.0.2.1".into(), "localhost".into()]).unwrap();
    openssl(
        dir,
        &[
            "verify",
            "-x509_strict",
            "-purpose",
            "sslserver",
            "-CAfile",
            "ca.pem",
            "server.pem",
        ],
    );
    for name in ["localhost", "api.example.com"] {
        openssl(
            dir,
            &["verify", "-CAfile", "ca.pem", "-verify_hostname", name, "server.pem"],
        );
    }
    for address in ["127.0.0.1", "::1", "192.0.2.1"] {
        openssl(
            dir,
            &["verify", "-CAfile", "ca.pem", "-verify_ip", address, "server.pem"],
        );
    }
    let text = openssl(dir, &["x509", "-in", "server.pem", "-noout", "-text"]);
    assert!(
        text.contains("NIST CURVE: P-256") && text.contains("CA:FALSE"),
        "{text}"
    );
    assert_eq!(text.matches("DNS:localhost").count(), 1);
    let ninety_days = (90 * 86_400).to_string();
    let lasting = Command::new("openssl")
        .args(["x509", "-checkend", &ninety_days, "-noout", "-in"])
        .arg(dir.join("server.pem"))
        .output()
        .unwrap();
    assert_eq!(lasting.status.code(), Some(1), "it ends within 90 days");
    let public_of_key = openssl(dir, &["pkey", "-in", "server.key", "-pubout"]);
    assert_eq!(
        public_of_key,
        openssl(dir, &["x509", "-in", "server.pem", "-noout", "-pubkey"])
    );
}

#[test]
fn a_second_call_replaces_all_files_and_leaves_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    certs::write(dir.path(), &[]).unwrap();
    let first = files(dir.path());
    certs::write(dir.path(), &[]).unwrap();
    let second = files(dir.path());
    assert_eq!(
        second.keys().collect::<Vec<_>>(),
        ["ca.pem", "server.key", "server.pem"]
    );
    assert!(first.iter().all(|(name, content)| second[name] != *content));
    let mode = fs::metadata(dir.path().join("server.key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_wrong_name_or_place_is_named_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    for wrong in ["", "a b", "-a.example", "a..example", "*", "a.*.example", "x/y"] {
        let error = certs::write(dir.path(), &[wrong.into()]).unwrap_err();
        assert!(matches!(error, CertError::Name(_)), "{wrong}: {error}");
        assert_eq!(
            error.to_string(),
            format!("`{wrong}` is neither a DNS name nor an IP address")
        );
    }
    assert!(files(dir.path()).is_empty());
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = certs::write(&file, &[]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("can't write {}", file.display())),
        "{error}"
    );
}
