//! The state that a consumer's tasks share, and how they wake each other.

use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::client::Client;
use crate::consumer::Settings;
use crate::consumer::requests::Requests;
use crate::consumer::state::State;
use crate::consumer::telemetry::IN_FLIGHT;
use crate::retry::full_jitter;
use crate::telemetry;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) queue_url: String,
    pub(super) settings: Settings,
    pub(super) requests: Requests,
    state: Mutex<State>,
    pub(super) stream: AtomicWaker,
    pub(super) poller: Notify,
    pub(super) heartbeat: Notify,
    pub(super) rest: Notify,
    stopped: Notify,
}

impl Shared {
    pub(super) fn new(client: Client, queue_url: String, settings: Settings) -> Self {
        Self {
            requests: Requests::new(&client, &queue_url, &settings),
            state: Mutex::new(State::new(&settings, &queue_url)),
            client,
            queue_url,
            settings,
            stream: AtomicWaker::new(),
            poller: Notify::new(),
            heartbeat: Notify::new(),
            rest: Notify::new(),
            stopped: Notify::new(),
        }
    }

    /// Changes the state, and wakes who has something to do then.
    pub(super) fn update<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let (result, wakes) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let before = state.held();
            let result = change(&mut state);
            if state.held() != before {
                telemetry::set(IN_FLIGHT, telemetry::queue_name(Some(&self.queue_url)), state.held());
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
        if wakes.rest {
            self.heartbeat.notify_one();
            self.rest.notify_one();
        }
        result
    }

    pub(super) fn look<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// No more polls; what waits is given back.
    pub(super) fn stop(&self) {
        self.update(|state| state.stop(Instant::now()));
        self.poller.notify_one();
        self.heartbeat.notify_one();
        self.stopped.notify_waiters();
    }

    /// Ends once the consumer is stopped.
    pub(super) async fn stopped(&self) {
        let mut told = pin!(self.stopped.notified());
        // From here on a word is not missed.
        told.as_mut().enable();
        if !self.look(|state| state.is_stopping()) {
            told.await;
        }
    }

    /// Counts one more of these.
    pub(super) fn count(&self, what: &'static str) {
        telemetry::count(what, telemetry::queue_name(Some(&self.queue_url)), 1);
    }

    /// Returns how long a message that was handled so often waits after a failure.
    pub(super) fn backoff(&self, handled: u32) -> Duration {
        let (base, max) = self.settings.backoff;
        full_jitter(base, max, handled, self.client.random().fraction())
    }
}

/// Waits until someone notifies, or the time comes where there is one.
pub(super) async fn woken(notify: &Notify, at: Option<Instant>) {
    match at {
        // Whichever it was, there may be something to do.
        Some(at) => drop(tokio::time::timeout_at(at, notify.notified()).await),
        None => notify.notified().await,
    }
}
