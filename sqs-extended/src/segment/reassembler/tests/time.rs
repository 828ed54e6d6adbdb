//! Timeouts and delays.

use super::*;

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
