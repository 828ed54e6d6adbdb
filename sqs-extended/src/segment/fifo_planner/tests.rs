use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::codec::Encoding;
use crate::segment::Form;

const HOUR: Duration = Duration::from_secs(3_600);

/// A segment of ten bytes, of a payload that has `count` of them.
fn segment(id: &str, index: u32, count: u32) -> Header {
    let digest: crate::payload::Digest = format!("blake3:{}", "0".repeat(64)).parse().unwrap();
    Header {
        whole: Whole {
            id: id.to_owned(),
            count,
            total: u64::from(count) * 10,
            digest: format!("blake3:{count:064}").parse().unwrap(),
            original_length: None,
            encoding: Encoding::default(),
        },
        index,
        offset: u64::from(index) * 10,
        checksum: digest,
        form: Form::Text,
    }
}

/// `a1/3` is the second segment of payload a, which has three.
fn headers(received: &str) -> Vec<Header> {
    let header = |word: &str| {
        let (id, place) = word.split_at(1);
        let (index, count) = place.split_once('/').unwrap();
        segment(id, index.parse().unwrap(), count.parse().unwrap())
    };
    received.split_whitespace().map(header).collect()
}

/// The time at which the first message was sent, and the places of messages as their ids.
fn sent() -> SystemTime {
    SystemTime::UNIX_EPOCH + HOUR
}

const IDS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

fn items(headers: &[Header]) -> Vec<Received<'_>> {
    sent_at(headers, sent())
}

fn sent_at(headers: &[Header], sent: SystemTime) -> Vec<Received<'_>> {
    let received = headers.iter().zip(IDS).map(|(header, message_id)| Received {
        header,
        len: 10,
        message_id,
        sent: Some(sent),
    });
    received.collect()
}

fn plan(received: &str) -> Step {
    Planner::new(HOUR).plan("g", &items(&headers(received)), false, Instant::now())
}

fn delete(segments: &[usize], why: Needless) -> Step {
    Step::Delete {
        segments: segments.to_vec(),
        why,
    }
}

fn set(segments: &[usize], duplicates: &[usize]) -> Step {
    Step::Set {
        segments: segments.to_vec(),
        duplicates: duplicates.to_vec(),
    }
}

fn release(seconds: u64) -> Step {
    Step::Release {
        after: Duration::from_secs(seconds),
    }
}

#[test]
fn ten_segments_are_one_receive() {
    let received: String = (0..10).map(|index| format!("a{index}/10 ")).collect();
    assert_eq!(plan(&received), set(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], &[]));
    assert_eq!(plan("a0/1"), set(&[0], &[]));
    assert_eq!(plan("a1/2 a0/2"), set(&[1, 0], &[]), "in the payload's order");
}

#[test]
fn what_is_not_whole_is_given_back() {
    for received in ["", "a0/2", "a1/2", "a0/3 a1/3", "a0/3 a2/3"] {
        assert_eq!(plan(received), release(0), "{received}");
    }
}

#[test]
fn duplicates_go_with_their_payload_and_what_is_sent_again_is_another() {
    assert_eq!(plan("a0/2 a1/2 a0/2"), set(&[0, 1], &[]), "the third is given back");
    assert_eq!(plan("a1/2 a1/2 a0/2"), set(&[2, 1], &[0]));
    assert_eq!(plan("a0/2 a1/2 a0/2 a1/2"), set(&[0, 1], &[]));
}

#[test]
fn what_contradicts_a_payload_is_no_part_of_it() {
    assert_eq!(plan("a0/2 a1/3 a1/2"), set(&[0, 2], &[]));
    assert_eq!(plan("a0/2 b1/2"), release(0));
    let mut overlapping = headers("a0/2 a1/2");
    overlapping[1].offset = 9;
    let step = Planner::new(HOUR).plan("g", &items(&overlapping), false, Instant::now());
    assert_eq!(step, release(0));
}

#[test]
fn a_head_that_stays_incomplete_is_reported_after_its_time() {
    let mut planner = Planner::new(Duration::from_secs(300));
    let (head, mut now) = (headers("a0/3 a1/4 a2/3"), Instant::now());
    for (receives, seconds) in [0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60].into_iter().enumerate() {
        if receives == usize::try_from(RECEIVES_WHILE_HIDDEN).unwrap() {
            assert_eq!(seconds, 60, "this many are within 31 seconds, and one more beyond");
        }
        assert_eq!(planner.plan("g", &items(&head), false, now), release(seconds));
        now += Duration::from_secs(seconds);
    }
    let reported = Step::Incomplete {
        segments: vec![0, 2],
        have: 2,
        after: LONGEST_PAUSE,
    };
    assert_eq!(planner.plan("g", &items(&head), false, now), reported);
    assert_eq!(planner.plan("g", &items(&head), false, now), reported);

    // Once it was complete, or long after, it has all its time again.
    let other = headers("b0/2");
    assert_eq!(planner.plan("g", &items(&other), false, now), release(0));
    let whole = headers("a0/3 a1/3 a2/3");
    assert_eq!(planner.plan("g", &items(&whole), false, now), set(&[0, 1, 2], &[]));
    assert_eq!(planner.plan("g", &items(&head), false, now), release(0));
    assert_eq!(planner.plan("g", &items(&other), false, now), release(1));
    assert_eq!(
        planner.plan("another", &items(&other), false, now),
        release(0),
        "of another group"
    );
    now += REMEMBERED_FOR;
    assert_eq!(planner.plan("g", &items(&other), false, now), release(0));
}

#[test]
fn as_many_incomplete_payloads_are_remembered_as_is_said() {
    let mut planner = Planner::new(HOUR);
    let (head, now) = (headers("a0/2"), Instant::now());
    for seconds in [0, 1, 2, 4, 8, 16, 32] {
        for group in 0..MAX_REMEMBERED {
            let step = planner.plan(&group.to_string(), &items(&head), false, now);
            assert_eq!(step, release(seconds), "group {group}");
        }
    }
}

#[test]
fn an_older_message_of_a_segment_is_deleted_where_the_payload_is_incomplete() {
    assert_eq!(plan("a0/3 a1/3 a0/3"), delete(&[0], Needless::Duplicate));
    assert_eq!(plan("a0/3 a1/3 a0/3 a1/3"), delete(&[0, 1], Needless::Duplicate));
    // Ten messages, of which the last one's payload goes on behind what a receive brings.
    let nine: String = (0..9).map(|index| format!("a{index}/10 ")).collect();
    assert_eq!(plan(&format!("{nine} a0/10")), delete(&[0], Needless::Duplicate));

    let twice = headers("a0/3 a1/3 a0/3");
    let mut received = items(&twice);
    received[2].message_id = received[0].message_id;
    let step = Planner::new(HOUR).plan("g", &received, false, Instant::now());
    assert_eq!(step, release(0), "two receipts of one message");
    let mut other = twice.clone();
    other[2].checksum = format!("blake3:{}", "1".repeat(64)).parse().unwrap();
    let step = Planner::new(HOUR).plan("g", &items(&other), false, Instant::now());
    assert_eq!(step, release(0), "it holds something else");
}

#[test]
fn an_incomplete_payload_that_was_sent_again_in_other_segments_makes_room() {
    assert_eq!(plan("a0/3 a1/3 a0/2 a1/2"), delete(&[0, 1], Needless::SentAgain));
    assert_eq!(plan("a1/3 a0/2 a1/2"), delete(&[0], Needless::SentAgain));
    // The order says nothing of a payload that is whole.
    assert_eq!(plan("a0/3 a1/3 a0/2 a2/3 a1/2"), set(&[0, 1, 3], &[]));
    // The second may still be under way, or what is behind it.
    assert_eq!(plan("a0/3 a1/3 a0/2"), release(0));
    assert_eq!(plan("a0/3 a1/2"), release(0));
    // No receive can bring both.
    let seven: String = (0..7).map(|index| format!("a{index}/8 ")).collect();
    let all: Vec<usize> = (0..7).collect();
    assert_eq!(
        plan(&format!("{seven} a0/9 a1/9 a2/9")),
        delete(&all, Needless::SentAgain)
    );
    assert_eq!(plan(&format!("{seven} a1/9")), release(0), "its beginning is not there");

    let incomplete = headers("a0/3 a1/3");
    let step = Planner::new(HOUR).plan("g", &items(&incomplete), true, Instant::now());
    assert_eq!(step, delete(&[0, 1], Needless::SentAgain), "as an ordinary message");
    let whole = headers("a0/2 a1/2");
    let step = Planner::new(HOUR).plan("g", &items(&whole), true, Instant::now());
    assert_eq!(step, set(&[0, 1], &[]));

    let mut planner = Planner::new(Duration::from_secs(5));
    let (both, now) = (headers("a0/3 a0/2"), Instant::now());
    assert_eq!(planner.plan("g", &items(&both), false, now), release(0));
    let late = planner.plan("g", &items(&both), false, now + Duration::from_secs(5));
    assert_eq!(late, delete(&[0], Needless::SentAgain), "its sender has given up on it");
}

/// A finished payload that was sent at the usual time.
fn finished(received: &str) -> Finished {
    let whole = headers(received).remove(0).whole;
    Finished::new("g", &whole, [None, Some(sent() - HOUR), Some(sent())])
}

#[test]
fn what_comes_late_of_a_finished_payload_is_deleted() {
    let now = Instant::now();
    for late in ["a0/3", "a2/3", "a1/3 a2/3", "a0/2 a1/2", "a0/2"] {
        let mut planner = Planner::new(HOUR);
        planner.finish(finished("a0/3"), now);
        let all: Vec<usize> = (0..late.split(' ').count()).collect();
        let late = headers(late);
        let deleted = delete(&all, Needless::Finished);
        assert_eq!(planner.plan("g", &items(&late), false, now), deleted, "{late:?}");
        let last = sent_at(&late, sent() + DEDUPLICATION_WINDOW - Duration::from_millis(1));
        assert_eq!(
            planner.plan("g", &last, false, now),
            deleted,
            "SQS would have swallowed it"
        );
        let again = sent_at(&late, sent() + DEDUPLICATION_WINDOW);
        assert_ne!(planner.plan("g", &again, false, now), deleted, "it was sent again");
        assert_ne!(
            planner.plan("another", &items(&late), false, now),
            deleted,
            "of another group"
        );
        assert_ne!(
            planner.plan("g", &items(&late), false, now + FINISHED_FOR),
            deleted,
            "forgotten"
        );
    }
}

#[test]
fn a_finished_payload_of_which_nothing_was_deleted_is_delivered_again() {
    let mut planner = Planner::new(HOUR);
    let now = Instant::now();
    planner.finish(finished("a0/3"), now);
    let whole = headers("a0/3 a1/3 a2/3");
    assert_eq!(planner.plan("g", &items(&whole), false, now), set(&[0, 1, 2], &[]));
    assert_eq!(
        planner.plan("g", &items(&headers("b0/2 b1/2")), false, now),
        set(&[0, 1], &[])
    );
}

#[test]
fn a_whole_payload_from_before_a_finished_one_is_delivered() {
    let mut planner = Planner::new(HOUR);
    let now = Instant::now();
    planner.finish(finished("a0/3"), now);
    let before = sent() - HOUR - Duration::from_millis(1);
    let whole = headers("a0/2 a1/2");
    assert_eq!(
        planner.plan("g", &sent_at(&whole, before), false, now),
        set(&[0, 1], &[])
    );
    let part = headers("a1/2");
    let deleted = delete(&[0], Needless::Finished);
    assert_eq!(
        planner.plan("g", &sent_at(&part, before), false, now),
        deleted,
        "it gave way"
    );
}

#[test]
fn a_head_whose_time_is_over_is_reported_after_one_attempt_more() {
    let mut planner = Planner::new(Duration::from_secs(5));
    let (head, now) = (headers("a0/2"), Instant::now());
    assert_eq!(planner.plan("g", &items(&head), false, now), release(0));
    assert_eq!(
        planner.plan("g", &items(&head), false, now + Duration::from_secs(4)),
        release(1)
    );
    let late = planner.plan("g", &items(&head), false, now + Duration::from_secs(5));
    assert!(matches!(late, Step::Incomplete { have: 1, .. }));
}

/// The segments of a payload in any order, some of them missing, some there more than once, some of a stranger.
fn received() -> impl Strategy<Value = Vec<Header>> {
    (1..6_u32).prop_flat_map(|count| {
        let one = (0..count, prop::bool::weighted(0.1));
        prop::collection::vec(one, 1..10).prop_map(move |received| {
            let of = |(index, strange): (u32, bool)| segment("a", index, count + u32::from(strange));
            received.into_iter().map(of).collect()
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn what_is_delivered_is_whole_and_what_is_whole_is_delivered(received in received()) {
        let whole = &received[0].whole;
        let here: BTreeSet<u32> =
            received.iter().filter(|header| header.whole == *whole).map(|header| header.index).collect();
        let is_whole = here.iter().copied().eq(0..whole.count);
        match Planner::new(HOUR).plan("g", &items(&received), false, Instant::now()) {
            Step::Set { segments, duplicates } => {
                prop_assert!(is_whole);
                let indices: Vec<u32> = segments.iter().map(|place| received[*place].index).collect();
                prop_assert_eq!(indices, (0..whole.count).collect::<Vec<_>>());
                let all: Vec<usize> = segments.iter().chain(&duplicates).copied().collect();
                prop_assert!(all.iter().all(|place| received[*place].whole == *whole));
                prop_assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "twice");
                for place in duplicates {
                    let newest = segments[received[place].index as usize];
                    prop_assert!(place < newest, "the newest is the segment");
                }
            }
            Step::Release { after } => prop_assert!(!is_whole && after.is_zero()),
            Step::Delete { segments, .. } => {
                prop_assert!(!is_whole);
                let left = (0..received.len()).filter(|place| !segments.contains(place));
                let left: BTreeSet<u32> =
                    left.filter(|place| received[*place].whole == *whole).map(|place| received[place].index).collect();
                prop_assert!(left == here || left.is_empty(), "no segment is lost alone");
            }
            Step::Incomplete { .. } => return Err(TestCaseError::fail("not at the first attempt")),
        }
    }
}
