//! What is decided from the head alone: who the client is, what it asks for, bans, and the head's rules.

use super::Pipeline;
use crate::client::parse_source_address;
use crate::engine::Engine;
use crate::host::Host;
use crate::operation::Route;
use crate::path::Target;
use crate::request::{Head, HeadEdit, is_authority};
use crate::verdict::{Denial, Extra, Mode, Reason};
use std::rc::Rc;

impl Pipeline {
    pub(super) fn judge_head(&mut self, host: &dyn Host, ends: bool) -> Result<(), Denial> {
        let engine = Rc::clone(&self.engine);
        if engine.policy.asks_client() {
            self.find_client(host, &engine)?;
        }
        let route = if engine.policy.asks_target() {
            self.find_target(host, &engine)?
        } else {
            None
        };
        self.judge_client(host, &engine)?;
        if let Some(denial) = route {
            let mode = self.request_mode();
            self.refuse(host, mode, denial)?;
        }
        if let Some(requests) = &engine.policy.requests {
            let operation = self.operation(&engine);
            let verdict = requests.judge_head(&self.head, &self.method, operation, self.preflight, ends);
            let parameters = match (operation, &self.target) {
                (Some(operation), Some(target)) => requests.judge_parameters(operation, &self.head, target),
                _ => Ok(()),
            };
            let mode = self.request_mode();
            self.plan = self.judged(host, mode, verdict)?;
            self.parameters_hold = self.judged(host, mode, parameters)?.is_some();
        }
        if let Some(tokens) = &engine.policy.tokens {
            self.edits.extend(tokens.removals(&self.head));
        }
        Ok(())
    }

    fn find_client(&mut self, host: &dyn Host, engine: &Engine) -> Result<(), Denial> {
        let clients = &engine.policy.clients;
        let mode = clients.mode.unwrap_or(engine.policy.mode);
        let address = host.source_address().and_then(|text| parse_source_address(&text));
        let Some(address) = address else {
            // Who can't be told apart can't be counted: that is a matter of trial only where counting is.
            let mode = if engine.policy.enforces_client() {
                Mode::Enforce
            } else {
                mode
            };
            return self.refuse(host, mode, Reason::ClientUnknown.into());
        };
        if clients.deny.contains(address) {
            self.refuse(host, mode, Reason::ClientDenied.into())?;
        }
        self.exempt = clients.exempt.contains(address);
        self.client = Some(clients.prefixes.client(address));
        Ok(())
    }

    /// Finds the operation; gives the refusal of an undeclared one, for later, since quotas come first.
    fn find_target(&mut self, host: &dyn Host, engine: &Engine) -> Result<Option<Denial>, Denial> {
        // Apart for so long, so that nothing of it need be copied.
        let head = std::mem::take(&mut self.head);
        let found = self.find_target_of(host, engine, &head);
        self.head = head;
        found
    }

    fn find_target_of(&mut self, host: &dyn Host, engine: &Engine, head: &Head) -> Result<Option<Denial>, Denial> {
        // Where a guard that is enforced goes by method and path, these are not a matter of trial.
        let enforced = engine.policy.enforces_target();
        let mode = if enforced { Mode::Enforce } else { self.request_mode() };
        let method = head.single(":method").ok().flatten();
        let method = method.and_then(|m| std::str::from_utf8(m).ok());
        let token = |m: &&str| !m.is_empty() && m.bytes().all(|b| b.is_ascii_uppercase() || b"-_".contains(&b));
        let Some(method) = method.filter(token).map(str::to_owned) else {
            self.refuse(host, mode, Reason::MethodInvalid.into())?;
            return Ok(None);
        };
        self.method = method;
        let authority = head.single(":authority").ok().flatten().unwrap_or_default();
        if !is_authority(authority) {
            self.refuse(host, mode, Reason::HostInvalid.into())?;
        }
        let authority = std::str::from_utf8(authority).unwrap_or_default();
        let path = head.single(":path").ok().flatten().unwrap_or_default();
        let target = match Target::parse(path) {
            Ok(target) => target,
            Err(fault) => {
                self.refuse(
                    host,
                    mode,
                    Reason::PathInvalid.because(format!("The path has {}.", fault.0)),
                )?;
                return Ok(None);
            }
        };
        if let Some(rewritten) = target.rewritten()
            && mode == Mode::Enforce
        {
            self.edits.push(HeadEdit::Set(":path".into(), rewritten.into_bytes()));
        }
        let segments: Vec<_> = target.segments().collect();
        let router = &engine.policy.router;
        let route = router.find_for(authority, &self.method, &segments);
        let login = engine
            .policy
            .login
            .as_ref()
            .map(|policy| policy.operations.find(&self.method, &segments));
        let declared = route != Route::Undeclared || login.as_ref().is_some_and(|route| *route != Route::Undeclared);
        if overrides_target(head, declared) {
            self.refuse(host, mode, Reason::MethodOverride.into())?;
        }
        self.is_login = login == Some(Route::Found(&()));
        let allowed = engine.policy.requests.as_ref().is_some_and(|r| r.preflights_allowed);
        if allowed
            && route_fails(&route)
            && let Some(asked) = preflight_method(head, &self.method)
        {
            self.preflight = matches!(router.find_for(authority, asked, &segments), Route::Found(_));
        }
        drop(segments);
        self.target = Some(target);
        let undeclared_denied = engine.policy.requests.as_ref().is_some_and(|r| r.undeclared_denied);
        Ok(match route {
            Route::Found(operation) => {
                self.operation = Some(*operation);
                None
            }
            _ if !undeclared_denied || self.preflight => None,
            Route::Undeclared => Some(Reason::OperationUnknown.into()),
            Route::OtherMethods(methods) => {
                let methods = methods.into_iter().map(str::to_owned).collect();
                Some(Reason::MethodNotAllowed.with(Extra::Allow(methods)))
            }
        })
    }
}

/// Whether a request asks its backend to take it for another: to use another method on a declared path, or another path.
fn overrides_target(head: &Head, declared: bool) -> bool {
    head.fields().any(|(name, _)| match name {
        b"x-original-url" | b"x-rewrite-url" | b"x-override-url" => true,
        b"x-http-method-override" | b"x-http-method" | b"x-method-override" => declared,
        _ => false,
    })
}

fn route_fails<T>(route: &Route<'_, T>) -> bool {
    !matches!(route, Route::Found(_))
}

/// The method that a CORS preflight asks for (Fetch, «CORS-preflight fetch»): an OPTIONS with an origin and a method.
fn preflight_method<'h>(head: &'h Head, method: &str) -> Option<&'h str> {
    if method != "OPTIONS" || head.single("origin").ok().flatten().is_none() {
        return None;
    }
    let asked = head.single("access-control-request-method").ok().flatten()?;
    std::str::from_utf8(asked).ok()
}
