//! The progress of transfers, reported to a function of the caller.

mod rate;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::time::Instant;

use crate::payload::chunks::Chunks;
use rate::Rate;

/// The shortest time between two reports.
const INTERVAL: Duration = Duration::from_millis(100);

/// The state of an upload or a download, as [`ExtendedMessage::on_progress`](crate::ExtendedMessage::on_progress) and
/// [`DownloadRequest::on_progress`](crate::receive::DownloadRequest::on_progress) report it.
///
/// Counts the bytes of the stored object, that is, after compression and encryption. For a payload that travels in the queue,
/// counts the payload's own bytes.
///
/// ```
/// use sqs_extended::payload::Progress;
///
/// fn print(progress: &Progress) {
///     let total = progress.total.map_or("unknown".to_owned(), |total| total.to_string());
///     println!("{} of {total} bytes, {:.0} bytes/s", progress.done, progress.bytes_per_second);
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// The number of bytes that have been transferred. An upload counts a part when the store has confirmed it. Bytes that
    /// an earlier attempt transferred count from the beginning. If an upload has to start over, so does the count.
    pub done: u64,
    /// The payload's length in bytes, or `None` if it is not known before the end.
    pub total: Option<u64>,
    /// The recent rate in bytes per second, averaged over about 3 seconds. It excludes the bytes of an earlier attempt.
    pub bytes_per_second: f64,
    /// The time since this attempt began to transfer the payload. It excludes the verification of earlier parts.
    pub elapsed: Duration,
}

type Report = dyn Fn(&Progress) + Send + Sync;

/// The caller's function, if there is one.
#[derive(Clone, Default)]
pub(crate) struct OnProgress(Option<Arc<Report>>);

impl OnProgress {
    pub(crate) fn new(report: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(report)))
    }

    /// Starts to count a transfer, of which `done` bytes were transferred earlier.
    pub(crate) fn meter(&self, total: Option<u64>, done: u64) -> Meter {
        Meter(self.0.as_ref().map(|report| {
            Arc::new(Counted {
                report: Arc::clone(report),
                begin: Instant::now(),
                total,
                done: AtomicU64::new(done),
                due: AtomicU64::new(0),
                is_reporting: AtomicBool::new(false),
                is_broken: AtomicBool::new(false),
                rate: Mutex::new(Rate::starting_at(done)),
            })
        }))
    }
}

impl fmt::Debug for OnProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnProgress").field(&self.0.is_some()).finish()
    }
}

/// Counts the bytes of one transfer, and reports them. Clones count together.
#[derive(Clone, Default)]
pub(crate) struct Meter(Option<Arc<Counted>>);

struct Counted {
    report: Arc<Report>,
    begin: Instant,
    total: Option<u64>,
    done: AtomicU64,
    /// The time of the next report, in milliseconds since the beginning.
    due: AtomicU64,
    /// A thread is in `report`. Others skip their report, so that reports are in order and nothing waits for them.
    is_reporting: AtomicBool,
    /// The function has panicked.
    is_broken: AtomicBool,
    rate: Mutex<Rate>,
}

impl Meter {
    /// Counts bytes, and reports them if a report is due.
    pub(crate) fn add(&self, bytes: u64) {
        let Some(counted) = &self.0 else { return };
        counted.done.fetch_add(bytes, Ordering::Relaxed);
        let elapsed = counted.begin.elapsed();
        if millis(elapsed) >= counted.due.load(Ordering::Relaxed) {
            counted.report(elapsed);
        }
    }

    /// Reports the end of a transfer whose bytes were all counted. No other thread counts any more.
    pub(crate) fn finish(&self) {
        if let Some(counted) = &self.0 {
            counted.report(counted.begin.elapsed());
        }
    }

    /// Counts the chunks that pass. Reports the end unless they end with an error.
    pub(crate) fn count(self, chunks: Chunks) -> Chunks {
        if self.0.is_none() {
            return chunks;
        }
        let counted = stream::try_unfold((chunks, self), |(mut chunks, meter)| async {
            let Some(chunk) = chunks.try_next().await? else {
                meter.finish();
                return Ok(None);
            };
            meter.add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            Ok(Some((chunk, (chunks, meter))))
        });
        counted.boxed()
    }
}

impl Counted {
    fn report(&self, elapsed: Duration) {
        if self.is_broken.load(Ordering::Relaxed) || self.is_reporting.swap(true, Ordering::Acquire) {
            return;
        }
        self.due.store(millis(elapsed + INTERVAL), Ordering::Relaxed);
        let done = self.done.load(Ordering::Relaxed);
        let bytes_per_second = {
            let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
            rate.update(done, elapsed)
        };
        let progress = Progress {
            done,
            total: self.total,
            bytes_per_second,
            elapsed,
        };
        // The state is the caller's, who is told of the panic by the hook.
        if catch_unwind(AssertUnwindSafe(|| (self.report)(&progress))).is_err() {
            self.is_broken.store(true, Ordering::Relaxed);
            tracing::warn!("the function that reports the progress of a transfer panicked; it is not called again");
        }
        self.is_reporting.store(false, Ordering::Release);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
