//! The two policies for dead letters: the target of a queue's dead letters, and the sources that a queue accepts.

use serde_json::{Map, Value, json};

use crate::protocol::error::{Error, Result};

const MAX_SOURCES: usize = 10;

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
        let members = parse(policy)
            .ok_or_else(|| Error::invalid_attribute("RedrivePolicy", "Redrive policy is not a valid JSON map."))?;
        let required = |name: &str| {
            let missing = || invalid(&format!("Redrive policy does not contain mandatory attribute: {name}."));
            members.get(name).ok_or_else(missing)
        };
        let max = required("maxReceiveCount")?;
        let target = required("deadLetterTargetArn")?;
        if members.len() > 2 {
            return Err(invalid(
                "Only following attributes are supported: [deadLetterTargetArn, maxReceiveCount].",
            ));
        }
        // Programs send both 3 and "3".
        let (shown, max) = match max {
            Value::String(text) => (text.clone(), text.parse().ok()),
            number => (number.to_string(), number.as_u64()),
        };
        let max_receives = max
            .filter(|n| (1..=1000).contains(n))
            .and_then(|n| u32::try_from(n).ok());
        let reason =
            format!("Invalid value for maxReceiveCount: {shown}, valid values are from 1 to 1000 both inclusive.");
        let max_receives = max_receives.ok_or_else(|| invalid(&reason))?;
        let target_arn = target.as_str().filter(|arn| is_arn(arn));
        let target_arn = target_arn.ok_or_else(|| invalid("Invalid value for deadLetterTargetArn."))?;
        Ok(Self {
            target_arn: target_arn.to_owned(),
            max_receives,
        })
    }

    /// Returns the policy as GetQueueAttributes shows it. The count is a number, however it was sent: Terraform waits
    /// until it reads the number.
    pub(crate) fn to_policy(&self) -> String {
        json!({"deadLetterTargetArn": self.target_arn, "maxReceiveCount": self.max_receives}).to_string()
    }
}

/// Returns `true` for text with the six parts of an ARN.
pub(crate) fn is_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [prefix, partition, service, _region, account, resource] = parts.as_slice() else {
        return false;
    };
    *prefix == "arn"
        && [partition, service, account, resource]
            .iter()
            .all(|part| !part.is_empty())
}

fn parse(policy: &str) -> Option<Map<String, Value>> {
    match serde_json::from_str(policy) {
        Ok(Value::Object(members)) => Some(members),
        _ => None,
    }
}

/// Checks a RedriveAllowPolicy, and returns it as GetQueueAttributes shows it.
pub(crate) fn read_allow_policy(policy: &str) -> Result<String> {
    const NAME: &str = "RedriveAllowPolicy";
    let unsupported = || {
        let reason = "Amazon SQS can't create the redrive allow policy, as it’s in an unsupported format.";
        Error::invalid_attribute(NAME, reason)
    };
    let invalid = |reason: &str| {
        let reason = format!("Amazon SQS can't create the redrive allow policy. {reason}");
        Err(Error::invalid_value(policy, NAME, &reason))
    };
    let members = parse(policy).ok_or_else(unsupported)?;
    let known = |name: &String| matches!(name.as_str(), "redrivePermission" | "sourceQueueArns");
    let permission = members.get("redrivePermission").and_then(Value::as_str);
    let permission = permission.filter(|p| matches!(*p, "allowAll" | "denyAll" | "byQueue"));
    let permission = permission
        .filter(|_| members.keys().all(known))
        .ok_or_else(unsupported)?;
    let sources = match members.get("sourceQueueArns") {
        None | Some(Value::Null) => None,
        Some(Value::Array(arns)) if arns.iter().all(|arn| arn.as_str().is_some_and(is_arn)) => Some(arns),
        Some(_) => return Err(unsupported()),
    };
    match (permission, sources) {
        ("byQueue", None) => invalid(
            "When you specify the byQueue permission type, you must also specify one or more sourceQueueArns values.",
        ),
        ("byQueue", Some(arns)) if arns.is_empty() => invalid(
            "When you specify the byQueue permission type, you must also specify one or more sourceQueueArns values.",
        ),
        ("byQueue", Some(arns)) if arns.len() > MAX_SOURCES => {
            invalid("The maximum number of source queue ARNs you can specify is 10.")
        }
        ("byQueue", Some(arns)) => Ok(json!({"redrivePermission": permission, "sourceQueueArns": arns}).to_string()),
        (_, Some(_)) => invalid("To specify one or more source queue ARNs, you must set redrivePermission to byQueue."),
        (_, None) => Ok(json!({"redrivePermission": permission}).to_string()),
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
    use crate::protocol::error;

    const ARN: &str = "arn:aws:sqs:us-east-1:000000000000:dead";

    fn read(count: &str) -> Result<Redrive> {
        Redrive::read(&format!(
            "{{\"deadLetterTargetArn\":\"{ARN}\",\"maxReceiveCount\":{count}}}"
        ))
    }

    #[test]
    fn redrive_policies_are_checked() {
        assert_eq!(read("3").map(|r| r.max_receives), Ok(3));
        assert_eq!(read("\"3\"").map(|r| r.max_receives), Ok(3));
        for bad in ["0", "1001", "null", "\"x\"", "1.5", "-1"] {
            assert_eq!(read(bad).map_err(|e| e.code), Err(&error::INVALID_PARAMETER), "{bad}");
        }
        for (policy, code, reason) in [
            (
                "x",
                &error::INVALID_ATTRIBUTE_VALUE,
                "Redrive policy is not a valid JSON map.",
            ),
            (
                "[]",
                &error::INVALID_ATTRIBUTE_VALUE,
                "Redrive policy is not a valid JSON map.",
            ),
            ("{}", &error::INVALID_PARAMETER, "mandatory attribute: maxReceiveCount."),
            (
                "{\"maxReceiveCount\":1}",
                &error::INVALID_PARAMETER,
                "mandatory attribute: deadLetterTargetArn.",
            ),
            (
                "{\"maxReceiveCount\":1,\"deadLetterTargetArn\":\"a\"}",
                &error::INVALID_PARAMETER,
                "Invalid value for deadLetterTargetArn.",
            ),
            (
                "{\"maxReceiveCount\":1,\"deadLetterTargetArn\":\"a\",\"x\":1}",
                &error::INVALID_PARAMETER,
                "[deadLetterTargetArn, maxReceiveCount].",
            ),
        ] {
            let refused = Redrive::read(policy).expect_err("refused");
            assert_eq!(refused.code, code, "{policy}");
            assert!(refused.message.ends_with(reason), "{}", refused.message);
        }
    }

    #[test]
    fn a_redrive_policy_shows_its_count_as_a_number() {
        let shown = read("\"5\"").map(|r| r.to_policy());
        assert_eq!(
            shown,
            Ok(format!("{{\"deadLetterTargetArn\":\"{ARN}\",\"maxReceiveCount\":5}}"))
        );
    }

    #[test]
    fn redrive_allow_policies_are_checked() {
        let by_queue = |arns: usize| {
            let arns = vec![ARN; arns];
            json!({"redrivePermission": "byQueue", "sourceQueueArns": arns}).to_string()
        };
        for good in [
            json!({"redrivePermission": "allowAll"}).to_string(),
            json!({"redrivePermission": "denyAll"}).to_string(),
            by_queue(1),
            by_queue(10),
        ] {
            assert_eq!(read_allow_policy(&good).as_deref(), Ok(good.as_str()));
        }
        for (policy, code, reason) in [
            ("x", &error::INVALID_ATTRIBUTE_VALUE, "unsupported format."),
            ("{}", &error::INVALID_ATTRIBUTE_VALUE, "unsupported format."),
            (
                "{\"redrivePermission\":\"some\"}",
                &error::INVALID_ATTRIBUTE_VALUE,
                "unsupported format.",
            ),
            (
                "{\"redrivePermission\":\"denyAll\",\"x\":1}",
                &error::INVALID_ATTRIBUTE_VALUE,
                "unsupported format.",
            ),
            (
                "{\"redrivePermission\":\"byQueue\",\"sourceQueueArns\":[\"a\"]}",
                &error::INVALID_ATTRIBUTE_VALUE,
                "unsupported format.",
            ),
            (
                "{\"redrivePermission\":\"byQueue\"}",
                &error::INVALID_PARAMETER,
                "sourceQueueArns values.",
            ),
            (&by_queue(0), &error::INVALID_PARAMETER, "sourceQueueArns values."),
            (&by_queue(11), &error::INVALID_PARAMETER, "you can specify is 10."),
            (
                &by_queue(1).replace("byQueue", "denyAll"),
                &error::INVALID_PARAMETER,
                "to byQueue.",
            ),
            (
                &by_queue(1).replace("byQueue", "allowAll"),
                &error::INVALID_PARAMETER,
                "to byQueue.",
            ),
        ] {
            let refused = read_allow_policy(policy).expect_err("refused");
            assert_eq!(refused.code, code, "{policy}");
            assert!(refused.message.ends_with(reason), "{}", refused.message);
        }
    }

    #[test]
    fn redrive_allow_policies_permit_sources() {
        let by_queue = "{\"redrivePermission\":\"byQueue\",\"sourceQueueArns\":[\"a\"]}";
        assert!(allows(None, "a") && allows(Some(by_queue), "a") && !allows(Some(by_queue), "b"));
        assert!(!allows(Some("{\"redrivePermission\":\"denyAll\"}"), "a"));
        assert!(allows(Some("{\"redrivePermission\":\"allowAll\"}"), "a"));
    }
}
