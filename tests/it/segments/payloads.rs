//! Payloads that describe themselves, so that any process can compare an arrived payload with the original.

use anyhow::{Context as _, ensure};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use sqs_client::{Client, Message, OutgoingMessage};
use sqs_extended::codec::{Codec, Compression, SecretKey, StaticKeys};
use sqs_extended::{ExtendedClient, ExtendedDelivery, ExtendedMessage};

use crate::child::Report;

/// The message attribute that identifies the payload.
pub const DESCRIPTION: &str = "payload";

/// The number of concurrent sends.
const SENDING: usize = 4;

/// A payload of pseudorandom bytes, or of text. The text contains characters of one to four bytes, and some that JSON
/// escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Payload {
    pub number: usize,
    pub size: usize,
}

impl Payload {
    /// Returns payloads of sizes between `least` and `most`. Most are small, and a few are among the largest.
    pub fn several(count: usize, least: usize, most: usize) -> Vec<Self> {
        let size = |number: usize| match number {
            0 => least,
            1 => most,
            _ => {
                let chance = (random(number as u64) >> 11) as f64 / (1_u64 << 53) as f64;
                least + ((most - least) as f64 * chance.powi(12)) as usize
            }
        };
        (0..count)
            .map(|number| Self {
                number,
                size: size(number),
            })
            .collect()
    }

    fn is_text(self) -> bool {
        self.number.is_multiple_of(2)
    }

    pub fn bytes(self) -> Vec<u8> {
        let words = (0..).scan(random(self.number as u64), |state, _| {
            *state = random(*state);
            Some(*state)
        });
        let mut bytes = Vec::with_capacity(self.size + 32);
        for word in words {
            if bytes.len() > self.size {
                break;
            }
            if self.is_text() {
                for index in 0..10 {
                    bytes.extend_from_slice(LETTERS[(word >> (6 * index)) as usize % LETTERS.len()].as_bytes());
                }
            } else {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
        }
        let cut = (0..=self.size)
            .rev()
            .find(|at| !self.is_text() || bytes[*at] & 0xC0 != 0x80);
        bytes.truncate(cut.unwrap_or(0));
        bytes.resize(self.size, b'.');
        bytes
    }

    pub fn message(self) -> ExtendedMessage {
        ExtendedMessage::new(self.bytes()).message_attribute(DESCRIPTION, self.description())
    }

    /// Returns a message whose attributes are `bytes` longer.
    pub fn noted(self, bytes: usize) -> ExtendedMessage {
        let note = " ".repeat(bytes);
        ExtendedMessage::new(self.bytes()).message_attribute(DESCRIPTION, format!("{}{note}", self.description()))
    }

    fn description(self) -> String {
        format!("{} {}", self.number, self.size)
    }

    /// Reads a delivery and returns its payload.
    ///
    /// # Errors
    ///
    /// Returns an error if its bytes are not those that were sent.
    pub async fn received(delivery: &ExtendedDelivery) -> anyhow::Result<Self> {
        let attributes = delivery.message_attributes();
        ensure!(attributes.len() == 1, "the layer's own attributes are visible");
        let description = attributes.get(DESCRIPTION).and_then(|value| value.as_str());
        let payload: Self = description.context("the sender's attribute")?.parse()?;
        let bytes = delivery.bytes().await?;
        ensure!(
            delivery.size() == Some(bytes.len() as u64),
            "{payload:?} has the wrong size"
        );
        ensure!(payload.bytes() == bytes, "{payload:?} changed");
        Ok(payload)
    }

    /// Returns `true` if the payload is compressed and encrypted: two of eight, one of them text.
    pub fn is_encoded(self) -> bool {
        self.number / 2 % 4 == 3
    }
}

impl std::str::FromStr for Payload {
    type Err = anyhow::Error;

    fn from_str(description: &str) -> anyhow::Result<Self> {
        let (number, size) = description.trim_end().split_once(' ').context("two numbers")?;
        Ok(Self {
            number: number.parse()?,
            size: size.parse()?,
        })
    }
}

const LETTERS: [&str; 64] = {
    let mut letters = ["a"; 64];
    let special = ["ü", "€", "𝄞", "\"", "\\", "\n", "<", "&", " ", "ß"];
    let plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01";
    let mut at = 0;
    while at < letters.len() {
        letters[at] = if at < special.len() {
            special[at]
        } else {
            plain.split_at(at - special.len()).1.split_at(1).0
        };
        at += 1;
    }
    letters
};

/// Returns the next state of a pseudorandom generator.
fn random(state: u64) -> u64 {
    let state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed ^ (mixed >> 27)
}

/// Returns a client that compresses and encrypts, and reads such payloads.
pub fn encoding(client: Client) -> anyhow::Result<ExtendedClient> {
    let codec = Codec::new()
        .compression(Compression::zstd(1))
        .encryption(StaticKeys::new("key", SecretKey::from([7; 32])));
    Ok(ExtendedClient::builder(client).codec(codec).build()?)
}

/// A handler in a child. Reports the number of the payload, or the error.
pub async fn report_payload(delivery: ExtendedDelivery, report: Report) -> Result<(), std::convert::Infallible> {
    report.send(&match Payload::received(&delivery).await {
        Ok(payload) => payload.number.to_string(),
        Err(error) => format!("{error:#}"),
    });
    Ok(())
}

/// Sends the payloads concurrently.
pub async fn send_all(client: &Client, queue: &str, payloads: &[Payload]) -> anyhow::Result<()> {
    let plain = ExtendedClient::builder(client.clone()).build()?;
    let encoding = encoding(client.clone())?;
    stream::iter(payloads.to_vec())
        .map(|payload| {
            let sender = if payload.is_encoded() { &encoding } else { &plain };
            async move {
                let sent = sender.send(queue, payload.message()).await;
                sent.with_context(|| format!("sending {payload:?}"))
            }
        })
        .buffer_unordered(SENDING)
        .try_for_each(|_| async { Ok(()) })
        .await
}

/// Makes an outgoing message of a received one.
pub fn again(received: Message) -> OutgoingMessage {
    let attributes = received.message_attributes.into_iter();
    attributes.fold(OutgoingMessage::new(received.body), |message, (name, value)| {
        message.message_attribute(name, value)
    })
}
