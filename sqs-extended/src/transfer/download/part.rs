//! A part of an object: fetched by one request, or by a second one as well if the first is slow.

use std::future::poll_fn;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use tokio::task::JoinError;
use tokio::time::{Instant, Sleep, sleep};

use crate::error::{Error, ErrorKind};
use crate::payload::chunks::Chunks;
use crate::payload::subtree::granule::{Granule, GranuleHasher};
use crate::payload::subtree::tree::Tree;
use crate::transfer::Resources;
use crate::transfer::budget::{Budget, Reserved};
use crate::transfer::download::fetch::{Fetch, in_pieces};
use crate::transfer::download::object::{Object, wrong_length};
use crate::transfer::download::pace::Pace;
use crate::transfer::throttle::{InFlight, Transfer};
use crate::transfer::tuner::Tuner;

/// The time after which a part asks again how long others take, as long as none has arrived.
const UNKNOWN_PACE: Duration = Duration::from_millis(100);

/// The state that the parts of a download share.
pub(super) struct Context {
    pub(super) object: Arc<Object>,
    pub(super) budget: Budget,
    pub(super) transfer: Transfer,
    pub(super) pace: Pace,
    /// The hashes of the granules, if they verify the payload.
    tree: Option<Mutex<Tree>>,
}

/// A request's place among those in flight, and the memory of its connection.
pub(super) struct Admitted {
    _in_flight: InFlight,
    /// `None` for the request that a transfer needs to continue.
    _memory: Option<Reserved>,
}

impl Context {
    /// Counts a download of the object until the context is dropped.
    pub(super) fn new(object: Arc<Object>, resources: &Resources) -> Self {
        Self {
            object,
            budget: resources.budget.clone(),
            transfer: resources.throttle.enter(),
            pace: Pace::default(),
            tree: None,
        }
    }

    /// Hashes all parts of the download. Each must begin at a granule.
    pub(super) fn hashed(mut self) -> Self {
        self.tree = Some(Mutex::new(Tree::new()));
        self
    }

    /// Returns the digest of the bytes of all parts if they are hashed and complete.
    pub(super) fn root(&self) -> Option<blake3::Hash> {
        self.tree().and_then(|tree| tree.root(self.object.len()))
    }

    fn note(&self, granules: &[Granule]) {
        if !granules.is_empty()
            && let Some(mut tree) = self.tree()
        {
            tree.insert_all(granules);
        }
    }

    fn tree(&self) -> Option<MutexGuard<'_, Tree>> {
        // An insertion that panicked has lost a granule at most, so that the digest cannot be right.
        let tree = self.tree.as_ref()?;
        Some(tree.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the number of requests that should be in flight now.
    pub(super) fn target(&self, tuner: &mut Tuner) -> usize {
        let now = Instant::now();
        tuner.learn_delay(self.object.shortest_delay(), now);
        tuner.target(self.object.received(), now)
    }

    /// Logs the end of a download, with the number of requests, for which stores charge.
    pub(super) fn finished(&self) {
        let (bytes, requests) = (self.object.len(), self.object.requests());
        tracing::debug!(bytes, requests, "a payload was fetched in parts");
    }

    /// Admits one more request, beyond the `own` ones of this download, if the store's limits allow it.
    pub(super) fn admit(&self, own: usize) -> Option<Admitted> {
        let memory = self.budget.try_reserve_connection()?;
        Some(Admitted {
            _in_flight: self.transfer.admit(own)?,
            _memory: Some(memory),
        })
    }

    /// Admits a second request for a slow part, whatever the limits are, because few parts are requested again. The reader may
    /// be waiting for it while other parts use all memory.
    fn admit_again(&self) -> Admitted {
        Admitted {
            _in_flight: self.transfer.admit_always(),
            _memory: self.budget.try_reserve_connection(),
        }
    }

    /// Admits the request that the download needs to continue.
    pub(super) fn admit_always(&self) -> Admitted {
        Admitted {
            _in_flight: self.transfer.admit_always(),
            _memory: None,
        }
    }
}

/// The bytes of a part, in order.
pub(super) struct Part {
    context: Arc<Context>,
    missing: Range<u64>,
    first: Source,
    /// The same bytes again, from where the first request was when it turned out to be slow.
    second: Option<Source>,
    /// The time spent waiting for the network.
    waited: Duration,
    /// The wait after which a second request is considered again.
    not_before: Duration,
    /// Rings when the part may have become slow. It runs on while chunks arrive, because setting it costs more than a chunk.
    alarm: Pin<Box<Sleep>>,
    is_alarm_set: bool,
    /// The number of usual parts that it is as long as, rounded up.
    usual_parts: u32,
    /// A usual part waits this number of times as long, or `None` if the wait says nothing about other parts.
    teaches: Option<u32>,
    hasher: Option<GranuleHasher>,
}

/// A request with its position.
struct Source {
    at: u64,
    chunks: Chunks,
    /// `None` once all bytes have arrived.
    admitted: Option<Admitted>,
}

/// Counts a wait, also one that is cut short because its future is dropped.
struct Clock<'a> {
    begin: Instant,
    waited: &'a mut Duration,
}

impl Drop for Clock<'_> {
    fn drop(&mut self) {
        *self.waited += self.begin.elapsed();
    }
}

enum Event {
    First(Option<Result<Bytes, Error>>),
    Second(Option<Result<Bytes, Error>>),
    Alarm,
}

impl Part {
    pub(super) fn new(context: &Arc<Context>, range: Range<u64>, admitted: Admitted) -> Self {
        let fetch = Fetch::new(Arc::clone(&context.object), range.clone());
        Self::from_fetch(context, range, fetch, admitted)
    }

    /// Continues the request of the first part, whose response took `first_byte`. Until more is known, parts of the usual
    /// length are compared with it.
    pub(super) fn first(
        context: &Arc<Context>,
        range: Range<u64>,
        fetch: Fetch,
        first_byte: Duration,
        usual_len: u64,
    ) -> Self {
        Self {
            waited: first_byte,
            teaches: Some(times_as_long(usual_len, range.end - range.start)),
            ..Self::from_fetch(context, range, fetch, context.admit_always())
        }
    }

    /// Continues a fetch. `range` is what it has still to fetch.
    fn from_fetch(context: &Arc<Context>, range: Range<u64>, fetch: Fetch, admitted: Admitted) -> Self {
        Self {
            hasher: context.tree.is_some().then(|| GranuleHasher::new(range.start)),
            context: Arc::clone(context),
            first: Source {
                at: range.start,
                chunks: fetch.into_stream(),
                admitted: Some(admitted),
            },
            missing: range,
            second: None,
            waited: Duration::ZERO,
            not_before: Duration::ZERO,
            alarm: Box::pin(sleep(Duration::ZERO)),
            is_alarm_set: false,
            usual_parts: 1,
            teaches: None,
        }
    }

    /// Compares this part with others. The download learns from the parts of the usual length, and a longer part may wait
    /// longer.
    pub(super) fn compared_with(mut self, usual_len: u64) -> Self {
        self.teaches = (self.missing() == usual_len).then_some(1);
        self.usual_parts = times_as_long(self.missing(), usual_len);
        self
    }

    /// Returns the number of bytes that are still missing.
    pub(super) fn missing(&self) -> u64 {
        self.missing.end.saturating_sub(self.missing.start)
    }

    /// Returns the position of the next byte.
    pub(super) fn position(&self) -> u64 {
        self.missing.start
    }

    /// Hashes bytes that [`next`](Self::next) returned, on the thread that received them, while they are in its cache.
    /// Yields to the runtime within a large chunk.
    pub(super) async fn hash(&mut self, bytes: &[u8]) {
        let Some(hasher) = &mut self.hasher else { return };
        in_pieces(bytes, |piece| hasher.update(piece)).await;
        self.context.note(&hasher.take_finished());
    }

    /// Returns the next bytes, or `None` after exactly the bytes of the part.
    ///
    /// # Errors
    ///
    /// Returns an error if the requests fail. A second request counts as well as the first.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no bytes.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            match self.wait().await {
                Event::Alarm if self.patience().is_some_and(|left| left.is_zero()) => self.request_again(),
                // Too little is known yet, or less of the time was spent waiting for the network.
                Event::Alarm => {}
                Event::First(Some(Ok(chunk))) => {
                    if let Some(fresh) = advance(&mut self.first, &mut self.missing, chunk) {
                        return Ok(Some(fresh));
                    }
                }
                Event::Second(Some(Ok(chunk))) => {
                    let fresh = self.second.as_mut();
                    let fresh = fresh.and_then(|second| advance(second, &mut self.missing, chunk));
                    if let Some(fresh) = fresh {
                        // The second request has overtaken the first.
                        self.keep_second();
                        return Ok(Some(fresh));
                    }
                }
                Event::First(None) | Event::Second(None) => return self.end(),
                Event::First(Some(Err(error))) => {
                    if !self.keep_second() {
                        return Err(error);
                    }
                    log_failed(&error);
                }
                Event::Second(Some(Err(error))) => {
                    // The first request may still succeed.
                    self.second = None;
                    log_failed(&error);
                }
            }
        }
    }

    async fn wait(&mut self) -> Event {
        let begin = Instant::now();
        self.set_alarm(begin);
        let _clock = Clock {
            begin,
            waited: &mut self.waited,
        };
        let (first, second) = (&mut self.first, &mut self.second);
        let (alarm, is_alarm_set) = (&mut self.alarm, &mut self.is_alarm_set);
        poll_fn(|cx| {
            if let Poll::Ready(chunk) = first.chunks.poll_next_unpin(cx) {
                return Poll::Ready(Event::First(chunk));
            }
            if let Some(second) = second
                && let Poll::Ready(chunk) = second.chunks.poll_next_unpin(cx)
            {
                return Poll::Ready(Event::Second(chunk));
            }
            if *is_alarm_set && alarm.as_mut().poll(cx).is_ready() {
                *is_alarm_set = false;
                return Poll::Ready(Event::Alarm);
            }
            Poll::Pending
        })
        .await
    }

    fn set_alarm(&mut self, now: Instant) {
        if !self.is_alarm_set && self.may_be_slow() {
            let patience = self.patience().unwrap_or(UNKNOWN_PACE);
            self.alarm.as_mut().reset(now + patience);
            self.is_alarm_set = true;
        }
    }

    fn may_be_slow(&self) -> bool {
        self.second.is_none() && self.context.object.resumable()
    }

    /// Returns the time until this part counts as slow, or `None` as long as too little is known of the others.
    fn patience(&self) -> Option<Duration> {
        let patience = self.context.pace.patience()?.saturating_mul(self.usual_parts);
        let patience = patience.max(self.not_before);
        Some(patience.saturating_sub(self.waited))
    }

    /// Requests the missing bytes a second time if the limits allow it.
    fn request_again(&mut self) {
        self.not_before = self.waited * 2;
        let context = &self.context;
        if !context.pace.may_repeat() {
            return;
        }
        tracing::debug!(at = self.missing.start, waited = ?self.waited, "a part is slow and is requested a second time");
        let admitted = context.admit_again();
        let fetch = Fetch::new(Arc::clone(&context.object), self.missing.clone());
        self.second = Some(Source {
            at: self.missing.start,
            chunks: fetch.into_stream(),
            admitted: Some(admitted),
        });
    }

    fn keep_second(&mut self) -> bool {
        let second = self.second.take();
        let exists = second.is_some();
        if let Some(second) = second {
            self.first = second;
            self.teaches = None;
        }
        exists
    }

    fn end(&mut self) -> Result<Option<Bytes>, Error> {
        if !self.missing.is_empty() {
            return Err(wrong_length());
        }
        self.second = None;
        self.first.admitted = None;
        if let Some(hasher) = self.hasher.take() {
            self.context.note(&hasher.finish());
        }
        if let Some(times) = self.teaches.take() {
            self.context.pace.learn(self.waited.saturating_mul(times));
        }
        Ok(None)
    }
}

/// Returns the number of times that `other` fits into `len`, rounded up.
fn times_as_long(len: u64, other: u64) -> u32 {
    u32::try_from(len.div_ceil(other.max(1))).unwrap_or(u32::MAX)
}

/// Converts the failure of a task that fetches a part.
pub(super) fn task_failed(error: JoinError) -> Error {
    let message = "a part of the payload could not be fetched";
    Error::io(ErrorKind::Store, message, error.into())
}

/// Logs the failure of one of two requests for a part.
fn log_failed(error: &Error) {
    let error = error as &dyn std::error::Error;
    tracing::warn!(error, "one of two requests for a part failed; the other one continues");
}

/// Counts a chunk, and returns its bytes that are still missing.
fn advance(source: &mut Source, missing: &mut Range<u64>, mut chunk: Bytes) -> Option<Bytes> {
    source.at = source.at.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
    let fresh = usize::try_from(source.at.checked_sub(missing.start)?).ok()?;
    missing.start = source.at;
    let known = chunk.len().saturating_sub(fresh);
    let fresh = chunk.split_off(known);
    (!fresh.is_empty()).then_some(fresh)
}
