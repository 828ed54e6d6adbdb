//! The bytes of a received segment, in memory or in a temporary file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use tokio::sync::OwnedSemaphorePermit;

use crate::error::{Error, ErrorKind};
use crate::payload::chunks::Chunks;
use crate::payload::digest::Digest;
use crate::segment::Header;
use crate::transfer::download::verified;

/// The number of bytes to read from a file at a time.
const READ_SIZE: usize = 1024 * 1024;

#[derive(Clone, Debug)]
pub(crate) enum SegmentBytes {
    Memory(Bytes),
    Spilled {
        file: Arc<SpillFile>,
        offset: u64,
        len: u64,
        checksum: Digest,
    },
}

/// A temporary file that the segments of a payload share.
#[derive(Debug)]
pub(crate) struct SpillFile {
    file: Mutex<File>,
    /// Counts this file against the maximum number of open files.
    _permit: OwnedSemaphorePermit,
}

impl SpillFile {
    /// Creates a file in the system's directory for temporary files. Dropping the last handle deletes it.
    ///
    /// # Errors
    ///
    /// The file cannot be created.
    pub(crate) fn create(permit: OwnedSemaphorePermit) -> io::Result<Self> {
        let file = tempfile::tempfile()?;
        Ok(Self {
            file: Mutex::new(file),
            _permit: permit,
        })
    }

    /// # Errors
    ///
    /// The bytes cannot be written.
    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(bytes)
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let mut bytes = vec![0; len];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

impl SegmentBytes {
    /// Returns the bytes of a segment that was written to this file at its offset in the payload.
    pub(crate) fn spilled(file: Arc<SpillFile>, header: &Header, len: u64) -> Self {
        Self::Spilled {
            file,
            offset: header.offset,
            len,
            checksum: header.checksum.clone(),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Self::Spilled { len, .. } => *len,
        }
    }

    /// Returns the bytes as chunks. They were verified on arrival, and bytes from a file are verified again.
    pub(crate) fn chunks(self) -> Chunks {
        let (file, offset, len, checksum) = match self {
            Self::Memory(bytes) => return stream::iter([Ok(bytes)]).boxed(),
            Self::Spilled {
                file,
                offset,
                len,
                checksum,
            } => (file, offset, len, checksum),
        };
        let chunks = stream::try_unfold((file, offset, len), |(file, offset, len)| async move {
            let chunk_len = usize::try_from(len).unwrap_or(usize::MAX).min(READ_SIZE);
            if chunk_len == 0 {
                return Ok(None);
            }
            let reader = Arc::clone(&file);
            let read = tokio::task::spawn_blocking(move || reader.read(offset, chunk_len)).await;
            let bytes = read
                .map_err(io::Error::from)
                .flatten()
                .map_err(|error| Error::io(ErrorKind::File, "failed to read the payload's temporary file", error))?;
            let read = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            Ok(Some((bytes, (file, offset + read, len - read))))
        });
        verified(chunks.boxed(), checksum)
    }
}
