//! The strategy for payloads that do not fit into a message.

/// The strategy for payloads that do not fit into a message. A payload that fits travels inline, as an ordinary message,
/// with every strategy.
///
/// | | text that fits | longer text, and binary | requires |
/// |---|---|---|---|
/// | `Inline` | inline | an error | |
/// | `Split` | inline | in segments, up to [`split_limit`](crate::ExtendedClientBuilder::split_limit) | a receiver of this crate |
/// | `Offload` | inline | in the payload store, with a pointer in the queue | a payload store |
/// | `Auto` | inline | in segments up to the split limit and as far as the queue allows, otherwise in the payload store | a receiver of this crate |
///
/// With [encryption](crate::codec::Codec) no payload travels inline. A small one then is a single segment or is offloaded,
/// and with `Inline` every send fails.
///
/// ```no_run
/// # fn example(client: sqs_client::Client) -> Result<(), sqs_extended::Error> {
/// use sqs_extended::{ExtendedClient, Strategy};
///
/// let extended = ExtendedClient::builder(client).strategy(Strategy::Split).build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// Sends the payload in the message or fails.
    Inline,
    /// Splits the payload into several messages.
    ///
    /// On a standard queue there are up to 1,024 messages. On a FIFO queue there are up to 10, because no consumer can receive
    /// more of a group together. An encrypted payload on a FIFO queue must fit into one message. Its bytes differ each time,
    /// so SQS could not deduplicate several.
    Split,
    /// Stores the payload in the payload store.
    Offload,
    /// Splits the payload, or stores it if it cannot be split.
    Auto,
}
