//! `clients`: what counts as one client, who is exempt and who is denied.

use super::common::section;
use super::field::Field;
use super::mode;
use crate::client::{Networks, Prefixes, parse_network};
use crate::policy::Clients;

pub fn clients(field: Option<Field<'_>>) -> Clients {
    let mut clients = Clients {
        prefixes: Prefixes { ipv4: 32, ipv6: 64 },
        exempt: Networks::default(),
        deny: Networks::default(),
        mode: None,
    };
    let Some(section) = section(field) else { return clients };
    clients.mode = mode(&section);
    if let Some(bits) = section.get("ipv4_prefix").and_then(|f| f.count(1, 32)) {
        clients.prefixes.ipv4 = bits;
    }
    if let Some(bits) = section.get("ipv6_prefix").and_then(|f| f.count(1, 128)) {
        clients.prefixes.ipv6 = bits;
    }
    clients.exempt = section.get("exempt").map(|f| networks(&f)).unwrap_or_default();
    clients.deny = section.get("deny").map(|f| networks(&f)).unwrap_or_default();
    section.finish();
    clients
}

fn networks(field: &Field<'_>) -> Networks {
    let list = field.list().unwrap_or_default();
    let ranges = list.iter().filter_map(|item| {
        let range = item.value.as_str().and_then(parse_network);
        range.or_else(|| {
            item.expected("a network such as \"10.0.0.0/8\" or \"2001:db8::/32\" without host bits, or an address")
        })
    });
    Networks::new(ranges.collect())
}
