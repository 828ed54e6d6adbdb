use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::memory::Held;
use crate::queue::message::Content;

const RETENTION: Duration = Duration::from_secs(345_600);

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A store whose clock the test moves.
struct Bench {
    store: Store,
    now: Instant,
    max_receives: Option<u32>,
}

impl Bench {
    fn new(fifo: bool) -> Self {
        Self {
            store: Store::new(1, fifo),
            now: Instant::now(),
            max_receives: None,
        }
    }

    fn send(&mut self, body: &str, group: Option<&str>, delay: u64) {
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

    fn pass(&mut self, seconds: u64) {
        self.now += secs(seconds);
        self.store.advance(self.now, RETENTION);
    }

    fn receive(&mut self, max: usize, visibility: u64) -> (Vec<Delivery>, Vec<Parcel>) {
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
fn a_handle_is_stale_after_its_message_is_received_again() {
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
    assert_eq!(bench.counts(), (0, 1, 0), "a stale handle deletes nothing");
    assert_eq!(bench.store.delete(&new), Ok(()));
    assert_eq!(bench.counts(), (0, 0, 0));
    assert_eq!(bench.store.delete(&new), Ok(()));
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
    assert_eq!(bench.bodies(1), ["a"]);
    assert_eq!(
        bench.store.change_visibility(bench.now, &handle, secs(5)),
        Err(Stale::Expired)
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
    assert_eq!(bench.store.next_event(), Some(bench.now + secs(10)));
    bench.pass(10);
    assert_eq!(bench.bodies(10), ["late", "now"]);
    bench.pass(RETENTION.as_secs() - 10);
    assert_eq!(bench.counts(), (0, 0, 0));
    assert_eq!(bench.store.next_event(), None);
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

#[test]
fn a_receive_is_repeated_only_while_its_messages_are_in_flight() {
    let mut bench = Bench::new(true);
    bench.send("a", Some("g"), 0);
    bench.send("b", Some("g"), 0);
    let (delivered, _) = bench.receive(10, 30);
    let handles: Vec<Handle> = delivered.iter().map(|d| d.handle).collect();
    let again = bench.store.repeat(bench.now, &handles, secs(30));
    assert_eq!(again.map(|a| a.len()), Some(2));
    assert_eq!(bench.store.delete(&handles[0]), Ok(()));
    assert!(bench.store.repeat(bench.now, &handles, secs(30)).is_none());
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
