//! The messages of a queue and their states: delayed, ready and in flight. The store is pure: each call gets the time.
//! No call scans the queue, because each index is ordered by its queries.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Now;
use crate::queue::handle::Handle;
use crate::queue::parcel::{Counts, Delivery, Parcel, Repeat, Stale, State, Stored, Take};
use crate::queue::ready::Ready;

/// The maximum total time for which a message may be in flight: twelve hours.
const MAX_IN_FLIGHT: Duration = Duration::from_secs(43_200);

/// The messages of one queue.
#[derive(Debug)]
pub(crate) struct Store {
    queue: u64,
    fifo: bool,
    messages: BTreeMap<u64, Stored>,
    ready: Ready,
    /// Ends of delays and of visibility timeouts.
    timers: BTreeSet<(Instant, u64)>,
    by_age: BTreeSet<(Instant, u64)>,
    /// The last key or rank. Both come from one sequence, because a message's first rank is its key.
    ranks: u64,
    deliveries: u64,
    in_flight: usize,
    delayed: usize,
}

impl Store {
    pub(crate) fn new(queue: u64, fifo: bool) -> Self {
        Self {
            queue,
            fifo,
            messages: BTreeMap::new(),
            ready: Ready::new(fifo),
            timers: BTreeSet::new(),
            by_age: BTreeSet::new(),
            ranks: 0,
            deliveries: 0,
            in_flight: 0,
            delayed: 0,
        }
    }

    /// Advances the time: ends delays and visibility timeouts, and removes messages past their retention.
    pub(crate) fn advance(&mut self, now: Instant, retention: Duration) {
        while let Some(&(entered, key)) = self.by_age.first() {
            if entered + retention > now {
                break;
            }
            self.remove(key);
        }
        while let Some(&(until, key)) = self.timers.first() {
            if until > now {
                break;
            }
            self.timers.pop_first();
            self.ring(key);
        }
    }

    fn ring(&mut self, key: u64) {
        let Some(stored) = self.messages.get_mut(&key) else {
            return;
        };
        match stored.state {
            State::Delayed { .. } => {
                stored.state = State::Ready { lapsed: true };
                self.delayed -= 1;
                self.ready.wake(key, stored.group());
            }
            State::InFlight { .. } => self.release(key, true),
            State::Ready { .. } => {}
        }
    }

    /// Makes a message in flight available again, behind all others.
    fn release(&mut self, key: u64, lapsed: bool) {
        if let Some(stored) = self.messages.get_mut(&key) {
            self.ranks += 1;
            stored.rank = self.ranks;
            stored.state = State::Ready { lapsed };
            self.in_flight -= 1;
            self.ready.release(key, stored.rank, stored.group());
        }
    }

    /// Returns the next time at which a delay, a visibility timeout or the retention of a message ends.
    pub(crate) fn next_event(&self, retention: Duration) -> Option<Instant> {
        let timer = self.timers.first().map(|(until, _)| *until);
        // The end of a message in flight makes room, and may unblock a FIFO group.
        let end = self.by_age.first().map(|(entered, _)| *entered + retention);
        timer.into_iter().chain(end).min()
    }

    /// Adds a message, which was not received from this queue yet.
    pub(crate) fn enter(&mut self, now: Instant, parcel: Parcel, delay: Duration) {
        self.put(now, parcel, delay, 0);
    }

    fn put(&mut self, now: Instant, parcel: Parcel, delay: Duration, receives: u32) -> u64 {
        self.ranks += 1;
        let key = self.ranks;
        let delayed = !delay.is_zero();
        let state = if delayed {
            self.delayed += 1;
            self.timers.insert((now + delay, key));
            State::Delayed { until: now + delay }
        } else {
            State::Ready { lapsed: false }
        };
        self.by_age.insert((parcel.entered, key));
        let stored = Stored {
            parcel,
            state,
            rank: key,
            receives,
            delivery: 0,
            changed: false,
            is_copy: false,
        };
        self.ready.enter(key, stored.group(), delayed);
        self.messages.insert(key, stored);
        key
    }

    /// Delivers messages, and removes the dead letters among them.
    pub(crate) fn take(&mut self, now: Now, ask: &Take<'_>) -> (Vec<Delivery>, Vec<Parcel>) {
        let (mut delivered, mut dead) = (Vec::new(), Vec::new());
        let mut begun = None;
        while delivered.len() < ask.max
            && let Some(key) = self.ready.take(ask.shuffle, &mut begun)
        {
            self.hold(key, now.at, ask.visibility);
            let Some(stored) = self.messages.get_mut(&key) else {
                continue;
            };
            if ask.max_receives.is_some_and(|max| stored.receives >= max) {
                dead.extend(self.remove(key));
                continue;
            }
            self.deliveries += 1;
            stored.delivery = self.deliveries;
            stored.changed = false;
            stored.receives += 1;
            stored.parcel.receives += 1;
            stored.parcel.first_received_ms.get_or_insert(now.wall_ms);
            let handle = Handle {
                queue: self.queue,
                key,
                delivery: stored.delivery,
            };
            delivered.push(Delivery {
                handle,
                parcel: stored.parcel.clone(),
            });
        }
        (delivered, dead)
    }

    /// Returns the next message, which stays in its place.
    pub(crate) fn peek(&mut self) -> Option<&Parcel> {
        let key = self.ready.take(None, &mut None)?;
        let stored = self.messages.get(&key)?;
        self.ready.release(key, stored.rank, stored.group());
        Some(&stored.parcel)
    }

    /// Removes the next message from the queue.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Parcel> {
        let key = self.ready.take(None, &mut None)?;
        self.hold(key, now, Duration::ZERO);
        self.remove(key)
    }

    /// Marks a message as in flight.
    fn hold(&mut self, key: u64, now: Instant, visibility: Duration) {
        if let Some(stored) = self.messages.get_mut(&key) {
            let until = now + visibility;
            stored.state = State::InFlight { until, since: now };
            self.timers.insert((until, key));
            self.in_flight += 1;
        }
    }

    /// Delivers the same messages again with the same handles, and restarts their visibility timeouts.
    pub(crate) fn repeat(&mut self, now: Instant, handles: &[Handle], visibility: Duration) -> Repeat {
        let mut expired = false;
        for handle in handles {
            match self.messages.get(&handle.key) {
                None => return Repeat::Refused,
                Some(stored) if stored.delivery != handle.delivery => expired = true,
                Some(stored) if stored.changed => return Repeat::Refused,
                Some(stored) => expired |= !matches!(stored.state, State::InFlight { .. }),
            }
        }
        if expired {
            return Repeat::Expired;
        }
        let repeated = handles.iter().filter_map(|handle| {
            let stored = self.messages.get_mut(&handle.key)?;
            if let State::InFlight { until, since } = &mut stored.state {
                self.timers.remove(&(*until, handle.key));
                *until = (now + visibility).min(*since + MAX_IN_FLIGHT);
                self.timers.insert((*until, handle.key));
            }
            Some(Delivery {
                handle: *handle,
                parcel: stored.parcel.clone(),
            })
        });
        Repeat::Same(repeated.collect())
    }

    /// Adds a copy of a delivered message to the queue, because SQS may deliver a message more than once. A copy gets none, so
    /// that a queue can be drained.
    pub(crate) fn duplicate(&mut self, now: Instant, delivery: &Delivery) {
        let Some(original) = self.messages.get(&delivery.handle.key) else {
            return;
        };
        if self.fifo || original.is_copy {
            return;
        }
        let receives = original.receives;
        let key = self.put(now, delivery.parcel.clone(), Duration::ZERO, receives);
        if let Some(copy) = self.messages.get_mut(&key) {
            copy.is_copy = true;
        }
    }

    /// Deletes a message by its handle. On a standard queue, an earlier handle than the newest deletes the message only while
    /// it is visible, and is never an error.
    pub(crate) fn delete(&mut self, handle: &Handle) -> Result<(), Stale> {
        let stored = match self.find(handle) {
            Err(Stale::Gone) => return Ok(()),
            found => found?,
        };
        let newest = stored.delivery == handle.delivery;
        match stored.state {
            State::InFlight { .. } if !newest => {}
            State::InFlight { .. } => drop(self.remove(handle.key)),
            _ if self.fifo => return Err(Stale::Expired),
            _ => drop(self.remove(handle.key)),
        }
        Ok(())
    }

    /// Sets a new visibility timeout, counted from now. On a standard queue, an earlier handle than the newest does so too.
    pub(crate) fn change_visibility(
        &mut self,
        now: Instant,
        handle: &Handle,
        visibility: Duration,
    ) -> Result<(), Stale> {
        let key = handle.key;
        let found = self.find(handle)?;
        let (state, rank) = (found.state, found.rank);
        let since = match state {
            State::InFlight { since, until } => {
                if now + visibility > since + MAX_IN_FLIGHT {
                    return Err(Stale::TooLong);
                }
                self.timers.remove(&(until, key));
                since
            }
            State::Ready { lapsed: true } if self.fifo => return Err(Stale::Expired),
            // AWS still accepts the handle if the message was not received again.
            State::Ready { lapsed: true } if self.ready.retake(rank) => {
                self.in_flight += 1;
                now
            }
            _ => return Err(Stale::NotInFlight),
        };
        let Some(stored) = self.messages.get_mut(&key) else {
            return Err(Stale::Gone);
        };
        stored.changed = true;
        if visibility.is_zero() {
            self.release(key, false);
        } else {
            let until = now + visibility;
            stored.state = State::InFlight { until, since };
            self.timers.insert((until, key));
        }
        Ok(())
    }

    /// Finds the message of a handle. On a FIFO queue, only the newest handle is valid.
    fn find(&self, handle: &Handle) -> Result<&Stored, Stale> {
        let stored = self.messages.get(&handle.key).ok_or(Stale::Gone)?;
        if self.fifo && stored.delivery != handle.delivery {
            return Err(Stale::Expired);
        }
        Ok(stored)
    }

    fn remove(&mut self, key: u64) -> Option<Parcel> {
        let stored = self.messages.remove(&key)?;
        self.by_age.remove(&(stored.parcel.entered, key));
        match stored.state {
            State::InFlight { until, .. } => {
                self.in_flight -= 1;
                self.timers.remove(&(until, key));
                self.ready.settle(key, stored.group());
            }
            State::Delayed { until } => {
                self.delayed -= 1;
                self.timers.remove(&(until, key));
                self.ready.leave(key, stored.rank, stored.group());
            }
            State::Ready { .. } => self.ready.leave(key, stored.rank, stored.group()),
        }
        Some(stored.parcel)
    }

    pub(crate) fn clear(&mut self) {
        let (queue, fifo) = (self.queue, self.fifo);
        // Keys and delivery numbers continue, so that old handles stay stale.
        *self = Self {
            ranks: self.ranks,
            deliveries: self.deliveries,
            ..Self::new(queue, fifo)
        };
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            visible: self.messages.len() - self.in_flight - self.delayed,
            in_flight: self.in_flight,
            delayed: self.delayed,
        }
    }

    /// Iterates over all messages in order of arrival.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Stored> {
        self.messages.values()
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
