use super::*;
use crate::host::memory::MemoryHost;

fn quota(name: &str, limit: u32) -> Quota {
    let window = Duration::from_secs(60);
    Quota {
        name: name.into(),
        limit,
        window,
        rate: Rate::new(limit, window, limit),
        by: vec![By::Client],
        operations: None,
        mode: None,
        announced: announced(name, limit, window),
    }
}

struct Scene {
    host: MemoryHost,
    table: Table,
}

impl Scene {
    fn new() -> Self {
        let host = MemoryHost::default();
        let table = Table::open(&host, 1 << 20).unwrap();
        Self { host, table }
    }

    /// The standings by the configuration's order, and what a trial would have refused.
    fn charge(&self, quotas: &[(&Quota, bool)]) -> Result<(Vec<Standing>, Option<Shadowed>), Refusal<()>> {
        let holder = self.table.holder(b"client");
        let mut charges: Vec<_> = quotas
            .iter()
            .enumerate()
            .map(|(at, (quota, shadow))| {
                let key = quota.fingerprint(&self.table, holder, |_| b"client".to_vec());
                Charge::new(at, quota, key, *shadow)
            })
            .collect();
        let shadowed = charge(&self.table, &self.host, None, &mut charges, 1)?;
        let mut standings: Vec<_> = charges.iter().filter_map(Charge::standing).collect();
        standings.sort_by_key(|standing| standing.quota);
        Ok((standings, shadowed))
    }

    #[track_caller]
    fn left(&self, quotas: &[(&Quota, bool)], expected: &[u32]) {
        let (standings, _) = self.charge(quotas).unwrap();
        let left: Vec<u32> = standings.iter().map(|s| s.remaining).collect();
        assert_eq!(left, expected);
    }

    #[track_caller]
    fn refused(&self, quotas: &[(&Quota, bool)], quota: usize, seconds: u64) {
        let retry_after = Duration::from_secs(seconds);
        assert_eq!(
            self.charge(quotas),
            Err(Refusal::Exceeded(Exceeded { quota, retry_after }))
        );
    }
}

fn by(quota: Quota, by: &[By]) -> Quota {
    Quota { by: by.into(), ..quota }
}

#[test]
fn a_request_that_one_quota_refuses_is_charged_to_none() {
    let (wide, narrow) = (quota("wide", 3), quota("narrow", 1));
    // In one bucket, in two, and whichever stands first.
    for wide in [wide.clone(), by(wide.clone(), &[]), by(wide, &[By::Header("x".into())])] {
        let scene = Scene::new();
        scene.left(&[(&wide, false), (&narrow, false)], &[2, 0]);
        for _ in 0..10 {
            scene.refused(&[(&wide, false), (&narrow, false)], 1, 60);
        }
        scene.left(&[(&wide, false)], &[1]);
    }
}

#[test]
fn what_the_shared_quota_refuses_is_given_back_to_the_narrow_one() {
    let (shared, narrow) = (by(quota("shared", 1), &[]), quota("narrow", 3));
    let scene = Scene::new();
    scene.left(&[(&shared, false), (&narrow, false)], &[0, 2]);
    for _ in 0..10 {
        scene.refused(&[(&shared, false), (&narrow, false)], 0, 60);
    }
    scene.left(&[(&narrow, false)], &[1]);
}

#[test]
fn the_refusal_that_lasts_longest_is_told() {
    let (shared, narrow) = (by(quota("shared", 1), &[]), quota("narrow", 2));
    let scene = Scene::new();
    scene.left(&[(&narrow, false), (&shared, false)], &[1, 0]);
    scene.left(&[(&narrow, false)], &[0]);
    // The narrow one refuses first, for 30 s; the shared one for 60 s.
    scene.refused(&[(&narrow, false), (&shared, false)], 1, 60);
    scene.host.advance(Duration::from_secs(59));
    scene.refused(&[(&narrow, false), (&shared, false)], 1, 1);
    scene.host.advance(Duration::from_secs(1));
    scene.left(&[(&narrow, false), (&shared, false)], &[1, 0]);
}

#[test]
fn quotas_by_client_cost_one_read_and_one_write_together() {
    let scene = Scene::new();
    let quotas = [quota("a", 9), quota("b", 9), quota("c", 1)];
    let all: Vec<_> = quotas.iter().map(|quota| (quota, false)).collect();
    let before = scene.host.accesses();
    scene.left(&all, &[8, 8, 0]);
    let after = scene.host.accesses();
    assert_eq!((after.0 - before.0, after.1 - before.1), (1, 1));
    // A refusal writes nothing.
    scene.refused(&all, 2, 60);
    assert_eq!(scene.host.accesses(), (after.0 + 1, after.1));
}

#[test]
fn a_trial_uses_up_nothing_that_is_real_and_is_charged_to_none_that_it_refuses() {
    let (real, trial, other) = (quota("real", 9), quota("trial", 1), by(quota("other", 9), &[]));
    let all = [(&real, false), (&trial, true), (&other, true)];
    let scene = Scene::new();
    scene.left(&all, &[8]);
    let retry_after = Duration::from_secs(60);
    for left in [7, 6, 5] {
        let (standings, shadowed) = scene.charge(&all).unwrap();
        assert_eq!(standings[0].remaining, left);
        assert_eq!(shadowed, Some(Shadowed::Exceeded(Exceeded { quota: 1, retry_after })));
    }
    scene.left(&[(&other, false)], &[7]);
}

#[test]
fn a_trial_gets_back_only_what_was_charged_to_it() {
    let (narrow, trial) = (quota("narrow", 9), quota("trial", 2));
    let (shared, other) = (
        by(quota("shared", 1), &[]),
        by(quota("other", 1), &[By::Header("x".into())]),
    );
    // Charged twice, then refused by itself where the request is refused elsewhere, or by two trials at once.
    for beside in [(&shared, false), (&other, true)] {
        let scene = Scene::new();
        let all = [(&narrow, false), (&trial, true), beside];
        scene.charge(&[(&trial, true)]).unwrap();
        scene.charge(&all).unwrap();
        for _ in 0..5 {
            let _ = scene.charge(&all);
        }
        let retry_after = Duration::from_secs(30);
        let refused = Some(Shadowed::Exceeded(Exceeded { quota: 0, retry_after }));
        assert_eq!(scene.charge(&[(&trial, true)]).unwrap().1, refused, "{}", beside.0.name);
    }
}

#[test]
fn fields_are_lists_of_named_policies() {
    let quotas = [quota("per-client", 100), quota("orders", 20)];
    let standing = |quota, remaining, millis| Standing {
        quota,
        remaining,
        next_unit: Duration::from_millis(millis),
    };
    let standings = [standing(0, 99, 600), standing(1, 0, 2001)];
    let of = |draft, legacy| Fields { draft, legacy }.of(&quotas, &standings);
    let draft = [
        ("ratelimit-policy", "\"per-client\";q=100;w=60, \"orders\";q=20;w=60"),
        ("ratelimit", "\"per-client\";r=99;t=1, \"orders\";r=0;t=3"),
    ];
    let legacy = [
        ("x-ratelimit-limit", "20"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "3"),
    ];
    let owned = |fields: &[(&'static str, &str)]| fields.iter().map(|(n, v)| (*n, (*v).to_owned())).collect::<Vec<_>>();
    assert_eq!(of(true, false), owned(&draft));
    assert_eq!(of(false, true), owned(&legacy));
    assert_eq!(of(true, true), owned(&[&draft[..], &legacy[..]].concat()));
    assert_eq!(of(false, false), []);
    assert_eq!(
        Fields {
            draft: true,
            legacy: true
        }
        .of(&quotas, &[]),
        []
    );
}

#[test]
fn a_store_that_fails_is_told_apart_from_a_quota_that_is_used_up() {
    let scene = Scene::new();
    scene.host.set_broken(true);
    let result = scene.charge(&[(&quota("q", 1), false)]);
    assert!(matches!(result, Err(Refusal::Store(StoreError::Host(_)))));
}
