//! XML answers of the Query protocol, made into JSON ones.
//!
//! The document becomes a small tree, bounded in depth, and the tree the JSON that the same server would answer:
//! [`names`](super::names) knows which elements are lists and maps. So no shape is compiled once more for XML.

mod to_json;
mod tree;

pub(super) use tree::Node;

/// The output of an action as JSON: the content of `<ActionResult>` in `<ActionResponse>`.
pub(super) fn to_json(action: &str, body: &[u8]) -> Result<Vec<u8>, Error> {
    let root = tree::parse(body)?;
    // ElasticMQ calls some roots otherwise, but like all servers it adds its metadata; an error page does not.
    if root.name.strip_prefix(action) != Some("Response") && root.child("ResponseMetadata").is_none() {
        return Err(Error(format!("the document is not a {action}Response")));
    }
    // Actions without output have no result element.
    let result = root
        .children()
        .find(|child| child.name.strip_prefix(action) == Some("Result"));
    let mut json = Vec::with_capacity(body.len());
    to_json::structure(action, result.unwrap_or(&Node::default()), &mut json);
    Ok(json)
}

/// The document's root element.
pub(super) fn parse(body: &[u8]) -> Result<Node<'_>, Error> {
    tree::parse(body)
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
