//! The reassembler against a queue that does to messages whatever a standard queue may do: any order, twice and again,
//! and some that never come.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::codec::Encoding;
use crate::payload::digest::Digest;
use crate::segment::Form;

const SECOND: Duration = Duration::from_secs(1);
const VISIBILITY: Duration = Duration::from_secs(30);

/// One receipt of one message: what a consumer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Token {
    message: usize,
    receipt: u32,
}

struct Message {
    header: Header,
    bytes: Vec<u8>,
    payload: usize,
    /// Sent by whoever means harm: it has the id of a payload and contradicts it.
    is_hostile: bool,
    is_deleted: bool,
    visible_at: Instant,
    /// Of the last receipt; a receipt before it is stale.
    receipt: u32,
}

impl Message {
    /// Some have attributes.
    fn size(&self) -> Size {
        let len = self.bytes.len() as u64;
        let attributes = u64::from(self.header.index % 3) * 500;
        Size {
            len,
            held: len + attributes,
        }
    }
}

struct Consumer {
    reassembler: Reassembler<Token>,
    limits: Limits,
    /// What the reassembler must be holding.
    held: BTreeSet<Token>,
    /// What is being handled, by the payload's id.
    handled: BTreeMap<String, Vec<Token>>,
    /// When a payload was finished, in the order of that.
    finished: Vec<(usize, Instant)>,
}

struct World {
    chance: fastrand::Rng,
    now: Instant,
    payloads: Vec<Vec<u8>>,
    messages: Vec<Message>,
    consumers: Vec<Consumer>,
    /// Whether the user's hook deletes what cannot be completed any more.
    hook_deletes: bool,
}

/// What a case is like; all else is chance, from a seed.
#[derive(Clone, Debug)]
struct Case {
    seed: u64,
    payloads: usize,
    max_len: usize,
    max_segments: u32,
    consumers: usize,
    steps: usize,
    bytes: u64,
    sets: usize,
    remembered: usize,
    /// In percent: of segments that are never sent, that are sent twice, and of hostile ones.
    lost: u8,
    twice: u8,
    hostile: u8,
    gather: bool,
}

fn digest_of(number: usize) -> Digest {
    format!("blake3:{number:064x}").parse().unwrap()
}

impl World {
    fn new(case: &Case) -> Self {
        let mut chance = fastrand::Rng::with_seed(case.seed);
        let limits = Limits {
            bytes: case.bytes,
            sets: case.sets,
            age: 120 * SECOND,
            gather: case.gather.then_some(5 * SECOND),
            back_after: (SECOND, 4 * SECOND),
            remembered: case.remembered,
            remembered_for: 300 * SECOND,
        };
        let consumer = |_| {
            let mut chance = chance.fork();
            Consumer {
                reassembler: Reassembler::new(limits, move || chance.f64()),
                limits,
                held: BTreeSet::new(),
                handled: BTreeMap::new(),
                finished: Vec::new(),
            }
        };
        let consumers = (0..case.consumers).map(consumer).collect();
        let mut world = Self {
            chance,
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

    fn happens(&mut self, percent: u8) -> bool {
        self.chance.u8(0..100) < percent
    }

    /// Sends the segments of a new payload, or most of them, or some twice.
    fn send(&mut self, case: &Case) {
        let payload = self.payloads.len();
        let bytes: Vec<u8> = (0..self.chance.usize(1..=case.max_len))
            .map(|_| self.chance.u8(..))
            .collect();
        let count = self
            .chance
            .u32(1..=case.max_segments.min(u32::try_from(bytes.len()).unwrap()));
        let mut cuts: BTreeSet<usize> = BTreeSet::from([0, bytes.len()]);
        while cuts.len() <= count as usize {
            cuts.insert(self.chance.usize(0..bytes.len()));
        }
        let cuts: Vec<usize> = cuts.into_iter().collect();
        for (index, cut) in cuts.windows(2).enumerate() {
            let header = Header {
                whole: Whole {
                    id: format!("p{payload}"),
                    count,
                    total: bytes.len() as u64,
                    digest: digest_of(payload),
                    original_length: None,
                    encoding: Encoding::default(),
                },
                index: u32::try_from(index).unwrap(),
                offset: cut[0] as u64,
                checksum: digest_of(index),
                form: Form::Binary,
            };
            let segment = bytes[cut[0]..cut[1]].to_vec();
            if self.happens(case.hostile) {
                self.put(payload, self.hostile(header.clone()), segment.clone(), true);
            }
            if !self.happens(case.lost) {
                self.put(payload, header.clone(), segment.clone(), false);
            }
            if self.happens(case.twice) {
                self.put(payload, header, segment, false);
            }
        }
        self.payloads.push(bytes);
    }

    fn put(&mut self, payload: usize, header: Header, bytes: Vec<u8>, is_hostile: bool) {
        let delay = SECOND * self.chance.u32(0..3);
        self.messages.push(Message {
            header,
            bytes,
            payload,
            is_hostile,
            is_deleted: false,
            visible_at: self.now + delay,
            receipt: 0,
        });
    }

    fn hostile(&self, mut header: Header) -> Header {
        match header.index % 4 {
            0 => header.whole.digest = digest_of(usize::MAX),
            1 => header.whole.total += 1,
            2 => header.whole.encoding.compression = Some("zstd".to_owned()),
            _ => {
                header.offset -= 1;
                header.checksum = digest_of(usize::MAX);
            }
        }
        header
    }

    fn is_visible(&self, message: usize) -> bool {
        let message = &self.messages[message];
        !message.is_deleted && message.visible_at <= self.now
    }

    /// Whether the receipt is the message's last, and its visibility timeout is not over.
    fn is_leased(&self, token: Token) -> bool {
        let message = &self.messages[token.message];
        !message.is_deleted && message.receipt == token.receipt && message.visible_at > self.now
    }

    /// Gives the message to the consumer.
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
        to.held.insert(token);
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
                Action::Release { token, after, .. } => {
                    self.taken(consumer, token);
                    self.give_back(token, after);
                }
                Action::Delete { token } => {
                    self.taken(consumer, token);
                    let message = &self.messages[token.message];
                    // A stranger's payload can be finished as well.
                    let is_it = |of: usize| of == message.payload || (message.is_hostile && of == usize::MAX);
                    let finished = self.consumers[consumer].finished.iter().any(|(of, _)| is_it(*of));
                    assert!(finished, "deleted without having been acknowledged");
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
                        self.taken(consumer, token);
                        self.hook(token, after);
                    }
                    self.consumers[consumer].reassembler.decided(cost);
                }
            }
        }
    }

    /// Checks what is delivered, and begins to handle it.
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
                "never a mix"
            );
            self.taken(consumer, *token);
        }
        if *whole.digest.hex() == *digest_of(payload).hex() {
            assert_eq!(bytes, self.payloads[payload], "byte-exact");
        } else {
            // Segments of a stranger's that agree with one another.
            assert!(self.messages[segments[0].message].is_hostile);
        }
        self.assert_not_remembered(consumer, payload, whole);
        let tokens = segments.into_iter().chain(duplicates).collect();
        let before = self.consumers[consumer].handled.insert(whole.id.clone(), tokens);
        assert_eq!(before, None, "delivered twice at a time");
    }

    fn assert_not_remembered(&self, consumer: usize, payload: usize, whole: &Whole) {
        let Consumer { finished, limits, .. } = &self.consumers[consumer];
        let latest = finished.iter().rev().take(limits.remembered);
        let mut remembered = latest.filter(|(_, at)| self.now - *at < limits.remembered_for);
        let is_same = whole.digest == digest_of(payload);
        assert!(
            !is_same || remembered.all(|(finished, _)| *finished != payload),
            "delivered again within the memory of finished ids"
        );
    }

    /// The reassembler has let go of the token, which it must have held.
    fn taken(&mut self, consumer: usize, token: Token) {
        assert!(
            self.consumers[consumer].held.remove(&token),
            "{token:?} comes from nowhere"
        );
    }

    fn give_back(&mut self, token: Token, after: Duration) {
        if self.is_leased(token) {
            self.messages[token.message].visible_at = self.now + after;
        }
    }

    /// As SQS, which confirms the deletion by a stale receipt, and deletes nothing.
    fn delete(&mut self, token: Token) {
        let message = &mut self.messages[token.message];
        message.is_deleted |= message.receipt == token.receipt;
    }

    /// What the user wants of a message that is not of a complete payload.
    fn hook(&mut self, token: Token, after: Duration) {
        let message = &self.messages[token.message];
        if self.hook_deletes && (message.is_hostile || !self.can_be_completed(message.payload)) {
            self.delete(token);
        } else {
            self.give_back(token, after);
        }
    }

    fn can_be_completed(&self, payload: usize) -> bool {
        let there = |message: &&Message| message.payload == payload && !message.is_deleted && !message.is_hostile;
        let messages: Vec<&Message> = self.messages.iter().filter(there).collect();
        let costs = messages
            .iter()
            .map(|message| (message.header.index, cost(message.size().held)));
        let costs: BTreeMap<u32, u64> = costs.collect();
        let limit = self.consumers[0].limits.bytes;
        messages
            .first()
            .is_some_and(|one| costs.len() == one.header.whole.count as usize && costs.values().sum::<u64>() <= limit)
    }

    /// A handled payload is acknowledged or given back.
    fn settle(&mut self, consumer: usize, acks: bool) {
        let handled: Vec<String> = self.consumers[consumer].handled.keys().cloned().collect();
        let Some(id) = self.chance.choice(handled) else {
            return;
        };
        let tokens = self.consumers[consumer].handled.remove(&id).unwrap();
        let payload = self.messages[tokens[0].message].payload;
        let is_hostile = self.messages[tokens[0].message].is_hostile;
        let actions = if acks {
            for token in tokens {
                self.delete(token);
            }
            let what = if is_hostile { usize::MAX } else { payload };
            self.consumers[consumer].finished.push((what, self.now));
            self.consumers[consumer].reassembler.acked(&id, self.now)
        } else {
            let after = SECOND * self.chance.u32(0..20);
            for token in tokens {
                self.give_back(token, after);
            }
            self.consumers[consumer]
                .reassembler
                .released(&id, self.now + after, self.now)
        };
        self.act_after_settling(consumer, actions, is_hostile);
    }

    fn act_after_settling(&mut self, consumer: usize, actions: Vec<Action<Token>>, is_hostile: bool) {
        for action in actions {
            match action {
                Action::Delete { token } if is_hostile => {
                    self.taken(consumer, token);
                    self.delete(token);
                }
                other => self.act(consumer, vec![other]),
            }
        }
    }

    /// The consumer extends what it holds, as far as it still does, and says what it lost.
    fn heartbeat(&mut self, consumer: usize) {
        let held: Vec<Token> = self.consumers[consumer].reassembler.held().copied().collect();
        let handled: Vec<Token> = self.consumers[consumer].handled.values().flatten().copied().collect();
        for token in held.into_iter().chain(handled) {
            if self.is_leased(token) {
                self.messages[token.message].visible_at = self.now + VISIBILITY;
            }
        }
        self.lose(consumer);
    }

    fn lose(&mut self, consumer: usize) {
        let held: Vec<Token> = self.consumers[consumer].reassembler.held().copied().collect();
        let lost: BTreeSet<Token> = held.into_iter().filter(|token| !self.is_leased(*token)).collect();
        let reassembler = &mut self.consumers[consumer].reassembler;
        let returned = reassembler.lose(|token| lost.contains(token), self.now);
        assert_eq!(returned.iter().copied().collect::<BTreeSet<_>>(), lost);
        for token in returned {
            self.taken(consumer, token);
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        for consumer in 0..self.consumers.len() {
            let actions = self.consumers[consumer].reassembler.tick(self.now);
            self.act(consumer, actions);
            let next = self.consumers[consumer].reassembler.next_deadline();
            assert!(next.is_none_or(|next| next > self.now), "nothing is due after a tick");
        }
    }

    /// One thing that can happen.
    fn step(&mut self) {
        let consumer = self.chance.usize(0..self.consumers.len());
        let message = self.chance.usize(0..self.messages.len());
        match self.chance.u8(0..100) {
            // At least once: whoever holds the message, now it is this one.
            0..2 if !self.messages[message].is_deleted => self.receive(consumer, message),
            0..60 if self.is_visible(message) => self.receive(consumer, message),
            60..75 => {
                let acks = self.happens(70);
                self.settle(consumer, acks);
            }
            75..85 => self.heartbeat(consumer),
            85..95 => self.pass(SECOND),
            95..97 => self.pass(20 * SECOND),
            97 => self.lose(consumer),
            98 if self.happens(5) => self.drain(consumer),
            _ => {}
        }
        self.assert_bounds(consumer);
    }

    fn drain(&mut self, consumer: usize) {
        let actions = self.consumers[consumer].reassembler.drain();
        self.act(consumer, actions);
        assert!(self.consumers[consumer].held.is_empty(), "a drained one holds nothing");
    }

    fn assert_bounds(&self, consumer: usize) {
        let Consumer {
            reassembler,
            limits,
            held,
            handled,
            ..
        } = &self.consumers[consumer];
        assert_eq!(reassembler.held().copied().collect::<BTreeSet<_>>(), *held);
        let tokens = held.iter().chain(handled.values().flatten());
        let bytes: u64 = tokens.map(|token| cost(self.messages[token.message].size().held)).sum();
        assert!(bytes <= reassembler.bytes && reassembler.bytes <= limits.bytes);
        let ids: BTreeSet<&str> = held
            .iter()
            .map(|token| &*self.messages[token.message].header.whole.id)
            .collect();
        let gathering = ids.iter().filter(|id| !handled.contains_key(**id)).count();
        assert!(gathering + handled.len() <= limits.sets);
        assert_eq!(handled.len(), reassembler.delivered.len());
        let oldest = reassembler.gathering.values().map(|set| self.now - set.opened).max();
        assert!(oldest.is_none_or(|age| age < limits.age));
    }

    /// From now on all goes well, with the first consumer: in the end the queue must be empty.
    fn finish(&mut self) {
        self.hook_deletes = true;
        for consumer in 1..self.consumers.len() {
            self.drain(consumer);
            while !self.consumers[consumer].handled.is_empty() {
                self.settle(consumer, false);
            }
        }
        for _ in 0..2_000 {
            let mut visible: Vec<usize> = (0..self.messages.len()).filter(|at| self.is_visible(*at)).collect();
            self.chance.shuffle(&mut visible);
            for message in visible {
                self.receive(0, message);
                self.settle(0, true);
            }
            while !self.consumers[0].handled.is_empty() {
                self.settle(0, true);
            }
            self.assert_bounds(0);
            if self.messages.iter().all(|message| message.is_deleted) {
                return;
            }
            self.heartbeat(0);
            self.pass(5 * SECOND);
        }
        let left = self.messages.iter().filter(|message| !message.is_deleted).count();
        panic!("{left} messages are left in the queue");
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let size = prop_oneof![
        20 => (1..8_usize, 1..200_usize, 1..6_u32, 20..300_usize),
        4 => (1..20_usize, 1..4097_usize, 1..12_u32, 50..600_usize),
        1 => (150..=200_usize, 1..4097_usize, 1..5_u32, 500..3000_usize),
    ];
    let bounds = (
        prop_oneof![3 => 8_000..40_000_u64, 1 => 100_000..2_000_000_u64],
        prop_oneof![1..4_usize, 4..60_usize],
        0..12_usize,
    );
    let mishaps = (0..8_u8, 0..30_u8, 0..6_u8, any::<bool>());
    (any::<u64>(), size, 1..4_usize, bounds, mishaps).prop_map(
        |(
            seed,
            (payloads, max_len, max_segments, steps),
            consumers,
            (bytes, sets, remembered),
            (lost, twice, hostile, gather),
        )| Case {
            seed,
            payloads,
            max_len,
            max_segments,
            consumers,
            steps,
            bytes,
            sets,
            remembered,
            lost,
            twice,
            hostile,
            gather,
        },
    )
}

/// Ten thousand, or as many as are asked for.
fn config() -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: if asked { default.cases } else { 10_000 },
        failure_persistence: None,
        ..default
    }
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn whatever_the_queue_does_nothing_is_lost_mixed_or_doubled(case in cases()) {
        let mut world = World::new(&case);
        if world.messages.is_empty() {
            return Ok(());
        }
        for _ in 0..case.steps {
            world.step();
        }
        world.finish();
    }
}
