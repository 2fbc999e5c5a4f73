//! The head of a request: all header fields as bytes, read from the host once and kept for the later phases.
//!
//! Values stay bytes until a guard parses them; what a guard can't parse it refuses. Names are lower case, as HTTP/2
//! sends them and Envoy writes them.

use std::ops::Range;

/// The header fields in the order they came, over one buffer.
#[derive(Debug, Clone, Default)]
pub struct Head {
    block: Vec<u8>,
    fields: Vec<(Range<usize>, Range<usize>)>,
}

/// A field that must be single came more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeated;

impl Head {
    /// Reads the host's serialised map: a count, the lengths of each name and value (little-endian 32 bits each), then
    /// the names and values, each followed by a zero byte. `None` if it is not of that shape.
    pub fn from_block(block: Vec<u8>) -> Option<Self> {
        let number = |at: usize| -> Option<usize> {
            let bytes: [u8; 4] = block.get(at..at.checked_add(4)?)?.try_into().ok()?;
            usize::try_from(u32::from_le_bytes(bytes)).ok()
        };
        if block.is_empty() {
            return Some(Self::default());
        }
        let count = number(0)?;
        let mut start = count.checked_mul(8)?.checked_add(4)?;
        if start > block.len() {
            return None;
        }
        let mut fields = Vec::with_capacity(count);
        for lengths in (4..start).step_by(8) {
            let name = start..start.checked_add(number(lengths)?)?;
            let value_start = name.end.checked_add(1)?;
            let value = value_start..value_start.checked_add(number(lengths.checked_add(4)?)?)?;
            start = value.end.checked_add(1)?;
            if start > block.len() {
                return None;
            }
            fields.push((name, value));
        }
        Some(Self { block, fields })
    }

    /// A head from names and values, for tests and tools.
    pub fn from_fields<'f>(fields: impl IntoIterator<Item = (&'f str, &'f [u8])>) -> Self {
        let mut head = Self::default();
        let mut push = |bytes: &[u8]| {
            let start = head.block.len();
            head.block.extend_from_slice(bytes);
            start..head.block.len()
        };
        let ranges: Vec<_> = fields
            .into_iter()
            .map(|(name, value)| (push(name.as_bytes()), push(value)))
            .collect();
        head.fields = ranges;
        head
    }

    /// All fields, pseudo-header fields such as `:path` included.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields
            .iter()
            .map(|(name, value)| (self.bytes(name), self.bytes(value)))
    }

    #[inline(always)]
    fn bytes(&self, range: &Range<usize>) -> &[u8] {
        self.block.get(range.clone()).unwrap_or_default()
    }

    /// The values of every field of this name.
    pub fn values<'h, 'n>(&'h self, name: &'n str) -> impl Iterator<Item = &'h [u8]> + use<'h, 'n> {
        let fields = self.fields.iter().filter(move |(found, _)| self.is(found, name));
        fields.map(|(_, value)| self.bytes(value))
    }

    /// By length first: most fields are of another, and every guard asks for several.
    #[inline(always)]
    fn is(&self, found: &Range<usize>, name: &str) -> bool {
        found.len() == name.len() && self.bytes(found) == name.as_bytes()
    }

    pub fn contains(&self, name: &str) -> bool {
        self.fields.iter().any(|(found, _)| self.is(found, name))
    }

    /// The value of a field that may come once.
    ///
    /// # Errors
    /// [`Repeated`] if it came more often.
    pub fn single(&self, name: &str) -> Result<Option<&[u8]>, Repeated> {
        let mut single = None;
        for (found, value) in &self.fields {
            if self.is(found, name) && single.replace(value).is_some() {
                return Err(Repeated);
            }
        }
        Ok(single.map(|value| self.bytes(value)))
    }

    /// Whether this is a gRPC call, which gets its refusals as a gRPC status.
    pub fn is_grpc(&self) -> bool {
        self.values("content-type")
            .any(|value| value == b"application/grpc" || value.starts_with(b"application/grpc+"))
    }
}

/// Whether a text names one host, with or without a port (RFC 9110 §7.2): a list, as Envoy joins repeated fields, user
/// information or a path is not.
pub fn is_authority(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else {
        return false;
    };
    let (host, port) = match text.rfind(':') {
        Some(at) if !text.ends_with(']') => text.split_at(at),
        _ => (text, ""),
    };
    let port_is_good = port
        .strip_prefix(':')
        .is_none_or(|port| port.parse::<u16>().is_ok() && !port.starts_with('+'));
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_is_good = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
            (1..=255).contains(&host.len()) && host.bytes().all(plain)
        }
    };
    host_is_good && port_is_good
}

/// A change to the request's head, made before it goes to the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadEdit {
    Set(String, Vec<u8>),
    Remove(String),
    /// No change, but something that the host keeps beside the request, for access logs and other filters.
    State(String, Vec<u8>),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut out = u32::try_from(fields.len()).unwrap().to_le_bytes().to_vec();
        for (name, value) in fields {
            out.extend(u32::try_from(name.len()).unwrap().to_le_bytes());
            out.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
        }
        for (name, value) in fields {
            out.extend([name, &b"\0"[..], value, b"\0"].concat());
        }
        out
    }

    #[test]
    fn a_block_is_read_with_bytes_as_they_are() {
        let head = Head::from_block(block(&[
            (b":path", b"/x"),
            (b"a", b"\xff\x80"),
            (b"b", b""),
            (b"a", b"2"),
        ]))
        .unwrap();
        assert_eq!(head.single(":path"), Ok(Some(&b"/x"[..])));
        assert_eq!(head.single("b"), Ok(Some(&b""[..])));
        assert_eq!(head.single("none"), Ok(None));
        assert_eq!(head.single("a"), Err(Repeated));
        assert_eq!(head.values("a").collect::<Vec<_>>(), [&b"\xff\x80"[..], b"2"]);
        assert_eq!(head.fields().count(), 4);
    }

    #[test]
    fn a_block_of_another_shape_is_refused_at_every_cut() {
        let whole = block(&[(b":path", b"/x"), (b"name", b"value")]);
        for end in 1..whole.len() {
            assert!(Head::from_block(whole[..end].to_vec()).is_none(), "{end}");
        }
        assert!(Head::from_block(vec![0xFF; 64]).is_none());
        assert_eq!(Head::from_block(Vec::new()).unwrap().fields().count(), 0);
    }

    #[test]
    fn an_authority_is_one_host() {
        for text in [
            "localhost",
            "api.example.com:443",
            "192.0.2.1:8080",
            "[::1]",
            "[2001:db8::1]:443",
            "a_b.c",
        ] {
            assert!(is_authority(text.as_bytes()), "{text}");
        }
        for text in [
            "", ":443", "a,b", "a@b", "a:b", "a:", "a:99999", "a:+1", "::1", "[::1", "[x]", "[::1]x", "a/b", "a b",
            "a:1:2", "é",
        ] {
            assert!(!is_authority(text.as_bytes()), "{text}");
        }
        assert!(!is_authority(b"\xff"));
    }

    #[test]
    fn grpc_is_seen_by_its_content_type() {
        for (value, grpc) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc-web", false),
        ] {
            assert_eq!(
                Head::from_fields([("content-type", value.as_bytes())]).is_grpc(),
                grpc,
                "{value}"
            );
        }
    }
}
