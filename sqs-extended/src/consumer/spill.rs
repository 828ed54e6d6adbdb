//! Spills the segments of large payloads to temporary files.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::consumer::held_segment::Segment;
use crate::receive::segment_bytes::{SegmentBytes, SpillFile};
use crate::segment::Header;

/// Writes the segments of a payload to a file once they use too much memory.
pub(super) struct Spill {
    threshold: u64,
    files: Arc<Semaphore>,
    /// Locked during a write, so that a payload never has two files.
    writing: tokio::sync::Mutex<()>,
}

/// A segment to write.
struct Part {
    header: Header,
    bytes: Bytes,
}

/// All segments of a payload to write.
struct Job {
    target: Target,
    parts: Vec<Part>,
}

enum Target {
    /// The payload has a file already.
    Existing(Arc<SpillFile>),
    New(OwnedSemaphorePermit),
}

impl Spill {
    pub(super) fn new(threshold: u64, files: usize) -> Self {
        Self {
            threshold,
            files: Arc::new(Semaphore::new(files.min(Semaphore::MAX_PERMITS))),
            writing: tokio::sync::Mutex::default(),
        }
    }

    /// Returns `true` if segments of a payload of this size may have to be written.
    pub(super) fn may_spill(&self, total: u64) -> bool {
        total > self.threshold
    }

    /// Writes the segments of a payload that are in memory to its file if they exceed the threshold. `with` is called for
    /// each segment of the payload. The segments may change between two calls.
    ///
    /// # Errors
    ///
    /// The temporary file cannot be created or written, or there are too many.
    pub(super) async fn spill(&self, with: impl Fn(&mut dyn FnMut(&mut Segment))) -> io::Result<()> {
        let _one_at_a_time = self.writing.lock().await;
        let Some(job) = self.job(&with)? else {
            return Ok(());
        };
        let (file, parts) = tokio::task::spawn_blocking(move || job.write()).await??;
        with(&mut |segment| {
            // By now, the payload may have different segments, or its id may belong to another payload.
            if parts.iter().any(|part| part.is_from(segment)) {
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
            SegmentBytes::Spilled { file: existing, .. } => file = Some(Arc::clone(existing)),
        });
        let target = match file {
            Some(_) if parts.is_empty() => return Ok(None),
            Some(file) => Target::Existing(file),
            None if in_memory <= self.threshold => return Ok(None),
            None => Target::New(Arc::clone(&self.files).try_acquire_owned().map_err(|_| too_many())?),
        };
        Ok(Some(Job { target, parts }))
    }
}

impl Part {
    fn is_from(&self, segment: &Segment) -> bool {
        let is_same = matches!(&segment.bytes, SegmentBytes::Memory(bytes) if bytes.as_ptr() == self.bytes.as_ptr());
        is_same && segment.header == self.header
    }
}

impl Job {
    fn write(self) -> io::Result<(Arc<SpillFile>, Vec<Part>)> {
        let file = match self.target {
            Target::Existing(file) => file,
            Target::New(permit) => Arc::new(SpillFile::create(permit)?),
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
        "all temporary files are in use; raise `max_spill_files`",
    )
}
