use bench::null_server::{self, QUEUE_URL};
use sqs_client::Client;
use sqs_client::types::SendMessageBatchEntry;

use super::Contender;
use crate::workload::{Workload, entry_id};

/// sqs-client with default settings, which verify MD5s.
pub(crate) struct Ours {
    client: Client,
    bodies: Vec<String>,
}

impl Ours {
    pub(crate) fn new(address: &str, workload: Workload) -> anyhow::Result<Self> {
        Ok(Self {
            client: null_server::client(address)?,
            bodies: workload.bodies(),
        })
    }
}

impl Contender for Ours {
    async fn request(&self, workload: Workload) -> anyhow::Result<()> {
        match workload {
            Workload::Send => {
                let sent = self.client.send_message(QUEUE_URL, self.bodies[0].clone()).await?;
                anyhow::ensure!(!sent.message_id.is_empty());
            }
            Workload::Batch => {
                let entry = |(index, body): (usize, &String)| SendMessageBatchEntry::new(entry_id(index), body.clone());
                let entries = self.bodies.iter().enumerate().map(entry);
                let sent = self.client.send_message_batch(QUEUE_URL, entries).await?;
                anyhow::ensure!(sent.successful.len() == self.bodies.len());
            }
            Workload::Receive | Workload::ReceiveJson => {
                let received = self.client.receive_message(QUEUE_URL).max_messages(10).await?;
                anyhow::ensure!(received.messages.len() == self.bodies.len());
            }
        }
        Ok(())
    }
}
