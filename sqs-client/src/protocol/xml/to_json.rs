//! Writes the tree as JSON.

use crate::protocol::json;
use crate::protocol::names::{Collection, collection, is_literal, is_verbatim, response_collections};
use crate::protocol::xml::Node;

/// Writes an element as a structure of its collections and its other children.
pub(super) fn structure(action: &str, node: &Node<'_>, out: &mut Vec<u8>) {
    let mut members = Elements::begin(b"{}", out);
    let mut element_names = Vec::new();
    for member in response_collections(action) {
        let Some(collection @ (Collection::List(element) | Collection::Map { element, .. })) = collection(member)
        else {
            continue;
        };
        let name = element.name(action);
        let mut elements = node.children().filter(|child| child.name() == name).peekable();
        if elements.peek().is_some() {
            members.key(member);
            values(action, collection, elements, members.out);
        }
        element_names.push(name);
    }
    for child in node.children() {
        if !element_names.iter().any(|name| child.name() == name) {
            members.key(child.name());
            value(action, child, members.out);
        }
    }
    members.end();
}

fn values<'a>(action: &str, collection: Collection, elements: impl Iterator<Item = &'a Node<'a>>, out: &mut Vec<u8>) {
    match collection {
        Collection::List(_) => {
            let mut items = Elements::begin(b"[]", out);
            for element in elements {
                items.next();
                value(action, element, items.out);
            }
            items.end();
        }
        Collection::Map {
            key: key_name,
            value: value_name,
            ..
        } => {
            let mut entries = Elements::begin(b"{}", out);
            for element in elements {
                if let (Some(key), Some(entry_value)) = (element.child(key_name), element.child(value_name)) {
                    entries.next();
                    text(key, entries.out);
                    entries.out.push(b':');
                    value(action, entry_value, entries.out);
                }
            }
            entries.end();
        }
    }
}

fn value(action: &str, node: &Node<'_>, out: &mut Vec<u8>) {
    let word = node.text().trim();
    if node.children().next().is_some() && !node.is_invalid() {
        structure(action, node, out);
    } else if is_literal(node.name()) && is_word(word) {
        out.extend_from_slice(word.as_bytes());
    } else {
        text(node, out);
    }
}

/// Writes the element's text. Unreadable text becomes unreadable JSON, so that both protocols report the value in the
/// same way.
fn text(node: &Node<'_>, out: &mut Vec<u8>) {
    if node.is_invalid() {
        out.extend_from_slice(br#""\ud800""#);
    } else if is_verbatim(node.name()) {
        write_text(node.text(), out);
    } else {
        write_text(node.text().trim(), out);
    }
}

/// Returns `true` if the text may be written without quotes. It is then a number, a boolean or an error of the JSON.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    // Text can always be serialized, and a vector accepts every write.
    let _ = json::text(text, out);
}

/// Writes the elements of a list or structure, separated by commas.
struct Elements<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
    end: u8,
}

impl<'a> Elements<'a> {
    fn begin([begin, end]: &[u8; 2], out: &'a mut Vec<u8>) -> Self {
        out.push(*begin);
        Self {
            out,
            first: true,
            end: *end,
        }
    }

    fn next(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
    }

    fn key(&mut self, key: &str) {
        self.next();
        write_text(key, self.out);
        self.out.push(b':');
    }

    fn end(self) {
        self.out.push(self.end);
    }
}
