//! The smallest program that sends, receives and deletes a message with aws-sdk-sqs.

use std::error::Error;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Config, Credentials, Region};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let queue = std::env::args()
        .nth(1)
        .ok_or("usage: footprint-aws-sdk-sqs QUEUE_URL")?;
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("AKIDEXAMPLE", "secret", None, None, "static"))
        .build();
    let client = Client::from_conf(config);
    client
        .send_message()
        .queue_url(&queue)
        .message_body("hello")
        .send()
        .await?;
    let received = client.receive_message().queue_url(&queue).send().await?;
    for message in received.messages() {
        let receipt_handle = message.receipt_handle().ok_or("the message has no receipt handle")?;
        client
            .delete_message()
            .queue_url(&queue)
            .receipt_handle(receipt_handle)
            .send()
            .await?;
    }
    Ok(())
}
