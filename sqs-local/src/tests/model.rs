//! Compares the schema and the table of errors with AWS's service model, if the model is available.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::protocol::error::MODELED;
use crate::protocol::schema::{Action, Kind, Member};

const NAMESPACE: &str = "com.amazonaws.sqs#";

/// Returns the model's shapes. If there is no model file, prints that and returns `None`.
fn shapes() -> Option<Value> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors").to_owned();
    let folder = std::env::var("SQS_TEST_VECTORS").unwrap_or(default);
    let Ok(text) = std::fs::read_to_string(format!("{folder}/sqs-smithy-model.json")) else {
        eprintln!("skipped: no sqs-smithy-model.json in {folder} (SQS_TEST_VECTORS)");
        return None;
    };
    let mut model: Value = serde_json::from_str(&text).expect("JSON");
    Some(model["shapes"].take())
}

#[test]
fn every_action_has_the_members_of_the_model() {
    let Some(shapes) = shapes() else { return };
    let operations = shapes
        .as_object()
        .expect("a map")
        .values()
        .filter(|s| s["type"] == "operation");
    assert_eq!(operations.count(), Action::ALL.len());
    for action in Action::ALL {
        let operation = &shapes[format!("{NAMESPACE}{action}")];
        for (side, members) in [("input", action.shape().input), ("output", action.shape().output)] {
            let target = operation[side]["target"].as_str().expect("a name");
            assert_eq!(ours(members), theirs(&shapes, target), "{side} of {action}");
        }
    }
}

#[test]
fn errors_have_the_codes_of_the_model() {
    let Some(shapes) = shapes() else { return };
    for code in MODELED {
        let shape = &shapes[format!("{NAMESPACE}{}", code.json)];
        assert_eq!(shape["type"], "structure", "{}", code.json);
        let query = &shape["traits"]["aws.protocols#awsQueryError"];
        assert_eq!(code.query, query["code"].as_str().unwrap_or(code.json));
        assert_eq!(
            u64::from(code.status),
            query["httpResponseCode"].as_u64().unwrap_or(400)
        );
    }
}

/// Returns members as text: their names, types and Query names.
fn ours(members: &[Member]) -> BTreeSet<String> {
    let one = |m: &Member| match &m.kind {
        // This list has the other's name in Query; see the schema.
        Kind::List("MessageSystemAttributeName", of) => format!("{} [AttributeName {}]", m.name, our_kind(of)),
        kind => format!("{} {}", m.name, our_kind(kind)),
    };
    members.iter().map(one).collect()
}

fn our_kind(kind: &Kind) -> String {
    match kind {
        Kind::Str => "string".into(),
        Kind::Int => "int".into(),
        Kind::Bool => "boolean".into(),
        Kind::Blob => "blob".into(),
        Kind::List(entry, of) => format!("[{entry} {}]", our_kind(of)),
        Kind::Map { entry, key, value, of } => format!("{{{entry} {key} {value} {}}}", our_kind(of)),
        Kind::Struct(members) => format!("{:?}", ours(members)),
    }
}

fn theirs(shapes: &Value, target: &str) -> BTreeSet<String> {
    let members = shapes[target]["members"].as_object();
    let one = |(name, member): (&String, &Value)| format!("{name} {}", their_kind(shapes, member));
    members.into_iter().flatten().map(one).collect()
}

fn their_kind(shapes: &Value, member: &Value) -> String {
    let target = member["target"].as_str().expect("a name");
    let shape = &shapes[target];
    let entry = &member["traits"]["smithy.api#xmlName"];
    let entry = entry.as_str().unwrap_or_default();
    let name = |part: &str| shape[part]["traits"]["smithy.api#xmlName"].as_str().unwrap_or_default();
    match shape["type"].as_str().expect("a type") {
        "string" | "enum" => "string".into(),
        "integer" | "long" => "int".into(),
        "list" => format!("[{entry} {}]", their_kind(shapes, &shape["member"])),
        "map" => {
            let of = their_kind(shapes, &shape["value"]);
            format!("{{{entry} {} {} {of}}}", name("key"), name("value"))
        }
        "structure" => format!("{:?}", theirs(shapes, target)),
        other => other.into(),
    }
}
