//! An account of the memory that messages occupy. Each message has its share, which returns when the message is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The memory that all messages of a server may occupy.
#[derive(Debug)]
pub(crate) struct Memory {
    limit: usize,
    held: AtomicUsize,
}

/// A share of the memory. It returns when its last clone is dropped, so that no removal of a message can forget it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    _share: Option<Arc<Share>>,
}

#[derive(Debug)]
struct Share {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Memory {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            held: AtomicUsize::new(0),
        })
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Returns the number of bytes that are held.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Holds memory. Returns `None` if that much is not left.
    pub(crate) fn hold(self: &Arc<Self>, bytes: usize) -> Option<Held> {
        let grow = |held: usize| held.checked_add(bytes).filter(|total| *total <= self.limit);
        let grown = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grow);
        grown.ok().map(|_| Held {
            _share: Some(Arc::new(Share {
                memory: self.clone(),
                bytes,
            })),
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_returns_with_its_last_clone() {
        let memory = Memory::new(10);
        let first = memory.hold(6).expect("room");
        assert!(memory.hold(5).is_none());
        let clone = first.clone();
        drop(first);
        assert_eq!(memory.held(), 6);
        drop(clone);
        assert_eq!(memory.held(), 0);
        assert!(memory.hold(10).is_some());
        assert!(memory.hold(usize::MAX).is_none());
    }
}
