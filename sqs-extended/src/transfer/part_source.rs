//! A payload that is read part by part, without a copy between the source and the part.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::{PutPayload, PutPayloadMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::error::{Error, ErrorKind};
use crate::payload::source::{self, Payload};
use crate::payload::stream::Chunks;

/// Stream chunks below this size are gathered in blocks, because the overhead of each would exceed its content.
const SMALL_CHUNK: usize = 4 * 1024;

/// Reads a payload part by part and checks its declared length.
pub(crate) struct PartSource {
    source: Source,
    /// Bytes that were read ahead, or the rest of a chunk that did not fit into the last part.
    front: Bytes,
    declared: Option<u64>,
    read: u64,
    ended: bool,
    /// Buffers of uploaded parts, to be reused because fresh memory costs as much as the reading itself.
    spare: Vec<BytesMut>,
}

/// The source of the bytes after [`PartSource::front`].
enum Source {
    Nothing,
    File(Arc<std::fs::File>),
    Reader(Box<dyn AsyncRead + Send + Unpin>),
    Stream(Chunks),
}

impl From<Payload> for PartSource {
    fn from(payload: Payload) -> Self {
        let (front, source) = match payload.source {
            source::Source::Bytes(bytes) => (bytes, Source::Nothing),
            source::Source::File(file) => (Bytes::new(), Source::File(Arc::new(file))),
            source::Source::Reader(reader) => (Bytes::new(), Source::Reader(reader)),
            source::Source::Stream(stream) => (Bytes::new(), Source::Stream(stream.map_err(unreadable).boxed())),
        };
        Self {
            source,
            front,
            declared: payload.len,
            read: 0,
            ended: false,
            spare: Vec::new(),
        }
    }
}

impl PartSource {
    /// Creates a source from chunks, whose errors it returns unchanged.
    pub(crate) fn from_chunks(chunks: Chunks, declared: Option<u64>) -> Self {
        Self {
            source: Source::Stream(chunks),
            front: Bytes::new(),
            declared,
            read: 0,
            ended: false,
            spare: Vec::new(),
        }
    }

    /// Returns the payload's length if it was declared.
    pub(crate) fn declared(&self) -> Option<u64> {
        self.declared
    }

    /// Returns the number of bytes in the parts so far.
    pub(crate) fn read(&self) -> u64 {
        self.read
    }

    /// Returns the whole payload if it has up to `limit` bytes, else `None`. The next part then begins at the payload's
    /// beginning.
    ///
    /// # Errors
    ///
    /// Fails as [`next_part`](Self::next_part) does.
    pub(crate) async fn whole_up_to(&mut self, limit: usize) -> Result<Option<Bytes>, Error> {
        if self.declared.is_some_and(|len| !fits(len, limit)) {
            return Ok(None);
        }
        let start = self.next_part(limit.saturating_add(1)).await?;
        let start = start.map(Bytes::from).unwrap_or_default();
        if start.len() <= limit {
            return Ok(Some(start));
        }
        // The length is undeclared, else it would have been compared above.
        self.read = 0;
        let after = std::mem::replace(&mut self.front, start);
        if let Source::Stream(stream) = &mut self.source
            && !after.is_empty()
        {
            let rest = std::mem::replace(stream, stream::empty().boxed());
            *stream = stream::iter([Ok(after)]).chain(rest).boxed();
        }
        Ok(None)
    }

    /// Returns the next part, or `None` at the end. It has `size` bytes, or fewer if it is the last one.
    ///
    /// # Errors
    ///
    /// Returns an error if the source fails, or if it is shorter or longer than declared. The last part of a source that
    /// is too long is never returned, so that no upload can be completed by mistake.
    pub(crate) async fn next_part(&mut self, size: usize) -> Result<Option<PutPayload>, Error> {
        if self.ended {
            return Ok(None);
        }
        let part = self.fill(size).await?;
        let len = part.content_length();
        self.ended = len < size;
        self.read = self.read.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
        match self.declared {
            Some(declared) if self.read > declared => Err(length_error("longer", declared)),
            Some(declared) if self.ended && self.read < declared => Err(length_error("shorter", declared)),
            _ => Ok((len > 0).then_some(part)),
        }
    }

    /// Reuses the buffer of an uploaded part.
    pub(crate) fn recycle(&mut self, part: PutPayload, size: usize) {
        // The bytes of the other sources belong to the user.
        if let Source::File(_) | Source::Reader(_) = self.source
            && let Ok(buffer) = Bytes::from(part).try_into_mut()
            && buffer.len() == size
        {
            self.spare.push(buffer);
        }
    }

    async fn fill(&mut self, size: usize) -> Result<PutPayload, Error> {
        match &mut self.source {
            Source::Nothing => {
                let len = size.min(self.front.len());
                Ok(self.front.split_to(len).into())
            }
            Source::Stream(stream) => gather(stream, &mut self.front, size).await,
            Source::Reader(_) | Source::File(_) => self.fill_buffer(size).await.map_err(unreadable),
        }
    }

    async fn fill_buffer(&mut self, size: usize) -> io::Result<PutPayload> {
        // One byte more than declared, to detect a source that does not end there.
        let remaining = self
            .declared
            .map(|declared| declared.saturating_sub(self.read).saturating_add(1));
        let wanted = remaining
            .and_then(|remaining| usize::try_from(remaining).ok())
            .unwrap_or(size)
            .min(size);
        let mut buffer = self.spare.pop().unwrap_or_else(|| BytesMut::zeroed(wanted));
        let ready = take_front(&mut self.front, &mut buffer);
        match &mut self.source {
            Source::Nothing | Source::Stream(_) => Ok(filled_part(buffer, ready)),
            Source::Reader(reader) => {
                let n = read_to_fill(reader, buffer.get_mut(ready..).unwrap_or_default()).await?;
                Ok(filled_part(buffer, ready + n))
            }
            Source::File(file) => {
                let file = Arc::clone(file);
                tokio::task::spawn_blocking(move || {
                    let n = read_file_to_fill(&file, buffer.get_mut(ready..).unwrap_or_default())?;
                    Ok(filled_part(buffer, ready + n))
                })
                .await?
            }
        }
    }
}

/// Reads until the buffer is full or the reader ends, and returns the number of bytes read.
async fn read_to_fill(reader: &mut (dyn AsyncRead + Send + Unpin), buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest).await? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

/// Does the same for a file, blocking.
fn read_file_to_fill(mut file: &std::fs::File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Gathers up to `size` bytes of the stream. The rest of the last chunk goes to `front`.
async fn gather(stream: &mut Chunks, front: &mut Bytes, size: usize) -> Result<PutPayload, Error> {
    let mut part = PutPayloadMut::new().with_block_size(8 * SMALL_CHUNK);
    loop {
        let room = size.saturating_sub(part.content_length());
        let chunk = front.split_to(room.min(front.len()));
        match chunk.len() {
            0 => {}
            1..SMALL_CHUNK => part.extend_from_slice(&chunk),
            _ => part.push(chunk),
        }
        if part.content_length() >= size {
            return Ok(part.freeze());
        }
        match stream.next().await {
            Some(chunk) => *front = chunk?,
            None => return Ok(part.freeze()),
        }
    }
}

fn take_front(front: &mut Bytes, buffer: &mut BytesMut) -> usize {
    let start = front.split_to(front.len().min(buffer.len()));
    if let Some(target) = buffer.get_mut(..start.len()) {
        target.copy_from_slice(&start);
    }
    start.len()
}

fn filled_part(mut buffer: BytesMut, filled: usize) -> PutPayload {
    buffer.truncate(filled);
    buffer.freeze().into()
}

fn unreadable(error: io::Error) -> Error {
    Error::io(ErrorKind::PayloadSource, "the payload to send could not be read", error)
}

fn fits(len: u64, limit: usize) -> bool {
    usize::try_from(len).is_ok_and(|len| len <= limit)
}

fn length_error(how: &str, declared: u64) -> Error {
    Error::plain(
        ErrorKind::PayloadSource,
        format!("the payload to send is {how} than the declared {declared} bytes"),
    )
}
