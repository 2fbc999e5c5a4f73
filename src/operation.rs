//! From method and path to the operation: a tree of path segments, so that the cost follows the path's length and not
//! the number of operations. Concrete segments beat templated ones.

use crate::guard::requests::BodyRule;
use crate::guard::token::Requirement;
use crate::verdict::Mode;
use std::collections::BTreeMap;

/// An operation of the configuration, and its rules.
#[derive(Debug)]
pub struct Operation {
    pub id: String,
    /// In place of `tokens.default`.
    pub token: Option<Requirement>,
    pub scopes: Vec<String>,
    /// Units that a request takes of its quotas.
    pub cost: u32,
    pub mode: Option<Mode>,
    pub body: Option<BodyRule>,
}

/// One segment of a path template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    Literal(String),
    /// `{name}`: any one segment.
    Parameter(String),
}

/// Operations by path and method.
#[derive(Debug, Clone)]
pub struct Router<T> {
    nodes: Vec<Node<T>>,
}

#[derive(Debug, Clone)]
struct Node<T> {
    literals: BTreeMap<String, usize>,
    parameter: Option<usize>,
    methods: BTreeMap<String, T>,
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self {
            literals: BTreeMap::new(),
            parameter: None,
            methods: BTreeMap::new(),
        }
    }
}

/// What a method and path lead to.
#[derive(Debug, PartialEq, Eq)]
pub enum Route<'r, T> {
    Found(&'r T),
    /// The path is declared, for these methods only (sorted; HEAD stands where GET does).
    OtherMethods(Vec<&'r str>),
    Undeclared,
}

impl<T> Default for Router<T> {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
        }
    }
}

impl<T> Router<T> {
    /// Adds an operation.
    ///
    /// # Errors
    /// The one that can't be told apart from it, if there is one: same method, and templates that match the same paths.
    pub fn insert(&mut self, method: &str, template: &[Segment], operation: T) -> Result<(), &T> {
        let mut here = 0;
        for segment in template {
            let known = self.nodes.get(here).and_then(|node| match segment {
                Segment::Literal(text) => node.literals.get(text).copied(),
                Segment::Parameter(_) => node.parameter,
            });
            here = match known {
                Some(next) => next,
                None => {
                    let next = self.nodes.len();
                    self.nodes.push(Node::default());
                    if let Some(node) = self.nodes.get_mut(here) {
                        match segment {
                            Segment::Literal(text) => {
                                node.literals.insert(text.clone(), next);
                            }
                            Segment::Parameter(_) => node.parameter = Some(next),
                        }
                    }
                    next
                }
            };
        }
        if let Some(node) = self.nodes.get_mut(here) {
            if node.methods.contains_key(method) {
                return self
                    .nodes
                    .get(here)
                    .and_then(|n| n.methods.get(method))
                    .map_or(Ok(()), Err);
            }
            node.methods.insert(method.to_owned(), operation);
        }
        Ok(())
    }

    /// Looks up a method and the matched parts of a path. Among the templates that match the path, the most concrete one
    /// that has the method wins; each node of the tree is visited at most once.
    pub fn find<'r>(&'r self, method: &str, segments: &[impl AsRef<str>]) -> Route<'r, T> {
        let mut allowed = Vec::new();
        // Nodes still to visit with the number of segments that led there; the most concrete on top.
        let mut open = vec![(0_usize, 0_usize)];
        while let Some((node, depth)) = open.pop() {
            let Some(node) = self.nodes.get(node) else { continue };
            match segments.get(depth) {
                Some(segment) => {
                    let literal = node.literals.get(segment.as_ref()).copied();
                    open.extend(node.parameter.into_iter().chain(literal).map(|next| (next, depth + 1)));
                }
                None => {
                    let by_method = node.methods.get(method);
                    // HEAD is answered, so judged, as GET (RFC 9110 §9.3.2).
                    let found = by_method.or_else(|| node.methods.get("GET").filter(|_| method == "HEAD"));
                    if let Some(operation) = found {
                        return Route::Found(operation);
                    }
                    allowed.extend(node.methods.keys().map(String::as_str));
                }
            }
        }
        if allowed.is_empty() {
            return Route::Undeclared;
        }
        if allowed.contains(&"GET") {
            allowed.push("HEAD");
        }
        allowed.sort_unstable();
        allowed.dedup();
        Route::OtherMethods(allowed)
    }
}

/// Why a text is no path template; completes "expected ...".
pub const TEMPLATE_EXPECTED: &str =
    "a path in its normal form such as `/orders/{id}`, a parameter being a whole segment";

/// Reads a template; `None` unless it is in normal form and each `{name}` is a whole segment with a name of its own.
pub fn parse_template(text: &str) -> Option<Vec<Segment>> {
    let rest = text.strip_prefix('/')?;
    if rest.is_empty() {
        return Some(Vec::new());
    }
    let mut segments = Vec::new();
    for segment in rest.split('/') {
        let parameter = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}'));
        if let Some(name) = parameter {
            let plain = !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
            let parameter = Segment::Parameter(name.to_owned());
            if !plain || segments.contains(&parameter) {
                return None;
            }
            segments.push(parameter);
            continue;
        }
        if segment.contains(['{', '}']) {
            return None;
        }
        let alone = format!("/{segment}");
        let target = crate::path::Target::parse(alone.as_bytes()).ok()?;
        let mut matched = target.segments();
        match (matched.next(), matched.next()) {
            (Some(literal), None) if target.path() == alone && !alone.contains(';') => {
                segments.push(Segment::Literal(literal.into_owned()));
            }
            _ => return None,
        }
    }
    Some(segments)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router() -> Router<&'static str> {
        let mut router = Router::default();
        for (method, path, name) in [
            ("GET", "/", "root"),
            ("GET", "/orders", "list"),
            ("POST", "/orders", "create"),
            ("GET", "/orders/{id}", "get"),
            ("DELETE", "/orders/{id}", "delete"),
            ("GET", "/orders/latest", "latest"),
            ("GET", "/{kind}/{id}/items", "items"),
            ("GET", "/orders/new/form", "form"),
        ] {
            router.insert(method, &parse_template(path).unwrap(), name).unwrap();
        }
        router
    }

    #[track_caller]
    fn check(method: &str, path: &str, expected: Route<'_, &'static str>) {
        let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
        assert_eq!(router().find(method, &segments), expected, "{method} {path}");
    }

    #[test]
    fn concrete_beats_templated_and_a_dead_end_turns_back() {
        check("GET", "/", Route::Found(&"root"));
        check("GET", "/orders", Route::Found(&"list"));
        check("GET", "/orders/latest", Route::Found(&"latest"));
        check("GET", "/orders/7", Route::Found(&"get"));
        check("GET", "/orders/new/items", Route::Found(&"items"));
        check("GET", "/orders/new/form", Route::Found(&"form"));
        check("GET", "/other", Route::Undeclared);
        check("GET", "/ORDERS", Route::Undeclared);
        check("GET", "/orders/7/items/8", Route::Undeclared);
    }

    #[test]
    fn a_concrete_path_without_the_method_leaves_it_to_the_template() {
        check("DELETE", "/orders/latest", Route::Found(&"delete"));
        check(
            "PUT",
            "/orders/latest",
            Route::OtherMethods(vec!["DELETE", "GET", "HEAD"]),
        );
    }

    #[test]
    fn head_follows_get_and_other_methods_are_named() {
        check("HEAD", "/orders", Route::Found(&"list"));
        check("PUT", "/orders", Route::OtherMethods(vec!["GET", "HEAD", "POST"]));
        check("get", "/orders", Route::OtherMethods(vec!["GET", "HEAD", "POST"]));
    }

    #[test]
    fn operations_that_match_the_same_requests_are_ambiguous() {
        let mut router = router();
        let template = parse_template("/orders/{other}").unwrap();
        assert_eq!(router.insert("GET", &template, "again"), Err(&"get"));
        assert_eq!(router.insert("PUT", &template, "put"), Ok(()));
    }

    #[test]
    fn templates_are_in_normal_form() {
        for text in [
            "", "x", "/x/", "//x", "/x/../y", "/%6C", "/{}", "/{a}{b}", "/x{a}", "/{a}/{a}", "/{a b}", "/x;y", "/é",
            "/a%2fb", "/x?y", "/{a=**}",
        ] {
            assert_eq!(parse_template(text), None, "{text}");
        }
        let café = parse_template("/caf%C3%A9/{id}").unwrap();
        assert_eq!(café, [Segment::Literal("café".into()), Segment::Parameter("id".into())]);
    }
}
