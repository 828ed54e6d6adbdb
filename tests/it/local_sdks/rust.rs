//! The checks of [`sqs_tests::sdks`] with AWS's SDK for Rust, which needs no process of its own.

mod helpers;

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageAttributeValue,
    MessageSystemAttributeName as System, QueueAttributeName as Queue, SendMessageBatchRequestEntry,
};
use sqs_client::credentials::AwsConfigCredentials;
use sqs_tests::servers::Server;

use self::helpers::{one, system};
use crate::harness::{Outcome, unique};

/// Makes all checks, and returns their names.
pub fn run_against(server: &Server) -> impl Future<Output = Result<Vec<String>>> + use<> {
    let keys = Credentials::new(server.access_key(), server.secret_key(), None, None, "test");
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(server.endpoint())
        .region(Region::new(server.region().to_owned()))
        .credentials_provider(keys);
    async move {
        let config = config.http_client(AwsConfigCredentials::http_client()?).build();
        Sdk(Client::from_conf(config)).checks().await
    }
}

struct Sdk(Client);

/// Checks that a call is refused with this typed error.
macro_rules! refused {
    ($call:expr, $is:ident) => {{
        let error = $call.send().await.err().context(concat!("no ", stringify!($is)))?;
        let is = error.as_service_error().is_some_and(|error| error.$is());
        ensure!(is, "{error:?} instead of {}", stringify!($is));
    }};
}

impl Sdk {
    async fn checks(&self) -> Result<Vec<String>> {
        let mut made = Vec::new();
        macro_rules! check {
            ($($check:ident)*) => {$(
                let name = stringify!($check).replace('_', "-");
                self.$check().await.with_context(|| name.clone())?;
                made.push(name);
            )*};
        }
        check! {
            send_and_receive batches fifo_groups fifo_deduplication visibility long_poll dead_letters redrive purge tags
            attributes list_pages missing_queue refused_batches bad_receipt_handle
        }
        Ok(made)
    }

    async fn send_and_receive(&self) -> Outcome {
        let queue = self.create("", &[]).await?;
        let text = |data_type: &str, value: &str| {
            let value = MessageAttributeValue::builder()
                .data_type(data_type)
                .string_value(value);
            value.build()
        };
        let binary = MessageAttributeValue::builder().data_type("Binary");
        let attributes = HashMap::from([
            ("text".to_owned(), text("String", "grüße")?),
            ("number".to_owned(), text("Number.int", "42")?),
            ("binary".to_owned(), binary.binary_value(Blob::new([0, 255])).build()?),
        ]);
        let body = "<a> & \"b\"\r\n\u{1f600}";
        let send = self.0.send_message().queue_url(&queue).message_body(body);
        let sent = send.set_message_attributes(Some(attributes.clone())).send().await?;
        let receive = self
            .0
            .receive_message()
            .queue_url(&queue)
            .message_attribute_names("All");
        let received = receive.message_system_attribute_names(System::All).send().await?;
        let message = one(received.messages())?;
        ensure!(message.body() == Some(body) && message.message_id() == sent.message_id());
        ensure!(message.message_attributes() == Some(&attributes), "{message:?}");
        ensure!(message.md5_of_message_attributes() == sent.md5_of_message_attributes());
        ensure!(system(message, System::ApproximateReceiveCount)? == "1");
        for name in [
            System::SenderId,
            System::SentTimestamp,
            System::ApproximateFirstReceiveTimestamp,
        ] {
            system(message, name)?;
        }
        ensure!(self.bodies(&queue).await?.is_empty());
        self.delete(&queue, message).await?;
        for name in [
            Queue::ApproximateNumberOfMessages,
            Queue::ApproximateNumberOfMessagesNotVisible,
        ] {
            ensure!(self.attribute(&queue, name).await? == "0");
        }
        Ok(())
    }

    async fn batches(&self) -> Outcome {
        let queue = self.create("", &[]).await?;
        let entry = |n: usize| {
            let entry = SendMessageBatchRequestEntry::builder().id(format!("e{n}"));
            let entry = entry.message_body(format!("body {n}"));
            entry.set_delay_seconds((n == 3).then_some(901)).build()
        };
        let entries = (0..10).map(entry).collect::<Result<Vec<_>, _>>()?;
        let send = self.0.send_message_batch().queue_url(&queue);
        let sent = send.set_entries(Some(entries)).send().await?;
        ensure!(sent.successful().len() == 9);
        let failed = sent.failed().iter().map(|f| (f.id(), f.sender_fault(), f.code()));
        let failed: Vec<_> = failed.collect();
        ensure!(failed == [("e3", true, "InvalidParameterValue")], "{failed:?}");

        let receive = self.0.receive_message().queue_url(&queue).max_number_of_messages(10);
        let received = receive.send().await?.messages.unwrap_or_default();
        ensure!(received.len() == 9);
        let mut change = self.0.change_message_visibility_batch().queue_url(&queue);
        let mut delete = self.0.delete_message_batch().queue_url(&queue);
        for (n, message) in received.iter().enumerate() {
            let handle = message.receipt_handle().context("a receipt handle")?;
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(n.to_string());
            change = change.entries(entry.receipt_handle(handle).visibility_timeout(60).build()?);
            let entry = DeleteMessageBatchRequestEntry::builder().id(n.to_string());
            let handle = if n == 0 { "bad" } else { handle };
            delete = delete.entries(entry.receipt_handle(handle).build()?);
        }
        ensure!(change.send().await?.successful().len() == 9);
        let deleted = delete.send().await?;
        ensure!(deleted.successful().len() == 8);
        let failed: Vec<_> = deleted.failed().iter().map(|f| (f.id(), f.code())).collect();
        ensure!(failed == [("0", "ReceiptHandleIsInvalid")], "{failed:?}");
        Ok(())
    }

    async fn fifo_groups(&self) -> Outcome {
        let queue = self.create(".fifo", &[(Queue::FifoQueue, "true")]).await?;
        let mut numbers = Vec::new();
        for (body, group) in [("a1", "a"), ("b1", "b"), ("a2", "a")] {
            let send = self.0.send_message().queue_url(&queue).message_body(body);
            let sent = send
                .message_group_id(group)
                .message_deduplication_id(body)
                .send()
                .await?;
            numbers.push(sent.sequence_number.context("a sequence number")?.parse::<u128>()?);
        }
        ensure!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        let receive = self.0.receive_message().queue_url(&queue);
        let received = receive.message_system_attribute_names(System::All).send().await?;
        let first = one(received.messages())?;
        ensure!(first.body() == Some("a1") && system(first, System::MessageGroupId)? == "a");
        ensure!(system(first, System::MessageDeduplicationId)? == "a1");
        ensure!(system(first, System::SequenceNumber)?.parse() == Ok(numbers[0]));
        // Its group is blocked until it is deleted.
        ensure!(self.bodies(&queue).await? == ["b1"]);
        self.delete(&queue, first).await?;
        ensure!(self.bodies(&queue).await? == ["a2"]);
        Ok(())
    }

    async fn fifo_deduplication(&self) -> Outcome {
        let attributes = [(Queue::FifoQueue, "true"), (Queue::ContentBasedDeduplication, "true")];
        let queue = self.create(".fifo", &attributes).await?;
        let mut ids = Vec::new();
        for (body, id) in [
            ("same", None),
            ("same", None),
            ("other", Some("id")),
            ("ignored", Some("id")),
        ] {
            let send = self
                .0
                .send_message()
                .queue_url(&queue)
                .message_body(body)
                .message_group_id("g");
            let send = send.set_message_deduplication_id(id.map(str::to_owned));
            ids.push(send.send().await?.message_id);
        }
        ensure!(ids[0] == ids[1] && ids[2] == ids[3] && ids[0] != ids[2], "{ids:?}");
        ensure!(self.bodies(&queue).await? == ["same", "other"]);
        Ok(())
    }

    async fn visibility(&self) -> Outcome {
        let queue = self.create("", &[(Queue::VisibilityTimeout, "600")]).await?;
        self.send(&queue, "again").await?;
        let received = self.0.receive_message().queue_url(&queue).send().await?;
        let handle = one(received.messages())?.receipt_handle().context("a receipt handle")?;
        let change = self
            .0
            .change_message_visibility()
            .queue_url(&queue)
            .receipt_handle(handle);
        change.visibility_timeout(1).send().await?;
        ensure!(self.bodies(&queue).await?.is_empty());
        let receive = self.0.receive_message().queue_url(&queue).wait_time_seconds(5);
        let receive = receive.message_system_attribute_names(System::ApproximateReceiveCount);
        let received = receive.send().await?;
        let attributes = one(received.messages())?.attributes();
        ensure!(attributes == Some(&HashMap::from([(System::ApproximateReceiveCount, "2".to_owned())])));
        Ok(())
    }

    async fn long_poll(&self) -> Outcome {
        let queue = self.create("", &[]).await?;
        let poll = self.0.receive_message().queue_url(&queue).wait_time_seconds(10).send();
        let send = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            self.send(&queue, "late").await
        };
        let (received, sent) = tokio::join!(poll, send);
        sent?;
        ensure!(one(received?.messages())?.body() == Some("late"));
        Ok(())
    }

    async fn dead_letters(&self) -> Outcome {
        let (source, dead) = self.with_dead_letters().await?;
        let receive = self.0.receive_message().queue_url(&dead);
        let received = receive.message_system_attribute_names(System::All).send().await?;
        let message = one(received.messages())?;
        ensure!(message.body() == Some("poison"));
        ensure!(system(message, System::DeadLetterQueueSourceArn)? == self.arn(&source).await?);
        let sources = self.0.list_dead_letter_source_queues().queue_url(&dead).send().await?;
        ensure!(sources.queue_urls() == [source]);
        Ok(())
    }

    async fn redrive(&self) -> Outcome {
        let (source, dead) = self.with_dead_letters().await?;
        let arn = self.arn(&dead).await?;
        let start = self.0.start_message_move_task().source_arn(&arn);
        let started = start.max_number_of_messages_per_second(100).send().await?;
        ensure!(started.task_handle().is_some_and(|handle| !handle.is_empty()));
        let mut task = None;
        for _ in 0..100 {
            let tasks = self.0.list_message_move_tasks().source_arn(&arn).send().await?.results;
            task = tasks.and_then(|tasks| tasks.into_iter().next());
            if task.as_ref().is_some_and(|task| task.status() != Some("RUNNING")) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let task = task.context("a task")?;
        ensure!(task.status() == Some("COMPLETED") && task.approximate_number_of_messages_moved() == 1);
        ensure!(task.source_arn() == Some(&*arn) && task.max_number_of_messages_per_second() == Some(100));
        ensure!(task.started_timestamp() > 1_700_000_000_000, "{task:?}");
        ensure!(self.bodies(&source).await? == ["poison"]);
        let start = self.0.start_message_move_task().source_arn(arn + "x");
        refused!(start, is_resource_not_found_exception);
        Ok(())
    }

    async fn purge(&self) -> Outcome {
        let queue = self.create("", &[]).await?;
        self.send(&queue, "gone").await?;
        self.0.purge_queue().queue_url(&queue).send().await?;
        ensure!(self.bodies(&queue).await?.is_empty());
        refused!(self.0.purge_queue().queue_url(&queue), is_purge_queue_in_progress);
        Ok(())
    }

    async fn tags(&self) -> Outcome {
        let queue = self.create("", &[]).await?;
        let listed = || async { Ok::<_, anyhow::Error>(self.0.list_queue_tags().queue_url(&queue).send().await?.tags) };
        ensure!(listed().await?.unwrap_or_default().is_empty());
        let tag = self.0.tag_queue().queue_url(&queue);
        tag.tags("stage", "test").tags("team", "a @ b").send().await?;
        self.0.untag_queue().queue_url(&queue).tag_keys("stage").send().await?;
        ensure!(listed().await? == Some(HashMap::from([("team".to_owned(), "a @ b".to_owned())])));
        Ok(())
    }

    async fn attributes(&self) -> Outcome {
        let queue = self.create("", &[(Queue::VisibilityTimeout, "7")]).await?;
        let set = || self.0.set_queue_attributes().queue_url(&queue);
        set().attributes(Queue::DelaySeconds, "3").send().await?;
        ensure!(self.attribute(&queue, Queue::VisibilityTimeout).await? == "7");
        ensure!(self.attribute(&queue, Queue::DelaySeconds).await? == "3");
        let name = queue.rsplit('/').next().context("a name")?;
        let found = self.0.get_queue_url().queue_name(name).send().await?;
        ensure!(found.queue_url() == Some(&*queue));
        refused!(
            set().attributes(Queue::from("Colour"), "blue"),
            is_invalid_attribute_name
        );
        let create = self.0.create_queue().queue_name(name);
        refused!(create.attributes(Queue::VisibilityTimeout, "8"), is_queue_name_exists);
        Ok(())
    }

    async fn list_pages(&self) -> Outcome {
        let prefix = unique("rust-pages-");
        let mut queues = Vec::new();
        for n in 0..5 {
            let created = self.0.create_queue().queue_name(format!("{prefix}-{n}")).send().await?;
            queues.push(created.queue_url.context("a URL")?);
        }
        let list = self.0.list_queues().queue_name_prefix(&prefix);
        let mut pages = list.clone().into_paginator().page_size(2).send();
        let (mut lengths, mut found) = (Vec::new(), Vec::new());
        while let Some(page) = pages.next().await {
            let urls = page?.queue_urls.unwrap_or_default();
            lengths.push(urls.len());
            found.extend(urls);
        }
        found.sort();
        ensure!(
            lengths == [2, 2, 1] && found == queues,
            "{found:?} in pages of {lengths:?}"
        );
        for queue in queues {
            self.0.delete_queue().queue_url(queue).send().await?;
        }
        ensure!(list.send().await?.queue_urls().is_empty());
        Ok(())
    }

    async fn missing_queue(&self) -> Outcome {
        let queue = self.create("", &[]).await?;
        self.0.delete_queue().queue_url(&queue).send().await?;
        let send = self.0.send_message().queue_url(&queue).message_body("lost");
        refused!(send, is_queue_does_not_exist);
        refused!(self.0.receive_message().queue_url(&queue), is_queue_does_not_exist);
        refused!(
            self.0.get_queue_url().queue_name("no-such-queue"),
            is_queue_does_not_exist
        );
        Ok(())
    }

    async fn refused_batches(&self) -> Outcome {
        let queue = self.create("", &[]).await?;
        let send = |length: usize, body: &str, id: fn(usize) -> String| {
            let entry = |n| {
                SendMessageBatchRequestEntry::builder()
                    .id(id(n))
                    .message_body(body)
                    .build()
            };
            let entries = (0..length).map(entry).collect::<Result<Vec<_>, _>>()?;
            let send = self.0.send_message_batch().queue_url(&queue);
            Ok::<_, anyhow::Error>(send.set_entries(Some(entries)))
        };
        let number = |n: usize| n.to_string();
        refused!(send(6, &"x".repeat(200_000), number)?, is_batch_request_too_long);
        refused!(send(11, "x", number)?, is_too_many_entries_in_batch_request);
        refused!(send(2, "x", |_| "same".to_owned())?, is_batch_entry_ids_not_distinct);
        refused!(send(0, "", number)?, is_empty_batch_request);
        Ok(())
    }

    async fn bad_receipt_handle(&self) -> Outcome {
        let queue = self.create("", &[]).await?;
        let delete = self.0.delete_message().queue_url(&queue).receipt_handle("not a handle");
        refused!(delete, is_receipt_handle_is_invalid);
        Ok(())
    }
}
