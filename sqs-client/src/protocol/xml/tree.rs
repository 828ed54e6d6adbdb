//! A document as a tree of elements, without attributes, comments and namespaces, which no answer needs.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::Error;

/// Deepest nesting of elements that is read; SQS's own answers have 6.
const MAX_DEPTH: usize = 16;

/// An element: either text, or children with white space between them.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Node<'a> {
    pub(super) name: Box<str>,
    text: Cow<'a, str>,
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

    fn push_text(&mut self, text: Cow<'a, str>) {
        if self.text.is_empty() {
            self.text = text;
        } else {
            self.text.to_mut().push_str(&text);
        }
    }
}

pub(super) fn parse(body: &[u8]) -> Result<Node<'_>, Error> {
    let document = std::str::from_utf8(body).map_err(|error| Error(format!("not UTF-8: {error}")))?;
    let mut reader = Reader::from_str(document);
    // The element being read and those around it, outermost first; the document itself is a nameless one.
    let mut around = Vec::new();
    let mut current = Node::default();
    loop {
        // quick-xml quotes names that do not match, which may be a message; the place says enough.
        let event = reader
            .read_event()
            .map_err(|_| Error(format!("not well-formed at byte {}", reader.error_position())))?;
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
            Event::GeneralRef(reference) => current.push_text(resolve(&reference)?),
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
fn resolve(reference: &BytesRef<'_>) -> Result<Cow<'static, str>, Error> {
    let character = reference.resolve_char_ref().map_err(|error| Error(error.to_string()))?;
    match character {
        Some(character) => Ok(Cow::Owned(character.to_string())),
        None => resolve_predefined_entity(reference)
            .map(Cow::Borrowed)
            .ok_or_else(|| Error("an entity is not defined".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(inner: &str) -> Result<String, Error> {
        let document = format!("<?xml version=\"1.0\"?><!-- c --><r>{inner}</r>");
        parse(document.as_bytes()).map(|root| root.text().to_owned())
    }

    #[test]
    fn text_is_kept_to_the_byte() {
        assert_eq!(text_of(" a\r\n b ").unwrap(), " a\r\n b ");
        assert_eq!(text_of("&lt;&amp;&#xD;&#10;&quot;").unwrap(), "<&\r\n\"");
        assert_eq!(text_of("x<![CDATA[<&>]]>y").unwrap(), "x<&>y");
    }

    #[test]
    fn tricks_are_refused() {
        assert!(text_of("&bomb;").is_err());
        assert!(text_of("&#0;").is_err());
        assert!(parse(b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>").is_err());
        assert!(parse("<a>".repeat(1000).as_bytes()).is_err());
        assert!(parse(b"<a><b></a></b>").is_err());
        assert!(parse(b"<a>").is_err());
        assert!(parse(b"").is_err());
        assert!(parse(b"no element").is_err());
    }
}
