//! Error codes, messages and values as AWS's responses have them.

mod messages;
mod moves;
mod queues;

use super::*;

/// A refused request: its status, its code in the Query protocol, and its message.
#[derive(Debug, PartialEq, Eq)]
struct Refusal(u16, String, String);

fn refusal(status: u16, code: &str, message: &str) -> Refusal {
    Refusal(status, code.to_owned(), message.to_owned())
}

fn invalid(message: &str) -> Refusal {
    refusal(400, "InvalidParameterValue", message)
}

fn invalid_value(value: &str, parameter: &str, reason: &str) -> Refusal {
    invalid(&format!(
        "Value {value} for parameter {parameter} is invalid. Reason: {reason}"
    ))
}

/// Sends a request that must fail.
async fn refuse(client: &mut Client, action: &str, input: Value) -> Refusal {
    let response = client.json(action, input).await;
    let code = response.header("x-amzn-query-error").replace(";Sender", "");
    let message = response.json()["message"].as_str().unwrap_or_default().to_owned();
    Refusal(response.status, code, message)
}

fn redrive_policy(server: &LocalSqs, target: &str) -> String {
    json!({"deadLetterTargetArn": server.queue_arn(target), "maxReceiveCount": 1}).to_string()
}

/// Creates the queue `dead` and the queue `orders` that sends its dead letters there. Returns the URL of `dead`.
async fn create_dead_letter_queue(server: &LocalSqs, client: &mut Client) -> String {
    let dead = create(client, "dead", json!({})).await;
    let policy = redrive_policy(server, "dead");
    create(client, "orders", json!({"RedrivePolicy": policy})).await;
    dead
}
