//! The tree that operations are looked up in: by host, then segment by segment, then by method.
//!
//! Among the declarations that match a request's host and path and have its method, the most concrete one wins: an exact
//! host before `*.` and a longer domain before a shorter one, all before no host; then, segment by segment from the left, a
//! literal before `{name}` before `{name=**}`. A lookup allocates nothing, unless it fails on the method.

use super::authority::{HostPattern, host_of};
use super::template::Segment;
use crate::sort;
use std::collections::BTreeMap;

/// Operations by host, path and method.
#[derive(Debug, Clone)]
pub struct Router<T> {
    nodes: Vec<Node<T>>,
    /// The trees of exact hosts.
    exact: BTreeMap<String, usize>,
    /// The trees of `*.` hosts, by what follows the asterisk.
    below: BTreeMap<String, usize>,
}

#[derive(Debug, Clone)]
struct Node<T> {
    literals: BTreeMap<String, usize>,
    parameter: Option<usize>,
    methods: BTreeMap<String, T>,
    /// Of `{name=**}` at this place.
    rest: BTreeMap<String, T>,
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self {
            literals: BTreeMap::new(),
            parameter: None,
            methods: BTreeMap::new(),
            rest: BTreeMap::new(),
        }
    }
}

/// What a host, method and path lead to.
#[derive(Debug, PartialEq, Eq)]
pub enum Route<'r, T> {
    Found(&'r T),
    /// The path is declared, for these methods only (sorted; HEAD stands where GET does).
    OtherMethods(Vec<&'r str>),
    Undeclared,
}

/// The tree for operations without a host.
const ANY_HOST: usize = 0;

impl<T> Default for Router<T> {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
            exact: BTreeMap::new(),
            below: BTreeMap::new(),
        }
    }
}

impl<T> Router<T> {
    /// Adds an operation for every host.
    ///
    /// # Errors
    /// The one that can't be told apart from it, if there is one: same method, and templates that match the same paths.
    pub fn insert(&mut self, method: &str, template: &[Segment], operation: T) -> Result<(), &T> {
        self.insert_under(ANY_HOST, method, template, operation)
    }

    /// Adds an operation for the hosts of a pattern.
    ///
    /// # Errors
    /// As [`Router::insert`]; only one with the same pattern can't be told apart.
    pub fn insert_for(
        &mut self,
        host: &HostPattern,
        method: &str,
        template: &[Segment],
        operation: T,
    ) -> Result<(), &T> {
        let next = self.nodes.len();
        let (trees, name) = match host {
            HostPattern::Exact(name) => (&mut self.exact, name),
            HostPattern::Below(name) => (&mut self.below, name),
        };
        let root = *trees.entry(name.clone()).or_insert(next);
        if root == next {
            self.nodes.push(Node::default());
        }
        self.insert_under(root, method, template, operation)
    }

    fn insert_under(&mut self, root: usize, method: &str, template: &[Segment], operation: T) -> Result<(), &T> {
        let mut here = root;
        let mut ends_in_rest = false;
        for segment in template {
            let next = self.nodes.len();
            let Some(node) = self.nodes.get_mut(here) else {
                return Ok(());
            };
            here = match segment {
                Segment::Literal(text) => *node.literals.entry(text.clone()).or_insert(next),
                Segment::Parameter(_) => *node.parameter.get_or_insert(next),
                Segment::Rest(_) => {
                    ends_in_rest = true;
                    break;
                }
            };
            if here == next {
                self.nodes.push(Node::default());
            }
        }
        let Some(node) = self.nodes.get_mut(here) else {
            return Ok(());
        };
        let methods = if ends_in_rest {
            &mut node.rest
        } else {
            &mut node.methods
        };
        if !methods.contains_key(method) {
            methods.insert(method.to_owned(), operation);
            return Ok(());
        }
        methods.get(method).map_or(Ok(()), Err)
    }

    /// Looks up a method and the matched parts of a path among the operations for every host.
    pub fn find<'r>(&'r self, method: &str, segments: &[impl AsRef<str>]) -> Route<'r, T> {
        self.find_for("", method, segments)
    }

    /// Looks up an authority, a method and the matched parts of a path. Each node of the trees for this host is visited at
    /// most once, and each level of a tree branches at most in two.
    pub fn find_for<'r>(&'r self, authority: &str, method: &str, segments: &[impl AsRef<str>]) -> Route<'r, T> {
        let mut search = Search {
            router: self,
            method,
            allowed: Vec::new(),
        };
        let found = self.trees(authority, |tree| search.visit(tree, segments));
        if let Some(operation) = found {
            return Route::Found(operation);
        }
        let mut allowed = search.allowed;
        if allowed.is_empty() {
            return Route::Undeclared;
        }
        if allowed.contains(&"GET") {
            allowed.push("HEAD");
        }
        sort::by(&mut allowed, Ord::cmp);
        allowed.dedup();
        Route::OtherMethods(allowed)
    }

    /// Visits the trees for a host, the most concrete first, until one has an answer.
    fn trees<A>(&self, authority: &str, mut visit: impl FnMut(usize) -> Option<A>) -> Option<A> {
        if !self.exact.is_empty() || !self.below.is_empty() {
            let host = host_of(authority);
            if let Some(tree) = self.exact.get(host.as_ref())
                && let Some(answer) = visit(*tree)
            {
                return Some(answer);
            }
            // `.b.c` and `.c` for `a.b.c`. The first label must not be empty: `.c` is below nothing.
            let labels = host
                .char_indices()
                .skip(1)
                .filter(|(_, c)| *c == '.' && !self.below.is_empty());
            for (at, _) in labels {
                let tree = host.get(at..).and_then(|domain| self.below.get(domain));
                if let Some(tree) = tree
                    && let Some(answer) = visit(*tree)
                {
                    return Some(answer);
                }
            }
        }
        visit(ANY_HOST)
    }
}

struct Search<'r, 'm, T> {
    router: &'r Router<T>,
    method: &'m str,
    /// The methods of declarations that match but for the method.
    allowed: Vec<&'r str>,
}

impl<'r, T> Search<'r, '_, T> {
    /// Depth first, the most concrete branch first; as deep as the longest template.
    fn visit(&mut self, node: usize, segments: &[impl AsRef<str>]) -> Option<&'r T> {
        let node = self.router.nodes.get(node)?;
        let found = match segments.split_first() {
            None => self.choose(&node.methods),
            Some((segment, left)) => {
                let literal = node.literals.get(segment.as_ref());
                let mut branches = literal.copied().into_iter().chain(node.parameter);
                branches.find_map(|next| self.visit(next, left))
            }
        };
        found.or_else(|| self.choose(&node.rest))
    }

    fn choose(&mut self, methods: &'r BTreeMap<String, T>) -> Option<&'r T> {
        // HEAD is answered, so judged, as GET (RFC 9110 §9.3.2).
        let get = || methods.get("GET").filter(|_| self.method == "HEAD");
        let found = methods.get(self.method).or_else(get);
        if found.is_none() {
            self.allowed.extend(methods.keys().map(String::as_str));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::parse_template;

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
            ("GET", "/files/{rest=**}", "files"),
            ("PUT", "/files/{name}", "put"),
            ("GET", "/files/list", "file list"),
        ] {
            router.insert(method, &parse_template(path).unwrap(), name).unwrap();
        }
        for (host, method, path, name) in [
            ("api.example.com", "GET", "/orders/{id}", "get at api"),
            ("*.example.com", "GET", "/orders/latest", "latest below"),
            ("*.eu.example.com", "GET", "/orders/{id}", "get below eu"),
            ("*.example.com", "PATCH", "/hosted", "hosted"),
        ] {
            let host = HostPattern::parse(host).unwrap();
            let template = parse_template(path).unwrap();
            router.insert_for(&host, method, &template, name).unwrap();
        }
        router
    }

    #[track_caller]
    fn check_at(host: &str, method: &str, path: &str, expected: Route<'_, &'static str>) {
        let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
        assert_eq!(
            router().find_for(host, method, &segments),
            expected,
            "{host} {method} {path}"
        );
    }

    #[track_caller]
    fn check(method: &str, path: &str, expected: Route<'_, &'static str>) {
        check_at("other", method, path, expected);
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
    fn rest_takes_what_nothing_more_concrete_does() {
        check("GET", "/files", Route::Found(&"files"));
        check("GET", "/files/a", Route::Found(&"files"));
        check("GET", "/files/a/b/c", Route::Found(&"files"));
        check("GET", "/files/list", Route::Found(&"file list"));
        check("GET", "/files/list/x", Route::Found(&"files"));
        // More concrete for all kinds of paths that both match.
        check("GET", "/files/a/items", Route::Found(&"files"));
        check("PUT", "/files/list", Route::Found(&"put"));
        check("PUT", "/files/a/b", Route::OtherMethods(vec!["GET", "HEAD"]));
        check("DELETE", "/files/list", Route::OtherMethods(vec!["GET", "HEAD", "PUT"]));
    }

    #[test]
    fn hosts_are_compared_before_paths() {
        check_at("api.example.com", "GET", "/orders/latest", Route::Found(&"get at api"));
        check_at(
            "API.example.com.:443",
            "GET",
            "/orders/latest",
            Route::Found(&"get at api"),
        );
        check_at(
            "www.example.com",
            "GET",
            "/orders/latest",
            Route::Found(&"latest below"),
        );
        check_at(
            "a.eu.example.com",
            "GET",
            "/orders/latest",
            Route::Found(&"get below eu"),
        );
        check_at("eu.example.com", "GET", "/orders/latest", Route::Found(&"latest below"));
        // What a host's own operations lack, those for every host may have.
        check_at("api.example.com", "POST", "/orders", Route::Found(&"create"));
        check_at("example.com", "PATCH", "/hosted", Route::Undeclared);
        check_at(".example.com", "PATCH", "/hosted", Route::Undeclared);
        check_at("xexample.com", "PATCH", "/hosted", Route::Undeclared);
        check_at("api.example.com", "PATCH", "/hosted", Route::Found(&"hosted"));
        check_at("api.example.com", "GET", "/hosted", Route::OtherMethods(vec!["PATCH"]));
        check_at("", "PATCH", "/hosted", Route::Undeclared);
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
        let orders = parse_template("/orders/{other}").unwrap();
        assert_eq!(router.insert("GET", &orders, "again"), Err(&"get"));
        assert_eq!(router.insert("PUT", &orders, "put"), Ok(()));
        let files = parse_template("/files/{all=**}").unwrap();
        assert_eq!(router.insert("GET", &files, "again"), Err(&"files"));
        let host = HostPattern::parse("api.example.com").unwrap();
        assert_eq!(router.insert_for(&host, "GET", &orders, "again"), Err(&"get at api"));
        assert_eq!(router.insert_for(&host, "PUT", &orders, "put"), Ok(()));
    }
}
