//! The service over real connections, with a store in memory.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::common::{Memory, ORDER, Service, service};
use serde_json::{Value, json};

const ADA: &str = r#"{"username":"ada","password":"engine-1843"}"#;

#[tokio::test]
async fn registration_takes_a_name_once_and_within_bounds() {
    let service = service().await;
    let account = |name: &str, password: &str| json!({ "username": name, "password": password }).to_string();
    let rows = [
        (ADA.to_owned(), 201),
        (ADA.to_owned(), 409),
        (account("abc", "12345678"), 201),
        (account("ab", "12345678"), 400),
        (account(&"a".repeat(32), "12345678"), 201),
        (account(&"a".repeat(33), "12345678"), 400),
        (account("1ab", "12345678"), 400),
        (account("Ada", "12345678"), 400),
        (account("abd", "1234567"), 400),
        (account("abd", &"x".repeat(128)), 201),
        (account("abe", &"x".repeat(129)), 400),
        (
            r#"{"username":"abf","password":"12345678","admin":true}"#.to_owned(),
            400,
        ),
        ("{".to_owned(), 400),
        (String::new(), 400),
    ];
    for (body, status) in rows {
        let reply = service.public("POST /register", &[], &body).await;
        assert_eq!(reply.status, status, "{body}");
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_account_get_the_same_answer() {
    let service = service().await;
    service.public("POST /register", &[], ADA).await;
    let wrong = service
        .public("POST /login", &[], r#"{"username":"ada","password":"engine-1844"}"#)
        .await;
    let unknown = service
        .public("POST /login", &[], r#"{"username":"bob","password":"engine-1844"}"#)
        .await;
    for reply in [&wrong, &unknown] {
        assert_eq!(reply.status, 401);
        assert_eq!(reply.json(), json!({ "error": "invalid_credentials" }));
    }
    assert_eq!(
        wrong.headers.get("content-length"),
        unknown.headers.get("content-length")
    );
    assert!(!wrong.headers.contains_key("www-authenticate"));
}

#[tokio::test]
async fn logout_revokes_the_token_of_a_login_for_the_rest_of_its_life() {
    let store = Arc::new(Memory::default());
    let service = Service::start(store.clone()).await;
    service.public("POST /register", &[], ADA).await;
    let login = service.public("POST /login", &[], ADA).await;
    assert_eq!(
        (login.status.as_u16(), &login.headers["cache-control"]),
        (200, &"no-store".parse().unwrap())
    );
    let login = login.json();
    assert_eq!(
        (&login["token_type"], &login["expires_in"]),
        (&json!("Bearer"), &json!(900))
    );
    let bearer = format!("Bearer {}", login["access_token"].as_str().unwrap());

    store.down.store(true, Ordering::Relaxed);
    let reply = service.public("POST /logout", &[("authorization", &bearer)], "").await;
    assert_eq!(
        (reply.status.as_u16(), reply.json()),
        (503, json!({ "error": "revocation_unavailable" }))
    );
    assert_eq!(
        service
            .send(service.running.admin, "GET /healthz", &[], "")
            .await
            .status,
        503
    );
    store.down.store(false, Ordering::Relaxed);
    assert_eq!(
        service
            .send(service.running.admin, "GET /healthz", &[], "")
            .await
            .status,
        200
    );

    let reply = service.public("POST /logout", &[("authorization", &bearer)], "").await;
    assert_eq!((reply.status.as_u16(), reply.body.len()), (204, 0));
    let revoked = store.revoked.lock().unwrap().clone();
    let [(jti, seconds)] = revoked.as_slice() else {
        panic!("{revoked:?}")
    };
    assert_eq!(jti.len(), 22, "16 bytes in base64url");
    assert!((890..=900).contains(seconds), "{seconds}");
}

#[tokio::test]
async fn logout_takes_no_token_but_its_own() {
    let store = Arc::new(Memory::default());
    let service = Service::start(store.clone()).await;
    let mut authorizations = vec!["Bearer x".to_owned(), "Bearer".to_owned(), "Basic YTpi".to_owned()];
    for order in [
        "{\"key\":\"other\"}",
        "{\"key\":\"none\"}",
        "{\"key\":\"hs256-with-public-key\"}",
        "{\"exp\":1}",
    ] {
        let token = service.admin("POST /mint", order).await["token"]
            .as_str()
            .unwrap()
            .to_owned();
        authorizations.push(format!("Bearer {token}"));
    }
    for authorization in &authorizations {
        let reply = service
            .public("POST /logout", &[("authorization", authorization)], "")
            .await;
        assert_eq!(
            (reply.status.as_u16(), reply.json()),
            (401, json!({ "error": "invalid_token" })),
            "{authorization}"
        );
        assert!(reply.headers.contains_key("www-authenticate"));
    }
    let token = service.admin("POST /mint", "").await["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let bearer = ("authorization", &*format!("Bearer {token}"));
    assert_eq!(service.public("POST /logout", &[bearer, bearer], "").await.status, 401);
    assert!(store.revoked.lock().unwrap().is_empty());

    service.admin("POST /rotate-keys", r#"{"keep_old":true}"#).await;
    assert_eq!(service.public("POST /logout", &[bearer], "").await.status, 204);
    service.admin("POST /rotate-keys", "").await;
    assert_eq!(service.public("POST /logout", &[bearer], "").await.status, 401);
}

#[tokio::test]
async fn rotation_changes_the_published_set() {
    let service = service().await;
    let first = service.public("GET /.well-known/jwks.json", &[], "").await;
    assert_eq!(first.headers["content-type"], "application/jwk-set+json");
    let kids = |jwks: &Value| -> Vec<Value> {
        jwks["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["kid"].clone())
            .collect()
    };
    let first = kids(&first.json());
    let second = service.admin("POST /rotate-keys", r#"{"keep_old":true}"#).await["kid"].clone();
    let both = kids(&service.public("GET /.well-known/jwks.json", &[], "").await.json());
    assert_eq!(both, [second, first[0].clone()]);
    let third = service.admin("POST /rotate-keys", "").await["kid"].clone();
    assert_eq!(
        kids(&service.public("GET /.well-known/jwks.json", &[], "").await.json()),
        [third]
    );
}

#[tokio::test]
async fn orders_are_their_owners() {
    let service = service().await;
    let (ada, bob) = (("x-user", "ada"), ("x-user", "bob"));
    let created = service.public("POST /orders", &[ada], ORDER).await;
    assert_eq!(
        (created.status.as_u16(), &created.headers["location"]),
        (201, &"/orders/1".parse().unwrap())
    );
    let order = json!({ "id": 1, "items": [{ "sku": "ABC-1234", "qty": 2 }], "note": "soon" });
    assert_eq!(created.json(), order);
    assert_eq!(
        service.public("GET /orders", &[ada], "").await.json(),
        json!({ "orders": [order] })
    );
    assert_eq!(service.public("GET /orders/1", &[ada], "").await.json(), order);
    assert_eq!(
        service.public("GET /orders", &[bob], "").await.json(),
        json!({ "orders": [] })
    );
    for path in [
        "GET /orders/1",
        "GET /orders/2",
        "GET /orders/x",
        "GET /orders/99999999999999999999",
    ] {
        assert_eq!(service.public(path, &[bob], "").await.status, 404, "{path}");
    }
    for (headers, status) in [
        (&[][..], 401),
        (&[ada, bob], 401),
        (&[("x-user", "")], 401),
        (&[ada], 400),
    ] {
        let reply = service.public("POST /orders", headers, r#"{"items":[]}"#).await;
        assert_eq!(reply.status, status, "{headers:?}");
    }
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_in_json() {
    let service = service().await;
    for (call, status, error) in [
        ("GET /", 404, "not_found"),
        ("GET /login/", 404, "not_found"),
        ("GET /login", 405, "method_not_allowed"),
        ("DELETE /orders/1", 405, "method_not_allowed"),
    ] {
        let reply = service.public(call, &[], "").await;
        assert_eq!(
            (reply.status.as_u16(), reply.json()),
            (status, json!({ "error": error })),
            "{call}"
        );
    }
    assert_eq!(service.public("GET /healthz", &[], "").await.status, 200);
}
