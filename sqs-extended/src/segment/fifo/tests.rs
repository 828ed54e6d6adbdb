use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::codec::Encoding;
use crate::segment::Form;

const HOUR: Duration = Duration::from_secs(3_600);

/// A segment of ten bytes, of a payload that has `count` of them.
fn segment(id: &str, index: u32, count: u32) -> Header {
    let digest: crate::Digest = format!("blake3:{}", "0".repeat(64)).parse().unwrap();
    Header {
        whole: Whole {
            id: id.to_owned(),
            count,
            total: u64::from(count) * 10,
            digest: digest.clone(),
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

fn items(headers: &[Header]) -> Vec<(&Header, u64)> {
    headers.iter().map(|header| (header, 10)).collect()
}

fn plan(received: &str) -> Step {
    Planner::new(HOUR).plan(&items(&headers(received)), Instant::now())
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
    for received in ["", "a0/2", "a1/2", "a0/3 a1/3", "a0/3 a2/3", "a0/2 a0/2"] {
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
    let step = Planner::new(HOUR).plan(&items(&overlapping), Instant::now());
    assert_eq!(step, release(0));
}

#[test]
fn a_head_that_stays_incomplete_is_reported() {
    let mut planner = Planner::new(HOUR);
    let (head, mut now) = (headers("a0/3 a0/3 a1/4 a2/3"), Instant::now());
    for seconds in [0, 1, 2, 4, 8, 16] {
        assert_eq!(planner.plan(&items(&head), now), release(seconds));
        now += Duration::from_secs(seconds);
    }
    let reported = Step::Incomplete {
        segments: vec![0, 1, 3],
        have: 2,
        after: REPORTED_AGAIN_AFTER,
    };
    assert_eq!(planner.plan(&items(&head), now), reported);
    assert_eq!(planner.plan(&items(&head), now), reported);

    // Once it was complete, or long after, it has all its attempts again.
    let other = headers("b0/2");
    assert_eq!(planner.plan(&items(&other), now), release(0));
    assert_eq!(
        planner.plan(&items(&headers("a0/3 a1/3 a2/3")), now),
        set(&[0, 1, 2], &[])
    );
    assert_eq!(planner.plan(&items(&head), now), release(0));
    assert_eq!(planner.plan(&items(&other), now), release(1));
    now += REMEMBERED_FOR;
    assert_eq!(planner.plan(&items(&other), now), release(0));
}

#[test]
fn a_head_whose_time_is_over_is_reported_after_one_attempt_more() {
    let mut planner = Planner::new(Duration::from_secs(5));
    let (head, now) = (headers("a0/2"), Instant::now());
    assert_eq!(planner.plan(&items(&head), now), release(0));
    assert_eq!(planner.plan(&items(&head), now + Duration::from_secs(4)), release(1));
    let late = planner.plan(&items(&head), now + Duration::from_secs(5));
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
        match Planner::new(HOUR).plan(&items(&received), Instant::now()) {
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
            Step::Incomplete { .. } => return Err(TestCaseError::fail("not at the first attempt")),
        }
    }
}
