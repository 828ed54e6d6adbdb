//! How the Query protocol names lists and maps: the traits `xmlName` and `xmlFlattened` of the service model.

use std::borrow::Cow;

/// The Query form of a member that holds more than one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Collection {
    List(Element),
    Map {
        element: Element,
        key: &'static str,
        value: &'static str,
    },
}

/// The name that each element goes by, where members go by the plural.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    Fixed(&'static str),
    /// The action's name, followed by this.
    OfAction(&'static str),
}

impl Element {
    /// The element's name.
    pub(super) fn name(self, action: &str) -> Cow<'static, str> {
        match self {
            Self::Fixed(name) => Cow::Borrowed(name),
            Self::OfAction(suffix) => Cow::Owned(format!("{action}{suffix}")),
        }
    }
}

/// The Query form of the member of this name; `None` for a single value. A member's name means the same in every
/// shape of the model.
pub(super) fn collection(member: &str) -> Option<Collection> {
    use Element::{Fixed, OfAction};
    let list = |name| Some(Collection::List(Fixed(name)));
    let of_action = |suffix| Some(Collection::List(OfAction(suffix)));
    let map = |name, key| {
        Some(Collection::Map {
            element: Fixed(name),
            key,
            value: "Value",
        })
    };
    match member {
        "AWSAccountIds" => list("AWSAccountId"),
        "Actions" => list("ActionName"),
        "AttributeNames" | "MessageSystemAttributeNames" => list("AttributeName"),
        "MessageAttributeNames" => list("MessageAttributeName"),
        "TagKeys" => list("TagKey"),
        "Messages" => list("Message"),
        "QueueUrls" | "queueUrls" => list("QueueUrl"),
        "Failed" => list("BatchResultErrorEntry"),
        "Entries" => of_action("RequestEntry"),
        "Successful" | "Results" => of_action("ResultEntry"),
        "Attributes" => map("Attribute", "Name"),
        "MessageAttributes" => map("MessageAttribute", "Name"),
        "MessageSystemAttributes" => map("MessageSystemAttribute", "Name"),
        "Tags" | "tags" => map("Tag", "Key"),
        _ => None,
    }
}

/// The members of an action's answer that hold more than one value, wherever in the answer they are. An element's name
/// does not tell: `Message` is a received message, but the text of a failed entry's error.
pub(super) fn collections_of_answer(action: &str) -> &'static [&'static str] {
    match action {
        "ReceiveMessage" => &["Messages", "Attributes", "MessageAttributes"],
        "SendMessageBatch" | "DeleteMessageBatch" | "ChangeMessageVisibilityBatch" => &["Successful", "Failed"],
        "GetQueueAttributes" => &["Attributes"],
        "ListQueues" => &["QueueUrls"],
        "ListDeadLetterSourceQueues" => &["queueUrls"],
        "ListQueueTags" => &["Tags"],
        "ListMessageMoveTasks" => &["Results"],
        _ => &[],
    }
}

/// Whether the member of this name is a number or a boolean, in answers; all others are text.
pub(super) fn is_literal(member: &str) -> bool {
    matches!(
        member,
        "ApproximateNumberOfMessagesMoved"
            | "ApproximateNumberOfMessagesToMove"
            | "MaxNumberOfMessagesPerSecond"
            | "SenderFault"
            | "StartedTimestamp"
    )
}

/// Returns `true` if blanks around the text of the member of this name belong to it, in responses. Elsewhere servers put
/// them there to indent the document: around ids, digests and names.
pub(super) fn is_verbatim(member: &str) -> bool {
    matches!(
        member,
        "Body" | "FailureReason" | "Key" | "Message" | "StringValue" | "Value"
    )
}

/// Returns `true` if a request has the member of this name only for older servers, and in JSON only. In the Query
/// protocol the newer member goes by the same name.
pub(super) fn is_older_name(action: &str, member: &str) -> bool {
    action == "ReceiveMessage" && member == "AttributeNames"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_names_its_entries() {
        let entry = Element::OfAction("RequestEntry");
        assert_eq!(entry.name("SendMessageBatch"), "SendMessageBatchRequestEntry");
    }
}
