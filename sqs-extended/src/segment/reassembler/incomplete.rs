//! Segments and payloads that cannot become complete, about which the user's hook decides.
//!
//! Their bytes stay reserved until it has decided.

use std::time::Duration;

use tokio::time::Instant;

use crate::segment::header::Header;
use crate::segment::reassembler::partial_payload::{Buffered, PartialPayload};
use crate::segment::reassembler::{Action, IncompleteCause, Reassembler, ReturnReason, key_of};

impl<T> Reassembler<T> {
    /// Frees the bytes of an [incomplete](Action::Incomplete) payload, whose messages have been dealt with.
    pub(crate) fn decided(&mut self, cost: u64) {
        self.undecided_bytes = self.undecided_bytes.saturating_sub(cost);
    }

    /// Refuses a segment that fits no buffered payload. Reports it if there is room for its bytes, or if no other decision of
    /// the hook is pending. Otherwise returns it to the queue.
    pub(super) fn refuse(
        &mut self,
        header: &Header,
        message: Buffered<T>,
        why: IncompleteCause,
        now: Instant,
    ) -> Vec<Action<T>> {
        let Buffered { token, cost } = message;
        let random = self.random_delay();
        let after = self.refused_backoff.delay(&segment_key(header), now, random);
        if cost > self.free() && self.undecided_bytes > 0 {
            let why = ReturnReason::Overflow;
            return vec![Action::Return { token, after, why }];
        }
        self.undecided_bytes += cost;
        vec![Action::Incomplete {
            have: 1,
            whole: header.whole.clone(),
            why,
            tokens: vec![token],
            after,
            cost,
        }]
    }

    /// Reports the segment's payload, which exceeds the limit of all buffered bytes together with this segment.
    pub(super) fn refuse_too_large(
        &mut self,
        header: &Header,
        len: u64,
        message: Buffered<T>,
        now: Instant,
    ) -> Vec<Action<T>> {
        let id = &header.whole.id;
        let cost = message.cost;
        let Some(partial) = self.partial.get_mut(id) else {
            return self.refuse(header, message, IncompleteCause::TooLarge, now);
        };
        partial.add(header, len, message, true);
        self.bytes += cost;
        let after = self.overflow_delay(id, now);
        let partial = self.remove_partial(id);
        partial
            .map(|partial| self.report(partial, IncompleteCause::TooLarge, after))
            .into_iter()
            .collect()
    }

    pub(super) fn report(&mut self, partial: PartialPayload<T>, why: IncompleteCause, after: Duration) -> Action<T> {
        let (cost, have) = (partial.cost(), partial.have());
        self.undecided_bytes += cost;
        let (whole, mut tokens, older) = partial.into_tokens();
        tokens.extend(older);
        Action::Incomplete {
            whole,
            have,
            why,
            tokens,
            after,
            cost,
        }
    }
}

/// Returns a key that differs from those of all other segments, including contradicting ones.
fn segment_key(header: &Header) -> String {
    format!("{} {} {}", key_of(&header.whole), header.index, header.checksum)
}
