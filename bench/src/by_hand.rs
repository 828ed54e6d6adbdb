//! The least code that talks to SQS without a client library: reqwest, aws-sigv4 and serde_json, without retries or
//! MD5s.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::null_server::{ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY};

/// Sends signed requests, written by hand.
pub struct ByHand {
    http: reqwest::Client,
    address: String,
    credentials: Credentials,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SendMessageBatch<'a, M> {
    pub queue_url: &'a str,
    pub entries: Vec<Entry<M>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Entry<M> {
    pub id: String,
    #[serde(flatten)]
    pub message: M,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SentBatch {
    pub successful: Vec<SentEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SentEntry {
    pub id: String,
    pub message_id: String,
}

impl ByHand {
    /// Creates a sender for the server at `address`.
    ///
    /// # Errors
    ///
    /// Returns an error if the HTTP client cannot be built.
    pub fn new(address: &str) -> anyhow::Result<Self> {
        Ok(Self {
            // This workspace builds reqwest without TLS. The client's builder adds it.
            http: sqs_client::client::http_client_builder()?.no_proxy().build()?,
            address: address.to_owned(),
            credentials: Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "static"),
        })
    }

    /// Sends one request to a target such as `AmazonSQS.SendMessage`.
    ///
    /// # Errors
    ///
    /// Returns an error if the request fails.
    pub async fn call<O: DeserializeOwned>(&self, target: &'static str, input: &impl Serialize) -> anyhow::Result<O> {
        let request = self.signed(target, serde_json::to_vec(input)?)?;
        let response = self.http.execute(request.try_into()?).await?.error_for_status()?;
        Ok(serde_json::from_slice(&response.bytes().await?)?)
    }

    #[expect(clippy::disallowed_methods, reason = "a hand-written program has no injected clock")]
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
