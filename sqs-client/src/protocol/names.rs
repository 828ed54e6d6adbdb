//! The names of lists and maps in the Query protocol: the traits `xmlName` and `xmlFlattened` of the service model.

use std::borrow::Cow;

/// The Query form of a member that is a list or a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Collection {
    List(Element),
    Map {
        element: Element,
        key: &'static str,
        value: &'static str,
    },
}

/// The name of each element. Its member has the plural name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    Fixed(&'static str),
    /// The action's name with this suffix.
    OfAction(&'static str),
}

impl Element {
    /// Returns the element's name.
    pub(super) fn name(self, action: &str) -> Cow<'static, str> {
        match self {
            Self::Fixed(name) => Cow::Borrowed(name),
            Self::OfAction(suffix) => Cow::Owned(format!("{action}{suffix}")),
        }
    }
}

/// Returns the Query form of a list or map, and `None` for a single value. A member's name has the same meaning in every
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

/// Returns the lists and maps of an action's response, at any depth. The name of an element is ambiguous: `Message` is a
/// received message, or the error text of a failed entry.
pub(super) fn response_collections(action: &str) -> &'static [&'static str] {
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

/// Returns `true` if this member of a response is a number or a boolean. All others are text.
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

/// Returns `true` if white space around the text of this member of a response belongs to it. Around ids, digests and
/// names, some servers add white space to indent the document.
pub(super) fn is_verbatim(member: &str) -> bool {
    matches!(
        member,
        "Body" | "FailureReason" | "Key" | "Message" | "StringValue" | "Value"
    )
}

/// Returns `true` if a JSON request has this member only for older servers. In the Query protocol, the newer member has
/// the same name.
pub(super) fn is_older_name(action: &str, member: &str) -> bool {
    action == "ReceiveMessage" && member == "AttributeNames"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_entry_includes_the_action() {
        let entry = Element::OfAction("RequestEntry");
        assert_eq!(entry.name("SendMessageBatch"), "SendMessageBatchRequestEntry");
    }
}
