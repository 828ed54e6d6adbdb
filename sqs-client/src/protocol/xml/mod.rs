//! XML answers of the Query protocol, made into JSON ones.
//!
//! The document becomes a small tree, bounded in depth, and the tree the JSON that the same server would answer:
//! [`names`](crate::protocol::names) knows which elements are lists and maps. So no shape is compiled once more for XML.

mod to_json;
mod tree;

use std::borrow::Cow;

pub(super) use tree::Node;

/// The output of an action as JSON: the content of `<ActionResult>` in `<ActionResponse>`.
pub(super) fn to_json(action: &str, body: &[u8]) -> Result<Vec<u8>, Error> {
    let document = text(body)?;
    let root = tree::parse(&document)?;
    // ElasticMQ calls some roots otherwise, but like all servers it adds its metadata; an error page does not.
    if root.name.strip_prefix(action) != Some("Response") && root.child("ResponseMetadata").is_none() {
        return Err(Error(format!("the document is not a {action}Response")));
    }
    // Actions without output have no result element.
    let result = root
        .children()
        .find(|child| child.name.strip_prefix(action) == Some("Result"));
    if root.is_spoilt() || result.is_some_and(Node::is_spoilt) {
        return Err(Error("an entity is not defined".to_owned()));
    }
    let mut json = Vec::with_capacity(body.len());
    to_json::structure(action, result.unwrap_or(&Node::default()), &mut json);
    Ok(json)
}

/// The document's root element, seen by `read`.
pub(super) fn parse<T>(body: &[u8], read: impl FnOnce(&Node<'_>) -> T) -> Result<T, Error> {
    Ok(read(&tree::parse(&text(body)?)?))
}

/// Stands for bytes that are not UTF-8: a reference to what is no character either.
const NO_CHARACTER: &str = "&#xD800;";

/// Most places of a document that are not UTF-8, as each takes more room than before.
const MAX_NOT_UTF8: usize = 1_000;

/// The document's text, in which bytes that are not UTF-8 spoil their element only.
fn text(body: &[u8]) -> Result<Cow<'_, str>, Error> {
    let error = match std::str::from_utf8(body) {
        Ok(text) => return Ok(Cow::Borrowed(text)),
        Err(error) => error,
    };
    let mut text = String::with_capacity(body.len());
    let mut places = 0;
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push_str(NO_CHARACTER);
            places += 1;
        }
        if places > MAX_NOT_UTF8 {
            return Err(Error(format!("not UTF-8: {error}")));
        }
    }
    Ok(Cow::Owned(text))
}

/// Why an XML answer could not be read.
#[derive(Debug)]
pub(crate) struct Error(String);

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}
