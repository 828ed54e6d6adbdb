//! Both wire protocols: their codecs, the table of shapes that they share, and AWS's errors.

pub(crate) mod error;
pub(crate) mod input;
pub(crate) mod json;
pub(crate) mod query;
pub(crate) mod query_json;
pub(crate) mod schema;
pub(crate) mod xml;

/// A wire protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// AWS JSON 1.0.
    Json,
    /// AWS Query, with responses in XML.
    Query,
}

/// The treatment of members that the service's model does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// Ignores them, as AWS does.
    Lenient,
    /// Refuses them, so that a test finds a misspelt member.
    Strict,
}
