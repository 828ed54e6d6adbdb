//! The order of a FIFO queue's groups. After a failure, no later message of the group is sent.

use std::collections::HashMap;

use crate::error::{Error, Source};

/// The message groups with a failed entry, and the failure of each.
#[derive(Debug, Default)]
pub(crate) struct FailedGroups(HashMap<String, Source>);

impl FailedGroups {
    pub(crate) fn add(&mut self, group: &str, error: &Error) {
        if !self.0.contains_key(group) {
            self.0.insert(group.to_owned(), error.clone().into_source());
        }
    }

    /// Returns the error of a further message of this group if the group has failed.
    pub(crate) fn reason(&self, group: Option<&str>) -> Option<Error> {
        let cause = self.0.get(group?)?;
        Some(Error::held_back(cause.clone()))
    }

    #[cfg(feature = "batcher")]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
