use super::*;

#[test]
fn attributes_are_a_map_of_strings_on_the_wire() {
    let attributes = QueueAttributes {
        visibility_timeout: Some(Duration::from_secs(60)),
        redrive_policy: Some(RedrivePolicy::new("arn:aws:sqs:us-east-1:1:dlq", 3)),
        other: BTreeMap::from([("Novel".to_owned(), "x".to_owned())]),
        ..QueueAttributes::default()
    };
    let wire = serde_json::to_value(&attributes).unwrap();
    assert_eq!(
        wire,
        serde_json::json!({
            "VisibilityTimeout": "60",
            "RedrivePolicy": r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:1:dlq","maxReceiveCount":3}"#,
            "Novel": "x",
        })
    );
    assert_eq!(serde_json::from_value::<QueueAttributes>(wire).unwrap(), attributes);
}

#[test]
fn setters_write_what_the_wire_needs() {
    let attributes = QueueAttributes::new()
        .delay(Duration::from_millis(1_500))
        .maximum_message_size(2_048)
        .message_retention_period(Duration::from_secs(60))
        .receive_message_wait_time(Duration::from_secs(20))
        .visibility_timeout(Duration::from_secs(120))
        .policy(AccessPolicy::from_json("{}"))
        .dead_letter_queue("arn:dead", 3)
        .redrive_allow_policy(RedriveAllowPolicy::deny_all())
        .fifo_queue(true)
        .content_based_deduplication(true)
        .high_throughput_fifo()
        .kms_master_key_id("alias/aws/sqs")
        .kms_data_key_reuse_period(Duration::from_secs(600))
        .sqs_managed_sse_enabled(false);
    assert_eq!(
        serde_json::to_value(&attributes).unwrap(),
        serde_json::json!({
            "DelaySeconds": "2",
            "MaximumMessageSize": "2048",
            "MessageRetentionPeriod": "60",
            "ReceiveMessageWaitTimeSeconds": "20",
            "VisibilityTimeout": "120",
            "Policy": "{}",
            "RedrivePolicy": r#"{"deadLetterTargetArn":"arn:dead","maxReceiveCount":3}"#,
            "RedriveAllowPolicy": r#"{"redrivePermission":"denyAll"}"#,
            "FifoQueue": "true",
            "ContentBasedDeduplication": "true",
            "DeduplicationScope": "messageGroup",
            "FifoThroughputLimit": "perMessageGroupId",
            "KmsMasterKeyId": "alias/aws/sqs",
            "KmsDataKeyReusePeriodSeconds": "600",
            "SqsManagedSseEnabled": "false",
        })
    );
    assert!(attributes.validate().is_ok());
    assert!(QueueAttributes::new().is_empty());
}

#[test]
fn values_of_a_newer_service_are_kept() {
    let wire = serde_json::json!({
        "DeduplicationScope": "messageGroup",
        "FifoThroughputLimit": "perPlanet",
        "RedriveAllowPolicy": r#"{"redrivePermission":"allowSome"}"#,
        "RedrivePolicy": r#"{"deadLetterTargetArn":"arn","maxReceiveCount":3,"copyTo":"b"}"#,
    });
    let attributes: QueueAttributes = serde_json::from_value(wire.clone()).unwrap();
    assert_eq!(attributes.deduplication_scope, Some(DeduplicationScope::MessageGroup));
    assert_eq!(serde_json::to_value(&attributes).unwrap(), wire);
}

#[test]
fn a_cleared_attribute_is_sent_as_an_empty_value() {
    let attributes = QueueAttributes {
        redrive_policy: Some(RedrivePolicy::new("arn", 3)),
        ..QueueAttributes::default()
    };
    let attributes = attributes.clear(QueueAttributeName::RedrivePolicy);
    let wire = serde_json::to_string(&attributes).unwrap();
    assert_eq!(wire, r#"{"RedrivePolicy":""}"#);
    assert!(!attributes.is_empty());
}

#[test]
fn every_range_is_checked_at_both_ends() {
    type Set = fn(&mut QueueAttributes, u32);

    fn seconds(value: u32) -> Option<Duration> {
        Some(Duration::from_secs(value.into()))
    }

    let cases: [(&str, Set, [u32; 2]); 8] = [
        ("delay", |a, v| a.delay = seconds(v), [0, 900]),
        ("wait time", |a, v| a.receive_message_wait_time = seconds(v), [0, 20]),
        (
            "visibility timeout",
            |a, v| a.visibility_timeout = seconds(v),
            [0, 43_200],
        ),
        (
            "message retention period",
            |a, v| a.message_retention_period = seconds(v),
            [60, 1_209_600],
        ),
        (
            "maximum message size in bytes",
            |a, v| a.maximum_message_size = Some(v),
            [1_024, 1_048_576],
        ),
        (
            "KMS data key reuse period",
            |a, v| a.kms_data_key_reuse_period = seconds(v),
            [60, 86_400],
        ),
        (
            "redrive policy's maximum receive count",
            |a, v| a.redrive_policy = Some(RedrivePolicy::new("arn", v)),
            [1, 1_000],
        ),
        (
            "number of source queues in the redrive allow policy",
            |a, v| a.redrive_allow_policy = Some(RedriveAllowPolicy::by_queue((0..v).map(|i| i.to_string()))),
            [0, 10],
        ),
    ];
    for (what, set, [least, most]) in cases {
        let check = |value| {
            let mut attributes = QueueAttributes::default();
            set(&mut attributes, value);
            attributes.validate()
        };
        assert!(check(least).is_ok() && check(most).is_ok(), "{what}");
        for outside in least.checked_sub(1).into_iter().chain([most + 1]) {
            let error = check(outside).unwrap_err();
            assert!(error.message().starts_with(&format!("the {what} is ")), "{error}");
        }
    }
}

#[test]
fn a_receive_count_may_be_text() {
    let wire = serde_json::json!({
        "RedrivePolicy": r#"{"deadLetterTargetArn":"arn","maxReceiveCount":"3"}"#,
    });
    let attributes: QueueAttributes = serde_json::from_value(wire).unwrap();
    assert_eq!(attributes.redrive_policy, Some(RedrivePolicy::new("arn", 3)));
}
