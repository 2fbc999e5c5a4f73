//! JSON that owns itself, to be changed and written.

use portcullis::json::{Limits, Object, Value, parse, write_string};

#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    /// Null, a flag or a number, as it is written.
    Plain(String),
    Text(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl Tree {
    pub fn of(value: &Value<'_>) -> Self {
        match value {
            Value::Null => Self::Plain("null".into()),
            Value::Bool(flag) => Self::Plain(flag.to_string()),
            Value::Number(number) => Self::Plain(number.text().into()),
            Value::String(text) => Self::Text(text.to_string()),
            Value::Array(items) => Self::List(items.iter().map(Self::of).collect()),
            Value::Object(members) => Self::Map(Object::iter(members).map(|(n, v)| (n.into(), Self::of(v))).collect()),
        }
    }

    pub fn read(text: &str) -> Self {
        Self::of(&parse(text.as_bytes(), &Limits::CONFIGURATION).unwrap())
    }

    pub fn number(&self) -> Option<i64> {
        match self {
            Self::Plain(text) => text.parse().ok(),
            _ => None,
        }
    }

    pub fn member(&self, name: &str) -> Option<&Tree> {
        match self {
            Self::Map(members) => members.iter().find(|(known, _)| known == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// With another value for a member, or without it.
    pub fn with(&self, name: &str, value: Option<Tree>) -> Self {
        let Self::Map(members) = self else {
            panic!("no object: {self:?}")
        };
        let mut members: Vec<_> = members.iter().filter(|(known, _)| known != name).cloned().collect();
        members.extend(value.map(|value| (name.to_owned(), value)));
        Self::Map(members)
    }

    /// As JSON.
    pub fn json(&self) -> String {
        let joined = |parts: Vec<String>| parts.join(",");
        match self {
            Self::Plain(text) => text.clone(),
            Self::Text(text) => quoted(text),
            Self::List(items) => format!("[{}]", joined(items.iter().map(Self::json).collect())),
            Self::Map(members) => {
                let members = members.iter().map(|(n, v)| format!("{}:{}", quoted(n), v.json()));
                format!("{{{}}}", joined(members.collect()))
            }
        }
    }

    /// As the text of a parameter or a form's field: what has no text of its own is JSON.
    pub fn plain(&self) -> String {
        match self {
            Self::Plain(text) | Self::Text(text) => text.clone(),
            other => other.json(),
        }
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    write_string(&mut out, text);
    out
}
