//! Strategies for the values that the client accepts. They omit values that it refuses before sending.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use sqs_client::types::{
    AccessPolicy, DeduplicationScope, FifoThroughputLimit, MessageAttributeValue, MessageSystemAttributeName,
    QueueAttributeName, RedriveAllowPolicy, RedrivePermission, RedrivePolicy,
};
use sqs_client::{OutgoingMessage, QueueAttributes};

/// Returns text of any characters, including `&`, `=`, `%` and those without width.
pub fn text(length: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = String> {
    vec(any::<char>(), length).prop_map(|characters| characters.into_iter().collect())
}

/// Returns text of the characters that SQS accepts in a message.
fn content(length: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = String> {
    let is_accepted = |c: &char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..);
    let character = any::<char>().prop_filter("SQS refuses the character", is_accepted);
    vec(character, length).prop_map(|characters| characters.into_iter().collect())
}

/// Returns the URL of a standard queue. For FIFO queues the client adds an attempt id to receives.
pub fn queue() -> impl Strategy<Value = String> {
    "https?://[a-z]{1,10}(:[1-9][0-9]{1,3})?/[0-9]{12}/[A-Za-z0-9_-]{1,80}"
}

pub fn label() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_-]{1,80}"
}

pub fn seconds(range: std::ops::RangeInclusive<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_secs)
}

pub fn visibility() -> impl Strategy<Value = Duration> {
    seconds(0..=43_200)
}

pub fn tags() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(text(1..=20), text(0..=20), 1..=10)
}

/// Returns the entries of a batch with distinct ids.
pub fn entries<T: std::fmt::Debug>(entry: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<(String, T)>> {
    let numbered = |entries: Vec<(String, T)>| {
        let numbered = entries.into_iter().enumerate();
        numbered.map(|(i, (id, entry))| (format!("{i}{id}"), entry)).collect()
    };
    vec(("[A-Za-z0-9_-]{0,79}", entry), 1..=10).prop_map(numbered)
}

pub fn attribute_name() -> impl Strategy<Value = QueueAttributeName> {
    let known = proptest::sample::select(vec!["All", "QueueArn", "Policy", "VisibilityTimeout", "FifoQueue"]);
    prop_oneof![known.prop_map(str::to_owned), text(1..=20)].prop_map(|name| QueueAttributeName::from(&*name))
}

pub fn system_attribute_name() -> impl Strategy<Value = MessageSystemAttributeName> {
    let known = proptest::sample::select(vec!["All", "SenderId", "SentTimestamp", "AWSTraceHeader"]);
    prop_oneof![known.prop_map(str::to_owned), text(1..=20)].prop_map(|name| MessageSystemAttributeName::from(&*name))
}

fn attribute_value() -> impl Strategy<Value = MessageAttributeValue> {
    let value = prop_oneof![
        content(0..=20).prop_map(MessageAttributeValue::string),
        any::<f64>().prop_map(MessageAttributeValue::number),
        vec(any::<u8>(), 0..=20).prop_map(MessageAttributeValue::binary),
    ];
    (value, option::of(text(1..=10))).prop_map(|(value, label)| match label {
        Some(label) => value.with_label(&label),
        None => value,
    })
}

pub fn message() -> impl Strategy<Value = OutgoingMessage> {
    let values = || btree_map(text(0..=10), attribute_value(), 0..=3);
    let ids = (option::of(text(1..=128)), option::of(text(1..=128)));
    (content(1..=200), option::of(seconds(0..=900)), values(), values(), ids).prop_map(
        |(body, delay, attributes, system, (deduplication, group))| {
            let mut message = OutgoingMessage::new(body);
            message.delay = delay;
            message.message_attributes = attributes;
            message.message_system_attributes = system;
            message.message_deduplication_id = deduplication;
            message.message_group_id = group;
            message
        },
    )
}

fn redrive_policy() -> impl Strategy<Value = RedrivePolicy> {
    let other = btree_map("x[a-z]{1,5}", any::<i32>().prop_map(serde_json::Value::from), 0..=2);
    (text(0..=20), 1..=1_000_u32, other).prop_map(|(arn, count, other)| {
        let mut policy = RedrivePolicy::new(arn, count);
        policy.other = other;
        policy
    })
}

fn redrive_allow_policy() -> impl Strategy<Value = RedriveAllowPolicy> {
    prop_oneof![
        vec(text(0..=20), 1..=10).prop_map(RedriveAllowPolicy::by_queue),
        text(1..=10).prop_map(|permission| RedriveAllowPolicy::from(RedrivePermission::from(&*permission))),
    ]
}

/// Returns any combination of attributes. None is empty text, because that removes an attribute.
pub fn attributes() -> impl Strategy<Value = QueueAttributes> {
    macro_rules! any_of {
        ($($field:ident: $strategy:expr,)*) => {{
            let all = btree_map("x[a-z]{1,5}", text(0..=20), 0..=2).prop_map(|other| {
                let mut attributes = QueueAttributes::default();
                attributes.other = other;
                attributes
            });
            $(
                let all = (all, option::of($strategy)).prop_map(|(mut attributes, value)| {
                    attributes.$field = value;
                    attributes
                }).boxed();
            )*
            all
        }};
    }
    let time = || (0..=4_000_000_000_u64).prop_map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    any_of! {
        delay: seconds(0..=900),
        maximum_message_size: 1_024..=1_048_576_u32,
        message_retention_period: seconds(60..=1_209_600),
        receive_message_wait_time: seconds(0..=20),
        visibility_timeout: visibility(),
        policy: text(1..=50).prop_map(AccessPolicy::from_json),
        redrive_policy: redrive_policy(),
        redrive_allow_policy: redrive_allow_policy(),
        fifo_queue: any::<bool>(),
        content_based_deduplication: any::<bool>(),
        deduplication_scope: text(1..=10).prop_map(|scope| DeduplicationScope::from(&*scope)),
        fifo_throughput_limit: text(1..=10).prop_map(|limit| FifoThroughputLimit::from(&*limit)),
        kms_master_key_id: text(1..=20),
        kms_data_key_reuse_period: seconds(60..=86_400),
        sqs_managed_sse_enabled: any::<bool>(),
        approximate_number_of_messages: any::<u64>(),
        approximate_number_of_messages_not_visible: any::<u64>(),
        approximate_number_of_messages_delayed: any::<u64>(),
        created_timestamp: time(),
        last_modified_timestamp: time(),
        queue_arn: text(1..=50),
    }
}
