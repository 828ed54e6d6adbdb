//! Tests that a server reads what the client sends. Random inputs of every action go to sqs-local in both
//! protocols. The server's parser shares no code with the client and refuses input that the service model does not
//! define. It must read the same input.

mod inputs;

use std::fmt::Debug;
use std::sync::Arc;

use libtest_mimic::{Failed, Trial};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde::de::DeserializeOwned;
use sqs_client::client::Request;
use sqs_client::operation::Operation;
use sqs_client::types::{ChangeMessageVisibilityBatchEntry, DeleteMessageBatchEntry, SendMessageBatchEntry};
use sqs_client::{Client, OutgoingMessage, Protocol};
use sqs_local::{Fault, FaultKind, LocalSqs};

use self::inputs::{
    attribute_name, attributes, entries, label, message, queue, seconds, system_attribute_name, tags, text, visibility,
};
use crate::conformance::PROTOCOLS;
use crate::harness::Harness;

/// The number of inputs of each action in each protocol.
const CASES: u32 = 64;

/// The status of the response to a request that the server has read but does not execute.
const READ: u16 = 418;

/// A server that only reads requests, and its client.
struct Wire<'a> {
    harness: &'a Harness,
    server: LocalSqs,
    client: Client,
    protocol: Protocol,
}

impl<'a> Wire<'a> {
    fn new(harness: &'a Harness, protocol: Protocol) -> Self {
        let builder = sqs_tests::strict().journal_capacity(1).keep_inputs(true);
        let server = harness.runtime.block_on(builder.start()).expect("a server");
        server.faults().add(Fault::any(FaultKind::status(READ)));
        let client = server.client_builder().protocol(protocol).build();
        Self {
            harness,
            client: client.expect("a client"),
            server,
            protocol,
        }
    }

    /// Sends the requests that `request` makes of random values.
    fn any<S, Op>(&self, values: S, request: impl Fn(&Client, S::Value) -> Request<Op>) -> Result<(), Failed>
    where
        S: Strategy,
        Op: Operation + DeserializeOwned + Clone + PartialEq + Debug,
    {
        let config = Config {
            cases: CASES,
            failure_persistence: None,
            ..Config::default()
        };
        let send = |value| self.harness.runtime.block_on(self.send(request(&self.client, value)));
        TestRunner::new(config)
            .run(&values, send)
            .map_err(|error| Failed::from(error.to_string()))
    }

    async fn send<Op>(&self, request: Request<Op>) -> Result<(), TestCaseError>
    where
        Op: Operation + DeserializeOwned + Clone + PartialEq + Debug,
    {
        let input = request.input().clone();
        let status = request.await.err().map(|error| (error.status(), error));
        prop_assert!(
            matches!(status, Some((Some(READ), _))),
            "the server did not read it: {status:?}"
        );
        let recorded = self.server.requests().pop().expect("a request");
        prop_assert_eq!(recorded.action.map(|action| action.name()), Some(Op::NAME));
        let mut read = recorded.input.expect("an input");
        if self.protocol == Protocol::Query && Op::NAME == "ReceiveMessage" {
            // In Query the two lists of system attributes share one name, which the server reads as the older list.
            read["MessageSystemAttributeNames"] = read["AttributeNames"].take();
            let members = read.as_object_mut().expect("members");
            members.retain(|_, value| !value.is_null());
        }
        let read: Op = serde_json::from_value(read).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(read, input);
        Ok(())
    }
}

type Case = fn(&Wire<'_>) -> Result<(), Failed>;

const ACTIONS: [(&str, Case); 23] = [
    ("AddPermission", |wire| {
        let values = (queue(), label(), vec(text(0..=20), 1..=5), vec(text(0..=20), 1..=5));
        wire.any(values, |client, (queue, label, accounts, actions)| {
            client.add_permission(queue, label, accounts, actions)
        })
    }),
    ("CancelMessageMoveTask", |wire| {
        wire.any(text(0..=50), |client, handle| client.cancel_message_move_task(handle))
    }),
    ("ChangeMessageVisibility", |wire| {
        let values = (queue(), text(0..=50), visibility());
        wire.any(values, |client, (queue, handle, timeout)| {
            client.change_message_visibility(queue, handle, timeout)
        })
    }),
    ("ChangeMessageVisibilityBatch", |wire| {
        let values = (queue(), entries((text(0..=50), visibility())));
        wire.any(values, |client, (queue, entries)| {
            let entry = |(id, (handle, timeout))| ChangeMessageVisibilityBatchEntry::new(id, handle, timeout);
            client.change_message_visibility_batch(queue, entries.into_iter().map(entry))
        })
    }),
    ("CreateQueue", |wire| {
        let values = ("[A-Za-z0-9_-]{1,75}(\\.fifo)?", attributes(), option::of(tags()));
        wire.any(values, |client, (name, attributes, tags)| {
            let create = client.create_queue(name).attributes(attributes);
            let tags = tags.into_iter().flatten();
            tags.fold(create, |create, (key, value)| create.tag(key, value))
        })
    }),
    ("DeleteMessage", |wire| {
        wire.any((queue(), text(0..=50)), |client, (queue, handle)| {
            client.delete_message(queue, handle)
        })
    }),
    ("DeleteMessageBatch", |wire| {
        wire.any((queue(), entries(text(0..=50))), |client, (queue, entries)| {
            let entry = |(id, handle)| DeleteMessageBatchEntry::new(id, handle);
            client.delete_message_batch(queue, entries.into_iter().map(entry))
        })
    }),
    ("DeleteQueue", |wire| {
        wire.any(queue(), |client, queue| client.delete_queue(queue))
    }),
    ("GetQueueAttributes", |wire| {
        let values = (queue(), vec(attribute_name(), 0..=5));
        wire.any(values, |client, (queue, names)| {
            client.get_queue_attributes(queue, names)
        })
    }),
    ("GetQueueUrl", |wire| {
        wire.any((text(1..=80), option::of(text(0..=20))), |client, (name, owner)| {
            let get = client.get_queue_url(name);
            owner
                .into_iter()
                .fold(get, |get, owner| get.queue_owner_aws_account_id(owner))
        })
    }),
    ("ListDeadLetterSourceQueues", |wire| {
        let values = (queue(), option::of(text(0..=50)), option::of(1..=1_000_u16));
        wire.any(values, |client, (queue, token, max)| {
            let list = client.list_dead_letter_source_queues(queue);
            let list = token.into_iter().fold(list, |list, token| list.next_token(token));
            max.into_iter().fold(list, |list, max| list.max_results(max))
        })
    }),
    ("ListMessageMoveTasks", |wire| {
        wire.any((text(0..=50), option::of(1..=10_u8)), |client, (arn, max)| {
            let list = client.list_message_move_tasks(arn);
            max.into_iter().fold(list, |list, max| list.max_results(max))
        })
    }),
    ("ListQueueTags", |wire| {
        wire.any(queue(), |client, queue| client.list_queue_tags(queue))
    }),
    ("ListQueues", |wire| {
        let values = (
            option::of(text(0..=80)),
            option::of(text(0..=50)),
            option::of(1..=1_000_u16),
        );
        wire.any(values, |client, (prefix, token, max)| {
            let list = client.list_queues();
            let list = prefix
                .into_iter()
                .fold(list, |list, prefix| list.queue_name_prefix(prefix));
            let list = token.into_iter().fold(list, |list, token| list.next_token(token));
            max.into_iter().fold(list, |list, max| list.max_results(max))
        })
    }),
    ("PurgeQueue", |wire| {
        wire.any(queue(), |client, queue| client.purge_queue(queue))
    }),
    ("ReceiveMessage", |wire| {
        let names = (vec(system_attribute_name(), 0..=5), vec(text(0..=20), 0..=5));
        let times = (option::of(visibility()), option::of(seconds(0..=20)));
        let values = (queue(), names, option::of(1..=10_u8), times, option::of(text(1..=128)));
        wire.any(
            values,
            |client, (queue, (system, user), max, (visibility, wait), id)| {
                let receive = client
                    .receive_message(queue)
                    .message_system_attribute_names(system)
                    .message_attribute_names(user);
                let receive = max.into_iter().fold(receive, |receive, max| receive.max_messages(max));
                let receive = visibility
                    .into_iter()
                    .fold(receive, |receive, time| receive.visibility_timeout(time));
                let receive = wait.into_iter().fold(receive, |receive, time| receive.wait_time(time));
                id.into_iter()
                    .fold(receive, |receive, id| receive.receive_request_attempt_id(id))
            },
        )
    }),
    ("RemovePermission", |wire| {
        wire.any((queue(), label()), |client, (queue, label)| {
            client.remove_permission(queue, label)
        })
    }),
    ("SendMessage", |wire| {
        wire.any((queue(), message()), |client, (queue, message)| {
            client.send_message(queue, message)
        })
    }),
    ("SendMessageBatch", |wire| {
        wire.any((queue(), entries(message())), |client, (queue, entries)| {
            let entry = |(id, message): (String, OutgoingMessage)| SendMessageBatchEntry::new(id, message);
            client.send_message_batch(queue, entries.into_iter().map(entry))
        })
    }),
    ("SetQueueAttributes", |wire| {
        wire.any((queue(), attributes()), |client, (queue, attributes)| {
            client.set_queue_attributes(queue, attributes)
        })
    }),
    ("StartMessageMoveTask", |wire| {
        let values = (text(0..=50), option::of(text(0..=50)), option::of(1..=500_u32));
        wire.any(values, |client, (source, destination, rate)| {
            let start = client.start_message_move_task(source);
            let start = destination
                .into_iter()
                .fold(start, |start, arn| start.destination_arn(arn));
            rate.into_iter()
                .fold(start, |start, rate| start.max_number_of_messages_per_second(rate))
        })
    }),
    ("TagQueue", |wire| {
        wire.any((queue(), tags()), |client, (queue, tags)| client.tag_queue(queue, tags))
    }),
    ("UntagQueue", |wire| {
        wire.any((queue(), vec(text(0..=20), 1..=10)), |client, (queue, keys)| {
            client.untag_queue(queue, keys)
        })
    }),
];

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for (protocol_name, protocol) in PROTOCOLS {
        for (action, case) in ACTIONS {
            let harness = harness.clone();
            trials.push(Trial::test(
                format!("roundtrip::{protocol_name}::{action}"),
                move || case(&Wire::new(&harness, protocol)),
            ));
        }
    }
    trials
}
