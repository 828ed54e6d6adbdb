//! Failed messages of groups, and redelivered messages.

use super::*;
use crate::consumer::arrival::Treatment;

pub(super) const SECOND: Duration = Duration::from_secs(1);
const VISIBILITY: Duration = Duration::from_secs(30);

pub(super) fn fifo_client() -> Client {
    Client::builder()
        .region("us-east-1")
        .credentials(Credentials::new("x", "x"))
        .build()
        .unwrap()
}

fn fifo_state(set: impl FnOnce(crate::Consumer) -> crate::Consumer) -> State {
    let mut state = State::new(&set(fifo_client().consumer("q.fifo")).settings, "q.fifo");
    state.polling = true;
    // A poll is always open.
    state.reserved = 1;
    state
}

/// Builds a message whose number is its body, and a part of its ID.
pub(super) fn numbered(group: &str, number: u32, receives: u32) -> Message {
    let mut message = message(group, &number.to_string());
    message.message_id = format!("{group}-{number}");
    message.attributes = MessageSystemAttributes::from_iter([
        (MessageSystemAttributeName::MessageGroupId, group.to_owned()),
        (
            MessageSystemAttributeName::ApproximateReceiveCount,
            receives.to_string(),
        ),
    ]);
    message
}

fn receive(state: &mut State, numbers: impl IntoIterator<Item = u32>, receives: u32, now: Instant) {
    let messages = numbers.into_iter().map(|number| numbered("g", number, receives));
    receive_messages(state, messages.collect(), now);
}

/// Extends all leases until a time. Returns the bodies of messages that returned to the queue in between.
fn pass(state: &mut State, from: Instant, until: Instant) -> Vec<String> {
    let mut back = Vec::new();
    let mut now = from;
    while now <= until {
        let round = state.round(now);
        for (tracked, extension) in &round.extensions {
            tracked.lease().extended(now, *extension, now);
        }
        for (tracked, _) in &round.returns {
            back.push(tracked.message().body.clone());
            state.finish(tracked, End::Returned(Duration::ZERO), now);
        }
        now += SECOND / 2;
    }
    back
}

#[test]
fn a_failed_head_is_retried_in_place_and_then_returned_alone() {
    let now = Instant::now();
    let mut state = fifo_state(|consumer| consumer);
    receive(&mut state, 1..=10, 1, now);
    let mut later = now;
    for retry in 1..=crate::Consumer::RETRIES_IN_PLACE {
        let head = state.next(later).unwrap();
        assert!(state.retry_in_place(&head, SECOND, later));
        assert!(state.next(later).is_none(), "it waits");
        assert!(pass(&mut state, later, later + 2 * SECOND).is_empty());
        assert_eq!(head.retries(), retry);
        later += 2 * SECOND;
    }
    let head = state.next(later).unwrap();
    assert!(!state.retry_in_place(&head, SECOND, later), "the retries are used up");
    state.finish(&head, End::Returned(SECOND), later);
    assert!(state.next(later).is_none());
    assert_eq!(state.in_flight(), 9);
    receive(&mut state, [1], 2, later);
    let again = state.next(later).unwrap();
    assert_eq!(
        (again.receives(), again.all_retries()),
        (2, 2),
        "its handlings are remembered"
    );
    state.finish(&again, End::Deleted, later);
    assert_eq!(bodies(&take_all(&mut state, later)), ["2"]);
}

#[test]
fn if_the_head_does_not_come_again_the_next_message_is_returned_alone() {
    let now = Instant::now();
    let mut state = fifo_state(|consumer| consumer);
    receive(&mut state, 1..=4, 1, now);
    let head = state.next(now).unwrap();
    state.finish(&head, End::Returned(5 * SECOND), now);
    assert!(pass(&mut state, now, now + 14 * SECOND).is_empty(), "not before 15 s");
    let later = now + 16 * SECOND;
    assert_eq!(pass(&mut state, now + 14 * SECOND, later), ["2"]);
    receive(&mut state, [2], 2, later);
    let second = state.next(later).unwrap();
    assert_eq!(second.message().body, "2");
    state.finish(&second, End::Deleted, later);
    assert_eq!(bodies(&take_all(&mut state, later)), ["3"]);
    assert!(state.locks_groups.is_none());
}

#[test]
fn if_no_message_comes_again_all_are_returned_in_order() {
    let now = Instant::now();
    let mut state = fifo_state(|consumer| consumer);
    receive(&mut state, 1..=4, 1, now);
    let head = state.next(now).unwrap();
    state.finish(&head, End::Returned(Duration::ZERO), now);
    assert_eq!(pass(&mut state, now, now + 25 * SECOND), ["2", "3", "4"]);
    assert_eq!(state.in_flight(), 0);
    // A competing consumer had it.
    let later = now + 25 * SECOND;
    receive(&mut state, [1], 3, later);
    assert!(state.locks_groups.is_none());
}

#[test]
fn a_server_that_locks_groups_is_recognized_and_gets_whole_groups_back() {
    let now = Instant::now();
    let mut state = fifo_state(|consumer| consumer);
    receive(&mut state, 1..=4, 1, now);
    let head = state.next(now).unwrap();
    state.finish(&head, End::Returned(Duration::ZERO), now);
    let later = now + 25 * SECOND;
    assert_eq!(pass(&mut state, now, later).len(), 3);
    // The poll that receives them waited for long.
    let messages = (1..=4).map(|number| numbered("g", number, 2).into()).collect();
    state.arrive(messages, now + 10 * SECOND, later);
    let head = state.next(later).unwrap();
    state.finish(&head, End::Returned(Duration::ZERO), later);
    assert_eq!(pass(&mut state, later, later), ["2", "3", "4"], "at once");
    assert_eq!(state.room(), Some(1), "nothing is to be in flight behind it");
    pass(&mut state, later, later + 1_000 * SECOND);
    assert_eq!(state.room(), Some(10), "it is tried again");
}

#[test]
fn empty_polls_reveal_a_server_that_locks_groups() {
    for asked_after_it_was_visible in [true, false] {
        let now = Instant::now();
        let mut state = fifo_state(|consumer| consumer);
        receive(&mut state, 1..=4, 1, now);
        let head = state.next(now).unwrap();
        state.finish(&head, End::Returned(5 * SECOND), now);
        state.poll_was_empty(now + if asked_after_it_was_visible { 6 } else { 4 } * SECOND);
        let later = now + 28 * SECOND;
        assert_eq!(pass(&mut state, now, later).len(), 3);
        receive(&mut state, 1..=4, 2, later);
        assert_eq!(state.locks_groups.is_some(), asked_after_it_was_visible);
    }
}

#[test]
fn nothing_is_returned_while_no_poll_is_open() {
    let now = Instant::now();
    let mut state = fifo_state(|consumer| consumer);
    receive(&mut state, 1..=4, 1, now);
    let head = state.next(now).unwrap();
    state.finish(&head, End::Returned(Duration::ZERO), now);
    state.reserved = 0;
    assert!(pass(&mut state, now, now + 60 * SECOND).is_empty());
    state.reserved = 1;
    assert_eq!(pass(&mut state, now + 60 * SECOND, now + 61 * SECOND), ["2"]);
}

#[test]
fn messages_behind_failed_ones_take_no_room_up_to_a_limit_and_are_never_returned() {
    let now = Instant::now();
    let mut state = fifo_state(|consumer| consumer.concurrency(4).prefetch(8));
    state.reserved = 0;
    for group in ["a", "b"] {
        let messages = (1..=6).map(|number| numbered(group, number, 1)).collect();
        receive_messages(&mut state, messages, now);
    }
    assert_eq!(state.reserve(), None, "12 are in flight");
    let heads = take_all(&mut state, now);
    assert_eq!(heads.len(), 2);
    state.finish(&heads[0], End::Returned(Duration::ZERO), now);
    assert!(state.retry_in_place(&heads[1], SECOND, now));
    assert_eq!((state.backlog.stalled(), state.in_flight()), (11, 11));
    assert!(state.room().is_some(), "for the returned message");
    let messages = (1..=4).map(|number| numbered("c", number, 1)).collect();
    receive_messages(&mut state, messages, now);
    // Five wait for a returned message, and three more would exceed the limit. The group stays in flight, however often
    // its first message fails.
    state.concurrency = 1;
    state.max_prefetch = 6;
    for _ in 0..9 {
        let head = state.next(now).unwrap();
        assert!(state.retry_in_place(&head, Duration::ZERO, now));
        assert!(state.round(now).returns.is_empty());
    }
    let head = state.next(now).unwrap();
    state.max_prefetch = 7;
    assert!(
        !state.retry_in_place(&head, Duration::ZERO, now),
        "it can be returned alone"
    );
}

#[test]
fn a_stop_returns_a_failed_message_with_the_rest_of_its_backoff() {
    let now = Instant::now();
    let mut state = fifo_state(|consumer| consumer);
    receive(&mut state, 1..=3, 1, now);
    let head = state.next(now).unwrap();
    assert!(state.retry_in_place(&head, 9 * SECOND, now));
    state.stop(now + SECOND);
    state.polls_ended(now + SECOND);
    let round = state.round(now + SECOND);
    let delays: Vec<_> = round.returns.iter().map(|(_, delay)| delay.as_secs()).collect();
    assert_eq!(
        (bodies(returned(&round)), delays),
        (vec!["1".into(), "2".into(), "3".into()], vec![8, 0, 0])
    );
}

#[test]
fn a_message_without_content_or_with_a_shared_turn_is_not_retried_in_place() {
    let now = Instant::now();
    let mut state = fifo_state(|consumer| consumer);
    receive(&mut state, 1..=4, 1, now);
    let head = state.next(now).unwrap();
    let behind = state.take_later(&head, |message| message.body == "2", now);
    assert!(!state.retry_in_place(&head, SECOND, now));
    state.finish(&head, End::Returned(Duration::ZERO), now);
    state.finish(&behind[0], End::Returned(Duration::ZERO), now);
    assert_eq!(state.in_flight(), 2, "the rest waits for both");
    receive(&mut state, [1, 2], 2, now);
    let head = state.next(now).unwrap();
    assert_eq!(head.message().body, "1");
    assert_eq!(
        bodies(&state.take_later(&head, |message| message.body == "2", now)),
        ["2"]
    );
    head.take_message();
    assert!(!state.retry_in_place(&head, SECOND, now));
}

#[test]
fn a_newer_receipt_is_deleted_once_the_older_one_was_handled() {
    for fifo in [true, false] {
        let now = Instant::now();
        let mut state = fifo_state(|consumer| ordered(consumer, fifo));
        receive(&mut state, [1], 1, now);
        let older = state.next(now).unwrap();
        older.mark_lost();
        receive(&mut state, [1], 2, now);
        receive(&mut state, [1], 3, now);
        assert!(state.next(now).is_none());
        assert_eq!(state.in_flight(), 2, "one newer receipt is enough");
        state.finish(&older, End::Handled, now);
        assert!(state.next(now).is_none());
        let round = state.round(now);
        assert_eq!(round.deletions.len(), 1);
        state.finish(&round.deletions[0], End::Deleted, now);
        assert_eq!(state.in_flight(), 0);
        // The message comes again once more.
        receive(&mut state, [1], 4, now);
        assert!(state.next(now).is_none());
        assert_eq!(state.round(now).deletions.len(), 1);
    }
}

#[test]
fn a_newer_receipt_is_handled_once_the_older_one_has_failed() {
    for fifo in [true, false] {
        for end in [End::Lost, End::Returned(Duration::ZERO)] {
            let now = Instant::now();
            let mut state = fifo_state(|consumer| ordered(consumer, fifo));
            receive(&mut state, [1, 2], 1, now);
            let mut older = state.next(now).unwrap();
            if fifo {
                assert!(state.retry_in_place(&older, Duration::ZERO, now));
                state.round(now);
                older = state.next(now).unwrap();
            }
            receive(&mut state, [1], 2, now);
            state.begin_settling(&older, now);
            state.finish(&older, end, now);
            let next = state.next(now).unwrap();
            assert_eq!((next.message().body.as_str(), next.receives()), ("1", 2));
            assert_eq!(next.all_retries(), u32::from(fifo), "those of the older receipt count");
            assert_eq!(state.next(now).is_none(), fifo, "the next of its group waits");
            state.finish(&next, End::Deleted, now);
            assert_eq!(state.next(now).is_some(), fifo);
        }
    }
}

#[test]
fn a_newer_receipt_replaces_a_buffered_one() {
    let now = Instant::now();
    let mut state = fifo_state(|consumer| consumer);
    receive(&mut state, 1..=3, 1, now);
    let head = state.next(now).unwrap();
    receive(&mut state, [2], 2, now);
    assert_eq!(state.in_flight(), 3);
    state.finish(&head, End::Deleted, now);
    let second = state.next(now).unwrap();
    assert_eq!((second.message().body.as_str(), second.receives()), ("2", 2));
}

#[test]
fn messages_that_come_again_while_being_returned_keep_their_order() {
    let now = Instant::now();
    let mut state = fifo_state(|consumer| consumer);
    receive(&mut state, 1..=3, 1, now);
    let head = state.next(now).unwrap();
    state.finish(&head, End::Lost, now);
    let round = state.round(now);
    receive(&mut state, 1..=3, 2, now);
    for (tracked, _) in &round.returns {
        state.finish(tracked, End::Returned(Duration::ZERO), now);
    }
    for expected in ["1", "2", "3"] {
        let head = state.next(now).unwrap();
        assert_eq!(head.message().body, expected);
        assert!(state.next(now).is_none());
        state.finish(&head, End::Deleted, now);
    }
}

#[test]
fn leases_of_buffered_messages_are_extended_while_they_wait() {
    let now = Instant::now();
    let mut state = fifo_state(|consumer| consumer.visibility_timeout(VISIBILITY));
    receive(&mut state, 1..=3, 1, now);
    let head = state.next(now).unwrap();
    state.finish(&head, End::Returned(300 * SECOND), now);
    pass(&mut state, now, now + 299 * SECOND);
    assert_eq!(state.in_flight(), 2);
    assert!(
        state
            .tracked
            .values()
            .all(|slot| slot.tracked.lease().is_valid(now + 299 * SECOND))
    );
}

#[test]
fn later_messages_of_a_group_can_be_returned_on_request() {
    let now = Instant::now();
    let mut state = fifo_state(|consumer| consumer);
    receive(&mut state, 1..=3, 1, now);
    let head = state.next(now).unwrap();
    state.return_later(&head, now);
    assert_eq!(pass(&mut state, now, now), ["2", "3"]);
    state.finish(&head, End::Returned(Duration::ZERO), now);
    assert_eq!(state.in_flight(), 0);
    receive(&mut state, 1..=4, 2, now);
    for expected in ["1", "2", "3", "4"] {
        let head = state.next(now).unwrap();
        assert_eq!(head.message().body, expected);
        state.finish(&head, End::Deleted, now);
    }
}

/// Receives messages with these numbers, one of them rejected.
fn receive_rejected(state: &mut State, numbers: impl IntoIterator<Item = u32>, rejected: u32, now: Instant) {
    let arrival = |number| Arrival {
        message: numbered("g", number, 1),
        treatment: if number == rejected {
            Treatment::Return(5 * SECOND)
        } else {
            Treatment::Handle
        },
    };
    state.arrive(numbers.into_iter().map(arrival).collect(), now, now);
}

#[test]
fn a_rejected_message_is_returned_alone_in_its_turn_and_not_overtaken() {
    let now = Instant::now();
    let mut state = fifo_state(|consumer| consumer.concurrency(1));
    receive_rejected(&mut state, 1..=4, 2, now);
    let head = state.next(now).unwrap();
    assert_eq!(head.message().body, "1");
    assert!(state.round(now).returns.is_empty(), "it is not its turn");
    state.finish(&head, End::Deleted, now);
    assert!(state.next(now).is_none());
    assert!(!state.wakes().stream, "it uses no handler's slot");
    let round = state.round(now);
    assert_eq!(bodies(returned(&round)), ["2"]);
    assert_eq!(round.returns[0].1, 5 * SECOND);
    state.finish(&round.returns[0].0, End::Returned(5 * SECOND), now);
    assert!(state.next(now).is_none());
    let later = now + 6 * SECOND;
    assert!(pass(&mut state, now, later).is_empty());
    assert_eq!(state.in_flight(), 2, "those behind it stay in flight");
    // This time it can be read.
    receive(&mut state, [2], 2, later);
    for expected in ["2", "3", "4"] {
        let head = state.next(later).unwrap();
        assert_eq!(head.message().body, expected);
        state.finish(&head, End::Deleted, later);
    }
}

#[test]
fn a_rejected_message_is_not_taken_with_its_group_and_keeps_its_backoff_at_a_stop() {
    let now = Instant::now();
    let mut state = fifo_state(|consumer| consumer);
    receive_rejected(&mut state, 1..=3, 2, now);
    let head = state.next(now).unwrap();
    assert_eq!(bodies(&state.take_later(&head, |_| true, now)), ["3"]);
    state.stop(now);
    state.polls_ended(now);
    let round = state.round(now);
    assert_eq!(
        (bodies(returned(&round)), round.returns[0].1),
        (vec!["2".into()], 5 * SECOND)
    );
}

#[test]
fn a_rejected_receipt_waits_until_its_message_was_handled() {
    for is_ordered in [true, false] {
        for (end, deleted) in [(End::Handled, 1), (End::Lost, 0)] {
            let now = Instant::now();
            let mut state = fifo_state(|consumer| ordered(consumer, is_ordered));
            receive(&mut state, [1], 1, now);
            let older = state.next(now).unwrap();
            older.mark_lost();
            let message = numbered("g", 1, 2);
            let treatment = if is_ordered {
                Treatment::Return(SECOND)
            } else {
                Treatment::ReturnAtOnce(SECOND)
            };
            state.arrive(vec![Arrival { message, treatment }], now, now);
            assert!(state.next(now).is_none() && state.round(now).returns.is_empty());
            state.finish(&older, end, now);
            assert!(state.next(now).is_none(), "it is not handled");
            let round = state.round(now);
            assert_eq!((round.deletions.len(), round.returns.len()), (deleted, 1 - deleted));
        }
    }
}

#[test]
fn newer_receipts_of_a_retried_message_leave_nothing_in_flight() {
    let now = Instant::now();
    let mut state = fifo_state(|consumer| consumer);
    receive(&mut state, [1], 1, now);
    let older = state.next(now).unwrap();
    assert!(state.retry_in_place(&older, Duration::ZERO, now));
    older.mark_lost();
    receive(&mut state, [1], 2, now);
    state.round(now);
    assert!(
        state.backlog.has_ready(),
        "its turn has come, and no handler has it yet"
    );
    receive(&mut state, [1], 3, now);
    let newest = state.next(now).unwrap();
    assert_eq!(newest.receives(), 3);
    state.finish(&newest, End::Deleted, now);
    for left in take_all(&mut state, now) {
        state.finish(&left, End::Deleted, now);
    }
    let round = state.round(now);
    for left in &round.deletions {
        state.finish(left, End::Deleted, now);
    }
    assert_eq!((state.in_flight(), state.successors.len()), (0, 0));
}

#[test]
fn an_extreme_backoff_does_not_panic() {
    let now = Instant::now();
    let mut state = fifo_state(|consumer| consumer);
    receive(&mut state, [1], 1, now);
    let head = state.next(now).unwrap();
    assert!(!state.retry_in_place(&head, Duration::MAX, now));
}

#[test]
fn a_busy_server_is_not_mistaken_for_one_that_locks_groups() {
    let now = Instant::now();
    let mut state = fifo_state(|consumer| consumer);
    receive(&mut state, 1..=2, 1, now);
    let head = state.next(now).unwrap();
    state.finish(&head, End::Returned(Duration::ZERO), now);
    // Each poll returns at once, with messages of other groups.
    let mut later = now;
    for number in 1..=60 {
        pass(&mut state, later, later);
        later += SECOND / 2;
        state.unreserve(1);
        state.arrive(vec![numbered("other", number, 1).into()], later, later);
        state.reserved = 1;
        let other = state.next(later).unwrap();
        state.finish(&other, End::Deleted, later);
    }
    receive(&mut state, [1], 2, later);
    assert!(state.locks_groups.is_none(), "the server had other messages to return");
}
