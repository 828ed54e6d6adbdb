//! The calls before a flush, apart from those after it.

use std::collections::VecDeque;

/// Counts the calls of each round that are not answered. Ending a round begins the next.
#[derive(Debug)]
pub(super) struct Rounds {
    first: u64,
    /// Of the first round, and of all after it.
    unanswered: VecDeque<usize>,
}

impl Default for Rounds {
    fn default() -> Self {
        Self {
            first: 0,
            unanswered: VecDeque::from([0]),
        }
    }
}

impl Rounds {
    fn current(&self) -> u64 {
        self.first + self.unanswered.len() as u64 - 1
    }

    /// Counts a call, and returns its round.
    pub(super) fn enter(&mut self) -> u64 {
        if let Some(current) = self.unanswered.back_mut() {
            *current += 1;
        }
        self.current()
    }

    /// Counts a call's answer. Returns whether a round that had ended has all of its answers now.
    pub(super) fn leave(&mut self, round: u64) -> bool {
        let index = usize::try_from(round.saturating_sub(self.first));
        if let Some(unanswered) = index.ok().and_then(|index| self.unanswered.get_mut(index)) {
            *unanswered = unanswered.saturating_sub(1);
        }
        self.drop_answered()
    }

    /// Ends the current round, and returns its number.
    pub(super) fn end(&mut self) -> u64 {
        let ended = self.current();
        self.unanswered.push_back(0);
        self.drop_answered();
        ended
    }

    /// Returns whether all calls of this round and of those before it are answered.
    pub(super) fn has_answered(&self, round: u64) -> bool {
        self.first > round
    }

    fn drop_answered(&mut self) -> bool {
        let first = self.first;
        while self.unanswered.len() > 1 && self.unanswered.front() == Some(&0) {
            self.unanswered.pop_front();
            self.first += 1;
        }
        self.first > first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_answered_with_all_before_it() {
        let mut rounds = Rounds::default();
        let empty = rounds.end();
        assert!(rounds.has_answered(empty));
        let (early, first) = (rounds.enter(), rounds.end());
        let (late, second) = (rounds.enter(), rounds.end());
        assert!(!rounds.leave(late));
        assert!(!rounds.has_answered(first) && !rounds.has_answered(second));
        assert!(rounds.leave(early));
        assert!(rounds.has_answered(first) && rounds.has_answered(second));
        let next = rounds.enter();
        assert!(!rounds.leave(next), "its round goes on");
        assert_eq!(rounds.unanswered, [0]);
    }
}
