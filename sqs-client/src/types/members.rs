//! Structures whose members are all text, of which some are flattened parts. serde keeps whatever members such a
//! structure has until the parts have taken theirs; here only text is kept, so that an answer cannot take 64 times its
//! length in nested lists that nobody asked for. A number or boolean counts as the text that says the same.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

type Member<'de> = (Text<'de>, Text<'de>);
type Members<'de, E> = MapDeserializer<'de, std::vec::IntoIter<Member<'de>>, E>;

/// A deserializer of this one's members that are text; the others are skipped.
pub(crate) fn text_members<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Members<'de, D::Error>, D::Error> {
    let TextMembers(members) = TextMembers::deserialize(deserializer)?;
    Ok(MapDeserializer::new(members.into_iter()))
}

/// A structure's members that are text, in their order.
pub(crate) struct TextMembers<'de>(Vec<Member<'de>>);

impl TextMembers<'_> {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(member, _)| member.0 == name)?;
        Some(&value.0)
    }
}

impl<'de> Deserialize<'de> for TextMembers<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Structure).map(Self)
    }
}

/// Implements `Deserialize` for a type that derives it with `#[serde(remote = "Self")]`, by way of [`text_members`];
/// and `Serialize` as it is derived.
macro_rules! of_text_members {
    ($type:ty) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::deserialize(crate::types::members::text_members(deserializer)?)
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

struct Structure;

impl<'de> Visitor<'de> for Structure {
    type Value = Vec<Member<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a structure")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((Value(name), Value(value))) = map.next_entry()? {
            members.extend(name.zip(value));
        }
        Ok(members)
    }
}

/// Text, borrowed where it can be.
pub(crate) struct Text<'de>(Cow<'de, str>);

/// A member's value if it is text, or counts as text.
struct Value<'de>(Option<Text<'de>>);

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

struct AnyValue;

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
        f.write_str("any value")
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
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl<'de, E: Error> IntoDeserializer<'de, E> for Text<'de> {
    type Deserializer = TextDeserializer<'de, E>;

    fn into_deserializer(self) -> Self::Deserializer {
        TextDeserializer(self.0, PhantomData)
    }
}

/// serde's own deserializers of text know no options.
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
    use crate::{QueueAttributes, SendMessageBatchResultEntry};

    #[test]
    fn numbers_and_booleans_count_as_text_and_other_members_are_skipped() {
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
}
