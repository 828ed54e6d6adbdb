//! An object's bytes in a file, each part at its offset, in any order.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::error::{Error, ErrorKind};
use crate::payload::progress::Meter;
use crate::payload::subtree::granule::{GRANULE, GranuleHasher};
use crate::transfer::budget::{BLOCK, Block, Budget};
use crate::transfer::download::part::{Admitted, Context, Part, task_failed};
use crate::transfer::download::target::Target;
use crate::transfer::tuner::Tuner;

/// The length of a part if a single request fills the link.
const SINGLE_PART: u64 = 32 * GRANULE;

/// The length of one of several parts. The order does not matter, so a part needs memory only for what is being written.
const FILE_PART: u64 = 8 * GRANULE;

/// The blocks of a granule, which are hashed and written by one task of the blocking pool.
const BATCH: usize = 1024 * 1024 / BLOCK;

/// The time after which the number of requests is considered again, even if no part has ended.
const TICK: Duration = Duration::from_millis(20);

/// The download of an object to a file.
pub(super) struct ToFile {
    context: Arc<Context>,
    tuner: Tuner,
    part_size: Option<u64>,
    target: Arc<Target>,
    /// The ranges that are neither in the file nor requested, the first one last.
    missing: Vec<Range<u64>>,
    parts: JoinSet<Result<(), Error>>,
    /// Memory beyond the budget, so that the download continues even if other transfers use all of it.
    own: Budget,
    meter: Meter,
}

impl ToFile {
    pub(super) fn new(
        context: Arc<Context>,
        tuner: Tuner,
        part_size: Option<u64>,
        target: Arc<Target>,
        meter: Meter,
    ) -> Self {
        let mut missing = target.tree().missing(context.object.len());
        missing.reverse();
        Self {
            context,
            tuner,
            part_size,
            target,
            missing,
            parts: JoinSet::new(),
            own: Budget::new(GRANULE),
            meter,
        }
    }

    /// Fetches and writes everything that is missing. `first` is the part whose response has arrived.
    ///
    /// # Errors
    ///
    /// Returns an error if a part cannot be fetched or written.
    pub(super) async fn run(mut self, first: Part) -> Result<(), Error> {
        let (start, end) = (first.position(), first.position() + first.missing());
        let is_next = |missing: &Range<u64>| missing.start == start && missing.end >= end;
        if end.is_multiple_of(GRANULE) && self.missing.last().is_some_and(is_next) {
            self.skip(end);
            self.start(first);
        } else {
            // Its request must not count as one in flight.
            drop(first);
        }
        loop {
            self.request_more();
            tokio::select! {
                biased;
                done = self.parts.join_next() => match done {
                    Some(done) => done.map_err(task_failed)??,
                    None => {
                        self.context.finished();
                        return Ok(());
                    }
                },
                () = sleep(TICK) => {}
            }
        }
    }

    /// Returns the length of most parts.
    pub(super) fn usual_len(part_size: Option<u64>) -> u64 {
        let len = part_size.unwrap_or(FILE_PART);
        len.checked_next_multiple_of(GRANULE).unwrap_or(len)
    }

    fn request_more(&mut self) {
        let target = self.context.target(&mut self.tuner);
        while self.parts.len() < target && !self.missing.is_empty() {
            let admitted = match self.parts.len() {
                0 => self.context.admit_always(),
                own => match self.context.admit(own) {
                    Some(admitted) => admitted,
                    None => return,
                },
            };
            self.start_next(admitted);
        }
    }

    fn start_next(&mut self, admitted: Admitted) {
        let usual = Self::usual_len(self.part_size);
        let len = if self.tuner.is_single() {
            SINGLE_PART.max(usual)
        } else {
            usual
        };
        let Some(range) = self.missing.last().cloned() else {
            return;
        };
        let end = range.end.min(range.start.saturating_add(len));
        self.skip(end);
        let part = Part::new(&self.context, range.start..end, admitted);
        self.start(part.compared_with(usual));
    }

    /// Counts the missing bytes before `end` as requested.
    fn skip(&mut self, end: u64) {
        if let Some(range) = self.missing.last_mut() {
            range.start = end;
            if range.is_empty() {
                self.missing.pop();
            }
        }
    }

    fn start(&mut self, part: Part) {
        let writing = Writing {
            batch: Batch::at(part.position()),
            hasher: Some(GranuleHasher::new(part.position())),
            job: None,
            budget: self.context.budget.clone(),
            own: self.own.clone(),
            meter: self.meter.clone(),
            target: Arc::clone(&self.target),
        };
        self.parts.spawn(writing.run(part));
    }
}

/// Blocks that follow each other.
struct Batch {
    offset: u64,
    blocks: Vec<Block>,
}

impl Batch {
    fn at(offset: u64) -> Self {
        Self {
            offset,
            blocks: Vec::with_capacity(BATCH),
        }
    }

    fn is_full(&self) -> bool {
        self.blocks.len() == BATCH && self.blocks.iter().all(Block::is_full)
    }

    fn len(&self) -> u64 {
        self.blocks.iter().map(|block| block.filled().len() as u64).sum()
    }
}

/// The task that fetches and writes a part.
struct Writing {
    batch: Batch,
    /// `None` while the job has it.
    hasher: Option<GranuleHasher>,
    job: Option<JoinHandle<io::Result<GranuleHasher>>>,
    budget: Budget,
    own: Budget,
    meter: Meter,
    target: Arc<Target>,
}

impl Writing {
    async fn run(mut self, mut part: Part) -> Result<(), Error> {
        while let Some(chunk) = part.next().await? {
            let len = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            self.push(chunk).await.map_err(failed)?;
            self.meter.add(len);
        }
        self.flush().await.map_err(failed)?;
        let rest = self.idle_hasher().await.map_err(failed)?.finish();
        if rest.is_empty() {
            return Ok(());
        }
        let noted = tokio::task::spawn_blocking(move || self.target.note(&rest));
        noted.await.map_err(|error| failed(error.into()))
    }

    async fn push(&mut self, mut chunk: Bytes) -> io::Result<()> {
        while !chunk.is_empty() {
            match self.batch.blocks.last_mut() {
                Some(block) if !block.is_full() => block.copy_from(&mut chunk),
                _ => {
                    let block = self.block().await?;
                    self.batch.blocks.push(block);
                }
            }
            if self.batch.is_full() {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Returns an empty block. If none is free, the filled ones are written first, because other parts may wait for them.
    async fn block(&mut self) -> io::Result<Block> {
        if let Some(mut reserved) = self.budget.try_reserve() {
            return Ok(reserved.block());
        }
        self.flush().await?;
        let mut reserved = tokio::select! {
            biased;
            reserved = self.budget.reserve(1) => reserved,
            reserved = self.own.reserve(1) => reserved,
        };
        Ok(reserved.block())
    }

    /// Writes the batch on the blocking pool, while the next one is filled.
    async fn flush(&mut self) -> io::Result<()> {
        if self.batch.blocks.is_empty() {
            return Ok(());
        }
        let mut hasher = self.idle_hasher().await?;
        let next = Batch::at(self.batch.offset + self.batch.len());
        let batch = std::mem::replace(&mut self.batch, next);
        let target = Arc::clone(&self.target);
        self.job = Some(tokio::task::spawn_blocking(move || {
            target.write(&batch.blocks, batch.offset, &mut hasher)?;
            Ok(hasher)
        }));
        Ok(())
    }

    async fn idle_hasher(&mut self) -> io::Result<GranuleHasher> {
        if let Some(hasher) = self.hasher.take() {
            return Ok(hasher);
        }
        match self.job.take() {
            Some(job) => job.await?,
            None => Err(io::Error::other("an earlier write failed")),
        }
    }
}

fn failed(error: io::Error) -> Error {
    Error::io(ErrorKind::File, "failed to write the payload's file", error)
}
