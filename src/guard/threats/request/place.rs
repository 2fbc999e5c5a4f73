//! Where a value stands, as a pointer that exemptions and reports are written with.

/// Levels of JSON that a place tells; the reader allows no more.
pub(super) const DEPTH_MAX: usize = crate::json::DEPTH_CEILING as usize;

/// A step to a value within a JSON body.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'r> {
    Member(&'r str),
    Element(usize),
}

/// Where a value stands.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'r> {
    Path,
    Query(&'r [u8]),
    Header(&'r [u8]),
    Cookie(&'r [u8]),
    Body,
    Field(&'r [u8]),
}

/// The name that a value was given by: a parameter's, or the innermost member's.
pub(super) fn name_of<'r>(place: Place<'r>, steps: &[Step<'r>]) -> Option<&'r [u8]> {
    let member = steps.iter().rev().find_map(|step| match step {
        Step::Member(name) => Some(name.as_bytes()),
        Step::Element(_) => None,
    });
    member.or(match place {
        Place::Query(name) | Place::Field(name) => Some(name),
        Place::Path | Place::Header(_) | Place::Cookie(_) | Place::Body => None,
    })
}

/// The place as a pointer, such as `/query/q` or `/body/items/0/text`. Names are a client's: only plain ones are shown.
pub(super) fn render(place: Place<'_>, steps: &[Step<'_>]) -> String {
    let (kind, name) = match place {
        Place::Path => ("/path", None),
        Place::Query(name) => ("/query", Some(name)),
        Place::Header(name) => ("/headers", Some(name)),
        Place::Cookie(name) => ("/cookies", Some(name)),
        Place::Body => ("/body", None),
        Place::Field(name) => ("/body", Some(name)),
    };
    let mut out = kind.to_owned();
    let mut push = |name: &[u8]| {
        let plain = name.len() <= NAME_BYTES_MAX
            && name
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        out.push('/');
        out.push_str(std::str::from_utf8(name).ok().filter(|_| plain).unwrap_or("?"));
    };
    if let Some(name) = name {
        push(name);
    }
    for step in steps {
        match step {
            Step::Member(name) => push(name.as_bytes()),
            Step::Element(index) => push(index.to_string().as_bytes()),
        }
    }
    out
}

/// Names longer than this, or with other characters than identifiers have, are not shown: they may be the attack.
const NAME_BYTES_MAX: usize = 64;

/// Whether an exemption's pointer is a place or above it; `*` stands for any one name or index.
pub(super) fn covers(exempt: &str, at: &str) -> bool {
    let mut at = at.split('/');
    exempt
        .split('/')
        .all(|part| at.next().is_some_and(|found| part == "*" || part == found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exemptions_cover_what_is_below() {
        for (exempt, at, expected) in [
            ("/body/text", "/body/text", true),
            ("/body/text", "/body/text/0", true),
            ("/body/text", "/body/texts", false),
            ("/body/items/*/note", "/body/items/3/note", true),
            ("/body", "/body/x", true),
            ("/query/q", "/body/q", false),
        ] {
            assert_eq!(covers(exempt, at), expected, "{exempt} {at}");
        }
    }
}
