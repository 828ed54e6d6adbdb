use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::types::open_enum;
use crate::types::text::AttributeText;

/// The queue attribute `Policy`, which is the queue's access policy in AWS IAM's JSON.
///
/// The policy keeps its JSON unchanged, so a program can read any policy and write it again.
/// [`statements`](Self::statements) parses the JSON, and [`new`](Self::new) writes it. The [developer
/// guide](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-creating-custom-policies.html)
/// has examples of policies.
///
/// ```
/// use sqs_client::QueueAttributes;
/// use sqs_client::types::{AccessPolicy, PolicyStatement};
///
/// let queue = "arn:aws:sqs:eu-west-1:123456789012:orders";
/// let topic = "arn:aws:sns:eu-west-1:123456789012:orders";
/// let statement = PolicyStatement::allow("sqs:SendMessage", queue)
///     .service("sns.amazonaws.com")
///     .condition("ArnEquals", "aws:SourceArn", topic);
/// let attributes = QueueAttributes::new().policy(AccessPolicy::new([statement]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessPolicy(String);

impl AccessPolicy {
    /// Creates a policy of these statements, in version `2012-10-17` of the policy language.
    pub fn new(statements: impl IntoIterator<Item = PolicyStatement>) -> Self {
        let document = Document {
            version: Some("2012-10-17".to_owned()),
            statement: statements.into_iter().collect(),
        };
        // serde_json fails only for a map whose keys are not strings.
        Self(serde_json::to_string(&document).unwrap_or_default())
    }

    /// Creates a policy from this JSON. Only the server checks it.
    pub fn from_json(json: impl Into<String>) -> Self {
        Self(json.into())
    }

    /// Returns the JSON.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// Parses the policy's statements.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the JSON is not a policy.
    // Inlined so that only a program that reads policies compiles it.
    #[inline]
    pub fn statements(&self) -> Result<Vec<PolicyStatement>, Error> {
        let document: Document = serde_json::from_str(&self.0).map_err(|error| {
            Error::invalid_input("the access policy is not a JSON policy document of AWS IAM; correct its JSON")
                .with_source(error)
        })?;
        Ok(document.statement)
    }
}

impl AttributeText for AccessPolicy {
    fn to_text(&self) -> Result<String, serde_json::Error> {
        Ok(self.0.clone())
    }
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(default, deserialize_with = "one_or_many")]
    statement: Vec<PolicyStatement>,
}

/// A statement of an [`AccessPolicy`].
///
/// ```
/// use sqs_client::types::PolicyStatement;
///
/// let queue = "arn:aws:sqs:eu-west-1:123456789012:orders";
/// let statement = PolicyStatement::allow("sqs:ReceiveMessage", queue)
///     .action("sqs:DeleteMessage")
///     .accounts(["111122223333"])
///     .sid("shop-receives");
/// assert_eq!(statement.action, ["sqs:ReceiveMessage", "sqs:DeleteMessage"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct PolicyStatement {
    /// The statement's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// The effect: allow or deny.
    pub effect: PolicyEffect,
    /// The callers that the statement applies to: `"*"` for everybody, or a map such as `{"AWS": [...]}` or
    /// `{"Service": ...}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<Value>,
    /// The actions, such as `sqs:SendMessage`.
    #[serde(default, deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub action: Vec<String>,
    /// The ARNs of the queues.
    #[serde(default, deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub resource: Vec<String>,
    /// The conditions, by operator and key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub condition: BTreeMap<String, BTreeMap<String, Value>>,
    /// Members unknown to this version of the crate, such as `NotPrincipal` and `NotAction`.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl PolicyStatement {
    /// Creates a statement that allows everybody this action on the queue with this ARN. [`accounts`](Self::accounts),
    /// [`service`](Self::service) and [`condition`](Self::condition) narrow it.
    pub fn allow(action: impl Into<String>, queue_arn: impl Into<String>) -> Self {
        Self::new(PolicyEffect::Allow, action.into(), queue_arn.into())
    }

    /// Creates a statement that denies everybody this action on the queue with this ARN. [`accounts`](Self::accounts),
    /// [`service`](Self::service) and [`condition`](Self::condition) narrow it.
    pub fn deny(action: impl Into<String>, queue_arn: impl Into<String>) -> Self {
        Self::new(PolicyEffect::Deny, action.into(), queue_arn.into())
    }

    fn new(effect: PolicyEffect, action: String, queue_arn: String) -> Self {
        Self {
            sid: None,
            effect,
            principal: Some(Value::from("*")),
            action: vec![action],
            resource: vec![queue_arn],
            condition: BTreeMap::new(),
            other: BTreeMap::new(),
        }
    }

    /// Sets the statement's id. Default: none.
    #[must_use]
    pub fn sid(mut self, sid: impl Into<String>) -> Self {
        self.sid = Some(sid.into());
        self
    }

    /// Adds an action, such as `sqs:SendMessage`. Default: the one of the constructor.
    #[must_use]
    pub fn action(mut self, action: impl Into<String>) -> Self {
        self.action.push(action.into());
        self
    }

    /// Adds the ARN of a queue. Default: the one of the constructor.
    #[must_use]
    pub fn resource(mut self, queue_arn: impl Into<String>) -> Self {
        self.resource.push(queue_arn.into());
        self
    }

    /// Limits the statement to these accounts, users or roles, named by id or ARN. Default: everybody. Replaces earlier
    /// accounts and any [`service`](Self::service).
    #[must_use]
    pub fn accounts<A: Into<String>>(mut self, accounts: impl IntoIterator<Item = A>) -> Self {
        let accounts: Vec<String> = accounts.into_iter().map(Into::into).collect();
        self.principal = Some(serde_json::json!({ "AWS": accounts }));
        self
    }

    /// Limits the statement to this AWS service, such as `sns.amazonaws.com`. Default: everybody. Replaces an earlier
    /// service and any [`accounts`](Self::accounts).
    #[must_use]
    pub fn service(mut self, service: impl Into<String>) -> Self {
        self.principal = Some(serde_json::json!({ "Service": service.into() }));
        self
    }

    /// Adds a condition, such as `("ArnEquals", "aws:SourceArn", arn)`. Default: none.
    #[must_use]
    pub fn condition(mut self, operator: impl Into<String>, key: impl Into<String>, value: impl Into<Value>) -> Self {
        let keys = self.condition.entry(operator.into()).or_default();
        keys.insert(key.into(), value.into());
        self
    }
}

open_enum! {
    /// The effect of a [`PolicyStatement`].
    ///
    /// ```
    /// use sqs_client::types::{PolicyEffect, PolicyStatement};
    ///
    /// let statement = PolicyStatement::allow("sqs:SendMessage", "arn:aws:sqs:eu-west-1:123456789012:orders");
    /// assert_eq!(statement.effect, PolicyEffect::Allow);
    /// ```
    PolicyEffect {
        /// Allows the actions.
        Allow = "Allow",
        /// Denies the actions, even if another statement allows them.
        Deny = "Deny",
    }
}

/// Reads a list. IAM omits the brackets of a list of one.
fn one_or_many<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany<T> {
        Many(Vec<T>),
        One(T),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::Many(many) => many,
        OneOrMany::One(one) => vec![one],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_one_may_lack_its_brackets() {
        let json = r#"{"Version":"2008-10-17","Id":"x","Statement":{"Effect":"Allow","Principal":{"AWS":"1"},
            "Action":"SQS:*","Resource":["a","b"],"NotAction":"z"}}"#;
        let policy = AccessPolicy::from_json(json);
        let statements = policy.statements().unwrap();
        let [statement] = statements.as_slice() else {
            panic!("{statements:?}");
        };
        assert_eq!(statement.effect, PolicyEffect::Allow);
        assert_eq!(statement.action, ["SQS:*"]);
        assert_eq!(statement.resource, ["a", "b"]);
        assert_eq!(statement.other["NotAction"], "z");
        assert_eq!(policy.as_json(), json);
    }

    #[test]
    fn statements_survive_a_round_trip() {
        let statements = [
            PolicyStatement::allow("sqs:SendMessage", "q").service("sns.amazonaws.com"),
            PolicyStatement::allow("sqs:ReceiveMessage", "q")
                .action("sqs:DeleteMessage")
                .resource("r")
                .sid("s"),
            PolicyStatement::deny("sqs:*", "q")
                .accounts(["1", "2"])
                .condition("Bool", "aws:SecureTransport", false),
        ];
        let policy = AccessPolicy::new(statements.clone());
        assert!(
            policy
                .as_json()
                .starts_with(r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"#)
        );
        assert_eq!(policy.statements().unwrap(), statements);
    }

    #[test]
    fn absent_members_of_a_statement_stay_absent() {
        let json = r#"{"Statement":[{"Effect":"Deny","NotPrincipal":{"AWS":"1"},"NotAction":"x","Resource":["q"]}]}"#;
        let statements = AccessPolicy::from_json(json).statements().unwrap();
        let written: Value = serde_json::from_str(AccessPolicy::new(statements).as_json()).unwrap();
        let read: Value = serde_json::from_str(json).unwrap();
        assert_eq!(written["Statement"], read["Statement"]);
    }

    #[test]
    fn invalid_json_is_kept_and_fails_to_parse() {
        let text = AccessPolicy::from_text("{").unwrap();
        assert_eq!(text.as_json(), "{");
        assert_eq!(text.statements().unwrap_err().kind(), crate::ErrorKind::InvalidInput);
    }
}
