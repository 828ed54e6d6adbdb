//! A queue, its senders and its consumers, with assertions about the reassembler.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::case::Case;
use super::message::{Message, Token, digest_of};
use crate::segment::header::Whole;
use crate::segment::reassembler::partial_payload::cost;
use crate::segment::reassembler::{Action, Limits, Reassembler};

const SECOND: Duration = Duration::from_secs(1);
const VISIBILITY: Duration = Duration::from_secs(30);

struct Consumer {
    reassembler: Reassembler<Token>,
    limits: Limits,
    /// The messages that the reassembler must have buffered.
    buffered: BTreeSet<Token>,
    /// The messages that are being handled, by the payload's id.
    handled: BTreeMap<String, Vec<Token>>,
    /// The finished payloads in order, with their times.
    finished: Vec<(usize, Instant)>,
}

pub(super) struct World {
    pub(super) random: fastrand::Rng,
    pub(super) now: Instant,
    pub(super) payloads: Vec<Vec<u8>>,
    pub(super) messages: Vec<Message>,
    consumers: Vec<Consumer>,
    /// `true` if the user's hook deletes messages of payloads that can never become complete.
    hook_deletes: bool,
}

impl World {
    pub(super) fn new(case: &Case) -> Self {
        let mut random = fastrand::Rng::with_seed(case.seed);
        let limits = Limits {
            max_bytes: case.max_bytes,
            max_payloads: case.max_buffered,
            timeout: 120 * SECOND,
            first_segment_timeout: case.consumers_compete.then_some(5 * SECOND),
            return_delay: (SECOND, 4 * SECOND),
            max_finished: case.max_finished,
            finished_for: 300 * SECOND,
        };
        let consumer = |_| {
            let mut random = random.fork();
            Consumer {
                reassembler: Reassembler::new(limits, move || random.f64()),
                limits,
                buffered: BTreeSet::new(),
                handled: BTreeMap::new(),
                finished: Vec::new(),
            }
        };
        let consumers = (0..case.consumers).map(consumer).collect();
        let mut world = Self {
            random,
            now: Instant::now(),
            payloads: Vec::new(),
            messages: Vec::new(),
            consumers,
            hook_deletes: false,
        };
        for _ in 0..case.payloads {
            world.send(case);
        }
        world
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn happens(&mut self, percent: u8) -> bool {
        self.random.u8(0..100) < percent
    }

    fn is_visible(&self, message: usize) -> bool {
        let message = &self.messages[message];
        !message.is_deleted && message.visible_at <= self.now
    }

    /// Returns `true` if the receipt is the message's last and the message is still in flight.
    fn is_leased(&self, token: Token) -> bool {
        let message = &self.messages[token.message];
        !message.is_deleted && message.receipt == token.receipt && message.visible_at > self.now
    }

    /// Delivers the message to the consumer.
    fn receive(&mut self, consumer: usize, message: usize) {
        let received = &mut self.messages[message];
        received.receipt += 1;
        received.visible_at = self.now + VISIBILITY;
        let token = Token {
            message,
            receipt: received.receipt,
        };
        let (header, size) = (received.header.clone(), received.size());
        let to = &mut self.consumers[consumer];
        to.buffered.insert(token);
        let actions = to.reassembler.offer(&header, size, token, self.now);
        self.act(consumer, actions);
    }

    fn act(&mut self, consumer: usize, actions: Vec<Action<Token>>) {
        for action in actions {
            match action {
                Action::Deliver {
                    whole,
                    segments,
                    duplicates,
                } => self.handle(consumer, &whole, segments, duplicates),
                Action::Return { token, after, .. } => {
                    self.remove_buffered(consumer, token);
                    self.return_message(token, after);
                }
                Action::Delete { token } => {
                    self.remove_buffered(consumer, token);
                    let message = &self.messages[token.message];
                    // An attacker's payload can be finished as well.
                    let matches = |of: usize| of == message.payload || (message.is_hostile && of == usize::MAX);
                    let finished = self.consumers[consumer].finished.iter().any(|(of, _)| matches(*of));
                    assert!(finished, "deleted but not acknowledged");
                    self.delete(token);
                }
                Action::Incomplete {
                    tokens,
                    after,
                    have,
                    cost,
                    ..
                } => {
                    let indices: BTreeSet<u32> = tokens
                        .iter()
                        .map(|token| self.messages[token.message].header.index)
                        .collect();
                    assert_eq!(indices.len(), have as usize);
                    for token in tokens {
                        self.remove_buffered(consumer, token);
                        self.hook(token, after);
                    }
                    self.consumers[consumer].reassembler.decided(cost);
                }
            }
        }
    }

    /// Checks a delivered payload, and begins to handle it.
    fn handle(&mut self, consumer: usize, whole: &Whole, segments: Vec<Token>, duplicates: Vec<Token>) {
        let payload = self.messages[segments[0].message].payload;
        let bytes: Vec<u8> = segments
            .iter()
            .flat_map(|token| self.messages[token.message].bytes.clone())
            .collect();
        for token in segments.iter().chain(&duplicates) {
            let message = &self.messages[token.message];
            assert_eq!(
                (message.payload, &message.header.whole),
                (payload, whole),
                "segments of two payloads are mixed"
            );
            self.remove_buffered(consumer, *token);
        }
        if *whole.digest.hex() == *digest_of(payload).hex() {
            assert_eq!(bytes, self.payloads[payload], "the bytes differ");
        } else {
            // An attacker's segments that agree with one another.
            assert!(self.messages[segments[0].message].is_hostile);
        }
        self.assert_not_finished(consumer, payload, whole);
        let tokens = segments.into_iter().chain(duplicates).collect();
        let before = self.consumers[consumer].handled.insert(whole.id.clone(), tokens);
        assert_eq!(before, None, "delivered twice at a time");
    }

    fn assert_not_finished(&self, consumer: usize, payload: usize, whole: &Whole) {
        let Consumer { finished, limits, .. } = &self.consumers[consumer];
        let latest = finished.iter().rev().take(limits.max_finished);
        let mut remembered = latest.filter(|(_, at)| self.now - *at < limits.finished_for);
        let is_same = whole.digest == digest_of(payload);
        assert!(
            !is_same || remembered.all(|(finished, _)| *finished != payload),
            "delivered again although it is remembered as finished"
        );
    }

    /// Records that the reassembler returned the token, which it must have had.
    fn remove_buffered(&mut self, consumer: usize, token: Token) {
        assert!(
            self.consumers[consumer].buffered.remove(&token),
            "{token:?} was not buffered"
        );
    }

    fn return_message(&mut self, token: Token, after: Duration) {
        if self.is_leased(token) {
            self.messages[token.message].visible_at = self.now + after;
        }
    }

    /// Deletes the message. Like SQS, confirms a deletion by a stale receipt without deleting anything.
    fn delete(&mut self, token: Token) {
        let message = &mut self.messages[token.message];
        message.is_deleted |= message.receipt == token.receipt;
    }

    /// Decides about a message of an incomplete payload.
    fn hook(&mut self, token: Token, after: Duration) {
        let message = &self.messages[token.message];
        if self.hook_deletes && (message.is_hostile || !self.can_be_completed(message.payload)) {
            self.delete(token);
        } else {
            self.return_message(token, after);
        }
    }

    fn can_be_completed(&self, payload: usize) -> bool {
        let is_usable = |message: &&Message| message.payload == payload && !message.is_deleted && !message.is_hostile;
        let messages: Vec<&Message> = self.messages.iter().filter(is_usable).collect();
        let costs = messages
            .iter()
            .map(|message| (message.header.index, cost(message.size().memory)));
        let costs: BTreeMap<u32, u64> = costs.collect();
        let limit = self.consumers[0].limits.max_bytes;
        messages
            .first()
            .is_some_and(|one| costs.len() == one.header.whole.count as usize && costs.values().sum::<u64>() <= limit)
    }

    /// Acknowledges a handled payload, or returns it.
    fn finish_handling(&mut self, consumer: usize, acks: bool) {
        let handled: Vec<String> = self.consumers[consumer].handled.keys().cloned().collect();
        let Some(id) = self.random.choice(handled) else {
            return;
        };
        let tokens = self.consumers[consumer].handled.remove(&id).unwrap();
        let payload = self.messages[tokens[0].message].payload;
        let is_hostile = self.messages[tokens[0].message].is_hostile;
        let actions = if acks {
            for token in tokens {
                self.delete(token);
            }
            let finished = if is_hostile { usize::MAX } else { payload };
            self.consumers[consumer].finished.push((finished, self.now));
            self.consumers[consumer].reassembler.acked(&id, self.now)
        } else {
            let after = SECOND * self.random.u32(0..20);
            for token in tokens {
                self.return_message(token, after);
            }
            self.consumers[consumer]
                .reassembler
                .returned(&id, self.now + after, self.now)
        };
        self.act_after_handling(consumer, actions, is_hostile);
    }

    fn act_after_handling(&mut self, consumer: usize, actions: Vec<Action<Token>>, is_hostile: bool) {
        for action in actions {
            match action {
                Action::Delete { token } if is_hostile => {
                    self.remove_buffered(consumer, token);
                    self.delete(token);
                }
                other => self.act(consumer, vec![other]),
            }
        }
    }

    /// Extends the leases that the consumer still has, and reports the lost ones.
    fn heartbeat(&mut self, consumer: usize) {
        let buffered: Vec<Token> = self.consumers[consumer].reassembler.buffered().copied().collect();
        let handled: Vec<Token> = self.consumers[consumer].handled.values().flatten().copied().collect();
        for token in buffered.into_iter().chain(handled) {
            if self.is_leased(token) {
                self.messages[token.message].visible_at = self.now + VISIBILITY;
            }
        }
        self.report_lost(consumer);
    }

    fn report_lost(&mut self, consumer: usize) {
        let buffered: Vec<Token> = self.consumers[consumer].reassembler.buffered().copied().collect();
        let lost: BTreeSet<Token> = buffered.into_iter().filter(|token| !self.is_leased(*token)).collect();
        let reassembler = &mut self.consumers[consumer].reassembler;
        let returned = reassembler.remove_lost(|token| lost.contains(token), self.now);
        assert_eq!(returned.iter().copied().collect::<BTreeSet<_>>(), lost);
        for token in returned {
            self.remove_buffered(consumer, token);
        }
    }

    fn advance(&mut self, time: Duration) {
        self.now += time;
        for consumer in 0..self.consumers.len() {
            let actions = self.consumers[consumer].reassembler.tick(self.now);
            self.act(consumer, actions);
            let next = self.consumers[consumer].reassembler.next_deadline();
            assert!(next.is_none_or(|next| next > self.now), "nothing is due after a tick");
        }
    }

    /// Performs one random event.
    pub(super) fn step(&mut self) {
        let consumer = self.random.usize(0..self.consumers.len());
        let message = self.random.usize(0..self.messages.len());
        match self.random.u8(0..100) {
            // SQS may deliver a message again although it is in flight.
            0..2 if !self.messages[message].is_deleted => self.receive(consumer, message),
            0..60 if self.is_visible(message) => self.receive(consumer, message),
            60..75 => {
                let acks = self.happens(70);
                self.finish_handling(consumer, acks);
            }
            75..85 => self.heartbeat(consumer),
            85..95 => self.advance(SECOND),
            95..97 => self.advance(20 * SECOND),
            97 => self.report_lost(consumer),
            98 if self.happens(5) => self.drain(consumer),
            _ => {}
        }
        self.assert_bounds(consumer);
    }

    fn drain(&mut self, consumer: usize) {
        let actions = self.consumers[consumer].reassembler.drain();
        self.act(consumer, actions);
        assert!(self.consumers[consumer].buffered.is_empty(), "drain left messages");
    }

    fn assert_bounds(&self, consumer: usize) {
        let Consumer {
            reassembler,
            limits,
            buffered,
            handled,
            ..
        } = &self.consumers[consumer];
        assert_eq!(reassembler.buffered().copied().collect::<BTreeSet<_>>(), *buffered);
        let tokens = buffered.iter().chain(handled.values().flatten());
        let bytes: u64 = tokens
            .map(|token| cost(self.messages[token.message].size().memory))
            .sum();
        assert!(bytes <= reassembler.bytes && reassembler.bytes <= limits.max_bytes);
        let ids: BTreeSet<&str> = buffered
            .iter()
            .map(|token| &*self.messages[token.message].header.whole.id)
            .collect();
        let partial = ids.iter().filter(|id| !handled.contains_key(**id)).count();
        assert!(partial + handled.len() <= limits.max_payloads);
        assert_eq!(handled.len(), reassembler.delivered.len());
        let oldest = reassembler
            .partial
            .values()
            .map(|partial| self.now - partial.began)
            .max();
        assert!(oldest.is_none_or(|age| age < limits.timeout));
    }

    /// Lets the first consumer receive everything without further mishaps, and asserts that this empties the queue.
    pub(super) fn finish(&mut self) {
        self.hook_deletes = true;
        for consumer in 1..self.consumers.len() {
            self.drain(consumer);
            while !self.consumers[consumer].handled.is_empty() {
                self.finish_handling(consumer, false);
            }
        }
        for _ in 0..2_000 {
            let mut visible: Vec<usize> = (0..self.messages.len()).filter(|at| self.is_visible(*at)).collect();
            self.random.shuffle(&mut visible);
            for message in visible {
                self.receive(0, message);
                self.finish_handling(0, true);
            }
            while !self.consumers[0].handled.is_empty() {
                self.finish_handling(0, true);
            }
            self.assert_bounds(0);
            if self.messages.iter().all(|message| message.is_deleted) {
                return;
            }
            self.heartbeat(0);
            self.advance(5 * SECOND);
        }
        let left = self.messages.iter().filter(|message| !message.is_deleted).count();
        panic!("{left} messages are left in the queue");
    }
}
