//! The records of a journal.

use std::io::{self, BufRead};

use blake3::hazmat::ChainingValue;

use super::line::{self, Key};
use crate::payload::subtree::granule::{GRANULE, Granule};
use crate::transfer::part_plan::{MAX_PART_SIZE, MAX_PARTS};

/// The maximum number of chaining values in a line: those of the largest part.
const MAX_VALUES: usize = 5 * 1024;
const _: () = assert!(MAX_VALUES as u64 * GRANULE == MAX_PART_SIZE);

/// The number of hexadecimal digits of a chaining value.
const VALUE_DIGITS: usize = 2 * blake3::OUT_LEN;

/// The maximum length of an ETag in bytes. Longer ones are not recorded, which bounds the memory for all parts to 10 MiB.
const MAX_ETAG: usize = 1024;

/// The maximum length of a line in bytes, and with it the memory for reading a journal of any length.
const MAX_LINE: usize = MAX_VALUES * VALUE_DIGITS + 3 * MAX_ETAG + 128;

/// The maximum number of records of each granule in a journal, on average. It bounds the work for a hostile journal.
const MAX_REPEATS: u64 = 4;

/// Adjacent granules that are done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The first granule's number.
    pub(super) first: u64,
    /// The granules' chaining values, at least one.
    pub(super) chaining_values: Vec<ChainingValue>,
    /// The part of an upload that consists of these granules.
    pub(super) part: Option<UploadedPart>,
}

/// A part that the store has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UploadedPart {
    /// The part's number, counted from 0.
    pub(super) index: u64,
    /// The ETag of the part, by which the upload is completed.
    pub(super) etag: String,
}

impl Record {
    /// Records granules that are in the file of a download. They are adjacent, as a `GranuleHasher` returns them.
    pub(crate) fn downloaded(granules: &[Granule]) -> Self {
        debug_assert!(granules.is_sorted_by(|left, right| left.index() + 1 == right.index()));
        Self {
            first: granules.first().map_or(0, Granule::index),
            chaining_values: granules.iter().map(|granule| *granule.chaining_value()).collect(),
            part: None,
        }
    }

    /// Records a part, counted from 0, that the store has confirmed. `granules` are all of its granules, so its size must
    /// be a multiple of [`GRANULE`], except for the last one.
    pub(crate) fn uploaded(granules: &[Granule], index: u64, etag: impl Into<String>) -> Self {
        let etag = etag.into();
        Self {
            part: Some(UploadedPart { index, etag }),
            ..Self::downloaded(granules)
        }
    }

    /// Adds the record's lines to `lines`.
    ///
    /// # Errors
    ///
    /// The part exceeds a limit.
    pub(super) fn write(&self, lines: &mut String, key: &Key) -> io::Result<()> {
        let mut prefix = "granules".to_owned();
        if let Some(part) = &self.part {
            if self.chaining_values.len() > MAX_VALUES || part.etag.len() > MAX_ETAG || part.index >= MAX_PARTS {
                let why = format!(
                    "a part exceeds {MAX_PART_SIZE} bytes, its ETag {MAX_ETAG} bytes, or its number {MAX_PARTS}"
                );
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
            prefix = format!("part {} {}", part.index, line::encode(&part.etag));
        }
        let mut first = self.first;
        for values in self.chaining_values.chunks(MAX_VALUES) {
            let mut content = format!("{prefix} {first} ");
            for value in values {
                content.push_str(&blake3::Hash::from_bytes(*value).to_hex());
            }
            line::write(lines, key, &content);
            first += values.len() as u64;
        }
        Ok(())
    }

    fn parse(content: &str) -> Option<Self> {
        let mut words = content.split(' ');
        let part = match words.next()? {
            "granules" => None,
            "part" => Some(UploadedPart {
                index: words.next()?.parse().ok()?,
                etag: line::decode(words.next()?)?.into_owned(),
            }),
            _ => return None,
        };
        let first = words.next()?.parse().ok()?;
        let values = words.next()?.as_bytes().chunks(VALUE_DIGITS);
        let value = |digits| Some(*blake3::Hash::from_hex(digits).ok()?.as_bytes());
        let chaining_values = values.map(value).collect::<Option<_>>()?;
        words.next().is_none().then_some(Self {
            first,
            chaining_values,
            part,
        })
    }

    /// Returns `true` if a payload with this number of granules can have this record.
    fn is_within(&self, granules: u64) -> bool {
        let end = self.first.checked_add(self.chaining_values.len() as u64);
        let part = self.part.as_ref();
        !self.chaining_values.is_empty()
            && end.is_some_and(|end| end <= granules)
            && part.is_none_or(|part| part.index < MAX_PARTS && part.etag.len() <= MAX_ETAG)
    }
}

/// Reads the records that count. Ends silently at the first line that does not. Uses the memory of one line.
pub(crate) struct Records<R> {
    input: R,
    key: Key,
    /// The number of the payload's granules.
    granules: u64,
    /// The number of chaining values that are still read.
    values_left: u64,
    valid_bytes: u64,
    line: Vec<u8>,
    ended: bool,
}

impl<R: BufRead> Records<R> {
    /// Continues after the first line.
    pub(super) fn new(input: R, key: Key, payload_len: u64) -> Self {
        let granules = payload_len.div_ceil(GRANULE);
        Self {
            input,
            key,
            granules,
            values_left: granules.saturating_mul(MAX_REPEATS),
            valid_bytes: 0,
            line: Vec::new(),
            ended: false,
        }
    }

    /// Returns the number of bytes that the records so far occupy.
    pub(super) fn valid_bytes(&self) -> u64 {
        self.valid_bytes
    }

    fn read(&mut self) -> io::Result<Option<Record>> {
        let content = line::read(&mut self.input, MAX_LINE, &self.key, &mut self.line)?;
        let record = content.and_then(Record::parse);
        let Some(record) = record.filter(|record| record.is_within(self.granules)) else {
            return Ok(None);
        };
        let Some(left) = self.values_left.checked_sub(record.chaining_values.len() as u64) else {
            return Ok(None);
        };
        self.values_left = left;
        self.valid_bytes += self.line.len() as u64;
        Ok(Some(record))
    }
}

impl<R: BufRead> Iterator for Records<R> {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let record = self.read().transpose();
        self.ended = !matches!(record, Some(Ok(_)));
        record
    }
}
