//! Helpers that several checks share.

use anyhow::{Context as _, Result, ensure};
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName as System, QueueAttributeName as Queue};

use super::Sdk;
use crate::harness::{Outcome, unique};

impl Sdk {
    /// Returns a queue and its dead-letter queue, to which one message was moved.
    pub(super) async fn with_dead_letters(&self) -> Result<(String, String)> {
        let dead = self.create("", &[]).await?;
        let arn = self.arn(&dead).await?;
        let policy = serde_json::json!({"deadLetterTargetArn": arn, "maxReceiveCount": 2}).to_string();
        let attributes = [(Queue::VisibilityTimeout, "0"), (Queue::RedrivePolicy, &*policy)];
        let source = self.create("", &attributes).await?;
        self.send(&source, "poison").await?;
        for _ in 0..2 {
            ensure!(self.bodies(&source).await? == ["poison"]);
        }
        ensure!(self.bodies(&source).await?.is_empty());
        Ok((source, dead))
    }

    pub(super) async fn create(&self, suffix: &str, attributes: &[(Queue, &str)]) -> Result<String> {
        let mut create = self.0.create_queue().queue_name(unique("rust") + suffix);
        for (name, value) in attributes {
            create = create.attributes(name.clone(), *value);
        }
        create.send().await?.queue_url.context("a URL")
    }

    pub(super) async fn send(&self, queue: &str, body: &str) -> Outcome {
        self.0.send_message().queue_url(queue).message_body(body).send().await?;
        Ok(())
    }

    pub(super) async fn bodies(&self, queue: &str) -> Result<Vec<String>> {
        let receive = self.0.receive_message().queue_url(queue).max_number_of_messages(10);
        let messages = receive.send().await?.messages.unwrap_or_default();
        Ok(messages.into_iter().filter_map(|message| message.body).collect())
    }

    pub(super) async fn delete(&self, queue: &str, message: &Message) -> Outcome {
        let handle = message.receipt_handle().context("a receipt handle")?;
        self.0
            .delete_message()
            .queue_url(queue)
            .receipt_handle(handle)
            .send()
            .await?;
        Ok(())
    }

    pub(super) async fn attribute(&self, queue: &str, name: Queue) -> Result<String> {
        let get = self
            .0
            .get_queue_attributes()
            .queue_url(queue)
            .attribute_names(name.clone());
        let mut attributes = get.send().await?.attributes.unwrap_or_default();
        attributes.remove(&name).with_context(|| format!("no attribute {name}"))
    }

    pub(super) async fn arn(&self, queue: &str) -> Result<String> {
        self.attribute(queue, Queue::QueueArn).await
    }
}

pub(super) fn one(messages: &[Message]) -> Result<&Message> {
    ensure!(messages.len() == 1, "{} messages", messages.len());
    Ok(&messages[0])
}

pub(super) fn system(message: &Message, name: System) -> Result<&str> {
    let value = message.attributes().and_then(|attributes| attributes.get(&name));
    value.map(String::as_str).with_context(|| format!("no {name}"))
}
