use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{ACCESS_KEY_ID, Contender, REGION, SECRET_ACCESS_KEY};
use crate::workload::{QUEUE_URL, Workload, entry_id};

/// What a program needs that does without a client: reqwest, aws-sigv4, serde_json. No retries, no MD5.
pub(crate) struct Floor {
    http: reqwest::Client,
    address: String,
    credentials: Credentials,
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
struct SendMessageBatch<'a> {
    queue_url: &'a str,
    entries: Vec<Entry<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    id: String,
    message_body: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SentBatch {
    successful: Vec<SentEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(dead_code)] // for a program to read
struct SentEntry {
    id: String,
    message_id: String,
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
#[allow(dead_code)] // for a program to read
struct Message {
    message_id: String,
    receipt_handle: String,
    body: String,
}

impl Floor {
    pub(crate) fn new(address: &str, workload: Workload) -> anyhow::Result<Self> {
        Ok(Self {
            // This program's reqwest comes without a TLS of its own.
            http: sqs_client::http_client_builder()?.no_proxy().build()?,
            address: address.to_owned(),
            credentials: Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "static"),
            bodies: workload.bodies(),
        })
    }

    async fn call<O: DeserializeOwned>(&self, target: &'static str, input: &impl Serialize) -> anyhow::Result<O> {
        let request = self.signed(target, serde_json::to_vec(input)?)?;
        let response = self.http.execute(request.try_into()?).await?.error_for_status()?;
        Ok(serde_json::from_slice(&response.bytes().await?)?)
    }

    fn signed(&self, target: &'static str, body: Vec<u8>) -> anyhow::Result<http::Request<Vec<u8>>> {
        let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target)];
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(REGION)
            .name("sqs")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let signable = SignableRequest::new("POST", &self.address, headers.into_iter(), SignableBody::Bytes(&body))?;
        let (instructions, _) = sign(signable, &params)?.into_parts();
        let mut request = http::Request::post(&self.address);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut request = request.body(body)?;
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
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
                let sent: Sent = self.call("AmazonSQS.SendMessage", &input).await?;
                anyhow::ensure!(!sent.message_id.is_empty());
            }
            Workload::Batch => {
                let entry = |(index, body)| Entry {
                    id: entry_id(index),
                    message_body: body,
                };
                let entries = self.bodies.iter().map(String::as_str).enumerate().map(entry).collect();
                let input = SendMessageBatch {
                    queue_url: QUEUE_URL,
                    entries,
                };
                let sent: SentBatch = self.call("AmazonSQS.SendMessageBatch", &input).await?;
                anyhow::ensure!(sent.successful.len() == self.bodies.len());
            }
            Workload::Receive | Workload::ReceiveJson => {
                let input = ReceiveMessage {
                    queue_url: QUEUE_URL,
                    max_number_of_messages: 10,
                };
                let received: Received = self.call("AmazonSQS.ReceiveMessage", &input).await?;
                anyhow::ensure!(received.messages.len() == self.bodies.len());
            }
        }
        Ok(())
    }
}
