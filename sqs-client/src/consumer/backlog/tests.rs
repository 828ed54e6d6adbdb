use std::time::Duration;

use super::*;

fn backlog(items: &[(&str, u32)]) -> Backlog<u32> {
    let mut backlog = Backlog::default();
    for (group, item) in items {
        push(&mut backlog, group, *item);
    }
    backlog
}

/// Pushes an item that is its own position.
fn alone(_: &u32, _: &u32) -> bool {
    false
}

fn push(backlog: &mut Backlog<u32>, group: &str, item: u32) -> bool {
    backlog.push(Some(group).filter(|group| !group.is_empty()), item.into(), item)
}

fn pop_all(backlog: &mut Backlog<u32>) -> Vec<u32> {
    std::iter::from_fn(|| backlog.pop()).collect()
}

#[test]
fn later_items_can_share_the_claim_and_the_rest_waits_for_all_of_them() {
    let mut backlog = backlog(&[("a", 1), ("a", 2), ("a", 3), ("a", 4), ("b", 5)]);
    assert_eq!(backlog.pop(), Some(1));
    assert_eq!(backlog.claim_behind("a", |item| item % 2 == 0), [2, 4]);
    assert_eq!(backlog.len(), 2);
    backlog.done("a", NextStep::Proceed);
    backlog.done("a", NextStep::Proceed);
    assert_eq!(pop_all(&mut backlog), [5], "one item of a still shares the claim");
    backlog.done("a", NextStep::Proceed);
    assert_eq!(pop_all(&mut backlog), [3]);
    assert!(backlog.claim_behind("c", |_| true).is_empty());
}

#[test]
fn groups_yield_one_item_at_a_time_and_in_parallel() {
    let mut backlog = backlog(&[("a", 1), ("a", 2), ("b", 3), ("", 4), ("", 5), ("b", 6)]);
    assert_eq!(pop_all(&mut backlog), [1, 3, 4, 5]);
    backlog.done("b", NextStep::Proceed);
    assert_eq!(pop_all(&mut backlog), [6]);
    backlog.done("b", NextStep::Proceed);
    push(&mut backlog, "b", 7);
    assert_eq!(pop_all(&mut backlog), [7], "the group was free");
    backlog.done("a", NextStep::Proceed);
    assert_eq!((pop_all(&mut backlog), backlog.len()), (vec![2], 0));
}

#[test]
fn only_the_rest_of_the_group_leaves() {
    let mut backlog = backlog(&[("a", 1), ("a", 2), ("b", 3), ("a", 4), ("b", 5)]);
    assert_eq!(pop_all(&mut backlog), [1, 3]);
    assert_eq!(backlog.done("a", NextStep::Leave), [2, 4]);
    push(&mut backlog, "a", 6);
    assert_eq!(backlog.pop(), Some(6));
    backlog.done("b", NextStep::Proceed);
    assert_eq!((backlog.pop(), backlog.len()), (Some(5), 0));
}

#[test]
fn drain_takes_all_items() {
    let mut backlog = backlog(&[("a", 1), ("a", 2), ("", 3)]);
    assert_eq!(backlog.pop(), Some(1));
    let mut all = backlog.drain();
    all.sort_unstable();
    assert_eq!((all, backlog.len()), (vec![2, 3], 0));
    backlog.done("a", NextStep::Proceed);
    assert!(backlog.groups.is_empty(), "a finished group is forgotten");
}

#[test]
fn a_group_waits_for_its_returned_head_and_continues_after_it() {
    let now = Instant::now();
    let mut backlog = backlog(&[("a", 1), ("a", 2), ("a", 3), ("b", 4)]);
    assert_eq!(pop_all(&mut backlog), [1, 4]);
    assert!(backlog.done("a", NextStep::Await(1, now)).is_empty());
    assert_eq!((backlog.pop(), backlog.stalled()), (None, 2));
    assert!(!push(&mut backlog, "a", 5), "a later item is not the awaited one");
    assert!(push(&mut backlog, "a", 1));
    assert_eq!((pop_all(&mut backlog), backlog.stalled()), (vec![1], 0));
    for next in [2, 3, 5] {
        backlog.done("a", NextStep::Proceed);
        assert_eq!(pop_all(&mut backlog), [next]);
    }
}

#[test]
fn a_group_that_waits_in_vain_first_returns_its_next_item_and_then_all() {
    let now = Instant::now();
    let later = now + Duration::from_secs(1);
    let mut backlog = backlog(&[("a", 1), ("a", 2), ("a", 3), ("a", 4)]);
    assert_eq!(backlog.pop(), Some(1));
    backlog.done("a", NextStep::Await(1, later));
    assert_eq!(backlog.next_overdue(), Some(later));
    assert!(backlog.overdue(now, alone).probes.is_empty());
    let first = backlog.overdue(later, alone);
    assert_eq!((first.probes, first.rest), (vec![2], vec![]));
    assert!(backlog.overdue(later, alone).probes.is_empty(), "it is being returned");
    backlog.done("a", NextStep::Await(2, later));
    let second = backlog.overdue(later, alone);
    assert_eq!((second.probes, second.rest, backlog.len()), (vec![], vec![3, 4], 0));
    assert_eq!(second.groups, ["a"]);
    assert!(backlog.groups.is_empty());
}

#[test]
fn items_that_belong_together_are_returned_together() {
    let now = Instant::now();
    let same_tens = |first: &u32, later: &u32| first / 10 == later / 10;
    let mut backlog = backlog(&[("a", 1), ("a", 11), ("a", 12), ("a", 13), ("a", 21), ("a", 22)]);
    assert_eq!(backlog.pop(), Some(1));
    backlog.done("a", NextStep::Await(1, now));
    assert_eq!(backlog.overdue(now, same_tens).probes, [11, 12, 13]);
    for position in [13_u64, 12, 11] {
        backlog.done("a", NextStep::Await(position, now));
    }
    for again in [11, 12, 13] {
        push(&mut backlog, "a", again);
    }
    assert_eq!(pop_all(&mut backlog), [11]);
    assert_eq!(backlog.claim_behind("a", |item| same_tens(&11, item)), [12, 13]);
    for _ in 0..3 {
        backlog.done("a", NextStep::Await(11, now));
    }
    let last = backlog.overdue(now, same_tens);
    assert_eq!((last.probes, last.rest, backlog.len()), (vec![], vec![21, 22], 0));
}

#[test]
fn after_a_probe_that_came_again_the_next_is_returned_alone_too() {
    let now = Instant::now();
    let mut backlog = backlog(&[("a", 1), ("a", 2), ("a", 3), ("a", 4)]);
    assert_eq!(backlog.pop(), Some(1));
    backlog.done("a", NextStep::Await(1, now));
    assert_eq!(backlog.overdue(now, alone).probes, [2]);
    backlog.done("a", NextStep::Await(2, now));
    assert!(push(&mut backlog, "a", 2));
    assert_eq!(backlog.pop(), Some(2));
    backlog.done("a", NextStep::Await(2, now));
    assert_eq!(backlog.overdue(now, alone).probes, [3]);
}

#[test]
fn several_returned_items_are_awaited_together_and_come_before_the_rest() {
    let now = Instant::now();
    let mut backlog = backlog(&[("a", 1), ("a", 2), ("a", 3), ("a", 4)]);
    assert_eq!(backlog.pop(), Some(1));
    assert_eq!(backlog.claim_behind("a", |item| *item < 4), [2, 3]);
    backlog.done("a", NextStep::Await(1, now));
    backlog.done("a", NextStep::Await(2, now));
    // The first comes again before the last has ended.
    assert!(!push(&mut backlog, "a", 1));
    assert!(backlog.done("a", NextStep::Await(3, now)).is_empty());
    push(&mut backlog, "a", 2);
    push(&mut backlog, "a", 3);
    for next in [1, 2, 3, 4] {
        assert_eq!(pop_all(&mut backlog), [next]);
        backlog.done("a", NextStep::Proceed);
    }
}

#[test]
fn an_item_that_awaits_its_retry_takes_its_turn_again() {
    let mut backlog = backlog(&[("a", 1), ("a", 2), ("b", 3)]);
    assert_eq!(pop_all(&mut backlog), [1, 3]);
    assert!(!backlog.may_wait("a", 0) && backlog.may_wait("a", 1));
    assert!(backlog.await_retry("a"));
    assert_eq!(backlog.stalled(), 2);
    assert!(backlog.requeue(Some("a"), 1, 1));
    assert_eq!((pop_all(&mut backlog), backlog.stalled()), (vec![1], 0));
    backlog.claim_behind("a", |_| true);
    assert!(!backlog.await_retry("a"), "two share the claim");
    assert!(!backlog.requeue(Some("a"), 1, 1), "it waits for the other");
    backlog.done("a", NextStep::Proceed);
    assert_eq!(backlog.pop(), Some(1));
}

#[test]
fn a_newer_receipt_replaces_an_older_one() {
    let mut backlog = backlog(&[("a", 1), ("a", 2), ("a", 3), ("", 7)]);
    assert!(backlog.replace(Some("a"), |item| *item == 2, 20));
    assert!(backlog.replace(None, |item| *item == 7, 70));
    assert!(!backlog.replace(Some("b"), |item| *item == 2, 9));
    assert_eq!(pop_all(&mut backlog), [1, 70]);
    backlog.done("a", NextStep::Proceed);
    assert_eq!(backlog.pop(), Some(20));
}
