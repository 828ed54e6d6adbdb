//! Rules from a line of text, such as the program's `--fault`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Fault, FaultKind};
use crate::protocol::schema::Action;

/// The kinds in their order in the error for an unknown one.
const KINDS: &str = "throttle, throttling-exception, status=CODE, delay=TIME, drop-before, drop-after, reset, \
                     truncated-response, trickle=TIME, duplicate, reorder, wrong-md5, wrong-entry-md5=ID, spoil-entry=ID, \
                     spoil-body=TEXT, digest-all-attributes or fail-entries=NUMBER";

/// The error of a [`Fault`]'s text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseFaultError(String);

impl fmt::Display for ParseFaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseFaultError {}

/// Parses `ACTION:KIND` with options, such as `SendMessage:throttle:after=1:times=2`.
///
/// The action is `any` or one of SQS's actions. The kinds are those of [`FaultKind`] in kebab case. Some have a value:
/// `status=503`, `delay=200ms`, `trickle=1ms`, `wrong-entry-md5=ID`, `spoil-entry=ID`, `spoil-body=TEXT` and
/// `fail-entries=2`. A response with headers or a body has no text, so [`FaultKind::Reply`] has only its status.
///
/// The options `after=REQUESTS`, `times=FAULTS` and `probability=0.1` are [`Fault::after`], [`Fault::times`] and
/// [`Fault::probability`]. Times end with `ms` or `s`. A value contains no colon.
///
/// ```
/// use sqs_local::{Fault, LocalSqs};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = LocalSqs::start().await?;
/// server.faults().add("any:delay=200ms:probability=0.1".parse()?);
/// server.faults().add("ReceiveMessage:drop-after:times=3".parse()?);
/// assert!("SendMessage:explode".parse::<Fault>().is_err());
/// # Ok(()) }
/// ```
impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, ParseFaultError> {
        parse(text).map_err(|why| ParseFaultError(format!("fault {text:?} is not valid: {why}")))
    }
}

fn parse(text: &str) -> Result<Fault, String> {
    let mut parts = text.split(':');
    let action = parts.next().unwrap_or_default();
    let Some(kind) = parts.next() else {
        return Err("write it as ACTION:KIND, such as SendMessage:throttle".into());
    };
    let kind = parse_kind(kind)?;
    let mut fault = match action {
        "any" => Fault::any(kind),
        action => match action.parse::<Action>() {
            Ok(action) => Fault::on(action, kind),
            Err(()) => {
                return Err(format!(
                    "unknown action {action:?}; use \"any\" or an action of SQS, such as SendMessage"
                ));
            }
        },
    };
    for option in parts {
        fault = match option.split_once('=') {
            Some(("after", value)) => fault.after(number(value)?),
            Some(("times", value)) => fault.times(number(value)?),
            Some(("probability", value)) => fault.probability(probability(value)?),
            _ => {
                return Err(format!(
                    "unknown option {option:?}; use after=NUMBER, times=NUMBER or probability=NUMBER"
                ));
            }
        };
    }
    Ok(fault)
}

fn parse_kind(text: &str) -> Result<FaultKind, String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    Ok(match (name, value) {
        ("throttle", None) => FaultKind::Throttle,
        ("throttling-exception", None) => FaultKind::ThrottlingException,
        ("status", Some(value)) => FaultKind::status(status(value)?),
        ("delay", Some(value)) => FaultKind::Delay(time(value)?),
        ("drop-before", None) => FaultKind::DropBefore,
        ("drop-after", None) => FaultKind::DropAfter,
        ("reset", None) => FaultKind::Reset,
        ("truncated-response", None) => FaultKind::TruncatedResponse,
        ("trickle", Some(value)) => FaultKind::Trickle(time(value)?),
        ("duplicate", None) => FaultKind::Duplicate,
        ("reorder", None) => FaultKind::Reorder,
        ("wrong-md5", None) => FaultKind::WrongMd5,
        ("wrong-entry-md5", Some(id)) => FaultKind::WrongEntryMd5(id.to_owned()),
        ("spoil-entry", Some(id)) => FaultKind::SpoilEntry(id.to_owned()),
        ("spoil-body", Some(body)) => FaultKind::SpoilBody(body.to_owned()),
        ("digest-all-attributes", None) => FaultKind::DigestAllAttributes,
        ("fail-entries", Some(value)) => FaultKind::FailEntries(number(value)?),
        _ => return Err(format!("unknown kind {text:?}; use {KINDS}")),
    })
}

fn number<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number"))
}

/// Reads a status of a final response. hyper sends no body with any other.
fn status(text: &str) -> Result<u16, String> {
    let status = text.parse().ok().filter(|status| (200..=599).contains(status));
    status.ok_or_else(|| format!("{text:?} is not a status of HTTP from 200 to 599"))
}

fn probability(text: &str) -> Result<f64, String> {
    let probability = text.parse().ok().filter(|value| (0.0..=1.0).contains(value));
    probability.ok_or_else(|| format!("the probability {text:?} is not a number from 0 to 1"))
}

fn time(text: &str) -> Result<Duration, String> {
    let milliseconds = text
        .strip_suffix("ms")
        .map(|count| count.parse().map(Duration::from_millis));
    let seconds = text
        .strip_suffix('s')
        .map(|count| count.parse().map(Duration::from_secs));
    match milliseconds.or(seconds) {
        Some(Ok(time)) => Ok(time),
        _ => Err(format!("{text:?} is not a time such as 200ms or 3s")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Reply;

    fn fault(text: &str) -> Fault {
        text.parse().expect("a valid fault")
    }

    fn refusal(text: &str) -> String {
        text.parse::<Fault>().expect_err("refused").to_string()
    }

    #[test]
    fn each_kind_has_a_text() {
        for (text, kind) in [
            ("throttle", FaultKind::Throttle),
            ("throttling-exception", FaultKind::ThrottlingException),
            ("status=503", FaultKind::Reply(Reply::new(503))),
            ("delay=200ms", FaultKind::Delay(Duration::from_millis(200))),
            ("delay=3s", FaultKind::Delay(Duration::from_secs(3))),
            ("drop-before", FaultKind::DropBefore),
            ("drop-after", FaultKind::DropAfter),
            ("reset", FaultKind::Reset),
            ("truncated-response", FaultKind::TruncatedResponse),
            ("trickle=1ms", FaultKind::Trickle(Duration::from_millis(1))),
            ("duplicate", FaultKind::Duplicate),
            ("reorder", FaultKind::Reorder),
            ("wrong-md5", FaultKind::WrongMd5),
            ("wrong-entry-md5=a", FaultKind::WrongEntryMd5("a".into())),
            ("spoil-entry=a", FaultKind::SpoilEntry("a".into())),
            ("spoil-body=x=y", FaultKind::SpoilBody("x=y".into())),
            ("digest-all-attributes", FaultKind::DigestAllAttributes),
            ("fail-entries=2", FaultKind::FailEntries(2)),
        ] {
            assert_eq!(fault(&format!("any:{text}")).kind, kind, "{text}");
            let name = text.split('=').next().unwrap();
            assert!(KINDS.contains(name), "{name} is not listed");
        }
    }

    #[test]
    fn options_limit_a_fault() {
        let parsed = fault("ReceiveMessage:drop-after:after=1:times=3:probability=0.25");
        assert_eq!(parsed.action, Some(Action::ReceiveMessage));
        assert_eq!((parsed.skip, parsed.left, parsed.probability), (1, Some(3), 0.25));
        let any = fault("any:reset");
        assert_eq!((any.action, any.skip, any.left, any.probability), (None, 0, None, 1.0));
    }

    #[test]
    fn a_malformed_text_is_refused_with_the_reason() {
        for (text, why) in [
            ("", "ACTION:KIND"),
            ("throttle", "ACTION:KIND"),
            ("SendMesage:throttle", "unknown action \"SendMesage\""),
            ("any:explode", "throttle, throttling-exception"),
            ("any:delay", "delay=TIME"),
            ("any:throttle=1", "unknown kind"),
            ("any:delay=200", "200ms or 3s"),
            ("any:delay=-1s", "200ms or 3s"),
            ("any:status=99", "from 200 to 599"),
            ("any:status=1000", "from 200 to 599"),
            ("any:fail-entries=x", "not a number"),
            ("any:throttle:times=x", "not a number"),
            ("any:throttle:probability=2", "from 0 to 1"),
            ("any:throttle:probability=NaN", "from 0 to 1"),
            ("any:throttle:often", "probability=NUMBER"),
        ] {
            assert!(refusal(text).contains(why), "{text}: {}", refusal(text));
        }
    }
}
