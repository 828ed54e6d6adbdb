//! The Query protocol's requests: forms whose dotted names encode lists, maps and structures.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::protocol::Strictness;
use crate::protocol::error::{self, Error, Result};
use crate::protocol::input::Input;
use crate::protocol::schema::{Action, Kind, Member};

const VERSION: &str = "2012-11-05";

/// A form's parameters.
#[derive(Debug)]
pub(crate) struct Form(BTreeMap<String, String>);

impl Form {
    /// Parses `a=b&c=d`. A request may have parameters in its URL and in its body.
    pub(crate) fn parse(query: &[u8], body: &[u8]) -> Result<Self> {
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| Error::malformed("The form is not UTF-8."));
        let pairs = text(query)?.split('&').chain(text(body)?.split('&'));
        let mut parameters = BTreeMap::new();
        for pair in pairs.filter(|p| !p.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (unescape(name)?, unescape(value)?);
            if parameters.contains_key(&name) {
                return Err(Error::malformed(format!("Parameter {name} is given twice.")));
            }
            parameters.insert(name, value);
        }
        Ok(Self(parameters))
    }

    /// Returns the form's action.
    pub(crate) fn action(&self) -> Result<Action> {
        let Some(name) = self.0.get("Action") else {
            return Err(Error::new(
                &error::MISSING_ACTION,
                "The request must contain the parameter Action.",
            ));
        };
        name.parse().map_err(|()| invalid_action(name))
    }

    /// Decodes the action's input.
    pub(crate) fn decode(mut self, shape: &'static [Member], strictness: Strictness) -> Result<Input> {
        self.0.remove("Action");
        if let Some(version) = self.0.remove("Version").filter(|version| version != VERSION) {
            let message = format!("The requested version ( {version} ) of service AmazonSQS does not exist");
            return Err(Error::new(&error::UNKNOWN_VERSION, message));
        }
        // The parameters of a presigned URL are not the action's.
        self.0.retain(|name, _| !name.starts_with("X-Amz-"));
        let members = self.members("", shape)?;
        match self.0.first_key_value() {
            Some((name, _)) if strictness == Strictness::Strict => {
                Err(Error::malformed(format!("Unknown parameter {name}.")))
            }
            _ => Input::new(Value::Object(members)),
        }
    }

    fn members(&mut self, prefix: &str, shape: &[Member]) -> Result<Map<String, Value>> {
        let mut members = Map::new();
        for member in shape {
            if let Some(value) = self.member(prefix, member)? {
                members.insert(member.name.to_owned(), value);
            }
        }
        Ok(members)
    }

    fn member(&mut self, prefix: &str, member: &Member) -> Result<Option<Value>> {
        match &member.kind {
            Kind::List(entry, of) => {
                // SDKs send an empty list as an empty parameter.
                for name in [entry, member.name] {
                    self.remove_empty(&format!("{prefix}{name}"));
                }
                let items = self.numbered(prefix, entry, |form, at| form.value(at, of))?;
                Ok((!items.is_empty()).then_some(Value::Array(items)))
            }
            Kind::Map { entry, key, value, of } => {
                let pairs = self.numbered(prefix, entry, |form, at| {
                    let name = form.0.remove(&format!("{at}.{key}"));
                    let value = form.value(&format!("{at}.{value}"), of)?;
                    Ok(name.zip(value))
                })?;
                Ok((!pairs.is_empty()).then(|| Value::Object(pairs.into_iter().collect())))
            }
            kind => self.value(&format!("{prefix}{}", member.name), kind),
        }
    }

    fn remove_empty(&mut self, name: &str) {
        if self.0.get(name).is_some_and(String::is_empty) {
            self.0.remove(name);
        }
    }

    /// Decodes `<prefix><entry>.1`, `.2` … in the order of their numbers, of which some may be missing.
    fn numbered<T>(
        &mut self,
        prefix: &str,
        entry: &str,
        mut read: impl FnMut(&mut Self, &str) -> Result<Option<T>>,
    ) -> Result<Vec<T>> {
        let mut items = Vec::new();
        for number in self.numbers(&format!("{prefix}{entry}.")) {
            let at = format!("{prefix}{entry}.{number}");
            let item = read(self, &at)?;
            items.push(item.ok_or_else(|| Error::malformed(format!("Parameter {at} is incomplete.")))?);
        }
        Ok(items)
    }

    /// Returns the numbers that follow a prefix in the names of parameters.
    fn numbers(&self, prefix: &str) -> BTreeSet<u32> {
        let named = self
            .0
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .map_while(|(name, _)| name.strip_prefix(prefix));
        let numbers = named.filter_map(|rest| rest.split('.').next());
        // A leading zero would give a number a second name.
        numbers
            .filter(|number| !number.starts_with(['0', '+']))
            .filter_map(|number| number.parse().ok())
            .collect()
    }

    fn value(&mut self, name: &str, kind: &Kind) -> Result<Option<Value>> {
        if let Kind::Struct(shape) = kind {
            let members = self.members(&format!("{name}."), shape)?;
            return Ok((!members.is_empty()).then_some(Value::Object(members)));
        }
        let Some(text) = self.0.remove(name) else {
            return Ok(None);
        };
        let wrong = |expected| Error::malformed(format!("Parameter {name}: expected {expected}, found {text}."));
        Ok(Some(match kind {
            Kind::Int => Value::from(text.parse::<i64>().map_err(|_| wrong("an integer"))?),
            Kind::Bool => {
                let lower = text.to_ascii_lowercase();
                Value::from(lower.parse::<bool>().map_err(|_| wrong("true or false"))?)
            }
            _ => Value::from(text),
        }))
    }
}

/// Returns AWS's error for an action that does not exist, or not at this URL.
pub(crate) fn invalid_action(name: &str) -> Error {
    let message = format!("The action {name} is not valid for this endpoint.");
    Error::new(&error::UNKNOWN_ACTION, message)
}

fn unescape(text: &str) -> Result<String> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    let decoded = decoded.map_err(|_| Error::malformed("The form is not UTF-8."))?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(form: &str) -> Result<Value> {
        read_as(form, Strictness::Strict)
    }

    fn read_as(form: &str, strictness: Strictness) -> Result<Value> {
        let form = Form::parse(form.as_bytes(), b"")?;
        let action = form.action()?;
        Ok(form.decode(action.shape().input, strictness)?.to_value())
    }

    #[test]
    fn lists_maps_and_entries_are_decoded() {
        let read = read(
            "Action=SendMessageBatch&Version=2012-11-05&QueueUrl=http%3A%2F%2Fh%2Fq\
             &SendMessageBatchRequestEntry.1.Id=a&SendMessageBatchRequestEntry.1.MessageBody=x+%2B%20y\
             &SendMessageBatchRequestEntry.1.MessageAttribute.1.Name=n\
             &SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.DataType=Binary\
             &SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.BinaryValue=AQ%3D%3D\
             &SendMessageBatchRequestEntry.2.Id=b&SendMessageBatchRequestEntry.2.DelaySeconds=7",
        );
        let expected = json!({
            "QueueUrl": "http://h/q",
            "Entries": [
                {"Id": "a", "MessageBody": "x + y",
                 "MessageAttributes": {"n": {"DataType": "Binary", "BinaryValue": "AQ=="}}},
                {"Id": "b", "DelaySeconds": 7},
            ],
        });
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn tags_and_attribute_names_are_decoded() {
        let tagged = read(
            "Action=CreateQueue&Version=2012-11-05&QueueName=q&Tag.1.Key=k&Tag.1.Value=&Attribute.1.Name=DelaySeconds&Attribute.1.Value=1",
        );
        let expected = json!({"QueueName": "q", "tags": {"k": ""}, "Attributes": {"DelaySeconds": "1"}});
        assert_eq!(tagged, Ok(expected));
    }

    #[test]
    fn parameters_outside_the_model_are_refused() {
        for form in [
            "Action=SendMessage&Version=2012-11-05&Body=b",
            "Action=SendMessage&Version=2012-11-05&DelaySeconds=x",
            "Action=SendMessage&Version=2009-02-01",
            "Action=SendMessages&Version=2012-11-05",
            "Version=2012-11-05",
            "Action=ReceiveMessage&Version=2012-11-05&AttributeName.01=All",
            "Action=ReceiveMessage&Version=2012-11-05&AttributeName.x=All",
            "Action=TagQueue&Version=2012-11-05&Tag.1.Key=k",
            "Action=SendMessage&Version=2012-11-05&MessageBody=%FF",
        ] {
            assert!(read(form).is_err(), "{form}");
        }
    }

    #[test]
    fn a_lenient_server_ignores_unknown_parameters() {
        let form = "Action=SendMessage&AWSAccessKeyId=k&Colour=red&MessageBody=b";
        assert_eq!(read_as(form, Strictness::Lenient), Ok(json!({"MessageBody": "b"})));
    }

    #[test]
    fn the_version_and_numbers_may_be_missing() {
        let form = "Action=ReceiveMessage&AttributeName.10=SenderId&AttributeName.2=All";
        assert_eq!(read(form), Ok(json!({"AttributeNames": ["All", "SenderId"]})));
    }

    #[test]
    fn an_empty_parameter_is_an_empty_list() {
        for name in ["Entries", "SendMessageBatchRequestEntry"] {
            let form = format!("Action=SendMessageBatch&Version=2012-11-05&{name}=");
            assert_eq!(read(&form), Ok(json!({})));
        }
    }

    #[test]
    fn parameters_may_be_in_the_url_and_in_the_body() {
        let form = Form::parse(b"Action=SendMessage&X-Amz-Signature=0", b"MessageBody=b").expect("a form");
        let shape = form.action().expect("an action").shape().input;
        let read = form.decode(shape, Strictness::Strict).map(|input| input.to_value());
        assert_eq!(read, Ok(json!({"MessageBody": "b"})));
    }
}
