mod room;
mod time;

use super::*;
use crate::codec::Encoding;
use crate::payload::digest::Digest;
use crate::segment::layout::Layout;

const SECOND: Duration = Duration::from_secs(1);

fn limits() -> Limits {
    Limits {
        max_bytes: 100_000,
        max_payloads: 3,
        timeout: 60 * SECOND,
        first_segment_timeout: None,
        return_delay: (SECOND, 3 * SECOND),
        max_finished: 10,
        finished_for: 600 * SECOND,
    }
}

fn reassembler(limits: Limits) -> Reassembler<&'static str> {
    Reassembler::new(limits, || 0.5)
}

trait OfferSegment {
    fn add_segment(
        &mut self,
        header: &Header,
        len: u64,
        token: &'static str,
        now: Instant,
    ) -> Vec<Action<&'static str>>;
}

impl OfferSegment for Reassembler<&'static str> {
    /// Offers a message without attributes.
    fn add_segment(
        &mut self,
        header: &Header,
        len: u64,
        token: &'static str,
        now: Instant,
    ) -> Vec<Action<&'static str>> {
        self.offer(header, SegmentSize { len, memory: len }, token, now)
    }
}

/// A segment of 10 bytes, of a payload with `count` segments.
fn segment(id: &str, index: u32, count: u32) -> Header {
    segment_with_len(id, index, count, 10)
}

fn segment_with_len(id: &str, index: u32, count: u32, len: u64) -> Header {
    let digest: Digest = format!("blake3:{}", "0".repeat(64)).parse().unwrap();
    Header {
        whole: Whole {
            id: id.to_owned(),
            count,
            total: u64::from(count) * len,
            digest: digest.clone(),
            original_length: None,
            encoding: Encoding::default(),
        },
        index,
        offset: u64::from(index) * len,
        checksum: digest,
        layout: Layout::Text,
    }
}

fn delivered(header: &Header, segments: &[&'static str], duplicates: &[&'static str]) -> Action<&'static str> {
    Action::Deliver {
        whole: header.whole.clone(),
        segments: segments.to_vec(),
        duplicates: duplicates.to_vec(),
    }
}

fn returned(token: &'static str, seconds: u32, why: ReturnReason) -> Action<&'static str> {
    let after = seconds * SECOND;
    Action::Return { token, after, why }
}

fn causes(actions: &[Action<&'static str>]) -> Vec<IncompleteCause> {
    let why = |action: &Action<_>| match action {
        Action::Incomplete { why, .. } => *why,
        other => panic!("{other:?}"),
    };
    actions.iter().map(why).collect()
}

#[test]
fn a_payload_is_delivered_in_order_with_the_newest_message_of_each_segment() {
    let (mut all, now) = (reassembler(limits()), Instant::now());
    assert_eq!(all.add_segment(&segment("p", 2, 3), 10, "2", now), []);
    assert_eq!(all.add_segment(&segment("p", 0, 3), 10, "0", now), []);
    assert_eq!(all.add_segment(&segment("p", 0, 3), 10, "0 again", now), []);
    assert_eq!(all.buffered().count(), 3);
    let actions = all.add_segment(&segment("p", 1, 3), 10, "1", now);
    assert_eq!(
        actions,
        [delivered(&segment("p", 1, 3), &["0 again", "1", "2"], &["0"])]
    );
    assert_eq!(all.buffered().count(), 0);
}

#[test]
fn late_duplicates_are_deleted_or_returned_with_their_payload() {
    let now = Instant::now();
    let late = || {
        let mut all = reassembler(limits());
        all.add_segment(&segment("p", 0, 1), 10, "first", now);
        assert_eq!(all.add_segment(&segment("p", 0, 1), 10, "late", now), []);
        assert_eq!(all.buffered().collect::<Vec<_>>(), [&"late"]);
        let more = all.add_segment(&segment("p", 0, 1), 10, "later", now);
        assert_eq!(more, [returned("later", 2, ReturnReason::Duplicate)]);
        all
    };
    let mut all = late();
    assert_eq!(all.acked("p", now), [Action::Delete { token: "late" }]);
    assert_eq!(all.bytes, 0);
    let again = all.add_segment(&segment("p", 0, 1), 10, "again", now + 599 * SECOND);
    assert_eq!(again, [Action::Delete { token: "again" }]);
    let forgotten = all.add_segment(&segment("p", 0, 1), 10, "again", now + 600 * SECOND);
    assert_eq!(forgotten, [delivered(&segment("p", 0, 1), &["again"], &[])]);

    let mut all = late();
    assert_eq!(
        all.returned("p", now, now),
        [returned("late", 0, ReturnReason::PayloadReturned)]
    );
    assert_eq!(all.bytes, 0);
    let again = all.add_segment(&segment("p", 0, 1), 10, "again", now);
    assert_eq!(again, [delivered(&segment("p", 0, 1), &["again"], &[])]);
}

#[test]
fn the_same_id_with_other_bytes_is_another_payload() {
    let (mut all, now) = (reassembler(limits()), Instant::now());
    all.add_segment(&segment("p", 0, 1), 10, "a", now);
    all.acked("p", now);
    let mut other = segment("p", 0, 1);
    other.whole.digest = format!("blake3:{}", "1".repeat(64)).parse().unwrap();
    assert_eq!(all.add_segment(&other, 10, "b", now), [delivered(&other, &["b"], &[])]);
}

#[test]
fn a_segment_has_a_bounded_number_of_duplicates() {
    let (mut all, now) = (reassembler(limits()), Instant::now());
    for token in ["a", "b", "c"] {
        assert_eq!(all.add_segment(&segment("p", 0, 2), 10, token, now), []);
    }
    let fourth = all.add_segment(&segment("p", 0, 2), 10, "d", now);
    assert_eq!(fourth, [returned("a", 2, ReturnReason::Duplicate)]);
    let whole = all.add_segment(&segment("p", 1, 2), 10, "1", now);
    assert_eq!(whole, [delivered(&segment("p", 1, 2), &["d", "1"], &["b", "c"])]);
}

#[test]
fn a_contradicting_segment_is_refused() {
    let (mut all, now) = (reassembler(limits()), Instant::now());
    all.add_segment(&segment("p", 0, 3), 10, "0", now);
    let middle = segment("p", 1, 3);
    let mut other_digest = middle.clone();
    other_digest.whole.digest = format!("blake3:{}", "1".repeat(64)).parse().unwrap();
    let mut other_encoding = middle.clone();
    other_encoding.whole.encoding.compression = Some("zstd".to_owned());
    let (mut overlapping, mut gap, mut no_room_for_missing) = (middle.clone(), middle.clone(), segment("p", 2, 3));
    (overlapping.offset, gap.offset, no_room_for_missing.offset) = (9, 11, 10);
    let mut other_first = segment("p", 0, 3);
    other_first.checksum = other_digest.whole.digest.clone();
    for (wrong, len) in [
        (segment("p", 1, 4), 10),
        (segment_with_len("p", 1, 3, 11), 11),
        (other_digest, 10),
        (other_encoding, 10),
        (overlapping, 10),
        (gap, 10),
        (no_room_for_missing, 20),
        (other_first, 10),
        (middle.clone(), 20),
        (middle.clone(), 0),
    ] {
        let actions = all.add_segment(&wrong, len, "wrong", now);
        assert_eq!(causes(&actions), [IncompleteCause::Conflict], "{wrong:?}");
    }
    all.add_segment(&middle, 10, "1", now);
    let whole = all.add_segment(&segment("p", 2, 3), 10, "2", now);
    assert_eq!(whole, [delivered(&middle, &["0", "1", "2"], &[])]);
    let late = all.add_segment(&segment("p", 1, 4), 10, "wrong", now);
    assert_eq!(causes(&late), [IncompleteCause::Conflict]);
}

#[test]
fn an_older_message_replaces_a_lost_one() {
    let (mut all, now) = (reassembler(limits()), Instant::now());
    for token in ["old", "new"] {
        all.add_segment(&segment("p", 0, 2), 10, token, now);
    }
    assert_eq!(all.remove_lost(|token| *token == "new", now), ["new"]);
    let whole = all.add_segment(&segment("p", 1, 2), 10, "1", now);
    assert_eq!(whole, [delivered(&segment("p", 1, 2), &["old", "1"], &[])]);
    all.acked("p", now);

    all.add_segment(&segment("q", 0, 2), 10, "0", now);
    assert_eq!(all.remove_lost(|_| true, now), ["0"]);
    assert_eq!(
        (all.bytes, all.next_deadline()),
        (0, None),
        "an empty payload is removed"
    );
}

#[test]
fn drain_returns_every_message() {
    let (mut all, now) = (reassembler(limits()), Instant::now());
    all.add_segment(&segment("p", 0, 1), 10, "handled", now);
    all.add_segment(&segment("p", 0, 1), 10, "late", now);
    all.add_segment(&segment("q", 1, 2), 10, "waiting", now);
    let drained = all.drain();
    let expected = ["waiting", "late"].map(|token| returned(token, 0, ReturnReason::Shutdown));
    assert_eq!(drained, expected);
    assert_eq!(all.buffered().count(), 0);
    assert_eq!(all.acked("p", now), []);
    assert_eq!(all.bytes, 0);
}

#[test]
fn random_numbers_out_of_range_are_ignored() {
    for random in [f64::NAN, -1.0, 2.0, f64::INFINITY] {
        let mut all = Reassembler::new(
            Limits {
                max_payloads: 0,
                ..limits()
            },
            move || random,
        );
        let actions = all.add_segment(&segment("p", 0, 1), 10, "p", Instant::now());
        let Action::Return { after, .. } = &actions[0] else {
            panic!("{actions:?}");
        };
        assert!((SECOND..=3 * SECOND).contains(after));
    }
}
