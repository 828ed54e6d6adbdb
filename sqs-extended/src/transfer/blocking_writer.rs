//! Work that would stall the network if it were done between two reads: hashing, writing to a file.

use std::io::{self, Write};

use bytes::Bytes;
use tokio::task::JoinHandle;

/// So many bytes are worth a trip to the blocking pool.
const BATCH: usize = 1024 * 1024;

/// Feeds a writer on the blocking pool, in order, while the caller goes on fetching or sending.
///
/// One batch is being written while the next is gathered; a writer that is slower than the caller holds it back, so
/// that at most two batches are held.
pub(crate) struct BlockingWriter<W> {
    /// `None` after a failure.
    job: Option<JoinHandle<io::Result<W>>>,
    pending: Vec<Bytes>,
    pending_bytes: usize,
}

impl<W: Write + Send + 'static> BlockingWriter<W> {
    pub(crate) fn new(writer: W) -> Self {
        Self {
            job: Some(write(writer, Vec::new())),
            pending: Vec::new(),
            pending_bytes: 0,
        }
    }

    /// Takes the next chunks; waits only while the writer is a batch behind.
    ///
    /// # Errors
    ///
    /// An earlier write failed; the writer is gone then.
    pub(crate) async fn push(&mut self, chunks: impl IntoIterator<Item = Bytes>) -> io::Result<()> {
        for chunk in chunks {
            self.pending_bytes = self.pending_bytes.saturating_add(chunk.len());
            self.pending.push(chunk);
        }
        if self.pending_bytes >= BATCH {
            let writer = self.idle_writer().await?;
            self.pending_bytes = 0;
            self.job = Some(write(writer, std::mem::take(&mut self.pending)));
        }
        Ok(())
    }

    /// Writes what is left, and gives the writer back.
    ///
    /// # Errors
    ///
    /// A write failed, this one or an earlier.
    pub(crate) async fn finish(mut self) -> io::Result<W> {
        let writer = self.idle_writer().await?;
        if self.pending.is_empty() {
            return Ok(writer);
        }
        write(writer, self.pending).await?
    }

    async fn idle_writer(&mut self) -> io::Result<W> {
        let Some(job) = &mut self.job else {
            return Err(io::Error::other("an earlier write failed"));
        };
        let done = job.await;
        self.job = None;
        done?
    }
}

fn write<W: Write + Send + 'static>(mut writer: W, chunks: Vec<Bytes>) -> JoinHandle<io::Result<W>> {
    tokio::task::spawn_blocking(move || {
        for chunk in &chunks {
            writer.write_all(chunk)?;
        }
        Ok(writer)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn chunks_arrive_in_order() {
        let mut writer = BlockingWriter::new(Vec::new());
        let chunks: Vec<Bytes> = (0..=50_u8).map(|i| Bytes::from(vec![i; 100_000])).collect();
        for pair in chunks.chunks(2) {
            writer.push(pair.to_vec()).await.unwrap();
        }
        assert_eq!(writer.finish().await.unwrap(), chunks.concat());
    }

    #[tokio::test]
    async fn a_failure_is_told_and_stays() {
        // A slice is a writer that is full in the end.
        let full: &'static mut [u8] = Box::leak(Box::new([0; 10]));
        let mut writer = BlockingWriter::new(full);
        let batch = Bytes::from(vec![1; BATCH]);
        writer.push([batch.clone()]).await.unwrap();
        assert!(writer.push([batch.clone()]).await.is_err());
        assert!(writer.push([batch]).await.is_err());
        assert!(writer.finish().await.is_err());
    }
}
