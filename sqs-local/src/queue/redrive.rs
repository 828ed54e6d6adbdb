//! The two policies for dead letters: the target of a queue's dead letters, and the sources that a queue accepts.

use serde_json::Value;

use crate::protocol::error::{Error, Result};

/// The target of a queue's dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Redrive {
    pub(crate) target_arn: String,
    pub(crate) max_receives: u32,
}

impl Redrive {
    /// Parses a RedrivePolicy.
    pub(crate) fn read(policy: &str) -> Result<Self> {
        let invalid = |reason: &str| Error::invalid_value(policy, "RedrivePolicy", reason);
        let value: Value =
            serde_json::from_str(policy).map_err(|_| invalid("Redrive policy is not a valid JSON map."))?;
        let missing = |name| invalid(&format!("Redrive policy does not contain mandatory attribute: {name}."));
        let target = &value["deadLetterTargetArn"];
        let target_arn = target
            .as_str()
            .ok_or_else(|| missing("deadLetterTargetArn"))?
            .to_owned();
        // Programs send both 3 and "3".
        let max = match &value["maxReceiveCount"] {
            Value::Null => return Err(missing("maxReceiveCount")),
            Value::String(text) => text.parse().ok(),
            number => number.as_u64(),
        };
        let max_receives = max
            .filter(|n| (1..=1000).contains(n))
            .and_then(|n| u32::try_from(n).ok());
        let max_receives =
            max_receives.ok_or_else(|| invalid("Invalid value for maxReceiveCount: must be between 1 and 1000."))?;
        Ok(Self {
            target_arn,
            max_receives,
        })
    }
}

/// Returns `true` if a RedriveAllowPolicy permits a source queue. No policy permits all.
pub(crate) fn allows(policy: Option<&str>, source_arn: &str) -> bool {
    let Some(policy) = policy.and_then(|p| serde_json::from_str::<Value>(p).ok()) else {
        return true;
    };
    match policy["redrivePermission"].as_str() {
        Some("denyAll") => false,
        Some("byQueue") => {
            let sources = policy["sourceQueueArns"].as_array();
            sources.is_some_and(|arns| arns.iter().any(|arn| arn == source_arn))
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redrive_policies_are_checked() {
        let read = |count: &str| {
            Redrive::read(&format!(
                "{{\"deadLetterTargetArn\":\"a\",\"maxReceiveCount\":{count}}}"
            ))
        };
        assert_eq!(read("3").map(|r| r.max_receives), Ok(3));
        assert_eq!(read("\"3\"").map(|r| r.max_receives), Ok(3));
        for bad in ["0", "1001", "null", "\"x\"", "1.5"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(Redrive::read("x").is_err());
    }

    #[test]
    fn redrive_allow_policies_permit_sources() {
        let by_queue = "{\"redrivePermission\":\"byQueue\",\"sourceQueueArns\":[\"a\"]}";
        assert!(allows(None, "a") && allows(Some(by_queue), "a") && !allows(Some(by_queue), "b"));
        assert!(!allows(Some("{\"redrivePermission\":\"denyAll\"}"), "a"));
        assert!(allows(Some("{\"redrivePermission\":\"allowAll\"}"), "a"));
    }
}
