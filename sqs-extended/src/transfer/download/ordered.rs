//! An object's bytes in order, fetched by as many requests as the link deserves.
//!
//! The part that the reader is at passes through without a copy. Tasks fetch the parts behind it into blocks of the budget.
//! When the reader reaches a part, its task hands over the rest of the response. A reader therefore always continues, even
//! if other transfers use the whole budget.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use crate::error::Error;
use crate::payload::chunks::Chunks;
use crate::payload::digest::Digest;
use crate::transfer::budget::{BLOCK, Block, CONNECTION_BLOCKS};
use crate::transfer::download::object::wrong_digest;
use crate::transfer::download::part::{Admitted, Context, Part, task_failed};
use crate::transfer::tuner::Tuner;

/// The length of a part if a single request fills the link. It passes through without memory.
const SINGLE_PART: u64 = 32 * 1024 * 1024;

/// The length of a part of a near store.
const NEAR_PART: u64 = 8 * 1024 * 1024;

/// The length of a part of a far store. Shorter parts use the memory better, and longer ones need fewer requests.
pub(super) const FAR_PART: u64 = 2 * 1024 * 1024;

/// The next request is due before the current one has delivered its last bytes, so that the link is never idle.
const LOOKAHEAD: u64 = 2 * 1024 * 1024;

/// The download of an object in order.
pub(super) struct Ordered {
    context: Arc<Context>,
    tuner: Tuner,
    /// The length of all parts, if it is set.
    part_size: Option<u64>,
    head: Head,
    ahead: VecDeque<Ahead>,
    /// The beginning of the next part to request.
    next: u64,
    /// A part behind the head has arrived.
    arrived: Arc<Notify>,
    /// The digest to compare with that of all parts, which are hashed.
    digest: Option<Digest>,
}

/// The part that the reader is at.
enum Head {
    Direct(Box<Part>),
    Buffered(Ahead),
}

/// A part that is fetched ahead.
struct Ahead {
    blocks: mpsc::UnboundedReceiver<Bytes>,
    /// The number of bytes in `blocks`.
    buffered: Arc<AtomicU64>,
    len: u64,
    /// Tells the task to hand over the part.
    hand_over: Option<oneshot::Sender<()>>,
    task: AbortOnDropHandle<Result<Part, Error>>,
}

impl Ordered {
    /// Continues with the first part of an object.
    pub(super) fn new(context: Arc<Context>, first: Part, tuner: Tuner, part_size: Option<u64>) -> Self {
        Self {
            next: first.position() + first.missing(),
            context,
            tuner,
            part_size,
            head: Head::Direct(Box::new(first)),
            ahead: VecDeque::new(),
            arrived: Arc::default(),
            digest: None,
        }
    }

    /// Returns the length of most parts of a far store.
    pub(super) fn usual_len(part_size: Option<u64>) -> u64 {
        part_size.unwrap_or(FAR_PART)
    }

    /// Verifies the digest of the parts at the end. Their context must hash them.
    pub(super) fn verified_by(mut self, digest: Digest) -> Self {
        self.digest = Some(digest);
        self
    }

    /// Returns the object's bytes, or ends with an error.
    pub(super) fn into_stream(self) -> Chunks {
        stream::try_unfold(self, |mut ordered| async {
            Ok(ordered.next().await?.map(|chunk| (chunk, ordered)))
        })
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            self.request_more();
            match &mut self.head {
                Head::Direct(part) => {
                    let chunk = tokio::select! {
                        biased;
                        chunk = part.next() => chunk?,
                        () = self.arrived.notified() => continue,
                    };
                    if let Some(chunk) = chunk {
                        part.hash(&chunk).await;
                        return Ok(Some(chunk));
                    }
                    if !self.advance() {
                        self.context.finished();
                        return self.verify().map(|()| None);
                    }
                }
                Head::Buffered(ahead) => {
                    let block = tokio::select! {
                        biased;
                        block = ahead.blocks.recv() => block,
                        () = self.arrived.notified() => continue,
                    };
                    if let Some(block) = block {
                        let len = u64::try_from(block.len()).unwrap_or(u64::MAX);
                        ahead.buffered.fetch_sub(len, Relaxed);
                        return Ok(Some(block));
                    }
                    let part = (&mut ahead.task).await.map_err(task_failed)??;
                    self.head = Head::Direct(Box::new(part));
                }
            }
        }
    }

    fn verify(&self) -> Result<(), Error> {
        let arrived = self.context.root().map(Digest::from_blake3);
        if self.digest.is_some() && self.digest != arrived {
            return Err(wrong_digest());
        }
        Ok(())
    }

    /// Continues with the next part. Returns `false` at the end.
    fn advance(&mut self) -> bool {
        if let Some(mut ahead) = self.ahead.pop_front() {
            if let Some(hand_over) = ahead.hand_over.take() {
                // The task may have ended.
                let _ = hand_over.send(());
            }
            self.head = Head::Buffered(ahead);
            return true;
        }
        let Some(part) = self.next_part(self.context.admit_always()) else {
            return false;
        };
        self.head = Head::Direct(Box::new(part));
        true
    }

    /// Requests parts ahead as far as the tuner and the limits allow.
    fn request_more(&mut self) {
        let target = self.context.target(&mut self.tuner);
        while self.next < self.context.object.len() {
            let behind = self.ahead.iter().filter(|ahead| !ahead.task.is_finished()).count();
            let head_ends = match &self.head {
                Head::Direct(part) => part.missing() <= LOOKAHEAD,
                Head::Buffered(ahead) => ahead.task.is_finished(),
            };
            if behind + usize::from(!head_ends) >= target || !self.has_room() {
                return;
            }
            let Some(admitted) = self.context.admit(behind + 1) else {
                return;
            };
            let Some(part) = self.next_part(admitted) else { return };
            self.ahead.push_back(Ahead::start(&self.context, part, &self.arrived));
        }
    }

    /// Returns `true` if one more part ahead fits into this download's share of the budget. Parts in flight are a
    /// quarter full on average, because they wait for their first byte at first. The budget itself is the hard limit.
    fn has_room(&self) -> bool {
        let blocks = self.context.budget.blocks() / self.context.transfer.siblings();
        let share = u64::try_from(blocks.saturating_mul(BLOCK)).unwrap_or(u64::MAX);
        let connection = u64::try_from(CONNECTION_BLOCKS * BLOCK).unwrap_or(u64::MAX);
        let planned = self.ahead.iter().map(|ahead| {
            let buffered = ahead.buffered.load(Relaxed);
            if ahead.task.is_finished() {
                buffered
            } else {
                connection + buffered + ahead.len.saturating_sub(buffered) / 4
            }
        });
        // A part beyond the share is fetched if nothing else is ahead, and then waits for its turn.
        self.ahead.is_empty() || planned.sum::<u64>() + connection + self.part_len() / 4 <= share
    }

    fn part_len(&self) -> u64 {
        self.part_size.unwrap_or(match &self.tuner {
            tuner if tuner.is_single() && self.ahead.is_empty() => SINGLE_PART,
            tuner if tuner.is_near() => NEAR_PART,
            _ => FAR_PART,
        })
    }

    /// Requests the next part, or returns `None` at the end.
    fn next_part(&mut self, admitted: Admitted) -> Option<Part> {
        let start = self.next;
        let end = start.saturating_add(self.part_len()).min(self.context.object.len());
        self.next = end;
        if start == end {
            return None;
        }
        let part = Part::new(&self.context, start..end, admitted);
        Some(part.compared_with(Self::usual_len(self.part_size)))
    }
}

impl Ahead {
    fn start(context: &Arc<Context>, part: Part, arrived: &Arc<Notify>) -> Self {
        let (filled, blocks) = mpsc::unbounded_channel();
        let (hand_over, handed_over) = oneshot::channel();
        let buffered = Arc::<AtomicU64>::default();
        let len = part.missing();
        let fetching = Fetching {
            part,
            context: Arc::clone(context),
            filled,
            buffered: Arc::clone(&buffered),
        };
        let arrived = Arc::clone(arrived);
        let task = tokio::spawn(async move {
            let part = fetching.run(handed_over).await;
            arrived.notify_one();
            part
        });
        Self {
            blocks,
            buffered,
            len,
            hand_over: Some(hand_over),
            task: AbortOnDropHandle::new(task),
        }
    }
}

/// The task that fetches a part ahead.
struct Fetching {
    part: Part,
    context: Arc<Context>,
    filled: mpsc::UnboundedSender<Bytes>,
    buffered: Arc<AtomicU64>,
}

impl Fetching {
    /// Fetches until the part has arrived or the reader reaches it. Returns the rest of the part.
    async fn run(mut self, mut handed_over: oneshot::Receiver<()>) -> Result<Part, Error> {
        let mut block: Option<Block> = None;
        loop {
            let chunk = tokio::select! {
                biased;
                _ = &mut handed_over => None,
                chunk = self.part.next() => chunk?,
            };
            let Some(mut chunk) = chunk else { break };
            self.part.hash(&chunk).await;
            while !chunk.is_empty() {
                let mut filling = match block.take() {
                    Some(block) => block,
                    None => tokio::select! {
                        biased;
                        mut reserved = self.context.budget.reserve_unread() => reserved.block(),
                        _ = &mut handed_over => {
                            self.send(chunk);
                            return Ok(self.part);
                        }
                    },
                };
                filling.copy_from(&mut chunk);
                if filling.is_full() {
                    self.send(filling.freeze());
                } else {
                    block = Some(filling);
                }
            }
        }
        if let Some(block) = block {
            self.send(block.freeze());
        }
        Ok(self.part)
    }

    fn send(&self, bytes: Bytes) {
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.buffered.fetch_add(len, Relaxed);
        // The reader may have been dropped.
        let _ = self.filled.send(bytes);
    }
}
