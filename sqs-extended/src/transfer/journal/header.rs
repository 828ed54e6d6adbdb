//! The first line of a journal, which identifies the transfer.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::io::{self, BufRead};

use super::line::{self, Key};

/// The maximum length of the first line, in bytes. A key of S3 has up to 1,024 bytes and a path up to 4,096, each of which
/// needs up to three characters.
const MAX_HEADER: usize = 32 * 1024;

/// The format and its version.
const FORMAT: &str = "sqs-extended-transfer 1";

/// The number of bytes by which a journal is recognized: the first line's checksum, a space and the format.
pub(super) const START: usize = line::CHECKSUM + 1 + FORMAT.len();

/// The field of every header that contains the payload's stored length in bytes.
const LENGTH: &str = "length";

/// The direction of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransferKind {
    Download,
    Upload,
}

/// The fields that identify a transfer, such as its bucket, key and ETag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity(BTreeMap<String, String>);

impl Identity {
    /// Begins with the field `kind`.
    pub(crate) fn new(kind: TransferKind) -> Self {
        let kind = match kind {
            TransferKind::Download => "download",
            TransferKind::Upload => "upload",
        };
        Self(BTreeMap::new()).with("kind", kind)
    }

    /// Adds a field, or replaces it. Must not be a secret.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Display) -> Self {
        self.0.insert(name.to_owned(), value.to_string());
        self
    }

    /// Returns a field's value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns `true` if all fields of `expected` are here, with the same values.
    pub(crate) fn includes(&self, expected: &Self) -> bool {
        expected.0.iter().all(|(name, value)| self.0.get(name) == Some(value))
    }
}

/// A valid first line.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) identity: Identity,
    /// The payload's stored length in bytes.
    pub(super) len: u64,
    /// The key of the records' checksums.
    pub(super) key: Key,
    /// The line, with its end.
    pub(super) text: String,
}

impl Header {
    /// # Errors
    ///
    /// The identity is too long.
    pub(super) fn new(identity: &Identity, len: u64) -> io::Result<Self> {
        let identity = identity.clone().with(LENGTH, len);
        let mut content = FORMAT.to_owned();
        for (name, value) in &identity.0 {
            // Writing to a String cannot fail.
            let _ = write!(content, " {}={}", line::encode(name), line::encode(value));
        }
        let header = Self::from_parts(identity, len, &content);
        if header.text.len() > MAX_HEADER {
            let why = format!("the identity of a transfer exceeds {MAX_HEADER} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        Ok(header)
    }

    /// Reads the first line. Returns `None` if it is corrupt, or if a field of `expected` is missing or different.
    ///
    /// # Errors
    ///
    /// The input could not be read.
    pub(super) fn read(input: &mut impl BufRead, expected: &Identity) -> io::Result<Option<Self>> {
        let mut line = Vec::new();
        let content = line::read(input, MAX_HEADER, &first_key(), &mut line)?;
        let header = content.and_then(Self::parse);
        Ok(header.filter(|header| header.identity.includes(expected)))
    }

    fn parse(content: &str) -> Option<Self> {
        let fields = content.strip_prefix(FORMAT)?.strip_prefix(' ')?;
        let mut identity = Identity(BTreeMap::new());
        for field in fields.split(' ') {
            let (name, value) = field.split_once('=')?;
            identity = identity.with(&line::decode(name)?, line::decode(value)?);
        }
        let len = identity.get(LENGTH)?.parse().ok()?;
        Some(Self::from_parts(identity, len, content))
    }

    fn from_parts(identity: Identity, len: u64, content: &str) -> Self {
        let mut text = String::new();
        line::write(&mut text, &first_key(), content);
        let key = *blake3::hash(text.as_bytes()).as_bytes();
        Self {
            identity,
            len,
            key,
            text,
        }
    }
}

/// Returns `true` if a file with this beginning is empty, or a journal that may be damaged. Any other file is somebody's.
pub(super) fn may_be_journal(start: &[u8]) -> bool {
    let format = start.get(line::CHECKSUM + 1..).unwrap_or_default();
    let equal = format
        .iter()
        .zip(FORMAT.as_bytes())
        .filter(|(there, ours)| there == ours);
    start.is_empty() || 4 * equal.count() >= 3 * FORMAT.len()
}

/// The first line's key. A text that is not a journal does not begin with such a checksum.
fn first_key() -> Key {
    *blake3::hash(FORMAT.as_bytes()).as_bytes()
}
