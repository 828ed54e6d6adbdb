//! The tree as a serde deserializer.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::super::names::{Collection, Element, collection};
use super::{Error, Node};

pub(super) fn from_node<T: DeserializeOwned>(action: &'static str, node: Option<&Node<'_>>) -> Result<T, Error> {
    let empty = Node::default();
    T::deserialize(Value {
        action,
        node: node.unwrap_or(&empty),
        collection: None,
    })
}

/// The value of a member: `node` itself, as text or as a structure, or those of `node`'s children that make up a list
/// or map.
#[derive(Clone, Copy)]
struct Value<'de> {
    action: &'static str,
    node: &'de Node<'de>,
    collection: Option<Collection>,
}

impl<'de> Value<'de> {
    fn of(self, node: &'de Node<'de>) -> Self {
        Self {
            node,
            collection: None,
            ..self
        }
    }

    /// The member of this name, if the structure has it.
    fn member(self, name: &'static str) -> Option<(&'de str, Self)> {
        let collection = collection(name);
        let value = match collection {
            None => self.of(self.node.child(name)?),
            Some(Collection::List(element) | Collection::Map { element, .. }) => {
                self.elements(element).next()?;
                Self { collection, ..self }
            }
        };
        Some((name, value))
    }

    fn elements(self, element: Element) -> impl Iterator<Item = Self> {
        let named = move |child: &&Node<'de>| element.is(self.action, child.name());
        self.node.children().filter(named).map(move |child| self.of(child))
    }

    /// The entries of a map.
    fn entries(self, element: Element, key: &str, value: &str) -> impl Iterator<Item = (&'de str, Self)> {
        self.elements(element).filter_map(move |entry| {
            let name = entry.node.child(key)?.text();
            Some((name, self.of(entry.node.child(value)?)))
        })
    }

    /// Every child under its own name: what a structure of flattened parts asks for.
    fn children(self) -> impl Iterator<Item = (&'de str, Self)> {
        self.node.children().map(move |child| (child.name(), self.of(child)))
    }
}

macro_rules! by_parsing {
    ($($method:ident $visit:ident,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let text = self.node.text().trim();
            match text.parse() {
                Ok(value) => visitor.$visit(value),
                Err(_) => Err(de::Error::invalid_value(de::Unexpected::Str(text), &visitor)),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = Error;

    by_parsing! {
        deserialize_bool visit_bool,
        deserialize_i32 visit_i32, deserialize_i64 visit_i64,
        deserialize_u8 visit_u8, deserialize_u32 visit_u32, deserialize_u64 visit_u64,
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.collection {
            None => visitor.visit_borrowed_str(self.node.text()),
            Some(Collection::List(element)) => visitor.visit_seq(SeqDeserializer::new(self.elements(element))),
            Some(Collection::Map { .. }) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    /// A structure's fields say which of the children to look for, and under which names.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.collection.is_some() {
            return self.deserialize_any(visitor);
        }
        let members = fields.iter().filter_map(|field| self.member(field));
        visitor.visit_map(MapDeserializer::new(members))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.collection {
            Some(Collection::Map { element, key, value }) => {
                visitor.visit_map(MapDeserializer::new(self.entries(element, key, value)))
            }
            _ => visitor.visit_map(MapDeserializer::new(self.children())),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u16 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct enum
        identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Error> for Value<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
