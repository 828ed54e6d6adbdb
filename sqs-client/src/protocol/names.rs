//! How the Query protocol names lists and maps: the traits `xmlName` and `xmlFlattened` of the service model.

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
    /// The element's name, in the two parts that make it up.
    pub(super) fn parts(self, action: &'static str) -> (&'static str, &'static str) {
        match self {
            Self::Fixed(name) => ("", name),
            Self::OfAction(suffix) => (action, suffix),
        }
    }

    pub(super) fn is(self, action: &'static str, name: &str) -> bool {
        let (prefix, suffix) = self.parts(action);
        name.strip_prefix(prefix) == Some(suffix)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_names_its_entries() {
        let entry = Element::OfAction("RequestEntry");
        assert!(entry.is("SendMessageBatch", "SendMessageBatchRequestEntry"));
        assert!(!entry.is("SendMessageBatch", "DeleteMessageBatchRequestEntry"));
    }
}
