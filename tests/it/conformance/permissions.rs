use anyhow::Context as _;
use sqs_client::types::{AccessPolicy, PolicyStatement, QueueAttributeName};
use sqs_client::{ErrorCode, ErrorKind, QueueAttributes};

use super::cases;
use crate::harness::{Context, Outcome, Quirk};

cases! {
    a_permission_is_added_and_removed,
    a_label_is_unique,
    a_policy_is_set_and_removed,
    a_policy_is_written_and_read_as_statements,
    a_permission_is_checked_before_it_is_sent,
}

const ACCOUNT: &str = "111122223333";

async fn policy(context: &Context, queue: &str) -> anyhow::Result<Option<serde_json::Value>> {
    let names = [QueueAttributeName::Policy];
    let policy = context
        .client
        .get_queue_attributes(queue, names)
        .await?
        .attributes
        .policy;
    let policy = policy.map(|policy| serde_json::from_str(policy.as_json())).transpose();
    policy.context("the policy is JSON")
}

async fn a_permission_is_added_and_removed(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let client = &context.client;
    client
        .add_permission(
            &queue,
            "senders",
            [ACCOUNT, "444455556666"],
            ["SendMessage", "GetQueueUrl"],
        )
        .await?;
    if !context.backend.has(Quirk::ForgetsAttributes) {
        let added = policy(&context, &queue).await?.context("a policy")?;
        let statement = &added["Statement"][0];
        assert_eq!(statement["Sid"], "senders", "{added}");
        assert_eq!(statement["Effect"], "Allow");
        assert!(statement["Principal"].to_string().contains(ACCOUNT), "{statement}");
        assert!(statement["Action"].to_string().contains("SendMessage"), "{statement}");
    }
    client.remove_permission(&queue, "senders").await?;
    let remaining = policy(&context, &queue).await?;
    let is_empty = remaining.is_none_or(|policy| policy["Statement"].as_array().is_none_or(Vec::is_empty));
    assert!(is_empty);
    Ok(())
}

async fn a_label_is_unique(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let add = || context.client.add_permission(&queue, "l", [ACCOUNT], ["SendMessage"]);
    add().await?;
    if context.backend.has(Quirk::ForgetsAttributes) {
        return Ok(());
    }
    let errors = [
        add().await.unwrap_err(),
        context.client.remove_permission(&queue, "other").await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.code(), Some(&ErrorCode::InvalidParameterValue), "{error:?}");
    }
    Ok(())
}

async fn a_policy_is_set_and_removed(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let sent = serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "one & only",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sqs:SendMessage",
            "Resource": "*",
        }],
    });
    let mut attributes = QueueAttributes::default();
    attributes.policy = Some(AccessPolicy::from_json(sent.to_string()));
    context.client.set_queue_attributes(&queue, attributes).await?;
    if !context.backend.has(Quirk::ForgetsAttributes) {
        assert_eq!(policy(&context, &queue).await?, Some(sent));
    }
    let none = QueueAttributes::default().clear(QueueAttributeName::Policy);
    context.client.set_queue_attributes(&queue, none).await?;
    assert_eq!(policy(&context, &queue).await?, None);
    Ok(())
}

async fn a_policy_is_written_and_read_as_statements(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let statement = PolicyStatement::allow("sqs:SendMessage", "arn:aws:sqs:us-east-1:000000000000:q")
        .service("sns.amazonaws.com")
        .condition("ArnEquals", "aws:SourceArn", "arn:aws:sns:us-east-1:000000000000:t");
    let mut attributes = QueueAttributes::default();
    attributes.policy = Some(AccessPolicy::new([statement.clone()]));
    context.client.set_queue_attributes(&queue, attributes).await?;
    if !context.backend.has(Quirk::ForgetsAttributes) {
        let read = context
            .client
            .get_queue_attributes(&queue, [QueueAttributeName::Policy])
            .await?;
        let policy = read.attributes.policy.context("a policy")?;
        assert_eq!(policy.statements()?, [statement]);
    }
    Ok(())
}

async fn a_permission_is_checked_before_it_is_sent(context: Context) -> Outcome {
    let no_queue = "http://127.0.0.1:1/000000000000/none";
    let client = &context.client;
    let none: [&str; 0] = [];
    for error in [
        client
            .add_permission(no_queue, "a b", [ACCOUNT], ["*"])
            .await
            .unwrap_err(),
        client.add_permission(no_queue, "", [ACCOUNT], ["*"]).await.unwrap_err(),
        client.add_permission(no_queue, "l", none, ["*"]).await.unwrap_err(),
        client.add_permission(no_queue, "l", [ACCOUNT], none).await.unwrap_err(),
        client.remove_permission(no_queue, "").await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    }
    Ok(())
}
