//! The error of a document that cannot be read.

/// The reason why an XML response could not be read.
#[derive(Debug)]
pub(crate) struct Error(pub(super) String);

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}
