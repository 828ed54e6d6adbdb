//! Fault injection: rules, changeable while the server runs, that decide which faults a request meets.

mod text;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::protocol::schema::Action;
use crate::rng::Rng;

pub use text::ParseFaultError;

/// The maximum number of fault rules.
pub const MAX_FAULTS: usize = 10_000;

/// A kind of fault.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultKind {
    /// Responds with `RequestThrottled`, status 403. The request has no effect.
    Throttle,
    /// Responds with `ThrottlingException`, status 400. The request has no effect.
    ThrottlingException,
    /// Sends this response. The request has no effect.
    Reply(Reply),
    /// Delays the request, but no other.
    Delay(Duration),
    /// Closes the connection before the request has any effect.
    DropBefore,
    /// Performs the request, and closes the connection without a response.
    DropAfter,
    /// Performs the request, and resets the connection without a response.
    Reset,
    /// Performs the request, and closes the connection in the middle of the response's body.
    TruncatedResponse,
    /// Performs the request, and sends the response byte by byte, headers included, with this pause between two bytes.
    Trickle(Duration),
    /// Duplicates the messages that a standard queue accepts or delivers. FIFO queues never duplicate.
    Duplicate,
    /// Delivers random messages of a standard queue instead of the oldest.
    Reorder,
    /// Falsifies every MD5 in the response.
    WrongMd5,
    /// Falsifies the MD5s of this entry in a batch's response.
    WrongEntryMd5(String),
    /// Replaces each string of this entry in a batch's response by an object, except its id.
    SpoilEntry(String),
    /// Delivers messages with this body with a number instead of the body.
    SpoilBody(String),
    /// Delivers messages with the MD5 of all attributes, whichever were requested, as fauxqs does.
    DigestAllAttributes,
    /// Fails this number of random entries of a batch with a server-side `InternalError`. They have no effect.
    FailEntries(usize),
}

impl FaultKind {
    /// Returns the fault that sends an empty response with this status.
    pub fn status(status: u16) -> Self {
        Self::Reply(Reply::new(status))
    }
}

/// A response that SQS itself would not send, such as a load balancer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    /// Creates an empty response with this status.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// Adds a header, such as `Retry-After`.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }
}

/// A rule: a kind of fault, the requests that meet it, and their number.
///
/// ```
/// use sqs_local::{Action, Fault, FaultKind};
///
/// // The second and third SendMessage are throttled.
/// let fault = Fault::on(Action::SendMessage, FaultKind::Throttle).after(1).times(2);
/// # let _ = fault;
/// ```
///
/// A rule can also be [parsed](Fault#impl-FromStr-for-Fault) from a text, such as `SendMessage:throttle:after=1:times=2`.
#[derive(Clone, Debug)]
pub struct Fault {
    kind: FaultKind,
    action: Option<Action>,
    skip: u64,
    left: Option<u64>,
    probability: f64,
    fired: u64,
}

impl Fault {
    /// Creates a rule for all requests.
    pub fn any(kind: FaultKind) -> Self {
        Self {
            kind,
            action: None,
            skip: 0,
            left: None,
            probability: 1.0,
            fired: 0,
        }
    }

    /// Creates a rule for all requests of this action.
    pub fn on(action: Action, kind: FaultKind) -> Self {
        Self {
            action: Some(action),
            ..Self::any(kind)
        }
    }

    /// Lets this number of requests pass first. Default: 0.
    #[must_use]
    pub fn after(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// Limits the number of faults. Default: unlimited.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.left = Some(times);
        self
    }

    /// Sets the probability of the fault, drawn from the server's seed. Default: 1. Range: 0–1.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    fn fires(&mut self, action: Action, rng: &Rng) -> bool {
        if self.action.is_some_and(|a| a != action) || self.left == Some(0) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        if self.probability < 1.0 && !rng.chance(self.probability) {
            return false;
        }
        self.left = self.left.map(|left| left - 1);
        self.fired += 1;
        true
    }
}

/// The id of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultId(u64);

/// The server's fault rules. All rules that fire for a request apply to it.
#[derive(Debug)]
pub struct Faults {
    rules: Mutex<Rules>,
    rng: Rng,
}

#[derive(Debug, Default)]
struct Rules {
    /// The rules by id, which is never given again.
    by_id: BTreeMap<u64, Fault>,
    added: u64,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rules: Mutex::default(),
            rng: Rng::new(seed),
        }
    }

    /// Adds a rule. The oldest rule makes room if there are [`MAX_FAULTS`].
    pub fn add(&self, fault: Fault) -> FaultId {
        let mut rules = self.rules();
        if rules.by_id.len() == MAX_FAULTS {
            rules.by_id.pop_first();
        }
        rules.added += 1;
        let id = rules.added;
        rules.by_id.insert(id, fault);
        FaultId(id)
    }

    /// Returns the number of times that a rule has fired, or 0 for a removed rule.
    pub fn fired(&self, id: FaultId) -> u64 {
        self.rules().by_id.get(&id.0).map_or(0, |f| f.fired)
    }

    /// Removes a rule.
    pub fn remove(&self, id: FaultId) {
        self.rules().by_id.remove(&id.0);
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.rules().by_id.clear();
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the faults of the next request for this action.
    pub(crate) fn plan(&self, action: Action) -> Plan {
        let mut plan = Plan::default();
        for fault in self.rules().by_id.values_mut() {
            if fault.fires(action, &self.rng) {
                plan.include(&fault.kind);
            }
        }
        plan
    }
}

/// Faults that change the request's effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    pub(crate) duplicate: bool,
    pub(crate) reorder: bool,
    pub(crate) fail_entries: usize,
    pub(crate) spoil_body: Option<String>,
    pub(crate) digest_all: bool,
}

/// A fault that replaces the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Instead {
    Drop,
    Throttle,
    ThrottlingException,
    Reply(Reply),
}

/// The faults of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) delay: Duration,
    pub(crate) instead: Option<Instead>,
    pub(crate) effects: Effects,
    pub(crate) wrong_md5: bool,
    pub(crate) wrong_entry_md5: Option<String>,
    pub(crate) spoil_entry: Option<String>,
    pub(crate) drop_after: bool,
    pub(crate) reset: bool,
    pub(crate) truncated_response: bool,
    pub(crate) trickle: Option<Duration>,
}

impl Plan {
    fn include(&mut self, kind: &FaultKind) {
        let mut instead = |what| {
            self.instead.get_or_insert(what);
        };
        match kind {
            FaultKind::Throttle => instead(Instead::Throttle),
            FaultKind::ThrottlingException => instead(Instead::ThrottlingException),
            FaultKind::Reply(reply) => instead(Instead::Reply(reply.clone())),
            FaultKind::DropBefore => instead(Instead::Drop),
            FaultKind::Delay(delay) => self.delay = self.delay.saturating_add(*delay),
            FaultKind::DropAfter => self.drop_after = true,
            FaultKind::Reset => self.reset = true,
            FaultKind::TruncatedResponse => self.truncated_response = true,
            FaultKind::Trickle(pause) => self.trickle = Some(*pause),
            FaultKind::Duplicate => self.effects.duplicate = true,
            FaultKind::Reorder => self.effects.reorder = true,
            FaultKind::WrongMd5 => self.wrong_md5 = true,
            FaultKind::WrongEntryMd5(id) => self.wrong_entry_md5 = Some(id.clone()),
            FaultKind::SpoilEntry(id) => self.spoil_entry = Some(id.clone()),
            FaultKind::SpoilBody(body) => self.effects.spoil_body = Some(body.clone()),
            FaultKind::DigestAllAttributes => self.effects.digest_all = true,
            FaultKind::FailEntries(count) => {
                self.effects.fail_entries = self.effects.fail_entries.saturating_add(*count)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_select_requests_by_action_order_and_count() {
        let faults = Faults::new(1);
        let id = faults.add(Fault::on(Action::SendMessage, FaultKind::Throttle).after(1).times(2));
        let throttled = |action| faults.plan(action).instead == Some(Instead::Throttle);
        assert!(!throttled(Action::ReceiveMessage));
        let sends: Vec<bool> = (0..5).map(|_| throttled(Action::SendMessage)).collect();
        assert_eq!(sends, [false, true, true, false, false]);
        assert_eq!(faults.fired(id), 2);
    }

    #[test]
    fn rules_combine_and_can_be_removed() {
        let faults = Faults::new(1);
        faults.add(Fault::any(FaultKind::Delay(Duration::from_secs(1))));
        let id = faults.add(Fault::any(FaultKind::DropBefore));
        let plan = faults.plan(Action::ListQueues);
        assert_eq!((plan.delay.as_secs(), plan.instead), (1, Some(Instead::Drop)));
        faults.remove(id);
        assert_eq!(faults.plan(Action::ListQueues).instead, None);
        faults.clear();
        assert_eq!(faults.plan(Action::ListQueues), Plan::default());
    }

    #[test]
    fn the_oldest_rule_makes_room() {
        let faults = Faults::new(1);
        let oldest = faults.add(Fault::any(FaultKind::Throttle));
        let removed = faults.add(Fault::any(FaultKind::WrongMd5));
        drop(faults.plan(Action::ListQueues));
        faults.remove(removed);
        for _ in 1..MAX_FAULTS {
            faults.add(Fault::any(FaultKind::Reorder));
        }
        assert_eq!(faults.fired(oldest), 1);
        faults.add(Fault::any(FaultKind::Reorder));
        assert_eq!((faults.fired(oldest), faults.fired(removed)), (0, 0));
        assert_eq!(faults.plan(Action::ListQueues).instead, None);
    }

    #[test]
    fn a_rule_fires_with_its_probability() {
        let faults = Faults::new(1);
        let id = faults.add(Fault::any(FaultKind::WrongMd5).probability(0.05));
        (0..10_000).for_each(|_| drop(faults.plan(Action::SendMessage)));
        assert!((300..700).contains(&faults.fired(id)));
    }
}
