//! Security requirements: which operations take a token, and with which scopes. Other schemes than tokens are named in a
//! warning: nothing here checks them.

use super::{Reader, member, text};
use crate::config::field::Field;
use crate::guard::token::Requirement;

/// One way to be let in: the scopes of its token, if it asks for one.
struct Way {
    scopes: Option<Vec<String>>,
    /// Whether something else is asked for.
    other: bool,
}

impl<'v> Reader<'v> {
    /// The rule of an operation, from its own `security` or the document's.
    pub(super) fn security(&mut self, field: &Field<'v>) -> (Option<Requirement>, Vec<String>) {
        let own = member(field, "security");
        let Some(security) = own.or_else(|| member(&self.document, "security")) else {
            return (None, Vec::new());
        };
        let list = security.list().unwrap_or_default();
        let ways: Vec<Way> = list.iter().map(|way| self.way(way)).collect();
        let with_token: Vec<&Vec<String>> = ways.iter().filter_map(|way| way.scopes.as_ref()).collect();
        let Some(first) = with_token.first() else {
            // In a configuration without tokens that is the default anyway.
            return (self.tokens.then_some(Requirement::None), Vec::new());
        };
        if !self.tokens {
            return (None, Vec::new());
        }
        if with_token.len() < ways.len() {
            if ways.iter().any(|way| way.other && way.scopes.is_none()) {
                self.warn_once(
                    &security,
                    "a token is one of several ways in: it is checked where it is sent, and not demanded".into(),
                );
            }
            return (Some(Requirement::Optional), Vec::new());
        }
        let common: Vec<String> = first
            .iter()
            .filter(|scope| with_token.iter().all(|scopes| scopes.contains(scope)))
            .cloned()
            .collect();
        if with_token.iter().any(|scopes| scopes.len() != common.len()) {
            self.warn_once(
                &security,
                "several sets of scopes are each enough: only those in all of them are demanded".into(),
            );
        }
        (Some(Requirement::Required), common)
    }

    fn way(&mut self, way: &Field<'v>) -> Way {
        let mut read = Way {
            scopes: None,
            other: false,
        };
        for (name, scopes) in way.members().unwrap_or_default() {
            if !self.is_token(name, &scopes) {
                read.other = true;
                continue;
            }
            let all = read.scopes.get_or_insert_default();
            for scope in scopes.list().unwrap_or_default() {
                match scope.value.as_str().filter(|text| is_scope(text)) {
                    Some(text) if all.iter().any(|known| known == text) => {}
                    Some(text) => all.push(text.to_owned()),
                    None => drop(scope.expected::<()>("a scope: a text without spaces")),
                }
            }
        }
        read
    }

    /// Whether a scheme is a bearer token; what else it is or lacks is told once.
    fn is_token(&mut self, name: &str, at: &Field<'v>) -> bool {
        let schemes = member(&self.document, "components").and_then(|c| member(&c, "securitySchemes"));
        let scheme = schemes
            .and_then(|schemes| member(&schemes, name))
            .and_then(|scheme| self.follow(&scheme));
        let known = self.blamed.iter().any(|blamed| blamed == name);
        if !known {
            self.blamed.push(name.to_owned());
        }
        let Some(scheme) = scheme else {
            if !known {
                at.note("is no scheme of `components.securitySchemes`");
            }
            return false;
        };
        let kind = text(&scheme, "type").unwrap_or_default();
        let bearer = kind == "http" && text(&scheme, "scheme").is_some_and(|s| s.eq_ignore_ascii_case("bearer"));
        let token = bearer || matches!(kind, "oauth2" | "openIdConnect");
        if known {
            return token;
        }
        match (token, self.tokens) {
            (true, false) => scheme.note("needs a `tokens` section: without it no token is known"),
            (true, true) => {}
            (false, _) => self.warn(
                &scheme,
                "is not checked: only bearer tokens (`http` with `bearer`, `oauth2`, `openIdConnect`) are",
            ),
        }
        token
    }
}

/// The characters of a scope (RFC 6749 §3.3).
fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
}
