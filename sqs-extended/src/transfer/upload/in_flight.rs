//! The parts of an upload that are being sent to the store.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::error::{Error, ErrorKind};
use crate::payload::progress::Meter;
use crate::telemetry::{self, Direction};
use crate::transfer::budget::Reserved;
use crate::transfer::part_plan::MAX_PARTS;
use crate::transfer::throttle::Transfer;
use crate::transfer::tuner::{Tuner, first_target};

/// The least number of parts in flight before the link is known.
const FIRST_CONCURRENCY: usize = 8;

/// The shortest time that a part is expected to take.
const PART_TIME: Duration = Duration::from_millis(100);

/// Sends as many parts side by side as the link and the limits permit.
pub(super) struct PartsInFlight {
    /// Each part has a task, so that it is sent while the next one is read.
    tasks: JoinSet<Result<(), Error>>,
    transfer: Transfer,
    tuner: Tuner,
    /// The number of bytes that have arrived at the store.
    stored: Arc<AtomicU64>,
    meter: Meter,
    sent: u64,
}

impl PartsInFlight {
    /// `delay` is the time that the store took to respond to the upload's beginning.
    pub(super) fn new(transfer: Transfer, concurrency: Option<usize>, delay: Duration, meter: Meter) -> Self {
        Self {
            tasks: JoinSet::new(),
            transfer,
            tuner: match concurrency {
                Some(concurrency) => Tuner::fixed(concurrency),
                None => {
                    let first = first_target(delay).max(FIRST_CONCURRENCY);
                    Tuner::starting_with(first, delay.max(PART_TIME), Instant::now())
                }
            },
            stored: Arc::default(),
            meter,
            sent: 0,
        }
    }

    /// Starts to send a part of `len` bytes as soon as the limits permit. `memory` is held until it is sent.
    ///
    /// # Errors
    ///
    /// Returns an error if an earlier part failed or if there are too many parts.
    pub(super) async fn send<Sending>(
        &mut self,
        len: u64,
        memory: Option<Reserved>,
        begin: impl FnOnce() -> Sending,
    ) -> Result<(), Error>
    where
        Sending: Future<Output = Result<(), Error>> + Send + 'static,
    {
        if self.sent == MAX_PARTS {
            return Err(Error::plain(
                ErrorKind::TooLarge,
                format!("the payload exceeds {MAX_PARTS} parts; declare its length or set a larger part size"),
            ));
        }
        let admitted = loop {
            let target = self.tuner.target(self.stored.load(Relaxed), Instant::now());
            let own = self.tasks.len();
            let admitted = match own {
                0 => Some(self.transfer.admit_always()),
                own if own < target => self.transfer.admit(own),
                _ => None,
            };
            if let Some(admitted) = admitted {
                break admitted;
            }
            if let Some(done) = self.tasks.join_next().await {
                sent_part(done)?;
            }
        };
        let (stored, meter) = (Arc::clone(&self.stored), self.meter.clone());
        let sending = begin();
        telemetry::count(telemetry::REQUESTS, Direction::Upload, 1);
        self.tasks.spawn(async move {
            let _until_sent = (admitted, memory);
            sending.await?;
            stored.fetch_add(len, Relaxed);
            telemetry::count(telemetry::BYTES, Direction::Upload, len);
            meter.add(len);
            Ok(())
        });
        self.sent += 1;
        Ok(())
    }

    /// Waits until all parts have been sent.
    ///
    /// # Errors
    ///
    /// Returns an error if a part failed.
    pub(super) async fn finish(&mut self) -> Result<(), Error> {
        while let Some(done) = self.tasks.join_next().await {
            sent_part(done)?;
        }
        Ok(())
    }

    /// Returns the tasks, so that they can be ended.
    pub(super) fn take(&mut self) -> JoinSet<Result<(), Error>> {
        std::mem::take(&mut self.tasks)
    }
}

fn sent_part(done: Result<Result<(), Error>, JoinError>) -> Result<(), Error> {
    done.unwrap_or_else(|error| Err(Error::io(ErrorKind::Store, PART_FAILED, error.into())))
}

/// The message of a part's failure.
pub(super) const PART_FAILED: &str = "a part of the payload could not be stored";
