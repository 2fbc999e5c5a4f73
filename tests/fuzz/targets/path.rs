//! Paths: a normal form is its own normal form, matches the same operations, and holds nothing that servers read in two
//! ways.

use portcullis::path::Target;

pub fn run(input: &[u8]) {
    let Ok(target) = Target::parse(input) else { return };
    let path = target.path();
    let whole = target.rewritten().map_or_else(|| input.to_vec(), String::into_bytes);
    let again = Target::parse(&whole).expect("a normal form is accepted");
    assert_eq!(again.rewritten(), None, "a normal form is its own");
    assert_eq!(again.path(), path);

    assert!(path.starts_with('/') && !path.contains("//"));
    assert!(
        path.bytes()
            .all(|b| b.is_ascii_graphic() && !b"\\\"<>^`{|}#?".contains(&b)),
        "{path}"
    );
    let upper = path.to_ascii_uppercase();
    for never in ["%2F", "%5C", "%2E", "%00", "%7F", "%41", "%61"] {
        assert!(!upper.contains(never), "{path}");
    }
    assert!(path.split('/').all(|segment| segment != "." && segment != ".."));

    let segments: Vec<_> = target.segments().collect();
    let same: Vec<_> = again.segments().collect();
    assert_eq!(segments, same);
    for segment in &segments {
        assert!(!segment.is_empty() && segment != "." && segment != "..");
        assert!(!segment.contains(['/', '\\', ';']) && !segment.chars().any(|c| c.is_ascii_control()));
    }
    // Spellings of it match as it does.
    let (path, query) = (path.to_owned(), whole.iter().position(|b| *b == b'?'));
    let query = query.and_then(|at| whole.get(at..)).unwrap_or_default();
    for other in [
        format!("/{path}"),
        format!("/.{path}"),
        format!("/x/..{path}"),
        path.replace('/', "/;a/"),
    ] {
        let spelling = [other.as_bytes(), query].concat();
        let spelt = Target::parse(&spelling).expect("a spelling of a good path");
        assert_eq!(spelt.segments().collect::<Vec<_>>(), segments, "{other}");
    }
}
