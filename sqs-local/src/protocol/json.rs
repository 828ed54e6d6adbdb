//! AWS JSON 1.0. Each member of a body is checked against the action's shape.

use serde_json::Value;

use crate::protocol::Strictness;
use crate::protocol::error::{Error, Result};
use crate::protocol::input::Input;
use crate::protocol::schema::{Kind, Member};

/// Parses a request body.
pub(crate) fn decode(body: &[u8], shape: &'static [Member], strictness: Strictness) -> Result<Input> {
    let body = if body.is_empty() { b"{}" } else { body };
    let value = serde_json::from_slice(body).map_err(|e| Error::malformed(format!("not JSON: {e}")))?;
    let mut value: Value = value;
    check_members(&mut value, shape, strictness, "")?;
    Input::new(value)
}

fn check_members(value: &mut Value, shape: &[Member], strictness: Strictness, path: &str) -> Result<()> {
    let Value::Object(members) = value else {
        return Err(Error::malformed(format!("{path}: expected an object")));
    };
    // An explicit null is the same as an absent member.
    members.retain(|_, v| !v.is_null());
    let of = |name: &str| shape.iter().find(|member| member.name == name);
    if strictness == Strictness::Lenient {
        members.retain(|name, _| of(name).is_some());
    }
    for (name, value) in members {
        let path = format!("{path}/{name}");
        let member = of(name).ok_or_else(|| Error::malformed(format!("{path}: unknown member")))?;
        check(value, &member.kind, strictness, &path)?;
    }
    Ok(())
}

fn check(value: &mut Value, kind: &Kind, strictness: Strictness, path: &str) -> Result<()> {
    let wrong = |expected: &str| Err(Error::malformed(format!("{path}: expected {expected}")));
    match (kind, value) {
        (Kind::Str | Kind::Blob, Value::String(_)) | (Kind::Bool, Value::Bool(_)) => Ok(()),
        (Kind::Int, Value::Number(n)) if n.is_i64() => Ok(()),
        (Kind::List(_, of), Value::Array(items)) => {
            items.iter_mut().try_for_each(|item| check(item, of, strictness, path))
        }
        (Kind::Map { of, .. }, Value::Object(entries)) => {
            entries.values_mut().try_for_each(|v| check(v, of, strictness, path))
        }
        (Kind::Struct(shape), value) => check_members(value, shape, strictness, path),
        (Kind::Str, _) => wrong("a string"),
        (Kind::Blob, _) => wrong("base64 text"),
        (Kind::Bool, _) => wrong("a boolean"),
        (Kind::Int, _) => wrong("an integer"),
        (Kind::List(..), _) => wrong("a list"),
        (Kind::Map { .. }, _) => wrong("a map"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::schema::Action;

    fn read(action: Action, body: &str) -> Result<Input> {
        decode(body.as_bytes(), action.shape().input, Strictness::Strict)
    }

    #[test]
    fn only_known_members_of_the_right_type_pass() {
        assert!(
            read(
                Action::SendMessage,
                r#"{"QueueUrl":"u","MessageBody":"b","DelaySeconds":0}"#
            )
            .is_ok()
        );
        assert!(read(Action::SendMessage, r#"{"QueueUrl":null}"#).is_ok());
        assert!(read(Action::SendMessage, r#"{"QueueURL":"u"}"#).is_err());
        assert!(read(Action::SendMessage, r#"{"DelaySeconds":"0"}"#).is_err());
        assert!(read(Action::SendMessage, r#"{"DelaySeconds":0.5}"#).is_err());
        assert!(read(Action::DeleteMessageBatch, r#"{"Entries":[{"Id":"1","Handle":"h"}]}"#).is_err());
        assert!(read(Action::CreateQueue, r#"{"Attributes":{"DelaySeconds":5}}"#).is_err());
        assert!(read(Action::ListQueues, "").is_ok());
        assert!(read(Action::ListQueues, "[]").is_err());
    }

    #[test]
    fn a_lenient_server_drops_unknown_members() {
        let body = br#"{"QueueUrl":"u","Colour":"red","Entries":[{"Id":"1","Handle":"h"}]}"#;
        let shape = Action::DeleteMessageBatch.shape().input;
        let read = decode(body, shape, Strictness::Lenient).map(|input| input.to_value());
        let expected = serde_json::json!({"QueueUrl": "u", "Entries": [{"Id": "1"}]});
        assert_eq!(read, Ok(expected));
        let wrong_type = br#"{"QueueUrl":5,"Colour":"red"}"#;
        assert!(decode(wrong_type, shape, Strictness::Lenient).is_err());
    }
}
