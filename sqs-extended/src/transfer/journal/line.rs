//! Lines with checksums.

use std::borrow::Cow;
use std::io::{self, BufRead, Read as _};

use percent_encoding::{NON_ALPHANUMERIC, PercentEncode, percent_decode_str, utf8_percent_encode};

/// The number of hexadecimal digits of a checksum.
pub(super) const CHECKSUM: usize = 16;

/// The key of the checksums. Lines with another key are corrupt.
pub(super) type Key = [u8; blake3::KEY_LEN];

/// Adds a line to `lines`.
pub(super) fn write(lines: &mut String, key: &Key, content: &str) {
    lines.extend([checksum(key, content).as_str(), " ", content, "\n"]);
}

/// Reads the next line into `line`, without its end. Returns its content. Returns `None` if there are no more lines, or
/// if the line is torn, corrupt or longer than `max_len` bytes.
///
/// # Errors
///
/// The input could not be read.
pub(super) fn read<'a>(
    input: &mut impl BufRead,
    max_len: usize,
    key: &Key,
    line: &'a mut Vec<u8>,
) -> io::Result<Option<&'a str>> {
    line.clear();
    input.take(max_len as u64).read_until(b'\n', line)?;
    Ok(line.strip_suffix(b"\n").and_then(|line| content(line, key)))
}

fn content<'a>(line: &'a [u8], key: &Key) -> Option<&'a str> {
    let (found, content) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    (found == checksum(key, content)).then_some(content)
}

fn checksum(key: &Key, content: &str) -> String {
    let mut hex = blake3::keyed_hash(key, content.as_bytes()).to_hex().to_string();
    hex.truncate(CHECKSUM);
    hex
}

/// Encodes a text as one word.
pub(super) fn encode(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

pub(super) fn decode(word: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(word).decode_utf8().ok()
}
