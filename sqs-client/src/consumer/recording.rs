//! The record of the requests for a delivery without a queue, and the failures that a test injects.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::consumer::settlement::Settlement;
use crate::error::{Error, ErrorCode};

/// A request that a delivery or its consumer made for the message.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sqs_client::Error> {
/// use sqs_client::testing::{RecordedRequest, TestDelivery};
///
/// let (delivery, recorder) = TestDelivery::new("hello").build();
/// delivery.ack().await?;
/// delivery.ack().await?; // the same result, without another request
/// assert_eq!(recorder.requests(), [RecordedRequest::Delete]);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordedRequest {
    /// The deletion of the message, for an acknowledgement.
    Delete,
    /// The return of the message to the queue, which shows it after this time.
    Return(Duration),
    /// The extension of the visibility timeout, which ends after this time.
    Extend(Duration),
}

/// A failure of a request. The client's own retries are over by then.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use sqs_client::ErrorCode;
/// use sqs_client::testing::{Fault, TestDelivery};
///
/// let (delivery, recorder) = TestDelivery::new("hello").build();
/// recorder.fail_next_ack(ErrorCode::AccessDenied);
/// assert_eq!(delivery.ack().await.unwrap_err().code(), Some(&ErrorCode::AccessDenied));
///
/// recorder.fail_next_ack(Fault::Timeout);
/// assert!(delivery.ack().await.unwrap_err().may_have_been_sent());
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// SQS refuses the request with this code.
    Service(ErrorCode),
    /// The response does not arrive in time.
    Timeout,
    /// The connection breaks before the response arrives.
    Transport,
}

impl From<ErrorCode> for Fault {
    fn from(code: ErrorCode) -> Self {
        Self::Service(code)
    }
}

impl Fault {
    fn into_error(self, operation: &'static str) -> Error {
        let error = match self {
            Self::Service(code) => {
                let sender_fault = !code.is_throttling() && !code.is_transient();
                Error::entry(code, Some("injected by a test"), sender_fault)
            }
            Self::Timeout => Error::timeout("no response in time, injected by a test").sent(true),
            Self::Transport => Error::transport("the connection broke, injected by a test").sent(true),
        };
        error.with_operation(operation)
    }
}

/// The reason that SQS gives for a receipt handle whose message is deleted.
const DELETED: &str = "the receipt handle is invalid: the message does not exist or is not available for a change of its \
                       visibility timeout";

/// The record of a test's delivery. It responds in place of the queue.
#[derive(Debug, Default)]
pub struct Recording(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    settlement: Option<Settlement>,
    requests: Vec<RecordedRequest>,
    extensions: Vec<Duration>,
    ack_faults: VecDeque<Fault>,
    nack_faults: VecDeque<Fault>,
    extension_faults: VecDeque<Fault>,
    /// `true` once a deletion was confirmed. SQS then refuses to change the visibility timeout.
    deleted: bool,
}

impl Log {
    fn visibility_changed(&self, fault: Option<Fault>) -> Result<(), Error> {
        const OPERATION: &str = "ChangeMessageVisibility";
        response(fault, OPERATION)?;
        match self.deleted {
            true => Err(Error::entry(ErrorCode::InvalidParameterValue, Some(DELETED), true).with_operation(OPERATION)),
            false => Ok(()),
        }
    }
}

impl Recording {
    /// Deletes the message.
    ///
    /// # Errors
    ///
    /// The next failure of an acknowledgement, if there is one.
    pub fn delete(&self) -> Result<(), Error> {
        let mut log = self.log();
        log.requests.push(RecordedRequest::Delete);
        response(log.ack_faults.pop_front(), "DeleteMessage")?;
        log.deleted = true;
        Ok(())
    }

    /// Returns the message to the queue.
    ///
    /// # Errors
    ///
    /// The next failure of a return, if there is one. [`InvalidParameterValue`](ErrorCode::InvalidParameterValue) if the
    /// message is deleted.
    pub fn return_message(&self, delay: Duration) -> Result<(), Error> {
        let mut log = self.log();
        log.requests.push(RecordedRequest::Return(delay));
        let fault = log.nack_faults.pop_front();
        log.visibility_changed(fault)
    }

    /// Extends the visibility timeout.
    ///
    /// # Errors
    ///
    /// The next failure of an extension, if there is one. [`InvalidParameterValue`](ErrorCode::InvalidParameterValue) if the
    /// message is deleted.
    pub fn extend(&self, timeout: Duration) -> Result<(), Error> {
        let mut log = self.log();
        log.requests.push(RecordedRequest::Extend(timeout));
        let fault = log.extension_faults.pop_front();
        log.visibility_changed(fault)?;
        log.extensions.push(timeout);
        Ok(())
    }

    /// Notes how the delivery was settled.
    pub fn settled(&self, settlement: Settlement) {
        self.log().settlement = Some(settlement);
    }

    /// Returns how the delivery was settled.
    pub fn settlement(&self) -> Option<Settlement> {
        self.log().settlement
    }

    /// Returns all requests, in their order.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.log().requests.clone()
    }

    /// Returns the confirmed extensions, in their order.
    pub fn extensions(&self) -> Vec<Duration> {
        self.log().extensions.clone()
    }

    /// Fails one more acknowledgement.
    pub fn fail_next_ack(&self, fault: Fault) {
        self.log().ack_faults.push_back(fault);
    }

    /// Fails one more return.
    pub fn fail_next_nack(&self, fault: Fault) {
        self.log().nack_faults.push_back(fault);
    }

    /// Fails one more extension.
    pub fn fail_next_extension(&self, fault: Fault) {
        self.log().extension_faults.push_back(fault);
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn response(fault: Option<Fault>, operation: &'static str) -> Result<(), Error> {
    fault.map_or(Ok(()), |fault| Err(fault.into_error(operation)))
}
