//! Structures whose members are all text and some of which are flattened. serde buffers all members of such a structure.
//! This deserializer buffers only text, because nested lists in a response could otherwise take 64 times its length. A
//! number or boolean counts as its text.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, MapDeserializer};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    Visitor,
};
use serde::forward_to_deserialize_any;

type Member<'de> = (Text<'de>, Text<'de>);
type Members<'de, E> = MapDeserializer<'de, std::vec::IntoIter<Member<'de>>, E>;

/// The treatment of a member that is an object or a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nested {
    /// Skip it, because it is unknown.
    Skip,
    /// Convert an object to its JSON text, and fail for a list.
    Json,
    /// Fail.
    Refuse,
}

/// Returns a deserializer of the members that are text. `nested` decides on the others by their names.
pub(crate) fn text_members<'de, D: Deserializer<'de>>(
    deserializer: D,
    nested: fn(&str) -> Nested,
) -> Result<Members<'de, D::Error>, D::Error> {
    let members = deserializer.deserialize_map(Structure(nested))?;
    Ok(MapDeserializer::new(members.into_iter()))
}

/// The text members of a structure, in their order.
pub(crate) struct TextMembers<'de>(Vec<Member<'de>>);

impl TextMembers<'_> {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(member, _)| member.0 == name)?;
        Some(&value.0)
    }
}

impl<'de> Deserialize<'de> for TextMembers<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Structure(|_| Nested::Skip)).map(Self)
    }
}

/// Implements `Deserialize` through [`text_members`] for a type that derives it with `#[serde(remote = "Self")]`, and
/// forwards `Serialize`.
macro_rules! of_text_members {
    ($type:ty, $nested:expr) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::deserialize(crate::types::members::text_members(deserializer, $nested)?)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                Self::serialize(self, serializer)
            }
        }
    };
}
pub(crate) use of_text_members;

/// Visits a structure. The function decides on members that are objects or lists, by their names.
struct Structure(fn(&str) -> Nested);

impl<'de> Visitor<'de> for Structure {
    type Value = Vec<Member<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a structure")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = map.next_key_seed(AnyValue(Nested::Skip))? {
            let nested = name.as_ref().map_or(Nested::Skip, |Text(name)| (self.0)(name));
            let value = map.next_value_seed(AnyValue(nested))?;
            members.extend(name.zip(value));
        }
        Ok(members)
    }
}

/// Text, borrowed if possible.
pub(crate) struct Text<'de>(Cow<'de, str>);

/// Reads a member's value if it is text or counts as text.
struct AnyValue(Nested);

impl<'de> DeserializeSeed<'de> for AnyValue {
    type Value = Option<Text<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! as_text {
    ($($visit:ident($type:ty),)*) => {$(
        fn $visit<E: Error>(self, value: $type) -> Result<Self::Value, E> {
            self.visit_string(value.to_string())
        }
    )*};
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Option<Text<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Nested::Skip => "any value",
            Nested::Json => "text or an object",
            Nested::Refuse => "text",
        })
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Text(Cow::Borrowed(text))))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Text(Cow::Owned(text.to_owned()))))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Self::Value, E> {
        Ok(Some(Text(Cow::Owned(text))))
    }

    as_text! {
        visit_bool(bool),
        visit_i64(i64),
        visit_u64(u64),
        visit_f64(f64),
    }

    /// `null` counts as absent.
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        if self.0 != Nested::Skip {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        match self.0 {
            Nested::Refuse => Err(A::Error::invalid_type(Unexpected::Map, &self)),
            Nested::Json => {
                let object = serde_json::Value::deserialize(MapAccessDeserializer::new(members))?;
                self.visit_string(object.to_string())
            }
            Nested::Skip => {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(None)
            }
        }
    }
}

impl<'de, E: Error> IntoDeserializer<'de, E> for Text<'de> {
    type Deserializer = TextDeserializer<'de, E>;

    fn into_deserializer(self) -> Self::Deserializer {
        TextDeserializer(self.0, PhantomData)
    }
}

/// Deserializes text, also as an option, which serde's own deserializers do not support.
pub(crate) struct TextDeserializer<'de, E>(Cow<'de, str>, PhantomData<E>);

impl<'de, E: Error> Deserializer<'de> for TextDeserializer<'de, E> {
    type Error = E;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        match self.0 {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use crate::QueueAttributes;
    use crate::types::{RedrivePolicy, SendMessageBatchResultEntry};

    #[test]
    fn numbers_and_booleans_count_as_text_and_unknown_members_are_skipped() {
        let novel = r#""a":1,"b":-1,"c":1.5,"d":true,"e":null,"f":[[1]],"g":{"h":{}},"#;
        let entry: SendMessageBatchResultEntry =
            serde_json::from_str(&format!(r#"{{{novel}"Id":"i","MessageId":"\u00e9"}}"#)).unwrap();
        assert_eq!((&*entry.id, &*entry.output.message_id), ("i", "é"));
        let attributes: QueueAttributes =
            serde_json::from_str(&format!(r#"{{{novel}"QueueArn":"arn","Novel":"x"}}"#)).unwrap();
        assert_eq!(
            serde_json::to_string(&attributes).unwrap(),
            r#"{"QueueArn":"arn","Novel":"x","a":"1","b":"-1","c":"1.5","d":"true"}"#
        );
        assert!(serde_json::from_str::<QueueAttributes>("[]").is_err());
    }

    #[test]
    fn a_policy_may_be_an_object_and_known_members_are_never_skipped() {
        let attributes: QueueAttributes = serde_json::from_str(
            r#"{"RedrivePolicy":{"maxReceiveCount":3,"deadLetterTargetArn":"arn"},"RedriveAllowPolicy":null,
                "Policy":{"Version":"2012-10-17","Statement":[]}}"#,
        )
        .unwrap();
        assert_eq!(attributes.redrive_policy, Some(RedrivePolicy::new("arn", 3)));
        assert!(attributes.policy.is_some() && attributes.redrive_allow_policy.is_none());
        for refused in [
            r#"{"RedrivePolicy":[3]}"#,
            r#"{"RedrivePolicy":{"maxReceiveCount":3}}"#,
            r#"{"VisibilityTimeout":{"seconds":5}}"#,
            r#"{"QueueArn":["arn"]}"#,
        ] {
            assert!(serde_json::from_str::<QueueAttributes>(refused).is_err(), "{refused}");
        }
        for member in ["MD5OfMessageBody", "MessageId", "SequenceNumber"] {
            let entry = format!(r#"{{"Id":"i","MessageId":"m","{member}":{{}}}}"#);
            assert!(
                serde_json::from_str::<SendMessageBatchResultEntry>(&entry).is_err(),
                "{member}"
            );
        }
    }
}
