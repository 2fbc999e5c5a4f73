//! The feed's document and its shared head: whatever the source or the cells hold, what is accepted keeps its bounds,
//! and nothing that has ended is kept.

use portcullis::guard::revocation::feed::document::CURSOR_BYTES_MAX;
use portcullis::guard::revocation::feed::set::Set;
use portcullis::guard::revocation::feed::shared::{Head, RECORDS_MAX};
use portcullis::guard::revocation::feed::{Document, Namer};
use portcullis::rate::Instant;

pub fn run(input: &[u8]) {
    let now = Instant::from_seconds(1000);
    if let Ok(document) = Document::read(input, &Namer::new([7; 16]), now) {
        assert!(
            document
                .cursor
                .iter()
                .all(|cursor| (1..=CURSOR_BYTES_MAX).contains(&cursor.len()))
        );
        assert!(!document.more || document.cursor.is_some());
        let mut set = Set::default();
        for record in &document.records {
            assert!(record.name != 0 && u64::from(record.ends) > 1000);
            set.insert(*record);
        }
        for record in &document.records {
            let found = set.find(record.name).expect("what was put in is found");
            assert!(found.ends >= record.ends && found.before >= record.before);
        }
        assert!(set.len() <= document.records.len() && set.records().count() == set.len());
    }
    let head = Head::decode(input);
    assert!(head.records <= RECORDS_MAX && head.cursor.len() <= CURSOR_BYTES_MAX);
    assert_eq!(Head::decode(&head.encode()), head);
}
