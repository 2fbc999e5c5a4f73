//! The head of a request: all header fields as bytes, read from the host once and kept for the later phases.
//!
//! Values stay bytes until a guard parses them; what a guard can't parse it refuses. Names are lower case, as HTTP/2
//! sends them and Envoy writes them.

/// The header fields in the order they came, over one buffer.
#[derive(Debug, Clone, Default)]
pub struct Head {
    block: Vec<u8>,
    fields: Vec<Place>,
}

/// Where a field stands in the buffer.
#[derive(Debug, Clone, Copy)]
struct Place {
    name: Span,
    value: Span,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    len: usize,
}

impl Span {
    /// What lies behind it, and the byte that ends it there.
    fn next(self) -> Option<usize> {
        self.start.checked_add(self.len)?.checked_add(1)
    }
}

/// A field that must be single came more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeated;

impl Head {
    /// Reads the host's serialised map: a count, the lengths of each name and value (little-endian 32 bits each), then
    /// the names and values, each followed by a zero byte. `None` if it is not of that shape.
    pub fn from_block(block: Vec<u8>) -> Option<Self> {
        if block.is_empty() {
            return Some(Self::default());
        }
        let count = usize::try_from(u32::from_le_bytes(*block.first_chunk()?)).ok()?;
        let mut start = count.checked_mul(8)?.checked_add(4)?;
        if start > block.len() {
            return None;
        }
        let mut fields = Vec::with_capacity(count);
        let (lengths, _) = block.get(4..start)?.as_chunks::<8>();
        for [a, b, c, d, lengths @ ..] in lengths {
            let length = |bytes| usize::try_from(u32::from_le_bytes(bytes)).ok();
            let name = Span {
                start,
                len: length([*a, *b, *c, *d])?,
            };
            let value = Span {
                start: name.next()?,
                len: length(*lengths)?,
            };
            start = value.next()?;
            if start > block.len() {
                return None;
            }
            fields.push(Place { name, value });
        }
        Some(Self { block, fields })
    }

    /// A head from names and values, for tests and tools.
    pub fn from_fields<'f>(fields: impl IntoIterator<Item = (&'f str, &'f [u8])>) -> Self {
        let mut head = Self::default();
        let mut push = |bytes: &[u8]| {
            let start = head.block.len();
            head.block.extend_from_slice(bytes);
            let len = bytes.len();
            Span { start, len }
        };
        let places = fields.into_iter().map(|(name, value)| Place {
            name: push(name.as_bytes()),
            value: push(value),
        });
        head.fields = places.collect();
        head
    }

    /// All fields, pseudo-header fields such as `:path` included.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields
            .iter()
            .map(|place| (self.bytes(place.name), self.bytes(place.value)))
    }

    #[inline(always)]
    fn bytes(&self, span: Span) -> &[u8] {
        let rest = self.block.get(span.start..).unwrap_or_default();
        rest.get(..span.len).unwrap_or_default()
    }

    /// The values of every field of this name.
    pub fn values<'h, 'n>(&'h self, name: &'n str) -> impl Iterator<Item = &'h [u8]> + use<'h, 'n> {
        let places = self.fields.iter().filter(move |place| self.is(place.name, name));
        places.map(|place| self.bytes(place.value))
    }

    /// By length first: most fields are of another, and every guard asks for several.
    #[inline(always)]
    fn is(&self, found: Span, name: &str) -> bool {
        found.len == name.len() && self.bytes(found) == name.as_bytes()
    }

    pub fn contains(&self, name: &str) -> bool {
        self.fields.iter().any(|place| self.is(place.name, name))
    }

    /// The value of a field that may come once.
    ///
    /// # Errors
    /// [`Repeated`] if it came more often.
    pub fn single(&self, name: &str) -> Result<Option<&[u8]>, Repeated> {
        let mut single = None;
        for place in &self.fields {
            if self.is(place.name, name) && single.replace(place.value).is_some() {
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
    // Every request pays for this: by bytes, so that nothing is decoded before it is known to be plain.
    let (host, port) = match text.iter().rposition(|byte| *byte == b':') {
        Some(at) if text.last() != Some(&b']') => text.split_at(at),
        _ => (text, &b""[..]),
    };
    let port_is_good = match port {
        [] => true,
        [_, digits @ ..] => {
            let text = std::str::from_utf8(digits).unwrap_or_default();
            text.parse::<u16>().is_ok() && digits.first() != Some(&b'+')
        }
    };
    let host_is_good = match host {
        [b'[', address @ .., b']'] => {
            let address = std::str::from_utf8(address).unwrap_or_default();
            address.parse::<std::net::Ipv6Addr>().is_ok()
        }
        _ => {
            let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
            (1..=255).contains(&host.len()) && host.iter().all(plain)
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
