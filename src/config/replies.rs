//! `replies` and `store`.

use super::common::section;
use super::field::Field;
use crate::guard::quota::Fields;
use crate::reply::Style;

pub fn replies(field: Option<Field<'_>>) -> (Style, Fields) {
    let mut style = Style::default();
    let mut fields = Fields {
        draft: true,
        legacy: false,
    };
    let Some(section) = section(field) else {
        return (style, fields);
    };
    style.hide_reason = section.get("hide_reason").and_then(|f| f.bool()).unwrap_or(false);
    style.type_base = section.get("type_base").and_then(|f| {
        let plain = |text: &&str| {
            text.contains(':')
                && text
                    .bytes()
                    .all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b))
        };
        let base = f.value.as_str().filter(plain).map(str::to_owned);
        base.or_else(|| f.expected("a URI such as \"https://example.com/errors/\""))
    });
    let words = [
        ("draft", (true, false)),
        ("legacy", (false, true)),
        ("both", (true, true)),
        ("none", (false, false)),
    ];
    if let Some((draft, legacy)) = section.get("rate_limit_fields").and_then(|f| f.one_of(&words)) {
        fields = Fields { draft, legacy };
    }
    section.finish();
    (style, fields)
}

pub fn store(field: Option<Field<'_>>) -> u64 {
    const DEFAULT: u64 = 8 << 20;
    let Some(section) = section(field) else { return DEFAULT };
    let bytes = section
        .get("memory")
        .and_then(|f| f.size(64 << 10, 1 << 30))
        .unwrap_or(DEFAULT);
    section.unsupported(&["rate_limit_service"]);
    section.finish();
    bytes
}
