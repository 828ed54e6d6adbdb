//! One kind of calls: the way in, with its bound, and the way out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use super::driver::{Driver, Event, Mailbox};
use super::queue::{Call, Reply};
use super::{BATCHER_PLACE_BYTES, Settings};
use crate::batch::Batch;
use crate::credentials::BoxFuture;
use crate::error::Error;

/// Sends the items of a batch: one result for each, in their order.
pub(super) type SendBatch<B> = Arc<dyn Fn(Vec<<B as Batch>::Item>) -> BoxFuture<'static, Results<B>> + Send + Sync>;

type Results<B> = Vec<Result<<B as Batch>::Result, Error>>;

pub(super) struct Lane<B: Batch> {
    settings: Settings,
    ordered: bool,
    send: SendBatch<B>,
    /// How many places there are.
    capacity: u32,
    /// Whoever holds all places knows that nothing is queued or under way.
    places: Arc<Semaphore>,
    shut: AtomicBool,
    /// The driver's, once there is one.
    mailbox: OnceLock<Mailbox<B>>,
}

impl<B: Batch> Lane<B> {
    pub(super) fn new(settings: Settings, ordered: bool, send: SendBatch<B>) -> Self {
        let capacity = settings.capacity.min(Semaphore::MAX_PERMITS);
        let capacity = u32::try_from(capacity).unwrap_or(u32::MAX);
        Self {
            settings,
            ordered,
            send,
            capacity,
            places: Arc::new(Semaphore::new(capacity as usize)),
            shut: AtomicBool::new(false),
            mailbox: OnceLock::new(),
        }
    }

    /// Queues an entry as soon as there is a place for it, and waits for its result.
    pub(super) async fn call(&self, item: B::Item) -> Result<B::Result, Error> {
        self.answer(item).await.map_err(|error| error.with_operation(B::NAME))
    }

    async fn answer(&self, item: B::Item) -> Result<B::Result, Error> {
        B::check(&item)?;
        self.check_open()?;
        let size = B::size(&item);
        let places = self.places(size).await?;
        // A shutdown that is missed here waits for these places.
        self.check_open()?;
        let (result, answer) = oneshot::channel();
        let call = Call {
            item,
            size,
            queued: Instant::now(),
            reply: Reply { result, places },
        };
        let queued = self.mailbox()?.send(Event::Call(call));
        queued.map_err(|_| Error::closed("the batcher's task has ended; this was not sent"))?;
        answer.await.unwrap_or_else(|_| {
            Err(Error::closed("the batcher's task ended before it had the answer to this").sent(true))
        })
    }

    async fn places(&self, size: usize) -> Result<OwnedSemaphorePermit, Error> {
        let more = u32::try_from(size / BATCHER_PLACE_BYTES).unwrap_or(u32::MAX);
        let places = more.saturating_add(1).min(self.capacity);
        let acquired = self.places.clone().acquire_many_owned(places).await;
        acquired.map_err(|_| Error::closed("the batcher takes no more calls; this was not sent"))
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.shut.load(Ordering::Acquire) {
            return Err(Error::closed("the batcher was shut down; this was not sent"));
        }
        Ok(())
    }

    /// The driver's mailbox; the first call starts it.
    fn mailbox(&self) -> Result<&Mailbox<B>, Error> {
        if let Some(mailbox) = self.mailbox.get() {
            return Ok(mailbox);
        }
        let runtime = Handle::try_current()
            .map_err(|error| Error::configuration("a batcher needs a tokio runtime").with_source(error))?;
        Ok(self.mailbox.get_or_init(|| {
            let (driver, mailbox) = Driver::new(self.settings, self.ordered, self.send.clone());
            runtime.spawn(driver.run());
            mailbox
        }))
    }

    /// Waits, without lingering, until all that was queued is answered.
    pub(super) async fn flush(&self) {
        let _hurry = self.mailbox.get().map(Hurry::new);
        // The semaphore is never closed; it is fair, so that later calls do not hold this up.
        let _ = self.places.acquire_many(self.capacity).await;
    }

    pub(super) async fn shutdown(&self) {
        self.shut.store(true, Ordering::Release);
        self.close();
        self.flush().await;
    }

    fn close(&self) {
        if let Some(mailbox) = self.mailbox.get() {
            // A driver that has ended has nothing queued.
            let _ = mailbox.send(Event::Close);
        }
    }
}

impl<B: Batch> Drop for Lane<B> {
    fn drop(&mut self) {
        self.close();
    }
}

/// While it lives, the driver does not linger.
struct Hurry<'a, B: Batch>(&'a Mailbox<B>);

impl<'a, B: Batch> Hurry<'a, B> {
    fn new(mailbox: &'a Mailbox<B>) -> Self {
        let _ = mailbox.send(Event::Hurry);
        Self(mailbox)
    }
}

impl<B: Batch> Drop for Hurry<'_, B> {
    fn drop(&mut self) {
        let _ = self.0.send(Event::Calm);
    }
}
