//! A document as a tree of elements, without attributes, comments and namespaces, which no answer needs.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

use crate::protocol::bounds;
use crate::protocol::bounds::MAX_VALUES;
use crate::protocol::xml::Error;

/// Deepest nesting of elements that is read; SQS's own answers have 6.
const MAX_DEPTH: usize = 16;

/// An element: either text, or children with white space between them.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Node<'a> {
    pub(super) name: Box<str>,
    text: Cow<'a, str>,
    /// A part of the text stands for no character.
    is_spoilt: bool,
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

    /// The text of an element without children.
    pub(in crate::protocol) fn text(&self) -> &str {
        &self.text
    }

    /// Returns `true` if the text cannot be read, because a reference in it stands for no character.
    pub(super) fn is_spoilt(&self) -> bool {
        self.is_spoilt
    }

    fn push_text(&mut self, text: Cow<'a, str>) {
        if self.text.is_empty() {
            self.text = text;
        } else {
            self.text.to_mut().push_str(&text);
        }
    }
}

/// Reads a document. A reference that stands for no character spoils its element only.
pub(super) fn parse(document: &str) -> Result<Node<'_>, Error> {
    let mut reader = Reader::from_str(document);
    // The element being read and those around it, outermost first; the document itself is a nameless one.
    let mut around = Vec::new();
    let mut current = Node::default();
    let mut elements = 0_usize;
    loop {
        // quick-xml quotes names that do not match, which may be a message; the place says enough.
        let event = reader
            .read_event()
            .map_err(|_| Error(format!("not well-formed at byte {}", reader.error_position())))?;
        elements += usize::from(matches!(event, Event::Start(_) | Event::Empty(_)));
        if elements > MAX_VALUES {
            return Err(Error(bounds::too_many_values()));
        }
        match event {
            Event::Start(start) => {
                if around.len() == MAX_DEPTH {
                    return Err(Error(format!("elements are nested more than {MAX_DEPTH} deep")));
                }
                around.push(std::mem::replace(&mut current, Node::new(&start)));
            }
            Event::End(_) => {
                let Some(parent) = around.pop() else {
                    return Err(Error("an element ends that did not begin".to_owned()));
                };
                let ended = std::mem::replace(&mut current, parent);
                current.children.push(ended);
            }
            Event::Empty(start) => current.children.push(Node::new(&start)),
            // Line ends stay as they are: a body's MD5 is of its very bytes.
            Event::Text(text) => current.push_text(text.into_inner()),
            Event::CData(text) => current.push_text(text.into_inner()),
            Event::GeneralRef(reference) => match resolve(&reference) {
                Some(text) => current.push_text(text),
                None => current.is_spoilt = true,
            },
            Event::DocType(_) => return Err(Error("the document has a DOCTYPE".to_owned())),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof if around.is_empty() => break,
            Event::Eof => return Err(Error("the document is cut off".to_owned())),
        }
    }
    match current.children.pop() {
        Some(root) => Ok(root),
        None => Err(Error("the document has no element".to_owned())),
    }
}

/// A character or one of XML's own five entities; there are no others without a DOCTYPE.
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
        assert!(!root.is_spoilt());
        Ok(root.text().to_owned())
    }

    #[test]
    fn text_is_kept_to_the_byte() {
        assert_eq!(text_of(" a\r\n b ").unwrap(), " a\r\n b ");
        assert_eq!(text_of("&lt;&amp;&#xD;&#10;&quot;").unwrap(), "<&\r\n\"");
        assert_eq!(text_of("x<![CDATA[<&>]]>y").unwrap(), "x<&>y");
    }

    #[test]
    fn tricks_are_refused() {
        assert!(parse("<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>").is_err());
        assert!(parse(&"<a>".repeat(1000)).is_err());
        assert!(parse("<a><b></a></b>").is_err());
        assert!(parse("<a>").is_err());
        assert!(parse("").is_err());
        assert!(parse("no element").is_err());
    }

    #[test]
    fn what_stands_for_no_character_spoils_its_element_only() {
        for text in ["&bomb;", "&#0;", "a&#xD800;b", "&#x110000;"] {
            let document = format!("<r><a>{text}</a><b>&lt;</b></r>");
            let root = parse(&document).unwrap();
            assert!(!root.is_spoilt() && root.child("a").unwrap().is_spoilt(), "{text}");
            assert_eq!(root.child("b").unwrap().text(), "<");
        }
    }
}
