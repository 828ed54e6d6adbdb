//! Requests and responses, the same bytes for every contender.

use bench::null_server::MESSAGE_ID;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Workload {
    /// SendMessage of 1 KiB.
    Send,
    /// SendMessageBatch of 10 × 25 KiB.
    Batch,
    /// ReceiveMessage of 10 × 25 KiB of plain text.
    Receive,
    /// ReceiveMessage of 10 × 25 KiB of JSON, every quote of which is escaped on the wire.
    ReceiveJson,
}

impl Workload {
    /// Returns the number of small requests that one request of this workload counts as.
    pub(crate) fn weight(self) -> usize {
        if self == Self::Send { 1 } else { 10 }
    }

    /// Returns the bodies of the messages that are sent or received.
    pub(crate) fn bodies(self) -> Vec<String> {
        match self {
            Self::Send => vec![text(0, 1024)],
            Self::Batch | Self::Receive => (0..10).map(|seed| text(seed, 25 * 1024)).collect(),
            Self::ReceiveJson => (0..10).map(|seed| records(seed, 25 * 1024)).collect(),
        }
    }

    /// Returns the response to the workload's request.
    pub(crate) fn response(self) -> Value {
        let bodies = self.bodies();
        match self {
            Self::Send => sent(&bodies[0]),
            Self::Batch => {
                let successful = bodies.iter().enumerate().map(|(index, body)| {
                    let mut entry = sent(body);
                    entry["Id"] = json!(entry_id(index));
                    entry
                });
                json!({ "Successful": successful.collect::<Vec<_>>(), "Failed": [] })
            }
            Self::Receive | Self::ReceiveJson => {
                let messages = bodies.iter().map(|body| {
                    json!({
                        "MessageId": MESSAGE_ID,
                        "ReceiptHandle": text(99, 180),
                        "MD5OfBody": md5_hex(body),
                        "Body": body,
                    })
                });
                json!({ "Messages": messages.collect::<Vec<_>>() })
            }
        }
    }
}

impl std::fmt::Display for Workload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        clap::ValueEnum::to_possible_value(self).map_or(Ok(()), |value| f.write_str(value.get_name()))
    }
}

/// Returns the id of a batch entry.
pub(crate) fn entry_id(index: usize) -> String {
    index.to_string()
}

fn sent(body: &str) -> Value {
    json!({ "MessageId": MESSAGE_ID, "MD5OfMessageBody": md5_hex(body) })
}

fn md5_hex(body: &str) -> String {
    hex::encode(Md5::digest(body))
}

/// Returns letters and spaces, none of which JSON escapes.
fn text(seed: usize, length: usize) -> String {
    let letter = |i: usize| b"abcdefghijklmnopqrstuvwxyz     ."[(i.wrapping_mul(2_654_435_761) >> 11) % 32];
    (0..length).map(|i| char::from(letter(i + seed * 7919))).collect()
}

/// Returns lines of JSON, padded to `length`. Each line is an order.
fn records(seed: usize, length: usize) -> String {
    let record = |i: usize| json!({ "order": i, "customer": text(i, 12), "express": i.is_multiple_of(3), "sku": text(i + 1, 8) });
    let mut lines: String = (seed..)
        .map(|i| record(i).to_string())
        .scan(0, |total, line| {
            *total += line.len();
            (*total <= length).then_some(line)
        })
        .collect();
    lines.push_str(&" ".repeat(length - lines.len()));
    lines
}
