//! The threats engine on one value: its tokenisers (SQL, script) and all of it, in every kind of place.

use portcullis::guard::threats::decode::LAYERS_MAX;
use portcullis::guard::threats::{Account, Categories, Category, Engine, Kind};
use std::sync::OnceLock;

const KINDS: [Kind; 11] = [
    Kind::Path,
    Kind::Parameter,
    Kind::Name,
    Kind::Header,
    Kind::Agent,
    Kind::Referer,
    Kind::Structured,
    Kind::Cookie,
    Kind::Json,
    Kind::FileName,
    Kind::Text,
];

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(Engine::new)
}

/// Judges as wanted, and gives what was found; `None` if the value was left unfinished.
fn judge(value: &[u8], kind: Kind, wanted: Categories) -> Option<Categories> {
    let mut found = Categories::NONE;
    let judged = engine().judge(value, kind, wanted, &mut Account::default(), &mut |finding| {
        assert!(wanted.has(finding.category), "{} was not wanted", finding.rule);
        assert!(!found.has(finding.category), "{} was found twice", finding.rule);
        found = found.with(finding.category);
        false
    });
    let most = value.len() * (LAYERS_MAX + 1);
    assert!(
        judged.is_none_or(|judged| judged <= u64::try_from(most).expect("a length")),
        "more was judged than there is"
    );
    judged.map(|_| found)
}

pub fn sql(input: &[u8]) {
    judge(input, Kind::Parameter, Categories::NONE.with(Category::Sql));
    judge(input, Kind::Text, Categories::NONE.with(Category::Sql));
}

pub fn script(input: &[u8]) {
    judge(input, Kind::Parameter, Categories::NONE.with(Category::Script));
    judge(input, Kind::Text, Categories::NONE.with(Category::Script));
}

/// The first byte chooses the kind. What is found of one category does not depend on which others are looked for, unless
/// looking for all of them costs more than a value may.
pub fn all(input: &[u8]) {
    let Some((choice, value)) = input.split_first() else {
        return;
    };
    let kind = KINDS[usize::from(*choice) % KINDS.len()];
    let every = Category::ALL.iter().fold(Categories::NONE, |set, (_, c)| set.with(*c));
    let Some(found) = judge(value, kind, every) else {
        return;
    };
    for (name, category) in Category::ALL {
        let alone = judge(value, kind, Categories::NONE.with(category)).expect("one costs no more than all");
        assert_eq!(alone.has(category), found.has(category), "{name} alone and among all");
    }
}
