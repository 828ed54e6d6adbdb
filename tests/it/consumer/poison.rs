//! Tests FIFO groups with failing messages. The messages behind them are handled once and in order, and do not become
//! dead letters.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use sqs_client::types::{MessageSystemAttributeName, QueueAttributeName, RedrivePolicy};
use sqs_client::{Consumer, Delivery, Protocol, QueueAttributes};
use sqs_local::{Action, Fault, FaultKind, Reply};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::handling::remaining;
use super::{Seen, fast_consumer, grouped, send, until};
use crate::harness::{Backend, Context, Harness, Outcome, Quirk};
use crate::telemetry::observe;

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for backend in [Backend::Local, Backend::ElasticMq] {
        trials.extend([
            harness.server_test(backend, Protocol::Json, one_poison_message_of_ten_dies_alone),
            harness.server_test(backend, Protocol::Json, poison_in_the_middle_of_five_groups_dies_alone),
            harness.server_test(backend, Protocol::Json, poison_of_many_groups_dies_alone),
            harness.server_test(backend, Protocol::Json, several_poison_messages_of_a_group_die_alone),
            harness.server_test(backend, Protocol::Json, poison_dies_alone_where_consumers_compete),
            harness.server_test(backend, Protocol::Json, poison_dies_alone_at_the_consumers_own_limit),
        ]);
    }
    let (local, json) = (Backend::Local, Protocol::Json);
    trials.extend([
        harness.server_test(Backend::Moto, json, poison_loses_nothing_where_groups_are_locked),
        harness.server_test(local, json, order_is_kept_when_every_seventh_handling_fails),
        harness.server_test(local, json, a_restart_costs_each_prefetched_message_one_receive),
        harness.server_test(local, json, a_head_returned_by_its_handler_returns_alone),
        harness.blocking_test(messages_without_a_group_form_one_group),
    ]);
    trials
}

/// A FIFO queue with a dead-letter queue for messages that were received three times.
pub(super) struct Queues {
    context: Context,
    pub(super) queue: String,
    dead: String,
}

impl Queues {
    pub(super) async fn new(context: Context) -> anyhow::Result<Self> {
        let mut attributes = QueueAttributes::default();
        attributes.fifo_queue = Some(true);
        let dead = context.queue_with(".fifo", attributes.clone()).await?;
        let arn = context
            .client
            .get_queue_attributes(&dead, [QueueAttributeName::QueueArn]);
        let arn = arn.await?.attributes.queue_arn.context("the queue's ARN")?;
        attributes.redrive_policy = Some(RedrivePolicy::new(arn, 3));
        let queue = context.queue_with(".fifo", attributes).await?;
        Ok(Self { context, queue, dead })
    }

    pub(super) fn consumer(&self) -> Consumer {
        // The number of retries in place is the default.
        fast_consumer(&self.context.client, &self.queue).visibility_timeout(Duration::from_secs(3))
    }

    /// Waits until the queue is empty.
    pub(super) async fn emptied(&self) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while remaining(&self.context, &self.queue).await.expect("a response") > 0 {
            assert!(Instant::now() < deadline, "the queue is not emptied within 120 s");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Returns the bodies of the dead letters by group.
    pub(super) async fn dead(&self) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
        let mut dead = BTreeMap::<_, Vec<_>>::new();
        while remaining(&self.context, &self.dead).await? > 0 {
            let receive = self.context.client.receive_message(&self.dead).max_messages(10);
            let receive = receive.message_system_attribute_names([MessageSystemAttributeName::MessageGroupId]);
            for message in receive.await?.messages {
                let group = message.attributes.message_group_id().unwrap_or_default().to_owned();
                dead.entry(group).or_default().push(message.body);
                self.context
                    .client
                    .delete_message(&self.dead, message.receipt_handle)
                    .await?;
            }
        }
        Ok(dead)
    }
}

fn group_of(delivery: &Delivery) -> String {
    let group = delivery.message().attributes.message_group_id();
    group.unwrap_or_default().to_owned()
}

/// A test with groups in which the messages of some numbers always fail.
#[derive(Clone, Copy)]
struct Poisoned {
    groups: usize,
    each: usize,
    poison: &'static [usize],
    consumers: usize,
    /// The number of handlings after which the consumer itself moves a message.
    limit: Option<u32>,
}

impl Poisoned {
    const fn new(groups: usize, each: usize, poison: &'static [usize]) -> Self {
        Self {
            groups,
            each,
            poison,
            consumers: 1,
            limit: None,
        }
    }

    async fn run(self, context: Context) -> Outcome {
        let Self {
            groups, each, poison, ..
        } = self;
        let queues = Queues::new(context).await?;
        send(&queues.context.client, &queues.queue, grouped(groups, each)).await?;
        let (seen, failed) = (Seen::default(), Seen::default());
        let handler = {
            let (seen, failed) = (seen.clone(), failed.clone());
            move |delivery: Delivery| {
                let (seen, failed) = (seen.clone(), failed.clone());
                async move {
                    let number: usize = delivery.message().body.parse().map_err(drop)?;
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    let noted = if poison.contains(&number) { &failed } else { &seen };
                    noted.note(&group_of(&delivery), &delivery.message().body);
                    if poison.contains(&number) { Err(()) } else { Ok(()) }
                }
            }
        };
        let running = (0..self.consumers).map(|_| {
            let consumer = queues.consumer();
            let consumer = match self.limit {
                Some(limit) => consumer.move_poison_to(limit, &queues.dead),
                None => consumer,
            };
            consumer.run(queues.emptied(), handler.clone())
        });
        for ended in futures::future::join_all(running).await {
            ended?;
        }
        let numbers = |dies: bool| -> Vec<String> {
            let numbers = (0..each).filter(|number| poison.contains(number) == dies);
            numbers.map(|number| number.to_string()).collect()
        };
        let (dead, handled) = (queues.dead().await?, seen.all());
        if queues.context.backend.has(Quirk::LocksGroups) {
            return self.nothing_is_lost(&dead, &handled);
        }
        assert_eq!((dead.len(), handled.len()), (groups, groups));
        for group in dead.keys() {
            assert_eq!(dead[group], numbers(true), "{group}: dead");
            assert_eq!(handled[group], numbers(false), "{group}: handled");
        }
        // A failed message is retried in place for longer if no more messages can wait behind it.
        let most = if groups * each > 100 { usize::MAX } else { 9 };
        let (least, most) = self.limit.map_or((3, most), |limit| (limit as usize, limit as usize));
        for (group, failures) in failed.all() {
            let handlings = failures.len();
            ensure!(
                (least * poison.len()..=most.saturating_mul(poison.len())).contains(&handlings),
                "{group}: {handlings}"
            );
        }
        Ok(())
    }

    /// Checks that no message is lost. If the server locks a group while any of it is in flight, each failure costs the
    /// messages behind it a receive.
    fn nothing_is_lost(self, dead: &BTreeMap<String, Vec<String>>, handled: &BTreeMap<String, Vec<String>>) -> Outcome {
        for group in (0..self.groups).map(|group| format!("group-{group}")) {
            let numbers = [dead, handled].into_iter().filter_map(|numbers| numbers.get(&group));
            let numbers: BTreeSet<&String> = numbers.flatten().collect();
            assert_eq!(numbers.len(), self.each, "{group}");
        }
        Ok(())
    }
}

async fn one_poison_message_of_ten_dies_alone(c: Context) -> Outcome {
    Poisoned::new(1, 10, &[0]).run(c).await
}

async fn poison_in_the_middle_of_five_groups_dies_alone(c: Context) -> Outcome {
    Poisoned::new(5, 20, &[7]).run(c).await
}

/// More messages wait behind failed ones than may be buffered without slowing the polls.
async fn poison_of_many_groups_dies_alone(c: Context) -> Outcome {
    Poisoned::new(15, 10, &[0]).run(c).await
}

async fn several_poison_messages_of_a_group_die_alone(c: Context) -> Outcome {
    Poisoned::new(1, 10, &[0, 1, 5]).run(c).await
}

async fn poison_dies_alone_where_consumers_compete(c: Context) -> Outcome {
    let poisoned = Poisoned {
        consumers: 2,
        ..Poisoned::new(2, 10, &[2])
    };
    poisoned.run(c).await
}

async fn poison_dies_alone_at_the_consumers_own_limit(c: Context) -> Outcome {
    let poisoned = Poisoned {
        limit: Some(4),
        ..Poisoned::new(2, 10, &[0, 4])
    };
    poisoned.run(c).await
}

async fn poison_loses_nothing_where_groups_are_locked(c: Context) -> Outcome {
    Poisoned::new(2, 10, &[0, 4]).run(c).await
}

async fn order_is_kept_when_every_seventh_handling_fails(c: Context) -> Outcome {
    let queues = Queues::new(c).await?;
    let (groups, each) = (5, 40);
    send(&queues.context.client, &queues.queue, grouped(groups, each)).await?;
    let (begun, seen, calls) = (Seen::default(), Seen::default(), Arc::new(AtomicUsize::new(0)));
    let handler = {
        let (begun, seen) = (begun.clone(), seen.clone());
        move |delivery: Delivery| {
            let (begun, seen, calls) = (begun.clone(), seen.clone(), calls.clone());
            async move {
                begun.note(&group_of(&delivery), &delivery.message().body);
                if calls.fetch_add(1, Ordering::SeqCst) % 7 == 3 {
                    return Err(());
                }
                seen.note(&group_of(&delivery), &delivery.message().body);
                Ok(())
            }
        }
    };
    queues.consumer().run(queues.emptied(), handler).await?;
    let expected: Vec<_> = (0..each).map(|number| number.to_string()).collect();
    for (group, numbers) in seen.all() {
        assert_eq!(numbers, expected, "{group}");
    }
    for (group, numbers) in begun.all() {
        let numbers: Vec<usize> = numbers.iter().filter_map(|number| number.parse().ok()).collect();
        ensure!(numbers.is_sorted(), "{group}: {numbers:?}");
    }
    assert_eq!(queues.dead().await?, BTreeMap::new());
    Ok(())
}

async fn a_head_returned_by_its_handler_returns_alone(c: Context) -> Outcome {
    let queues = Queues::new(c).await?;
    send(&queues.context.client, &queues.queue, grouped(1, 10)).await?;
    let seen = Seen::default();
    let handler = {
        let seen = seen.clone();
        move |delivery: Delivery| {
            let seen = seen.clone();
            async move {
                let body = delivery.message().body.clone();
                seen.note(&body, &delivery.receive_count().to_string());
                if body == "0" && delivery.receive_count() < 3 {
                    return delivery.nack(Duration::ZERO).await.map_err(drop);
                }
                Ok(())
            }
        }
    };
    queues.consumer().run(queues.emptied(), handler).await?;
    for (body, receives) in seen.all() {
        let expected: &[&str] = if body == "0" { &["1", "2", "3"] } else { &["1"] };
        assert_eq!(receives, expected, "{body}");
    }
    assert_eq!(queues.dead().await?, BTreeMap::new());
    Ok(())
}

async fn a_restart_costs_each_prefetched_message_one_receive(c: Context) -> Outcome {
    let queues = Queues::new(c).await?;
    send(&queues.context.client, &queues.queue, grouped(1, 3)).await?;
    let begun = Arc::new(Notify::new());
    let shutdown = async {
        begun.notified().await;
        // By then the next poll is open.
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    let slow = {
        let begun = begun.clone();
        move |_: Delivery| {
            let begun = begun.clone();
            async move {
                begun.notify_one();
                tokio::time::sleep(Duration::from_secs(2)).await;
                Ok::<_, ()>(())
            }
        }
    };
    queues.consumer().run(shutdown, slow).await?;
    let seen = Seen::default();
    let handler = {
        let seen = seen.clone();
        move |delivery: Delivery| {
            seen.note(&delivery.message().body, &delivery.receive_count().to_string());
            async { Ok::<_, ()>(()) }
        }
    };
    queues.consumer().run(queues.emptied(), handler).await?;
    let seen: Vec<_> = seen.all().into_iter().collect();
    assert_eq!(seen, [("1".into(), vec!["2".into()]), ("2".into(), vec!["2".into()])]);
    Ok(())
}

fn messages_without_a_group_form_one_group() -> Outcome {
    let most = Arc::new(AtomicUsize::new(0));
    let seen_most = most.clone();
    let (log, _) = observe(async move {
        let server = sqs_tests::strict().start().await?;
        let client = server.client()?;
        let mut attributes = QueueAttributes::default();
        attributes.fifo_queue = Some(true);
        let queue = client.create_queue("q.fifo").attributes(attributes).await?.queue_url;
        // The server does not return the groups.
        let messages: Vec<_> = (0..8)
            .map(|number| format!(r#"{{"MessageId":"m{number}","ReceiptHandle":"r{number}","Body":"{number}"}}"#))
            .collect();
        let reply = Reply::new(200)
            .header("content-type", "application/x-amz-json-1.0")
            .body(&format!(r#"{{"Messages":[{}]}}"#, messages.join(",")));
        server
            .faults()
            .add(Fault::on(Action::ReceiveMessage, FaultKind::Reply(reply)).times(1));
        let (seen, at_once) = (Seen::default(), Arc::new(AtomicUsize::new(0)));
        let handler = {
            let seen = seen.clone();
            move |delivery: Delivery| {
                let (seen, at_once, most) = (seen.clone(), at_once.clone(), most.clone());
                async move {
                    most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    at_once.fetch_sub(1, Ordering::SeqCst);
                    seen.note(&delivery.message().body, "");
                    // The server does not know the message, so it cannot be deleted.
                    pending::<Result<(), ()>>().await
                }
            }
        };
        let first = async { until(|| seen.counts().1 >= 1).await.expect("one is handled") };
        let run = fast_consumer(&client, &queue)
            .shutdown_timeout(Duration::from_millis(500))
            .run(
                async {
                    first.await;
                    tokio::time::sleep(Duration::from_millis(300)).await;
                },
                handler,
            );
        run.await?;
        Ok(())
    })?;
    assert_eq!(seen_most.load(Ordering::SeqCst), 1, "handled at the same time");
    let warnings = log
        .lines()
        .filter(|line| line.contains("WARN") && line.contains("group"));
    assert_eq!(warnings.count(), 1, "warnings");
    Ok(())
}
