//! Triage of received messages. Rejected messages, and those received too late, return to the queue.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::consumer::arrival::{Arrival, Treatment};
use crate::consumer::lease;
use crate::consumer::shared::Shared;
use crate::operation::ReceiveMessageOutput;
use crate::types::{Message, bounded_id};

/// The groups of which no later message may be handled.
#[derive(Debug, Default)]
struct BlockedGroups {
    groups: HashSet<String>,
    /// `true` after a message of an unknown group, which may be any group.
    all: bool,
}

impl BlockedGroups {
    fn add(&mut self, message: &Message) {
        match message.attributes.message_group_id() {
            Some(group) => drop(self.groups.insert(group.to_owned())),
            None => self.all = true,
        }
    }

    fn contain(&self, message: &Message) -> bool {
        let group = message.attributes.message_group_id();
        self.all || group.is_some_and(|group| self.groups.contains(group))
    }
}

/// Decides the treatment of each message of a receive. A rejected message counts as failed: `backoff` returns the time for
/// which it is hidden, from its receive count.
///
/// A rejected message keeps its position in its group. If that is impossible, all messages that may have to wait for it
/// are also returned.
pub(super) fn triage(
    received: ReceiveMessageOutput,
    ordered: bool,
    mut backoff: impl FnMut(u32) -> Duration,
) -> Vec<Arrival> {
    let mut blocked = BlockedGroups::default();
    let mut arrivals = Vec::with_capacity(received.messages.len() + received.rejected.len());
    for result in received.in_order() {
        let (message, treatment) = match result {
            Ok(message) => (message, Treatment::Handle),
            Err(rejected) => {
                let receives = rejected.message.attributes.approximate_receive_count();
                let treatment = Treatment::Return(backoff(receives.unwrap_or(1)));
                (rejected.message, treatment)
            }
        };
        let is_returnable = !message.receipt_handle.is_empty();
        let has_position = is_returnable && message.attributes.message_group_id().is_some();
        let treatment = match treatment {
            // The earlier message blocks it for as long as the earlier one is hidden.
            treatment if ordered && blocked.contain(&message) => Treatment::ReturnAtOnce(treatment.delay()),
            Treatment::Return(delay) if !ordered || !has_position => {
                blocked.add(&message);
                Treatment::ReturnAtOnce(delay)
            }
            treatment => treatment,
        };
        // Without a receipt handle, the message reappears when its visibility timeout expires.
        if is_returnable {
            arrivals.push(Arrival { message, treatment });
        }
    }
    arrivals
}

/// Returns the messages, and the time from which their leases count.
///
/// After a receive that was slow because it was retried, messages may be visible already. Each of them is then kept
/// only if the server confirms that it is still hidden. If order is kept, later messages of a dropped one's group are
/// returned.
pub(super) async fn confirm_late(shared: &Shared, sent_at: Instant, arrivals: Vec<Arrival>) -> (Instant, Vec<Arrival>) {
    let visibility = shared.settings.visibility_timeout;
    if arrivals.is_empty() || sent_at.elapsed() < lease::usable(visibility).mul_f64(0.9) {
        return (sent_at, arrivals);
    }
    let sent_at = Instant::now();
    let extended = join_all(arrivals.into_iter().map(|arrival| async move {
        let handle = &arrival.message.receipt_handle;
        let (extended, other_attempt) = shared.requests.extend(handle, visibility).await;
        // The other attempt is awaited, because it could hide a message again that was returned in the meantime.
        other_attempt.await;
        let confirmed = extended.map(drop).inspect_err(|error| {
            let message_id = bounded_id(&arrival.message.message_id);
            tracing::warn!(message_id, %error, "dropped a message that was received too late; it will come again");
        });
        (arrival, confirmed.is_ok())
    }));
    (sent_at, keep_confirmed(extended.await, shared.settings.ordered))
}

fn keep_confirmed(extended: Vec<(Arrival, bool)>, ordered: bool) -> Vec<Arrival> {
    let mut blocked = BlockedGroups::default();
    let keep = |(mut arrival, confirmed): (Arrival, bool)| {
        if !confirmed {
            blocked.add(&arrival.message);
            return None;
        }
        if ordered && blocked.contain(&arrival.message) {
            arrival.treatment = Treatment::ReturnAtOnce(arrival.treatment.delay());
        }
        Some(arrival)
    };
    extended.into_iter().filter_map(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{Operation as _, ReceiveMessage};

    const HANDLE: Treatment = Treatment::Handle;
    const RETURN: Treatment = Treatment::Return(Duration::from_secs(3));
    const AT_ONCE: Treatment = Treatment::ReturnAtOnce(Duration::from_secs(3));
    const BEHIND: Treatment = Treatment::ReturnAtOnce(Duration::ZERO);

    /// A response with these messages: each its group, and `true` if it can be read.
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

    fn triaged(received: ReceiveMessageOutput, ordered: bool) -> Vec<Arrival> {
        triage(received, ordered, |receives| Duration::from_secs(receives.into()))
    }

    fn treatments(arrivals: &[Arrival]) -> Vec<Treatment> {
        arrivals.iter().map(|arrival| arrival.treatment).collect()
    }

    fn ids(arrivals: &[Arrival]) -> Vec<&str> {
        arrivals.iter().map(|arrival| &*arrival.message.message_id).collect()
    }

    #[test]
    fn without_order_a_rejected_message_is_returned_at_once_and_the_rest_handled() {
        let messages = [("a", true), ("a", false), ("a", true), ("", true)];
        let arrivals = triaged(received(&messages), false);
        assert_eq!(treatments(&arrivals), [HANDLE, AT_ONCE, HANDLE, HANDLE]);
    }

    #[test]
    fn a_rejected_message_of_a_group_is_returned_in_its_turn_and_the_rest_handled() {
        let messages = [("a", true), ("a", false), ("b", true), ("a", true), ("a", false)];
        let arrivals = triaged(received(&messages), true);
        assert_eq!(treatments(&arrivals), [HANDLE, RETURN, HANDLE, HANDLE, RETURN]);
        assert_eq!(ids(&arrivals), ["0", "1", "2", "3", "4"]);
    }

    #[test]
    fn a_rejected_message_of_an_unknown_group_blocks_all_later_messages() {
        let messages = [("a", true), ("", false), ("a", true), ("b", false)];
        let arrivals = triaged(received(&messages), true);
        assert_eq!(treatments(&arrivals), [HANDLE, AT_ONCE, BEHIND, AT_ONCE]);
    }

    #[test]
    fn a_message_that_cannot_be_returned_blocks_its_group() {
        let mut received = received(&[("a", true), ("a", false), ("b", true), ("a", true)]);
        received.rejected[0].message.receipt_handle.clear();
        let arrivals = triaged(received, true);
        assert_eq!(ids(&arrivals), ["0", "2", "3"]);
        assert_eq!(treatments(&arrivals), [HANDLE, HANDLE, BEHIND]);
    }

    #[test]
    fn confirmed_messages_of_a_late_receive_are_kept_unless_order_would_be_lost() {
        let messages = [("a", true), ("a", true), ("b", true), ("a", true), ("a", false)];
        for (ordered, expected) in [
            (false, [HANDLE, HANDLE, HANDLE, AT_ONCE]),
            (true, [HANDLE, HANDLE, BEHIND, AT_ONCE]),
        ] {
            let arrivals = triaged(received(&messages), ordered);
            let confirmed = arrivals.into_iter().zip([true, false, true, true, true]).collect();
            let kept = keep_confirmed(confirmed, ordered);
            assert_eq!(ids(&kept), ["0", "2", "3", "4"]);
            assert_eq!(treatments(&kept), expected, "ordered {ordered}");
        }
    }
}
