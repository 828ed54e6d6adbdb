//! Segments of large payloads, which wait in temporary files.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::consumer::held_segment::Segment;
use crate::receive::segment_bytes::{SegmentBytes, SpillFile};
use crate::segment::Header;

/// Which payloads are written to files, and how many files there may be.
pub(super) struct Spill {
    above: u64,
    files: Arc<Semaphore>,
    /// Held while something is written, so that one payload never has two files.
    writing: tokio::sync::Mutex<()>,
}

/// A segment that is to be written.
struct Part {
    header: Header,
    bytes: Bytes,
}

/// All that is to be written of a payload.
struct Job {
    place: Place,
    parts: Vec<Part>,
}

enum Place {
    File(Arc<SpillFile>),
    New(OwnedSemaphorePermit),
}

impl Spill {
    pub(super) fn new(above: u64, files: usize) -> Self {
        Self {
            above,
            files: Arc::new(Semaphore::new(files.min(Semaphore::MAX_PERMITS))),
            writing: tokio::sync::Mutex::default(),
        }
    }

    /// Whether segments of a payload of this size may have to be written.
    pub(super) fn concerns(&self, total: u64) -> bool {
        total > self.above
    }

    /// Writes what is in memory of a payload to its file, where that is too much. `with` is called for each of the payload's
    /// segments, which may change between two calls.
    ///
    /// # Errors
    ///
    /// The temporary file cannot be made or written, or there are too many.
    pub(super) async fn spill(&self, with: impl Fn(&mut dyn FnMut(&mut Segment))) -> io::Result<()> {
        let _one_at_a_time = self.writing.lock().await;
        let Some(job) = self.job(&with)? else {
            return Ok(());
        };
        let (file, parts) = tokio::task::spawn_blocking(move || job.write()).await??;
        with(&mut |segment| {
            // The segments may be others by now: of another payload even.
            if parts.iter().any(|part| part.is_of(segment)) {
                segment.bytes = SegmentBytes::spilled(Arc::clone(&file), &segment.header, segment.len());
            }
        });
        Ok(())
    }

    fn job(&self, with: impl Fn(&mut dyn FnMut(&mut Segment))) -> io::Result<Option<Job>> {
        let (mut file, mut parts, mut in_memory) = (None, Vec::new(), 0_u64);
        with(&mut |segment| match &segment.bytes {
            SegmentBytes::Memory(bytes) => {
                in_memory = in_memory.saturating_add(segment.len());
                let (header, bytes) = (segment.header.clone(), bytes.clone());
                parts.push(Part { header, bytes });
            }
            SegmentBytes::Spilled { file: of_it, .. } => file = Some(Arc::clone(of_it)),
        });
        let place = match file {
            Some(_) if parts.is_empty() => return Ok(None),
            Some(file) => Place::File(file),
            None if in_memory <= self.above => return Ok(None),
            None => Place::New(Arc::clone(&self.files).try_acquire_owned().map_err(|_| too_many())?),
        };
        Ok(Some(Job { place, parts }))
    }
}

impl Part {
    fn is_of(&self, segment: &Segment) -> bool {
        let is_same = matches!(&segment.bytes, SegmentBytes::Memory(held) if held.as_ptr() == self.bytes.as_ptr());
        is_same && segment.header == self.header
    }
}

impl Job {
    fn write(self) -> io::Result<(Arc<SpillFile>, Vec<Part>)> {
        let file = match self.place {
            Place::File(file) => file,
            Place::New(permit) => Arc::new(SpillFile::create(permit)?),
        };
        for Part { header, bytes } in &self.parts {
            file.write(header.offset, bytes)?;
        }
        Ok((file, self.parts))
    }
}

fn too_many() -> io::Error {
    io::Error::new(
        io::ErrorKind::QuotaExceeded,
        "as many temporary files as allowed are in use; allow more by `max_spill_files`",
    )
}
