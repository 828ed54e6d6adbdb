//! The bodies of requests. They are counted, compared with the pattern in samples, and dropped.

use anyhow::Context as _;
use bytes::{Buf as _, BytesMut};
use tokio::time::Instant;

use super::Store;
use super::pace::{Pace, Shared};
use super::pattern::Pattern;
use super::request::Request;
use super::wire::{SAMPLE, Wire};

/// The maximum length of a body that the store keeps, such as the list of an upload's 10,000 parts.
const MAX_KEPT: u64 = 8 * 1024 * 1024;

/// The length of one read of an upload.
pub(super) const READ: usize = 256 * 1024;

/// The object or the part that a request has uploaded.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Uploaded {
    pub(super) length: u64,
    samples: Vec<(u64, [u8; SAMPLE])>,
}

impl Uploaded {
    fn add(&mut self, bytes: &[u8]) {
        if let Some(sample) = bytes.first_chunk() {
            self.samples.push((self.length, *sample));
        }
        self.length += bytes.len() as u64;
    }

    /// Returns `true` if an object has the samples when this part begins at `position`.
    pub(super) fn is_at(&self, position: u64, pattern: &Pattern) -> bool {
        let mut samples = self.samples.iter();
        samples.all(|(offset, sample)| pattern.matches(position + offset, sample))
    }
}

/// The end of a request's body, and the encodings around its bytes.
struct Framing {
    /// The remaining length, or `None` if the outermost encoding has an end of its own.
    remaining: Option<u64>,
    encodings: Vec<Chunked>,
}

impl Framing {
    fn of(request: &Request) -> anyhow::Result<Self> {
        let mut encodings = Vec::new();
        let is_chunked = request.header_has("transfer-encoding", "chunked");
        if is_chunked {
            encodings.push(Chunked::default());
        }
        if request.header_has("content-encoding", "aws-chunked") {
            encodings.push(Chunked::default());
        }
        let length = request.header("content-length").unwrap_or("0").parse()?;
        Ok(Self {
            remaining: (!is_chunked).then_some(length),
            encodings,
        })
    }

    fn is_done(&self) -> bool {
        match self.remaining {
            Some(remaining) => remaining == 0,
            None => self.encodings.first().is_none_or(Chunked::is_done),
        }
    }

    /// Takes the body's part of the received bytes, and passes on what they contain.
    fn decode(&mut self, received: &mut BytesMut, mut on_data: impl FnMut(&[u8])) -> anyhow::Result<usize> {
        let length = self.remaining.map_or(received.len(), |remaining| {
            remaining.min(received.len() as u64) as usize
        });
        let mut input = &received[..length];
        decode(&mut self.encodings, &mut input, &mut on_data)?;
        let taken = length - input.len();
        received.advance(taken);
        if let Some(remaining) = &mut self.remaining {
            *remaining -= taken as u64;
        }
        Ok(taken)
    }
}

/// Reads bodies from one connection.
pub(super) struct Reader<'a> {
    pub(super) store: &'a Store,
    pub(super) shared: &'a Shared,
    pub(super) wire: &'a mut Wire,
    pub(super) received: &'a mut BytesMut,
    pub(super) buffer: &'a mut [u8],
    pub(super) rate: u64,
}

impl Reader<'_> {
    /// Reads and drops the body of an upload at the speed of the link.
    pub(super) async fn upload(mut self, request: &Request) -> anyhow::Result<Uploaded> {
        let mut framing = Framing::of(request)?;
        let mut uploaded = Uploaded::default();
        let mut pace = Pace::new(self.rate, Instant::now());
        while !framing.is_done() {
            let taken = match &mut framing.remaining {
                Some(remaining) if framing.encodings.is_empty() && self.received.is_empty() => {
                    let max = (pace.write_length().min(*remaining)) as usize;
                    let (length, sample) = self.wire.receive(max, self.buffer).await?;
                    uploaded.add(&sample[..length.min(SAMPLE)]);
                    uploaded.length += length.saturating_sub(SAMPLE) as u64;
                    *remaining -= length as u64;
                    length
                }
                _ => {
                    self.fill().await?;
                    framing.decode(self.received, |data| uploaded.add(data))?
                }
            };
            self.store.count(|counts| counts.bytes_in += taken as u64);
            self.shared.transfer(&mut pace, taken as u64).await;
        }
        let stated = request.header("x-amz-decoded-content-length");
        if let Some(stated) = stated {
            anyhow::ensure!(
                stated.parse::<u64>()? == uploaded.length,
                "an upload has another decoded length than stated"
            );
        }
        Ok(uploaded)
    }

    /// Reads a short body.
    pub(super) async fn text(mut self, request: &Request) -> anyhow::Result<String> {
        let mut framing = Framing::of(request)?;
        let mut kept = Vec::new();
        while !framing.is_done() {
            self.fill().await?;
            framing.decode(self.received, |data| kept.extend_from_slice(data))?;
            anyhow::ensure!(kept.len() as u64 <= MAX_KEPT, "a request's body is too long");
        }
        Ok(String::from_utf8(kept)?)
    }

    async fn fill(&mut self) -> anyhow::Result<()> {
        if self.received.is_empty() {
            self.received.reserve(READ);
            anyhow::ensure!(
                self.wire.read(self.received).await? > 0,
                "a connection ended within a body"
            );
        }
        Ok(())
    }
}

/// A body in chunks, each after a line with its length. HTTP's `chunked` and S3's `aws-chunked` are alike.
#[derive(Default)]
struct Chunked {
    state: State,
    line: Vec<u8>,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum State {
    #[default]
    Length,
    Data(u64),
    EndOfData,
    Trailer,
    Done,
}

type OnData<'a> = &'a mut dyn FnMut(&[u8]);

/// Passes bytes through all encodings, the outermost first.
fn decode(encodings: &mut [Chunked], input: &mut &[u8], on_data: OnData<'_>) -> anyhow::Result<()> {
    let Some((first, rest)) = encodings.split_first_mut() else {
        on_data(input);
        *input = &[];
        return Ok(());
    };
    while !input.is_empty() && !first.is_done() {
        if let Some(mut data) = first.take_data(input)? {
            decode(rest, &mut data, on_data)?;
        }
    }
    Ok(())
}

impl Chunked {
    fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes a line, or data, which is returned.
    fn take_data<'a>(&mut self, input: &mut &'a [u8]) -> anyhow::Result<Option<&'a [u8]>> {
        if let State::Data(remaining) = self.state {
            let length = remaining.min(input.len() as u64);
            let (data, rest) = input.split_at(length as usize);
            *input = rest;
            self.state = match remaining - length {
                0 => State::EndOfData,
                remaining => State::Data(remaining),
            };
            return Ok(Some(data));
        }
        let end = input.iter().position(|byte| *byte == b'\n');
        let (line, rest) = input.split_at(end.map_or(input.len(), |end| end + 1));
        self.line.extend_from_slice(line);
        *input = rest;
        anyhow::ensure!(self.line.len() <= 8 * 1024, "a line between chunks is too long");
        if end.is_some() {
            let line = std::mem::take(&mut self.line);
            self.state = self.after_line(std::str::from_utf8(&line)?.trim_end())?;
        }
        Ok(None)
    }

    fn after_line(&self, line: &str) -> anyhow::Result<State> {
        Ok(match self.state {
            State::Length => {
                let length = line.split(';').next().unwrap_or_default();
                match u64::from_str_radix(length, 16).with_context(|| format!("{line:?} is not a chunk's length"))? {
                    0 => State::Trailer,
                    length => State::Data(length),
                }
            }
            State::Trailer if line.is_empty() => State::Done,
            State::Trailer => State::Trailer,
            _ => State::Length,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(headers: &str) -> Framing {
        let head = format!("PUT /b/k HTTP/1.1\r\n{headers}\r\n");
        Framing::of(&Request::parse(head.as_bytes()).unwrap().unwrap().0).unwrap()
    }

    /// Decodes a body that arrives in pieces of this length, with the next request behind it.
    fn decoded(headers: &str, body: &str, piece: usize) -> String {
        let mut framing = framing(headers);
        let mut data = Vec::new();
        let mut received = BytesMut::new();
        let sent = format!("{body}GET");
        for piece in sent.as_bytes().chunks(piece) {
            received.extend_from_slice(piece);
            if !framing.is_done() {
                framing
                    .decode(&mut received, |bytes| data.extend_from_slice(bytes))
                    .unwrap();
            }
        }
        assert!(framing.is_done());
        assert_eq!(&received[..], b"GET", "the next request is left");
        String::from_utf8(data).unwrap()
    }

    #[test]
    fn all_framings_yield_the_data() {
        let aws = "5;chunk-signature=ab\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:AA==\r\n\r\n";
        let nested = format!("{:x}\r\n{aws}\r\n0\r\n\r\n", aws.len());
        for piece in 1..80 {
            assert_eq!(decoded("Content-Length: 11\r\n", "hello world", piece), "hello world");
            assert_eq!(decoded("Transfer-Encoding: chunked\r\n", aws, piece), "hello world");
            let length = format!("Content-Length: {}\r\nContent-Encoding: aws-chunked\r\n", aws.len());
            assert_eq!(decoded(&length, aws, piece), "hello world");
            let both = "Transfer-Encoding: chunked\r\nContent-Encoding: aws-chunked\r\n";
            assert_eq!(decoded(both, &nested, piece), "hello world");
        }
        assert!(framing("").is_done(), "a request without a length has no body");
    }

    #[test]
    fn samples_find_the_wrong_position() {
        let pattern = Pattern::new();
        let mut uploaded = Uploaded::default();
        for piece in pattern.pieces(1_000_000, 3_000_000, 100_000) {
            uploaded.add(&piece);
        }
        assert_eq!(uploaded.length, 3_000_000);
        assert!(uploaded.is_at(1_000_000, &pattern));
        assert!(!uploaded.is_at(0, &pattern) && !uploaded.is_at(1_000_001, &pattern));
    }
}
