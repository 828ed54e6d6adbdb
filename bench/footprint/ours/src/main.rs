//! The smallest program that sends, receives and deletes a message with sqs-client.

use std::error::Error;

use sqs_client::{Client, Credentials};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let queue = std::env::args().nth(1).ok_or("usage: footprint-ours QUEUE_URL")?;
    let client = Client::builder()
        .region("us-east-1")
        .credentials(Credentials::new("AKIDEXAMPLE", "secret"))
        .build()?;
    client.send_message(&queue, "hello").await?;
    for message in client.receive_message(&queue).await?.messages {
        client.delete_message(&queue, &message.receipt_handle).await?;
    }
    Ok(())
}
