//! A running operation without its type.
//!
//! Only the encoding of the input and the decoding of the output depend on the type. The rest of a request's execution
//! is the same for every action. It is therefore compiled once, in this crate, and not once for each action in the
//! programs that use it.

use std::time::Duration;

use bytes::Bytes;

use crate::action::{Operation, Purpose};
use crate::error::Error;
use crate::protocol::{Response, Wire};

pub(crate) trait Task: Send {
    fn name(&self) -> &'static str;
    fn target(&self) -> &'static str;
    fn purpose(&self) -> Purpose;
    fn queue_url(&self) -> Option<&str>;
    fn queue_name(&self) -> Option<&str>;
    fn server_wait(&self) -> Duration;
    fn validate(&self) -> Result<(), Error>;
    fn encode(&self, wire: Wire) -> Result<Bytes, Error>;
    /// Reads a response, and keeps the output.
    fn read(&mut self, wire: Wire, response: &Response, verify: bool) -> Result<(), Error>;
    /// Notes whether an attempt before the successful one may also have taken effect.
    fn note_earlier_attempts(&mut self, may_have_been_sent: bool);
    /// Returns the number of messages that were sent, received or settled: 0 before the operation has succeeded.
    fn messages(&self) -> usize;
}

/// An operation, with its output once it has succeeded.
pub(crate) struct Typed<'a, Op: Operation> {
    operation: &'a Op,
    output: Option<Op::Output>,
    earlier_may_have_been_sent: bool,
}

/// A request that succeeded.
pub(crate) struct Success<Output> {
    pub(crate) output: Output,
    /// `true` if an attempt before the successful one may also have taken effect.
    pub(crate) earlier_may_have_been_sent: bool,
}

impl<'a, Op: Operation> Typed<'a, Op> {
    pub(crate) fn new(operation: &'a Op) -> Self {
        Self {
            operation,
            output: None,
            earlier_may_have_been_sent: false,
        }
    }

    pub(crate) fn into_success(self) -> Option<Success<Op::Output>> {
        Some(Success {
            output: self.output?,
            earlier_may_have_been_sent: self.earlier_may_have_been_sent,
        })
    }
}

impl<Op: Operation> Task for Typed<'_, Op> {
    fn name(&self) -> &'static str {
        Op::NAME
    }

    fn target(&self) -> &'static str {
        Op::TARGET
    }

    fn purpose(&self) -> Purpose {
        Op::PURPOSE
    }

    fn queue_url(&self) -> Option<&str> {
        self.operation.queue_url()
    }

    fn queue_name(&self) -> Option<&str> {
        self.operation.queue_name()
    }

    fn server_wait(&self) -> Duration {
        self.operation.server_wait()
    }

    fn validate(&self) -> Result<(), Error> {
        self.operation.validate()
    }

    fn encode(&self, wire: Wire) -> Result<Bytes, Error> {
        wire.encode(self.operation)
    }

    fn read(&mut self, wire: Wire, response: &Response, verify: bool) -> Result<(), Error> {
        let mut output = wire.decode::<Op>(response)?;
        if verify {
            self.operation.verify(&mut output)?;
        }
        self.operation.report(&output);
        self.output = Some(output);
        Ok(())
    }

    fn note_earlier_attempts(&mut self, may_have_been_sent: bool) {
        self.earlier_may_have_been_sent = may_have_been_sent;
    }

    fn messages(&self) -> usize {
        self.output.as_ref().map_or(0, |output| self.operation.messages(output))
    }
}
