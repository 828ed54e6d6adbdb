//! Tests against AWS's service model, which is optional test data.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde_json::Value;

use crate::protocol::names::{Collection, collection, is_literal, response_collections};
use crate::protocol::tests::recorded::{WireError, reads_alike_in_both_protocols};
use crate::vectors::json_vector;

const NAMESPACE: &str = "com.amazonaws.sqs#";

/// Returns the shapes of the model.
pub(super) fn shapes() -> Option<&'static Value> {
    static SHAPES: OnceLock<Option<Value>> = OnceLock::new();
    let read = || Some(json_vector("sqs-smithy-model.json")?["shapes"].take());
    SHAPES.get_or_init(read).as_ref()
}

/// Returns the Query protocol's name of a member, or of a map's key or value.
fn xml_name(member: &Value) -> &str {
    member["traits"]["smithy.api#xmlName"].as_str().unwrap_or_default()
}

/// Returns the members of a structure with their shapes.
fn members<'a>(shapes: &'a Value, structure: &Value) -> impl Iterator<Item = (&'a String, &'a Value, &'a Value)> {
    let target = structure.as_str().unwrap();
    let members = shapes[target]["members"].as_object().into_iter().flatten();
    members.map(|(name, member)| (name, member, &shapes[member["target"].as_str().unwrap()]))
}

#[test]
fn lists_and_maps_have_the_names_of_the_model() {
    let Some(shapes) = shapes() else { return };
    let operations = shapes.as_object().unwrap().iter();
    let operations = operations.filter(|(_, shape)| shape["type"] == "operation");
    let mut checked = 0;
    for (name, operation) in operations {
        let action: &'static str = name.strip_prefix(NAMESPACE).unwrap();
        for side in ["input", "output"] {
            checked += check_names(shapes, action, &operation[side]["target"]);
        }
    }
    assert!(checked > 100, "{checked} members");
}

/// Checks the structure's members at any depth and returns their number.
fn check_names(shapes: &Value, action: &'static str, structure: &Value) -> usize {
    let mut checked = 0;
    for (name, member, shape) in members(shapes, structure) {
        // SQS documents them as "Not implemented. Reserved for future use."
        if ["StringListValues", "BinaryListValues"].contains(&name.as_str()) {
            continue;
        }
        checked += 1;
        let found = collection(name);
        let flattened = !member["traits"]["smithy.api#xmlFlattened"].is_null();
        let inner = match (shape["type"].as_str().unwrap_or_default(), found) {
            ("list", Some(Collection::List(element))) => {
                assert!(
                    flattened && element.name(action) == xml_name(member),
                    "{action}: {name}"
                );
                &shape["member"]["target"]
            }
            ("map", Some(Collection::Map { element, key, value })) => {
                assert!(
                    flattened && element.name(action) == xml_name(member),
                    "{action}: {name}"
                );
                assert_eq!((key, value), (xml_name(&shape["key"]), xml_name(&shape["value"])));
                &shape["value"]["target"]
            }
            ("list" | "map", found) => panic!("{action}: {name} is {found:?}"),
            (_, found) => {
                assert!(found.is_none() && xml_name(member).is_empty(), "{action}: {name}");
                &member["target"]
            }
        };
        checked += check_names(shapes, action, inner);
    }
    checked
}

#[test]
fn collections_and_literals_of_responses_are_those_of_the_model() {
    let Some(shapes) = shapes() else { return };
    for (name, operation) in shapes.as_object().unwrap() {
        if operation["type"] == "operation" {
            let action = name.strip_prefix(NAMESPACE).unwrap();
            let mut collections = BTreeSet::new();
            check_response(shapes, &operation["output"]["target"], &mut collections);
            let expected = response_collections(action).iter().copied().collect();
            assert_eq!(collections, expected, "{action}");
        }
    }
}

fn check_response<'a>(shapes: &'a Value, structure: &Value, collections: &mut BTreeSet<&'a str>) {
    for (name, member, shape) in members(shapes, structure) {
        if ["StringListValues", "BinaryListValues"].contains(&name.as_str()) {
            continue;
        }
        let kind = shape["type"].as_str().unwrap_or_default();
        let literal = ["boolean", "integer", "long"].contains(&kind);
        assert_eq!(is_literal(name), literal, "{name} is of type {kind}");
        let inner = match kind {
            "list" => &shape["member"]["target"],
            "map" => &shape["value"]["target"],
            _ => &member["target"],
        };
        if ["list", "map"].contains(&kind) {
            collections.insert(name);
        }
        check_response(shapes, inner, collections);
    }
}

/// Checks that the input has every member of the action and of its entries.
pub(super) fn has_every_member(action: &str, input: &Value) {
    let Some(shapes) = shapes() else { return };
    let operation = &shapes[format!("{NAMESPACE}{action}")];
    check_members(shapes, &operation["input"]["target"], input);
}

fn check_members(shapes: &Value, structure: &Value, input: &Value) {
    let in_model = members(shapes, structure).map(|(name, _, _)| name);
    let sent = input.as_object().unwrap();
    assert_eq!(
        in_model.collect::<BTreeSet<_>>(),
        sent.keys().collect::<BTreeSet<_>>(),
        "{structure}"
    );
    for (name, _, shape) in members(shapes, structure) {
        let of = &shape["member"]["target"];
        if shape["type"] == "list" && shapes[of.as_str().unwrap()]["type"] == "structure" {
            check_members(shapes, of, &sent[name][0]);
        }
    }
}

#[test]
fn every_error_of_the_model_is_known() {
    let Some(shapes) = shapes() else { return };
    let mut errors = 0;
    for (name, shape) in shapes.as_object().unwrap() {
        let traits = &shape["traits"];
        let Some(fault) = traits["smithy.api#error"].as_str() else {
            continue;
        };
        errors += 1;
        let name = name.strip_prefix(NAMESPACE).unwrap();
        let query = &traits["aws.protocols#awsQueryError"];
        let status = query["httpResponseCode"].as_u64().unwrap_or(400);
        reads_alike_in_both_protocols(&WireError {
            json: name,
            query: query["code"].as_str().unwrap_or(name),
            code: name,
            sender_fault: fault == "client",
            status: u16::try_from(status).unwrap(),
            message: "why",
        });
    }
    assert!(errors >= 25, "{errors} errors");
}
