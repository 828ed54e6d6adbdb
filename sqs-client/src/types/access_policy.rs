use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::types::open_enum;
use crate::types::text::AttributeText;

/// Who may do what with a queue: the queue attribute `Policy`, JSON as AWS IAM writes it.
///
/// The JSON is kept as it is, so that a policy of any form can be read and written back; [`statements`](Self::statements)
/// reads it, and [`of`](Self::new) writes one.
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
/// let mut attributes = QueueAttributes::default();
/// attributes.policy = Some(AccessPolicy::new([statement]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessPolicy(String);

impl AccessPolicy {
    /// A policy of these statements, in the policy language's version `2012-10-17`.
    pub fn new(statements: impl IntoIterator<Item = PolicyStatement>) -> Self {
        let document = Document {
            version: Some("2012-10-17".to_owned()),
            statement: statements.into_iter().collect(),
        };
        // Of strings and maps of strings only, which serde_json always writes.
        Self(serde_json::to_string(&document).unwrap_or_default())
    }

    /// A policy of this JSON, which the server checks.
    pub fn from_json(json: impl Into<String>) -> Self {
        Self(json.into())
    }

    /// The JSON.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// What the policy says.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where the JSON is not a policy's.
    // Inlined, so that a program which reads no policy does not compile it.
    #[inline]
    pub fn statements(&self) -> Result<Vec<PolicyStatement>, Error> {
        let document: Document = serde_json::from_str(&self.0)
            .map_err(|error| Error::invalid_input("the policy is not of IAM's form").with_source(error))?;
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct PolicyStatement {
    /// The statement's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// Whether it allows or denies.
    pub effect: PolicyEffect,
    /// Whom it is about: `"*"` for everybody, or a map such as `{"AWS": [...]}` or `{"Service": ...}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<Value>,
    /// What they do, such as `sqs:SendMessage`.
    #[serde(default, deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub action: Vec<String>,
    /// The queues' ARNs.
    #[serde(default, deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub resource: Vec<String>,
    /// Under which conditions: operator, then key, then value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub condition: BTreeMap<String, BTreeMap<String, Value>>,
    /// What this version of the crate does not know of the statement, such as `NotPrincipal` and `NotAction`.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl PolicyStatement {
    /// Allows everybody this action on this queue; narrow it with the setters.
    pub fn allow(action: impl Into<String>, queue_arn: impl Into<String>) -> Self {
        Self::new(PolicyEffect::Allow, action.into(), queue_arn.into())
    }

    /// Denies everybody this action on this queue; narrow it with the setters.
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

    /// Only about these accounts, users or roles, by id or ARN.
    #[must_use]
    pub fn accounts<A: Into<String>>(mut self, accounts: impl IntoIterator<Item = A>) -> Self {
        let accounts: Vec<String> = accounts.into_iter().map(Into::into).collect();
        self.principal = Some(serde_json::json!({ "AWS": accounts }));
        self
    }

    /// Only about this service of AWS, such as `sns.amazonaws.com`.
    #[must_use]
    pub fn service(mut self, service: impl Into<String>) -> Self {
        self.principal = Some(serde_json::json!({ "Service": service.into() }));
        self
    }

    /// Only under this condition, such as `("ArnEquals", "aws:SourceArn", arn)`.
    #[must_use]
    pub fn condition(mut self, operator: impl Into<String>, key: impl Into<String>, value: impl Into<Value>) -> Self {
        let keys = self.condition.entry(operator.into()).or_default();
        keys.insert(key.into(), value.into());
        self
    }
}

open_enum! {
    /// What a [`PolicyStatement`] does.
    PolicyEffect {
        /// It allows:
        Allow = "Allow",
        /// It denies, whatever another statement allows:
        Deny = "Deny",
    }
}

/// IAM writes a list of one without its brackets.
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
    fn a_policy_is_read_in_either_form_of_its_lists() {
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
    fn what_is_written_is_read_again() {
        let statements = [
            PolicyStatement::allow("sqs:SendMessage", "q").service("sns.amazonaws.com"),
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
    fn what_a_statement_does_not_say_is_not_added() {
        let json = r#"{"Statement":[{"Effect":"Deny","NotPrincipal":{"AWS":"1"},"NotAction":"x","Resource":["q"]}]}"#;
        let statements = AccessPolicy::from_json(json).statements().unwrap();
        let written: Value = serde_json::from_str(AccessPolicy::new(statements).as_json()).unwrap();
        let read: Value = serde_json::from_str(json).unwrap();
        assert_eq!(written["Statement"], read["Statement"]);
    }

    #[test]
    fn what_is_no_policy_is_kept_and_refused_when_read() {
        let text = AccessPolicy::from_text("{").unwrap();
        assert_eq!(text.as_json(), "{");
        assert_eq!(text.statements().unwrap_err().kind(), crate::ErrorKind::InvalidInput);
    }
}
