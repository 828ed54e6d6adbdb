//! The heads of requests.

use std::ops::Range;

use anyhow::Context as _;
use percent_encoding::percent_decode_str;

/// The maximum length of a request's head.
pub(super) const MAX_HEAD: usize = 64 * 1024;

/// The parts of a request's head that the store uses.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) bucket: String,
    pub(super) key: String,
    /// `true` if the client expects the connection to end with the response.
    pub(super) closes: bool,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
}

impl Request {
    /// Parses the head at the start of `received`, and returns it with its length. Returns `None` until it has arrived.
    pub(super) fn parse(received: &[u8]) -> anyhow::Result<Option<(Self, usize)>> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(length) = request.parse(received)? else {
            anyhow::ensure!(received.len() < MAX_HEAD, "a request's head is too long");
            return Ok(None);
        };
        let target = request.path.context("the request has no path")?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = decoded(path.trim_start_matches('/'))?;
        let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
        let query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(name)?, decoded(value)?))
        });
        let headers = request.headers.iter().map(|header| {
            let value = std::str::from_utf8(header.value)?.trim();
            Ok((header.name.to_ascii_lowercase(), value.to_owned()))
        });
        let headers = headers.collect::<anyhow::Result<Vec<_>>>()?;
        let mut parsed = Self {
            method: request.method.unwrap_or_default().to_owned(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            query: query.collect::<anyhow::Result<_>>()?,
            closes: request.version == Some(0),
            headers,
        };
        parsed.closes |= parsed.header_has("connection", "close");
        Ok(Some((parsed, length)))
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        find(&self.query, name)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    pub(super) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns `true` if the comma-separated header contains a word.
    pub(super) fn header_has(&self, name: &str, word: &str) -> bool {
        let mut words = self.header(name).unwrap_or_default().split(',');
        words.any(|found| found.trim().eq_ignore_ascii_case(word))
    }

    /// Returns the requested range of an object of `length` bytes, `None` for the whole object, or an error if the object
    /// ends before it. A malformed range is ignored, as S3 does.
    pub(super) fn range(&self, length: u64) -> Result<Option<Range<u64>>, Unsatisfiable> {
        let range = self.header("range").and_then(|range| range.strip_prefix("bytes="));
        let Some((first, last)) = range.and_then(|range| range.split_once('-')) else {
            return Ok(None);
        };
        let range = match (first.parse::<u64>(), last.parse::<u64>()) {
            (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(length),
            (Ok(first), Err(_)) if last.is_empty() => first..length,
            (Err(_), Ok(suffix)) if first.is_empty() => length.saturating_sub(suffix)..length,
            _ => return Ok(None),
        };
        if range.start >= length {
            return Err(Unsatisfiable);
        }
        Ok(Some(range))
    }
}

/// The range begins after the object's end.
#[derive(Debug, PartialEq)]
pub(super) struct Unsatisfiable;

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = pairs.iter().find(|(found, _)| found == name);
    found.map(|(_, value)| value.as_str())
}

fn decoded(text: &str) -> anyhow::Result<String> {
    Ok(percent_decode_str(text).decode_utf8()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(head: &str) -> Request {
        Request::parse(head.as_bytes()).unwrap().unwrap().0
    }

    #[test]
    fn a_head_is_parsed_once_it_is_complete() {
        let head = "PUT /bench/a%20b/c?partNumber=2&uploadId=x%2Fy HTTP/1.1\r\nHost: s\r\nConnection: a, Close\r\n\r\n";
        for length in 0..head.len() {
            assert_eq!(Request::parse(&head.as_bytes()[..length]).unwrap(), None);
        }
        let request = request(&format!("{head}body"));
        assert_eq!((&*request.bucket, &*request.key), ("bench", "a b/c"));
        assert_eq!(request.query("partNumber"), Some("2"));
        assert_eq!(request.query("uploadId"), Some("x/y"));
        assert_eq!(request.query("uploads"), None);
        assert!(request.closes);
    }

    #[test]
    fn a_bucket_has_no_key() {
        let request = request("GET /bench?list-type=2&prefix= HTTP/1.1\r\n\r\n");
        assert_eq!((&*request.bucket, &*request.key), ("bench", ""));
        assert_eq!(request.query("prefix"), Some(""));
        assert!(!request.closes);
    }

    #[test]
    fn ranges_end_with_the_object() {
        let range = |range: &str| request(&format!("GET /b/k HTTP/1.1\r\nRange: {range}\r\n\r\n")).range(100);
        assert_eq!(range("bytes=0-9"), Ok(Some(0..10)));
        assert_eq!(range("bytes=90-199"), Ok(Some(90..100)));
        assert_eq!(range("bytes=90-"), Ok(Some(90..100)));
        assert_eq!(range("bytes=-30"), Ok(Some(70..100)));
        assert_eq!(range("bytes=-300"), Ok(Some(0..100)));
        assert_eq!(range("bytes=100-"), Err(Unsatisfiable));
        assert_eq!(range("bytes=-0"), Err(Unsatisfiable));
        for malformed in ["bytes=9-0", "lines=0-9", "bytes=x-", "bytes=0"] {
            assert_eq!(range(malformed), Ok(None), "{malformed}");
        }
    }
}
