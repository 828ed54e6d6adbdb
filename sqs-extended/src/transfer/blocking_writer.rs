//! A writer on the blocking pool, for hashing and file I/O that would stall the network between two reads.

use std::io::{self, Write};

use bytes::Bytes;
use tokio::task::JoinHandle;

/// The number of bytes that make a task on the blocking pool worthwhile.
const BATCH: usize = 1024 * 1024;

/// Feeds a writer on the blocking pool, in order, while the caller continues to fetch or send.
///
/// One batch is written while the next one is gathered. A slow writer delays the caller, so at most two batches are in
/// memory.
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

    /// Accepts the next chunks. Waits only while the writer is a batch behind.
    ///
    /// # Errors
    ///
    /// Returns an error if an earlier write failed. The writer is lost then.
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

    /// Writes the remaining chunks and returns the writer.
    ///
    /// # Errors
    ///
    /// Returns an error if this or an earlier write failed.
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
    async fn a_failed_writer_stays_failed() {
        // A write beyond the end of a slice fails.
        let full: &'static mut [u8] = Box::leak(Box::new([0; 10]));
        let mut writer = BlockingWriter::new(full);
        let batch = Bytes::from(vec![1; BATCH]);
        writer.push([batch.clone()]).await.unwrap();
        assert!(writer.push([batch.clone()]).await.is_err());
        assert!(writer.push([batch]).await.is_err());
        assert!(writer.finish().await.is_err());
    }
}
