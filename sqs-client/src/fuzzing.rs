//! What a hostile server's answer meets: each function reads one as every action would that answers differently. The fuzz
//! targets (`fuzz/`) and the replay of their corpus call these; a panic is a finding, and so is more memory than
//! [`MAX_BYTES`].

use std::fmt::Debug;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;

use crate::error::Error;
use crate::operation::{
    CancelMessageMoveTask, CreateQueue, DeleteMessage, DeleteMessageBatch, GetQueueAttributes,
    ListDeadLetterSourceQueues, ListMessageMoveTasks, ListQueueTags, ListQueues, Operation, ReceiveMessage,
    SendMessage, SendMessageBatch, StartMessageMoveTask,
};
use crate::protocol::{Answer, Wire};
use crate::{checksum, error};

/// Most memory, at any one time, for reading an answer of up to 1 MiB.
pub const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Longest answer that is also written and read again, which takes memory of its own.
const MAX_REPEATED: usize = 16 * 1024;

/// Longest text of an error that is the client's own, so that it cannot quote an answer.
const MAX_ERROR_CHARS: usize = 500;

/// Reads a body as a successful answer in JSON.
pub fn json(body: &[u8]) {
    success(Wire::Json, body);
}

/// Reads a body as a successful answer in XML.
pub fn xml(body: &[u8]) {
    success(Wire::Query, body);
}

/// Reads an answer that is an error. Its first line is the status, headers follow up to an empty line, the rest is the
/// body; line ends are `\n`.
pub fn errors(input: &[u8]) {
    let answer = failure(input);
    for protocol in [Wire::Json, Wire::Query] {
        let Err(error) = protocol.decode::<SendMessage>(&answer) else {
            unreachable!("status {} is no success", answer.status);
        };
        assert_eq!(error.kind(), error::ErrorKind::Service);
        assert_eq!(error.status(), Some(answer.status));
        assert!(error.code().is_some());
        // A definite refusal had no effect.
        assert!(answer.status >= 500 || !error.may_have_been_sent());
        assert!(!error.to_string().is_empty());
    }
}

fn success(protocol: Wire, body: &[u8]) {
    let answer = Answer {
        status: 200,
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(body),
    };
    macro_rules! read_as {
        ($($operation:ident)*) => {$(
            if let Some(output) = read::<$operation>(protocol, &answer) {
                repeat::<$operation>(&answer, &output);
            }
        )*};
    }
    // One action of every kind of answer; the others' are the same.
    read_as! {
        CancelMessageMoveTask CreateQueue DeleteMessage DeleteMessageBatch GetQueueAttributes
        ListDeadLetterSourceQueues ListMessageMoveTasks ListQueueTags ListQueues SendMessage SendMessageBatch
        StartMessageMoveTask
    }
    if let Some(mut received) = read::<ReceiveMessage>(protocol, &answer) {
        for rejected in received.rejected.drain(..) {
            assert!(text(&rejected.error).chars().count() <= MAX_ERROR_CHARS, "{rejected:?}");
        }
        let _ = checksum::damaged(&received.messages, true);
        repeat::<ReceiveMessage>(&answer, &received);
    }
}

/// Reads an output. What cannot be read is not quoted.
fn read<Op: Operation>(protocol: Wire, answer: &Answer) -> Option<Op::Output> {
    match protocol.decode::<Op>(answer) {
        Ok(output) => Some(output),
        Err(error) => {
            assert!(text(&error).chars().count() <= MAX_ERROR_CHARS, "{error:?}");
            None
        }
    }
}

/// What can be read can be written, and read again.
fn repeat<Op: Operation>(answer: &Answer, output: &Op::Output)
where
    Op::Output: Serialize + PartialEq + Debug,
{
    if answer.body.len() <= MAX_REPEATED {
        let written = Answer {
            status: 200,
            headers: HeaderMap::new(),
            body: serde_json::to_vec(output).unwrap_or_default().into(),
        };
        let again = Wire::Json.decode::<Op>(&written).ok();
        assert_eq!(again.as_ref(), Some(output), "{}", Op::NAME);
    }
}

/// All that the error and its sources say.
fn text(error: &Error) -> String {
    let first: &dyn std::error::Error = error;
    let chain = std::iter::successors(Some(first), |error| error.source());
    chain.map(ToString::to_string).collect()
}

fn failure(input: &[u8]) -> Answer {
    let (head, body) = match input.windows(2).position(|pair| pair == b"\n\n") {
        Some(end) => (input.get(..end), input.get(end + 2..)),
        None => (None, Some(input)),
    };
    let mut lines = head.unwrap_or_default().split(|byte| *byte == b'\n');
    let status = lines
        .next()
        .and_then(|line| std::str::from_utf8(line).ok()?.parse().ok());
    let header = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(line.get(..colon)?).ok()?;
        let value = HeaderValue::from_bytes(line.get(colon + 1..)?.trim_ascii()).ok()?;
        Some((name, value))
    };
    Answer {
        // A server says 100 to 599, of which 200 to 299 is success.
        status: status.filter(|status| (300..600).contains(status)).unwrap_or(400),
        headers: lines.filter_map(header).collect(),
        body: Bytes::copy_from_slice(body.unwrap_or_default()),
    }
}
