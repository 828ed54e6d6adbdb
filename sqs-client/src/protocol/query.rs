//! Converts the JSON of a request to an AWS Query form: `Attribute.1.Name=…&Attribute.1.Value=…`.
//!
//! A conversion from JSON avoids a second serializer for each shape, which keeps the binary small. See the [AWS Query
//! protocol](https://smithy.io/2.0/aws/protocols/aws-query-protocol.html).

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use url::form_urlencoded::byte_serialize;

use crate::protocol::names::{Collection, collection, is_older_name};

/// The API version in every Query request.
const VERSION: &str = "2012-11-05";

pub(super) fn from_json(action: &'static str, json: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    let mut form = Form {
        action,
        text: format!("Action={action}&Version={VERSION}"),
        path: String::new(),
    };
    let value = Value {
        form: &mut form,
        collection: None,
    };
    value.deserialize(&mut serde_json::Deserializer::from_slice(json))?;
    Ok(form.text.into_bytes())
}

struct Form {
    action: &'static str,
    text: String,
    /// The name of the current value, such as `Attribute.1.Name`.
    path: String,
}

impl Form {
    fn pair(&mut self, value: &str) {
        self.text.push('&');
        self.text.extend(byte_serialize(self.path.as_bytes()));
        self.text.push('=');
        self.text.extend(byte_serialize(value.as_bytes()));
    }

    /// Calls `write` with `.part` appended to the path.
    fn under<T>(&mut self, part: &str, write: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(part);
        let written = write(self);
        self.path.truncate(length);
        written
    }

    fn value(&mut self) -> Value<'_> {
        Value {
            form: self,
            collection: None,
        }
    }
}

/// Writes a value at the form's current path. Its member may be a collection in the model.
struct Value<'a> {
    form: &'a mut Form,
    collection: Option<Collection>,
}

impl Value<'_> {
    fn display(self, value: impl fmt::Display) {
        self.form.pair(&value.to_string());
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of the service model")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.display(value);
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.display(value);
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.display(value);
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.form.pair(value);
        Ok(())
    }

    /// Omits a value that is not set.
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut number = 1_usize;
        let mut next = |number: usize| {
            self.form
                .under(&number.to_string(), |form| items.next_element_seed(form.value()))
        };
        while next(number)?.is_some() {
            number += 1;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let (form, mut number) = (self.form, 0_usize);
        while let Some(name) = members.next_key::<String>()? {
            number += 1;
            match self.collection {
                Some(Collection::Map { key, value, .. }) => form.under(&number.to_string(), |form| {
                    form.under(key, |form| form.pair(&name));
                    form.under(value, |form| members.next_value_seed(form.value()))
                })?,
                _ if is_older_name(form.action, &name) => drop(members.next_value::<IgnoredAny>()?),
                _ => {
                    let collection = collection(&name);
                    let part = match collection {
                        Some(Collection::List(element) | Collection::Map { element, .. }) => element.name(form.action),
                        None => name.into(),
                    };
                    form.under(&part, |form| members.next_value_seed(Value { form, collection }))?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::types::{MessageAttributeValue, SendMessageBatchEntry};
    use crate::{OutgoingMessage, QueueAttributes, operation};

    fn form<T: serde::Serialize>(action: &'static str, input: &T) -> String {
        let json = serde_json::to_vec(input).unwrap();
        let encoded = String::from_utf8(from_json(action, &json).unwrap()).unwrap();
        let prefix = format!("Action={action}&Version=2012-11-05&");
        encoded.strip_prefix(&prefix).unwrap().to_owned()
    }

    #[test]
    fn a_batch_is_flattened_and_numbered() {
        let batch = operation::SendMessageBatch::new(
            "http://q/1/x",
            [
                SendMessageBatchEntry::new("a", "one & two"),
                SendMessageBatchEntry::new(
                    "b",
                    OutgoingMessage::new("é")
                        .delay(Duration::from_secs(0))
                        .message_attribute("k", MessageAttributeValue::binary(vec![1, 2])),
                ),
            ],
        );
        assert_eq!(
            form("SendMessageBatch", &batch),
            "QueueUrl=http%3A%2F%2Fq%2F1%2Fx\
             &SendMessageBatchRequestEntry.1.Id=a\
             &SendMessageBatchRequestEntry.1.MessageBody=one+%26+two\
             &SendMessageBatchRequestEntry.2.Id=b\
             &SendMessageBatchRequestEntry.2.MessageBody=%C3%A9\
             &SendMessageBatchRequestEntry.2.DelaySeconds=0\
             &SendMessageBatchRequestEntry.2.MessageAttribute.1.Name=k\
             &SendMessageBatchRequestEntry.2.MessageAttribute.1.Value.DataType=Binary\
             &SendMessageBatchRequestEntry.2.MessageAttribute.1.Value.BinaryValue=AQI%3D"
        );
    }

    #[test]
    fn attributes_and_tags_are_numbered_pairs() {
        let mut create = operation::CreateQueue::new("q");
        create.attributes = QueueAttributes {
            fifo_queue: Some(true),
            ..QueueAttributes::default()
        };
        create.tags.insert("team".to_owned(), "a b".to_owned());
        assert_eq!(
            form("CreateQueue", &create),
            "QueueName=q&Attribute.1.Name=FifoQueue&Attribute.1.Value=true&Tag.1.Key=team&Tag.1.Value=a+b"
        );
    }
}
