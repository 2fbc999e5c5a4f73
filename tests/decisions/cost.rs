//! What the number of operations costs a request: a measurement, run by hand.
//! `cargo test --release -p portcullis --test decisions -- --ignored --nocapture cost`

use crate::scene::{Scene, get};
use std::time::Instant;

fn policy(count: usize) -> String {
    let operations: Vec<String> = (0..count)
        .map(|i| {
            format!(
                r#"{{"id":"o{i}","methods":["GET"],"path":"/v1/area{}/things{i}/{{id}}","path_params":{{"properties":{{"id":{{"type":"integer"}}}}}},
                   "query":{{"properties":{{"limit":{{"type":"integer"}}}}}}}}"#,
                i % 40
            )
        })
        .collect();
    format!(
        r#"{{"requests":{{"undeclared":"deny"}},"operations":[{}]}}"#,
        operations.join(",")
    )
}

#[test]
#[ignore = "a measurement"]
fn two_thousand_operations_cost_what_one_does() {
    const ROUNDS: u32 = 20_000;
    let mut best = Vec::new();
    for count in [1, 2000] {
        let scene = Scene::new(&policy(count));
        let last = count - 1;
        let request = get(&format!("/v1/area{}/things{last}/7?limit=10", last % 40)).field("accept", "*/*");
        let spans = (0..5).map(|_| {
            let start = Instant::now();
            for _ in 0..ROUNDS {
                scene.allowed(&request);
            }
            start.elapsed() / ROUNDS
        });
        best.push(spans.min().unwrap());
    }
    println!("1 operation: {:?}, 2000 operations: {:?} a request", best[0], best[1]);
}
