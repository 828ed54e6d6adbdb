//! Tests the batcher on real requests: full batches, a result for each caller, order, and faults.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::future;
use futures::stream::{self, StreamExt as _};
use libtest_mimic::Trial;
use sqs_client::client::RetryPolicy;
use sqs_client::{
    Batcher, Client, Error, ErrorCode, ErrorKind, Message, OutgoingMessage, Protocol, QueueAttributes, limits,
};
use sqs_local::{Action, Fault, FaultKind, LocalSqs};
use tokio::time::timeout;

use crate::harness::{Backend, Context, Harness, Outcome};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let mut trials = vec![
        harness.test(sixty_four_tasks_fill_at_least_nine_of_ten_entries),
        harness.test(no_batch_exceeds_the_size_limit),
        harness.test(faults_lose_no_call),
        harness.test(faults_keep_the_order_of_each_fifo_group),
        harness.test(each_caller_gets_its_own_result),
        harness.test(kinds_of_calls_do_not_wait_for_each_other),
        harness.test(a_shutdown_under_load_loses_nothing),
        harness.test(the_documented_example_sends_everything),
        harness.test(a_shutdown_finishes_earlier_calls),
        harness.test(unpolled_calls_block_neither_flush_nor_shutdown),
        harness.test(a_failure_stops_the_rest_of_its_group),
        harness.test(each_group_stops_at_its_first_refusal),
        harness.test(a_call_after_the_failure_is_sent),
        harness.test(a_name_is_looked_up_once_for_all_calls),
        harness.test(concurrent_calls_share_a_failed_lookup),
        harness.test(an_arn_is_refused_without_any_request),
    ];
    for backend in Backend::ALL {
        trials.push(harness.server_test(backend, Protocol::Json, sends_changes_and_deletes_arrive));
        trials.push(harness.server_test(backend, Protocol::Query, groups_keep_their_order));
    }
    trials
}

/// Starts a server that records all requests, and builds a client with many attempts.
async fn server() -> anyhow::Result<(LocalSqs, Client)> {
    let server = sqs_tests::strict().journal_capacity(100_000).start().await?;
    let moment = Duration::from_millis(1);
    let retry = RetryPolicy::standard()
        .max_attempts(20)
        .base_delay(moment)
        .throttled_base_delay(moment);
    let client = server.client_builder().retry(retry).build()?;
    Ok((server, client))
}

async fn queue(client: &Client) -> anyhow::Result<String> {
    Ok(client.create_queue("q").await?.queue_url)
}

fn fifo_attributes() -> QueueAttributes {
    let mut attributes = QueueAttributes::default();
    attributes.fifo_queue = Some(true);
    attributes.content_based_deduplication = Some(true);
    attributes
}

/// Returns the lengths of the batches that the server received.
fn lengths(server: &LocalSqs, action: Action) -> Vec<usize> {
    let requests = server.requests().into_iter();
    requests
        .filter(|request| request.action == Some(action))
        .map(|request| request.entries)
        .collect()
}

/// Returns the bodies in a queue of the server, in order.
fn bodies(server: &LocalSqs, queue: &str) -> Vec<String> {
    let messages = server.queue(queue).into_iter().flat_map(|queue| queue.messages());
    messages.map(|message| message.body).collect()
}

/// Runs `count` tasks, each with a clone of the batcher, and returns their results.
async fn tasks<T, F>(batcher: &Batcher, count: usize, task: impl Fn(Batcher, usize) -> F) -> anyhow::Result<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = anyhow::Result<T>> + Send + 'static,
{
    let tasks = (0..count).map(|i| tokio::spawn(task(batcher.clone(), i)));
    let ended = future::join_all(tasks.collect::<Vec<_>>()).await;
    ended.into_iter().map(|ended| ended?).collect()
}

async fn sixty_four_tasks_fill_at_least_nine_of_ten_entries() -> Outcome {
    const MESSAGES: usize = 6400;
    let (server, client) = server().await?;
    let batcher = client.batcher(queue(&client).await?).build();
    // Each task sends the next message as soon as it can, so that all are busy until the end.
    let next = Arc::new(AtomicUsize::new(0));
    tasks(&batcher, 64, move |batcher, _| {
        let next = next.clone();
        async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= MESSAGES {
                    return Ok(());
                }
                batcher.send(format!("{number:1024}")).await?;
            }
        }
    })
    .await?;
    let lengths = lengths(&server, Action::SendMessageBatch);
    assert_eq!(lengths.iter().sum::<usize>(), MESSAGES);
    ensure!(lengths.iter().all(|length| *length <= limits::MAX_BATCH_ENTRIES));
    // Nine of ten entries are used, so there are at most an eighth as many requests as single sends would make.
    ensure!(lengths.len() * 9 <= MESSAGES, "{} requests", lengths.len());
    let mut arrived: Vec<usize> = Vec::new();
    for body in bodies(&server, "q") {
        arrived.push(body.trim().parse()?);
    }
    arrived.sort_unstable();
    assert_eq!(arrived, (0..MESSAGES).collect::<Vec<_>>());
    Ok(())
}

/// The server refuses a batch above the limit. So without an error, no batch exceeded it.
async fn no_batch_exceeds_the_size_limit() -> Outcome {
    const LIMIT: usize = limits::MAX_MESSAGE_BYTES;
    const SIZES: [usize; 9] = [
        1,
        LIMIT / 2,
        LIMIT / 2 + 1,
        LIMIT,
        LIMIT - 1,
        LIMIT / 10,
        LIMIT / 10 + 1,
        300_000,
        LIMIT / 3,
    ];
    let (server, client) = server().await?;
    let batcher = client.batcher(queue(&client).await?).capacity(200).build();
    tasks(&batcher, 36, async |batcher: Batcher, task| {
        let size = SIZES[task % SIZES.len()];
        // Half of them consist mostly of an attribute.
        let message = if task % 2 == 0 || size < 100 {
            OutgoingMessage::new("x".repeat(size))
        } else {
            let rest = size - "body".len() - "name".len() - "String".len();
            OutgoingMessage::new("body").message_attribute("name", "x".repeat(rest))
        };
        ensure!(message.size() == size);
        batcher.send(message).await?;
        let error = batcher.send("x".repeat(LIMIT + 1)).await.err().context("too large")?;
        ensure!(error.kind() == ErrorKind::InvalidInput, "{error:?}");
        Ok(())
    })
    .await?;
    let lengths = lengths(&server, Action::SendMessageBatch);
    ensure!(lengths.iter().all(|length| *length <= limits::MAX_BATCH_ENTRIES));
    assert_eq!(lengths.iter().sum::<usize>(), 36);
    ensure!(lengths.len() < 36, "no two messages shared a batch");
    Ok(())
}

fn add_faults(server: &LocalSqs, action: Action, kinds: &[FaultKind]) {
    for kind in kinds {
        server.faults().add(Fault::on(action, kind.clone()).probability(0.05));
    }
}

async fn faults_lose_no_call() -> Outcome {
    let (server, client) = server().await?;
    let queue = queue(&client).await?;
    let batcher = client.batcher(&queue).build();
    let actions = [
        Action::SendMessageBatch,
        Action::ChangeMessageVisibilityBatch,
        Action::DeleteMessageBatch,
    ];
    for action in actions {
        let kinds = [
            FaultKind::Throttle,
            FaultKind::DropBefore,
            FaultKind::DropAfter,
            FaultKind::status(500),
            FaultKind::FailEntries(3),
        ];
        add_faults(&server, action, &kinds);
    }
    tasks(&batcher, 32, async |batcher: Batcher, task| {
        for i in 0..30 {
            batcher.send(format!("{}", task * 30 + i)).await?;
        }
        Ok(())
    })
    .await?;
    let mut arrived: Vec<usize> = bodies(&server, "q").iter().flat_map(|body| body.parse()).collect();
    arrived.sort_unstable();
    arrived.dedup();
    assert_eq!(arrived, (0..32 * 30).collect::<Vec<_>>(), "each arrived at least once");

    tasks(&batcher, 32, move |batcher, _| {
        let (client, queue) = (client.clone(), queue.clone());
        async move {
            loop {
                let received = client.receive_message(&queue).max_messages(10).await?.messages;
                if received.is_empty() {
                    return Ok(());
                }
                let acks = received.into_iter().map(async |message| {
                    batcher
                        .change_visibility(&message.receipt_handle, Duration::from_secs(600))
                        .await?;
                    batcher.delete(message.receipt_handle).await
                });
                future::try_join_all(acks).await?;
            }
        }
    })
    .await?;
    ensure!(server.queue("q").is_some_and(|queue| queue.is_empty()));
    Ok(())
}

async fn faults_keep_the_order_of_each_fifo_group() -> Outcome {
    let (server, client) = server().await?;
    let queue = client
        .create_queue("q.fifo")
        .attributes(fifo_attributes())
        .await?
        .queue_url;
    let kinds = [
        FaultKind::Throttle,
        FaultKind::DropBefore,
        FaultKind::DropAfter,
        FaultKind::status(503),
    ];
    add_faults(&server, Action::SendMessageBatch, &kinds);
    let batcher = client.batcher(&queue).build();
    tasks(&batcher, 7, async |batcher: Batcher, group| {
        send_group(&batcher, group, 150).await
    })
    .await?;
    let mut groups: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for message in server.queue("q.fifo").context("the queue")?.messages() {
        groups.entry(message.group).or_default().push(message.body);
    }
    assert_eq!(groups.len(), 7);
    for (group, bodies) in groups {
        ensure!(bodies.is_sorted(), "group {group:?}: {bodies:?}");
        assert_eq!(bodies.len(), 150);
    }
    ensure!(
        lengths(&server, Action::SendMessageBatch)
            .into_iter()
            .any(|length| length == 10)
    );
    Ok(())
}

/// Sends numbered messages of a group with up to 50 concurrent calls.
async fn send_group(batcher: &Batcher, group: usize, count: usize) -> Outcome {
    let messages =
        (0..count).map(|i| OutgoingMessage::new(format!("{group}-{i:04}")).message_group_id(group.to_string()));
    let mut sent = stream::iter(messages).map(|message| batcher.send(message)).buffered(50);
    while let Some(result) = sent.next().await {
        result?;
    }
    Ok(())
}

async fn each_caller_gets_its_own_result() -> Outcome {
    let server = sqs_tests::strict().start().await?;
    let client = server.client_builder().retry(RetryPolicy::never()).build()?;
    let batcher = client.batcher(queue(&client).await?).build();
    server
        .faults()
        .add(Fault::on(Action::SendMessageBatch, FaultKind::FailEntries(1)).times(1));
    let messages = ["a", "b\u{1}", "c", "d"].map(|body| batcher.send(body));
    let results = future::join_all(messages).await;
    assert_eq!(server.count(Action::SendMessageBatch), 1);
    let code = |result: &Result<_, Error>| result.as_ref().err().and_then(|error| error.code().cloned());
    assert_eq!(
        results[1].as_ref().err().map(Error::kind),
        Some(ErrorKind::InvalidInput)
    );
    let failed = results
        .iter()
        .filter(|result| code(result) == Some(ErrorCode::InternalError));
    assert_eq!(failed.count(), 1);
    for (body, result) in ["a", "b", "c", "d"].into_iter().zip(results) {
        let messages = server.queue("q").context("the queue")?.messages();
        let delivered = messages.iter().find(|message| message.body == body);
        assert_eq!(
            delivered.map(|message| &message.id),
            result.ok().map(|sent| sent.message_id).as_ref()
        );
    }
    let error = batcher
        .delete("no handle")
        .await
        .err()
        .context("an unknown handle was accepted")?;
    assert_eq!(
        (error.code(), error.operation()),
        (Some(&ErrorCode::ReceiptHandleIsInvalid), Some("DeleteMessageBatch"))
    );
    Ok(())
}

async fn kinds_of_calls_do_not_wait_for_each_other() -> Outcome {
    let (server, client) = server().await?;
    let queue = queue(&client).await?;
    client.send_message(&queue, "x").await?;
    let message = client
        .receive_message(&queue)
        .await?
        .messages
        .pop()
        .context("a message")?;
    let batcher = client.batcher(&queue).concurrency(1).capacity(1).build();
    let delay = FaultKind::Delay(Duration::from_secs(5));
    server.faults().add(Fault::on(Action::SendMessageBatch, delay));
    let mut sending = Box::pin(batcher.send("y"));
    ensure!(timeout(Duration::from_millis(50), &mut sending).await.is_err());
    // The only slot and the only request for sends are in use.
    batcher
        .change_visibility(&message.receipt_handle, Duration::from_secs(60))
        .await?;
    batcher.delete(message.receipt_handle).await?;
    ensure!(futures::poll!(&mut sending).is_pending());
    Ok(())
}

async fn a_shutdown_under_load_loses_nothing() -> Outcome {
    let (server, client) = server().await?;
    add_faults(
        &server,
        Action::SendMessageBatch,
        &[FaultKind::Throttle, FaultKind::FailEntries(2)],
    );
    let batcher = client
        .batcher(queue(&client).await?)
        .capacity(40)
        .linger(Duration::from_secs(60))
        .build();
    let sending = tasks(&batcher, 64, async |batcher: Batcher, _| {
        let mut sent = 0;
        loop {
            match batcher.send("x").await {
                Ok(_) => sent += 1,
                Err(error) => {
                    ensure!(
                        error.kind() == ErrorKind::Closed && !error.may_have_been_sent(),
                        "{error:?}"
                    );
                    return Ok(sent);
                }
            }
        }
    });
    let shutdown = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        batcher.shutdown().await;
        server.queue("q").map_or(0, |queue| queue.len())
    };
    let (sent, delivered) = future::join(sending, shutdown).await;
    assert_eq!(
        sent?.into_iter().sum::<usize>(),
        delivered,
        "the shutdown ended before all messages were sent"
    );
    ensure!(delivered > 64);
    assert_eq!(server.queue("q").map(|queue| queue.len()), Some(delivered));
    Ok(())
}

/// Runs the example in `Batcher`'s documentation.
async fn the_documented_example_sends_everything() -> Outcome {
    let (server, client) = server().await?;
    let batcher = client.batcher(queue(&client).await?).build();
    let mut tasks = Vec::new();
    for task in 0..64 {
        tasks.push(tokio::spawn(batcher.send(format!("from task {task}"))));
    }
    batcher.shutdown().await;
    let mut sent = 0;
    for task in tasks {
        sent += usize::from(task.await?.is_ok());
    }
    assert_eq!((sent, bodies(&server, "q").len()), (64, 64));
    Ok(())
}

async fn a_shutdown_finishes_earlier_calls() -> Outcome {
    let (server, client) = server().await?;
    let batcher = client.batcher(queue(&client).await?).capacity(5).build();
    let calls: Vec<_> = (0..64).map(|i| batcher.send(format!("{i}"))).collect();
    let late = async { batcher.send("late").await };
    let (results, (), late) = future::join3(future::join_all(calls), batcher.shutdown(), late).await;
    ensure!(results.iter().all(Result::is_ok), "{results:?}");
    let late = late.err().context("the late call was sent")?;
    ensure!(
        late.kind() == ErrorKind::Closed && !late.may_have_been_sent(),
        "{late:?}"
    );
    assert_eq!(bodies(&server, "q").len(), 64);
    Ok(())
}

async fn unpolled_calls_block_neither_flush_nor_shutdown() -> Outcome {
    for shuts_down in [false, true] {
        let (server, client) = server().await?;
        let batcher = client.batcher(queue(&client).await?).capacity(1).build();
        let mut calls: Vec<_> = (0..3).map(|i| Box::pin(batcher.send(format!("{i}")))).collect();
        for call in &mut calls {
            ensure!(futures::poll!(call).is_pending());
        }
        let end = async {
            if shuts_down {
                batcher.shutdown().await;
            } else {
                batcher.flush().await;
            }
        };
        timeout(Duration::from_secs(20), end)
            .await
            .context("it waits for an unpolled future")?;
        assert_eq!(bodies(&server, "q"), ["0", "1", "2"]);
        for call in calls {
            call.await?;
        }
    }
    Ok(())
}

async fn fifo_queue(client: &Client) -> anyhow::Result<String> {
    let created = client.create_queue("q.fifo").attributes(fifo_attributes());
    Ok(created.await?.queue_url)
}

/// Returns numbered messages of a group.
fn of_group(group: &str, numbers: std::ops::Range<usize>) -> impl Iterator<Item = OutgoingMessage> {
    numbers.map(move |i| OutgoingMessage::new(format!("{group}{i:02}")).message_group_id(group))
}

async fn a_failure_stops_the_rest_of_its_group() -> Outcome {
    // With slots for all calls, and for few of them.
    for capacity in [1000, 15] {
        let (server, client) = server().await?;
        let batcher = client
            .batcher(fifo_queue(&client).await?)
            .capacity(capacity)
            .concurrency(1)
            .build();
        let refusal = Fault::on(Action::SendMessageBatch, FaultKind::status(403));
        server.faults().add(refusal.times(1));
        let failing = future::join_all(of_group("a", 0..40).map(|message| batcher.send(message)));
        let others = future::join_all(of_group("b", 0..40).map(|message| batcher.send(message)));
        let (failing, others) = future::join(failing, others).await;
        ensure!(others.iter().all(Result::is_ok), "{others:?}");
        let errors: Vec<Error> = failing.into_iter().filter_map(Result::err).collect();
        ensure!(
            errors.len() == 40 && !errors.iter().any(Error::may_have_been_sent),
            "{errors:?}"
        );
        ensure!(
            errors[..10].iter().all(|error| error.status() == Some(403)),
            "{errors:?}"
        );
        ensure!(
            errors[10..].iter().all(|error| error.kind() == ErrorKind::HeldBack),
            "{errors:?}"
        );
        let sent: Vec<String> = bodies(&server, "q.fifo");
        ensure!(sent.iter().all(|body| body.starts_with('b')) && sent.is_sorted() && sent.len() == 40);
    }
    Ok(())
}

async fn each_group_stops_at_its_first_refusal() -> Outcome {
    let (server, client) = server().await?;
    // With fewer slots than calls, so that some wait.
    let batcher = client.batcher(fifo_queue(&client).await?).capacity(60).build();
    add_faults(&server, Action::SendMessageBatch, &[FaultKind::status(403)]);
    let groups = tasks(&batcher, 8, async |batcher: Batcher, group| {
        let group = group.to_string();
        let sends = of_group(&group, 0..90).map(|message| batcher.send(message));
        let results = future::join_all(sends).await;
        let sent = results.iter().take_while(|result| result.is_ok()).count();
        ensure!(results[sent..].iter().all(Result::is_err), "{group}: {results:?}");
        Ok((group, sent))
    })
    .await?;
    let delivered = bodies(&server, "q.fifo");
    for (group, sent) in &groups {
        let of_this = delivered.iter().filter(|body| body.starts_with(group)).cloned();
        let expected = of_group(group, 0..*sent).map(|message| message.body);
        assert_eq!(of_this.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
    ensure!(groups.iter().any(|(_, sent)| *sent < 90), "nothing was refused");
    Ok(())
}

async fn a_call_after_the_failure_is_sent() -> Outcome {
    let (server, client) = server().await?;
    let batcher = client.batcher(fifo_queue(&client).await?).build();
    let refusal = Fault::on(Action::SendMessageBatch, FaultKind::status(403));
    server.faults().add(refusal.times(1));
    let sends = of_group("a", 0..15).map(async |message| {
        let first = batcher.send(message.clone()).await;
        let again = match first {
            Ok(_) => anyhow::bail!("sent"),
            Err(_) => batcher.send(message).await,
        };
        Ok(again?)
    });
    future::try_join_all(sends).await?;
    let mut sent = bodies(&server, "q.fifo");
    sent.sort_unstable();
    assert_eq!(
        sent,
        of_group("a", 0..15).map(|message| message.body).collect::<Vec<_>>()
    );
    Ok(())
}

/// Receives messages, at least one.
async fn receive(context: &Context, queue: &str) -> anyhow::Result<Vec<Message>> {
    let receive = context.client.receive_message(queue).max_messages(10);
    let messages = receive.wait_time(Duration::from_secs(5)).await?.messages;
    ensure!(!messages.is_empty(), "no message arrives");
    Ok(messages)
}

async fn sends_changes_and_deletes_arrive(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let batcher = context.client.batcher(&queue).build();
    let sent = future::try_join_all((0..95).map(|i| batcher.send(format!("{i}")))).await?;
    let mut ids: Vec<String> = sent.into_iter().map(|sent| sent.message_id).collect();
    let mut messages = Vec::new();
    while messages.len() < 95 {
        messages.extend(receive(&context, &queue).await?);
    }
    let mut received: Vec<String> = messages.iter().map(|message| message.message_id.clone()).collect();
    ids.sort_unstable();
    received.sort_unstable();
    assert_eq!(ids, received);
    // The first message is returned to the queue, and all other messages are deleted.
    let mut handles = messages.into_iter().map(|message| message.receipt_handle);
    let returned = handles.next().context("a message")?;
    let deletes = future::try_join_all(handles.map(|handle| batcher.delete(handle)));
    future::try_join(batcher.change_visibility(returned, Duration::ZERO), deletes).await?;
    batcher.shutdown().await;
    assert_eq!(receive(&context, &queue).await?.len(), 1);
    Ok(())
}

async fn groups_keep_their_order(context: Context) -> Outcome {
    let queue = context.queue_with(".fifo", fifo_attributes()).await?;
    let batcher = context.client.batcher(&queue).build();
    future::try_join_all((0..3).map(|group| send_group(&batcher, group, 40))).await?;
    let mut groups: BTreeMap<char, Vec<String>> = BTreeMap::new();
    let mut count = 0;
    while count < 120 {
        let received = receive(&context, &queue).await?;
        count += received.len();
        for message in received {
            let group = message.body.chars().next().context("a body")?;
            groups.entry(group).or_default().push(message.body);
            batcher.delete(message.receipt_handle).await?;
        }
    }
    assert_eq!(groups.values().map(Vec::len).collect::<Vec<_>>(), [40, 40, 40]);
    ensure!(groups.values().all(|bodies| bodies.is_sorted()), "{groups:?}");
    Ok(())
}

async fn a_name_is_looked_up_once_for_all_calls() -> Outcome {
    let (server, client) = server().await?;
    queue(&client).await?;
    // Every batch begins while the lookup is still open.
    let slow = Fault::on(Action::GetQueueUrl, FaultKind::Delay(Duration::from_millis(300)));
    server.faults().add(slow);
    let batcher = client.batcher("q").build();
    tasks(&batcher, 64, async |batcher: Batcher, task| {
        batcher.send(task.to_string()).await?;
        Ok(())
    })
    .await?;
    assert_eq!(server.count(Action::GetQueueUrl), 1);
    let mut arrived: Vec<usize> = Vec::new();
    for body in bodies(&server, "q") {
        arrived.push(body.parse()?);
    }
    arrived.sort_unstable();
    assert_eq!(arrived, (0..64).collect::<Vec<_>>());
    Ok(())
}

/// The queue keeps order, so the calls behind a failed one are held back.
async fn concurrent_calls_share_a_failed_lookup() -> Outcome {
    let (server, client) = server().await?;
    let slow = Fault::on(Action::GetQueueUrl, FaultKind::Delay(Duration::from_millis(300)));
    let slow = server.faults().add(slow);
    let batcher = client.batcher("q.fifo").build();
    let message = |number: usize| OutgoingMessage::new(number.to_string()).message_group_id("g");
    let calls = (0..64).map(|number| batcher.send(message(number)));
    let mut refused = 0;
    for (number, sent) in future::join_all(calls).await.into_iter().enumerate() {
        let error = sent.err().context("a message was sent to a missing queue")?;
        ensure!(!error.may_have_been_sent(), "{error}");
        match error.code() {
            Some(ErrorCode::QueueDoesNotExist) => {
                let text = error.to_string();
                ensure!(text.contains("looking up the queue \"q.fifo\" failed"), "{text}");
                refused += 1;
            }
            _ => assert_eq!(error.kind(), ErrorKind::HeldBack, "{number}"),
        }
    }
    // A batch of the group waits for the one before.
    ensure!(
        (1..=limits::MAX_BATCH_ENTRIES).contains(&refused),
        "{refused} calls failed by themselves"
    );
    assert_eq!(server.count(Action::GetQueueUrl), 1);

    server.faults().remove(slow);
    client.create_queue("q.fifo").attributes(fifo_attributes()).await?;
    for number in 0..3 {
        batcher.send(message(number)).await?;
    }
    assert_eq!(bodies(&server, "q.fifo"), ["0", "1", "2"]);
    assert_eq!(server.count(Action::GetQueueUrl), 2);
    Ok(())
}

async fn an_arn_is_refused_without_any_request() -> Outcome {
    let (server, client) = server().await?;
    queue(&client).await?;
    let arn = server.queue("q").context("no queue")?.arn().to_owned();
    let before = server.requests().len();
    let batcher = client.batcher(&arn).build();
    let expected = format!("{arn:?} is an ARN; pass the queue's name (\"q\") or its URL");
    let sent = batcher.send("x").await.err().context("the ARN was accepted")?;
    let deleted = batcher.delete("handle").await.err().context("the ARN was accepted")?;
    let single = client
        .send_message(&arn, "x")
        .await
        .err()
        .context("the ARN was accepted")?;
    for error in [sent, deleted, single] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.message(), expected);
        ensure!(!error.may_have_been_sent());
    }
    assert_eq!(server.requests().len(), before);
    Ok(())
}
