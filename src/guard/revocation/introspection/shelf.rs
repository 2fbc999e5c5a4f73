//! What the server said of active tokens, as all workers share it: the bodies of its answers, in a fixed number of shared
//! cells, so that one question serves all.
//!
//! Only what is active is kept here, so nobody fills it with tokens that he made up. Its bytes are read as if anybody could
//! have written them: what does not sum up under the workers' shared key is nothing, and every worker judges an answer
//! itself.

use crate::callout::ANSWER_BYTES_MAX;
use crate::guard::token::Endpoint;
use crate::host::{Cell, Host};
use crate::rate::Instant;
use crate::store::checksum;

/// The layout of a cell; another holds nothing.
const VERSION: u8 = 1;

/// Answers of the usual size, at most 8 MiB together; a token has two places, so that of a thousand tokens few are pushed
/// out by others.
const SMALL_PLACES: u16 = 2048;
const SMALL_BYTES_MAX: usize = 4096;

/// Larger ones, at most 4 MiB together.
const LARGE_PLACES: u16 = 16;

/// See the module.
#[derive(Debug)]
pub struct Shelf {
    key: [u8; 16],
    /// Keyed hash of the server's address and of who asks: a changed configuration reads no other's answers.
    identity: u128,
}

/// A token's name on the shelf: a keyed hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name(pub u128);

/// An answer on the shelf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelved {
    /// When the question was asked.
    pub asked: Instant,
    pub body: Vec<u8>,
}

impl Shelf {
    /// `key` is the one that all workers share.
    pub fn new(key: [u8; 16], endpoint: &Endpoint, client_id: &str) -> Self {
        let parts = [&endpoint.cluster, &endpoint.authority, &endpoint.path].map(String::as_bytes);
        let [cluster, authority, path] = parts;
        let identity = checksum(
            &key,
            &[b"introspection", cluster, authority, path, client_id.as_bytes()],
        );
        Self { key, identity }
    }

    pub fn name(&self, token: &[u8]) -> Name {
        Name(checksum(
            &self.key,
            &[b"introspected", &self.identity.to_le_bytes(), token],
        ))
    }

    /// Places for answers of the usual size.
    fn small(name: Name) -> [Cell; 2] {
        let place = |shift: u32| {
            let part = name.0.checked_shr(shift).unwrap_or_default() % u128::from(SMALL_PLACES);
            Cell::Introspected(u16::try_from(part).unwrap_or_default())
        };
        [place(0), place(64)]
    }

    /// The place for a larger one.
    fn large(name: Name) -> Cell {
        let part = u16::try_from(name.0 % u128::from(LARGE_PLACES)).unwrap_or_default();
        Cell::Introspected(SMALL_PLACES.saturating_add(part))
    }

    /// The last answer about a token.
    pub fn read(&self, host: &dyn Host, name: Name) -> Option<Shelved> {
        let [first, second] = Self::small(name);
        let found = [first, second, Self::large(name)].map(|cell| self.look(host, cell));
        let own = found.into_iter().flatten().filter(|(other, _)| *other == name);
        own.map(|(_, shelved)| shelved).max_by_key(|shelved| shelved.asked)
    }

    /// Puts an answer that says "active" where every worker finds it. Cells that can't be written leave it with this one.
    pub fn put(&self, host: &dyn Host, name: Name, asked: Instant, body: &[u8]) {
        if body.len() > ANSWER_BYTES_MAX || self.read(host, name).is_some_and(|other| other.asked > asked) {
            return;
        }
        let cell = if body.len() > SMALL_BYTES_MAX {
            Self::large(name)
        } else {
            // Its own place, else the one with the older answer.
            let rank = |cell: &Cell| match self.look(host, *cell) {
                Some((other, _)) if other == name => (0, Instant::EPOCH),
                None => (1, Instant::EPOCH),
                Some((_, shelved)) => (2, shelved.asked),
            };
            let [first, second] = Self::small(name);
            if rank(&second) < rank(&first) { second } else { first }
        };
        let _ = host.write(cell, &self.encode(name, asked, body), None);
    }

    /// Puts an answer that says otherwise over older ones; whether there were any. Where there are none, none is put.
    pub fn take_back(&self, host: &dyn Host, name: Name, asked: Instant, body: &[u8]) -> bool {
        let [first, second] = Self::small(name);
        let mut any = false;
        for cell in [first, second, Self::large(name)] {
            let older = self
                .look(host, cell)
                .is_some_and(|(other, shelved)| other == name && shelved.asked <= asked);
            any |= older && host.write(cell, &self.encode(name, asked, body), None) == Ok(true);
        }
        any
    }

    fn encode(&self, name: Name, asked: Instant, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(name.0.to_le_bytes());
        bytes.extend(asked.0.to_le_bytes());
        bytes.extend(body);
        let sum = checksum(&self.key, &[b"answer", &bytes]);
        bytes.extend(sum.to_le_bytes());
        bytes
    }

    /// What a cell holds, about whatever token.
    fn look(&self, host: &dyn Host, cell: Cell) -> Option<(Name, Shelved)> {
        let bytes = host.read(cell).ok()??.bytes;
        let (held, sum) = bytes.split_last_chunk::<16>()?;
        if u128::from_le_bytes(*sum) != checksum(&self.key, &[b"answer", held]) {
            return None;
        }
        let (version, rest) = held.split_first()?;
        let (name, rest) = rest.split_first_chunk::<16>()?;
        let (asked, body) = rest.split_first_chunk::<8>()?;
        (*version == VERSION).then(|| {
            let asked = Instant(u64::from_le_bytes(*asked));
            let body = body.to_vec();
            (Name(u128::from_le_bytes(*name)), Shelved { asked, body })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::revocation::lookup;
    use crate::host::memory::MemoryHost;
    use std::time::Duration;

    fn shelf(id: &str) -> Shelf {
        Shelf::new([7; 16], &lookup::sample(Duration::ZERO).endpoint, id)
    }

    fn shelved(asked: u64, body: &[u8]) -> Option<Shelved> {
        let (asked, body) = (Instant(asked), body.to_vec());
        Some(Shelved { asked, body })
    }

    #[test]
    fn the_later_answer_holds_whatever_its_size_and_who_asks_as_another_has_none() {
        let (host, shelf) = (MemoryHost::default(), shelf("a"));
        let name = shelf.name(b"token");
        assert_eq!(shelf.read(&host, name), None);
        shelf.put(&host, name, Instant(5), b"five");
        shelf.put(&host, name, Instant(4), b"four");
        assert_eq!(shelf.read(&host, name), shelved(5, b"five"));
        let large = vec![b' '; SMALL_BYTES_MAX + 1];
        shelf.put(&host, name, Instant(6), &large);
        assert_eq!(shelf.read(&host, name), shelved(6, &large));
        shelf.put(&host, name, Instant(7), b"seven");
        assert_eq!(shelf.read(&host, name), shelved(7, b"seven"));
        shelf.put(&host, name, Instant(8), &vec![b' '; ANSWER_BYTES_MAX + 1]);
        assert_eq!(shelf.read(&host, name), shelved(7, b"seven"));
        let other = super::tests::shelf("b");
        assert_eq!(other.read(&host, other.name(b"token")), None);
    }

    #[test]
    fn what_is_taken_back_is_so_in_every_place_and_takes_none_of_its_own() {
        let (host, shelf) = (MemoryHost::default(), shelf("a"));
        let name = shelf.name(b"token");
        assert!(!shelf.take_back(&host, name, Instant(9), b"no"));
        assert_eq!(shelf.read(&host, name), None);
        shelf.put(&host, name, Instant(5), &vec![b' '; SMALL_BYTES_MAX + 1]);
        shelf.put(&host, name, Instant(6), b"six");
        assert!(!shelf.take_back(&host, name, Instant(4), b"no"));
        assert!(shelf.take_back(&host, name, Instant(9), b"no"));
        assert_eq!(shelf.read(&host, name), shelved(9, b"no"));
    }

    #[test]
    fn most_of_a_thousand_tokens_stay_and_changed_bytes_are_nothing() {
        let (host, shelf) = (MemoryHost::default(), shelf("a"));
        let names: Vec<Name> = (0..1000_u32).map(|n| shelf.name(&n.to_le_bytes())).collect();
        for (at, name) in names.iter().enumerate() {
            shelf.put(&host, *name, Instant(at as u64), b"x");
        }
        let kept = names.iter().filter(|name| shelf.read(&host, **name).is_some()).count();
        assert!(kept >= 900, "{kept}");
        for cell in (0..SMALL_PLACES).map(Cell::Introspected) {
            let Some(held) = host.read(cell).unwrap() else { continue };
            let mut bytes = held.bytes;
            bytes[20] ^= 1;
            host.write(cell, &bytes, None).unwrap();
        }
        assert!(names.iter().all(|name| shelf.read(&host, *name).is_none()));
        host.set_broken(true);
        shelf.put(&host, names[0], Instant(0), b"x");
        assert!(!shelf.take_back(&host, names[0], Instant(0), b"x"));
        assert_eq!(shelf.read(&host, names[0]), None);
    }
}
