use super::*;
use crate::consumer::arrival::Arrival;
use crate::consumer::extension::ConsumerExt as _;
use crate::consumer::state::round::Round;
use crate::types::{Message, MessageSystemAttributeName, MessageSystemAttributes};
use crate::{Client, Credentials};

/// Sets `ordered`, which otherwise follows from the queue's name.
fn ordered(mut consumer: crate::Consumer, is_ordered: bool) -> crate::Consumer {
    consumer.settings.ordered = is_ordered;
    consumer
}

fn state(set: impl FnOnce(crate::Consumer) -> crate::Consumer, is_ordered: bool) -> State {
    let client = Client::builder()
        .region("us-east-1")
        .credentials(Credentials::new("x", "x"))
        .build()
        .unwrap();
    let mut state = State::new(&set(ordered(client.consumer("q"), is_ordered)).settings, "q");
    state.polling = true;
    state
}

fn message(group: &str, body: &str) -> Message {
    let group = (MessageSystemAttributeName::MessageGroupId, group.to_owned());
    let mut message: Message = serde_json::from_str(r#"{"ReceiptHandle": "r"}"#).unwrap();
    message.body = body.to_owned();
    message.attributes = MessageSystemAttributes::from_iter([group]);
    message
}

fn arrive(state: &mut State, messages: &[(&str, &str)], now: Instant) {
    let messages = messages.iter().map(|(group, body)| message(group, body)).collect();
    receive_messages(state, messages, now);
}

fn receive_messages(state: &mut State, messages: Vec<Message>, now: Instant) {
    state.arrive(messages.into_iter().map(Arrival::from).collect(), now, now);
}

fn bodies<'a>(messages: impl IntoIterator<Item = &'a Arc<TrackedMessage>>) -> Vec<String> {
    messages
        .into_iter()
        .map(|tracked| tracked.message().body.clone())
        .collect()
}

fn returned(round: &Round) -> impl Iterator<Item = &Arc<TrackedMessage>> {
    round.returns.iter().map(|(tracked, _)| tracked)
}

fn take_all(state: &mut State, now: Instant) -> Vec<Arc<TrackedMessage>> {
    std::iter::from_fn(|| state.next(now)).collect()
}

#[test]
fn polls_and_messages_in_flight_never_exceed_the_limit() {
    let now = Instant::now();
    let mut state = state(|consumer| consumer.concurrency(12).prefetch(6), false);
    assert_eq!(state.reserve(), Some(10));
    assert_eq!(
        state.reserve(),
        Some(2),
        "nothing is prefetched before one message has been timed"
    );
    assert_eq!(state.reserve(), None);
    state.unreserve(10);
    arrive(&mut state, &[("", "m"); 10], now);
    let handling = take_all(&mut state, now);
    state.begin_settling(&handling[0], now + Duration::from_millis(1));
    // 6 more may be buffered, and a poll requests at least half of them.
    assert_eq!(state.reserve(), Some(6));
    state.unreserve(8);
    state.finish(&handling[0], End::Deleted, now);
    assert_eq!(state.reserve(), Some(9));
}

#[test]
fn slow_handling_reduces_prefetching() {
    let now = Instant::now();
    for (seconds, expected) in [(1, 100), (5, 20), (14, 10), (15, 0)] {
        let mut state = state(|consumer| consumer.concurrency(10).prefetch(100), false);
        arrive(&mut state, &[("", "m")], now);
        let handling = state.next(now).unwrap();
        state.begin_settling(&handling, now + Duration::from_secs(seconds));
        assert_eq!(state.prefetch, expected, "{seconds} s");
    }
}

#[test]
fn the_stream_yields_no_more_messages_than_the_concurrency() {
    let now = Instant::now();
    let mut state = state(|consumer| consumer.concurrency(2), false);
    arrive(&mut state, &[("", "1"), ("", "2"), ("", "3")], now);
    let handling = take_all(&mut state, now);
    assert_eq!(bodies(&handling), ["1", "2"]);
    assert!(!state.wakes().stream);
    state.begin_settling(&handling[1], now);
    assert!(state.wakes().stream, "its acknowledgement uses no handler's slot");
    assert_eq!(bodies(&take_all(&mut state, now)), ["3"]);
}

#[test]
fn a_lost_message_returns_only_the_rest_of_its_group() {
    let now = Instant::now();
    let mut state = state(|consumer| consumer, true);
    arrive(
        &mut state,
        &[("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3"), ("b", "b2")],
        now,
    );
    let handling = take_all(&mut state, now);
    assert_eq!(bodies(&handling), ["a1", "b1"]);
    state.finish(&handling[0], End::Lost, now);
    state.finish(&handling[1], End::Deleted, now);
    let round = state.round(now);
    assert_eq!(bodies(returned(&round)), ["a2", "a3"]);
    assert_eq!(bodies(&take_all(&mut state, now)), ["b2"]);

    // The group comes again while its rest is still being returned.
    arrive(&mut state, &[("a", "a1"), ("a", "a2")], now);
    let again = take_all(&mut state, now);
    assert_eq!(bodies(&again), ["a1"]);
    returned(&round).for_each(|tracked| state.finish(tracked, End::Lost, now));
    assert!(state.next(now).is_none(), "a1 is being handled");
    state.finish(&again[0], End::Deleted, now);
    assert_eq!(bodies(&take_all(&mut state, now)), ["a2"]);
}

#[test]
fn a_buffered_message_whose_lease_is_lost_and_those_behind_it_are_not_handled() {
    let now = Instant::now();
    let mut state = state(|consumer| consumer, true);
    arrive(&mut state, &[("a", "a1"), ("a", "a2"), ("a", "a3")], now);
    let first = state.next(now).unwrap();
    let second = state
        .tracked
        .values()
        .find(|slot| slot.tracked.message().body == "a2")
        .unwrap();
    second.tracked.mark_lost();
    state.finish(&first, End::Deleted, now);
    assert!(state.next(now).is_none());
    assert_eq!(bodies(returned(&state.round(now))), ["a3"]);
}

#[test]
fn all_messages_in_flight_are_extended_in_one_round() {
    let now = Instant::now();
    let mut state = state(|consumer| consumer.visibility_timeout(Duration::from_secs(30)), false);
    arrive(&mut state, &[("", "1"), ("", "2"), ("", "3")], now);
    let handling = state.next(now).unwrap();
    let settling = state.next(now).unwrap();
    state.begin_settling(&settling, now);
    let first = state.round(now);
    assert!(first.extensions.is_empty() && !first.over);
    let next = first.next.unwrap();
    assert!(next > now && next < now + Duration::from_secs(15), "{:?}", next - now);
    let later = state.round(now + Duration::from_secs(14));
    assert_eq!(later.extensions.len(), 3);
    state.schedule_return(&handling, Duration::ZERO, now);
    assert_eq!(state.round(now + Duration::from_secs(20)).returns.len(), 1);
}

#[test]
fn a_message_whose_return_failed_counts_until_it_reappears() {
    let now = Instant::now();
    let mut state = state(|consumer| consumer.concurrency(1).prefetch(0), false);
    arrive(&mut state, &[("", "m")], now);
    let handling = state.next(now).unwrap();
    state.schedule_return(&handling, Duration::ZERO, now);
    state.return_failed(&handling, now);
    assert_eq!(state.reserve(), None);
    state.round(now + Duration::from_secs(30));
    assert_eq!(state.reserve(), None);
    state.round(now + Duration::from_secs(60));
    assert_eq!(state.reserve(), Some(1));
}

#[test]
fn a_stop_returns_buffered_and_later_messages() {
    let now = Instant::now();
    let mut state = state(|consumer| consumer.concurrency(1), true);
    arrive(&mut state, &[("a", "1"), ("a", "2"), ("b", "3")], now);
    let handling = state.next(now).unwrap();
    state.stop(now);
    assert!(
        state.round(now).returns.is_empty(),
        "the open poll would receive it again"
    );
    arrive(&mut state, &[("c", "4")], now);
    state.polls_ended(now);
    let round = state.round(now);
    let mut released = bodies(returned(&round));
    released.sort_unstable();
    assert_eq!(released, ["2", "3", "4"]);
    assert!(state.next(now).is_none() && state.reserve().is_none() && state.is_exhausted());
    returned(&round).for_each(|tracked| state.finish(tracked, End::Lost, now));
    assert!(!state.is_at_rest(), "one message is being handled");
    state.finish(&handling, End::Deleted, now);
    assert!(state.is_at_rest() && state.round(now).over);
}

#[test]
fn later_messages_of_a_group_can_be_taken_and_share_its_turn() {
    let now = Instant::now();
    let mut state = state(|consumer| consumer.concurrency(1), true);
    arrive(
        &mut state,
        &[("a", "1"), ("a", "x"), ("b", "2"), ("a", "2"), ("a", "3")],
        now,
    );
    let head = state.next(now).unwrap();
    let taken = state.take_later(&head, |message| message.body != "x", now);
    assert_eq!(bodies(&taken), ["2", "3"]);
    for tracked in &taken {
        state.park(tracked, now);
    }
    state.finish(&head, End::Deleted, now);
    assert_eq!(bodies(&take_all(&mut state, now)), ["2"], "of b");
    state.finish(&taken[0], End::Deleted, now);
    assert!(state.take_later(&taken[0], |_| true, now).is_empty(), "it is settled");
    state.finish(&taken[1], End::Lost, now);
    assert_eq!(
        bodies(returned(&state.round(now))),
        ["x"],
        "one of them was not certainly deleted"
    );
}

#[test]
fn a_parked_message_stays_in_flight_and_takes_no_slot() {
    let now = Instant::now();
    let mut state = state(|consumer| consumer.concurrency(1).prefetch(0), false);
    arrive(&mut state, &[("", "1")], now);
    let first = state.next(now).unwrap();
    assert_eq!(state.reserve(), None);
    state.park(&first, now);
    assert_eq!(state.reserve(), Some(1));
    state.unreserve(1);
    assert_eq!(state.round(now + Duration::from_secs(14)).extensions.len(), 1);
    arrive(&mut state, &[("", "2")], now);
    assert_eq!(bodies(&take_all(&mut state, now)), ["2"]);
    state.resume(&first, now);
    assert_eq!(state.reserve(), None, "both are handled");
    state.begin_settling(&first, now);
    state.park(&first, now);
    assert!(state.is_settling(&first), "it is being settled");
}

#[test]
fn a_poll_waits_for_room_for_its_minimum() {
    let now = Instant::now();
    let mut state = state(|consumer| consumer.concurrency(2).min_messages_per_poll(10), true);
    assert_eq!(state.reserve(), Some(10));
    assert_eq!(state.reserve(), None, "2 and 9 are the limit");
    state.unreserve(10);
    arrive(&mut state, &[("a", "1"), ("b", "2")], now);
    assert_eq!(state.reserve(), None);
    let handling = state.next(now).unwrap();
    state.finish(&handling, End::Deleted, now);
    assert_eq!(state.reserve(), Some(10));
}

mod any_order;
mod fifo;
