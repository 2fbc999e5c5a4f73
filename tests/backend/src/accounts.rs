//! Accounts and their passwords: argon2id, off the async threads, a bounded number at a time.
//!
//! An unknown account costs a caller the same work as a known one: its password is checked against a hash that no
//! password has.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::{Arc, Mutex};

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::lock;

/// What the demo and its tests never reach; the map is all in memory.
const ACCOUNTS_MAX: usize = 10_000;
/// OWASP's second choice for argon2id: 19 MiB, two passes, one lane. About 20 ms.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// More at once would only share the same cores, at 19 MiB each.
const HASHES_AT_ONCE: usize = 4;

/// Why an account was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RegisterError {
    Taken,
    Full,
    Failed,
}

/// Hashing failed: no randomness, no memory, or the service is going down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HashingFailed;

impl fmt::Display for HashingFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("password hashing failed")
    }
}

pub(crate) struct Accounts {
    hashes: Mutex<HashMap<String, String>>,
    /// Stands in for the hash of an account that does not exist.
    nobody: String,
    hashing: Arc<Semaphore>,
}

impl Accounts {
    pub(crate) async fn new() -> Result<Self, HashingFailed> {
        let hashing = Arc::new(Semaphore::new(HASHES_AT_ONCE));
        let mut password = [0; 32];
        getrandom::fill(&mut password).map_err(|_| HashingFailed)?;
        let nobody = work(&hashing, move || hash(&password)).await?;
        Ok(Self {
            hashes: Mutex::default(),
            nobody,
            hashing,
        })
    }

    /// Makes an account unless the name is taken.
    pub(crate) async fn register(&self, name: String, password: String) -> Result<(), RegisterError> {
        self.room_for(&name)?;
        let hashed = work(&self.hashing, move || hash(password.as_bytes())).await;
        let hashed = hashed.map_err(|HashingFailed| RegisterError::Failed)?;
        // Asked again under the same lock as the insertion: another request may have come first.
        let mut hashes = lock(&self.hashes);
        let full = hashes.len() >= ACCOUNTS_MAX;
        match hashes.entry(name) {
            Entry::Occupied(_) => Err(RegisterError::Taken),
            Entry::Vacant(_) if full => Err(RegisterError::Full),
            Entry::Vacant(place) => {
                place.insert(hashed);
                Ok(())
            }
        }
    }

    fn room_for(&self, name: &str) -> Result<(), RegisterError> {
        let hashes = lock(&self.hashes);
        if hashes.contains_key(name) {
            return Err(RegisterError::Taken);
        }
        if hashes.len() >= ACCOUNTS_MAX {
            Err(RegisterError::Full)
        } else {
            Ok(())
        }
    }

    /// Whether the account exists and has this password; the same work in every case.
    pub(crate) async fn password_matches(&self, name: &str, password: String) -> Result<bool, HashingFailed> {
        let (hash, exists) = match lock(&self.hashes).get(name) {
            Some(hash) => (hash.clone(), true),
            None => (self.nobody.clone(), false),
        };
        let matches = work(&self.hashing, move || {
            Ok(Argon2::default()
                .verify_password(password.as_bytes(), hash.as_str())
                .is_ok())
        });
        Ok(matches.await? & exists)
    }
}

fn hash(password: &[u8]) -> Result<String, HashingFailed> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| HashingFailed)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    Ok(argon2.hash_password(password).map_err(|_| HashingFailed)?.to_string())
}

async fn work<T: Send + 'static>(
    hashing: &Arc<Semaphore>,
    job: impl FnOnce() -> Result<T, HashingFailed> + Send + 'static,
) -> Result<T, HashingFailed> {
    let permit = Arc::clone(hashing).acquire_owned().await.map_err(|_| HashingFailed)?;
    let task = tokio::task::spawn_blocking(move || {
        // Held by the job itself: it runs on when its caller has gone, and counts until it ends.
        let _permit = permit;
        job()
    });
    task.await.map_err(|_| HashingFailed)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_a_known_account_matches() {
        let accounts = Accounts::new().await.unwrap();
        accounts.register("ada".into(), "engine-1843".into()).await.unwrap();
        for (name, password, expected) in [
            ("ada", "engine-1843", true),
            ("ada", "engine-1844", false),
            ("ada", "", false),
            ("bob", "engine-1843", false),
        ] {
            let matches = accounts.password_matches(name, password.into()).await;
            assert_eq!(matches, Ok(expected), "{name} {password}");
        }
        let again = accounts.register("ada".into(), "other-password".into()).await;
        assert_eq!(again, Err(RegisterError::Taken));
    }

    #[test]
    fn a_hash_names_its_parameters() {
        assert!(hash(b"x").unwrap().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    }
}
