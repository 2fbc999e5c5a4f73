//! Who a request counts for: the address that Envoy trusts, cut to the configured prefix.
//!
//! The address comes from Envoy's `source.address` only; forwarding headers are never read here. An address that can't
//! be read is an error for the caller to refuse, never a client of its own.

use crate::sort;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// A client: an address prefix. Ordered by address, IPv4 within its mapped range, so that both kinds share one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Client(u128);

impl Client {
    pub fn key(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}

/// Reads `source.address` as Envoy writes it: `192.0.2.1:443` or `[2001:db8::1]:443`; mapped IPv4 becomes IPv4.
pub fn parse_source_address(bytes: &[u8]) -> Option<IpAddr> {
    let address: SocketAddr = std::str::from_utf8(bytes).ok()?.parse().ok()?;
    Some(address.ip().to_canonical())
}

fn mapped(address: IpAddr) -> u128 {
    let v6 = match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    u128::from(v6)
}

/// The first `bits` of an address (of 128), the rest zero.
fn prefix(address: u128, bits: u32) -> u128 {
    match 128_u32.saturating_sub(bits) {
        128.. => 0,
        dropped => address >> dropped << dropped,
    }
}

/// How many leading bits tell clients apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefixes {
    /// 1 to 32; by default 32.
    pub ipv4: u32,
    /// 1 to 128; by default 64, since that is what one customer is given.
    pub ipv6: u32,
}

impl Prefixes {
    pub fn client(self, address: IpAddr) -> Client {
        let bits = match address.to_canonical() {
            IpAddr::V4(_) => self.ipv4.saturating_add(96),
            IpAddr::V6(_) => self.ipv6,
        };
        Client(prefix(mapped(address), bits))
    }
}

/// Address ranges, searched by bisection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    /// First and last address of each range, sorted and apart.
    ranges: Vec<(u128, u128)>,
}

/// One range as CIDR text (RFC 4632, RFC 4291 §2.3), or one address; `None` if it is neither or has host bits set.
pub fn parse_network(text: &str) -> Option<(u128, u128)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) if bits.bytes().all(|b| b.is_ascii_digit()) => (address, Some(bits.parse::<u32>().ok()?)),
        Some(_) => return None,
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let bits = match (address, bits) {
        (IpAddr::V4(_), Some(bits @ 0..=32)) => bits.saturating_add(96),
        (IpAddr::V6(_), Some(bits @ 0..=128)) => bits,
        (_, None) => 128,
        _ => return None,
    };
    let first = match address {
        IpAddr::V4(v4) => u128::from(v4.to_ipv6_mapped()),
        IpAddr::V6(v6) => u128::from(v6),
    };
    (prefix(first, bits) == first).then(|| (first, first | u128::MAX.checked_shr(bits).unwrap_or(0)))
}

impl Networks {
    pub fn new(mut ranges: Vec<(u128, u128)>) -> Self {
        sort::by(&mut ranges, Ord::cmp);
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some((_, end)) if first <= *end => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        Self { ranges: merged }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let address = mapped(address);
        let after = self.ranges.partition_point(|(first, _)| *first <= address);
        after
            .checked_sub(1)
            .and_then(|at| self.ranges.get(at))
            .is_some_and(|(_, last)| address <= *last)
    }

    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    pub fn len(&self) -> usize {
        self.ranges.len()
    }
}

impl From<Client> for IpAddr {
    fn from(client: Client) -> Self {
        IpAddr::V6(Ipv6Addr::from(client.0)).to_canonical()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_are_read_as_envoy_writes_them() {
        for (text, expected) in [
            ("192.0.2.1:443", Some("192.0.2.1")),
            ("[2001:db8::1]:443", Some("2001:db8::1")),
            ("[::ffff:192.0.2.1]:443", Some("192.0.2.1")),
            ("192.0.2.1", None),
            ("192.0.2.1:x", None),
            ("/var/run/envoy.sock", None),
            ("", None),
            ("192.0.2.1:443, 1.2.3.4:1", None),
        ] {
            assert_eq!(parse_source_address(text.as_bytes()), expected.map(address), "{text}");
        }
        assert_eq!(parse_source_address(b"\xff"), None);
    }

    #[test]
    fn clients_are_prefixes() {
        let prefixes = Prefixes { ipv4: 24, ipv6: 64 };
        for (a, b, same) in [
            ("192.0.2.1", "192.0.2.255", true),
            ("192.0.2.1", "192.0.3.1", false),
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("::ffff:192.0.2.1", "192.0.2.7", true),
        ] {
            let client = |text| prefixes.client(address(text));
            assert_eq!(client(a) == client(b), same, "{a} {b}");
        }
        let whole = Prefixes { ipv4: 32, ipv6: 128 };
        assert_eq!(IpAddr::from(whole.client(address("192.0.2.1"))), address("192.0.2.1"));
    }

    #[test]
    fn networks_hold_their_first_and_last_address_and_no_neighbour() {
        let networks = Networks::new(
            [
                "10.0.0.0/8",
                "203.0.113.7",
                "2001:db8::/32",
                "10.1.0.0/16",
                "0.0.0.0/32",
            ]
            .iter()
            .map(|n| parse_network(n).unwrap())
            .collect(),
        );
        assert_eq!(networks.len(), 4);
        for (text, inside) in [
            ("10.0.0.0", true),
            ("10.255.255.255", true),
            ("9.255.255.255", false),
            ("11.0.0.0", false),
            ("203.0.113.7", true),
            ("203.0.113.8", false),
            ("2001:db8:ffff::", true),
            ("2001:db9::", false),
            ("::ffff:10.0.0.1", true),
            ("::", false),
        ] {
            assert_eq!(networks.contains(address(text)), inside, "{text}");
        }
        assert!(!Networks::default().contains(address("10.0.0.1")));
        assert!(Networks::new(vec![parse_network("::/0").unwrap()]).contains(address("10.0.0.1")));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0/8",
            "::/129",
            "x",
            "10.0.0.0/8/8",
        ] {
            assert_eq!(parse_network(text), None, "{text}");
        }
    }
}
