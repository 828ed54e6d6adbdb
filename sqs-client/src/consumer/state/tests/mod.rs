use super::*;
use crate::consumer::arrival::Arrival;
use crate::consumer::state::round::Round;
use crate::types::Message;
use crate::types::{MessageSystemAttributeName, MessageSystemAttributes};
use crate::{Client, Credentials};

/// Sets whether groups are kept in order, which otherwise follows from the name of the queue.
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
    hold(state, messages, now);
}

fn hold(state: &mut State, messages: Vec<Message>, now: Instant) {
    state.arrive(messages.into_iter().map(Arrival::from).collect(), now, now);
}

fn bodies<'a>(entries: impl IntoIterator<Item = &'a Arc<Entry>>) -> Vec<String> {
    entries.into_iter().map(|entry| entry.message().body.clone()).collect()
}

fn returned(round: &Round) -> impl Iterator<Item = &Arc<Entry>> {
    round.release.iter().map(|(entry, _)| entry)
}

fn take_all(state: &mut State, now: Instant) -> Vec<Arc<Entry>> {
    std::iter::from_fn(|| state.next(now)).collect()
}

#[test]
fn what_polls_may_bring_and_what_is_held_never_pass_the_bound() {
    let now = Instant::now();
    let mut state = state(|consumer| consumer.concurrency(12).prefetch(6), false);
    assert_eq!(state.reserve(), Some(10));
    assert_eq!(
        state.reserve(),
        Some(2),
        "nothing is prefetched before it is known how long handling takes"
    );
    assert_eq!(state.reserve(), None);
    state.unreserve(10);
    arrive(&mut state, &[("", "m"); 10], now);
    let out = take_all(&mut state, now);
    state.settling(&out[0], now + Duration::from_millis(1));
    // 6 more may wait, and polls are for half of them at least.
    assert_eq!(state.reserve(), Some(6));
    state.unreserve(8);
    state.finish(&out[0], End::Deleted, now);
    assert_eq!(state.reserve(), Some(9));
}

#[test]
fn fewer_wait_the_longer_handling_takes() {
    let now = Instant::now();
    for (seconds, expected) in [(1, 100), (5, 20), (14, 10), (15, 0)] {
        let mut state = state(|consumer| consumer.concurrency(10).prefetch(100), false);
        arrive(&mut state, &[("", "m")], now);
        let out = state.next(now).unwrap();
        state.settling(&out, now + Duration::from_secs(seconds));
        assert_eq!(state.prefetch, expected, "{seconds} s");
    }
}

#[test]
fn no_more_are_given_out_than_are_handled_at_a_time() {
    let now = Instant::now();
    let mut state = state(|consumer| consumer.concurrency(2), false);
    arrive(&mut state, &[("", "1"), ("", "2"), ("", "3")], now);
    let out = take_all(&mut state, now);
    assert_eq!(bodies(&out), ["1", "2"]);
    assert!(!state.wakes().stream);
    state.settling(&out[1], now);
    assert!(state.wakes().stream, "its acknowledgement takes no handler's place");
    assert_eq!(bodies(&take_all(&mut state, now)), ["3"]);
}

#[test]
fn a_lost_message_returns_the_rest_of_its_group_and_only_that() {
    let now = Instant::now();
    let mut state = state(|consumer| consumer, true);
    arrive(
        &mut state,
        &[("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3"), ("b", "b2")],
        now,
    );
    let out = take_all(&mut state, now);
    assert_eq!(bodies(&out), ["a1", "b1"]);
    state.finish(&out[0], End::Lost, now);
    state.finish(&out[1], End::Deleted, now);
    let round = state.round(now);
    assert_eq!(bodies(returned(&round)), ["a2", "a3"]);
    assert_eq!(bodies(&take_all(&mut state, now)), ["b2"]);

    // The group comes again while its rest is still being given back.
    arrive(&mut state, &[("a", "a1"), ("a", "a2")], now);
    let again = take_all(&mut state, now);
    assert_eq!(bodies(&again), ["a1"]);
    returned(&round).for_each(|entry| state.finish(entry, End::Lost, now));
    assert!(state.next(now).is_none(), "a1 is being handled");
    state.finish(&again[0], End::Deleted, now);
    assert_eq!(bodies(&take_all(&mut state, now)), ["a2"]);
}

#[test]
fn a_waiting_message_whose_lease_is_lost_is_not_handled_nor_what_is_behind_it() {
    let now = Instant::now();
    let mut state = state(|consumer| consumer, true);
    arrive(&mut state, &[("a", "a1"), ("a", "a2"), ("a", "a3")], now);
    let first = state.next(now).unwrap();
    let second = state
        .held
        .values()
        .find(|slot| slot.entry.message().body == "a2")
        .unwrap();
    second.entry.refused();
    state.finish(&first, End::Deleted, now);
    assert!(state.next(now).is_none());
    assert_eq!(bodies(returned(&state.round(now))), ["a3"]);
}

#[test]
fn all_that_is_held_is_extended_in_one_round() {
    let now = Instant::now();
    let mut state = state(|consumer| consumer.visibility_timeout(Duration::from_secs(30)), false);
    arrive(&mut state, &[("", "1"), ("", "2"), ("", "3")], now);
    let out = state.next(now).unwrap();
    let settling = state.next(now).unwrap();
    state.settling(&settling, now);
    let first = state.round(now);
    assert!(first.extend.is_empty() && !first.over);
    let next = first.next.unwrap();
    assert!(next > now && next < now + Duration::from_secs(15), "{:?}", next - now);
    let later = state.round(now + Duration::from_secs(14));
    assert_eq!(later.extend.len(), 3);
    state.give_back(&out, Duration::ZERO, now);
    assert_eq!(state.round(now + Duration::from_secs(20)).release.len(), 1);
}

#[test]
fn a_message_that_cannot_be_given_back_counts_until_it_is_visible_by_itself() {
    let now = Instant::now();
    let mut state = state(|consumer| consumer.concurrency(1).prefetch(0), false);
    arrive(&mut state, &[("", "m")], now);
    let out = state.next(now).unwrap();
    state.give_back(&out, Duration::ZERO, now);
    state.abandon(&out, now);
    assert_eq!(state.reserve(), None);
    state.round(now + Duration::from_secs(30));
    assert_eq!(state.reserve(), None);
    state.round(now + Duration::from_secs(60));
    assert_eq!(state.reserve(), Some(1));
}

#[test]
fn a_stop_gives_back_what_waits_and_what_still_comes() {
    let now = Instant::now();
    let mut state = state(|consumer| consumer.concurrency(1), true);
    arrive(&mut state, &[("a", "1"), ("a", "2"), ("b", "3")], now);
    let out = state.next(now).unwrap();
    state.stop(now);
    assert!(
        state.round(now).release.is_empty(),
        "the open poll would receive it again"
    );
    arrive(&mut state, &[("c", "4")], now);
    state.polls_ended(now);
    let round = state.round(now);
    let mut released = bodies(returned(&round));
    released.sort_unstable();
    assert_eq!(released, ["2", "3", "4"]);
    assert!(state.next(now).is_none() && state.reserve().is_none() && state.is_exhausted());
    returned(&round).for_each(|entry| state.finish(entry, End::Lost, now));
    assert!(!state.is_at_rest(), "one is out");
    state.finish(&out, End::Deleted, now);
    assert!(state.is_at_rest() && state.round(now).over);
}

#[test]
fn what_is_behind_in_a_group_can_be_taken_too_and_shares_its_turn() {
    let now = Instant::now();
    let mut state = state(|consumer| consumer.concurrency(1), true);
    arrive(
        &mut state,
        &[("a", "1"), ("a", "x"), ("b", "2"), ("a", "2"), ("a", "3")],
        now,
    );
    let head = state.next(now).unwrap();
    let taken = state.take_behind(&head, |message| message.body != "x", now);
    assert_eq!(bodies(&taken), ["2", "3"]);
    for entry in &taken {
        state.set_aside(entry, now);
    }
    state.finish(&head, End::Deleted, now);
    assert_eq!(bodies(&take_all(&mut state, now)), ["2"], "of b");
    state.finish(&taken[0], End::Deleted, now);
    assert!(state.take_behind(&taken[0], |_| true, now).is_empty(), "it is settled");
    state.finish(&taken[1], End::Lost, now);
    assert_eq!(
        bodies(returned(&state.round(now))),
        ["x"],
        "one of them was not surely deleted"
    );
}

#[test]
fn what_is_set_aside_is_kept_and_takes_no_place() {
    let now = Instant::now();
    let mut state = state(|consumer| consumer.concurrency(1).prefetch(0), false);
    arrive(&mut state, &[("", "1")], now);
    let first = state.next(now).unwrap();
    assert_eq!(state.reserve(), None);
    state.set_aside(&first, now);
    assert_eq!(state.reserve(), Some(1));
    state.unreserve(1);
    assert_eq!(state.round(now + Duration::from_secs(14)).extend.len(), 1);
    arrive(&mut state, &[("", "2")], now);
    assert_eq!(bodies(&take_all(&mut state, now)), ["2"]);
    state.take_up(&first, now);
    assert_eq!(state.reserve(), None, "both are handled");
    state.settling(&first, now);
    state.set_aside(&first, now);
    assert!(state.is_settling(&first), "it is being settled");
}

#[test]
fn a_poll_waits_for_room_for_as_many_as_it_must_ask_for() {
    let now = Instant::now();
    let mut state = state(|consumer| consumer.concurrency(2).min_receive(10), true);
    assert_eq!(state.reserve(), Some(10));
    assert_eq!(state.reserve(), None, "2 and 9 are the bound");
    state.unreserve(10);
    arrive(&mut state, &[("a", "1"), ("b", "2")], now);
    assert_eq!(state.reserve(), None);
    let out = state.next(now).unwrap();
    state.finish(&out, End::Deleted, now);
    assert_eq!(state.reserve(), Some(10));
}

mod any;
mod fifo;
