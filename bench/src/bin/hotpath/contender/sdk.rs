use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;

use bench::null_server::{ACCESS_KEY_ID, QUEUE_URL, REGION, SECRET_ACCESS_KEY};

use super::Contender;
use crate::workload::{Workload, entry_id};

/// aws-sdk-sqs with default settings, which do not verify MD5s.
pub(crate) struct Sdk {
    client: Client,
    bodies: Vec<String>,
}

impl Sdk {
    pub(crate) fn new(address: &str, workload: Workload) -> Self {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(address)
            .credentials_provider(Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "static"))
            .build();
        Self {
            client: Client::from_conf(config),
            bodies: workload.bodies(),
        }
    }
}

impl Contender for Sdk {
    async fn request(&self, workload: Workload) -> anyhow::Result<()> {
        match workload {
            Workload::Send => {
                let body = self.bodies[0].clone();
                let sent = self
                    .client
                    .send_message()
                    .queue_url(QUEUE_URL)
                    .message_body(body)
                    .send()
                    .await?;
                anyhow::ensure!(sent.message_id().is_some());
            }
            Workload::Batch => {
                let entry = |(index, body): (usize, &String)| {
                    SendMessageBatchRequestEntry::builder()
                        .id(entry_id(index))
                        .message_body(body.clone())
                        .build()
                };
                let entries = self.bodies.iter().enumerate().map(entry).collect::<Result<_, _>>()?;
                let batch = self
                    .client
                    .send_message_batch()
                    .queue_url(QUEUE_URL)
                    .set_entries(Some(entries));
                anyhow::ensure!(batch.send().await?.successful().len() == self.bodies.len());
            }
            Workload::Receive | Workload::ReceiveJson => {
                let receive = self
                    .client
                    .receive_message()
                    .queue_url(QUEUE_URL)
                    .max_number_of_messages(10);
                anyhow::ensure!(receive.send().await?.messages().len() == self.bodies.len());
            }
        }
        Ok(())
    }
}
