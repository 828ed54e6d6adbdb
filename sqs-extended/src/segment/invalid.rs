//! The error of a malformed segment.

use std::fmt;

use crate::error::{Error, ErrorKind};

/// A message claims to be a segment, but is malformed or of a version that this crate cannot read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InvalidSegment(pub(super) &'static str);

impl fmt::Display for InvalidSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for InvalidSegment {}

impl From<InvalidSegment> for Error {
    fn from(invalid: InvalidSegment) -> Self {
        Self::plain(ErrorKind::UnexpectedSegment, invalid.to_string())
    }
}
