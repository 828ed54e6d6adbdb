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
            text: true,
        },
        index,
        offset: u64::from(index) * 10,
        checksum: digest,
        form: Form::Text,
    }
}

/// `w` is a message that is no segment, `a1/3` the second segment of payload a, which has three.
fn headers(received: &str) -> Vec<Option<Header>> {
    let header = |word: &str| {
        let (id, place) = word.split_at(1);
        let (index, count) = place.split_once('/')?;
        Some(segment(id, index.parse().unwrap(), count.parse().unwrap()))
    };
    received.split_whitespace().map(header).collect()
}

fn items(headers: &[Option<Header>]) -> Vec<Item<'_>> {
    headers
        .iter()
        .map(|header| header.as_ref().map_or(Item::Whole, |header| Item::Segment(header, 10)))
        .collect()
}

fn plan(received: &str) -> Vec<Step> {
    Planner::new(HOUR).plan(&items(&headers(received)), Instant::now())
}

fn set(segments: &[usize]) -> Step {
    Step::Set {
        segments: segments.to_vec(),
        duplicates: Vec::new(),
    }
}

fn release(messages: &[usize], seconds: u64) -> Step {
    Step::Release {
        messages: messages.to_vec(),
        after: Duration::from_secs(seconds),
    }
}

#[test]
fn payloads_are_delivered_in_the_order_of_the_group() {
    assert_eq!(plan(""), []);
    let steps = plan("w a0/2 a1/2 w b0/1");
    assert_eq!(steps, [Step::Whole(0), set(&[1, 2]), Step::Whole(3), set(&[4])]);
}

#[test]
fn ten_segments_are_one_receive() {
    let received: String = (0..10).map(|index| format!("a{index}/10 ")).collect();
    assert_eq!(plan(&received), [set(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9])]);
}

#[test]
fn a_tail_that_is_cut_off_is_given_back() {
    assert_eq!(plan("w a0/3 a1/3"), [Step::Whole(0), release(&[1, 2], 0)]);
    assert_eq!(plan("a0/1 b0/2 w"), [set(&[0]), release(&[1, 2], 0)]);
}

#[test]
fn nothing_overtakes_an_incomplete_head() {
    assert_eq!(plan("a0/3 w a1/3 b0/1"), [release(&[0, 1, 2, 3], 0)]);
    assert_eq!(plan("a1/2 w"), [release(&[0, 1], 0)], "a dead producer's half");
}

#[test]
fn producers_that_interleave_are_told_apart() {
    let steps = plan("a0/2 b0/2 w a1/2 b1/2");
    assert_eq!(steps, [set(&[0, 3]), set(&[1, 4]), Step::Whole(2)]);
    let steps = plan("a0/2 b0/3 a1/2 b1/3 w");
    assert_eq!(steps, [set(&[0, 2]), release(&[1, 3, 4], 0)]);
}

#[test]
fn duplicates_go_with_their_payload_and_what_is_sent_again_is_another() {
    let again = Step::Set {
        segments: vec![2, 1],
        duplicates: vec![0],
    };
    assert_eq!(plan("a0/2 a1/2 a0/2"), [set(&[0, 1]), release(&[2], 0)]);
    assert_eq!(plan("a1/2 a1/2 a0/2"), [again]);
    assert_eq!(plan("a0/2 a1/2 a0/2 a1/2"), [set(&[0, 1]), set(&[2, 3])]);
}

#[test]
fn what_contradicts_a_payload_is_no_part_of_it() {
    assert_eq!(plan("a0/2 a1/3 a1/2"), [set(&[0, 2]), release(&[1], 0)]);
    let mut overlapping = headers("a0/2 a1/2");
    overlapping[1].as_mut().unwrap().offset = 9;
    let steps = Planner::new(HOUR).plan(&items(&overlapping), Instant::now());
    assert_eq!(steps, [release(&[0, 1], 0)]);
}

#[test]
fn a_head_that_stays_incomplete_is_reported() {
    let mut planner = Planner::new(HOUR);
    let (head, mut now) = (headers("a0/3 a0/3 w a2/3"), Instant::now());
    for seconds in [0, 1, 2, 4, 8, 16] {
        assert_eq!(planner.plan(&items(&head), now), [release(&[0, 1, 2, 3], seconds)]);
        now += Duration::from_secs(seconds);
    }
    let reported = Step::Incomplete {
        segments: vec![0, 1, 3],
        have: 2,
        after: REPORTED_AGAIN_AFTER,
    };
    let steps = planner.plan(&items(&head), now);
    assert_eq!(steps, [reported, release(&[2], 0)]);
    assert!(matches!(planner.plan(&items(&head), now)[0], Step::Incomplete { .. }));

    // Once it was complete, or long after, it has all its attempts again.
    let other = headers("b0/2");
    assert_eq!(planner.plan(&items(&other), now), [release(&[0], 0)]);
    assert_eq!(planner.plan(&items(&headers("a0/3 a1/3 a2/3")), now), [set(&[0, 1, 2])]);
    assert_eq!(planner.plan(&items(&head), now), [release(&[0, 1, 2, 3], 0)]);
    assert_eq!(planner.plan(&items(&other), now), [release(&[0], 1)]);
    now += REMEMBERED_FOR;
    assert_eq!(planner.plan(&items(&other), now), [release(&[0], 0)]);
}

#[test]
fn being_behind_others_is_no_attempt() {
    let mut planner = Planner::new(HOUR);
    let now = Instant::now();
    for _ in 0..MAX_ATTEMPTS {
        let steps = planner.plan(&items(&headers("w a0/2")), now);
        assert_eq!(steps, [Step::Whole(0), release(&[1], 0)]);
    }
    assert_eq!(planner.plan(&items(&headers("a0/2")), now), [release(&[0], 0)]);
}

/// A group's messages in the order in which they were sent, as far as a receive brought them.
fn groups() -> impl Strategy<Value = Vec<Option<Header>>> {
    let payload = (0..4_usize, 1..5_u32).prop_map(|(id, count)| {
        let id = ["a", "b", "c", "d"][id];
        (0..count)
            .map(|index| Some(segment(id, index, count)))
            .collect::<Vec<_>>()
    });
    let message = prop_oneof![1 => Just(vec![None]), 3 => payload];
    let mishap = prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<prop::sample::Index>()));
    (prop::collection::vec(message, 0..6), mishap, any::<bool>()).prop_map(|(sent, mishap, loses)| {
        let mut received = sent.concat();
        if let (Some((one, other)), false) = (mishap, received.is_empty()) {
            let (one, other) = (one.index(received.len()), other.index(received.len()));
            if loses {
                received.remove(one);
            } else {
                let again = received[one].clone();
                received.insert(other, again);
            }
        }
        received.truncate(10);
        received
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn every_message_is_in_one_step_and_none_overtakes_an_earlier_one(received in groups()) {
        let steps = Planner::new(HOUR).plan(&items(&received), Instant::now());
        let mut seen = BTreeSet::new();
        let mut begun = Vec::new();
        let mut first_released = None;
        for (at, step) in steps.iter().enumerate() {
            let places = match step {
                Step::Whole(place) => {
                    prop_assert!(received[*place].is_none());
                    begun.push(*place);
                    vec![*place]
                }
                Step::Set { segments, duplicates } => {
                    let header = |place: &usize| received[*place].as_ref().unwrap();
                    let whole = &header(&segments[0]).whole;
                    let indices: Vec<u32> = segments.iter().map(|place| header(place).index).collect();
                    prop_assert_eq!(indices, (0..whole.count).collect::<Vec<_>>());
                    let all: Vec<usize> = segments.iter().chain(duplicates).copied().collect();
                    prop_assert!(all.iter().all(|place| header(place).whole == *whole));
                    begun.push(*all.iter().min().unwrap());
                    all
                }
                Step::Release { messages, .. } => {
                    prop_assert_eq!(at, steps.len() - 1, "the last thing that is done");
                    first_released = messages.iter().min().copied();
                    prop_assert!(received[messages[0]].is_some(), "only a segment blocks");
                    messages.clone()
                }
                Step::Incomplete { .. } => return Err(TestCaseError::fail("not at the first attempt")),
            };
            for place in places {
                prop_assert!(seen.insert(place), "twice");
            }
        }
        prop_assert_eq!(seen.len(), received.len());
        prop_assert!(begun.is_sorted(), "in the order of their first messages");
        prop_assert!(first_released.is_none_or(|released| begun.iter().all(|begun| *begun < released)));
    }

    #[test]
    fn what_was_sent_whole_is_delivered_whole(counts in prop::collection::vec(0..5_u32, 0..6)) {
        let payload = |(id, count): (usize, &u32)| match count {
            0 => vec![None],
            count => (0..*count).map(|index| Some(segment(&format!("p{id}"), index, *count))).collect(),
        };
        let received: Vec<_> = counts.iter().enumerate().flat_map(payload).collect();
        let steps = Planner::new(HOUR).plan(&items(&received), Instant::now());
        prop_assert_eq!(steps.len(), counts.len());
        let delivered = steps.iter().all(|step| !matches!(step, Step::Release { .. } | Step::Incomplete { .. }));
        prop_assert!(delivered);
    }
}
