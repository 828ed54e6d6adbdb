//! The memory that all transfers of a store share.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The number of bytes in a block. All buffers are blocks, so that they can be reused.
pub(crate) const BLOCK: usize = 256 * 1024;

/// The number of blocks that a connection's buffers use. hyper reads up to 408 KiB at a time. One such buffer is being filled,
/// and up to two have not been copied yet.
pub(crate) const CONNECTION_BLOCKS: usize = 5;

/// The number of blocks in a part of the minimum size.
const MIN_PART_BLOCKS: usize = 5 * 1024 * 1024 / BLOCK;

/// The share of the budget that buffers for readers never use, as a divisor. At least one part of an upload fits into it, so an
/// upload continues even if its own source is a reader with full buffers.
const WRITE_SHARE: usize = 8;

/// Counts the blocks of all transfers where they are allocated, and reuses their memory.
///
/// A block counts until the last reference to its bytes is dropped, so bytes that a reader keeps count too.
#[derive(Clone)]
pub(crate) struct Budget(Arc<Inner>);

struct Inner {
    free: Arc<Semaphore>,
    blocks: usize,
    /// The share of `free` that buffers for readers may use.
    unread: Arc<Semaphore>,
    /// The permit of the one part that may use more than what is free.
    beyond: Arc<Semaphore>,
    /// The memory of freed blocks. Emptied when no block is in use, so that an idle store uses none.
    spare: Mutex<Vec<Vec<u8>>>,
}

/// Blocks that count as used, without memory.
pub(crate) struct Reserved {
    budget: Budget,
    permits: Permits,
    /// `Some` if it is larger than what was free.
    _beyond: Option<OwnedSemaphorePermit>,
}

#[derive(Default)]
struct Permits {
    free: Option<OwnedSemaphorePermit>,
    unread: Option<OwnedSemaphorePermit>,
}

impl Budget {
    /// Creates a budget of `bytes`, rounded down to blocks, but at least one.
    pub(crate) fn new(bytes: u64) -> Self {
        let blocks = usize::try_from(bytes).unwrap_or(usize::MAX) / BLOCK;
        let blocks = blocks.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Self(Arc::new(Inner {
            free: Arc::new(Semaphore::new(blocks)),
            blocks,
            unread: Arc::new(Semaphore::new(blocks - Self::write_share(blocks))),
            beyond: Arc::new(Semaphore::new(1)),
            spare: Mutex::default(),
        }))
    }

    fn write_share(blocks: usize) -> usize {
        (blocks / WRITE_SHARE).max(MIN_PART_BLOCKS).min(blocks / 2)
    }

    /// Returns the size of the budget in blocks.
    pub(crate) fn blocks(&self) -> usize {
        self.0.blocks
    }

    /// Returns the number of blocks that nobody uses.
    pub(crate) fn free_blocks(&self) -> usize {
        self.0.free.available_permits()
    }

    /// Reserves blocks whose release depends on nothing but the network, the disk and time. Waiters are served in order.
    ///
    /// Readers may keep all blocks but a share. If more is needed, it waits until that is free as well, or until no other
    /// reservation is larger than what was free.
    pub(crate) async fn reserve(&self, blocks: usize) -> Reserved {
        // The semaphores are never closed.
        let acquire = |blocks| Arc::clone(&self.0.free).acquire_many_owned(count(blocks));
        let guaranteed = blocks.min(Self::write_share(self.0.blocks)).max(1);
        let rest = blocks.min(self.0.blocks).saturating_sub(guaranteed);
        let mut free = acquire(guaranteed).await.ok();
        let (more, beyond) = tokio::select! {
            biased;
            more = acquire(rest) => (more.ok(), None),
            beyond = Arc::clone(&self.0.beyond).acquire_owned() => (self.take_free(rest), beyond.ok()),
        };
        if let (Some(free), Some(more)) = (&mut free, more) {
            free.merge(more);
        }
        Reserved {
            _beyond: beyond,
            ..self.reserved(Permits { free, unread: None })
        }
    }

    /// Takes up to this number of free blocks.
    fn take_free(&self, blocks: usize) -> Option<OwnedSemaphorePermit> {
        let free = blocks.min(self.free_blocks());
        Arc::clone(&self.0.free).try_acquire_many_owned(count(free)).ok()
    }

    /// Reserves a block like [`reserve`](Self::reserve) if one is free now.
    pub(crate) fn try_reserve(&self) -> Option<Reserved> {
        let free = Some(Arc::clone(&self.0.free).try_acquire_owned().ok()?);
        Some(self.reserved(Permits { free, unread: None }))
    }

    /// Waits for a block of a buffer that a reader empties.
    pub(crate) async fn reserve_unread(&self) -> Reserved {
        let unread = Arc::clone(&self.0.unread).acquire_owned().await.ok();
        let free = Arc::clone(&self.0.free).acquire_owned().await.ok();
        self.reserved(Permits { free, unread })
    }

    /// Counts the blocks of a connection's buffers, if blocks for readers are free now.
    pub(crate) fn try_reserve_connection(&self) -> Option<Reserved> {
        let acquire = |all: &Arc<Semaphore>| Arc::clone(all).try_acquire_many_owned(count(CONNECTION_BLOCKS)).ok();
        let unread = Some(acquire(&self.0.unread)?);
        let free = Some(acquire(&self.0.free)?);
        // Spare memory may only fill what is free.
        self.spare().truncate(self.free_blocks());
        Some(self.reserved(Permits { free, unread }))
    }

    fn reserved(&self, permits: Permits) -> Reserved {
        Reserved {
            budget: self.clone(),
            permits,
            _beyond: None,
        }
    }

    /// Returns a block that the caller counts by a reservation, for bytes that others may keep after the reservation ends.
    pub(crate) fn uncounted_block(&self) -> Block {
        self.block(Permits::default())
    }

    fn block(&self, permits: Permits) -> Block {
        Block {
            memory: self.spare().pop().unwrap_or_else(|| vec![0; BLOCK]),
            filled: 0,
            permits,
            budget: self.clone(),
        }
    }

    fn recycle(&self, memory: Vec<u8>, permits: Permits) {
        {
            let mut spare = self.spare();
            if spare.len() < self.0.blocks {
                spare.push(memory);
            }
        }
        // Only now, so that nobody allocates memory that is about to be spare.
        drop(permits);
        if self.free_blocks() == self.0.blocks {
            let unused = std::mem::take(&mut *self.spare());
            drop(unused);
        }
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        // Every update is complete, so a panic cannot leave the list inconsistent.
        self.0.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("blocks", &self.0.blocks)
            .field("free", &self.free_blocks())
            .finish()
    }
}

impl Reserved {
    /// Takes one of the reserved blocks.
    pub(crate) fn block(&mut self) -> Block {
        let one = |permit: &mut Option<OwnedSemaphorePermit>| permit.as_mut().and_then(|permit| permit.split(1));
        let permits = Permits {
            free: one(&mut self.permits.free),
            unread: one(&mut self.permits.unread),
        };
        self.budget.block(permits)
    }
}

fn count(blocks: usize) -> u32 {
    u32::try_from(blocks).unwrap_or(u32::MAX)
}

/// A buffer of [`BLOCK`] bytes that is being filled.
pub(crate) struct Block {
    memory: Vec<u8>,
    filled: usize,
    permits: Permits,
    budget: Budget,
}

impl Block {
    /// Copies the beginning of `bytes` into the block and removes it from `bytes`.
    pub(crate) fn copy_from(&mut self, bytes: &mut Bytes) {
        let room = self.room();
        let copied = bytes.split_to(room.len().min(bytes.len()));
        if let Some(target) = room.get_mut(..copied.len()) {
            target.copy_from_slice(&copied);
            self.filled += copied.len();
        }
    }

    /// Returns the part of the block that is not filled yet.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.memory.get_mut(self.filled..).unwrap_or_default()
    }

    /// Counts the first `len` bytes of [`room`](Self::room) as filled.
    pub(crate) fn advance(&mut self, len: usize) {
        self.filled = self.filled.saturating_add(len).min(BLOCK);
    }

    pub(crate) fn filled(&self) -> &[u8] {
        self.memory.get(..self.filled).unwrap_or_default()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.filled == BLOCK
    }

    /// Returns the filled bytes. The block counts as used until they are dropped.
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        self.filled()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.budget
            .recycle(std::mem::take(&mut self.memory), std::mem::take(&mut self.permits));
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[tokio::test]
    async fn blocks_count_until_their_bytes_are_dropped() {
        let budget = Budget::new(4 * MIB);
        let mut reserved = budget.reserve(2).await;
        let mut block = reserved.block();
        block.copy_from(&mut Bytes::from_static(b"hello"));
        let bytes = block.freeze();
        drop(reserved);
        assert_eq!(bytes, "hello");
        assert_eq!(budget.free_blocks(), 15);
        let part = bytes.slice(1..);
        drop(bytes);
        assert_eq!(budget.free_blocks(), 15);
        drop(part);
        assert_eq!(budget.free_blocks(), 16);
    }

    #[tokio::test]
    async fn readers_leave_room_for_a_part_of_an_upload() {
        let budget = Budget::new(16 * MIB);
        let mut unread = Vec::new();
        while let Some(reserved) = budget.reserve_unread().now_or_never() {
            unread.push(reserved);
        }
        assert!(budget.try_reserve_connection().is_none());
        assert_eq!(budget.free_blocks(), MIN_PART_BLOCKS);
        assert!(budget.reserve(1000).now_or_never().is_some());
        unread.truncate(unread.len() - CONNECTION_BLOCKS);
        assert!(budget.try_reserve_connection().is_some());
        drop(unread);
        assert_eq!(budget.free_blocks(), budget.blocks());
    }

    #[tokio::test]
    async fn one_large_part_at_a_time_uses_more_than_is_free() {
        let budget = Budget::new(16 * MIB);
        let reserve = || budget.reserve(25).now_or_never();
        let (one, other) = (reserve().unwrap(), reserve().unwrap());
        assert_eq!((budget.blocks(), budget.free_blocks()), (64, 14));
        assert!(reserve().is_none(), "the share of writes is not free");
        drop(one);
        let next = reserve().unwrap();
        let beyond = budget.reserve(1000);
        let mut beyond = std::pin::pin!(beyond);
        assert!(beyond.as_mut().now_or_never().is_none());
        drop(other);
        let beyond = beyond.await;
        assert_eq!(budget.free_blocks(), 0);
        drop(next);
        let second = budget.reserve(1000);
        let mut second = std::pin::pin!(second);
        assert!(second.as_mut().now_or_never().is_none(), "there is one already");
        drop(beyond);
        drop(second.await);
        assert_eq!(budget.free_blocks(), 64);
    }

    #[tokio::test]
    async fn memory_is_reused_and_an_idle_budget_has_none() {
        let budget = Budget::new(3 * MIB);
        let mut reserved = budget.reserve(6).await;
        let blocks: Vec<_> = std::iter::repeat_with(|| reserved.block()).take(4).collect();
        let first = reserved.block();
        drop(blocks);
        assert_eq!(budget.spare().len(), 4);
        drop(reserved.block());
        assert_eq!(budget.spare().len(), 4);
        let connections: Vec<_> = std::iter::from_fn(|| budget.try_reserve_connection()).collect();
        assert!(!connections.is_empty() && budget.spare().len() <= budget.free_blocks());
        drop((reserved, connections, first));
        assert!(budget.spare().is_empty());
    }

    #[tokio::test]
    async fn a_full_block_accepts_no_more() {
        let budget = Budget::new(MIB);
        let mut block = budget.reserve(1).await.block();
        let mut bytes = Bytes::from(vec![7; BLOCK + 1]);
        block.copy_from(&mut bytes);
        assert!(block.is_full() && bytes.len() == 1);
        block.copy_from(&mut bytes);
        assert_eq!(bytes.len(), 1);
        assert_eq!(block.filled().len(), BLOCK);
    }
}
