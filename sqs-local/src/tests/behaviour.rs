//! The behaviour of queues over time. The tests call the actions without sockets, under tokio's paused clock.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::advance;

use super::local::{Local, bodies};
use crate::protocol::error::{self, Error};
use crate::{Action, Builder};

const DAY: u64 = 86_400;

async fn pass(seconds: u64) {
    advance(Duration::from_secs(seconds)).await;
}

/// Lets spawned tasks run until they wait.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

fn expired(message: &Value) -> Error {
    let handle = message["ReceiptHandle"].as_str().expect("a handle");
    Error::invalid_value(handle, "ReceiptHandle", "The receipt handle has expired.")
}

#[tokio::test(start_paused = true)]
async fn a_fifo_group_in_flight_delivers_no_later_message() {
    let queue = Local::new().create("o.fifo", json!({})).await;
    queue.send(&["a1", "a2", "b1", "a3"]).await;
    let received = queue.receive(json!({"MaxNumberOfMessages": 2})).await;
    assert_eq!(bodies(&received), ["a1", "a2"]);
    assert_eq!(queue.bodies(10).await, ["b1"]);
    queue.delete(&received[0]).await.expect("deleted");
    assert!(queue.bodies(10).await.is_empty());
    queue.delete(&received[1]).await.expect("deleted");
    assert_eq!(queue.bodies(10).await, ["a3"]);
}

/// Recorded from AWS.
#[tokio::test(start_paused = true)]
async fn a_fifo_handle_is_valid_until_its_visibility_timeout_expires() {
    let queue = Local::new().create("o.fifo", json!({"VisibilityTimeout": "2"})).await;
    queue.send(&["a1", "a2"]).await;
    let received = queue.receive(json!({"MaxNumberOfMessages": 2})).await;
    queue.change(&received[0], 10).await.expect("changed");
    pass(3).await;
    queue.delete(&received[0]).await.expect("deleted after an extension");
    assert_eq!(queue.delete(&received[1]).await, Err(expired(&received[1])));
    assert_eq!(queue.bodies(10).await, ["a2"]);
    assert_eq!(queue.delete(&received[1]).await, Err(expired(&received[1])));
}

#[tokio::test(start_paused = true)]
async fn a_fifo_group_takes_its_next_turn_after_a_return() {
    let queue = Local::new().create("o.fifo", json!({})).await;
    queue.send(&["a1", "a2", "b1", "c1"]).await;
    let mut order = Vec::new();
    for _ in 0..6 {
        let received = queue.receive(json!({})).await;
        order.extend(bodies(&received));
        queue.change(&received[0], 0).await.expect("returned");
    }
    assert_eq!(order, ["a1", "b1", "c1", "a1", "b1", "c1"]);
}

#[tokio::test(start_paused = true)]
async fn a_standard_queue_at_its_limit_fails_short_polls_only() {
    let queue = Local::with_limits(2, 9).create("o", json!({})).await;
    queue.send(&["1", "2", "3"]).await;
    assert_eq!(
        queue.bodies(10).await.len(),
        2,
        "a receive gets no more than there is room for"
    );
    let refused = queue.try_receive(json!({"WaitTimeSeconds": 0})).await;
    // Recorded from AWS.
    let message = "Too many messages have been received without being deleted.\nPlease delete your received messages or let \
                   them timeout before receiving more.";
    assert_eq!(refused, Err(Error::new(&error::OVER_LIMIT, message)));
    let (received, waited) = queue.poll().await.expect("polled");
    assert_eq!((received.len(), waited), (0, Duration::from_secs(20)));
    // The queue's own wait time makes a poll long as well.
    let set = json!({"Attributes": {"ReceiveMessageWaitTimeSeconds": "3"}});
    queue.call(Action::SetQueueAttributes, set).await.expect("set");
    assert!(queue.bodies(1).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_fifo_queue_at_its_limit_returns_nothing() {
    let queue = Local::with_limits(9, 2).create("o.fifo", json!({})).await;
    queue.send(&["a", "b", "c"]).await;
    assert_eq!(queue.bodies(10).await, ["a", "b"]);
    assert!(queue.bodies(10).await.is_empty());
    let (received, waited) = queue.poll().await.expect("polled");
    assert_eq!((received.len(), waited), (0, Duration::from_secs(20)));
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_at_the_limit_receives_once_there_is_room() {
    for name in ["o", "o.fifo"] {
        let queue = Local::with_limits(1, 1).create(name, json!({})).await;
        queue.send(&["a", "b", "c", "d"]).await;
        let first = queue.receive(json!({})).await;
        let poll = queue.poll();
        settle().await;
        queue.delete(&first[0]).await.expect("deleted");
        let (received, waited) = poll.await.expect("polled");
        assert_eq!((received, waited.as_secs()), (vec!["b".to_owned()], 0));

        // The second message times out while the poll waits, and goes behind the others.
        pass(20).await;
        let (received, waited) = queue.poll().await.expect("polled");
        assert_eq!((received, waited.as_secs()), (vec!["c".to_owned()], 10));
    }
}

#[test]
fn both_kinds_of_queues_may_have_120_000_messages_in_flight() {
    let limits = &Local::new().0.service.limits;
    assert_eq!([false, true].map(|fifo| limits.in_flight(fifo)), [120_000; 2]);
}

#[tokio::test(start_paused = true)]
async fn an_earlier_handle_of_a_standard_queue_changes_the_visibility_timeout() {
    let queue = Local::new().create("o", json!({"VisibilityTimeout": "5"})).await;
    queue.send(&["1"]).await;
    let earlier = queue.receive(json!({})).await;
    pass(5).await;
    let newest = queue.receive(json!({})).await;
    assert_ne!(earlier[0]["ReceiptHandle"], newest[0]["ReceiptHandle"]);
    queue.change(&earlier[0], 60).await.expect("changed");
    pass(59).await;
    assert!(queue.bodies(1).await.is_empty());
    queue.delete(&earlier[0]).await.expect("no error");
    pass(1).await;
    assert_eq!(
        queue.bodies(1).await,
        ["1"],
        "an earlier handle deletes no message in flight"
    );
    pass(5).await;
    queue.delete(&earlier[0]).await.expect("deleted");
    assert!(queue.bodies(1).await.is_empty());
    let gone = queue.change(&newest[0], 1).await.map_err(|e| e.message);
    let reason = "Reason: Message does not exist or is not available for visibility timeout change.";
    assert!(
        gone.as_ref().is_err_and(|message| message.ends_with(reason)),
        "{gone:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_purge_forgets_deduplication_and_attempt_ids() {
    let queue = Local::new().create("o.fifo", json!({})).await;
    queue.send(&["a"]).await;
    let attempt = json!({"ReceiveRequestAttemptId": "try"});
    let before = queue.receive(attempt.clone()).await;
    queue.call(Action::PurgeQueue, json!({})).await.expect("purged");
    queue.send(&["a"]).await;
    let after = queue.receive(attempt).await;
    assert_eq!(bodies(&after), ["a"]);
    assert_ne!(before[0]["MessageId"], after[0]["MessageId"]);
}

#[tokio::test(start_paused = true)]
async fn each_queue_of_a_chain_counts_its_own_receives() {
    let local = Local::new();
    let redrive = |target: &str, max: u32| {
        let arn = local.0.service.arn(target);
        let policy = json!({"deadLetterTargetArn": arn, "maxReceiveCount": max});
        json!({"VisibilityTimeout": "0", "RedrivePolicy": policy.to_string()})
    };
    let last = local.create("last", json!({})).await;
    let middle = local.create("middle", redrive("last", 2)).await;
    let first = local.create("first", redrive("middle", 3)).await;
    first.send(&["1"]).await;
    let ask = json!({"AttributeNames": ["ApproximateReceiveCount"]});
    let mut counts = Vec::new();
    for queue in [&first, &middle, &last] {
        // The receive that finds a dead letter moves it, and returns nothing.
        for message in queue.receive(ask.clone()).await {
            counts.push(message["Attributes"]["ApproximateReceiveCount"].clone());
        }
        while let [message] = &queue.receive(ask.clone()).await[..] {
            counts.push(message["Attributes"]["ApproximateReceiveCount"].clone());
        }
    }
    assert_eq!(counts, ["1", "2", "3", "4", "5", "6"]);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_group_comes_before_a_noisy_one() {
    let queue = Local::new().create("o", json!({})).await;
    let noisy: Vec<String> = (0..60).map(|n| format!("n{n}")).collect();
    queue.send(&noisy.iter().map(String::as_str).collect::<Vec<_>>()).await;
    queue.send(&["q1", "q2"]).await;
    let alone = json!({"MessageBody": "alone"});
    queue.call(Action::SendMessage, alone).await.expect("sent");
    for tens in 0..3 {
        assert_eq!(queue.bodies(10).await, noisy[tens * 10..(tens + 1) * 10]);
    }
    assert_eq!(queue.bodies(4).await, ["q1", "q2", "alone", "n30"]);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_id_repeats_a_receive_for_five_minutes() {
    let queue = Local::new().create("o.fifo", json!({"VisibilityTimeout": "600"})).await;
    queue.send(&["a1", "a2", "b1"]).await;
    let attempt = json!({"MaxNumberOfMessages": 2, "ReceiveRequestAttemptId": "try"});
    let first = queue.receive(attempt.clone()).await;
    assert_eq!(bodies(&first), ["a1", "a2"]);
    pass(299).await;
    assert_eq!(queue.receive(attempt.clone()).await, first);
    pass(1).await;
    assert_eq!(bodies(&queue.receive(attempt).await), ["b1"]);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_id_is_refused_after_a_message_was_changed_or_deleted() {
    for delete in [false, true] {
        let queue = Local::new().create("o.fifo", json!({})).await;
        queue.send(&["a1", "a2", "b1"]).await;
        let attempt = json!({"MaxNumberOfMessages": 2, "ReceiveRequestAttemptId": "try"});
        let first = queue.receive(attempt.clone()).await;
        if delete {
            queue.delete(&first[1]).await.expect("deleted");
        } else {
            queue.change(&first[1], 0).await.expect("changed");
        }
        let message = "Value try for parameter ReceiveRequestAttemptId is invalid. Reason: The receiveRequestAttemptId is \
                       not valid anymore since the receive call is not retryable.";
        assert_eq!(queue.try_receive(attempt).await, Err(Error::invalid(message)));
        assert_eq!(queue.bodies(10).await, ["b1"], "other receives are not affected");
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_id_receives_anew_after_the_visibility_timeout() {
    let queue = Local::new().create("o.fifo", json!({"VisibilityTimeout": "5"})).await;
    queue.send(&["a1"]).await;
    let attempt = json!({"ReceiveRequestAttemptId": "try"});
    let first = queue.receive(attempt.clone()).await;
    pass(5).await;
    let second = queue.receive(attempt.clone()).await;
    assert_eq!(first[0]["MessageId"], second[0]["MessageId"]);
    assert_ne!(first[0]["ReceiptHandle"], second[0]["ReceiptHandle"]);
    assert_eq!(queue.receive(attempt).await, second);
}

#[tokio::test(start_paused = true)]
async fn an_expired_attempt_is_not_refused_for_what_another_receiver_does() {
    let queue = Local::new().create("o.fifo", json!({"VisibilityTimeout": "5"})).await;
    queue.send(&["a1", "a2"]).await;
    let attempt = json!({"ReceiveRequestAttemptId": "try", "WaitTimeSeconds": 20});
    assert_eq!(bodies(&queue.receive(attempt.clone()).await), ["a1"]);
    pass(5).await;
    let other = queue.receive(json!({})).await;
    let repeated = {
        let queue = queue.clone();
        tokio::spawn(async move { queue.try_receive(attempt).await })
    };
    settle().await;
    queue.delete(&other[0]).await.expect("deleted");
    let repeated = repeated.await.expect("polled");
    assert_eq!(repeated.map(|received| bodies(&received)), Ok(vec!["a2".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn attempt_ids_are_checked() {
    let queue = Local::new().create("o.fifo", json!({})).await;
    for good in ["a", &"~".repeat(128)] {
        let received = queue.try_receive(json!({"ReceiveRequestAttemptId": good})).await;
        assert_eq!(received, Ok(Vec::new()), "{good}");
    }
    for bad in ["", "two words", "é", &"a".repeat(129)] {
        let message = format!(
            "Value {bad} for parameter ReceiveRequestAttemptId is invalid. Reason: ReceiveRequestAttemptId can only \
             include alphanumeric and punctuation characters. 1 to 128 in length."
        );
        let refused = queue.try_receive(json!({"ReceiveRequestAttemptId": bad})).await;
        assert_eq!(refused, Err(Error::invalid(message)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_is_in_flight_for_up_to_twelve_hours() {
    let queue = Local::new().create("o", json!({})).await;
    queue.send(&["1"]).await;
    let received = queue.receive(json!({"VisibilityTimeout": 43_200})).await;
    pass(43_199).await;
    assert!(queue.bodies(1).await.is_empty());
    let too_long = queue.change(&received[0], 2).await.map_err(|e| e.message);
    let message = "Value 2 for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is \
                   beyond the limit [43200 seconds]";
    assert_eq!(too_long, Err(message.to_owned()));
    let (received, waited) = queue.poll().await.expect("polled");
    assert_eq!((received, waited), (vec!["1".to_owned()], Duration::from_secs(1)));
}

#[tokio::test(start_paused = true)]
async fn a_message_is_kept_for_fourteen_days() {
    let queue = Local::new()
        .create("o", json!({"MessageRetentionPeriod": "1209600"}))
        .await;
    queue.send(&["1"]).await;
    pass(14 * DAY - 1).await;
    assert_eq!(bodies(&queue.receive(json!({"VisibilityTimeout": 0})).await), ["1"]);
    pass(1).await;
    assert!(queue.bodies(1).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_fifo_poll_is_woken_by_the_end_of_a_message_that_blocks_its_group() {
    let attributes = json!({"MessageRetentionPeriod": "60", "VisibilityTimeout": "600"});
    let queue = Local::new().create("o.fifo", attributes).await;
    queue.send(&["a1"]).await;
    assert_eq!(queue.bodies(1).await, ["a1"]);
    pass(50).await;
    queue.send(&["a2"]).await;
    let (received, waited) = queue.poll().await.expect("polled");
    assert_eq!((received, waited), (vec!["a2".to_owned()], Duration::from_secs(10)));
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_waits_for_twenty_seconds_or_the_end_of_a_delay() {
    let queue = Local::new().create("o", json!({})).await;
    let (received, waited) = queue.poll().await.expect("polled");
    assert_eq!((received.len(), waited), (0, Duration::from_secs(20)));
    let delayed = json!({"MessageBody": "1", "DelaySeconds": 900});
    queue.call(Action::SendMessage, delayed).await.expect("sent");
    pass(890).await;
    let (received, waited) = queue.poll().await.expect("polled");
    assert_eq!((received, waited), (vec!["1".to_owned()], Duration::from_secs(10)));
}

#[tokio::test(start_paused = true)]
async fn receipt_handles_are_long_and_follow_from_the_seed() {
    let mut handles = Vec::new();
    for seed in [1, 1, 2] {
        let local = Local(Builder::default().seed(seed).gateway("http://sqs.test"));
        let queue = local.create("o", json!({})).await;
        queue.send(&["1"]).await;
        let received = queue.receive(json!({})).await;
        handles.push(received[0]["ReceiptHandle"].as_str().expect("a handle").to_owned());
    }
    assert_eq!(handles[0], handles[1]);
    assert_ne!(handles[0], handles[2]);
    assert!(handles.iter().all(|handle| handle.len() == 412));
}
