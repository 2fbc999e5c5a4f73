//! Whether the token was revoked: every source that is configured is heard, those that cost no callout first. A source
//! that tells nothing leaves the last known answer, and then the policy's `on_error`.

use super::{Pass, Pipeline};
use crate::engine::Engine;
use crate::guard::OnError;
use crate::guard::revocation::clearance::Mark;
use crate::guard::revocation::introspection::{Heard, Word, is_opaque};
use crate::guard::revocation::status_list::{VALID, lists};
use crate::guard::revocation::{RevocationPolicy, answers};
use crate::guard::token::judge_scopes;
use crate::host::{Counter, Host};
use crate::jose::Verified;
use crate::knowledge::{Need, Secret};
use crate::store::{Fingerprint, Table, Use};
use crate::verdict::{Denial, Reason};
use std::rc::Rc;
use std::time::Duration;

/// What one source says.
enum Says {
    Fine,
    Refuse(Denial),
    Wait(Need),
    /// It is down, and nothing that it said before still serves.
    Nothing,
}

/// What introspection says, now or by what is remembered.
enum Introspected {
    Heard(Heard),
    Wait(Need),
    Nothing,
}

/// What every source is asked with.
struct Asking<'a> {
    host: &'a dyn Host,
    engine: &'a Engine,
    policy: &'a RevocationPolicy,
    table: &'a Table,
    token: &'a Verified,
}

type Source = fn(&Pipeline, &Asking<'_>) -> Says;

/// Those that cost no callout come first.
const SOURCES: [Source; 4] = [
    Pipeline::by_feed,
    Pipeline::by_status_list,
    Pipeline::by_lookup,
    Pipeline::by_introspection,
];

impl Pipeline {
    pub(super) fn judge_revocation(&mut self, host: &dyn Host, engine: &Engine) -> Result<Pass, Denial> {
        let (Some(policy), Some(table), Some(token)) =
            (&engine.policy.revocation, &engine.table, self.verified.clone())
        else {
            return Ok(Pass::On);
        };
        let mode = self.mode(policy.mode);
        let asking = Asking {
            host,
            engine,
            policy,
            table,
            token: &token,
        };
        let mut unknown = false;
        for source in SOURCES {
            match source(self, &asking) {
                Says::Fine => {}
                Says::Refuse(denial) => return self.refuse(host, mode, denial).map(|()| Pass::On),
                Says::Wait(need) => {
                    host.count(Counter::RevocationMiss);
                    return Ok(Pass::Wait(need));
                }
                Says::Nothing => unknown = true,
            }
        }
        if unknown && policy.on_error == OnError::Deny {
            let denial = Reason::RevocationUnavailable.into();
            return self.refuse(host, mode, denial).map(|()| Pass::On);
        }
        Ok(Pass::On)
    }

    fn by_feed(&self, asking: &Asking<'_>) -> Says {
        let Asking {
            host, engine, policy, ..
        } = *asking;
        let Some(rules) = &policy.feed else { return Says::Fine };
        // What one worker refuses, all do from then on.
        engine.level_feed(host);
        let (learnt, now) = (engine.revocation.borrow(), host.now());
        let Some(feed) = &learnt.feed else { return Says::Nothing };
        if feed.revokes(asking.token, now) {
            return Says::Refuse(Reason::TokenRevoked.into());
        }
        if !feed.is_loaded() {
            return match self.waits.feed {
                None => Says::Wait(Need::Feed),
                Some(_) => Says::Nothing,
            };
        }
        let age = feed.age(now);
        if age > rules.serves(policy.stale) {
            return Says::Nothing;
        }
        host.count(if age > rules.serves(Duration::ZERO) {
            Counter::RevocationStale
        } else {
            Counter::RevocationHit
        });
        Says::Fine
    }

    fn by_status_list(&self, asking: &Asking<'_>) -> Says {
        let Asking {
            host,
            engine,
            policy,
            token,
            ..
        } = *asking;
        let (Some(rules), Some(reference)) = (&policy.status_list, &token.status) else {
            return Says::Fine;
        };
        let (learnt, now) = (engine.revocation.borrow(), host.now());
        let Some(lists) = &learnt.lists else {
            return Says::Nothing;
        };
        match lists.says(rules, policy.stale, token.provider, reference, now) {
            lists::Says::Status { status: VALID, stale } => {
                host.count(if stale {
                    Counter::RevocationStale
                } else {
                    Counter::RevocationHit
                });
                Says::Fine
            }
            lists::Says::Status { .. } => Says::Refuse(Reason::TokenRevoked.into()),
            lists::Says::Beyond => Says::Refuse(Reason::TokenStatus.into()),
            lists::Says::Nothing { ask: true }
                if self.waits.status_list.is_none() && rules.callout(&reference.uri).is_some() =>
            {
                Says::Wait(Need::StatusList(token.provider, reference.uri.as_str().into()))
            }
            lists::Says::Nothing { .. } => Says::Nothing,
        }
    }

    fn by_lookup(&self, asking: &Asking<'_>) -> Says {
        let Asking {
            host,
            engine,
            policy,
            table,
            token,
        } = *asking;
        let Some(lookup) = &policy.lookup else {
            return Says::Fine;
        };
        let mark = Mark::read(host);
        if self.waits.revocation.is_none()
            && mark.is_ok_and(|mark| token.clearance.by_lookup(mark, lookup.cache, host.now()))
        {
            host.count(Counter::RevocationHit);
            return Says::Fine;
        }
        let path = match lookup.path(token) {
            Ok(path) => path,
            Err(reason) => return Says::Refuse(reason.into()),
        };
        let question = answers::name(table, lookup, &path);
        let Ok(shared) = answers::shared(table, host, lookup, question) else {
            return Says::Nothing;
        };
        if shared.revoked_for_good {
            return Says::Refuse(Reason::TokenRevoked.into());
        }
        let waited = self.waits.revocation;
        let fresh = |age| age < lookup.cache || waited == Some(true);
        let own = || engine.revocation.borrow().answers.last(question, host.now());
        // This worker's own answer counts where the table has none, or an older one.
        let known = match shared.known {
            Some(known) if waited.is_none() && fresh(known.age) => Some(known),
            shared => [shared, own()].into_iter().flatten().min_by_key(|known| known.age),
        };
        match known {
            // What is about one token stays so; a subject or an issuer can be taken back.
            Some(known) if known.revoked && (lookup.names_token() || fresh(known.age)) => {
                if lookup.names_token() {
                    // That the store fails leaves the answer with this worker; it was counted.
                    let _ = answers::publish_revoked(table, host, question, token.ends);
                }
                Says::Refuse(Reason::TokenRevoked.into())
            }
            Some(known) if fresh(known.age) => {
                if waited.is_none() {
                    host.count(Counter::RevocationHit);
                }
                if let Ok(mark) = mark {
                    token.clearance.note_lookup(host.now().minus(known.age), mark);
                }
                Says::Fine
            }
            _ if waited.is_none() => Says::Wait(Need::Revocation(path)),
            // The source is down: the last known answer.
            Some(known) if known.revoked => Says::Refuse(Reason::TokenRevoked.into()),
            Some(known) if known.age < policy.stale => {
                host.count(Counter::RevocationStale);
                Says::Fine
            }
            _ => Says::Nothing,
        }
    }

    /// A JWT that is good, and that its issuer may have taken back. An opaque token was judged before.
    fn by_introspection(&self, asking: &Asking<'_>) -> Says {
        let Asking {
            host,
            engine,
            policy,
            table,
            token,
        } = *asking;
        if policy.introspection.is_none() {
            return Says::Fine;
        }
        let Some(text) = self.token_text(engine).filter(|text| !is_opaque(text)) else {
            return Says::Fine;
        };
        let name = || introspected_name(table, text);
        let mark = Mark::read(host);
        if !mark.is_ok_and(|mark| token.clearance.by_introspection(mark)) {
            match table.peek(host, name()) {
                Ok(Some(record)) if record.idle_at > host.now() => return Says::Refuse(Reason::TokenRevoked.into()),
                Ok(_) => {}
                Err(_) => return Says::Nothing,
            }
            if let Ok(mark) = mark {
                token.clearance.note_introspection(mark);
            }
        }
        let heard = match self.introspect(host, engine, policy, text, mark.ok()) {
            Introspected::Heard(heard) => heard,
            Introspected::Wait(need) => return Says::Wait(need),
            Introspected::Nothing => return Says::Nothing,
        };
        match heard.word {
            Word::Inactive => {
                // The token is good in itself, so nobody can fill the table with tokens of his own.
                let _ = answers::publish_revoked(table, host, name(), token.ends);
                Says::Refuse(Reason::TokenRevoked.into())
            }
            Word::Unacceptable(reason) => Says::Refuse(reason.into()),
            Word::Active(told) if heard.names_issuer && told.issuer != token.issuer => {
                Says::Refuse(Reason::TokenIssuer.into())
            }
            Word::Active(told) => match self.operation(engine) {
                Some(operation) if heard.names_scopes => {
                    judge_scopes(operation, &told).map_or_else(Says::Refuse, |()| Says::Fine)
                }
                _ => Says::Fine,
            },
        }
    }

    /// An opaque token: what introspection says of it is all that is known. `on_error` lets none pass: a token that
    /// nobody vouches for is none.
    pub(super) fn judge_opaque(
        &self,
        host: &dyn Host,
        engine: &Engine,
        policy: &RevocationPolicy,
        token: &[u8],
    ) -> Result<Result<Rc<Verified>, Need>, Denial> {
        match self.introspect(host, engine, policy, token, Mark::read(host).ok()) {
            Introspected::Wait(need) => {
                host.count(Counter::RevocationMiss);
                Ok(Err(need))
            }
            Introspected::Nothing => Err(Reason::RevocationUnavailable.into()),
            Introspected::Heard(heard) => match heard.word {
                Word::Active(verified) => Ok(Ok(verified)),
                Word::Inactive => Err(Reason::TokenInactive.into()),
                Word::Unacceptable(reason) => Err(reason.into()),
            },
        }
    }

    /// `mark` is where the mark of revocations stood before.
    fn introspect(
        &self,
        host: &dyn Host,
        engine: &Engine,
        policy: &RevocationPolicy,
        token: &[u8],
        mark: Option<Mark>,
    ) -> Introspected {
        let Some(introspection) = &policy.introspection else {
            return Introspected::Nothing;
        };
        let (now, waited) = (host.now(), self.waits.introspection);
        let heard = engine.introspected(host, token, mark);
        match heard {
            Some(heard) if heard.serves(introspection.cache, now) => {
                if waited.is_none() {
                    host.count(Counter::RevocationHit);
                }
                Introspected::Heard(heard)
            }
            // The answer that was waited for serves once, whatever its age.
            Some(heard) if waited == Some(true) => Introspected::Heard(heard),
            _ if waited.is_none() => Introspected::Wait(Need::Introspection(Secret(token.into()))),
            Some(heard) if !matches!(heard.word, Word::Active(_)) => Introspected::Heard(heard),
            Some(heard) if heard.serves(policy.stale, now) => {
                host.count(Counter::RevocationStale);
                Introspected::Heard(heard)
            }
            _ => Introspected::Nothing,
        }
    }

    fn token_text(&self, engine: &Engine) -> Option<&[u8]> {
        let tokens = engine.policy.tokens.as_ref()?;
        tokens.extract(&self.head).ok().flatten()
    }
}

/// The name of a JWT in the table: by its signing input, for a signature may have two spellings.
fn introspected_name(table: &Table, token: &[u8]) -> Fingerprint {
    let end = token.iter().rposition(|b| *b == b'.').unwrap_or(token.len());
    let signing_input = token.get(..end).unwrap_or(token);
    table.fingerprint(Use::Revocation, &[b"introspection", signing_input])
}
