//! Small documents beside what becomes of them.

use portcullis::config::load;
use portcullis::guard::token::Requirement;
use portcullis::policy::Policy;

const TOKENS: &str = r#""tokens":{"default":"none","providers":[{"issuer":"https://id.example","audiences":["a"],"algorithms":["RS256"],
    "jwks":{"cluster":"c","authority":"a","path":"/k"}}]},"#;

fn read(settings: &str, document: &str) -> Result<Policy, Vec<String>> {
    let text = format!("{{{settings}\"openapi\":{document}}}");
    load(text.as_bytes()).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

#[track_caller]
fn faults(settings: &str, document: &str, expected: &[&str]) {
    assert_eq!(read(settings, document).unwrap_err(), expected);
}

#[track_caller]
fn warnings(document: &str, expected: &[&str]) {
    let policy = read(TOKENS, document).unwrap();
    let found: Vec<String> = policy.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
}

#[test]
fn other_versions_and_other_documents_are_faults() {
    let version = "openapi.openapi: expected version \"3.0.…\" or \"3.1.…\", found ";
    faults("", r#"{"openapi":"2.0"}"#, &[&format!("{version}\"2.0\"")]);
    faults("", r#"{"openapi":"3.2.0"}"#, &[&format!("{version}\"3.2.0\"")]);
    faults(
        "",
        r#"{"swagger":"2.0"}"#,
        &["openapi: expected an OpenAPI document of version 3.0 or 3.1, found an object"],
    );
    faults(
        "",
        r#"{"openapi":"3.1.0","paths":{"/a":{"get":{"parameters":[{"$ref":"other.json#/x"}]}}}}"#,
        &[r#"openapi.paths["/a"].get.parameters[0]: refers to another document: none is ever fetched"#],
    );
    faults(
        "",
        r#"{"openapi":"3.1.0","paths":{"/a/{x}":{"get":{}},"/a/{y}":{"get":{"operationId":"y"}}}}"#,
        &[r#"openapi.paths["/a/{y}"].get: GET can't be told apart from `GET /a/{x}`"#],
    );
}

#[test]
fn security_becomes_tokens_and_scopes() {
    let document = |security: &str| {
        format!(
            r#"{{"openapi":"3.0.3","paths":{{"/a":{{"get":{{"operationId":"a","security":{security}}}}}}},"components":{{"securitySchemes":{{
            "b":{{"type":"http","scheme":"Bearer"}},"o":{{"type":"oauth2","flows":{{}}}},"k":{{"type":"apiKey","in":"header","name":"k"}}}}}}}}"#
        )
    };
    for (security, token, scopes) in [
        (r#"[{"b":[]}]"#, Requirement::Required, &[][..]),
        (r#"[{"o":["r","w"]}]"#, Requirement::Required, &["r", "w"]),
        (r#"[{"o":["r","w"]},{"o":["r"]}]"#, Requirement::Required, &["r"]),
        (r#"[{"o":["r"],"k":[]}]"#, Requirement::Required, &["r"]),
        (r#"[{},{"b":[]}]"#, Requirement::Optional, &[]),
        (r#"[{"k":[]},{"b":[]}]"#, Requirement::Optional, &[]),
        (r#"[{"k":[]}]"#, Requirement::None, &[]),
        ("[]", Requirement::None, &[]),
    ] {
        let policy = read(TOKENS, &document(security)).unwrap();
        assert_eq!(policy.operations[0].token, Some(token), "{security}");
        assert_eq!(policy.operations[0].scopes, scopes, "{security}");
    }
    faults(
        "",
        &document(r#"[{"b":[]}]"#),
        &["openapi.components.securitySchemes.b: needs a `tokens` section: without it no token is known"],
    );
    faults(
        TOKENS,
        &document(r#"[{"nope":[]}]"#),
        &[r#"openapi.paths["/a"].get.security[0].nope: is no scheme of `components.securitySchemes`"#],
    );
}

#[test]
fn what_is_not_enforced_is_named() {
    warnings(
        r#"{"openapi":"3.0.3","paths":{"/a":{"post":{"requestBody":{"content":{"text/csv":{"schema":{"type":"string"}},
        "application/json":{"schema":{"type":"string","format":"odd","pattern":"(a)\\1"}}}}}},"/{x}.json":{"get":{}}}}"#,
        &[
            r#"openapi.paths["/a"].post.requestBody.content["text/csv"]: a body of type `text/csv` is checked by type and size, not by its schema"#,
            r#"openapi.paths["/{x}.json"].get: a segment that is a parameter in part only: any text is taken there"#,
            r#"openapi.paths["/a"].post.requestBody.content["application/json"].schema.format: format `odd` is not known here: it asserts nothing"#,
            r#"openapi.paths["/a"].post.requestBody.content["application/json"].schema.pattern: is no pattern that can be matched in linear time: a back-reference, which has no form in linear time"#,
        ],
    );
}

#[test]
fn operations_with_the_same_id_refine_the_document() {
    let document = r#"{"openapi":"3.1.0","servers":[{"url":"https://api.example.com/v1/"}],"paths":{"/a/{id}":{
        "parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"integer"}}],
        "post":{"operationId":"a","x-portcullis-cost":3,"requestBody":{"required":true,"content":{"application/json":{"schema":{"type":"object"}}}}}}}}"#;
    let policy = read(r#""operations":[{"id":"a","mode":"shadow","cost":7}],"#, document).unwrap();
    let operation = &policy.operations[0];
    assert_eq!((policy.operations.len(), operation.cost), (1, 7));
    assert!(operation.mode.is_some());
    assert!(operation.body.as_ref().unwrap().required);
    assert_eq!(operation.parameters.path.parameters[0].name, "id");
    assert_eq!(operation.parameters.template.len(), 3);
    faults(
        r#""operations":[{"id":"a","path":"/b"}],"#,
        document,
        &[r#"operations[0].path: is what the document says of this id (POST at openapi.paths["/a/{id}"].post)"#],
    );
}
