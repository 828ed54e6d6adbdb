//! The messages of a receive that are returned to the queue unhandled: rejected ones and, where groups are kept in order,
//! those that came after them in their groups.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::lease;
use super::shared::Shared;
use crate::operation::ReceiveMessageOutput;
use crate::types::{Message, bounded_id};

/// A message to return to the queue, which hides it for `delay`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Return {
    message_id: String,
    receipt_handle: String,
    delay: Duration,
}

/// The groups of which a message was rejected.
#[derive(Debug, Default)]
struct Stopped {
    groups: HashSet<String>,
    /// A rejected message may be of any group.
    all: bool,
}

impl Stopped {
    fn add(&mut self, rejected: &Message) {
        match rejected.attributes.message_group_id() {
            Some(group) => drop(self.groups.insert(group.to_owned())),
            None => self.all = true,
        }
    }

    fn has(&self, message: &Message) -> bool {
        let group = message.attributes.message_group_id();
        self.all || group.is_some_and(|group| self.groups.contains(group))
    }
}

/// Separates the messages to handle from those to return. A rejected message counts as one whose handling failed:
/// `backoff` says for how long it is hidden, by the number of its receives.
pub(super) fn separate(
    received: ReceiveMessageOutput,
    ordered: bool,
    mut backoff: impl FnMut(u32) -> Duration,
) -> (Vec<Message>, Vec<Return>) {
    if received.rejected.is_empty() {
        return (received.messages, Vec::new());
    }
    let (mut messages, mut returns) = (Vec::new(), Vec::new());
    let mut stopped = Stopped::default();
    for came in received.in_order() {
        let (message, delay) = match came {
            Ok(message) if !ordered || !stopped.has(&message) => {
                messages.push(message);
                continue;
            }
            // Hidden by the rejected one before it for as long as that is.
            Ok(behind) => (behind, Duration::ZERO),
            Err(rejected) => {
                stopped.add(&rejected.message);
                let receives = rejected.message.attributes.approximate_receive_count();
                (rejected.message, backoff(receives.unwrap_or(1)))
            }
        };
        // Without a handle it comes again after its visibility timeout.
        if !message.receipt_handle.is_empty() {
            returns.push(Return {
                message_id: message.message_id,
                receipt_handle: message.receipt_handle,
                delay,
            });
        }
    }
    (messages, returns)
}

/// Returns the messages to the queue, while the lease lasts of a receive that was sent no earlier than `asked`.
pub(super) async fn return_to_queue(shared: &Shared, returns: Vec<Return>, asked: Instant) {
    let until = asked + lease::usable(shared.settings.visibility_timeout);
    let returned = returns.into_iter().map(|message| async move {
        let Return {
            message_id,
            receipt_handle,
            delay,
        } = message;
        let changed = shared.requests.change_visibility(receipt_handle, delay);
        match timeout_at(until, changed).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(message_id = %bounded_id(&message_id), %error, "a rejected message, or one behind it, could not be returned");
            }
            Err(_) => {
                tracing::warn!(message_id = %bounded_id(&message_id), "a rejected message, or one behind it, could not be returned in time");
            }
        }
    });
    join_all(returned).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{Operation as _, ReceiveMessage};

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

    fn separated(messages: &[(&str, bool)], ordered: bool) -> (Vec<String>, Vec<(String, u64)>) {
        let (messages, returns) = separate(received(messages), ordered, |receives| {
            Duration::from_secs(receives.into())
        });
        (
            messages.into_iter().map(|message| message.message_id).collect(),
            returns
                .into_iter()
                .map(|message| (message.receipt_handle, message.delay.as_secs()))
                .collect(),
        )
    }

    fn pairs(pairs: &[(&str, u64)]) -> Vec<(String, u64)> {
        pairs
            .iter()
            .map(|(handle, delay)| ((*handle).to_owned(), *delay))
            .collect()
    }

    #[test]
    fn a_rejected_message_is_returned_by_the_backoff_and_the_others_are_handled() {
        let messages = [("a", true), ("a", false), ("a", true), ("", true)];
        let (handled, returned) = separated(&messages, false);
        assert_eq!(handled, ["0", "2", "3"]);
        assert_eq!(returned, pairs(&[("r1", 3)]));
    }

    #[test]
    fn what_is_behind_a_rejected_message_in_its_group_is_returned_with_it() {
        let messages = [
            ("a", true),
            ("a", false),
            ("b", true),
            ("a", true),
            ("a", false),
            ("b", true),
        ];
        let (handled, returned) = separated(&messages, true);
        assert_eq!(handled, ["0", "2", "5"]);
        assert_eq!(returned, pairs(&[("r1", 3), ("r3", 0), ("r4", 3)]));
    }

    #[test]
    fn a_rejected_message_of_an_unknown_group_stops_all_that_came_after_it() {
        let (handled, returned) = separated(&[("a", true), ("", false), ("a", true), ("b", true)], true);
        assert_eq!(handled, ["0"]);
        assert_eq!(returned, pairs(&[("r1", 3), ("r2", 0), ("r3", 0)]));
    }
}
