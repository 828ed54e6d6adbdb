use std::collections::BTreeSet;
use std::time::SystemTime;

use proptest::prelude::*;

use super::finished::DEDUPLICATION_INTERVAL;
use super::*;
use crate::codec::Encoding;
use crate::segment::header::{Header, Whole};
use crate::segment::layout::Layout;

const HOUR: Duration = Duration::from_secs(3_600);

/// A segment of 10 bytes, of a payload with `count` segments.
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
        layout: Layout::Text,
    }
}

/// Parses segments: `a1/3` is the second of the three segments of payload a.
fn headers(received: &str) -> Vec<Header> {
    let header = |word: &str| {
        let (id, position) = word.split_at(1);
        let (index, count) = position.split_once('/').unwrap();
        segment(id, index.parse().unwrap(), count.parse().unwrap())
    };
    received.split_whitespace().map(header).collect()
}

/// The time at which the messages were sent.
fn sent() -> SystemTime {
    SystemTime::UNIX_EPOCH + HOUR
}

/// The messages' ids, which are their positions.
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

fn delete(segments: &[usize], why: DeleteReason) -> Step {
    Step::Delete {
        segments: segments.to_vec(),
        why,
    }
}

fn complete(segments: &[usize], duplicates: &[usize]) -> Step {
    Step::Complete {
        segments: segments.to_vec(),
        duplicates: duplicates.to_vec(),
    }
}

fn return_after(seconds: u64) -> Step {
    Step::Return {
        after: Duration::from_secs(seconds),
    }
}

#[test]
fn ten_segments_fit_into_one_receive() {
    let received: String = (0..10).map(|index| format!("a{index}/10 ")).collect();
    assert_eq!(plan(&received), complete(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], &[]));
    assert_eq!(plan("a0/1"), complete(&[0], &[]));
    assert_eq!(plan("a1/2 a0/2"), complete(&[1, 0], &[]), "the order is the payload's");
}

#[test]
fn an_incomplete_payload_is_returned() {
    for received in ["", "a0/2", "a1/2", "a0/3 a1/3", "a0/3 a2/3"] {
        assert_eq!(plan(received), return_after(0), "{received}");
    }
}

#[test]
fn duplicates_go_with_their_payload_and_a_repetition_is_another_payload() {
    assert_eq!(plan("a0/2 a1/2 a0/2"), complete(&[0, 1], &[]), "the third is returned");
    assert_eq!(plan("a1/2 a1/2 a0/2"), complete(&[2, 1], &[0]));
    assert_eq!(plan("a0/2 a1/2 a0/2 a1/2"), complete(&[0, 1], &[]));
}

#[test]
fn a_contradicting_segment_belongs_to_another_payload() {
    assert_eq!(plan("a0/2 a1/3 a1/2"), complete(&[0, 2], &[]));
    assert_eq!(plan("a0/2 b1/2"), return_after(0));
    let mut overlapping = headers("a0/2 a1/2");
    overlapping[1].offset = 9;
    let step = Planner::new(HOUR).plan("g", &items(&overlapping), false, Instant::now());
    assert_eq!(step, return_after(0));
}

#[test]
fn an_incomplete_head_is_reported_after_the_timeout() {
    let mut planner = Planner::new(Duration::from_secs(300));
    let (head, mut now) = (headers("a0/3 a1/4 a2/3"), Instant::now());
    for (receives, seconds) in [0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60].into_iter().enumerate() {
        if receives == usize::try_from(RECEIVES_WHILE_HIDDEN).unwrap() {
            assert_eq!(seconds, 60, "this many are within 31 seconds, and the next one is not");
        }
        assert_eq!(planner.plan("g", &items(&head), false, now), return_after(seconds));
        now += Duration::from_secs(seconds);
    }
    let reported = Step::Incomplete {
        segments: vec![0, 2],
        have: 2,
        after: MAX_DELAY,
    };
    assert_eq!(planner.plan("g", &items(&head), false, now), reported);
    assert_eq!(planner.plan("g", &items(&head), false, now), reported);

    // The timeout starts again once the payload was complete, or after a long time.
    let other = headers("b0/2");
    assert_eq!(planner.plan("g", &items(&other), false, now), return_after(0));
    let whole = headers("a0/3 a1/3 a2/3");
    assert_eq!(planner.plan("g", &items(&whole), false, now), complete(&[0, 1, 2], &[]));
    assert_eq!(planner.plan("g", &items(&head), false, now), return_after(0));
    assert_eq!(planner.plan("g", &items(&other), false, now), return_after(1));
    assert_eq!(
        planner.plan("another", &items(&other), false, now),
        return_after(0),
        "of another group"
    );
    now += COUNTED_FOR;
    assert_eq!(planner.plan("g", &items(&other), false, now), return_after(0));
}

#[test]
fn attempts_are_counted_for_the_maximum_number_of_payloads() {
    let mut planner = Planner::new(HOUR);
    let (head, now) = (headers("a0/2"), Instant::now());
    for seconds in [0, 1, 2, 4, 8, 16, 32] {
        for group in 0..MAX_COUNTED {
            let step = planner.plan(&group.to_string(), &items(&head), false, now);
            assert_eq!(step, return_after(seconds), "group {group}");
        }
    }
}

#[test]
fn an_older_duplicate_is_deleted_if_the_payload_is_incomplete() {
    assert_eq!(plan("a0/3 a1/3 a0/3"), delete(&[0], DeleteReason::Duplicate));
    assert_eq!(plan("a0/3 a1/3 a0/3 a1/3"), delete(&[0, 1], DeleteReason::Duplicate));
    // The payload of the tenth message continues beyond the receive.
    let nine: String = (0..9).map(|index| format!("a{index}/10 ")).collect();
    assert_eq!(plan(&format!("{nine} a0/10")), delete(&[0], DeleteReason::Duplicate));

    let twice = headers("a0/3 a1/3 a0/3");
    let mut received = items(&twice);
    received[2].message_id = received[0].message_id;
    let step = Planner::new(HOUR).plan("g", &received, false, Instant::now());
    assert_eq!(step, return_after(0), "two receipts of one message");
    let mut other = twice.clone();
    other[2].checksum = format!("blake3:{}", "1".repeat(64)).parse().unwrap();
    let step = Planner::new(HOUR).plan("g", &items(&other), false, Instant::now());
    assert_eq!(step, return_after(0), "the bytes differ");
}

#[test]
fn an_incomplete_payload_is_deleted_once_sent_again_in_other_segments() {
    assert_eq!(plan("a0/3 a1/3 a0/2 a1/2"), delete(&[0, 1], DeleteReason::SentAgain));
    assert_eq!(plan("a1/3 a0/2 a1/2"), delete(&[0], DeleteReason::SentAgain));
    // A whole payload is delivered whatever the order.
    assert_eq!(plan("a0/3 a1/3 a0/2 a2/3 a1/2"), complete(&[0, 1, 3], &[]));
    // The repetition may still be arriving.
    assert_eq!(plan("a0/3 a1/3 a0/2"), return_after(0));
    assert_eq!(plan("a0/3 a1/2"), return_after(0));
    // One receive cannot return both.
    let seven: String = (0..7).map(|index| format!("a{index}/8 ")).collect();
    let all: Vec<usize> = (0..7).collect();
    assert_eq!(
        plan(&format!("{seven} a0/9 a1/9 a2/9")),
        delete(&all, DeleteReason::SentAgain)
    );
    assert_eq!(
        plan(&format!("{seven} a1/9")),
        return_after(0),
        "its first segment has not arrived"
    );

    let incomplete = headers("a0/3 a1/3");
    let step = Planner::new(HOUR).plan("g", &items(&incomplete), true, Instant::now());
    assert_eq!(step, delete(&[0, 1], DeleteReason::SentAgain), "as an ordinary message");
    let whole = headers("a0/2 a1/2");
    let step = Planner::new(HOUR).plan("g", &items(&whole), true, Instant::now());
    assert_eq!(step, complete(&[0, 1], &[]));

    let mut planner = Planner::new(Duration::from_secs(5));
    let (both, now) = (headers("a0/3 a0/2"), Instant::now());
    assert_eq!(planner.plan("g", &items(&both), false, now), return_after(0));
    let late = planner.plan("g", &items(&both), false, now + Duration::from_secs(5));
    assert_eq!(late, delete(&[0], DeleteReason::SentAgain), "its sender has given up");
}

/// A finished payload whose last message was sent at the usual time.
fn finished(received: &str) -> Finished {
    let whole = headers(received).remove(0).whole;
    Finished::new("g", &whole, [None, Some(sent() - HOUR), Some(sent())])
}

#[test]
fn late_segments_of_a_finished_payload_are_deleted() {
    let now = Instant::now();
    for late in ["a0/3", "a2/3", "a1/3 a2/3", "a0/2 a1/2", "a0/2"] {
        let mut planner = Planner::new(HOUR);
        planner.finish(finished("a0/3"), now);
        let all: Vec<usize> = (0..late.split(' ').count()).collect();
        let late = headers(late);
        let deleted = delete(&all, DeleteReason::Finished);
        assert_eq!(planner.plan("g", &items(&late), false, now), deleted, "{late:?}");
        let last = sent_at(&late, sent() + DEDUPLICATION_INTERVAL - Duration::from_millis(1));
        assert_eq!(
            planner.plan("g", &last, false, now),
            deleted,
            "within the deduplication interval"
        );
        let again = sent_at(&late, sent() + DEDUPLICATION_INTERVAL);
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
fn a_finished_payload_with_all_segments_is_delivered_again() {
    let mut planner = Planner::new(HOUR);
    let now = Instant::now();
    planner.finish(finished("a0/3"), now);
    let whole = headers("a0/3 a1/3 a2/3");
    assert_eq!(planner.plan("g", &items(&whole), false, now), complete(&[0, 1, 2], &[]));
    assert_eq!(
        planner.plan("g", &items(&headers("b0/2 b1/2")), false, now),
        complete(&[0, 1], &[])
    );
}

#[test]
fn a_whole_payload_sent_before_a_finished_one_is_delivered() {
    let mut planner = Planner::new(HOUR);
    let now = Instant::now();
    planner.finish(finished("a0/3"), now);
    let before = sent() - HOUR - Duration::from_millis(1);
    let whole = headers("a0/2 a1/2");
    assert_eq!(
        planner.plan("g", &sent_at(&whole, before), false, now),
        complete(&[0, 1], &[])
    );
    let part = headers("a1/2");
    let deleted = delete(&[0], DeleteReason::Finished);
    assert_eq!(
        planner.plan("g", &sent_at(&part, before), false, now),
        deleted,
        "a part of it"
    );
}

#[test]
fn an_overdue_head_is_reported_at_its_next_attempt() {
    let mut planner = Planner::new(Duration::from_secs(5));
    let (head, now) = (headers("a0/2"), Instant::now());
    assert_eq!(planner.plan("g", &items(&head), false, now), return_after(0));
    assert_eq!(
        planner.plan("g", &items(&head), false, now + Duration::from_secs(4)),
        return_after(1)
    );
    let late = planner.plan("g", &items(&head), false, now + Duration::from_secs(5));
    assert!(matches!(late, Step::Incomplete { have: 1, .. }));
}

/// The segments of a payload in any order: some missing, some more than once, some of an untrusted sender.
fn received() -> impl Strategy<Value = Vec<Header>> {
    (1..6_u32).prop_flat_map(|count| {
        let one = (0..count, prop::bool::weighted(0.1));
        prop::collection::vec(one, 1..10).prop_map(move |received| {
            let to_header = |(index, is_untrusted): (u32, bool)| segment("a", index, count + u32::from(is_untrusted));
            received.into_iter().map(to_header).collect()
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn a_payload_is_delivered_if_and_only_if_it_is_whole(received in received()) {
        let whole = &received[0].whole;
        let here: BTreeSet<u32> =
            received.iter().filter(|header| header.whole == *whole).map(|header| header.index).collect();
        let is_whole = here.iter().copied().eq(0..whole.count);
        match Planner::new(HOUR).plan("g", &items(&received), false, Instant::now()) {
            Step::Complete { segments, duplicates } => {
                prop_assert!(is_whole);
                let indices: Vec<u32> = segments.iter().map(|position| received[*position].index).collect();
                prop_assert_eq!(indices, (0..whole.count).collect::<Vec<_>>());
                let all: Vec<usize> = segments.iter().chain(&duplicates).copied().collect();
                prop_assert!(all.iter().all(|position| received[*position].whole == *whole));
                prop_assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "no message is listed twice");
                for position in duplicates {
                    let newest = segments[received[position].index as usize];
                    prop_assert!(position < newest, "the newest message counts as the segment");
                }
            }
            Step::Return { after } => prop_assert!(!is_whole && after.is_zero()),
            Step::Delete { segments, .. } => {
                prop_assert!(!is_whole);
                let left = (0..received.len()).filter(|position| !segments.contains(position));
                let left = left.map(|position| &received[position]).filter(|header| header.whole == *whole);
                let left: BTreeSet<u32> = left.map(|header| header.index).collect();
                prop_assert!(left == here || left.is_empty(), "no single segment is lost");
            }
            Step::Incomplete { .. } => return Err(TestCaseError::fail("not at the first attempt")),
        }
    }
}
