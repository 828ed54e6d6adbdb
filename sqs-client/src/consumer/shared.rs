//! The state that a consumer's tasks share, and the notifications between them.

use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::client::Client;
use crate::consumer::requests::Requests;
use crate::consumer::settings::Settings;
use crate::consumer::settlement::Settlement;
use crate::consumer::state::State;
use crate::consumer::telemetry::IN_FLIGHT;
use crate::queue_name::queue_name;
use crate::queue_ref::QueueRef;
use crate::retry::full_jitter;
use crate::telemetry;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) queue: QueueRef,
    pub(super) settings: Settings,
    pub(super) requests: Requests,
    state: Mutex<State>,
    pub(super) stream: AtomicWaker,
    pub(super) poller: Notify,
    pub(super) heartbeat: Notify,
    pub(super) at_rest: Notify,
    stopped: Notify,
}

impl Shared {
    pub(super) fn new(client: Client, queue: QueueRef, settings: Settings) -> Self {
        Self {
            requests: Requests::new(&client, &queue, &settings),
            state: Mutex::new(State::new(&settings, queue.given())),
            client,
            queue,
            settings,
            stream: AtomicWaker::new(),
            poller: Notify::new(),
            heartbeat: Notify::new(),
            at_rest: Notify::new(),
            stopped: Notify::new(),
        }
    }

    /// Changes the state, and wakes the tasks that have something to do afterwards.
    pub(super) fn update<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let (result, wakes) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let before = state.in_flight();
            let result = change(&mut state);
            if state.in_flight() != before {
                telemetry::set(IN_FLIGHT, self.queue_name(), state.in_flight());
            }
            (result, state.wakes())
        };
        if wakes.stream {
            self.stream.wake();
        }
        if wakes.poller {
            self.poller.notify_one();
        }
        if wakes.heartbeat {
            self.heartbeat.notify_one();
        }
        if wakes.at_rest {
            self.heartbeat.notify_one();
            self.at_rest.notify_one();
        }
        result
    }

    /// Accesses the state without waking any task.
    pub(super) fn with_state<R>(&self, access: impl FnOnce(&mut State) -> R) -> R {
        access(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Stops polling. Buffered messages are then returned to the queue.
    pub(super) fn stop(&self) {
        self.update(|state| state.stop(Instant::now()));
        self.poller.notify_one();
        self.heartbeat.notify_one();
        self.stopped.notify_waiters();
    }

    /// Waits until the consumer is stopped.
    pub(super) async fn stopped(&self) {
        let mut notified = pin!(self.stopped.notified());
        // Enabled before the check, so that no notification is missed.
        notified.as_mut().enable();
        if !self.with_state(|state| state.is_stopping()) {
            notified.await;
        }
    }

    /// Returns the queue's name, for metrics.
    pub(super) fn queue_name(&self) -> &str {
        queue_name(self.queue.given())
    }

    /// Increments a counter.
    pub(super) fn count(&self, counter: &'static str) {
        telemetry::count(counter, self.queue_name(), 1);
    }

    /// Tells a test how a delivery ended.
    #[cfg_attr(not(feature = "testing"), allow(unused_variables, reason = "only tests record it"))]
    pub(super) fn record(&self, settlement: Settlement) {
        #[cfg(feature = "testing")]
        if let Some(recording) = &self.requests.recording {
            recording.settled(settlement);
        }
    }

    /// Returns a random delay for a message that failed after this number of handlings.
    pub(super) fn backoff(&self, handled: u32) -> Duration {
        let (base, max) = self.settings.backoff;
        full_jitter(base, max, handled, self.client.random().fraction())
    }
}

/// Waits for a notification, or until this time if there is one.
pub(super) async fn notified_or_at(notify: &Notify, at: Option<Instant>) {
    match at {
        // The caller checks for work in either case.
        Some(at) => drop(tokio::time::timeout_at(at, notify.notified()).await),
        None => notify.notified().await,
    }
}
