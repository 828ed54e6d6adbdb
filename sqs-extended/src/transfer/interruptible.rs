//! Work on the blocking pool that ends with the future that waits for it.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Tells long work that nobody waits for it any more.
#[derive(Debug, Default)]
pub(crate) struct Interrupt(AtomicBool);

impl Interrupt {
    /// Returns an error once the work is to end.
    ///
    /// # Errors
    ///
    /// The future was dropped.
    pub(crate) fn check(&self) -> io::Result<()> {
        match self.0.load(Relaxed) {
            true => Err(io::Error::other("the transfer was dropped")),
            false => Ok(()),
        }
    }

    pub(crate) fn set(&self) {
        self.0.store(true, Relaxed);
    }
}

struct Shared<T> {
    interrupt: Interrupt,
    /// Locked while the work is done.
    result: Mutex<Option<io::Result<T>>>,
}

impl<T> Shared<T> {
    fn result(&self) -> MutexGuard<'_, Option<io::Result<T>>> {
        // Work that panicked has no result.
        self.result.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Interrupts the work, waits for its end and drops its result.
struct Waiting<T>(Arc<Shared<T>>);

impl<T> Drop for Waiting<T> {
    fn drop(&mut self) {
        self.0.interrupt.set();
        let result = self.0.result().take();
        drop(result);
    }
}

/// Runs the work on the blocking pool. Dropping the future interrupts it, and waits until it has ended and has released its
/// files. A runtime that is dropped does not wait for the rest of the work either.
///
/// # Errors
///
/// Returns the error of the work, or one if it panicked.
pub(crate) async fn interruptible<T: Send + 'static>(
    work: impl FnOnce(&Interrupt) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let waiting = Waiting(Arc::new(Shared {
        interrupt: Interrupt::default(),
        result: Mutex::new(None),
    }));
    let shared = Arc::clone(&waiting.0);
    let working = tokio::task::spawn_blocking(move || {
        let mut result = shared.result();
        // It may be dropped before it has begun.
        *result = Some(shared.interrupt.check().and_then(|()| work(&shared.interrupt)));
    });
    working.await?;
    let result = waiting.0.result().take();
    result.unwrap_or_else(|| Err(io::Error::other("the work has no result")))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn work_that_nobody_waits_for_has_ended() {
        let (begin, begun) = mpsc::channel();
        let held = Arc::new(());
        let of_work = Arc::clone(&held);
        let mut waiting = Box::pin(interruptible(move |interrupt| -> io::Result<()> {
            begin.send(()).unwrap();
            loop {
                interrupt.check()?;
                std::thread::sleep(Duration::from_millis(1));
                let _ = &of_work;
            }
        }));
        assert!(waiting.as_mut().now_or_never().is_none());
        begun.recv().unwrap();
        drop(waiting);
        assert_eq!(Arc::strong_count(&held), 1, "the work goes on");
    }

    #[tokio::test]
    async fn a_result_that_nobody_takes_is_dropped() {
        let held = Arc::new(());
        let result = Arc::clone(&held);
        let mut waiting = Box::pin(interruptible(move |_| Ok(result)));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(waiting);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[tokio::test]
    async fn results_and_errors_are_returned() {
        assert_eq!(interruptible(|_| Ok(7)).await.unwrap(), 7);
        let failed = interruptible::<()>(|_| Err(io::ErrorKind::NotFound.into())).await;
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(interruptible::<()>(|_| panic!("told to")).await.is_err());
    }
}
