//! Limits, eviction and payloads that are too large.

use super::*;

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
