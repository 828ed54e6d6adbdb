//! Counts that separate the calls before a flush from those after it.

use std::collections::VecDeque;

/// Counts the calls of each round that have no result yet. Ending a round begins the next.
#[derive(Debug)]
pub(super) struct Rounds {
    first: u64,
    /// The counts of the first round and of all after it.
    unfinished: VecDeque<usize>,
}

impl Default for Rounds {
    fn default() -> Self {
        Self {
            first: 0,
            unfinished: VecDeque::from([0]),
        }
    }
}

impl Rounds {
    fn current(&self) -> u64 {
        self.first + self.unfinished.len() as u64 - 1
    }

    /// Counts a call, and returns its round.
    pub(super) fn enter(&mut self) -> u64 {
        if let Some(current) = self.unfinished.back_mut() {
            *current += 1;
        }
        self.current()
    }

    /// Counts a call's result. Returns `true` if it finishes a round that had ended.
    pub(super) fn leave(&mut self, round: u64) -> bool {
        let index = usize::try_from(round.saturating_sub(self.first));
        if let Some(unfinished) = index.ok().and_then(|index| self.unfinished.get_mut(index)) {
            *unfinished = unfinished.saturating_sub(1);
        }
        self.drop_finished()
    }

    /// Ends the current round, and returns its number.
    pub(super) fn end(&mut self) -> u64 {
        let ended = self.current();
        self.unfinished.push_back(0);
        self.drop_finished();
        ended
    }

    /// Returns `true` if all calls of this round and of those before it have their results.
    pub(super) fn has_finished(&self, round: u64) -> bool {
        self.first > round
    }

    fn drop_finished(&mut self) -> bool {
        let first = self.first;
        while self.unfinished.len() > 1 && self.unfinished.front() == Some(&0) {
            self.unfinished.pop_front();
            self.first += 1;
        }
        self.first > first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_finishes_after_all_rounds_before_it() {
        let mut rounds = Rounds::default();
        let empty = rounds.end();
        assert!(rounds.has_finished(empty));
        let (early, first) = (rounds.enter(), rounds.end());
        let (late, second) = (rounds.enter(), rounds.end());
        assert!(!rounds.leave(late));
        assert!(!rounds.has_finished(first) && !rounds.has_finished(second));
        assert!(rounds.leave(early));
        assert!(rounds.has_finished(first) && rounds.has_finished(second));
        let next = rounds.enter();
        assert!(!rounds.leave(next), "its round goes on");
        assert_eq!(rounds.unfinished, [0]);
    }
}
