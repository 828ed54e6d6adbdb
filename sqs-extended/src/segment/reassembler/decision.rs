//! What cannot be completed as things are, about which the user decides. Until then it counts as held.

use std::time::Duration;

use tokio::time::Instant;

use crate::segment::Header;
use crate::segment::reassembler::partial_payload::{Held, Set};
use crate::segment::reassembler::{Action, Incomplete, Reassembler, Released, key_of};

impl<S> Reassembler<S> {
    /// The messages of an [incomplete](Action::Incomplete) payload are settled.
    pub(crate) fn decided(&mut self, cost: u64) {
        self.deciding = self.deciding.saturating_sub(cost);
    }

    /// A segment that goes with nothing that is held. The user is asked only where that leaves the messages that are held
    /// within their bound, or about one at a time.
    pub(super) fn refuse(
        &mut self,
        header: &Header,
        message: Held<S>,
        why: Incomplete,
        now: Instant,
    ) -> Vec<Action<S>> {
        let Held { token, cost } = message;
        let chance = self.back_after();
        let after = self.refused.after(&segment_key(header), now, chance);
        if cost > self.free() && self.deciding > 0 {
            let why = Released::Overflow;
            return vec![Action::Release { token, after, why }];
        }
        self.deciding += cost;
        vec![Action::Incomplete {
            have: 1,
            whole: header.whole.clone(),
            why,
            tokens: vec![token],
            after,
            cost,
        }]
    }

    /// A segment with which its payload takes more than all that may be held.
    pub(super) fn too_large(&mut self, header: &Header, len: u64, message: Held<S>, now: Instant) -> Vec<Action<S>> {
        let id = &header.whole.id;
        let cost = message.cost;
        let Some(set) = self.gathering.get_mut(id) else {
            return self.refuse(header, message, Incomplete::TooLarge, now);
        };
        set.hold(header, len, message, true);
        self.bytes += cost;
        let after = self.put_off_for(id, now);
        let set = self.close(id);
        set.map(|set| self.undecided(set, Incomplete::TooLarge, after))
            .into_iter()
            .collect()
    }

    pub(super) fn undecided(&mut self, set: Set<S>, why: Incomplete, after: Duration) -> Action<S> {
        let (cost, have) = (set.cost(), set.have());
        self.deciding += cost;
        let (whole, mut tokens, older) = set.into_tokens();
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

/// Tells a segment from all others, those that contradict it among them.
fn segment_key(header: &Header) -> String {
    format!("{} {} {}", key_of(&header.whole), header.index, header.checksum)
}
