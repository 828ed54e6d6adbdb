//! A payload that is read part by part, without a copy between the source and the part.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::{PutPayload, PutPayloadMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::error::{Error, ErrorKind};
use crate::payload::chunks::Chunks;
use crate::payload::source::{self, Payload};
use crate::transfer::budget::{BLOCK, Block, Budget};

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
        }
    }

    /// Returns the payload's length if it was declared.
    pub(crate) fn declared(&self) -> Option<u64> {
        self.declared
    }

    /// Returns `true` if parts need memory, because the caller does not have the payload in memory anyway.
    pub(crate) fn needs_memory(&self) -> bool {
        !matches!(self.source, Source::Nothing)
    }

    /// Returns the file if the payload is one and nothing was read yet.
    pub(crate) fn file(&self) -> Option<Arc<std::fs::File>> {
        match &self.source {
            Source::File(file) if self.front.is_empty() && self.read == 0 => Some(Arc::clone(file)),
            _ => None,
        }
    }

    /// Continues at this offset of the file.
    ///
    /// # Errors
    ///
    /// The file cannot be read at an offset of its own, or the payload is no file.
    pub(crate) async fn seek(&mut self, offset: u64) -> Result<(), Error> {
        let Source::File(file) = &self.source else {
            return Err(unreadable(io::ErrorKind::NotSeekable.into()));
        };
        let file = Arc::clone(file);
        let sought = tokio::task::spawn_blocking(move || (&*file).seek(SeekFrom::Start(offset)));
        sought.await.map_err(io::Error::from).flatten().map_err(unreadable)?;
        self.front = Bytes::new();
        self.read = offset;
        self.ended = false;
        Ok(())
    }

    /// Returns `true` after the last part. A source of unknown length may end without a further byte later.
    pub(crate) fn is_at_end(&self) -> bool {
        self.ended || self.declared == Some(self.read)
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
        let start = self.next_piece(limit.saturating_add(1)).await?;
        let start = start.map(Bytes::from).unwrap_or_default();
        if start.len() <= limit {
            return Ok(Some(start));
        }
        // The length is undeclared, else it would have been compared above.
        self.read = 0;
        let after = std::mem::replace(&mut self.front, start);
        match &mut self.source {
            _ if after.is_empty() => {}
            Source::Stream(stream) => {
                let rest = std::mem::replace(stream, stream::empty().boxed());
                *stream = stream::iter([Ok(after)]).chain(rest).boxed();
            }
            // An earlier call read more than this one needed.
            Source::Nothing | Source::File(_) | Source::Reader(_) => {
                self.front = [&*self.front, &*after].concat().into();
            }
        }
        Ok(None)
    }

    /// Returns the next part, or `None` at the end. It has `size` bytes, or fewer if it is the last one. Its buffers are blocks of
    /// the budget, which the caller has reserved.
    ///
    /// # Errors
    ///
    /// Returns an error if the source fails, or if it is shorter or longer than declared. The last part of a source that
    /// is too long is never returned, so that no upload can be completed by mistake.
    pub(crate) async fn next_part(&mut self, size: usize, budget: &Budget) -> Result<Option<PutPayload>, Error> {
        self.next(size, Buffers::Blocks(budget.clone())).await
    }

    /// Returns the next part, in memory that does not count.
    ///
    /// # Errors
    ///
    /// Fails as [`next_part`](Self::next_part) does.
    pub(crate) async fn next_piece(&mut self, size: usize) -> Result<Option<PutPayload>, Error> {
        self.next(size, Buffers::Plain).await
    }

    async fn next(&mut self, size: usize, buffers: Buffers) -> Result<Option<PutPayload>, Error> {
        if self.ended {
            return Ok(None);
        }
        let part = self.fill(size, buffers).await?;
        let len = part.content_length();
        self.ended = len < size;
        self.read = self.read.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
        match self.declared {
            Some(declared) if self.read > declared => Err(length_error("longer", declared)),
            Some(declared) if self.ended && self.read < declared => Err(length_error("shorter", declared)),
            _ => Ok((len > 0).then_some(part)),
        }
    }

    /// Returns the number of bytes to read for a part of `size` bytes: at most one more than remain as declared, to detect a
    /// source that does not end there.
    pub(crate) fn at_most(&self, size: usize) -> usize {
        let remaining = self
            .declared
            .map(|declared| declared.saturating_sub(self.read).saturating_add(1));
        let remaining = remaining.and_then(|remaining| usize::try_from(remaining).ok());
        remaining.unwrap_or(size).min(size)
    }

    async fn fill(&mut self, size: usize, buffers: Buffers) -> Result<PutPayload, Error> {
        let wanted = self.at_most(size);
        match &mut self.source {
            Source::Nothing => {
                let len = size.min(self.front.len());
                Ok(self.front.split_to(len).into())
            }
            Source::Stream(stream) => gather(stream, &mut self.front, size).await,
            Source::Reader(reader) => {
                let mut part = Filling::new(wanted);
                part.copy(&mut self.front, &buffers);
                while let Some(room) = part.room(&buffers) {
                    match reader.read(room).await.map_err(unreadable)? {
                        0 => break,
                        n => part.advance(n),
                    }
                }
                Ok(part.finish())
            }
            Source::File(file) => {
                let file = Arc::clone(file);
                let mut front = std::mem::take(&mut self.front);
                let read = tokio::task::spawn_blocking(move || {
                    let mut part = Filling::new(wanted);
                    part.copy(&mut front, &buffers);
                    read_file(&file, &mut part, &buffers)?;
                    Ok((part.finish(), front))
                });
                let (part, front) = read.await.map_err(io::Error::from).flatten().map_err(unreadable)?;
                self.front = front;
                Ok(part)
            }
        }
    }
}

/// The origin of a part's buffers.
enum Buffers {
    Blocks(Budget),
    Plain,
}

impl Buffers {
    /// Returns a buffer of at most `len` bytes.
    fn next(&self, len: usize) -> Buffer {
        match self {
            Self::Blocks(budget) => Buffer::Block(budget.uncounted_block()),
            Self::Plain => Buffer::Plain(BytesMut::zeroed(len.min(BLOCK)), 0),
        }
    }
}

enum Buffer {
    Block(Block),
    /// A buffer and the number of bytes in it.
    Plain(BytesMut, usize),
}

impl Buffer {
    fn room(&mut self) -> &mut [u8] {
        match self {
            Self::Block(block) => block.room(),
            Self::Plain(buffer, filled) => buffer.get_mut(*filled..).unwrap_or_default(),
        }
    }

    fn advance(&mut self, len: usize) {
        match self {
            Self::Block(block) => block.advance(len),
            Self::Plain(_, filled) => *filled += len,
        }
    }

    fn freeze(self) -> Bytes {
        match self {
            Self::Block(block) => block.freeze(),
            Self::Plain(mut buffer, filled) => {
                buffer.truncate(filled);
                buffer.freeze()
            }
        }
    }
}

/// A part that is being filled, buffer by buffer.
struct Filling {
    missing: usize,
    filled: Vec<Bytes>,
    current: Option<Buffer>,
}

impl Filling {
    fn new(len: usize) -> Self {
        Self {
            missing: len,
            filled: Vec::with_capacity(len.div_ceil(BLOCK)),
            current: None,
        }
    }

    /// Returns the next bytes to fill, or `None` if the part is full.
    fn room(&mut self, buffers: &Buffers) -> Option<&mut [u8]> {
        if self.missing == 0 {
            return None;
        }
        if self.current.as_mut().is_none_or(|current| current.room().is_empty()) {
            self.filled.extend(self.current.take().map(Buffer::freeze));
        }
        let (missing, current) = (self.missing, &mut self.current);
        let room = current.get_or_insert_with(|| buffers.next(missing)).room();
        let len = room.len().min(missing);
        room.get_mut(..len)
    }

    fn advance(&mut self, len: usize) {
        self.missing = self.missing.saturating_sub(len);
        if let Some(current) = &mut self.current {
            current.advance(len);
        }
    }

    /// Copies the beginning of `bytes` and removes it from `bytes`.
    fn copy(&mut self, bytes: &mut Bytes, buffers: &Buffers) {
        while !bytes.is_empty()
            && let Some(room) = self.room(buffers)
        {
            let copied = bytes.split_to(room.len().min(bytes.len()));
            if let Some(target) = room.get_mut(..copied.len()) {
                target.copy_from_slice(&copied);
            }
            self.advance(copied.len());
        }
    }

    fn finish(mut self) -> PutPayload {
        self.filled.extend(self.current.take().map(Buffer::freeze));
        self.filled.retain(|bytes| !bytes.is_empty());
        self.filled.into_iter().collect()
    }
}

/// Fills the part from the file, blocking.
fn read_file(mut file: &std::fs::File, part: &mut Filling, buffers: &Buffers) -> io::Result<()> {
    while let Some(room) = part.room(buffers) {
        match file.read(room) {
            Ok(0) => return Ok(()),
            Ok(n) => part.advance(n),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
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
