//! Changing the policy of a running stack, the way an operator does: a new file, renamed over the old one.

use std::time::Duration;

use serde_json::Value;

use crate::message::Request;
use crate::stack::Stack;
use crate::{Outcome, until};

const POLICY_SECONDS_MAX: u64 = 30;

/// What Envoy made of a new policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// It is in force on every worker.
    Accepted,
    /// The old one stays.
    Refused,
}

impl Stack {
    /// Gives Envoy another policy by a file move and waits until it is accepted, and in force on all workers, or refused.
    pub async fn set_policy(&mut self, policy: &Value) -> Outcome<Update> {
        self.set_policy_text(&policy.to_string()).await
    }

    /// The same for a text, JSON or not.
    pub async fn set_policy_text(&mut self, policy: &str) -> Outcome<Update> {
        self.check_vms().await?;
        let before = self.update_counts().await?;
        self.files.replace_policy(policy)?;
        let update = until(
            "Envoy's word on the new policy",
            Duration::from_secs(POLICY_SECONDS_MAX),
            async || {
                let now = self.update_counts().await?;
                match (now.0 > before.0, now.1 > before.1) {
                    (true, _) => Ok(Update::Accepted),
                    (false, true) => Ok(Update::Refused),
                    (false, false) => Err("neither accepted nor refused".to_owned()),
                }
            },
        );
        let update = update.await?;
        if update == Update::Refused {
            self.files.forget_refused();
        }
        // The main thread has posted the new configuration to each worker. A worker that has answered a request sent after
        // that has at most one turn of its loop left in which it may not have seen it: so two each.
        for connection in &mut self.connect_to_each_worker(&self.client()?).await? {
            for _ in 0..2 {
                connection.send(&Request::get("/harness-barrier")).await?;
            }
        }
        // A new policy is tried on a VM of its own, which counts as made.
        self.note_vms_made().await?;
        Ok(update)
    }

    /// How often Envoy has taken a policy and how often it has refused one.
    pub async fn update_counts(&self) -> Outcome<(u64, u64)> {
        // Not config_reload: it also counts a policy that was then refused.
        let stats = self
            .edge
            .stats("^extension_config_discovery%5C..*%5C.portcullis%5C.update_")
            .await?;
        let sum = |end: &str| {
            let named = stats.iter().filter(|(name, _)| name.ends_with(end));
            named.map(|(_, value)| *value).sum::<u64>()
        };
        Ok((sum(".update_success"), sum(".update_rejected")))
    }
}
