//! Message move tasks.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::*;

/// Waits until the newest task of `dead` is over, and returns it.
async fn finished(server: &LocalSqs, client: &mut Client) -> Value {
    let ask = json!({"SourceArn": server.queue_arn("dead")});
    for _ in 0..500 {
        let mut tasks = client.ok("ListMessageMoveTasks", ask.clone()).await;
        if tasks["Results"][0]["Status"] != "RUNNING" {
            return tasks["Results"][0].take();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the task does not end");
}

/// Sends ten messages, which a task moves for two seconds at five a second.
async fn send_ten(client: &mut Client, url: &str) {
    let entry = |n: usize| json!({"Id": n.to_string(), "MessageBody": "m"});
    let entries: Vec<Value> = (0..10).map(entry).collect();
    let send = json!({"QueueUrl": url, "Entries": entries});
    client.ok("SendMessageBatch", send).await;
}

#[tokio::test]
async fn a_task_handle_is_checked() {
    let server = server().await;
    let mut client = Client::new(&server);
    create_dead_letter_queue(&server, &mut client).await;
    let handle = |source: &str| {
        let text = json!({"taskId": "00000000-0000-0000-0000-000000000000", "sourceArn": source}).to_string();
        json!({"TaskHandle": BASE64_STANDARD.encode(text)})
    };
    for rubbish in ["rubbish", "e30=", "!"] {
        assert_eq!(
            refuse(&mut client, "CancelMessageMoveTask", json!({"TaskHandle": rubbish})).await,
            invalid("Value for parameter TaskHandle is invalid.")
        );
    }
    let message = "The resource that you specified for the SourceArn parameter doesn't exist.";
    assert_eq!(
        refuse(&mut client, "CancelMessageMoveTask", handle(&server.queue_arn("none"))).await,
        refusal(404, "ResourceNotFoundException", message)
    );
    assert_eq!(
        refuse(&mut client, "CancelMessageMoveTask", handle(&server.queue_arn("dead"))).await,
        refusal(404, "ResourceNotFoundException", "Task does not exist.")
    );
}

#[tokio::test]
async fn a_move_task_is_checked_before_it_starts() {
    let server = server().await;
    let mut client = Client::new(&server);
    let dead = create_dead_letter_queue(&server, &mut client).await;
    create(&mut client, "other.fifo", json!({"FifoQueue": "true"})).await;
    let (source, destination) = (server.queue_arn("dead"), server.queue_arn("orders"));
    let not_found = |parameter: &str| {
        let message = format!("The resource that you specified for the {parameter} parameter doesn't exist.");
        refusal(404, "ResourceNotFoundException", &message)
    };
    let format = |parameter: &str| {
        invalid(&format!(
            "You must use this format to specify the {parameter}: arn:<partition>:<service>:<region>:<account-id>:<resource-id>"
        ))
    };
    let between = |parameter: &str, max: u32| {
        invalid(&format!(
            "Value for parameter {parameter} is invalid. Reason: You must enter a number that's between 1 and {max}."
        ))
    };
    let none = server.queue_arn("none");
    for (input, refused) in [
        (json!({"SourceArn": ""}), format("SourceArn")),
        (json!({"SourceArn": none}), not_found("SourceArn")),
        (
            json!({"SourceArn": destination}),
            invalid("Source queue must be configured as a Dead Letter Queue."),
        ),
        (
            json!({"SourceArn": source, "DestinationArn": "orders"}),
            format("DestinationArn"),
        ),
        (
            json!({"SourceArn": source, "DestinationArn": none}),
            not_found("DestinationArn"),
        ),
        (
            json!({"SourceArn": source, "DestinationArn": source}),
            invalid("Source queue arn and destination queue arn cannot be the same."),
        ),
        (
            json!({"SourceArn": source, "DestinationArn": server.queue_arn("other.fifo")}),
            invalid("The source queue and destination queue must be of the same queue type."),
        ),
        (
            json!({"SourceArn": source, "MaxNumberOfMessagesPerSecond": 501}),
            between("MaxNumberOfMessagesPerSecond", 500),
        ),
    ] {
        assert_eq!(refuse(&mut client, "StartMessageMoveTask", input).await, refused);
    }
    let list = json!({"SourceArn": source, "MaxResults": 11});
    assert_eq!(
        refuse(&mut client, "ListMessageMoveTasks", list).await,
        between("MaxResults", 10)
    );
    send_ten(&mut client, &dead).await;
    let start = json!({"SourceArn": source, "DestinationArn": destination, "MaxNumberOfMessagesPerSecond": 1});
    client.ok("StartMessageMoveTask", start.clone()).await;
    assert_eq!(
        refuse(&mut client, "StartMessageMoveTask", start.clone()).await,
        invalid(
            "There is already a task running. Only one active task is allowed for a source queue arn at a given time."
        )
    );
    // A queue stops being a dead-letter queue with the last queue that names it.
    client
        .ok("DeleteQueue", json!({"QueueUrl": server.queue_url("orders")}))
        .await;
    assert_eq!(
        refuse(&mut client, "StartMessageMoveTask", json!({"SourceArn": source})).await,
        invalid("Source queue must be configured as a Dead Letter Queue.")
    );
}

#[tokio::test]
async fn a_finished_task_cannot_be_cancelled() {
    let server = server().await;
    let mut client = Client::new(&server);
    create_dead_letter_queue(&server, &mut client).await;
    let task = client
        .ok("StartMessageMoveTask", json!({"SourceArn": server.queue_arn("dead")}))
        .await;
    assert_eq!(finished(&server, &mut client).await["Status"], "COMPLETED");
    assert_eq!(
        refuse(&mut client, "CancelMessageMoveTask", task).await,
        invalid("Only active tasks can be cancelled.")
    );
}

#[tokio::test]
async fn a_move_task_waits_for_delayed_messages() {
    let server = server().await;
    let mut client = Client::new(&server);
    let dead = create_dead_letter_queue(&server, &mut client).await;
    for delay in [0, 1] {
        let send = json!({"QueueUrl": dead, "MessageBody": "m", "DelaySeconds": delay});
        client.ok("SendMessage", send).await;
    }
    let start = json!({"SourceArn": server.queue_arn("dead"), "DestinationArn": server.queue_arn("orders")});
    client.ok("StartMessageMoveTask", start).await;
    let task = finished(&server, &mut client).await;
    assert_eq!(task["Status"], "COMPLETED");
    assert_eq!(task["ApproximateNumberOfMessagesMoved"], 2);
    assert_eq!(task["ApproximateNumberOfMessagesToMove"], 2);
    assert_eq!(server.queue("orders").expect("the queue").len(), 2);
}

#[tokio::test]
async fn a_waiting_task_can_be_cancelled() {
    let server = server().await;
    let mut client = Client::new(&server);
    let dead = create_dead_letter_queue(&server, &mut client).await;
    let send = json!({"QueueUrl": dead, "MessageBody": "m", "DelaySeconds": 900});
    client.ok("SendMessage", send).await;
    let start = json!({"SourceArn": server.queue_arn("dead"), "DestinationArn": server.queue_arn("orders")});
    let task = client.ok("StartMessageMoveTask", start).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let cancelled = client.ok("CancelMessageMoveTask", task).await;
    assert_eq!(cancelled["ApproximateNumberOfMessagesMoved"], 0);
    let task = finished(&server, &mut client).await;
    assert_eq!(task["Status"], "CANCELLED");
    assert!(task.get("TaskHandle").is_none(), "{task}");
}

#[tokio::test]
async fn a_move_task_fails_without_its_destination() {
    let server = server().await;
    let mut client = Client::new(&server);
    let dead = create_dead_letter_queue(&server, &mut client).await;
    client
        .ok("SendMessage", json!({"QueueUrl": dead, "MessageBody": "m"}))
        .await;
    // The message was sent to the queue, so it has no source.
    let start = json!({"SourceArn": server.queue_arn("dead")});
    client.ok("StartMessageMoveTask", start).await;
    let task = finished(&server, &mut client).await;
    assert_eq!(task["Status"], "FAILED");
    assert_eq!(task["FailureReason"], "CouldNotDetermineMessageSource");
    assert_eq!(server.queue("dead").expect("the queue").len(), 1);
}

#[tokio::test]
async fn the_ten_newest_tasks_of_a_queue_are_listed() {
    let server = server().await;
    let mut client = Client::new(&server);
    let dead = create_dead_letter_queue(&server, &mut client).await;
    let source = json!({"SourceArn": server.queue_arn("dead")});
    for rate in 1..=12 {
        let start = json!({"SourceArn": server.queue_arn("dead"), "MaxNumberOfMessagesPerSecond": rate});
        client.ok("StartMessageMoveTask", start).await;
        finished(&server, &mut client).await;
    }
    let list = json!({"SourceArn": server.queue_arn("dead"), "MaxResults": 10});
    let listed = client.ok("ListMessageMoveTasks", list).await;
    let rates = listed["Results"].as_array().expect("a list").iter();
    let rates: Vec<&Value> = rates.map(|task| &task["MaxNumberOfMessagesPerSecond"]).collect();
    assert_eq!(rates, (3..=12).rev().collect::<Vec<i32>>());
    let newest = client.ok("ListMessageMoveTasks", source.clone()).await;
    assert_eq!(newest["Results"].as_array().map(Vec::len), Some(1));
    // A queue with the same name has none of them.
    client.ok("DeleteQueue", json!({"QueueUrl": dead})).await;
    create(&mut client, "dead", json!({})).await;
    assert_eq!(client.ok("ListMessageMoveTasks", source).await, json!({}));
}

#[tokio::test]
async fn a_move_task_ends_with_the_server() {
    let server = server().await;
    let mut client = Client::new(&server);
    let dead = create_dead_letter_queue(&server, &mut client).await;
    let view = server.queue("dead").expect("the queue");
    send_ten(&mut client, &dead).await;
    let start = json!({"SourceArn": server.queue_arn("dead"), "DestinationArn": server.queue_arn("orders"),
        "MaxNumberOfMessagesPerSecond": 5});
    client.ok("StartMessageMoveTask", start).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    server.stop().await;
    let left = view.len();
    assert!(left > 0);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(view.len(), left);
}
