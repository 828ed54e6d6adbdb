//! Permissions, which are statements of the queue's policy. They are stored but not enforced: every account may use
//! every queue.

use serde_json::{Value, json};

use super::nothing;
use crate::protocol::error::{self, Error, Result};
use crate::protocol::input::Input;
use crate::queue::policy::MAX_STATEMENTS;
use crate::queue::{Queue, State};
use crate::service::Service;

const MAX_ACTIONS: usize = 7;

/// The actions that a policy may name.
const GRANTABLE: [&str; 9] = [
    "*",
    "ChangeMessageVisibility",
    "DeleteMessage",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "PurgeQueue",
    "ReceiveMessage",
    "SendMessage",
];

/// The actions to which cross-account permissions do not apply.
const OWNER_ONLY: [&str; 12] = [
    "AddPermission",
    "CancelMessageMoveTask",
    "CreateQueue",
    "DeleteQueue",
    "ListMessageMoveTasks",
    "ListQueueTags",
    "ListQueues",
    "RemovePermission",
    "SetQueueAttributes",
    "StartMessageMoveTask",
    "TagQueue",
    "UntagQueue",
];

pub(crate) fn add(service: &Service, input: &Input) -> Result<Value> {
    let queue = service.queue(input)?;
    let label = input.str("Label")?;
    let accounts = input.strings("AWSAccountIds");
    let actions = input.strings("Actions");
    check_label(label)?;
    check_actions(&actions)?;
    check_accounts(&accounts)?;
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
    if statements.len() > MAX_STATEMENTS {
        let count = statements.len();
        let message = format!("{count} Statements were found, maximum allowed is {MAX_STATEMENTS}.");
        return Err(Error::new(&error::OVER_LIMIT, message));
    }
    policy["Statement"] = statements.into();
    write(&mut state, &policy.to_string())
}

fn check_label(label: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if label.len() <= 80 && label.chars().all(allowed) {
        return Ok(());
    }
    let reason = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length.";
    Err(Error::invalid_value(label, "Label", reason))
}

fn check_actions(actions: &[String]) -> Result<()> {
    if actions.is_empty() {
        return Err(Error::missing("Actions"));
    }
    if actions.len() > MAX_ACTIONS {
        let count = actions.len();
        let message = format!("{count} Actions were found, maximum allowed is {MAX_ACTIONS}.");
        return Err(Error::new(&error::OVER_LIMIT, message));
    }
    let Some(bad) = actions.iter().find(|action| !GRANTABLE.contains(&action.as_str())) else {
        return Ok(());
    };
    let reason = if OWNER_ONLY.contains(&bad.as_str()) {
        "Only the queue owner is allowed to invoke this action."
    } else {
        "Please refer to the appropriate WSDL for a list of valid actions."
    };
    Err(Error::invalid_value(format!("SQS:{bad}"), "ActionName", reason))
}

fn check_accounts(accounts: &[String]) -> Result<()> {
    if accounts.is_empty() {
        return Err(Error::missing("AWSAccountIds"));
    }
    let is_id = |account: &String| account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    if accounts.iter().all(is_id) {
        return Ok(());
    }
    let shown = format!("[{}]", accounts.join(", "));
    Err(Error::invalid_value(shown, "PrincipalId", "Unable to verify."))
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
