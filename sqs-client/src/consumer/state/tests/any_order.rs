//! Checks on any order of events that counts are right and no message stays in flight forever.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::consumer::arrival::Treatment;
use crate::consumer::state::tests::fifo::{SECOND, fifo_client, numbered};

#[derive(Clone, Debug)]
enum Step {
    /// Receives a message of this group and number, perhaps again, perhaps rejected.
    Arrive(u8, u8, Treatment),
    Next,
    /// These concern one of the yielded messages.
    Retry(usize, u64),
    Park(usize),
    Resume(usize),
    TakeLater(usize),
    ReturnLater(usize),
    Settle(usize, End),
    Drop(usize),
    /// Loses the lease of a message in flight.
    Lose(usize),
    /// Time passes, and the heartbeat's requests have this outcome.
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

fn turn() -> impl Strategy<Value = Treatment> {
    prop_oneof![
        5 => Just(Treatment::Handle),
        1 => Just(Treatment::Return(2 * SECOND)),
        1 => Just(Treatment::ReturnAtOnce(Duration::ZERO)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![4 => Just(Outcome::Confirmed), 1 => Just(Outcome::Failed), 1 => Just(Outcome::Stale)];
    prop_oneof![
        6 => (0_u8..3, 0_u8..5, turn()).prop_map(|(group, number, turn)| Step::Arrive(group, number, turn)),
        6 => Just(Step::Next),
        3 => (any::<usize>(), 0_u64..3).prop_map(|(at, pause)| Step::Retry(at, pause)),
        1 => any::<usize>().prop_map(Step::Park),
        1 => any::<usize>().prop_map(Step::Resume),
        1 => any::<usize>().prop_map(Step::TakeLater),
        1 => any::<usize>().prop_map(Step::ReturnLater),
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
    /// The messages that were yielded and not settled.
    yielded: Vec<Arc<TrackedMessage>>,
    shared_turns: bool,
}

impl Run {
    fn pick(&mut self, at: usize) -> Option<(usize, Arc<TrackedMessage>)> {
        let at = at.checked_rem(self.yielded.len())?;
        Some((at, self.yielded[at].clone()))
    }

    fn take(&mut self, step: &Step) {
        let now = self.now;
        match *step {
            Step::Arrive(group, number, turn) => {
                let receives = self.receives.entry((group, number)).or_default();
                *receives += 1;
                let message = numbered(&group.to_string(), number.into(), *receives);
                self.state.arrive(
                    vec![Arrival {
                        message,
                        treatment: turn,
                    }],
                    now,
                    now,
                );
            }
            Step::Next => self.yielded.extend(self.state.next(now)),
            Step::Round(seconds, outcome) => self.round(seconds, outcome),
            Step::Lose(at) => {
                let mut in_flight: Vec<_> = self.state.tracked.values().map(|slot| slot.tracked.clone()).collect();
                in_flight.sort_by_key(|tracked| tracked.id);
                if let Some(at) = at.checked_rem(in_flight.len()) {
                    in_flight[at].mark_lost();
                }
            }
            Step::Retry(at, _)
            | Step::Park(at)
            | Step::Resume(at)
            | Step::TakeLater(at)
            | Step::ReturnLater(at)
            | Step::Settle(at, _)
            | Step::Drop(at) => {
                if let Some((at, tracked)) = self.pick(at) {
                    self.take_with(step, at, &tracked);
                }
            }
        }
    }

    fn take_with(&mut self, step: &Step, at: usize, tracked: &Arc<TrackedMessage>) {
        let (state, now) = (&mut self.state, self.now);
        match *step {
            Step::Retry(_, pause) => {
                if state.retry_in_place(tracked, Duration::from_secs(pause), now) {
                    self.yielded.remove(at);
                }
            }
            Step::Park(_) => state.park(tracked, now),
            Step::Resume(_) => state.resume(tracked, now),
            Step::TakeLater(_) => {
                let behind = state.take_later(tracked, |_| true, now);
                self.shared_turns |= !behind.is_empty();
                self.yielded.extend(behind);
            }
            Step::ReturnLater(_) => state.return_later(tracked, now),
            Step::Settle(_, end) => {
                state.begin_settling(tracked, now);
                state.finish(tracked, end, now);
                self.yielded.remove(at);
            }
            _ => {
                state.schedule_return(tracked, Duration::ZERO, now);
                self.yielded.remove(at);
            }
        }
    }

    fn round(&mut self, seconds: u64, outcome: Outcome) {
        self.now += Duration::from_secs(seconds);
        let (state, now) = (&mut self.state, self.now);
        let round = state.round(now);
        for (tracked, extension) in &round.extensions {
            match outcome {
                Outcome::Confirmed => tracked.lease().extended(now, *extension, now),
                Outcome::Failed => tracked.lease().extension_failed(now, 1.0),
                Outcome::Stale => tracked.mark_lost(),
            }
        }
        for (tracked, delay) in &round.returns {
            match outcome {
                Outcome::Confirmed => state.finish(tracked, End::Returned(*delay), now),
                Outcome::Failed => state.return_failed(tracked, now),
                Outcome::Stale => state.finish(tracked, End::Lost, now),
            }
        }
        for tracked in &round.deletions {
            match outcome {
                Outcome::Confirmed => state.finish(tracked, End::Deleted, now),
                Outcome::Failed => state.schedule_return(tracked, Duration::ZERO, now),
                Outcome::Stale => state.finish(tracked, End::Handled, now),
            }
        }
    }

    fn check(&self) {
        let state = &self.state;
        let count = |phase| state.tracked.values().filter(|slot| slot.phase == phase).count();
        assert_eq!(
            [state.handling, state.parked, state.abandoned],
            [count(Phase::Handling), count(Phase::Parked), count(Phase::Abandoned)]
        );
        assert_eq!(state.backlog.len(), count(Phase::Buffered));
        assert_eq!(state.successors.len(), count(Phase::Successor));
        assert!(state.successors.keys().all(|older| state.tracked.contains_key(older)));
        if !self.shared_turns {
            for group in ["0", "1", "2"] {
                let turns = state.tracked.values().filter(|slot| slot.shares_claim);
                let turns = turns
                    .filter(|slot| slot.tracked.group.as_deref() == Some(group))
                    .count();
                assert!(turns <= 1, "{turns} messages of a group have its turn");
            }
        }
    }
}

/// The settings of every case. They are shared, because building a client for each case would dominate the run time.
static SETTINGS: LazyLock<Settings> = LazyLock::new(|| fifo_client().consumer("q.fifo").concurrency(4).settings);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn no_message_stays_in_flight_forever(steps in prop::collection::vec(step(), 0..60), stop in any::<bool>()) {
        let mut state = State::new(&SETTINGS, "q.fifo");
        (state.polling, state.reserved) = (true, 1);
        let mut run = Run {
            state,
            now: Instant::now(),
            receives: HashMap::new(),
            yielded: Vec::new(),
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
            while let Some(tracked) = run.yielded.pop() {
                run.state.finish(&tracked, End::Deleted, run.now);
                run.check();
            }
            run.round(5, Outcome::Confirmed);
            run.check();
            if !stop {
                run.take(&Step::Next);
            }
        }
        prop_assert_eq!((run.state.in_flight(), run.state.backlog.stalled()), (0, 0));
    }
}
