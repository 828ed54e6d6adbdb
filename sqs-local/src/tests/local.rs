//! A server without sockets, whose actions a test calls directly.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::faults::Effects;
use crate::http::gateway::Gateway;
use crate::protocol::error::Result;
use crate::protocol::input::Input;
use crate::{Action, Builder};

#[derive(Clone)]
pub(super) struct Local(pub(super) Arc<Gateway>);

impl Local {
    pub(super) fn new() -> Self {
        Self(Builder::default().gateway("http://sqs.test"))
    }

    pub(super) fn with_limits(standard: usize, fifo: usize) -> Self {
        Self(
            Builder::default()
                .in_flight_limits(standard, fifo)
                .gateway("http://sqs.test"),
        )
    }

    async fn call(&self, action: Action, input: Value) -> Result<Value> {
        self.0
            .actions
            .perform(&self.0.service, action, Input::new(input)?, &Effects::default())
            .await
    }

    /// Creates a queue. The name tells whether it is a FIFO queue.
    pub(super) async fn create(&self, name: &str, mut attributes: Value) -> Queue {
        if name.ends_with(".fifo") {
            attributes["FifoQueue"] = "true".into();
            attributes["ContentBasedDeduplication"] = "true".into();
        }
        let input = json!({"QueueName": name, "Attributes": attributes});
        let created = self.call(Action::CreateQueue, input).await.expect("a queue");
        Queue {
            local: self.clone(),
            url: created["QueueUrl"].clone(),
        }
    }
}

/// A queue of a [`Local`] server.
#[derive(Clone)]
pub(super) struct Queue {
    local: Local,
    url: Value,
}

impl Queue {
    pub(super) async fn call(&self, action: Action, mut input: Value) -> Result<Value> {
        input["QueueUrl"] = self.url.clone();
        self.local.call(action, input).await
    }

    /// Sends messages in order. The group is the body's first character.
    pub(super) async fn send(&self, bodies: &[&str]) {
        for body in bodies {
            let input = json!({"MessageBody": body, "MessageGroupId": body[..1]});
            self.call(Action::SendMessage, input).await.expect("sent");
        }
    }

    pub(super) async fn try_receive(&self, input: Value) -> Result<Vec<Value>> {
        let received = self.call(Action::ReceiveMessage, input).await?;
        Ok(received["Messages"].as_array().cloned().unwrap_or_default())
    }

    pub(super) async fn receive(&self, input: Value) -> Vec<Value> {
        self.try_receive(input).await.expect("received")
    }

    /// Receives up to `max` messages with the queue's settings, and returns their bodies.
    pub(super) async fn bodies(&self, max: usize) -> Vec<String> {
        bodies(&self.receive(json!({"MaxNumberOfMessages": max})).await)
    }

    pub(super) async fn delete(&self, message: &Value) -> Result<Value> {
        let input = json!({"ReceiptHandle": message["ReceiptHandle"]});
        self.call(Action::DeleteMessage, input).await
    }

    pub(super) async fn change(&self, message: &Value, seconds: u64) -> Result<Value> {
        let input = json!({"ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": seconds});
        self.call(Action::ChangeMessageVisibility, input).await
    }

    /// Starts a receive that waits for up to 20 seconds.
    pub(super) fn poll(&self) -> tokio::task::JoinHandle<(Vec<String>, Duration)> {
        let queue = self.clone();
        tokio::spawn(async move {
            let begun = Instant::now();
            let received = queue.receive(json!({"WaitTimeSeconds": 20})).await;
            (bodies(&received), begun.elapsed())
        })
    }
}

pub(super) fn bodies(messages: &[Value]) -> Vec<String> {
    let bodies = messages.iter().map(|message| message["Body"].as_str());
    bodies.map(|body| body.expect("a body").to_owned()).collect()
}
