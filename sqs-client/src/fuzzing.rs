//! Entry points for the fuzz targets (`fuzz/`) and for the replay of their corpus. Each function reads a hostile response as
//! each kind of output. A panic is a finding, and so is a memory use above [`MAX_BYTES`].

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
use crate::protocol::{Response, Wire};
use crate::{checksum, error};

/// The maximum memory use for a response of up to 1 MiB.
pub const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The maximum length of a response for a round trip, which needs additional memory.
const MAX_REPEATED: usize = 16 * 1024;

/// The maximum length of the client's own error texts, which must not quote a response.
const MAX_ERROR_CHARS: usize = 500;

/// Reads a body as a successful response in JSON.
pub fn json(body: &[u8]) {
    success(Wire::Json, body);
}

/// Reads a body as a successful response in XML.
pub fn xml(body: &[u8]) {
    success(Wire::Query, body);
}

/// Reads an error response. The first line is the status, headers follow up to an empty line, and the rest is the body.
/// Lines end with `\n`.
pub fn errors(input: &[u8]) {
    let response = failure(input);
    for protocol in [Wire::Json, Wire::Query] {
        let Err(error) = protocol.decode::<SendMessage>(&response) else {
            unreachable!("status {} is no success", response.status);
        };
        assert_eq!(error.kind(), error::ErrorKind::Service);
        assert_eq!(error.status(), Some(response.status));
        assert!(error.code().is_some());
        // A definite refusal had no effect.
        assert!(response.status >= 500 || !error.may_have_been_sent());
        assert!(!error.to_string().is_empty());
    }
}

fn success(protocol: Wire, body: &[u8]) {
    let response = Response {
        status: 200,
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(body),
    };
    macro_rules! read_as {
        ($($operation:ident)*) => {$(
            if let Some(output) = read::<$operation>(protocol, &response) {
                repeat::<$operation>(&response, &output);
            }
        )*};
    }
    // One action for each kind of output.
    read_as! {
        CancelMessageMoveTask CreateQueue DeleteMessage DeleteMessageBatch GetQueueAttributes
        ListDeadLetterSourceQueues ListMessageMoveTasks ListQueueTags ListQueues SendMessage SendMessageBatch
        StartMessageMoveTask
    }
    if let Some(mut received) = read::<ReceiveMessage>(protocol, &response) {
        for rejected in received.rejected.drain(..) {
            assert!(text(&rejected.error).chars().count() <= MAX_ERROR_CHARS, "{rejected:?}");
        }
        let _ = checksum::damaged(&received.messages, true);
        repeat::<ReceiveMessage>(&response, &received);
    }
}

/// Reads an output, and checks that an error does not quote it.
fn read<Op: Operation>(protocol: Wire, response: &Response) -> Option<Op::Output> {
    match protocol.decode::<Op>(response) {
        Ok(output) => Some(output),
        Err(error) => {
            assert!(text(&error).chars().count() <= MAX_ERROR_CHARS, "{error:?}");
            None
        }
    }
}

/// Checks that an output survives a round trip.
fn repeat<Op: Operation>(response: &Response, output: &Op::Output)
where
    Op::Output: Serialize + PartialEq + Debug,
{
    if response.body.len() <= MAX_REPEATED {
        let written = Response {
            status: 200,
            headers: HeaderMap::new(),
            body: serde_json::to_vec(output).unwrap_or_default().into(),
        };
        let again = Wire::Json.decode::<Op>(&written).ok();
        assert_eq!(again.as_ref(), Some(output), "{}", Op::NAME);
    }
}

/// Returns the texts of the error and its sources.
fn text(error: &Error) -> String {
    let first: &dyn std::error::Error = error;
    let chain = std::iter::successors(Some(first), |error| error.source());
    chain.map(ToString::to_string).collect()
}

fn failure(input: &[u8]) -> Response {
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
    Response {
        // Statuses 200 to 299 are not errors.
        status: status.filter(|status| (300..600).contains(status)).unwrap_or(400),
        headers: lines.filter_map(header).collect(),
        body: Bytes::copy_from_slice(body.unwrap_or_default()),
    }
}
