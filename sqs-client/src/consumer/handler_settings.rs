//! The settings of the handler. They are separate from the settings that deliveries share, because hooks receive
//! deliveries.

use std::time::Duration;

use crate::consumer::middleware::Middleware;
use crate::consumer::poison::Poison;
use crate::limits;

#[derive(Clone, Debug)]
pub(super) struct HandlerSettings {
    pub(super) timeout: Duration,
    pub(super) poison: Option<Poison>,
    pub(super) middleware: Middleware,
}

impl Default for HandlerSettings {
    fn default() -> Self {
        Self {
            timeout: limits::MAX_VISIBILITY_TIMEOUT,
            poison: None,
            middleware: Middleware::default(),
        }
    }
}
