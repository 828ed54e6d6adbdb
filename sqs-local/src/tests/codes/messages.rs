//! Messages, their attributes, batches and receipt handles.

use super::*;

/// The single send and the batch have the codes that AWS was recorded with, which differ.
#[tokio::test]
async fn a_fifo_send_needs_a_group() {
    let server = server().await;
    let mut client = Client::new(&server);
    let url = create(&mut client, "o.fifo", json!({"FifoQueue": "true"})).await;
    let message = "The request must contain the parameter MessageGroupId.";
    let send = json!({"QueueUrl": url, "MessageBody": "m", "MessageDeduplicationId": "1"});
    let refused = client.json("SendMessage", send.clone()).await;
    assert_eq!(
        refused.json()["__type"],
        "com.amazon.coral.service#MissingRequiredParameterException"
    );
    assert_eq!(
        refuse(&mut client, "SendMessage", send).await,
        refusal(400, "MissingParameter", message)
    );
    let entry = json!({"Id": "1", "MessageBody": "m", "MessageDeduplicationId": "1"});
    let batch = json!({"QueueUrl": url, "Entries": [entry]});
    assert_eq!(refuse(&mut client, "SendMessageBatch", batch).await, invalid(message));
    let form = format!("Action=SendMessage&Version=2012-11-05&QueueUrl={url}&MessageBody=m&MessageDeduplicationId=1");
    let (status, xml) = client.query("/", &form).await;
    assert_eq!(status, 400);
    assert!(xml.contains("<Code>MissingParameter</Code>"), "{xml}");
}

#[tokio::test]
async fn a_delay_of_zero_on_a_fifo_queue_is_that_of_the_queue() {
    let server = server().await;
    let mut client = Client::new(&server);
    let url = create(
        &mut client,
        "o.fifo",
        json!({"FifoQueue": "true", "DelaySeconds": "900"}),
    )
    .await;
    let send = |id: &str, delay: i64| {
        json!({"QueueUrl": url, "MessageBody": "m", "MessageGroupId": "g", "MessageDeduplicationId": id,
            "DelaySeconds": delay})
    };
    client.ok("SendMessage", send("1", 0)).await;
    assert_eq!(server.queue("o.fifo").expect("the queue").counts().delayed, 1);
    let reason = "The request include parameter that is not valid for this queue type.";
    assert_eq!(
        refuse(&mut client, "SendMessage", send("2", 2)).await,
        invalid_value("2", "DelaySeconds", reason)
    );
}

#[tokio::test]
async fn control_characters_have_one_code_in_a_body_and_another_in_an_attribute() {
    let server = server().await;
    let mut client = Client::new(&server);
    let url = create(&mut client, "orders", json!({})).await;
    let set = "the set of allowed characters is #x9 | #xA | #xD | [#x20-#xD7FF] | [#xE000-#xFFFD] | \
               [#x10000-#x10FFFF].";
    let body = json!({"QueueUrl": url, "MessageBody": "a\u{8}"});
    let message = format!("Invalid binary character '#x8' was found in the message body, {set}");
    assert_eq!(
        refuse(&mut client, "SendMessage", body).await,
        refusal(400, "InvalidMessageContents", &message)
    );
    let attribute = json!({"k": {"DataType": "String", "StringValue": "\u{b}"}});
    let send = json!({"QueueUrl": url, "MessageBody": "a", "MessageAttributes": attribute});
    let message = format!("Invalid binary character '#xB' was found in the message attribute 'k' value, {set}");
    assert_eq!(refuse(&mut client, "SendMessage", send).await, invalid(&message));
}

#[tokio::test]
async fn message_attributes_are_limited() {
    let server = server().await;
    let mut client = Client::new(&server);
    let url = create(&mut client, "orders", json!({})).await;
    let send = |attributes: Value| json!({"QueueUrl": url, "MessageBody": "m", "MessageAttributes": attributes});
    let many = |count: usize| -> Value {
        let named = (0..count).map(|n| (n.to_string(), json!({"DataType": "String", "StringValue": "x"})));
        Value::Object(named.collect())
    };
    client.ok("SendMessage", send(many(10))).await;
    assert_eq!(
        refuse(&mut client, "SendMessage", send(many(11))).await,
        invalid("Number of message attributes [11] exceeds the allowed maximum [10].")
    );
    let empty = json!({"k": {"DataType": "String", "StringValue": ""}});
    let message = "Message (user) attribute 'k' must contain a non-empty value of type 'String'.";
    assert_eq!(
        refuse(&mut client, "SendMessage", send(empty.clone())).await,
        invalid(message)
    );
    let entry = json!({"Id": "1", "MessageBody": "m", "MessageAttributes": empty});
    let output = client
        .ok("SendMessageBatch", json!({"QueueUrl": url, "Entries": [entry]}))
        .await;
    let failed = json!({"Id": "1", "SenderFault": true, "Code": "InvalidParameterValue", "Message": message});
    assert_eq!(output, json!({"Failed": [failed]}));
}

#[tokio::test]
async fn batches_are_limited_in_both_protocols() {
    let server = server().await;
    let mut client = Client::new(&server);
    let url = create(&mut client, "orders", json!({})).await;
    let entry = |id: &str| json!({"Id": id, "MessageBody": "m"});
    let id_message = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be \
                      at most 80 letters long.";
    let big = json!({"Id": "b", "MessageBody": "x".repeat(1_048_576)});
    for (entries, code, message) in [
        (
            json!([]),
            "EmptyBatchRequest",
            "There should be at least one SendMessageBatchRequestEntry in the request.",
        ),
        (
            Value::Array((0..11).map(|n| entry(&n.to_string())).collect()),
            "TooManyEntriesInBatchRequest",
            "Maximum number of entries per request are 10. You have sent 11.",
        ),
        (
            json!([entry("a"), entry("a")]),
            "BatchEntryIdsNotDistinct",
            "Id a repeated.",
        ),
        (json!([entry("a:b")]), "InvalidBatchEntryId", id_message),
        (json!([entry("")]), "InvalidBatchEntryId", id_message),
        (
            json!([entry("a"), big]),
            "BatchRequestTooLong",
            "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes.",
        ),
    ] {
        let refused = refuse(
            &mut client,
            "SendMessageBatch",
            json!({"QueueUrl": url, "Entries": entries}),
        )
        .await;
        let code = format!("AWS.SimpleQueueService.{code}");
        assert_eq!(refused, refusal(400, &code, message));
    }
    let no_id = json!({"QueueUrl": url, "Entries": [{"MessageBody": "m"}]});
    assert_eq!(
        refuse(&mut client, "SendMessageBatch", no_id).await,
        refusal(
            400,
            "MissingParameter",
            "The request must contain the parameter SendMessageBatchRequestEntry.1.Id."
        )
    );
    let form = |ids: &[&str]| {
        let entries = ids.iter().zip(1..).map(|(id, n)| {
            let name = format!("SendMessageBatchRequestEntry.{n}");
            format!("&{name}.Id={id}&{name}.MessageBody=m")
        });
        let entries: String = entries.collect();
        format!("Action=SendMessageBatch&Version=2012-11-05&QueueUrl={url}{entries}")
    };
    for (ids, code) in [
        (vec![], "EmptyBatchRequest"),
        (
            vec!["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"],
            "TooManyEntriesInBatchRequest",
        ),
        (vec!["a", "a"], "BatchEntryIdsNotDistinct"),
        (vec!["a%3Ab"], "InvalidBatchEntryId"),
    ] {
        let (status, xml) = client.query("/", &form(&ids)).await;
        assert_eq!(status, 400, "{xml}");
        let code = format!("<Code>AWS.SimpleQueueService.{code}</Code>");
        assert!(xml.contains(&code), "{xml}");
    }
    assert!(server.queue("orders").expect("the queue").is_empty());
}

#[tokio::test]
async fn an_empty_part_of_a_batch_response_is_left_out() {
    let server = server().await;
    let mut client = Client::new(&server);
    let url = create(&mut client, "orders", json!({})).await;
    let send = json!({"QueueUrl": url, "Entries": [{"Id": "1", "MessageBody": "m"}]});
    let sent = client.ok("SendMessageBatch", send).await;
    assert!(sent["Successful"].is_array() && sent.get("Failed").is_none(), "{sent}");
    let delete = json!({"QueueUrl": url, "Entries": [{"Id": "1", "ReceiptHandle": "rubbish"}]});
    let deleted = client.ok("DeleteMessageBatch", delete).await;
    assert!(
        deleted["Failed"].is_array() && deleted.get("Successful").is_none(),
        "{deleted}"
    );
    assert_eq!(deleted["Failed"][0]["Code"], "ReceiptHandleIsInvalid");
    let name = "DeleteMessageBatchRequestEntry.1";
    let form =
        format!("Action=DeleteMessageBatch&Version=2012-11-05&QueueUrl={url}&{name}.Id=1&{name}.ReceiptHandle=rubbish");
    let (status, xml) = client.query("/", &form).await;
    assert_eq!(status, 200, "{xml}");
    assert!(
        xml.contains("<DeleteMessageBatchResult><BatchResultErrorEntry>"),
        "{xml}"
    );
    assert!(!xml.contains("DeleteMessageBatchResultEntry"), "{xml}");
}

#[tokio::test]
async fn a_handle_of_another_queue_has_a_message_of_its_own() {
    let server = server().await;
    let mut client = Client::new(&server);
    let url = create(&mut client, "orders", json!({})).await;
    let other = create(&mut client, "other", json!({})).await;
    client
        .ok("SendMessage", json!({"QueueUrl": url, "MessageBody": "m"}))
        .await;
    let received = client.ok("ReceiveMessage", json!({"QueueUrl": url})).await;
    let handle = received["Messages"][0]["ReceiptHandle"].as_str().expect("a handle");
    let delete = |url: &str, handle: &str| json!({"QueueUrl": url, "ReceiptHandle": handle});
    let message = format!("The receipt handle \"{handle}\" is not valid for this queue.");
    assert_eq!(
        refuse(&mut client, "DeleteMessage", delete(&other, handle)).await,
        refusal(404, "ReceiptHandleIsInvalid", &message)
    );
    let message = "The input receipt handle \"rubbish\" is not a valid receipt handle.";
    assert_eq!(
        refuse(&mut client, "DeleteMessage", delete(&url, "rubbish")).await,
        refusal(404, "ReceiptHandleIsInvalid", message)
    );
}
