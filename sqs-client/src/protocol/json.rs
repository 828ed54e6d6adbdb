//! A JSON serializer with the output of serde_json, which is much faster for text without characters to escape. Message
//! bodies are most of a request.

use serde::ser::{self, Error as _, Impossible, Serialize};
use serde_json::Error;

/// The number of bytes to check at once. The compiler vectorizes the check.
const STRIDE: usize = 32;

/// Appends the JSON of the input to `out`.
pub(super) fn encode<T: Serialize>(input: &T, out: &mut Vec<u8>) -> Result<(), Error> {
    input.serialize(Value { out })
}

/// Writes quoted text. serde_json writes text with characters to escape.
pub(super) fn text(text: &str, out: &mut Vec<u8>) -> Result<(), Error> {
    let (strides, rest) = text.as_bytes().as_chunks::<STRIDE>();
    if strides.iter().any(|stride| has_escaped(stride)) || has_escaped(rest) {
        return serde_json::to_writer(out, text);
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
    Ok(())
}

/// Checks every byte, because the compiler does not vectorize a search that ends early.
fn has_escaped(bytes: &[u8]) -> bool {
    let is_escaped = |byte: u8| (byte < b' ') | (byte == b'"') | (byte == b'\\');
    bytes.iter().fold(false, |found, &byte| found | is_escaped(byte))
}

/// Writes one value.
struct Value<'a> {
    out: &'a mut Vec<u8>,
}

/// Writes the elements of a list, map or structure.
struct Elements<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
    end: u8,
}

impl<'a> Value<'a> {
    fn elements(self, begin: u8, end: u8) -> Elements<'a> {
        self.out.push(begin);
        Elements {
            out: self.out,
            first: true,
            end,
        }
    }
}

impl Elements<'_> {
    fn next(&mut self) -> Value<'_> {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        Value { out: self.out }
    }

    fn value_of_key<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.out.push(b':');
        value.serialize(Value { out: self.out })
    }

    fn finish(self) {
        self.out.push(self.end);
    }
}

macro_rules! by_serde_json {
    ($($method:ident: $type:ty,)*) => {$(
        fn $method(self, value: $type) -> Result<(), Error> {
            serde_json::to_writer(self.out, &value)
        }
    )*};
}

/// Refuses types that the service model does not have.
macro_rules! not_in_the_model {
    ($($method:ident($($type:ty),*) -> $ok:ty,)*) => {$(
        fn $method(self, $(_: $type),*) -> Result<$ok, Error> {
            Err(Error::custom(concat!("not in the service model: ", stringify!($method))))
        }
    )*};
}

impl<'a> ser::Serializer for Value<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Elements<'a>;
    type SerializeMap = Elements<'a>;
    type SerializeStruct = Elements<'a>;
    type SerializeTuple = Impossible<(), Error>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeStructVariant = Impossible<(), Error>;

    by_serde_json! {
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
        text(value, self.out)
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.out.extend_from_slice(b"null");
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
        _: &T,
    ) -> Result<(), Error> {
        Err(Error::custom("not in the service model: serialize_newtype_variant"))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Elements<'a>, Error> {
        Ok(self.elements(b'[', b']'))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Elements<'a>, Error> {
        Ok(self.elements(b'{', b'}'))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Elements<'a>, Error> {
        Ok(self.elements(b'{', b'}'))
    }
}

impl ser::SerializeSeq for Elements<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(self.next())
    }

    fn end(self) -> Result<(), Error> {
        self.finish();
        Ok(())
    }
}

impl ser::SerializeStruct for Elements<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        text(name, self.next().out)?;
        self.value_of_key(value)
    }

    fn end(self) -> Result<(), Error> {
        self.finish();
        Ok(())
    }
}

impl ser::SerializeMap for Elements<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        let key_at = self.next().out.len();
        key.serialize(Value { out: self.out })?;
        match self.out.get(key_at) {
            Some(b'"') => Ok(()),
            _ => Err(Error::custom("a map key is not text")),
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.value_of_key(value)
    }

    fn end(self) -> Result<(), Error> {
        self.finish();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::OutgoingMessage;
    use crate::operation::{CreateQueue, SendMessageBatch};
    use crate::types::{MessageAttributeValue, SendMessageBatchEntry};

    fn encoded<T: Serialize>(input: &T) -> String {
        let mut out = Vec::new();
        encode(input, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_byte_that_json_escapes_is_escaped_wherever_it_stands() {
        for special in ('\0'..='\u{7f}').chain(['é', '\u{2028}']) {
            for before in [0, 1, STRIDE - 1, STRIDE, 2 * STRIDE + 1] {
                let text = format!("{}{special}{}", "a".repeat(before), "b".repeat(STRIDE));
                assert_eq!(encoded(&text), serde_json::to_string(&text).unwrap());
            }
        }
    }

    #[test]
    fn a_key_that_is_not_text_is_an_error() {
        assert!(encode(&BTreeMap::from([(1, 2)]), &mut Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn requests_are_written_as_serde_json_writes_them(
            messages in prop::collection::vec(
                (".{0,80}", prop::option::of(0_u64..900), prop::collection::btree_map(".{1,9}", ".{0,40}", 0..3)),
                0..4,
            ),
            tags in prop::collection::btree_map(".{0,9}", ".{0,40}", 0..3),
        ) {
            let entries = messages.into_iter().map(|(body, delay, attributes)| {
                let mut message = OutgoingMessage::new(body);
                message.delay = delay.map(std::time::Duration::from_secs);
                for (name, value) in attributes {
                    message = message
                        .message_attribute(format!("b{name}"), MessageAttributeValue::binary(value.clone()))
                        .message_attribute(name, value);
                }
                SendMessageBatchEntry::new("id", message)
            });
            let batch = SendMessageBatch::new("http://q/1/x", entries);
            prop_assert_eq!(encoded(&batch), serde_json::to_string(&batch).unwrap());

            let mut create = CreateQueue::new("q");
            create.attributes.fifo_queue = Some(true);
            create.tags = tags;
            prop_assert_eq!(encoded(&create), serde_json::to_string(&create).unwrap());
        }
    }
}
