//! The messages of a receive, with what is to be done about each: those that were rejected, or received too late, are
//! returned to the queue.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::consumer::lease;
use crate::consumer::shared::Shared;
use crate::operation::ReceiveMessageOutput;
use crate::types::{Message, bounded_id};

/// A received message.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) message: Message,
    pub(super) turn: Turn,
}

/// The treatment of a received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is handled in its turn.
    Handle,
    /// It cannot be handled. In its turn it is returned to the queue, which hides it for this time.
    Return(Duration),
    /// It is returned at once. The queue hides it for this time.
    ReturnAtOnce(Duration),
}

impl Turn {
    /// Returns the time for which the queue hides the message at least, once it is returned.
    pub(super) fn delay(self) -> Duration {
        match self {
            Self::Handle => Duration::ZERO,
            Self::Return(delay) | Self::ReturnAtOnce(delay) => delay,
        }
    }
}

impl From<Message> for Arrival {
    fn from(message: Message) -> Self {
        let turn = Turn::Handle;
        Self { message, turn }
    }
}

/// The groups of which nothing later may be handled.
#[derive(Debug, Default)]
struct Stopped {
    groups: HashSet<String>,
    /// A message of an unknown group, which may be any.
    all: bool,
}

impl Stopped {
    fn add(&mut self, message: &Message) {
        match message.attributes.message_group_id() {
            Some(group) => drop(self.groups.insert(group.to_owned())),
            None => self.all = true,
        }
    }

    fn has(&self, message: &Message) -> bool {
        let group = message.attributes.message_group_id();
        self.all || group.is_some_and(|group| self.groups.contains(group))
    }
}

/// Decides on each message of a receive. A rejected message counts as one whose handling failed: `backoff` says for how
/// long it is hidden, by the number of its receives.
///
/// A rejected message keeps its place in its group. Where that is not possible, all that may have to wait for it is
/// returned as well.
pub(super) fn decide(
    received: ReceiveMessageOutput,
    ordered: bool,
    mut backoff: impl FnMut(u32) -> Duration,
) -> Vec<Arrival> {
    let mut stopped = Stopped::default();
    let mut arrivals = Vec::with_capacity(received.messages.len() + received.rejected.len());
    for came in received.in_order() {
        let (message, turn) = match came {
            Ok(message) => (message, Turn::Handle),
            Err(rejected) => {
                let receives = rejected.message.attributes.approximate_receive_count();
                let turn = Turn::Return(backoff(receives.unwrap_or(1)));
                (rejected.message, turn)
            }
        };
        let is_returnable = !message.receipt_handle.is_empty();
        let has_place = is_returnable && message.attributes.message_group_id().is_some();
        let turn = match turn {
            // The one before it hides it for as long as that is hidden.
            turn if ordered && stopped.has(&message) => Turn::ReturnAtOnce(turn.delay()),
            Turn::Return(delay) if !ordered || !has_place => {
                stopped.add(&message);
                Turn::ReturnAtOnce(delay)
            }
            turn => turn,
        };
        // Without a receipt handle it comes again after its visibility timeout.
        if is_returnable {
            arrivals.push(Arrival { message, turn });
        }
    }
    arrivals
}

/// The messages, and from when on their leases count. After a receive that took long, as it was tried again, they may be
/// visible already. Then each is kept only if the server confirms that it is still hidden. Where order is kept, what came
/// after one that is not kept in its group is returned.
pub(super) async fn confirmed(shared: &Shared, asked: Instant, arrivals: Vec<Arrival>) -> (Instant, Vec<Arrival>) {
    let visibility = shared.settings.visibility_timeout;
    if arrivals.is_empty() || asked.elapsed() < lease::usable(visibility).mul_f64(0.9) {
        return (asked, arrivals);
    }
    let asked = Instant::now();
    let extended = join_all(arrivals.into_iter().map(|arrival| async move {
        let handle = &arrival.message.receipt_handle;
        let (extended, other_attempt) = shared.requests.extend(handle, visibility).await;
        // If it arrived after the message was returned, it would hide it once more.
        other_attempt.await;
        let confirmed = extended.map(drop).inspect_err(|error| {
            let message_id = bounded_id(&arrival.message.message_id);
            tracing::warn!(message_id, %error, "a message was received too late, and is not kept");
        });
        (arrival, confirmed.is_ok())
    }));
    (asked, kept(extended.await, shared.settings.ordered))
}

/// Keeps those that were confirmed.
fn kept(extended: Vec<(Arrival, bool)>, ordered: bool) -> Vec<Arrival> {
    let mut stopped = Stopped::default();
    let keep = |(mut arrival, confirmed): (Arrival, bool)| {
        if !confirmed {
            stopped.add(&arrival.message);
            return None;
        }
        if ordered && stopped.has(&arrival.message) {
            arrival.turn = Turn::ReturnAtOnce(arrival.turn.delay());
        }
        Some(arrival)
    };
    extended.into_iter().filter_map(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{Operation as _, ReceiveMessage};

    const HANDLE: Turn = Turn::Handle;
    const RETURN: Turn = Turn::Return(Duration::from_secs(3));
    const AT_ONCE: Turn = Turn::ReturnAtOnce(Duration::from_secs(3));
    const BEHIND: Turn = Turn::ReturnAtOnce(Duration::ZERO);

    /// A response of these messages: group, and whether it can be read.
    fn received(messages: &[(&str, bool)]) -> ReceiveMessageOutput {
        let json = |(index, (group, readable)): (usize, &(&str, bool))| {
            let body = if *readable { r#""b""# } else { "5" };
            let group = match *group {
                "" => String::new(),
                group => format!(r#","MessageGroupId":"{group}""#),
            };
            format!(
                r#"{{"MessageId":"{index}","ReceiptHandle":"r{index}","Body":{body},
                    "Attributes":{{"ApproximateReceiveCount":"3"{group}}}}}"#
            )
        };
        let messages: Vec<_> = messages.iter().enumerate().map(json).collect();
        ReceiveMessage::read(format!(r#"{{"Messages":[{}]}}"#, messages.join(",")).as_bytes()).unwrap()
    }

    fn decided(received: ReceiveMessageOutput, ordered: bool) -> Vec<Arrival> {
        decide(received, ordered, |receives| Duration::from_secs(receives.into()))
    }

    fn turns(arrivals: &[Arrival]) -> Vec<Turn> {
        arrivals.iter().map(|arrival| arrival.turn).collect()
    }

    fn ids(arrivals: &[Arrival]) -> Vec<&str> {
        arrivals.iter().map(|arrival| &*arrival.message.message_id).collect()
    }

    #[test]
    fn without_an_order_a_rejected_message_is_returned_at_once_and_the_others_are_handled() {
        let messages = [("a", true), ("a", false), ("a", true), ("", true)];
        let arrivals = decided(received(&messages), false);
        assert_eq!(turns(&arrivals), [HANDLE, AT_ONCE, HANDLE, HANDLE]);
    }

    #[test]
    fn a_rejected_message_of_a_group_is_returned_in_its_turn_and_the_others_are_handled() {
        let messages = [("a", true), ("a", false), ("b", true), ("a", true), ("a", false)];
        let arrivals = decided(received(&messages), true);
        assert_eq!(turns(&arrivals), [HANDLE, RETURN, HANDLE, HANDLE, RETURN]);
        assert_eq!(ids(&arrivals), ["0", "1", "2", "3", "4"]);
    }

    #[test]
    fn a_rejected_message_of_an_unknown_group_stops_all_that_came_after_it() {
        let messages = [("a", true), ("", false), ("a", true), ("b", false)];
        let arrivals = decided(received(&messages), true);
        assert_eq!(turns(&arrivals), [HANDLE, AT_ONCE, BEHIND, AT_ONCE]);
    }

    #[test]
    fn a_message_that_cannot_be_returned_stops_its_group() {
        let mut received = received(&[("a", true), ("a", false), ("b", true), ("a", true)]);
        received.rejected[0].message.receipt_handle.clear();
        let arrivals = decided(received, true);
        assert_eq!(ids(&arrivals), ["0", "2", "3"]);
        assert_eq!(turns(&arrivals), [HANDLE, HANDLE, BEHIND]);
    }

    #[test]
    fn of_a_late_receive_each_that_is_confirmed_is_kept_unless_order_would_be_lost() {
        let messages = [("a", true), ("a", true), ("b", true), ("a", true), ("a", false)];
        for (ordered, expected) in [
            (false, [HANDLE, HANDLE, HANDLE, AT_ONCE]),
            (true, [HANDLE, HANDLE, BEHIND, AT_ONCE]),
        ] {
            let arrivals = decided(received(&messages), ordered);
            let confirmed = arrivals.into_iter().zip([true, false, true, true, true]).collect();
            let kept = kept(confirmed, ordered);
            assert_eq!(ids(&kept), ["0", "2", "3", "4"]);
            assert_eq!(turns(&kept), expected, "ordered {ordered}");
        }
    }
}
