//! Tests a DynamoDB table that loses responses.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use anyhow::ensure;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use futures::FutureExt as _;
use libtest_mimic::Trial;
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, PutPayload};
use serde_json::{Value, json};
use sqs_extended::store::DynamoDbStore;

use crate::harness::{Harness, Outcome};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        harness.test(dynamodb_keeps_a_payload_that_may_be_published),
        harness.test(dynamodb_keeps_a_payload_whose_completion_was_dropped),
    ]
}

/// The response that the table loses to a write of a head item. The write takes effect.
#[derive(Clone, Copy, Debug)]
enum Loses {
    Nothing,
    /// The response is lost, because the connection breaks.
    Response,
    /// The response never arrives.
    Forever,
}

#[derive(Clone, Debug)]
struct Table {
    items: Arc<Mutex<BTreeMap<String, Value>>>,
    loses: Loses,
}

impl Table {
    fn new(loses: Loses) -> Self {
        Self {
            items: Arc::default(),
            loses,
        }
    }

    fn store(&self) -> DynamoDbStore {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url("http://127.0.0.1:1")
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("k", "s", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .http_client(self.clone());
        DynamoDbStore::new(aws_sdk_dynamodb::Client::from_conf(config.build()), "payloads")
    }

    /// Returns the same table without losses.
    fn repaired(&self) -> DynamoDbStore {
        let repaired = Self {
            loses: Loses::Nothing,
            ..self.clone()
        };
        repaired.store()
    }

    fn call(&self, action: &str, input: &Value) -> Value {
        let mut items = self.items.lock().expect("nobody panics here");
        let id = |key: &Value| format!("{} {}", key["id"]["S"], key["part"]["N"]);
        match action {
            "PutItem" => match items.insert(id(&input["Item"]), input["Item"].clone()) {
                Some(old) => json!({ "Attributes": old }),
                None => json!({}),
            },
            "GetItem" => match items.get(&id(&input["Key"])) {
                Some(item) => json!({ "Item": item }),
                None => json!({}),
            },
            "BatchWriteItem" => {
                for request in input["RequestItems"]["payloads"].as_array().into_iter().flatten() {
                    items.remove(&id(&request["DeleteRequest"]["Key"]));
                }
                json!({})
            }
            unknown => panic!("no action {unknown}"),
        }
    }
}

impl HttpClient for Table {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Table {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let action = target.rsplit('.').next().unwrap_or_default();
        let input: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default()).expect("JSON");
        let output = self.call(action, &input);
        let is_head = input["Item"]["id"]["S"].as_str().is_some_and(|id| id.starts_with("o/"));
        match self.loses {
            Loses::Response if is_head => {
                HttpConnectorFuture::ready(Err(ConnectorError::io("the connection is reset".into())))
            }
            Loses::Forever if is_head => HttpConnectorFuture::new(std::future::pending()),
            _ => {
                let status = 200.try_into().expect("a status");
                HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(output.to_string()))))
            }
        }
    }
}

fn content() -> PutPayload {
    vec![7; 500_000].into()
}

async fn is_whole(table: &Table, key: &Path, parts: usize) -> Outcome {
    let bytes = table.repaired().get(key).await?.bytes().await?;
    ensure!(bytes.len() == parts * 500_000, "{} bytes", bytes.len());
    Ok(())
}

async fn dynamodb_keeps_a_payload_that_may_be_published() -> Outcome {
    let table = Table::new(Loses::Response);
    let key = Path::from("p/parts");
    let mut upload = table.store().put_multipart(&key).await?;
    for _ in 0..2 {
        upload.put_part(content()).await?;
    }
    ensure!(upload.complete().await.is_err(), "its response is lost");
    upload.abort().await?;
    is_whole(&table, &key, 2).await?;

    let key = Path::from("p/whole");
    ensure!(
        table.store().put(&key, content()).await.is_err(),
        "the response was not lost"
    );
    is_whole(&table, &key, 1).await?;

    // What cannot be published is cleared.
    let table = Table::new(Loses::Nothing);
    let mut upload = table.store().put_multipart(&key).await?;
    upload.put_part(content()).await?;
    upload.abort().await?;
    ensure!(table.items.lock().expect("nobody panics here").is_empty());
    Ok(())
}

async fn dynamodb_keeps_a_payload_whose_completion_was_dropped() -> Outcome {
    let table = Table::new(Loses::Forever);
    let key = Path::from("p/k");
    let mut upload = table.store().put_multipart(&key).await?;
    upload.put_part(content()).await?;
    ensure!(upload.complete().now_or_never().is_none(), "it waits");
    upload.abort().await?;
    is_whole(&table, &key, 1).await
}
