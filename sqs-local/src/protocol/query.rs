//! The Query protocol's requests: forms whose dotted names encode lists, maps and structures. Parameters that are not
//! in the action's shape are refused.

use std::collections::BTreeMap;
use std::ops::Bound;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::protocol::error::{self, Error, Result};
use crate::protocol::input::Input;
use crate::protocol::schema::{Action, Kind, Member};

const VERSION: &str = "2012-11-05";

/// A form's parameters.
#[derive(Debug)]
pub(crate) struct Form(BTreeMap<String, String>);

impl Form {
    /// Parses `a=b&c=d`.
    pub(crate) fn parse(body: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(body).map_err(|_| Error::malformed("The form is not UTF-8."))?;
        let mut parameters = BTreeMap::new();
        for pair in text.split('&').filter(|p| !p.is_empty()) {
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
        let unknown = |message: String| Error::new(&error::UNKNOWN_ACTION, message);
        let Some(name) = self.0.get("Action") else {
            return Err(Error::new(
                &error::MISSING_ACTION,
                "The request must contain the parameter Action.",
            ));
        };
        name.parse()
            .map_err(|()| unknown(format!("The action {name} is not valid for this endpoint.")))
    }

    /// Decodes the action's input.
    pub(crate) fn decode(mut self, shape: &'static [Member]) -> Result<Input> {
        self.0.remove("Action");
        match self.0.remove("Version") {
            Some(version) if version == VERSION => {}
            version => {
                let version = version.unwrap_or_default();
                let message = format!("The requested version ( {version} ) of service AmazonSQS does not exist");
                return Err(Error::new(&error::UNKNOWN_VERSION, message));
            }
        }
        let members = self.members("", shape)?;
        match self.0.first_key_value() {
            Some((name, _)) => Err(Error::malformed(format!("Unknown parameter {name}."))),
            None => Input::new(Value::Object(members)),
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

    /// Decodes `<prefix><entry>.1`, `.2` … up to the first missing number.
    fn numbered<T>(
        &mut self,
        prefix: &str,
        entry: &str,
        mut read: impl FnMut(&mut Self, &str) -> Result<Option<T>>,
    ) -> Result<Vec<T>> {
        let mut items = Vec::new();
        loop {
            let at = format!("{prefix}{entry}.{}", items.len() + 1);
            if !self.has(&at) {
                return Ok(items);
            }
            let item = read(self, &at)?;
            items.push(item.ok_or_else(|| Error::malformed(format!("Parameter {at} is incomplete.")))?);
        }
    }

    /// Returns `true` if there is a parameter with this name or below it.
    fn has(&self, name: &str) -> bool {
        let below = format!("{name}.");
        let first_below = self
            .0
            .range::<str, _>((Bound::Included(below.as_str()), Bound::Unbounded))
            .next();
        self.0.contains_key(name) || first_below.is_some_and(|(k, _)| k.starts_with(&below))
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
            Kind::Bool => Value::from(text.parse::<bool>().map_err(|_| wrong("true or false"))?),
            _ => Value::from(text),
        }))
    }
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
        let form = Form::parse(form.as_bytes())?;
        let action = form.action()?;
        Ok(form.decode(action.shape().input)?.to_value())
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
            "Action=SendMessage",
            "Action=SendMessages&Version=2012-11-05",
            "Version=2012-11-05",
            "Action=ReceiveMessage&Version=2012-11-05&AttributeName.2=All",
            "Action=TagQueue&Version=2012-11-05&Tag.1.Key=k",
            "Action=SendMessage&Version=2012-11-05&MessageBody=%FF",
        ] {
            assert!(read(form).is_err(), "{form}");
        }
    }
}
