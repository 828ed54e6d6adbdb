use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::memory::Held;
use crate::queue::message::Content;

pub(super) const RETENTION: Duration = Duration::from_secs(345_600);

pub(super) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A store whose clock the test moves.
pub(super) struct Bench {
    pub(super) store: Store,
    pub(super) now: Instant,
    max_receives: Option<u32>,
}

impl Bench {
    pub(super) fn new(fifo: bool) -> Self {
        Self {
            store: Store::new(1, fifo),
            now: Instant::now(),
            max_receives: None,
        }
    }

    pub(super) fn send(&mut self, body: &str, group: Option<&str>, delay: u64) {
        let content = Content {
            id: body.to_owned(),
            body: body.to_owned(),
            md5: String::new(),
            attributes: BTreeMap::new(),
            md5_attributes: None,
            trace_header: None,
            group: group.map(str::to_owned),
            deduplication_id: None,
            sequence_number: None,
            sender: String::new(),
            sent_ms: 0,
            _held: Held::default(),
        };
        let parcel = Parcel {
            content: Arc::new(content),
            receives: 0,
            first_received_ms: None,
            source_arn: None,
            entered: self.now,
        };
        self.store.enter(self.now, parcel, secs(delay));
    }

    fn change(&mut self, handle: &Handle, visibility: u64) -> Result<(), Stale> {
        self.store.change_visibility(self.now, handle, secs(visibility))
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        self.now += secs(seconds);
        self.store.advance(self.now, RETENTION);
    }

    pub(super) fn receive(&mut self, max: usize, visibility: u64) -> (Vec<Delivery>, Vec<Parcel>) {
        let now = Now {
            at: self.now,
            wall_ms: 1,
        };
        let ask = Take {
            max,
            visibility: secs(visibility),
            max_receives: self.max_receives,
            shuffle: None,
        };
        self.store.take(now, &ask)
    }

    fn bodies(&mut self, max: usize) -> Vec<String> {
        let (delivered, _) = self.receive(max, 30);
        delivered.iter().map(|d| d.parcel.content.body.clone()).collect()
    }

    fn one(&mut self, visibility: u64) -> Handle {
        self.receive(1, visibility).0[0].handle
    }

    fn counts(&self) -> (usize, usize, usize) {
        let counts = self.store.counts();
        (counts.visible, counts.in_flight, counts.delayed)
    }
}

#[test]
fn an_earlier_handle_deletes_no_message_in_flight() {
    let mut bench = Bench::new(false);
    bench.send("a", None, 0);
    let old = bench.one(30);
    assert_eq!(bench.counts(), (0, 1, 0));
    bench.pass(29);
    assert!(bench.bodies(1).is_empty());
    bench.pass(1);
    let new = bench.one(30);
    assert_ne!(old, new);
    assert_eq!(bench.store.delete(&old), Ok(()));
    assert_eq!(bench.counts(), (0, 1, 0), "an earlier handle deletes nothing");
    assert_eq!(bench.store.delete(&new), Ok(()));
    assert_eq!(bench.counts(), (0, 0, 0));
    assert_eq!(bench.store.delete(&new), Ok(()));
}

#[test]
fn an_earlier_handle_deletes_a_visible_message_of_a_standard_queue() {
    for fifo in [false, true] {
        let mut bench = Bench::new(fifo);
        bench.send("a", Some("g"), 0);
        let old = bench.one(30);
        bench.pass(30);
        bench.one(30);
        bench.pass(30);
        let deleted = bench.store.delete(&old);
        assert_eq!(deleted, if fifo { Err(Stale::Expired) } else { Ok(()) });
        assert_eq!(bench.counts().0, usize::from(fifo));
    }
}

#[test]
fn an_earlier_handle_changes_the_visibility_timeout_on_standard_queues_only() {
    for fifo in [false, true] {
        let mut bench = Bench::new(fifo);
        bench.send("a", Some("g"), 0);
        let old = bench.one(10);
        bench.pass(10);
        bench.one(10);
        let changed = bench.change(&old, 60);
        assert_eq!(changed, if fifo { Err(Stale::Expired) } else { Ok(()) });
        bench.pass(10);
        assert_eq!(bench.counts().1, usize::from(!fifo));
    }
}

#[test]
fn an_expired_handle_deletes_on_standard_queues_only() {
    for fifo in [false, true] {
        let mut bench = Bench::new(fifo);
        bench.send("a", Some("g"), 0);
        let handle = bench.one(5);
        bench.pass(5);
        let deleted = bench.store.delete(&handle);
        assert_eq!(deleted, if fifo { Err(Stale::Expired) } else { Ok(()) });
        assert_eq!(bench.counts().0, usize::from(fifo));
    }
}

#[test]
fn a_handle_changes_the_visibility_timeout() {
    let mut bench = Bench::new(false);
    bench.send("a", None, 0);
    let handle = bench.one(10);
    assert_eq!(bench.store.change_visibility(bench.now, &handle, secs(60)), Ok(()));
    bench.pass(59);
    assert_eq!(bench.counts(), (0, 1, 0));
    assert_eq!(
        bench.store.change_visibility(bench.now, &handle, secs(43_200)),
        Err(Stale::TooLong)
    );
    bench.pass(1);
    assert_eq!(bench.counts(), (1, 0, 0));
    // The message was not received again, so its handle is still valid.
    assert_eq!(bench.store.change_visibility(bench.now, &handle, secs(5)), Ok(()));
    assert_eq!(bench.counts(), (0, 1, 0));
    assert_eq!(bench.store.change_visibility(bench.now, &handle, secs(0)), Ok(()));
    assert_eq!(bench.counts(), (1, 0, 0));
    assert_eq!(
        bench.store.change_visibility(bench.now, &handle, secs(5)),
        Err(Stale::NotInFlight)
    );
}

#[test]
fn a_message_received_with_zero_visibility_stays_visible() {
    let mut bench = Bench::new(false);
    bench.send("a", None, 0);
    bench.one(0);
    bench.pass(0);
    assert_eq!(bench.counts(), (1, 0, 0));
}

#[test]
fn messages_wait_for_their_delay_and_end_with_their_retention() {
    let mut bench = Bench::new(false);
    bench.send("late", None, 10);
    bench.send("now", None, 0);
    assert_eq!(bench.counts(), (1, 0, 1));
    assert_eq!(bench.store.next_event(RETENTION), Some(bench.now + secs(10)));
    bench.pass(10);
    assert_eq!(bench.bodies(10), ["late", "now"]);
    bench.pass(RETENTION.as_secs() - 10);
    assert_eq!(bench.counts(), (0, 0, 0));
    assert_eq!(bench.store.next_event(RETENTION), None);
}

/// SQS keeps the visible count when it moves a dead letter.
#[test]
fn a_redrive_policy_counts_the_receives_from_its_own_queue() {
    let mut bench = Bench::new(false);
    bench.send("a", None, 0);
    for _ in 0..3 {
        bench.one(0);
        bench.pass(0);
    }
    bench.max_receives = Some(3);
    let (_, dead) = bench.receive(1, 0);
    let mut next = Bench::new(false);
    next.max_receives = Some(2);
    next.store.enter(next.now, dead[0].clone(), Duration::ZERO);
    for receives in [4, 5] {
        let (delivered, dead) = next.receive(1, 0);
        assert_eq!((delivered[0].parcel.receives, dead.len()), (receives, 0));
        next.pass(0);
    }
    let (delivered, dead) = next.receive(1, 0);
    assert_eq!((delivered.len(), dead[0].receives), (0, 5));
}

#[test]
fn a_duplicate_of_a_message_counts_the_same_receives() {
    let mut bench = Bench::new(false);
    bench.max_receives = Some(1);
    bench.send("a", None, 0);
    let (delivered, _) = bench.receive(1, 30);
    bench.store.duplicate(bench.now, &delivered[0]);
    assert_eq!(
        bench.receive(1, 30).1.len(),
        1,
        "the duplicate was received once as well"
    );
}

#[test]
fn a_message_that_is_returned_again_and_again_starves_no_other() {
    for fifo in [false, true] {
        let mut bench = Bench::new(fifo);
        for body in ["poison", "b", "c"] {
            bench.send(body, Some(body), 0);
        }
        let mut order = Vec::new();
        for _ in 0..4 {
            let (delivered, _) = bench.receive(1, 30);
            order.push(delivered[0].parcel.content.body.clone());
            assert_eq!(bench.change(&delivered[0].handle, 0), Ok(()));
        }
        assert_eq!(order, ["poison", "b", "c", "poison"]);
    }
}

#[test]
fn a_message_is_a_dead_letter_at_the_receive_after_the_last_allowed_one() {
    let mut bench = Bench::new(true);
    bench.max_receives = Some(2);
    bench.send("a", Some("g"), 0);
    bench.send("b", Some("g"), 0);
    for _ in 0..2 {
        bench.one(1);
        bench.pass(1);
    }
    let (delivered, dead) = bench.receive(1, 30);
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].content.body.as_str(), dead[0].receives), ("a", 2));
    assert_eq!(delivered[0].parcel.content.body, "b");
    assert_eq!(bench.counts(), (0, 1, 0));
}

#[test]
fn a_message_in_flight_blocks_its_group() {
    let mut bench = Bench::new(true);
    for (body, group) in [("a1", "a"), ("a2", "a"), ("b1", "b"), ("a3", "a")] {
        bench.send(body, Some(group), 0);
    }
    let (delivered, _) = bench.receive(2, 30);
    assert_eq!(bench.bodies(10), ["b1"]);
    assert_eq!(bench.store.delete(&delivered[0].handle), Ok(()));
    assert!(bench.bodies(10).is_empty());
    let _ = bench.store.change_visibility(bench.now, &delivered[1].handle, secs(0));
    assert_eq!(bench.bodies(10), ["a2", "a3"]);
}

#[test]
fn a_returned_head_is_received_while_the_next_message_is_in_flight() {
    let mut bench = Bench::new(true);
    for body in ["1", "2", "3"] {
        bench.send(body, Some("g"), 0);
    }
    let (delivered, _) = bench.receive(2, 30);
    let _ = bench.store.change_visibility(bench.now, &delivered[0].handle, secs(0));
    assert_eq!(bench.bodies(10), ["1"]);
}

#[test]
fn messages_that_time_out_are_received_before_an_extended_one() {
    let mut bench = Bench::new(true);
    for body in ["1", "2", "3", "4"] {
        bench.send(body, Some("g"), 0);
    }
    let (delivered, _) = bench.receive(3, 10);
    let _ = bench.store.change_visibility(bench.now, &delivered[2].handle, secs(60));
    bench.pass(10);
    assert_eq!(bench.bodies(10), ["1", "2"]);
    assert_eq!(bench.store.delete(&delivered[2].handle), Ok(()));
    assert!(bench.bodies(10).is_empty());
    bench.pass(30);
    assert_eq!(bench.bodies(10), ["1", "2", "4"]);
}

/// Receives two messages of a FIFO queue.
fn two_received(visibility: u64) -> (Bench, Vec<Handle>) {
    let mut bench = Bench::new(true);
    bench.send("a", Some("g"), 0);
    bench.send("b", Some("g"), 0);
    let (delivered, _) = bench.receive(10, visibility);
    let handles = delivered.iter().map(|d| d.handle).collect();
    (bench, handles)
}

#[test]
fn a_repeated_receive_restarts_the_visibility_timeout() {
    let (mut bench, handles) = two_received(30);
    bench.pass(20);
    let Repeat::Same(again) = bench.store.repeat(bench.now, &handles, secs(30)) else {
        panic!("not repeated");
    };
    let again: Vec<Handle> = again.iter().map(|d| d.handle).collect();
    assert_eq!(again, handles);
    bench.pass(29);
    assert_eq!(bench.counts(), (0, 2, 0));
    bench.pass(1);
    assert_eq!(bench.counts(), (2, 0, 0));
    let repeated = bench.store.repeat(bench.now, &handles, secs(30));
    assert!(matches!(repeated, Repeat::Expired), "{repeated:?}");
}

#[test]
fn a_repeated_receive_extends_no_message_beyond_twelve_hours() {
    let (mut bench, handles) = two_received(43_200);
    bench.pass(200);
    let repeated = bench.store.repeat(bench.now, &handles, secs(43_200));
    assert!(matches!(repeated, Repeat::Same(again) if again.len() == 2));
    bench.pass(43_000);
    assert_eq!(bench.counts(), (2, 0, 0));
}

#[test]
fn a_receive_is_not_repeated_after_a_message_was_changed_or_deleted() {
    for delete in [false, true] {
        let (mut bench, handles) = two_received(30);
        let done = if delete {
            bench.store.delete(&handles[1])
        } else {
            bench.change(&handles[1], 60)
        };
        assert_eq!(done, Ok(()));
        let repeated = bench.store.repeat(bench.now, &handles, secs(30));
        assert!(matches!(repeated, Repeat::Refused), "{repeated:?}");
    }
}

#[test]
fn handles_are_stale_after_clearing() {
    let mut bench = Bench::new(false);
    bench.send("a", None, 0);
    let old = bench.one(30);
    bench.store.clear();
    bench.send("b", None, 0);
    assert_eq!(bench.store.delete(&old), Ok(()));
    assert_eq!(bench.counts(), (1, 0, 0));
}
