//! Permissions, which are statements of the queue's policy. They are stored but not enforced: every account may use
//! every queue.

use serde_json::{Value, json};

use super::nothing;
use crate::protocol::error::{Error, Result};
use crate::protocol::input::Input;
use crate::queue::{Queue, State};
use crate::service::Service;

pub(crate) fn add(service: &Service, input: &Input) -> Result<Value> {
    let queue = service.queue(input)?;
    let label = input.str("Label")?;
    let accounts = input.strings("AWSAccountIds");
    let actions = input.strings("Actions");
    if accounts.is_empty() {
        return Err(Error::missing("AWSAccountIds"));
    }
    if actions.is_empty() {
        return Err(Error::missing("Actions"));
    }
    let mut state = queue.lock(service.now());
    let mut policy = read(&queue, &state);
    let mut statements = take_statements(&mut policy);
    if statements.iter().any(|s| s["Sid"] == label) {
        return Err(Error::invalid_value(label, "Label", "Already exists."));
    }
    let principals = accounts.iter().map(|a| format!("arn:aws:iam::{a}:root"));
    statements.push(json!({
        "Sid": label,
        "Effect": "Allow",
        "Principal": {"AWS": one_or_many(principals.collect())},
        "Action": one_or_many(actions.iter().map(|a| format!("SQS:{a}")).collect()),
        "Resource": queue.arn,
    }));
    policy["Statement"] = statements.into();
    write(&mut state, &policy.to_string())
}

pub(crate) fn remove(service: &Service, input: &Input) -> Result<Value> {
    let queue = service.queue(input)?;
    let label = input.str("Label")?;
    let mut state = queue.lock(service.now());
    let mut policy = read(&queue, &state);
    let mut statements = take_statements(&mut policy);
    let before = statements.len();
    statements.retain(|s| s["Sid"] != label);
    if statements.len() == before {
        return Err(Error::invalid_value(label, "Label", "can't find label."));
    }
    if statements.is_empty() {
        return write(&mut state, "");
    }
    policy["Statement"] = statements.into();
    write(&mut state, &policy.to_string())
}

fn read(queue: &Queue, state: &State) -> Value {
    let policy = state.settings.get("Policy").and_then(|p| serde_json::from_str(p).ok());
    policy.unwrap_or_else(|| json!({"Version": "2008-10-17", "Id": format!("{}/SQSDefaultPolicy", queue.arn)}))
}

fn take_statements(policy: &mut Value) -> Vec<Value> {
    match policy["Statement"].take() {
        Value::Array(statements) => statements,
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

fn write(state: &mut State, policy: &str) -> Result<Value> {
    state.settings.set(&[("Policy".to_owned(), policy.to_owned())])?;
    Ok(nothing())
}

/// Returns a list of one as its item, as AWS does.
fn one_or_many(mut items: Vec<String>) -> Value {
    if items.len() == 1 {
        items.remove(0).into()
    } else {
        items.into()
    }
}
