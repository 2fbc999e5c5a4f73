//! Clients that are refused by address.

use crate::scene::{Scene, get};

#[test]
fn denied_networks_are_refused_whatever_they_ask() {
    let scene = Scene::new(r#"{ "clients": { "deny": ["203.0.113.0/24", "2001:db8::/32"] } }"#);
    scene.allowed(&get("/x"));
    for address in ["203.0.113.7:1", "[2001:db8::7]:1", "[::ffff:203.0.113.7]:1"] {
        scene.host.set_address(address);
        assert_eq!(scene.denied(&get("/x"), "client_denied").status, 403);
    }
    scene.host.set_address("");
    scene.denied(&get("/x"), "client_unknown");
}
