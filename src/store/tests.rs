use super::*;
use crate::host::memory::MemoryHost;
use std::time::Duration;

fn bump(record: Option<Record>, now: Instant, span: Duration) -> (Option<Record>, u64) {
    let count = record.map_or(0, |r| r.words[0]) + 1;
    let record = Record {
        words: [count, 0, 0],
        idle_at: now.plus(span),
        held_until: Instant::EPOCH,
    };
    (Some(record), count)
}

#[test]
fn a_record_is_shared_by_every_view_of_the_table() {
    let host = MemoryHost::default();
    let tables = [
        Table::open(&host, 1 << 20).unwrap(),
        Table::open(&host, 1 << 20).unwrap(),
    ];
    let now = host.now();
    for expected in 1..=10 {
        let table = &tables[usize::try_from(expected).unwrap() % 2];
        let fingerprint = table.fingerprint(Use::Login, &[b"client"]);
        let count = table.update(&host, fingerprint, now, |r| bump(r, now, Duration::from_secs(60)));
        assert_eq!(count, Ok(expected));
    }
}

#[test]
fn opening_again_keeps_what_is_there() {
    let host = MemoryHost::default();
    let table = Table::open(&host, 1 << 20).unwrap();
    let fingerprint = table.fingerprint(Use::Login, &[b"client"]);
    let now = host.now();
    table
        .update(&host, fingerprint, now, |r| bump(r, now, Duration::from_secs(60)))
        .unwrap();
    let cells = host.cell_count();
    // Also with another size asked for.
    let again = Table::open(&host, 1 << 21).unwrap();
    assert_eq!(again.peek(&host, fingerprint).unwrap().unwrap().words[0], 1);
    assert_eq!(host.cell_count(), cells);
}

#[test]
fn a_hundred_thousand_clients_make_no_new_cell_and_evict_no_held_record() {
    let host = MemoryHost::default();
    let table = Table::open(&host, 256 * 1024).unwrap();
    let cells = host.cell_count();
    let now = host.now();
    let held = table.fingerprint(Use::Login, &[b"banned"]);
    let until = now.plus(Duration::from_secs(900));
    let ban = Record {
        words: [7, 0, 0],
        idle_at: until,
        held_until: until,
    };
    table.update(&host, held, now, |_| (Some(ban), ())).unwrap();
    for i in 0..100_000_u32 {
        let fingerprint = table.fingerprint(Use::Quota("q"), &[&i.to_le_bytes()]);
        table
            .update(&host, fingerprint, now, |r| bump(r, now, Duration::from_secs(3600)))
            .unwrap();
    }
    assert_eq!(host.cell_count(), cells);
    assert_eq!(table.peek(&host, held).unwrap().unwrap().words[0], 7);
    assert!(host.counted(Counter::StoreEviction) > 90_000);
}

#[test]
fn lost_writes_are_tried_again_up_to_the_bound() {
    let host = MemoryHost::default();
    let table = Table::open(&host, 1 << 20).unwrap();
    let fingerprint = table.fingerprint(Use::Login, &[b"client"]);
    let now = host.now();
    let update = || table.update(&host, fingerprint, now, |r| bump(r, now, Duration::from_secs(60)));
    host.lose_writes(ATTEMPTS_MAX - 1);
    assert_eq!(update(), Ok(1));
    host.lose_writes(ATTEMPTS_MAX);
    assert_eq!(update(), Err(StoreError::Contended));
    assert_eq!(update(), Ok(2));
    assert_eq!(host.counted(Counter::StoreExhausted), 1);
}

#[test]
fn a_broken_host_is_an_error_not_an_empty_table() {
    let host = MemoryHost::default();
    let table = Table::open(&host, 1 << 20).unwrap();
    host.set_broken(true);
    let fingerprint = table.fingerprint(Use::Login, &[b"client"]);
    assert!(matches!(table.peek(&host, fingerprint), Err(StoreError::Host(_))));
    let result = table.update(&host, fingerprint, host.now(), |_| (None, ()));
    assert!(matches!(result, Err(StoreError::Host(_))));
}

#[test]
fn fingerprints_keep_uses_and_parts_apart() {
    let table = Table::open(&MemoryHost::default(), 1 << 20).unwrap();
    let all = [
        table.fingerprint(Use::Login, &[b"ab", b"c"]),
        table.fingerprint(Use::Login, &[b"a", b"bc"]),
        table.fingerprint(Use::Quota("x"), &[b"ab", b"c"]),
        table.fingerprint(Use::Quota("y"), &[b"ab", b"c"]),
        table.fingerprint(Use::Revocation, &[b"ab", b"c"]),
        table.holder(b"ab").record(Use::Login),
        table.holder(b"ab").record(Use::Quota("x")),
        table.holder(b"ab").record(Use::Quota("y")),
        table.holder(b"abc").record(Use::Login),
    ];
    for (i, a) in all.iter().enumerate() {
        assert!(all.iter().skip(i + 1).all(|b| a != b));
    }
}
