//! Both wire protocols: their codecs, the table of shapes that they share, and AWS's errors.

pub(crate) mod error;
pub(crate) mod input;
pub(crate) mod json;
pub(crate) mod query;
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
