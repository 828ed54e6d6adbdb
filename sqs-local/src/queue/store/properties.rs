//! Random sequences of calls against a model of the queue: which messages exist, and which of them are in flight.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use super::tests::{Bench, secs};
use super::*;

const GROUPS: [&str; 4] = ["a", "b", "c", ""];

#[derive(Clone, Debug)]
enum Step {
    Send {
        group: usize,
        delay: u64,
    },
    Receive {
        max: usize,
        visibility: u64,
    },
    /// Repeats the last receive, as a retry of its request does.
    Repeat(u64),
    /// Deletes by one of the handles so far.
    Delete(prop::sample::Index),
    Change(prop::sample::Index, u64),
    Advance(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let handle = any::<prop::sample::Index>;
    prop_oneof![
        4 => (0..GROUPS.len(), prop_oneof![Just(0), 1..20_u64]).prop_map(|(group, delay)| Step::Send { group, delay }),
        4 => (1..=10_usize, 0..30_u64).prop_map(|(max, visibility)| Step::Receive { max, visibility }),
        1 => (0..30_u64).prop_map(Step::Repeat),
        2 => handle().prop_map(Step::Delete),
        2 => (handle(), prop_oneof![Just(0), 1..30_u64]).prop_map(|(handle, seconds)| Step::Change(handle, seconds)),
        2 => (0..20_u64).prop_map(Step::Advance),
    ]
}

/// The model of a message.
#[derive(Clone, Copy, Debug)]
struct Known {
    group: usize,
    /// The end of its delay or visibility timeout, and whether it is in flight until then.
    hidden: Option<(Instant, bool)>,
}

struct Model {
    bench: Bench,
    fifo: bool,
    known: BTreeMap<u64, Known>,
    sent: u64,
    handles: Vec<Handle>,
    last: Vec<Handle>,
}

impl Model {
    fn new(fifo: bool) -> Self {
        Self {
            bench: Bench::new(fifo),
            fifo,
            known: BTreeMap::new(),
            sent: 0,
            handles: Vec::new(),
            last: Vec::new(),
        }
    }

    fn hidden(&self, number: u64) -> Option<bool> {
        let (until, in_flight) = self.known[&number].hidden?;
        (until > self.bench.now).then_some(in_flight)
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Send { group, delay } => {
                self.sent += 1;
                let hidden = (*delay > 0).then(|| (self.bench.now + secs(*delay), false));
                self.known.insert(self.sent, Known { group: *group, hidden });
                // A FIFO queue has no messages without a group, but the empty name is as good as any other.
                self.bench.send(&self.sent.to_string(), Some(GROUPS[*group]), *delay);
            }
            Step::Receive { max, visibility } => self.receive(*max, *visibility),
            Step::Repeat(visibility) => self.repeat(*visibility),
            Step::Delete(index) => self.delete(index),
            Step::Change(index, seconds) => self.change(index, *seconds),
            Step::Advance(seconds) => self.bench.pass(*seconds),
        }
        self.bench.pass(0);
        self.check_counts();
    }

    fn receive(&mut self, max: usize, visibility: u64) {
        let available = self.available();
        let (delivered, dead) = self.bench.receive(max, visibility);
        assert!(dead.is_empty());
        assert_eq!(delivered.len(), available.min(max), "of {available} available messages");
        self.last = delivered.iter().map(|delivery| delivery.handle).collect();
        let mut now_delivered = BTreeSet::new();
        for delivery in &delivered {
            let number = number_of(&delivery.parcel);
            assert_eq!(self.hidden(number), None, "{number} is hidden");
            if self.fifo {
                self.check_order(number, &now_delivered);
            }
            assert!(now_delivered.insert(number), "{number} is delivered twice");
            self.handles.push(delivery.handle);
        }
        let until = self.bench.now + secs(visibility);
        for number in now_delivered {
            self.known
                .entry(number)
                .and_modify(|known| known.hidden = Some((until, true)));
        }
    }

    /// Checks that a repeated receive delivers messages that are in flight by the same handles.
    fn repeat(&mut self, visibility: u64) {
        let repeated = self.bench.store.repeat(self.bench.now, &self.last, secs(visibility));
        let Repeat::Same(again) = repeated else {
            return;
        };
        let handles: Vec<Handle> = again.iter().map(|delivery| delivery.handle).collect();
        assert_eq!(handles, self.last);
        let until = self.bench.now + secs(visibility);
        for delivery in again {
            let number = number_of(&delivery.parcel);
            assert_eq!(self.hidden(number), Some(true), "{number} is not in flight");
            self.known
                .entry(number)
                .and_modify(|known| known.hidden = Some((until, true)));
        }
    }

    /// Counts the messages that a receive may deliver. A hidden message blocks the later ones of its FIFO group.
    fn available(&self) -> usize {
        let mut blocked = BTreeSet::new();
        let available = self.known.iter().filter(|(number, known)| {
            let hidden = self.hidden(**number).is_some();
            if hidden && self.fifo {
                blocked.insert(known.group);
            }
            !hidden && !blocked.contains(&known.group)
        });
        available.count()
    }

    /// Checks that this receive delivers all earlier messages of the group.
    fn check_order(&self, number: u64, before: &BTreeSet<u64>) {
        let group = self.known[&number].group;
        let earlier = self.known.range(..number).filter(|(_, known)| known.group == group);
        for (other, _) in earlier {
            assert!(before.contains(other), "{number} overtakes {other}");
        }
    }

    fn delete(&mut self, index: &prop::sample::Index) {
        if self.handles.is_empty() {
            return;
        }
        let handle = *index.get(&self.handles);
        let before = self.bench.store.messages.len();
        let _ = self.bench.store.delete(&handle);
        if self.bench.store.messages.len() < before {
            let number = self.known.keys().copied().find(|n| !self.exists(*n));
            self.known.remove(&number.expect("a message of the model"));
        }
        assert_eq!(self.bench.store.messages.len(), self.known.len());
    }

    fn exists(&self, number: u64) -> bool {
        self.bench
            .store
            .iter()
            .any(|stored| number_of(&stored.parcel) == number)
    }

    fn change(&mut self, index: &prop::sample::Index, seconds: u64) {
        if self.handles.is_empty() {
            return;
        }
        let handle = *index.get(&self.handles);
        let number = self.bench.store.messages.get(&handle.key).map(|s| number_of(&s.parcel));
        let changed = self
            .bench
            .store
            .change_visibility(self.bench.now, &handle, secs(seconds));
        if changed.is_ok() {
            let until = self.bench.now + secs(seconds);
            let known = self.known.get_mut(&number.expect("a message"));
            known.expect("a message of the model").hidden = Some((until, true));
        }
    }

    fn check_counts(&self) {
        let hidden = |wanted: bool| self.known.keys().filter(|n| self.hidden(**n) == Some(wanted)).count();
        let (in_flight, delayed) = (hidden(true), hidden(false));
        let counts = self.bench.store.counts();
        assert_eq!((counts.in_flight, counts.delayed), (in_flight, delayed));
        assert_eq!(counts.visible, self.known.len() - in_flight - delayed);
        let states = self.bench.store.iter().map(|stored| stored.state);
        let ready = states.filter(|state| matches!(state, State::Ready { .. }));
        assert_eq!(ready.count(), counts.visible);
    }

    /// Receives and deletes all messages, and checks that none is lost and that nothing else is left.
    fn drain(mut self) {
        self.bench.pass(60);
        let mut left: BTreeSet<u64> = self.known.keys().copied().collect();
        loop {
            let (delivered, _) = self.bench.receive(10, 30);
            if delivered.is_empty() {
                break;
            }
            for delivery in delivered {
                assert!(left.remove(&number_of(&delivery.parcel)));
                assert_eq!(self.bench.store.delete(&delivery.handle), Ok(()));
            }
        }
        assert!(left.is_empty(), "{left:?} are lost");
        assert!(self.bench.store.is_empty_everywhere());
    }
}

fn number_of(parcel: &Parcel) -> u64 {
    parcel.content.body.parse().expect("a number")
}

impl Store {
    fn is_empty_everywhere(&self) -> bool {
        let indexes = self.timers.is_empty() && self.by_age.is_empty() && self.ready.is_empty();
        self.messages.is_empty() && indexes && (self.in_flight, self.delayed) == (0, 0)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_calls_loses_or_doubles_or_reorders_messages(fifo: bool, steps in vec(step(), 1..120)) {
        let mut model = Model::new(fifo);
        for step in &steps {
            model.run(step);
        }
        model.drain();
    }
}
