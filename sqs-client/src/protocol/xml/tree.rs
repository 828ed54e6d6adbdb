//! Parses a document into a tree of elements, without the attributes, comments and namespaces that no response needs.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

use crate::protocol::bounds;
use crate::protocol::bounds::MAX_VALUES;
use crate::protocol::xml::error::Error;

/// The maximum nesting of elements. SQS's own responses have 6 levels.
const MAX_DEPTH: usize = 16;

/// An element with text, or with children and white space between them.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Node<'a> {
    pub(super) name: Box<str>,
    text: Cow<'a, str>,
    /// `true` if the text has a reference that is not a character.
    is_invalid: bool,
    children: Vec<Node<'a>>,
}

impl<'a> Node<'a> {
    fn new(start: &BytesStart<'_>) -> Self {
        Self {
            name: start.local_name().as_ref().into(),
            ..Self::default()
        }
    }

    pub(in crate::protocol) fn children(&self) -> impl Iterator<Item = &Node<'a>> {
        self.children.iter()
    }

    pub(in crate::protocol) fn child(&self, name: &str) -> Option<&Node<'a>> {
        self.children().find(|child| &*child.name == name)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the text of an element without children.
    pub(in crate::protocol) fn text(&self) -> &str {
        &self.text
    }

    /// Returns `true` if the text has a reference that is not a character.
    pub(super) fn is_invalid(&self) -> bool {
        self.is_invalid
    }

    fn push_text(&mut self, text: Cow<'a, str>) {
        if self.text.is_empty() {
            self.text = text;
        } else {
            self.text.to_mut().push_str(&text);
        }
    }
}

/// Parses a document. A reference that is not a character invalidates only its element.
pub(super) fn parse(document: &str) -> Result<Node<'_>, Error> {
    let mut reader = Reader::from_str(document);
    // `current` is the element that is being read, and `ancestors` has its ancestors, outermost first. The document
    // itself is an element without a name.
    let mut ancestors = Vec::new();
    let mut current = Node::default();
    let mut elements = 0_usize;
    loop {
        // quick-xml quotes mismatched names, which may be of a message, so only the position is kept.
        let event = reader.read_event().map_err(|_| {
            Error(format!(
                "the document is not well-formed at byte {}",
                reader.error_position()
            ))
        })?;
        elements += usize::from(matches!(event, Event::Start(_) | Event::Empty(_)));
        if elements > MAX_VALUES {
            return Err(Error(bounds::too_many_values()));
        }
        match event {
            Event::Start(start) => {
                if ancestors.len() == MAX_DEPTH {
                    return Err(Error(format!("elements are nested more than {MAX_DEPTH} deep")));
                }
                ancestors.push(std::mem::replace(&mut current, Node::new(&start)));
            }
            Event::End(_) => {
                let Some(parent) = ancestors.pop() else {
                    return Err(Error("an end tag has no start tag".to_owned()));
                };
                let ended = std::mem::replace(&mut current, parent);
                current.children.push(ended);
            }
            Event::Empty(start) => current.children.push(Node::new(&start)),
            // Line ends stay unchanged, because the MD5 of a body covers its exact bytes.
            Event::Text(text) => current.push_text(text.into_inner()),
            Event::CData(text) => current.push_text(text.into_inner()),
            Event::GeneralRef(reference) => match resolve(&reference) {
                Some(text) => current.push_text(text),
                None => current.is_invalid = true,
            },
            Event::DocType(_) => return Err(Error("the document has a DOCTYPE".to_owned())),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof if ancestors.is_empty() => break,
            Event::Eof => return Err(Error("the document is incomplete".to_owned())),
        }
    }
    match current.children.pop() {
        Some(root) => Ok(root),
        None => Err(Error("the document has no element".to_owned())),
    }
}

/// Resolves a character reference or one of XML's five predefined entities. Without a DOCTYPE, there are no others.
fn resolve(reference: &BytesRef<'_>) -> Option<Cow<'static, str>> {
    match reference.resolve_char_ref().ok()? {
        Some(character) => Some(Cow::Owned(character.to_string())),
        None => resolve_predefined_entity(reference).map(Cow::Borrowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(inner: &str) -> Result<String, Error> {
        let document = format!("<?xml version=\"1.0\"?><!-- c --><r>{inner}</r>");
        let root = parse(&document)?;
        assert!(!root.is_invalid());
        Ok(root.text().to_owned())
    }

    #[test]
    fn text_is_kept_byte_for_byte() {
        assert_eq!(text_of(" a\r\n b ").unwrap(), " a\r\n b ");
        assert_eq!(text_of("&lt;&amp;&#xD;&#10;&quot;").unwrap(), "<&\r\n\"");
        assert_eq!(text_of("x<![CDATA[<&>]]>y").unwrap(), "x<&>y");
    }

    #[test]
    fn malformed_and_hostile_documents_are_refused() {
        assert!(parse("<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>").is_err());
        assert!(parse(&"<a>".repeat(1000)).is_err());
        assert!(parse("<a><b></a></b>").is_err());
        assert!(parse("<a>").is_err());
        assert!(parse("").is_err());
        assert!(parse("no element").is_err());
    }

    #[test]
    fn an_invalid_reference_invalidates_only_its_element() {
        for text in ["&bomb;", "&#0;", "a&#xD800;b", "&#x110000;"] {
            let document = format!("<r><a>{text}</a><b>&lt;</b></r>");
            let root = parse(&document).unwrap();
            assert!(!root.is_invalid() && root.child("a").unwrap().is_invalid(), "{text}");
            assert_eq!(root.child("b").unwrap().text(), "<");
        }
    }
}
