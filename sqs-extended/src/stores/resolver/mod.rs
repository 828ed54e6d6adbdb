//! Name resolution that spreads connections over all addresses of a store.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Looks up the addresses of a name.
type Lookup = dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync;

/// A resolver whose first address is another one each time. Clones take turns with each other.
///
/// A store such as S3 has many servers behind one name, and each connection has its own limit. The operating system
/// lists the addresses in the same order each time, so all connections would go to the first one.
#[derive(Clone)]
pub(super) struct SpreadingResolver {
    lookup: Arc<Lookup>,
    turn: Arc<AtomicUsize>,
}

impl SpreadingResolver {
    /// Creates a resolver that asks the operating system.
    pub(super) fn new() -> Self {
        Self::with_lookup(|name| Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) }))
    }

    /// Creates a resolver that calls this function.
    pub(super) fn with_lookup(
        lookup: impl Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            lookup: Arc::new(lookup),
            turn: Arc::default(),
        }
    }
}

impl fmt::Debug for SpreadingResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpreadingResolver").finish_non_exhaustive()
    }
}

impl Resolve for SpreadingResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let found = (self.lookup)(name.as_str().to_owned());
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move { Ok(Box::new(spread(found.await?, turn).into_iter()) as Addrs) })
    }
}

/// Rotates the addresses of each family by `turn`. The family of the first address stays first, because the operating
/// system knows which one works, and the HTTP client tries the other one only after it.
fn spread(addresses: Vec<SocketAddr>, turn: usize) -> Vec<SocketAddr> {
    let Some(first) = addresses.first() else {
        return addresses;
    };
    let is_v6 = first.is_ipv6();
    let (preferred, other): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv6() == is_v6);
    let mut spread = rotated(preferred, turn);
    spread.extend(rotated(other, turn));
    spread
}

/// Sorts the addresses first. A name server that rotates them too could otherwise undo each turn.
fn rotated(mut addresses: Vec<SocketAddr>, turn: usize) -> Vec<SocketAddr> {
    addresses.sort_unstable();
    addresses.dedup();
    if let Some(by) = turn.checked_rem(addresses.len()) {
        addresses.rotate_left(by);
    }
    addresses
}

#[cfg(test)]
mod tests;
