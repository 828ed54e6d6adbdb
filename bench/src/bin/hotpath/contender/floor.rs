use bench::by_hand::{ByHand, Entry, SendMessageBatch, SentBatch};
use bench::null_server::QUEUE_URL;
use serde::{Deserialize, Serialize};

use super::Contender;
use crate::workload::{Workload, entry_id};

/// The floor, written by hand.
pub(crate) struct Floor {
    by_hand: ByHand,
    bodies: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessage<'a> {
    queue_url: &'a str,
    message_body: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Sent {
    message_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MessageBody<'a> {
    message_body: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ReceiveMessage<'a> {
    queue_url: &'a str,
    max_number_of_messages: u8,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Received {
    messages: Vec<Message>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(dead_code)] // a program would read them
struct Message {
    message_id: String,
    receipt_handle: String,
    body: String,
}

impl Floor {
    pub(crate) fn new(address: &str, workload: Workload) -> anyhow::Result<Self> {
        Ok(Self {
            by_hand: ByHand::new(address)?,
            bodies: workload.bodies(),
        })
    }
}

impl Contender for Floor {
    async fn request(&self, workload: Workload) -> anyhow::Result<()> {
        match workload {
            Workload::Send => {
                let input = SendMessage {
                    queue_url: QUEUE_URL,
                    message_body: &self.bodies[0],
                };
                let sent: Sent = self.by_hand.call("AmazonSQS.SendMessage", &input).await?;
                anyhow::ensure!(!sent.message_id.is_empty());
            }
            Workload::Batch => {
                let entry = |(index, body)| Entry {
                    id: entry_id(index),
                    message: MessageBody { message_body: body },
                };
                let entries = self.bodies.iter().map(String::as_str).enumerate().map(entry).collect();
                let input = SendMessageBatch {
                    queue_url: QUEUE_URL,
                    entries,
                };
                let sent: SentBatch = self.by_hand.call("AmazonSQS.SendMessageBatch", &input).await?;
                anyhow::ensure!(sent.successful.len() == self.bodies.len());
            }
            Workload::Receive | Workload::ReceiveJson => {
                let input = ReceiveMessage {
                    queue_url: QUEUE_URL,
                    max_number_of_messages: 10,
                };
                let received: Received = self.by_hand.call("AmazonSQS.ReceiveMessage", &input).await?;
                anyhow::ensure!(received.messages.len() == self.bodies.len());
            }
        }
        Ok(())
    }
}
