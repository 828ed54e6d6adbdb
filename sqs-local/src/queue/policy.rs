//! The access policy of a queue. It is checked and stored, but not enforced, because there is one account.

use serde_json::Value;

use crate::protocol::error::{self, Error, Result};

pub(crate) const MAX_STATEMENTS: usize = 20;
const MEMBERS: [&str; 3] = ["Version", "Id", "Statement"];
const VERSIONS: [&str; 2] = ["2012-10-17", "2008-10-17"];
const STATEMENT_MEMBERS: [&str; 9] = [
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
];

/// Checks the text of a policy.
pub(crate) fn check(text: &str) -> Result<()> {
    let invalid = || Error::invalid_attribute("Policy", "");
    let policy: Value = serde_json::from_str(text).map_err(|_| invalid())?;
    let members = policy.as_object().ok_or_else(invalid)?;
    let known = members.keys().all(|name| MEMBERS.contains(&name.as_str()));
    let version = members
        .get("Version")
        .is_none_or(|v| VERSIONS.iter().any(|known| v == known));
    let statements = match members.get("Statement") {
        Some(Value::Array(statements)) => statements.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    if statements.len() > MAX_STATEMENTS {
        let message = format!(
            "{} statements were found in the submitted policy, max allowed is {MAX_STATEMENTS}",
            statements.len()
        );
        return Err(Error::new(&error::OVER_LIMIT, message));
    }
    if known && version && !statements.is_empty() && statements.iter().all(is_statement) {
        Ok(())
    } else {
        Err(invalid())
    }
}

fn is_statement(statement: &Value) -> bool {
    let Some(members) = statement.as_object() else {
        return false;
    };
    let text_or_list = |value: &Value| value.is_string() || value.is_array();
    let has = |name: &str| members.get(name).is_some_and(text_or_list);
    let known = members.keys().all(|name| STATEMENT_MEMBERS.contains(&name.as_str()));
    let effect = members.get("Effect").and_then(Value::as_str);
    known
        && matches!(effect, Some("Allow" | "Deny"))
        && (has("Action") || has("NotAction"))
        && (has("Resource") || has("NotResource"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn statement() -> Value {
        json!({"Sid": "s", "Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"})
    }

    #[test]
    fn a_policy_has_statements_with_an_effect_an_action_and_a_resource() {
        for good in [
            json!({"Version": "2012-10-17", "Statement": statement()}),
            json!({"Id": "i", "Statement": [statement(), statement()]}),
        ] {
            assert_eq!(check(&good.to_string()), Ok(()), "{good}");
        }
        let without = |member: &str| {
            let mut statement = statement();
            statement.as_object_mut().expect("an object").remove(member);
            json!({"Statement": [statement]})
        };
        for bad in [
            json!([]),
            json!({}),
            json!({"Statement": []}),
            json!({"Statement": "s"}),
            json!({"Version": "2020-01-01", "Statement": statement()}),
            json!({"Other": 1, "Statement": statement()}),
            without("Effect"),
            without("Action"),
            without("Resource"),
        ] {
            let refused = check(&bad.to_string()).expect_err("refused");
            assert_eq!(refused.code, &error::INVALID_ATTRIBUTE_VALUE, "{bad}");
            assert_eq!(refused.message, "Invalid value for the parameter Policy.");
        }
        assert!(check("not JSON").is_err());
    }

    #[test]
    fn a_policy_has_at_most_20_statements() {
        let policy = |count: usize| json!({"Statement": vec![statement(); count]}).to_string();
        assert_eq!(check(&policy(20)), Ok(()));
        let refused = check(&policy(21)).expect_err("refused");
        assert_eq!(refused.code, &error::OVER_LIMIT);
        let message = "21 statements were found in the submitted policy, max allowed is 20";
        assert_eq!(refused.message, message);
    }
}
