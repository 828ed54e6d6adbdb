//! The payload to send, generated or from a file, and a reader that hashes the bytes that pass.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use anyhow::Context as _;
use tokio::fs::File;
use tokio::io::{AsyncRead, ReadBuf};

use crate::options::{InvalidInput, Options};

/// The payload's bytes.
pub(crate) enum Source {
    Generated(Generated),
    File { file: File, size: u64 },
}

impl Source {
    pub(crate) async fn open(options: &Options) -> Result<Self, InvalidInput> {
        let Some(path) = &options.file else {
            return Ok(Self::Generated(Generated::new(options.size.as_u64())));
        };
        let unreadable = |error| InvalidInput(format!("cannot read {}: {error}", path.display()));
        let file = File::open(path).await.map_err(unreadable)?;
        let metadata = file.metadata().await.map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(InvalidInput(format!("{} is not a file", path.display())));
        }
        let size = metadata.len();
        Ok(Self::File { file, size })
    }

    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Generated(generated) => generated.remaining,
            Self::File { size, .. } => *size,
        }
    }
}

impl AsyncRead for Source {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Generated(generated) => Pin::new(generated).poll_read(context, buffer),
            Self::File { file, .. } => Pin::new(file).poll_read(context, buffer),
        }
    }
}

/// Random bytes, generated as they are read.
pub(crate) struct Generated {
    random: fastrand::Rng,
    remaining: u64,
}

impl Generated {
    fn new(size: u64) -> Self {
        Self {
            random: fastrand::Rng::new(),
            remaining: size,
        }
    }
}

impl AsyncRead for Generated {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let remaining = usize::try_from(this.remaining).unwrap_or(usize::MAX);
        let room = buffer.initialize_unfilled();
        let count = room.len().min(remaining);
        this.random.fill(room.get_mut(..count).unwrap_or_default());
        buffer.advance(count);
        this.remaining = this.remaining.saturating_sub(count.try_into().unwrap_or(u64::MAX));
        Poll::Ready(Ok(()))
    }
}

/// A reader that hashes the bytes read through it.
pub(crate) struct Hashed<R> {
    inner: R,
    hasher: blake3::Hasher,
    digest: Arc<OnceLock<blake3::Hash>>,
}

/// The digest of a [`Hashed`] reader's bytes, which is known when the reader reaches the end.
pub(crate) struct Digest(Arc<OnceLock<blake3::Hash>>);

impl Digest {
    pub(crate) fn get(&self) -> anyhow::Result<blake3::Hash> {
        self.0.get().copied().context("the payload was not read to its end")
    }
}

impl<R> Hashed<R> {
    pub(crate) fn new(inner: R) -> (Self, Digest) {
        let digest = Arc::new(OnceLock::new());
        let hashed = Self {
            inner,
            hasher: blake3::Hasher::new(),
            digest: digest.clone(),
        };
        (hashed, Digest(digest))
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Hashed<R> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(context, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        if read.is_empty() && buffer.remaining() > 0 {
            this.digest.get_or_init(|| this.hasher.finalize());
        }
        this.hasher.update(read);
        Poll::Ready(Ok(()))
    }
}
