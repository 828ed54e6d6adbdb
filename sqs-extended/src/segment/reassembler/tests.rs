use super::*;
use crate::codec::Encoding;
use crate::payload::digest::Digest;
use crate::segment::Form;

const SECOND: Duration = Duration::from_secs(1);

fn limits() -> Limits {
    Limits {
        bytes: 100_000,
        sets: 3,
        age: 60 * SECOND,
        gather: None,
        back_after: (SECOND, 3 * SECOND),
        remembered: 10,
        remembered_for: 600 * SECOND,
    }
}

fn reassembler(limits: Limits) -> Reassembler<&'static str> {
    Reassembler::new(limits, || 0.5)
}

trait Take {
    fn take(&mut self, header: &Header, len: u64, token: &'static str, now: Instant) -> Vec<Action<&'static str>>;
}

impl Take for Reassembler<&'static str> {
    /// Offers a message that has nothing but the segment.
    fn take(&mut self, header: &Header, len: u64, token: &'static str, now: Instant) -> Vec<Action<&'static str>> {
        self.offer(header, Size { len, held: len }, token, now)
    }
}

/// A segment of ten bytes, of a payload that has `count` of them.
fn segment(id: &str, index: u32, count: u32) -> Header {
    segment_of(id, index, count, 10)
}

fn segment_of(id: &str, index: u32, count: u32, len: u64) -> Header {
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
        form: Form::Text,
    }
}

fn delivered(header: &Header, segments: &[&'static str], duplicates: &[&'static str]) -> Action<&'static str> {
    Action::Deliver {
        whole: header.whole.clone(),
        segments: segments.to_vec(),
        duplicates: duplicates.to_vec(),
    }
}

fn release(token: &'static str, seconds: u32, why: Released) -> Action<&'static str> {
    let after = seconds * SECOND;
    Action::Release { token, after, why }
}

fn whys(actions: &[Action<&'static str>]) -> Vec<Incomplete> {
    let why = |action: &Action<_>| match action {
        Action::Incomplete { why, .. } => *why,
        other => panic!("{other:?}"),
    };
    actions.iter().map(why).collect()
}

#[test]
fn delivered_in_order_with_the_newest_of_each_segment() {
    let (mut all, now) = (reassembler(limits()), Instant::now());
    assert_eq!(all.take(&segment("p", 2, 3), 10, "2", now), []);
    assert_eq!(all.take(&segment("p", 0, 3), 10, "0", now), []);
    assert_eq!(all.take(&segment("p", 0, 3), 10, "0 again", now), []);
    assert_eq!(all.held().count(), 3);
    let actions = all.take(&segment("p", 1, 3), 10, "1", now);
    assert_eq!(
        actions,
        [delivered(&segment("p", 1, 3), &["0 again", "1", "2"], &["0"])]
    );
    assert_eq!(all.held().count(), 0);
}

#[test]
fn duplicates_of_a_handled_payload_share_its_fate() {
    let now = Instant::now();
    let late = || {
        let mut all = reassembler(limits());
        all.take(&segment("p", 0, 1), 10, "first", now);
        assert_eq!(all.take(&segment("p", 0, 1), 10, "late", now), []);
        assert_eq!(all.held().collect::<Vec<_>>(), [&"late"]);
        let more = all.take(&segment("p", 0, 1), 10, "later", now);
        assert_eq!(more, [release("later", 2, Released::Duplicate)]);
        all
    };
    let mut all = late();
    assert_eq!(all.acked("p", now), [Action::Delete { token: "late" }]);
    assert_eq!(all.bytes, 0);
    let again = all.take(&segment("p", 0, 1), 10, "again", now + 599 * SECOND);
    assert_eq!(again, [Action::Delete { token: "again" }]);
    let forgotten = all.take(&segment("p", 0, 1), 10, "again", now + 600 * SECOND);
    assert_eq!(forgotten, [delivered(&segment("p", 0, 1), &["again"], &[])]);

    let mut all = late();
    assert_eq!(all.released("p", now, now), [release("late", 0, Released::ItsPayload)]);
    assert_eq!(all.bytes, 0);
    let again = all.take(&segment("p", 0, 1), 10, "again", now);
    assert_eq!(again, [delivered(&segment("p", 0, 1), &["again"], &[])]);
}

#[test]
fn an_id_that_is_used_again_for_other_bytes_is_another_payload() {
    let (mut all, now) = (reassembler(limits()), Instant::now());
    all.take(&segment("p", 0, 1), 10, "a", now);
    all.acked("p", now);
    let mut other = segment("p", 0, 1);
    other.whole.digest = format!("blake3:{}", "1".repeat(64)).parse().unwrap();
    assert_eq!(all.take(&other, 10, "b", now), [delivered(&other, &["b"], &[])]);
}

#[test]
fn a_segment_has_a_bounded_number_of_duplicates() {
    let (mut all, now) = (reassembler(limits()), Instant::now());
    for token in ["a", "b", "c"] {
        assert_eq!(all.take(&segment("p", 0, 2), 10, token, now), []);
    }
    let fourth = all.take(&segment("p", 0, 2), 10, "d", now);
    assert_eq!(fourth, [release("a", 2, Released::Duplicate)]);
    let whole = all.take(&segment("p", 1, 2), 10, "1", now);
    assert_eq!(whole, [delivered(&segment("p", 1, 2), &["d", "1"], &["b", "c"])]);
}

#[test]
fn what_contradicts_the_held_is_kept_apart() {
    let (mut all, now) = (reassembler(limits()), Instant::now());
    all.take(&segment("p", 0, 3), 10, "0", now);
    let middle = segment("p", 1, 3);
    let mut other_digest = middle.clone();
    other_digest.whole.digest = format!("blake3:{}", "1".repeat(64)).parse().unwrap();
    let mut other_encoding = middle.clone();
    other_encoding.whole.encoding.compression = Some("zstd".to_owned());
    let (mut overlapping, mut gap, mut over_the_missing) = (middle.clone(), middle.clone(), segment("p", 2, 3));
    (overlapping.offset, gap.offset, over_the_missing.offset) = (9, 11, 10);
    let mut other_first = segment("p", 0, 3);
    other_first.checksum = other_digest.whole.digest.clone();
    for (wrong, len) in [
        (segment("p", 1, 4), 10),
        (segment_of("p", 1, 3, 11), 11),
        (other_digest, 10),
        (other_encoding, 10),
        (overlapping, 10),
        (gap, 10),
        (over_the_missing, 20),
        (other_first, 10),
        (middle.clone(), 20),
        (middle.clone(), 0),
    ] {
        let actions = all.take(&wrong, len, "wrong", now);
        assert_eq!(whys(&actions), [Incomplete::Conflict], "{wrong:?}");
    }
    all.take(&middle, 10, "1", now);
    let whole = all.take(&segment("p", 2, 3), 10, "2", now);
    assert_eq!(whole, [delivered(&middle, &["0", "1", "2"], &[])]);
    let late = all.take(&segment("p", 1, 4), 10, "wrong", now);
    assert_eq!(whys(&late), [Incomplete::Conflict]);
}

#[test]
fn an_old_payload_expires() {
    let (mut all, now) = (reassembler(limits()), Instant::now());
    assert_eq!(all.next_deadline(), None);
    all.take(&segment("p", 1, 3), 10, "1", now);
    all.take(&segment("p", 2, 3), 10, "2", now + 59 * SECOND);
    assert_eq!(all.next_deadline(), Some(now + 60 * SECOND));
    assert_eq!(all.tick(now + 59 * SECOND), []);
    let expired = Action::Incomplete {
        whole: segment("p", 0, 3).whole,
        have: 2,
        why: Incomplete::Expired,
        tokens: vec!["1", "2"],
        after: 2 * SECOND,
        cost: 2 * (10 + 1024),
    };
    assert_eq!(all.tick(now + 60 * SECOND), [expired]);
    assert_eq!((all.bytes, all.next_deadline()), (0, None));
}

#[test]
fn what_has_expired_gives_way_and_waits_longer_each_time() {
    let (mut all, mut now) = (reassembler(limits()), Instant::now());
    let half = |id| segment(id, 0, 2);
    for (nth, pause) in [2, 3, 5, 9].into_iter().enumerate() {
        for id in ["x", "y", "z"] {
            assert_eq!(all.take(&half(id), 10, "half", now), [], "{nth}");
        }
        now += 60 * SECOND;
        for action in all.tick(now) {
            let Action::Incomplete { why, after, cost, .. } = action else {
                panic!("{action:?}");
            };
            assert_eq!((why, after), (Incomplete::Expired, pause * SECOND), "{nth}");
            all.decided(cost);
        }
        now += pause * SECOND;
    }
    for id in ["x", "y", "z"] {
        assert_eq!(all.take(&half(id), 10, id, now), []);
    }
    let gave_way = all.take(&half("new"), 10, "new", now);
    assert_eq!(gave_way, [release("z", 17, Released::Overflow)]);
    let put_off = all.take(&half("z"), 10, "z", now + 17 * SECOND);
    assert_eq!(
        put_off,
        [release("z", 33, Released::Overflow)],
        "it makes no room for itself"
    );
    let whole = all.take(&segment("new", 1, 2), 10, "1", now);
    assert_eq!(whole, [delivered(&half("new"), &["new", "1"], &[])]);
}

#[test]
fn all_that_a_message_takes_counts() {
    let bytes = 10_000;
    let (mut all, now) = (reassembler(Limits { bytes, ..limits() }), Instant::now());
    let heavy = Size { len: 10, held: 6_000 };
    assert_eq!(all.offer(&segment("a", 0, 2), heavy, "a", now), []);
    let second = all.offer(&segment("b", 0, 2), heavy, "b", now);
    assert_eq!(second, [release("b", 2, Released::Overflow)]);
    let own = all.offer(&segment("a", 1, 2), heavy, "a1", now);
    let too_large = Action::Incomplete {
        whole: segment("a", 0, 2).whole,
        have: 2,
        why: Incomplete::TooLarge,
        tokens: vec!["a", "a1"],
        after: 2 * SECOND,
        cost: 2 * (6_000 + 1024),
    };
    assert_eq!(own, [too_large], "it can never be complete");
}

#[test]
fn what_the_user_decides_about_counts_until_then() {
    let bytes = 10_000;
    let (mut all, now) = (reassembler(Limits { bytes, ..limits() }), Instant::now());
    let heavy = Size { len: 10, held: 6_000 };
    all.offer(&segment("a", 0, 2), heavy, "a", now);
    let conflict = all.offer(&segment("a", 1, 3), heavy, "wrong", now);
    assert_eq!(whys(&conflict), [Incomplete::Conflict], "one at a time is asked about");
    let another = all.offer(&segment("a", 2, 4), heavy, "another", now);
    assert_eq!(another, [release("another", 2, Released::Overflow)]);
    all.decided(6_000 + 1024);
    let again = all.offer(&segment("a", 1, 3), heavy, "wrong", now + 2 * SECOND);
    let Action::Incomplete { after, .. } = again[0] else {
        panic!("{again:?}");
    };
    assert_eq!(after, 3 * SECOND, "it waits longer each time");
}

#[test]
fn nothing_of_a_returned_payload_comes_before_its_time() {
    let (mut all, now) = (reassembler(limits()), Instant::now());
    all.take(&segment("p", 0, 1), 10, "p", now);
    all.take(&segment("p", 0, 1), 10, "late", now);
    let until = now + 20 * SECOND;
    assert_eq!(
        all.released("p", until, now),
        [release("late", 20, Released::ItsPayload)]
    );
    let early = all.take(&segment("p", 0, 1), 10, "early", now + 5 * SECOND);
    assert_eq!(early, [release("early", 15, Released::ItsPayload)]);
    let again = all.take(&segment("p", 0, 1), 10, "p", until);
    assert_eq!(again, [delivered(&segment("p", 0, 1), &["p"], &[])]);

    all.take(&segment("q", 0, 2), 10, "q", now);
    let returned = all.give_back("q", 9 * SECOND, now);
    assert_eq!(returned, [release("q", 9, Released::ItsPayload)]);
    let early = all.take(&segment("q", 1, 2), 10, "q1", now + SECOND);
    assert_eq!(early, [release("q1", 8, Released::ItsPayload)]);
}

#[test]
fn an_age_without_end_has_no_deadline() {
    let age = Duration::MAX;
    let (mut all, now) = (reassembler(Limits { age, ..limits() }), Instant::now());
    all.take(&segment("p", 1, 3), 10, "1", now);
    assert_eq!((all.next_deadline(), all.tick(now + SECOND)), (None, vec![]));
}

#[test]
fn what_is_without_its_first_segment_goes_where_that_is() {
    let gather = Some(2 * SECOND);
    let (mut all, now) = (reassembler(Limits { gather, ..limits() }), Instant::now());
    all.take(&segment("elsewhere", 1, 3), 10, "e1", now);
    all.take(&segment("here", 1, 3), 10, "h1", now);
    all.take(&segment("here", 0, 3), 10, "h0", now);
    assert_eq!(all.next_deadline(), Some(now + 2 * SECOND));
    assert_eq!(all.tick(now + 2 * SECOND), [release("e1", 2, Released::Gather)]);
    // Losing the first segment begins the time anew.
    assert_eq!(all.lose(|token| *token == "h0", now + 10 * SECOND), ["h0"]);
    assert_eq!(all.next_deadline(), Some(now + 12 * SECOND));
    assert_eq!(all.tick(now + 12 * SECOND), [release("h1", 2, Released::Gather)]);
}

#[test]
fn what_never_meets_its_first_segment_expires_all_the_same() {
    let gather = Some(2 * SECOND);
    let (mut all, start) = (reassembler(Limits { gather, ..limits() }), Instant::now());
    for second in (0..58).step_by(4) {
        let now = start + second * SECOND;
        all.take(&segment("p", 1, 3), 10, "1", now);
        assert_eq!(all.tick(now + 2 * SECOND), [release("1", 2, Released::Gather)]);
    }
    all.take(&segment("p", 1, 3), 10, "1", start + 60 * SECOND);
    assert_eq!(whys(&all.tick(start + 62 * SECOND)), [Incomplete::Expired]);
    // From here on it has its time again.
    all.take(&segment("p", 1, 3), 10, "1", start + 63 * SECOND);
    let again = all.tick(start + 65 * SECOND);
    assert_eq!(again, [release("1", 2, Released::Gather)]);
}

#[test]
fn the_latest_makes_room_for_the_earlier() {
    // Room for three segments in all.
    let bytes = 3 * (10 + 1024);
    let (mut all, now) = (reassembler(Limits { bytes, ..limits() }), Instant::now());
    all.take(&segment("first", 0, 3), 10, "f0", now);
    all.take(&segment("second", 0, 2), 10, "s0", now);
    all.take(&segment("third", 0, 2), 10, "t0", now);
    let newcomer = all.take(&segment("second", 1, 3), 10, "conflict", now);
    assert_eq!(whys(&newcomer), [Incomplete::Conflict], "which evicts nobody");
    all.decided(10 + 1024);
    assert_eq!(
        all.take(&segment("third", 1, 2), 10, "t1", now),
        [release("t1", 2, Released::Overflow)]
    );
    assert_eq!(
        all.take(&segment("first", 1, 3), 10, "f1", now),
        [release("t0", 2, Released::Overflow)]
    );
    let whole = all.take(&segment("first", 2, 3), 10, "f2", now);
    let expected = delivered(&segment("first", 2, 3), &["f0", "f1", "f2"], &[]);
    assert_eq!(whole, [release("s0", 2, Released::Overflow), expected]);
    // It is in memory until it is settled.
    assert_eq!(
        all.take(&segment("second", 0, 2), 10, "s0", now),
        [release("s0", 2, Released::Overflow)]
    );
    all.acked("first", now);
    assert_eq!(all.take(&segment("second", 0, 2), 10, "s0", now), []);
}

#[test]
fn a_duplicate_makes_no_room_and_takes_none() {
    let bytes = 2 * (10 + 1024);
    let (mut all, now) = (reassembler(Limits { bytes, ..limits() }), Instant::now());
    all.take(&segment("a", 0, 2), 10, "a0", now);
    all.take(&segment("b", 0, 2), 10, "b0", now);
    assert_eq!(
        all.take(&segment("a", 0, 2), 10, "a0 again", now),
        [release("a0", 2, Released::Duplicate)]
    );
    assert_eq!(all.held().collect::<Vec<_>>(), [&"a0 again", &"b0"]);
}

#[test]
fn duplicates_never_keep_their_payload_from_completion() {
    let bytes = 2 * (10 + 1024);
    let (mut all, now) = (reassembler(Limits { bytes, ..limits() }), Instant::now());
    for token in ["old", "new"] {
        assert_eq!(all.take(&segment("p", 0, 2), 10, token, now), []);
    }
    let whole = all.take(&segment("p", 1, 2), 10, "1", now);
    let expected = delivered(&segment("p", 1, 2), &["new", "1"], &[]);
    assert_eq!(whole, [release("old", 2, Released::Duplicate), expected]);
}

#[test]
fn there_are_at_most_so_many_payloads() {
    let (mut all, now) = (reassembler(limits()), Instant::now());
    for id in ["a", "b", "c"] {
        assert_eq!(all.take(&segment(id, 0, 2), 10, "held", now), []);
    }
    let fourth = all.take(&segment("d", 0, 2), 10, "d", now);
    assert_eq!(fourth, [release("d", 2, Released::Overflow)]);
}

#[test]
fn what_can_never_be_held_is_reported_at_once() {
    let (mut all, now) = (reassembler(limits()), Instant::now());
    let actions = all.take(&segment_of("p", 0, 2, 50_000), 50_000, "p", now);
    assert_eq!(whys(&actions), [Incomplete::TooLarge]);
}

#[test]
fn an_older_message_takes_the_place_of_a_lost_one() {
    let (mut all, now) = (reassembler(limits()), Instant::now());
    for token in ["old", "new"] {
        all.take(&segment("p", 0, 2), 10, token, now);
    }
    assert_eq!(all.lose(|token| *token == "new", now), ["new"]);
    let whole = all.take(&segment("p", 1, 2), 10, "1", now);
    assert_eq!(whole, [delivered(&segment("p", 1, 2), &["old", "1"], &[])]);
    all.acked("p", now);

    all.take(&segment("q", 0, 2), 10, "0", now);
    assert_eq!(all.lose(|_| true, now), ["0"]);
    assert_eq!((all.bytes, all.next_deadline()), (0, None), "an empty set is none");
}

#[test]
fn a_drained_one_holds_nothing() {
    let (mut all, now) = (reassembler(limits()), Instant::now());
    all.take(&segment("p", 0, 1), 10, "handled", now);
    all.take(&segment("p", 0, 1), 10, "late", now);
    all.take(&segment("q", 1, 2), 10, "waiting", now);
    let drained = all.drain();
    let expected = ["waiting", "late"].map(|token| release(token, 0, Released::Shutdown));
    assert_eq!(drained, expected);
    assert_eq!(all.held().count(), 0);
    assert_eq!(all.acked("p", now), []);
    assert_eq!(all.bytes, 0);
}

#[test]
fn chance_that_is_none_does_no_harm() {
    for chance in [f64::NAN, -1.0, 2.0, f64::INFINITY] {
        let mut all = Reassembler::new(Limits { sets: 0, ..limits() }, move || chance);
        let actions = all.take(&segment("p", 0, 1), 10, "p", Instant::now());
        let Action::Release { after, .. } = &actions[0] else {
            panic!("{actions:?}");
        };
        assert!((SECOND..=3 * SECOND).contains(after));
    }
}
