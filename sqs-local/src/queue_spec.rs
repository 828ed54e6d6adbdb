//! Queues from a line of text, such as the program's `--queue`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde_json::json;

use crate::server::LocalSqs;

/// The number of receives after which a message becomes a dead letter, if the text gives none.
const DEFAULT_MAX_RECEIVES: u32 = 3;

const DEAD_LETTER: &str = "dead-letter";
const MAX_RECEIVES: &str = "max-receives";

/// The options that set a queue attribute.
const ATTRIBUTES: [(&str, &str); 11] = [
    ("content-based-deduplication", "ContentBasedDeduplication"),
    ("deduplication-scope", "DeduplicationScope"),
    ("delay-seconds", "DelaySeconds"),
    ("fifo-throughput-limit", "FifoThroughputLimit"),
    ("kms-data-key-reuse-period-seconds", "KmsDataKeyReusePeriodSeconds"),
    ("kms-master-key-id", "KmsMasterKeyId"),
    ("maximum-message-size", "MaximumMessageSize"),
    ("message-retention-period", "MessageRetentionPeriod"),
    ("receive-message-wait-time-seconds", "ReceiveMessageWaitTimeSeconds"),
    ("sqs-managed-sse-enabled", "SqsManagedSseEnabled"),
    ("visibility-timeout", "VisibilityTimeout"),
];

/// A queue to create, parsed from `NAME` or `NAME:OPTION=VALUE,OPTION=VALUE`.
///
/// A name that ends with `.fifo` is a FIFO queue's. The options are:
///
/// - `dead-letter=QUEUE`: moves messages to this queue after too many receives. [`LocalSqs::create_queues`] creates it if it
///   does not exist.
/// - `max-receives=NUMBER`: the number of receives before that. Default: 3.
/// - a queue attribute in kebab case, such as `visibility-timeout=5`. All attributes but policies have an option. Times are
///   in seconds, as in SQS. Default: AWS's.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sqs_local::{LocalSqs, QueueSpec};
///
/// let server = LocalSqs::start().await?;
/// let orders: QueueSpec = "orders:dead-letter=orders-dlq,max-receives=5".parse()?;
/// let events: QueueSpec = "events.fifo:content-based-deduplication=true".parse()?;
/// let urls = server.create_queues(&[orders, events])?;
/// assert_eq!(urls, [server.queue_url("orders"), server.queue_url("events.fifo")]);
/// assert!(server.queue("orders-dlq").is_some());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSpec {
    name: String,
    attributes: BTreeMap<&'static str, String>,
    dead_letter: Option<DeadLetter>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct DeadLetter {
    queue: String,
    max_receives: u32,
}

/// The error of a [`QueueSpec`]: its text is not valid, or the server refuses to create the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSpecError(String);

impl fmt::Display for QueueSpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for QueueSpecError {}

impl QueueSpec {
    /// Returns the queue's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for QueueSpec {
    type Err = QueueSpecError;

    fn from_str(text: &str) -> Result<Self, QueueSpecError> {
        let (name, options) = text.split_once(':').unwrap_or((text, ""));
        if name.is_empty() {
            return Err(refused(text, "it has no name"));
        }
        let mut attributes = BTreeMap::new();
        let (mut queue, mut max_receives) = (None, None);
        for option in options.split(',').filter(|option| !option.is_empty()) {
            let Some((key, value)) = option.split_once('=') else {
                return Err(refused(text, &format!("the option {option:?} has no value")));
            };
            let known = ATTRIBUTES.iter().find(|(option, _)| *option == key);
            let repeated = match (key, known) {
                (DEAD_LETTER, _) => queue.replace(value.to_owned()).is_some(),
                (MAX_RECEIVES, _) => match value.parse::<u32>() {
                    Ok(receives) => max_receives.replace(receives).is_some(),
                    Err(_) => return Err(refused(text, &format!("{MAX_RECEIVES} {value:?} is not a number"))),
                },
                (_, Some((_, attribute))) => attributes.insert(*attribute, value.to_owned()).is_some(),
                (_, None) => {
                    return Err(refused(
                        text,
                        &format!("unknown option {key:?}; use {}", options_list()),
                    ));
                }
            };
            if repeated {
                return Err(refused(text, &format!("the option {key:?} is repeated")));
            }
        }
        if queue.is_none() && max_receives.is_some() {
            return Err(refused(text, &format!("{MAX_RECEIVES} requires {DEAD_LETTER}=QUEUE")));
        }
        let max_receives = max_receives.unwrap_or(DEFAULT_MAX_RECEIVES);
        Ok(Self {
            name: name.to_owned(),
            attributes,
            dead_letter: queue.map(|queue| DeadLetter { queue, max_receives }),
        })
    }
}

fn refused(text: &str, why: &str) -> QueueSpecError {
    QueueSpecError(format!("queue {text:?} is not valid: {why}"))
}

fn options_list() -> String {
    let attributes = ATTRIBUTES.map(|(option, _)| option);
    format!("{DEAD_LETTER}, {MAX_RECEIVES}, {}", attributes.join(", "))
}

impl LocalSqs {
    /// Creates queues and their dead-letter queues, and returns the URLs of `specs`, in their order.
    ///
    /// A dead-letter queue is created before its source. It has default attributes if `specs` does not contain it. An
    /// existing queue stays as it is.
    ///
    /// # Errors
    ///
    /// Returns an error if a name or an attribute is not valid, or if a queue exists with other values. The queues before it
    /// remain.
    ///
    /// See the example of [`QueueSpec`].
    pub fn create_queues(&self, specs: &[QueueSpec]) -> Result<Vec<String>, QueueSpecError> {
        for spec in in_order(specs) {
            self.create_one(spec)?;
        }
        Ok(specs.iter().map(|spec| self.queue_url(&spec.name)).collect())
    }

    fn create_one(&self, spec: &QueueSpec) -> Result<(), QueueSpecError> {
        let mut attributes = spec.attributes.clone();
        if let Some(DeadLetter { queue, max_receives }) = &spec.dead_letter {
            self.create_named(queue, &BTreeMap::new())?;
            let policy = json!({"deadLetterTargetArn": self.queue_arn(queue), "maxReceiveCount": max_receives});
            attributes.insert("RedrivePolicy", policy.to_string());
        }
        self.create_named(&spec.name, &attributes)
    }

    fn create_named(&self, name: &str, attributes: &BTreeMap<&'static str, String>) -> Result<(), QueueSpecError> {
        let attributes = attributes.iter().map(|(name, value)| (*name, value.as_str()));
        let created = self.create_queue_with(name, attributes);
        created.map_err(|error| QueueSpecError(format!("cannot create queue {name:?}: {error}")))?;
        Ok(())
    }
}

/// Puts each dead-letter queue before its sources, because a source's own creation would create it with default attributes.
fn in_order(specs: &[QueueSpec]) -> Vec<&QueueSpec> {
    let mut ordered = Vec::with_capacity(specs.len());
    let mut open: Vec<&QueueSpec> = specs.iter().rev().collect();
    let mut visited = Vec::new();
    while let Some(spec) = open.pop() {
        let target = spec.dead_letter.as_ref().map(|letter| &letter.queue);
        let targets = specs.iter().filter(|other| Some(&other.name) == target);
        let missing: Vec<_> = targets.filter(|other| !ordered.contains(other)).collect();
        // A spec that is open for the second time has a circle of dead-letter queues, or has all of them.
        if missing.is_empty() || visited.contains(&spec) {
            if !ordered.contains(&spec) {
                ordered.push(spec);
            }
        } else {
            visited.push(spec);
            open.push(spec);
            open.extend(missing);
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> QueueSpec {
        text.parse().expect("a valid queue")
    }

    fn refusal(text: &str) -> String {
        text.parse::<QueueSpec>().expect_err("refused").to_string()
    }

    fn attribute(server: &LocalSqs, queue: &str, name: &str) -> Option<String> {
        let service = &server.gateway.service;
        let queue = service.queue_named(queue).expect("the queue");
        queue.lock(service.now()).settings.get(name).map(str::to_owned)
    }

    #[tokio::test]
    async fn a_queue_has_the_attributes_of_its_options() {
        let server = LocalSqs::start().await.expect("a server");
        let spec = "events.fifo:content-based-deduplication=true,visibility-timeout=5,deduplication-scope=messageGroup";
        server.create_queues(&[parse(spec)]).expect("created");
        for (name, value) in [
            ("ContentBasedDeduplication", "true"),
            ("VisibilityTimeout", "5"),
            ("DeduplicationScope", "messageGroup"),
            ("FifoQueue", "true"),
        ] {
            assert_eq!(attribute(&server, "events.fifo", name).as_deref(), Some(value));
        }
    }

    #[tokio::test]
    async fn a_dead_letter_queue_is_created_before_its_source() {
        let server = LocalSqs::start().await.expect("a server");
        // Each source precedes its dead-letter queue, which has attributes of its own.
        let specs = [
            "a:dead-letter=b",
            "b:dead-letter=c,max-receives=7,visibility-timeout=5",
            "c:visibility-timeout=6",
        ];
        server.create_queues(&specs.map(parse)).expect("created");
        let policy = |target, receives| {
            let arn = server.queue_arn(target);
            Some(json!({"deadLetterTargetArn": arn, "maxReceiveCount": receives}).to_string())
        };
        assert_eq!(
            attribute(&server, "a", "RedrivePolicy"),
            policy("b", DEFAULT_MAX_RECEIVES)
        );
        assert_eq!(attribute(&server, "b", "RedrivePolicy"), policy("c", 7));
        assert_eq!(attribute(&server, "b", "VisibilityTimeout").as_deref(), Some("5"));
        assert_eq!(attribute(&server, "c", "VisibilityTimeout").as_deref(), Some("6"));
    }

    #[tokio::test]
    async fn a_circle_of_dead_letter_queues_is_refused() {
        let server = LocalSqs::start().await.expect("a server");
        let specs = ["a:dead-letter=b", "b:dead-letter=a", "c:dead-letter=c"].map(parse);
        assert_eq!(in_order(&specs).len(), 3);
        // The first queue of the circle has created the second one, with default attributes.
        let error = server.create_queues(&specs).expect_err("the circle");
        assert!(error.to_string().contains("\"b\""), "{error}");
    }

    #[tokio::test]
    async fn a_refused_queue_is_named() {
        let server = LocalSqs::start().await.expect("a server");
        for (spec, queue, why) in [
            ("two words", "two words", "alphanumeric"),
            ("orders:visibility-timeout=x", "orders", "VisibilityTimeout"),
            ("orders:dead-letter=dead.fifo", "orders", "same type"),
            (
                "orders:content-based-deduplication=true",
                "orders",
                "ContentBasedDeduplication",
            ),
        ] {
            let error = server.create_queues(&[parse(spec)]).expect_err(spec).to_string();
            assert!(
                error.contains(&format!("queue {queue:?}")) && error.contains(why),
                "{error}"
            );
        }
    }

    #[test]
    fn an_unknown_option_lists_the_known_ones() {
        let refusal = refusal("orders:visibility=5");
        assert!(refusal.contains("unknown option \"visibility\""), "{refusal}");
        for option in ["dead-letter", "max-receives", "visibility-timeout", "delay-seconds"] {
            assert!(refusal.contains(option), "{refusal}");
        }
    }

    #[test]
    fn a_malformed_text_is_refused_with_the_reason() {
        for (text, why) in [
            ("", "no name"),
            (":delay-seconds=1", "no name"),
            ("orders:dead-letter", "no value"),
            ("orders:dead-letter=d,max-receives=many", "not a number"),
            ("orders:max-receives=3", "requires dead-letter"),
            ("orders:delay-seconds=1,delay-seconds=2", "repeated"),
        ] {
            assert!(refusal(text).contains(why), "{text}: {}", refusal(text));
        }
    }

    /// The options are AWS's names of the attributes, in another case.
    #[test]
    fn options_are_attributes_in_kebab_case() {
        for (option, attribute) in ATTRIBUTES {
            let words = option.split('-').map(|word| word[..1].to_uppercase() + &word[1..]);
            assert_eq!(words.collect::<String>(), attribute);
        }
    }
}
