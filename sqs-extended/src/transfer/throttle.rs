//! The number of requests that all transfers of a store may have in flight.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::transfer::pressure::Pressure;

/// The maximum number of requests in flight for one store.
pub(crate) const MAX_REQUESTS: usize = 64;

/// The time after a change of the limit before the next one. Responses that arrive meanwhile belong to requests of the old
/// limit.
const PAUSE: Duration = Duration::from_millis(100);

/// Halves the limit when the store asks to slow down, and doubles it again after each pause without such a response. Clones
/// share the limit.
#[derive(Clone, Debug)]
pub(crate) struct Throttle {
    state: Arc<Mutex<State>>,
    pressure: Pressure,
}

#[derive(Debug)]
struct State {
    limit: usize,
    in_flight: usize,
    transfers: usize,
    changed: Option<Instant>,
    /// The count of the pressure at the last change.
    seen: u64,
}

impl Throttle {
    pub(crate) fn new(pressure: Pressure) -> Self {
        let state = State {
            limit: MAX_REQUESTS,
            in_flight: 0,
            transfers: 0,
            changed: None,
            // The connector may have served another store before.
            seen: pressure.count(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            pressure,
        }
    }

    /// Counts a transfer until the returned value is dropped.
    pub(crate) fn enter(&self) -> Transfer {
        self.lock().transfers += 1;
        Transfer(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every update is complete, so a panic cannot leave the state inconsistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A transfer in progress.
#[derive(Debug)]
pub(crate) struct Transfer(Throttle);

impl Transfer {
    /// Returns the number of transfers in progress, this one included.
    pub(crate) fn siblings(&self) -> usize {
        self.0.lock().transfers.max(1)
    }

    /// Admits a request beyond those that a transfer needs to continue. `own` is the number of requests that this transfer
    /// has in flight. Each transfer has the same share of the limit.
    pub(crate) fn admit(&self, own: usize) -> Option<InFlight> {
        let throttle = &self.0;
        let mut state = throttle.lock();
        state.adjust(throttle.pressure.count(), Instant::now());
        let share = state.limit.div_ceil(state.transfers.max(1));
        if state.in_flight >= state.limit || own >= share {
            return None;
        }
        state.in_flight += 1;
        Some(InFlight(throttle.clone()))
    }

    /// Counts a request that a transfer needs to continue.
    pub(crate) fn admit_always(&self) -> InFlight {
        self.0.lock().in_flight += 1;
        InFlight(self.0.clone())
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.0.lock().transfers -= 1;
    }
}

/// A request in flight.
#[derive(Debug)]
pub(crate) struct InFlight(Throttle);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.lock().in_flight -= 1;
    }
}

impl State {
    fn adjust(&mut self, count: u64, now: Instant) {
        if self.changed.is_some_and(|changed| now.duration_since(changed) < PAUSE) {
            return;
        }
        if count > self.seen {
            self.seen = count;
            // Of the requests in flight, because a limit far above them would change nothing.
            self.limit = (self.limit.min(self.in_flight) / 2).max(1);
            self.changed = Some(now);
        } else if self.limit < MAX_REQUESTS {
            self.limit = (self.limit * 2).min(MAX_REQUESTS);
            self.changed = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(transfer: &Transfer) -> Vec<InFlight> {
        let mut admitted = Vec::new();
        while let Some(one) = transfer.admit(admitted.len()) {
            admitted.push(one);
        }
        admitted
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_to_slow_down_halves_the_limit_which_grows_back() {
        let pressure = Pressure::default();
        let transfer = Throttle::new(pressure.clone()).enter();
        assert_eq!(admitted(&transfer).len(), MAX_REQUESTS);
        let some: Vec<_> = (0..40).map(|own| transfer.admit(own).unwrap()).collect();
        pressure.slow_down();
        pressure.slow_down();
        assert!(transfer.admit(0).is_none());
        drop(some);
        assert_eq!(admitted(&transfer).len(), 20);
        pressure.slow_down();
        assert_eq!(admitted(&transfer).len(), 20, "one change at a time");
        let mut limits = Vec::new();
        for _ in 0..8 {
            tokio::time::advance(PAUSE).await;
            limits.push(admitted(&transfer).len());
        }
        // Nothing was in flight at the second request.
        assert_eq!(limits, [1, 2, 4, 8, 16, 32, 64, 64]);
    }

    #[tokio::test]
    async fn transfers_share_the_limit_and_each_continues() {
        let throttle = Throttle::new(Pressure::default());
        let (one, other) = (throttle.enter(), throttle.enter());
        assert_eq!(one.siblings(), 2);
        let of_one = admitted(&one);
        assert_eq!(of_one.len(), MAX_REQUESTS / 2);
        let of_other = admitted(&other);
        assert_eq!(of_other.len(), MAX_REQUESTS / 2);
        let third = throttle.enter();
        assert!(third.admit(0).is_none());
        drop(third.admit_always());
        drop(of_one);
        assert!(third.admit(0).is_some());
    }
}
