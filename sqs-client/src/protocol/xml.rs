//! XML answers of the Query protocol, read into the same serde types as JSON ones.
//!
//! The document becomes a small tree, bounded in depth, and the tree a serde deserializer ([`de`]). A structure's own
//! list of fields says which elements belong to it, and [`names`](super::names) which of them are lists and maps.

mod de;
mod tree;

use serde::de::DeserializeOwned;

pub(super) use tree::Node;

/// The output of an action: the content of `<ActionResult>` in `<ActionResponse>`.
pub(super) fn decode<T: DeserializeOwned>(action: &'static str, body: &[u8]) -> Result<T, Error> {
    let root = tree::parse(body)?;
    // ElasticMQ calls some roots otherwise, but like all servers it adds its metadata; an error page does not.
    if root.name.strip_prefix(action) != Some("Response") && root.child("ResponseMetadata").is_none() {
        return Err(Error(format!("the document is not a {action}Response")));
    }
    // Actions without output have no result element.
    let result = root
        .children()
        .find(|child| child.name.strip_prefix(action) == Some("Result"));
    de::from_node(action, result)
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

impl serde::de::Error for Error {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }

    // The two that would quote the value, which may be a message.

    fn invalid_type(_: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Self(format!("a value is not {expected}"))
    }

    fn invalid_value(_: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Self(format!("a value is not {expected}"))
    }
}
