//! A serde serializer that writes a shape as an AWS Query form: `Attribute.1.Name=…&Attribute.1.Value=…`.

use std::fmt::{self, Display, Write as _};

use serde::ser::{self, Serialize};
use url::form_urlencoded::byte_serialize;

use super::names::{Collection, collection};

/// The version of the API that every Query request names.
const VERSION: &str = "2012-11-05";

pub(super) fn encode<T: Serialize>(action: &'static str, input: &T) -> Result<Vec<u8>, Error> {
    let mut form = Form {
        action,
        text: format!("Action={action}&Version={VERSION}"),
        path: String::new(),
    };
    input.serialize(Value {
        form: &mut form,
        collection: None,
    })?;
    Ok(form.text.into_bytes())
}

struct Form {
    action: &'static str,
    text: String,
    /// The name of the value that is being written, such as `Attribute.1.Name`.
    path: String,
}

impl Form {
    fn pair(&mut self, value: &str) {
        self.text.push('&');
        self.text.extend(byte_serialize(self.path.as_bytes()));
        self.text.push('=');
        self.text.extend(byte_serialize(value.as_bytes()));
    }

    /// Writes something under the path with `.part…` added.
    fn under(
        &mut self,
        parts: impl FnOnce(&mut String),
        write: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        parts(&mut self.path);
        let result = write(self);
        self.path.truncate(length);
        result
    }

    fn member<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Error> {
        let collection = collection(name);
        let (prefix, suffix) = match collection {
            Some(Collection::List(element) | Collection::Map { element, .. }) => element.parts(self.action),
            None => ("", name),
        };
        let name = |path: &mut String| {
            path.push_str(prefix);
            path.push_str(suffix);
        };
        self.under(name, |form| value.serialize(Value { form, collection }))
    }

    fn numbered(&mut self, index: usize, write: impl FnOnce(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        let number = |path: &mut String| {
            // Writing to a string cannot fail.
            let _ = write!(path, "{index}");
        };
        self.under(number, write)
    }

    fn named<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        let collection = None;
        self.under(
            |path| path.push_str(name),
            |form| value.serialize(Value { form, collection }),
        )
    }
}

/// Where a value goes: under the form's current path, as the collection that its member is in the model.
struct Value<'a> {
    form: &'a mut Form,
    collection: Option<Collection>,
}

/// A list, map or structure whose elements are being written.
struct Elements<'a> {
    form: &'a mut Form,
    collection: Option<Collection>,
    count: usize,
    key: Option<String>,
}

impl Elements<'_> {
    /// One entry of a map, or one member of a structure (which serde hands over as a map where parts are flattened).
    fn entry<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Error> {
        let Some(Collection::Map {
            key, value: value_name, ..
        }) = self.collection
        else {
            return self.form.member(name, value);
        };
        self.count += 1;
        self.form.numbered(self.count, |form| {
            form.named(key, name)?;
            form.named(value_name, value)
        })
    }
}

impl<'a> Value<'a> {
    fn elements(self) -> Elements<'a> {
        Elements {
            form: self.form,
            collection: self.collection,
            count: 0,
            key: None,
        }
    }

    fn display(self, value: impl Display) -> Result<(), Error> {
        self.form.pair(&value.to_string());
        Ok(())
    }
}

macro_rules! by_display {
    ($($method:ident: $type:ty,)*) => {$(
        fn $method(self, value: $type) -> Result<(), Error> {
            self.display(value)
        }
    )*};
}

/// No shape of the model has these.
macro_rules! not_in_the_model {
    ($($method:ident($($type:ty),*) -> $ok:ty,)*) => {$(
        fn $method(self, $(_: $type),*) -> Result<$ok, Error> {
            Err(serde::ser::Error::custom(concat!("not in the service model: ", stringify!($method))))
        }
    )*};
}
pub(super) use not_in_the_model;

impl<'a> ser::Serializer for Value<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Elements<'a>;
    type SerializeMap = Elements<'a>;
    type SerializeStruct = Elements<'a>;
    type SerializeTuple = ser::Impossible<(), Error>;
    type SerializeTupleStruct = ser::Impossible<(), Error>;
    type SerializeTupleVariant = ser::Impossible<(), Error>;
    type SerializeStructVariant = ser::Impossible<(), Error>;

    by_display! {
        serialize_bool: bool,
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_f32: f32, serialize_f64: f64,
        serialize_char: char,
    }

    not_in_the_model! {
        serialize_bytes(&[u8]) -> (),
        serialize_unit() -> (),
        serialize_unit_struct(&'static str) -> (),
        serialize_tuple(usize) -> Self::SerializeTuple,
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct,
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant,
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant,
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.form.pair(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Elements<'a>, Error> {
        Ok(self.elements())
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Elements<'a>, Error> {
        Ok(self.elements())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Elements<'a>, Error> {
        Ok(self.elements())
    }
}

impl ser::SerializeSeq for Elements<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.count += 1;
        let collection = None;
        self.form
            .numbered(self.count, |form| value.serialize(Value { form, collection }))
    }

    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

impl ser::SerializeStruct for Elements<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.entry(name, value)
    }

    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

impl ser::SerializeMap for Elements<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        // A key is text or an enum that serializes as text; JSON's own key rule gives it in quotes.
        let quoted = serde_json::to_value(key).map_err(ser::Error::custom)?;
        let key = quoted
            .as_str()
            .ok_or_else(|| Error("a map's key is not text".to_owned()))?;
        self.key = Some(key.to_owned());
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let key = self.key.take().unwrap_or_default();
        self.entry(&key, value)
    }

    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct Error(String);

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl ser::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{MessageAttributeValue, OutgoingMessage, QueueAttributes, SendMessageBatchEntry, operation};

    fn form<T: Serialize>(action: &'static str, input: &T) -> String {
        let encoded = String::from_utf8(encode(action, input).unwrap()).unwrap();
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
    fn attributes_and_tags_are_maps() {
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
