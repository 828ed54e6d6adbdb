//! Whatever happens in whatever order, counts are right and nothing is held for ever.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::consumer::arrival::Turn;
use crate::consumer::state::tests::fifo::{SECOND, fifo_client, numbered};

#[derive(Clone, Debug)]
enum Step {
    /// A message of this group and number, again if it came before; perhaps one that was rejected.
    Arrive(u8, u8, Turn),
    Next,
    /// One of those that are out.
    Retry(usize, u64),
    Aside(usize),
    TakeUp(usize),
    TakeBehind(usize),
    ReturnBehind(usize),
    Settle(usize, End),
    Drop(usize),
    /// One of those that are held.
    Lose(usize),
    /// Time passes, and this is what the heartbeat's requests come to.
    Round(u64, Outcome),
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Confirmed,
    Failed,
    Stale,
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        3 => Just(End::Deleted),
        1 => Just(End::Handled),
        1 => Just(End::Returned(Duration::ZERO)),
        1 => Just(End::Returned(3 * SECOND)),
        1 => Just(End::Lost),
    ]
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        5 => Just(Turn::Handle),
        1 => Just(Turn::Return(2 * SECOND)),
        1 => Just(Turn::ReturnAtOnce(Duration::ZERO)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![4 => Just(Outcome::Confirmed), 1 => Just(Outcome::Failed), 1 => Just(Outcome::Stale)];
    prop_oneof![
        6 => (0_u8..3, 0_u8..5, turn()).prop_map(|(group, number, turn)| Step::Arrive(group, number, turn)),
        6 => Just(Step::Next),
        3 => (any::<usize>(), 0_u64..3).prop_map(|(at, pause)| Step::Retry(at, pause)),
        1 => any::<usize>().prop_map(Step::Aside),
        1 => any::<usize>().prop_map(Step::TakeUp),
        1 => any::<usize>().prop_map(Step::TakeBehind),
        1 => any::<usize>().prop_map(Step::ReturnBehind),
        4 => (any::<usize>(), end()).prop_map(|(at, end)| Step::Settle(at, end)),
        1 => any::<usize>().prop_map(Step::Drop),
        2 => any::<usize>().prop_map(Step::Lose),
        4 => (0_u64..12, outcome).prop_map(|(seconds, outcome)| Step::Round(seconds, outcome)),
    ]
}

struct Run {
    state: State,
    now: Instant,
    receives: HashMap<(u8, u8), u32>,
    /// Given out and not settled.
    out: Vec<Arc<Entry>>,
    shared_turns: bool,
}

impl Run {
    fn pick(&mut self, at: usize) -> Option<(usize, Arc<Entry>)> {
        let at = at.checked_rem(self.out.len())?;
        Some((at, self.out[at].clone()))
    }

    fn take(&mut self, step: &Step) {
        let now = self.now;
        match *step {
            Step::Arrive(group, number, turn) => {
                let receives = self.receives.entry((group, number)).or_default();
                *receives += 1;
                let message = numbered(&group.to_string(), number.into(), *receives);
                self.state.arrive(vec![Arrival { message, turn }], now, now);
            }
            Step::Next => self.out.extend(self.state.next(now)),
            Step::Round(seconds, outcome) => self.round(seconds, outcome),
            Step::Lose(at) => {
                let mut held: Vec<_> = self.state.held.values().map(|slot| slot.entry.clone()).collect();
                held.sort_by_key(|entry| entry.id);
                if let Some(at) = at.checked_rem(held.len()) {
                    held[at].refused();
                }
            }
            Step::Retry(at, _)
            | Step::Aside(at)
            | Step::TakeUp(at)
            | Step::TakeBehind(at)
            | Step::ReturnBehind(at)
            | Step::Settle(at, _)
            | Step::Drop(at) => {
                if let Some((at, entry)) = self.pick(at) {
                    self.take_with(step, at, &entry);
                }
            }
        }
    }

    fn take_with(&mut self, step: &Step, at: usize, entry: &Arc<Entry>) {
        let (state, now) = (&mut self.state, self.now);
        match *step {
            Step::Retry(_, pause) => {
                if state.retry_in_place(entry, Duration::from_secs(pause), now) {
                    self.out.remove(at);
                }
            }
            Step::Aside(_) => state.set_aside(entry, now),
            Step::TakeUp(_) => state.take_up(entry, now),
            Step::TakeBehind(_) => {
                let behind = state.take_behind(entry, |_| true, now);
                self.shared_turns |= !behind.is_empty();
                self.out.extend(behind);
            }
            Step::ReturnBehind(_) => state.return_behind(entry, now),
            Step::Settle(_, end) => {
                state.settling(entry, now);
                state.finish(entry, end, now);
                self.out.remove(at);
            }
            _ => {
                state.give_back(entry, Duration::ZERO, now);
                self.out.remove(at);
            }
        }
    }

    fn round(&mut self, seconds: u64, outcome: Outcome) {
        self.now += Duration::from_secs(seconds);
        let (state, now) = (&mut self.state, self.now);
        let round = state.round(now);
        for (entry, extension) in &round.extend {
            match outcome {
                Outcome::Confirmed => entry.lease().extended(now, *extension, now),
                Outcome::Failed => entry.lease().not_extended(now, 1.0),
                Outcome::Stale => entry.refused(),
            }
        }
        for (entry, delay) in &round.release {
            match outcome {
                Outcome::Confirmed => state.finish(entry, End::Returned(*delay), now),
                Outcome::Failed => state.abandon(entry, now),
                Outcome::Stale => state.finish(entry, End::Lost, now),
            }
        }
        for entry in &round.delete {
            match outcome {
                Outcome::Confirmed => state.finish(entry, End::Deleted, now),
                Outcome::Failed => state.give_back(entry, Duration::ZERO, now),
                Outcome::Stale => state.finish(entry, End::Handled, now),
            }
        }
    }

    fn check(&self) {
        let state = &self.state;
        let count = |phase| state.held.values().filter(|slot| slot.phase == phase).count();
        assert_eq!(
            [state.out, state.aside, state.abandoned],
            [count(Phase::Out), count(Phase::Aside), count(Phase::Abandoned)]
        );
        assert_eq!(state.backlog.len(), count(Phase::Waiting));
        assert_eq!(state.seconds.len(), count(Phase::Second));
        assert!(state.seconds.keys().all(|older| state.held.contains_key(older)));
        if !self.shared_turns {
            for group in ["0", "1", "2"] {
                let turns = state.held.values().filter(|slot| slot.claims);
                let turns = turns.filter(|slot| slot.entry.group.as_deref() == Some(group)).count();
                assert!(turns <= 1, "{turns} of a group have its turn");
            }
        }
    }
}

/// Building a client for every case would take most of the time.
static SETTINGS: LazyLock<Settings> = LazyLock::new(|| fifo_client().consumer("q.fifo").concurrency(4).settings);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn nothing_is_held_for_ever(steps in prop::collection::vec(step(), 0..60), stop in any::<bool>()) {
        let mut state = State::new(&SETTINGS, "q.fifo");
        (state.polling, state.reserved) = (true, 1);
        let mut run = Run {
            state,
            now: Instant::now(),
            receives: HashMap::new(),
            out: Vec::new(),
            shared_turns: false,
        };
        for step in &steps {
            run.take(step);
            run.check();
        }
        if stop {
            run.state.stop(run.now);
            run.state.polls_ended(run.now);
        }
        for _ in 0..40 {
            while let Some(entry) = run.out.pop() {
                run.state.finish(&entry, End::Deleted, run.now);
                run.check();
            }
            run.round(5, Outcome::Confirmed);
            run.check();
            if !stop {
                run.take(&Step::Next);
            }
        }
        prop_assert_eq!((run.state.held(), run.state.backlog.stalled()), (0, 0));
    }
}
