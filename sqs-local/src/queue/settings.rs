//! Queue attributes: their names, ranges, defaults and values.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::protocol::error::{self, Error, Result};
use crate::queue::policy;
use crate::queue::redrive::{self, Redrive};

/// The attribute that only a queue with a KMS key shows.
const KMS_PERIOD: &str = "KmsDataKeyReusePeriodSeconds";

/// Numeric attributes: name, minimum, maximum, default.
const NUMBERS: [(&str, u64, u64, &str); 6] = [
    ("DelaySeconds", 0, 900, "0"),
    ("MaximumMessageSize", 1024, 1_048_576, "1048576"),
    ("MessageRetentionPeriod", 60, 1_209_600, "345600"),
    ("ReceiveMessageWaitTimeSeconds", 0, 20, "0"),
    ("VisibilityTimeout", 0, 43_200, "30"),
    (KMS_PERIOD, 60, 86_400, "300"),
];

/// Attributes with a few allowed words: name, words, default, whether only FIFO queues have it.
const CHOICES: [(&str, &[&str], &str, bool); 4] = [
    ("SqsManagedSseEnabled", &["true", "false"], "true", false),
    ("ContentBasedDeduplication", &["true", "false"], "false", true),
    ("DeduplicationScope", &["queue", "messageGroup"], "queue", true),
    (
        "FifoThroughputLimit",
        &["perQueue", "perMessageGroupId"],
        "perQueue",
        true,
    ),
];

/// Text attributes, which are absent while empty.
const TEXTS: [&str; 4] = ["KmsMasterKeyId", "Policy", "RedriveAllowPolicy", "RedrivePolicy"];

/// The maximum length of a text attribute in bytes, which is SQS's maximum for policies:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-policies.html>.
const MAX_TEXT: usize = 8192;

/// Read-only attributes, which are computed from the queue's state.
pub(crate) const COMPUTED: [&str; 6] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
];

/// A queue's attributes as in GetQueueAttributes.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    values: BTreeMap<String, String>,
    /// The minimum of MessageRetentionPeriod.
    min_retention: Duration,
    redrive: Option<Redrive>,
}

impl Settings {
    /// Creates the attributes of a new queue.
    pub(crate) fn create(fifo: bool, min_retention: Duration, given: &[(String, String)]) -> Result<Self> {
        let numbers = NUMBERS.iter().map(|(name, _, _, default)| (name, default));
        let choices = CHOICES
            .iter()
            .filter(|c| fifo || !c.3)
            .map(|(name, _, default, _)| (name, default));
        let values = numbers
            .chain(choices)
            .map(|(name, default)| ((*name).to_owned(), (*default).to_owned()));
        let mut settings = Self {
            values: values.collect(),
            min_retention,
            redrive: None,
        };
        if fifo {
            settings.values.insert("FifoQueue".into(), "true".into());
        }
        settings.set(given).map_err(|e| match e {
            // CreateQueue's model has no OverLimit.
            e if *e.code == error::OVER_LIMIT => Error::invalid(e.message),
            e => e,
        })?;
        Ok(settings)
    }

    /// Changes attributes. An error leaves all of them unchanged.
    pub(crate) fn set(&mut self, given: &[(String, String)]) -> Result<()> {
        let mut changed = self.clone();
        for (name, value) in given {
            changed.set_one(name, value)?;
        }
        changed.settle_encryption(given)?;
        let per_group = changed.get("FifoThroughputLimit") == Some("perMessageGroupId");
        if per_group && !changed.deduplicates_by_group() {
            let reason = "The perMessageGroupId value is allowed only when the value for DeduplicationScope is \
                          messageGroup.";
            return Err(Error::invalid_attribute("FifoThroughputLimit", reason));
        }
        *self = changed;
        Ok(())
    }

    fn set_one(&mut self, name: &str, value: &str) -> Result<()> {
        if name == "FifoQueue" {
            return match (self.is_fifo(), value) {
                (true, "true") => Ok(()),
                (true, "false") => Err(Error::invalid_attribute(name, "Modifying queue type is not supported.")),
                (true, _) => Err(Error::invalid_attribute(name, "")),
                (false, _) => Err(unknown(name)),
            };
        }
        let value = self.normalize(name, value)?;
        if value.is_empty() {
            self.values.remove(name);
        } else {
            self.values.insert(name.to_owned(), value);
        }
        Ok(())
    }

    /// Checks a value, and returns it as GetQueueAttributes shows it.
    fn normalize(&mut self, name: &str, value: &str) -> Result<String> {
        if let Some((_, min, max, _)) = NUMBERS.iter().find(|n| n.0 == name) {
            let min = match name {
                "MessageRetentionPeriod" => self.min_retention.as_secs(),
                _ => *min,
            };
            let number = value.parse::<u64>().ok().filter(|n| (min..=*max).contains(n));
            let number = number.ok_or_else(|| Error::invalid_attribute(name, ""))?;
            // A number may have leading zeros or a plus sign.
            return Ok(number.to_string());
        }
        if let Some((_, words, _, fifo_only)) = CHOICES.iter().find(|c| c.0 == name) {
            if *fifo_only && !self.is_fifo() {
                return Err(fifo_only_attribute(name));
            }
            if !words.contains(&value) {
                return Err(Error::invalid_attribute(name, ""));
            }
            return Ok(value.to_owned());
        }
        if !TEXTS.contains(&name) {
            return Err(unknown(name));
        }
        if value.len() > MAX_TEXT {
            return Err(Error::invalid_attribute(name, ""));
        }
        // An empty text removes the attribute.
        match (name, value) {
            ("RedrivePolicy", "") => self.redrive = None,
            ("RedrivePolicy", policy) => {
                let redrive = Redrive::read(policy)?;
                return Ok(self.redrive.insert(redrive).to_policy());
            }
            (_, "") => {}
            ("RedriveAllowPolicy", policy) => return redrive::read_allow_policy(policy),
            ("Policy", policy) => policy::check(policy)?,
            _ => {}
        }
        Ok(value.to_owned())
    }

    /// Resolves encryption. KMS and SQS encryption exclude each other, and the last setting wins.
    fn settle_encryption(&mut self, given: &[(String, String)]) -> Result<()> {
        let sets = |name: &str, value: fn(&str) -> bool| given.iter().any(|(n, v)| n == name && value(v));
        let kms = sets("KmsMasterKeyId", |v| !v.is_empty());
        let sqs = sets("SqsManagedSseEnabled", |v| v == "true");
        match (kms, sqs) {
            (true, true) => {
                let message = "You can use one type of server-side encryption (SSE) at one time. You can either \
                               enable KMS SSE or SQS SSE.";
                Err(Error::new(&error::INVALID_ATTRIBUTE_NAME, message))
            }
            (true, false) => {
                self.values.insert("SqsManagedSseEnabled".into(), "false".into());
                Ok(())
            }
            (false, true) => {
                self.values.remove("KmsMasterKeyId");
                Ok(())
            }
            (false, false) => Ok(()),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Iterates over the attributes that GetQueueAttributes shows.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        let has_key = self.values.contains_key("KmsMasterKeyId");
        self.values
            .iter()
            .filter(move |(name, _)| has_key || *name != KMS_PERIOD)
    }

    fn number(&self, name: &str) -> u64 {
        self.get(name).and_then(|v| v.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn is_fifo(&self) -> bool {
        self.get("FifoQueue") == Some("true")
    }

    pub(crate) fn deduplicates_by_content(&self) -> bool {
        self.get("ContentBasedDeduplication") == Some("true")
    }

    pub(crate) fn deduplicates_by_group(&self) -> bool {
        self.get("DeduplicationScope") == Some("messageGroup")
    }

    pub(crate) fn delay(&self) -> Duration {
        Duration::from_secs(self.number("DelaySeconds"))
    }

    pub(crate) fn visibility(&self) -> Duration {
        Duration::from_secs(self.number("VisibilityTimeout"))
    }

    pub(crate) fn wait(&self) -> Duration {
        Duration::from_secs(self.number("ReceiveMessageWaitTimeSeconds"))
    }

    pub(crate) fn retention(&self) -> Duration {
        Duration::from_secs(self.number("MessageRetentionPeriod"))
    }

    pub(crate) fn max_size(&self) -> usize {
        usize::try_from(self.number("MaximumMessageSize")).unwrap_or(usize::MAX)
    }

    pub(crate) fn redrive(&self) -> Option<&Redrive> {
        self.redrive.as_ref()
    }
}

/// Returns `true` if a GetQueueAttributes request may have this name.
pub(crate) fn is_known(name: &str) -> bool {
    name == "All"
        || name == "FifoQueue"
        || COMPUTED.contains(&name)
        || TEXTS.contains(&name)
        || NUMBERS.iter().any(|n| n.0 == name)
        || CHOICES.iter().any(|c| c.0 == name)
}

pub(crate) fn unknown(name: &str) -> Error {
    Error::new(&error::INVALID_ATTRIBUTE_NAME, format!("Unknown Attribute {name}."))
}

fn fifo_only_attribute(name: &str) -> Error {
    if name == "ContentBasedDeduplication" {
        return unknown(name);
    }
    let message = format!("You can specify the {name} only when FifoQueue is set to true.");
    Error::new(&error::INVALID_ATTRIBUTE_NAME, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(given: &[(&str, &str)]) -> Vec<(String, String)> {
        given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn create(fifo: bool, given: &[(&str, &str)]) -> Result<Settings> {
        Settings::create(fifo, Duration::from_secs(60), &pairs(given))
    }

    #[test]
    fn attributes_have_defaults_ranges_and_known_names() {
        let settings = create(false, &[("VisibilityTimeout", "5")]).expect("valid");
        assert_eq!(settings.visibility(), Duration::from_secs(5));
        assert_eq!(settings.retention(), Duration::from_secs(345_600));
        assert_eq!(settings.get("DeduplicationScope"), None);
        for (name, value) in [
            ("VisibilityTimeout", "43201"),
            ("MaximumMessageSize", "1023"),
            ("DelaySeconds", "-1"),
            ("DelaySeconds", "x"),
            ("QueueArn", "x"),
            ("Colour", "blue"),
            ("FifoQueue", "false"),
            ("FifoQueue", "true"),
            ("FifoThroughputLimit", "perQueue"),
            ("Policy", "not json"),
            ("RedrivePolicy", "{\"deadLetterTargetArn\": \"a\"}"),
            (
                "RedrivePolicy",
                "{\"deadLetterTargetArn\": \"a\", \"maxReceiveCount\": 0}",
            ),
        ] {
            assert!(create(false, &[(name, value)]).is_err(), "{name}={value}");
        }
    }

    #[test]
    fn a_text_has_at_most_8192_bytes() {
        let key = |bytes: usize| create(false, &[("KmsMasterKeyId", "k".repeat(bytes).as_str())]).map(drop);
        assert_eq!(key(8192), Ok(()));
        assert_eq!(key(8193).map_err(|e| e.code), Err(&error::INVALID_ATTRIBUTE_VALUE));
    }

    #[test]
    fn a_failed_change_leaves_all_attributes_unchanged() {
        let mut settings = create(false, &[]).expect("valid");
        assert!(
            settings
                .set(&pairs(&[("DelaySeconds", "3"), ("Colour", "blue")]))
                .is_err()
        );
        assert_eq!(settings.delay(), Duration::ZERO);
    }

    #[test]
    fn a_redrive_policy_can_be_set_and_removed() {
        let mut settings = create(
            false,
            &[(
                "RedrivePolicy",
                "{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:a\",\"maxReceiveCount\":\"3\"}",
            )],
        )
        .expect("valid");
        assert_eq!(settings.redrive().map(|r| r.max_receives), Some(3));
        settings.set(&pairs(&[("RedrivePolicy", "")])).expect("valid");
        assert_eq!((settings.redrive(), settings.get("RedrivePolicy")), (None, None));
    }

    /// Recorded from AWS.
    #[test]
    fn kms_and_sqs_encryption_exclude_each_other() {
        let mut settings = create(false, &[]).expect("valid");
        settings.set(&pairs(&[("KmsMasterKeyId", "k")])).expect("valid");
        assert_eq!(settings.get("SqsManagedSseEnabled"), Some("false"));
        settings.set(&pairs(&[("KmsMasterKeyId", "")])).expect("valid");
        assert_eq!(settings.get("SqsManagedSseEnabled"), Some("false"));
        assert!(
            settings
                .set(&pairs(&[("KmsMasterKeyId", "k"), ("SqsManagedSseEnabled", "true")]))
                .is_err()
        );
    }
}
