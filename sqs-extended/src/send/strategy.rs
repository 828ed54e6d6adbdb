//! How a payload travels.

/// How payloads travel that do not fit into a message, and whether they may. What fits travels inline, as an ordinary
/// message, whichever it is.
///
/// | | text that fits | text that does not, and binary | needs |
/// |---|---|---|---|
/// | `Inline` | inline | an error | |
/// | `Split` | inline | in segments, up to [`split_limit`](crate::ExtendedClientBuilder::split_limit) | a receiver of this crate |
/// | `Offload` | inline | in the store, with a pointer in the queue | a store |
/// | `Auto` | inline | in segments up to the split limit and as the queue allows it, else in the store | a receiver of this crate |
///
/// With encryption ([`Codec`](crate::codec::Codec)) nothing fits: whatever is small is a segment of its own, or offloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// In the message, or not at all.
    Inline,
    /// In several messages. On a FIFO queue in at most 10, as no consumer can hold more of a group; in one if encrypted, as
    /// its bytes differ each time and SQS could not deduplicate several.
    Split,
    /// In the store.
    Offload,
    /// In several messages, or in the store where there is one.
    Auto,
}
