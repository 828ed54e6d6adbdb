//! Converts XML responses of the Query protocol to JSON.
//!
//! The document becomes a tree of limited depth, and the tree becomes the JSON of the same response.
//! [`names`](crate::protocol::names) tells which elements are lists and maps. The conversion avoids a second deserializer
//! for each shape.

mod error;
mod to_json;
mod tree;

use std::borrow::Cow;

pub(crate) use error::Error;
pub(super) use tree::Node;

/// Converts the output of an action, which is the content of `<ActionResult>` in `<ActionResponse>`.
pub(super) fn to_json(action: &str, body: &[u8]) -> Result<Vec<u8>, Error> {
    let document = text(body)?;
    let root = tree::parse(&document)?;
    // ElasticMQ has other names for some roots. Like all servers it adds metadata, which an error page does not have.
    if root.name.strip_prefix(action) != Some("Response") && root.child("ResponseMetadata").is_none() {
        return Err(Error(format!("the document is not a {action}Response")));
    }
    // Actions without output have no result element.
    let result = root
        .children()
        .find(|child| child.name.strip_prefix(action) == Some("Result"));
    if root.is_invalid() || result.is_some_and(Node::is_invalid) {
        return Err(Error("an entity is undefined".to_owned()));
    }
    let mut json = Vec::with_capacity(body.len());
    to_json::structure(action, result.unwrap_or(&Node::default()), &mut json);
    Ok(json)
}

/// Parses the document and calls `read` with its root element.
pub(super) fn parse<T>(body: &[u8], read: impl FnOnce(&Node<'_>) -> T) -> Result<T, Error> {
    Ok(read(&tree::parse(&text(body)?)?))
}

/// The replacement for bytes that are not UTF-8: a reference to a surrogate, which is not a character either.
const INVALID_REFERENCE: &str = "&#xD800;";

/// The maximum number of invalid UTF-8 sequences in a document, because each replacement is longer.
const MAX_INVALID_UTF8: usize = 1_000;

/// Decodes the document's text. Bytes that are not UTF-8 invalidate only their element.
fn text(body: &[u8]) -> Result<Cow<'_, str>, Error> {
    let error = match std::str::from_utf8(body) {
        Ok(text) => return Ok(Cow::Borrowed(text)),
        Err(error) => error,
    };
    let mut text = String::with_capacity(body.len());
    let mut invalid = 0;
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push_str(INVALID_REFERENCE);
            invalid += 1;
        }
        if invalid > MAX_INVALID_UTF8 {
            return Err(Error(format!("the document is not UTF-8: {error}")));
        }
    }
    Ok(Cow::Owned(text))
}
