//! The service's model: each action's members, their types, and their names in the Query protocol. Both codecs use this
//! table, and refuse members that are not in it.

use std::fmt;
use std::str::FromStr;

use Kind::{Blob, Bool, Int, List, Map, Str, Struct};

/// A member's type.
#[derive(Debug)]
pub(crate) enum Kind {
    Str,
    Int,
    Bool,
    /// Base64 text in both protocols.
    Blob,
    /// `Name.1`, `Name.2` … in Query; repeated elements in XML.
    List(&'static str, &'static Kind),
    /// `Name.1.<key>` and `Name.1.<value>` in Query.
    Map {
        entry: &'static str,
        key: &'static str,
        value: &'static str,
        of: &'static Kind,
    },
    Struct(&'static [Member]),
}

/// A member of an input, output or entry.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

/// An action's input and output.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) input: &'static [Member],
    pub(crate) output: &'static [Member],
}

macro_rules! actions {
    ($($name:ident: $input:expr => $output:expr;)*) => {
        /// One of SQS's 23 actions.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs)]
        pub enum Action { $($name),* }

        impl Action {
            /// All actions by name.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns the action's name as in requests.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }

            pub(crate) fn shape(self) -> &'static Shape {
                match self {
                    $(Self::$name => { static SHAPE: Shape = Shape { input: $input, output: $output }; &SHAPE })*
                }
            }
        }
    };
}

const fn m(name: &'static str, kind: Kind) -> Member {
    Member { name, kind }
}

const QUEUE: Member = m("QueueUrl", Str);
const NEXT: Member = m("NextToken", Str);
const MAX: Member = m("MaxResults", Int);
const HANDLE: Member = m("ReceiptHandle", Str);
const VISIBILITY: Member = m("VisibilityTimeout", Int);
const ID: Member = m("Id", Str);

const fn strings(entry: &'static str) -> Kind {
    List(entry, &Str)
}

const fn named(entry: &'static str, of: &'static Kind) -> Kind {
    Map {
        entry,
        key: "Name",
        value: "Value",
        of,
    }
}

const TAGS: Kind = Map {
    entry: "Tag",
    key: "Key",
    value: "Value",
    of: &Str,
};
const ATTRIBUTES: Kind = named("Attribute", &Str);

static VALUE: Kind = Struct(&[
    m("StringValue", Str),
    m("BinaryValue", Blob),
    m("StringListValues", strings("StringListValue")),
    m("BinaryListValues", List("BinaryListValue", &Blob)),
    m("DataType", Str),
]);

const BODY: Member = m("MessageBody", Str);
const DELAY: Member = m("DelaySeconds", Int);
const USER: Member = m("MessageAttributes", named("MessageAttribute", &VALUE));
const SYSTEM: Member = m("MessageSystemAttributes", named("MessageSystemAttribute", &VALUE));
const DEDUP: Member = m("MessageDeduplicationId", Str);
const GROUP: Member = m("MessageGroupId", Str);

const MESSAGE_ID: Member = m("MessageId", Str);
const MD5_BODY: Member = m("MD5OfMessageBody", Str);
const MD5_USER: Member = m("MD5OfMessageAttributes", Str);
const MD5_SYSTEM: Member = m("MD5OfMessageSystemAttributes", Str);
const SEQUENCE: Member = m("SequenceNumber", Str);

static MESSAGE: Kind = Struct(&[
    MESSAGE_ID,
    HANDLE,
    m("MD5OfBody", Str),
    m("Body", Str),
    m("Attributes", ATTRIBUTES),
    MD5_USER,
    USER,
]);
static TASK: Kind = Struct(&[
    m("TaskHandle", Str),
    m("Status", Str),
    m("SourceArn", Str),
    m("DestinationArn", Str),
    m("MaxNumberOfMessagesPerSecond", Int),
    m("ApproximateNumberOfMessagesMoved", Int),
    m("ApproximateNumberOfMessagesToMove", Int),
    m("FailureReason", Str),
    m("StartedTimestamp", Int),
]);

static ID_ONLY: Kind = Struct(&[ID]);
static TO_DELETE: Kind = Struct(&[ID, HANDLE]);
static TO_CHANGE: Kind = Struct(&[ID, HANDLE, VISIBILITY]);
static TO_SEND: Kind = Struct(&[ID, BODY, DELAY, USER, SYSTEM, DEDUP, GROUP]);
static SENT: Kind = Struct(&[ID, MESSAGE_ID, MD5_BODY, MD5_USER, MD5_SYSTEM, SEQUENCE]);
static REFUSED: Kind = Struct(&[ID, m("SenderFault", Bool), m("Code", Str), m("Message", Str)]);

const FAILED: Member = m("Failed", List("BatchResultErrorEntry", &REFUSED));

const fn entries(entry: &'static str, of: &'static Kind) -> Member {
    m("Entries", List(entry, of))
}

const fn successful(entry: &'static str, of: &'static Kind) -> Member {
    m("Successful", List(entry, of))
}

actions! {
    AddPermission:
        &[QUEUE, m("Label", Str), m("AWSAccountIds", strings("AWSAccountId")), m("Actions", strings("ActionName"))]
        => &[];
    CancelMessageMoveTask:
        &[m("TaskHandle", Str)]
        => &[m("ApproximateNumberOfMessagesMoved", Int)];
    ChangeMessageVisibility:
        &[QUEUE, HANDLE, VISIBILITY]
        => &[];
    ChangeMessageVisibilityBatch:
        &[QUEUE, entries("ChangeMessageVisibilityBatchRequestEntry", &TO_CHANGE)]
        => &[successful("ChangeMessageVisibilityBatchResultEntry", &ID_ONLY), FAILED];
    CreateQueue:
        &[m("QueueName", Str), m("Attributes", ATTRIBUTES), m("tags", TAGS)]
        => &[QUEUE];
    DeleteMessage:
        &[QUEUE, HANDLE]
        => &[];
    DeleteMessageBatch:
        &[QUEUE, entries("DeleteMessageBatchRequestEntry", &TO_DELETE)]
        => &[successful("DeleteMessageBatchResultEntry", &ID_ONLY), FAILED];
    DeleteQueue:
        &[QUEUE]
        => &[];
    GetQueueAttributes:
        &[QUEUE, m("AttributeNames", strings("AttributeName"))]
        => &[m("Attributes", ATTRIBUTES)];
    GetQueueUrl:
        &[m("QueueName", Str), m("QueueOwnerAWSAccountId", Str)]
        => &[QUEUE];
    ListDeadLetterSourceQueues:
        &[QUEUE, NEXT, MAX]
        => &[m("queueUrls", strings("QueueUrl")), NEXT];
    ListMessageMoveTasks:
        &[m("SourceArn", Str), MAX]
        => &[m("Results", List("ListMessageMoveTasksResultEntry", &TASK))];
    ListQueueTags:
        &[QUEUE]
        => &[m("Tags", TAGS)];
    ListQueues:
        &[m("QueueNamePrefix", Str), NEXT, MAX]
        => &[m("QueueUrls", strings("QueueUrl")), NEXT];
    PurgeQueue:
        &[QUEUE]
        => &[];
    // In Query both lists of attribute names have the same name, so only JSON requests have the second.
    ReceiveMessage:
        &[
            QUEUE,
            m("AttributeNames", strings("AttributeName")),
            m("MessageSystemAttributeNames", strings("MessageSystemAttributeName")),
            m("MessageAttributeNames", strings("MessageAttributeName")),
            m("MaxNumberOfMessages", Int),
            VISIBILITY,
            m("WaitTimeSeconds", Int),
            m("ReceiveRequestAttemptId", Str),
        ]
        => &[m("Messages", List("Message", &MESSAGE))];
    RemovePermission:
        &[QUEUE, m("Label", Str)]
        => &[];
    SendMessage:
        &[QUEUE, BODY, DELAY, USER, SYSTEM, DEDUP, GROUP]
        => &[MD5_BODY, MD5_USER, MD5_SYSTEM, MESSAGE_ID, SEQUENCE];
    SendMessageBatch:
        &[QUEUE, entries("SendMessageBatchRequestEntry", &TO_SEND)]
        => &[successful("SendMessageBatchResultEntry", &SENT), FAILED];
    SetQueueAttributes:
        &[QUEUE, m("Attributes", ATTRIBUTES)]
        => &[];
    StartMessageMoveTask:
        &[m("SourceArn", Str), m("DestinationArn", Str), m("MaxNumberOfMessagesPerSecond", Int)]
        => &[m("TaskHandle", Str)];
    TagQueue:
        &[QUEUE, m("Tags", TAGS)]
        => &[];
    UntagQueue:
        &[QUEUE, m("TagKeys", strings("TagKey"))]
        => &[];
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl FromStr for Action {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let found = Self::ALL.iter().copied().find(|a| a.name() == name);
        found.ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        assert_eq!(Action::ALL.len(), 23);
        for action in Action::ALL {
            assert_eq!(action.to_string().parse(), Ok(*action));
        }
        assert!("SendMessages".parse::<Action>().is_err());
    }
}
