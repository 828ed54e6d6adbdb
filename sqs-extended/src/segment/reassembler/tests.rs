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
fn an_incomplete_payload_expires() {
    let (mut all, now) = (reassembler(limits()), Instant::now());
    assert_eq!(all.next_deadline(), None);
    all.add_segment(&segment("p", 1, 3), 10, "1", now);
    all.add_segment(&segment("p", 2, 3), 10, "2", now + 59 * SECOND);
    assert_eq!(all.next_deadline(), Some(now + 60 * SECOND));
    assert_eq!(all.tick(now + 59 * SECOND), []);
    let expired = Action::Incomplete {
        whole: segment("p", 0, 3).whole,
        have: 2,
        why: IncompleteCause::Expired,
        tokens: vec!["1", "2"],
        after: 2 * SECOND,
        cost: 2 * (10 + 1024),
    };
    assert_eq!(all.tick(now + 60 * SECOND), [expired]);
    assert_eq!((all.bytes, all.next_deadline()), (0, None));
}

#[test]
fn an_expired_payload_is_evicted_first_and_its_delay_grows() {
    let (mut all, mut now) = (reassembler(limits()), Instant::now());
    let half = |id| segment(id, 0, 2);
    for (nth, pause) in [2, 3, 5, 9].into_iter().enumerate() {
        for id in ["x", "y", "z"] {
            assert_eq!(all.add_segment(&half(id), 10, "half", now), [], "{nth}");
        }
        now += 60 * SECOND;
        for action in all.tick(now) {
            let Action::Incomplete { why, after, cost, .. } = action else {
                panic!("{action:?}");
            };
            assert_eq!((why, after), (IncompleteCause::Expired, pause * SECOND), "{nth}");
            all.decided(cost);
        }
        now += pause * SECOND;
    }
    for id in ["x", "y", "z"] {
        assert_eq!(all.add_segment(&half(id), 10, id, now), []);
    }
    let evicted = all.add_segment(&half("new"), 10, "new", now);
    assert_eq!(evicted, [returned("z", 17, ReturnReason::Overflow)]);
    let refused = all.add_segment(&half("z"), 10, "z", now + 17 * SECOND);
    assert_eq!(
        refused,
        [returned("z", 33, ReturnReason::Overflow)],
        "it evicts no other expired payload"
    );
    let whole = all.add_segment(&segment("new", 1, 2), 10, "1", now);
    assert_eq!(whole, [delivered(&half("new"), &["new", "1"], &[])]);
}

#[test]
fn the_limit_counts_the_whole_message() {
    let max_bytes = 10_000;
    let (mut all, now) = (reassembler(Limits { max_bytes, ..limits() }), Instant::now());
    let heavy = SegmentSize { len: 10, memory: 6_000 };
    assert_eq!(all.offer(&segment("a", 0, 2), heavy, "a", now), []);
    let second = all.offer(&segment("b", 0, 2), heavy, "b", now);
    assert_eq!(second, [returned("b", 2, ReturnReason::Overflow)]);
    let own = all.offer(&segment("a", 1, 2), heavy, "a1", now);
    let too_large = Action::Incomplete {
        whole: segment("a", 0, 2).whole,
        have: 2,
        why: IncompleteCause::TooLarge,
        tokens: vec!["a", "a1"],
        after: 2 * SECOND,
        cost: 2 * (6_000 + 1024),
    };
    assert_eq!(own, [too_large], "it can never become complete");
}

#[test]
fn undecided_messages_count_until_the_hook_decides() {
    let max_bytes = 10_000;
    let (mut all, now) = (reassembler(Limits { max_bytes, ..limits() }), Instant::now());
    let heavy = SegmentSize { len: 10, memory: 6_000 };
    all.offer(&segment("a", 0, 2), heavy, "a", now);
    let conflict = all.offer(&segment("a", 1, 3), heavy, "wrong", now);
    assert_eq!(
        causes(&conflict),
        [IncompleteCause::Conflict],
        "one is reported at a time"
    );
    let another = all.offer(&segment("a", 2, 4), heavy, "another", now);
    assert_eq!(another, [returned("another", 2, ReturnReason::Overflow)]);
    all.decided(6_000 + 1024);
    let again = all.offer(&segment("a", 1, 3), heavy, "wrong", now + 2 * SECOND);
    let Action::Incomplete { after, .. } = again[0] else {
        panic!("{again:?}");
    };
    assert_eq!(after, 3 * SECOND, "the delay grows");
}

#[test]
fn a_segment_of_a_returned_payload_stays_hidden_with_it() {
    let (mut all, now) = (reassembler(limits()), Instant::now());
    all.add_segment(&segment("p", 0, 1), 10, "p", now);
    all.add_segment(&segment("p", 0, 1), 10, "late", now);
    let until = now + 20 * SECOND;
    assert_eq!(
        all.returned("p", until, now),
        [returned("late", 20, ReturnReason::PayloadReturned)]
    );
    let early = all.add_segment(&segment("p", 0, 1), 10, "early", now + 5 * SECOND);
    assert_eq!(early, [returned("early", 15, ReturnReason::PayloadReturned)]);
    let again = all.add_segment(&segment("p", 0, 1), 10, "p", until);
    assert_eq!(again, [delivered(&segment("p", 0, 1), &["p"], &[])]);

    all.add_segment(&segment("q", 0, 2), 10, "q", now);
    let actions = all.return_partial("q", 9 * SECOND, now);
    assert_eq!(actions, [returned("q", 9, ReturnReason::PayloadReturned)]);
    let early = all.add_segment(&segment("q", 1, 2), 10, "q1", now + SECOND);
    assert_eq!(early, [returned("q1", 8, ReturnReason::PayloadReturned)]);
}

#[test]
fn an_infinite_timeout_has_no_deadline() {
    let timeout = Duration::MAX;
    let (mut all, now) = (reassembler(Limits { timeout, ..limits() }), Instant::now());
    all.add_segment(&segment("p", 1, 3), 10, "1", now);
    assert_eq!((all.next_deadline(), all.tick(now + SECOND)), (None, vec![]));
}

#[test]
fn a_payload_without_its_first_segment_is_returned_early() {
    let first_segment_timeout = Some(2 * SECOND);
    let (mut all, now) = (
        reassembler(Limits {
            first_segment_timeout,
            ..limits()
        }),
        Instant::now(),
    );
    all.add_segment(&segment("without", 1, 3), 10, "w1", now);
    all.add_segment(&segment("with", 1, 3), 10, "h1", now);
    all.add_segment(&segment("with", 0, 3), 10, "h0", now);
    assert_eq!(all.next_deadline(), Some(now + 2 * SECOND));
    assert_eq!(
        all.tick(now + 2 * SECOND),
        [returned("w1", 2, ReturnReason::FirstSegmentMissing)]
    );
    // Losing the first segment starts the timeout again.
    assert_eq!(all.remove_lost(|token| *token == "h0", now + 10 * SECOND), ["h0"]);
    assert_eq!(all.next_deadline(), Some(now + 12 * SECOND));
    assert_eq!(
        all.tick(now + 12 * SECOND),
        [returned("h1", 2, ReturnReason::FirstSegmentMissing)]
    );
}

#[test]
fn a_payload_whose_first_segment_never_arrives_expires() {
    let first_segment_timeout = Some(2 * SECOND);
    let (mut all, start) = (
        reassembler(Limits {
            first_segment_timeout,
            ..limits()
        }),
        Instant::now(),
    );
    for second in (0..58).step_by(4) {
        let now = start + second * SECOND;
        all.add_segment(&segment("p", 1, 3), 10, "1", now);
        assert_eq!(
            all.tick(now + 2 * SECOND),
            [returned("1", 2, ReturnReason::FirstSegmentMissing)]
        );
    }
    all.add_segment(&segment("p", 1, 3), 10, "1", start + 60 * SECOND);
    assert_eq!(causes(&all.tick(start + 62 * SECOND)), [IncompleteCause::Expired]);
    // The timeout starts again.
    all.add_segment(&segment("p", 1, 3), 10, "1", start + 63 * SECOND);
    let again = all.tick(start + 65 * SECOND);
    assert_eq!(again, [returned("1", 2, ReturnReason::FirstSegmentMissing)]);
}

#[test]
fn a_later_payload_is_evicted_for_an_earlier_one() {
    // Room for three segments.
    let max_bytes = 3 * (10 + 1024);
    let (mut all, now) = (reassembler(Limits { max_bytes, ..limits() }), Instant::now());
    all.add_segment(&segment("first", 0, 3), 10, "f0", now);
    all.add_segment(&segment("second", 0, 2), 10, "s0", now);
    all.add_segment(&segment("third", 0, 2), 10, "t0", now);
    let newcomer = all.add_segment(&segment("second", 1, 3), 10, "conflict", now);
    assert_eq!(
        causes(&newcomer),
        [IncompleteCause::Conflict],
        "a conflict evicts nothing"
    );
    all.decided(10 + 1024);
    assert_eq!(
        all.add_segment(&segment("third", 1, 2), 10, "t1", now),
        [returned("t1", 2, ReturnReason::Overflow)]
    );
    assert_eq!(
        all.add_segment(&segment("first", 1, 3), 10, "f1", now),
        [returned("t0", 2, ReturnReason::Overflow)]
    );
    let whole = all.add_segment(&segment("first", 2, 3), 10, "f2", now);
    let expected = delivered(&segment("first", 2, 3), &["f0", "f1", "f2"], &[]);
    assert_eq!(whole, [returned("s0", 2, ReturnReason::Overflow), expected]);
    // A delivered payload counts until it is acknowledged.
    assert_eq!(
        all.add_segment(&segment("second", 0, 2), 10, "s0", now),
        [returned("s0", 2, ReturnReason::Overflow)]
    );
    all.acked("first", now);
    assert_eq!(all.add_segment(&segment("second", 0, 2), 10, "s0", now), []);
}

#[test]
fn a_duplicate_evicts_nothing_and_replaces_the_older_message() {
    let max_bytes = 2 * (10 + 1024);
    let (mut all, now) = (reassembler(Limits { max_bytes, ..limits() }), Instant::now());
    all.add_segment(&segment("a", 0, 2), 10, "a0", now);
    all.add_segment(&segment("b", 0, 2), 10, "b0", now);
    assert_eq!(
        all.add_segment(&segment("a", 0, 2), 10, "a0 again", now),
        [returned("a0", 2, ReturnReason::Duplicate)]
    );
    assert_eq!(all.buffered().collect::<Vec<_>>(), [&"a0 again", &"b0"]);
}

#[test]
fn duplicates_never_prevent_completion() {
    let max_bytes = 2 * (10 + 1024);
    let (mut all, now) = (reassembler(Limits { max_bytes, ..limits() }), Instant::now());
    for token in ["old", "new"] {
        assert_eq!(all.add_segment(&segment("p", 0, 2), 10, token, now), []);
    }
    let whole = all.add_segment(&segment("p", 1, 2), 10, "1", now);
    let expected = delivered(&segment("p", 1, 2), &["new", "1"], &[]);
    assert_eq!(whole, [returned("old", 2, ReturnReason::Duplicate), expected]);
}

#[test]
fn the_number_of_payloads_is_limited() {
    let (mut all, now) = (reassembler(limits()), Instant::now());
    for id in ["a", "b", "c"] {
        assert_eq!(all.add_segment(&segment(id, 0, 2), 10, "first", now), []);
    }
    let fourth = all.add_segment(&segment("d", 0, 2), 10, "d", now);
    assert_eq!(fourth, [returned("d", 2, ReturnReason::Overflow)]);
}

#[test]
fn a_payload_above_the_limit_is_reported_at_once() {
    let (mut all, now) = (reassembler(limits()), Instant::now());
    let actions = all.add_segment(&segment_with_len("p", 0, 2, 50_000), 50_000, "p", now);
    assert_eq!(causes(&actions), [IncompleteCause::TooLarge]);
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
