//! Queue attributes, policies, tags and permissions.

use super::*;

async fn attributes(client: &mut Client, url: &str) -> Value {
    let ask = json!({"QueueUrl": url, "AttributeNames": ["All"]});
    client.ok("GetQueueAttributes", ask).await["Attributes"].take()
}

async fn set(client: &mut Client, url: &str, name: &str, value: &str) -> Refusal {
    refuse(
        client,
        "SetQueueAttributes",
        json!({"QueueUrl": url, "Attributes": {name: value}}),
    )
    .await
}

#[tokio::test]
async fn policies_are_shown_in_one_form() {
    let server = server().await;
    let mut client = Client::new(&server);
    create(&mut client, "dead", json!({})).await;
    let arn = server.queue_arn("dead");
    let sent = format!("{{ \"maxReceiveCount\": \"5\", \"deadLetterTargetArn\": \"{arn}\" }}");
    let url = create(&mut client, "orders", json!({"RedrivePolicy": sent})).await;
    let shown = format!("{{\"deadLetterTargetArn\":\"{arn}\",\"maxReceiveCount\":5}}");
    assert_eq!(attributes(&mut client, &url).await["RedrivePolicy"], shown);
    // The queue can be created again with either form.
    for policy in [sent, shown] {
        create(&mut client, "orders", json!({"RedrivePolicy": policy})).await;
    }
    let set = json!({"QueueUrl": url, "Attributes": {"RedriveAllowPolicy": "{ \"redrivePermission\": \"denyAll\" }"}});
    client.ok("SetQueueAttributes", set).await;
    let shown = attributes(&mut client, &url).await;
    assert_eq!(shown["RedriveAllowPolicy"], "{\"redrivePermission\":\"denyAll\"}");
}

#[tokio::test]
async fn a_redrive_policy_needs_an_existing_queue_of_the_same_kind() {
    let server = server().await;
    let mut client = Client::new(&server);
    let url = create(&mut client, "orders", json!({})).await;
    create(&mut client, "dead.fifo", json!({"FifoQueue": "true"})).await;
    for (arn, reason) in [
        ("dummy", "Invalid value for deadLetterTargetArn."),
        (
            "arn:aws:sns:us-east-1:000000000000:dead",
            "Only SQS queues are valid resources for deadLetterTargetArn.",
        ),
        (
            "arn:aws:sqs:eu-west-1:000000000000:dead",
            "Dead-letter target must be in same region as the source.",
        ),
        (
            "arn:aws:sqs:us-east-1:111111111111:dead",
            "Dead-letter target owner should be same as the source.",
        ),
        (
            "arn:aws:sqs:us-east-1:000000000000:dead.fifo",
            "Dead-letter queue must be same type of queue as the source..",
        ),
        (
            "arn:aws:sqs:us-east-1:000000000000:dead",
            "Dead letter target does not exist.",
        ),
    ] {
        let policy = format!("{{\"deadLetterTargetArn\": \"{arn}\", \"maxReceiveCount\": 42}}");
        let refused = set(&mut client, &url, "RedrivePolicy", &policy).await;
        assert_eq!(refused, invalid_value(&policy, "RedrivePolicy", reason));
    }
    let refused = set(&mut client, &url, "RedrivePolicy", "dead").await;
    let message = "Invalid value for the parameter RedrivePolicy. Reason: Redrive policy is not a valid JSON map.";
    assert_eq!(refused, refusal(400, "InvalidAttributeValue", message));
}

#[tokio::test]
async fn a_queue_outlives_changes_after_its_dead_letter_queue_is_deleted() {
    let server = server().await;
    let mut client = Client::new(&server);
    let dead = create_dead_letter_queue(&server, &mut client).await;
    client.ok("DeleteQueue", json!({"QueueUrl": dead})).await;
    let url = server.queue_url("orders");
    let set = json!({"QueueUrl": url, "Attributes": {"VisibilityTimeout": "5"}});
    client.ok("SetQueueAttributes", set).await;
    assert_eq!(attributes(&mut client, &url).await["VisibilityTimeout"], "5");
}

#[tokio::test]
async fn the_kms_period_is_shown_only_with_a_key() {
    let server = server().await;
    let mut client = Client::new(&server);
    let url = create(&mut client, "orders", json!({"KmsDataKeyReusePeriodSeconds": "6000"})).await;
    let shown = attributes(&mut client, &url).await;
    assert!(shown.get("KmsDataKeyReusePeriodSeconds").is_none(), "{shown}");
    let set = |attributes: Value| json!({"QueueUrl": url, "Attributes": attributes});
    client
        .ok("SetQueueAttributes", set(json!({"KmsMasterKeyId": "k"})))
        .await;
    let shown = attributes(&mut client, &url).await;
    assert_eq!(shown["KmsDataKeyReusePeriodSeconds"], "6000");
    client
        .ok("SetQueueAttributes", set(json!({"SqsManagedSseEnabled": "true"})))
        .await;
    let shown = attributes(&mut client, &url).await;
    assert!(shown.get("KmsMasterKeyId").is_none() && shown.get("KmsDataKeyReusePeriodSeconds").is_none());
    let other = create(&mut client, "other", json!({"KmsMasterKeyId": "k"})).await;
    assert_eq!(
        attributes(&mut client, &other).await["KmsDataKeyReusePeriodSeconds"],
        "300"
    );
}

#[tokio::test]
async fn queue_attributes_are_checked() {
    let server = server().await;
    let mut client = Client::new(&server);
    let url = create(&mut client, "orders", json!({})).await;
    let fifo = create(&mut client, "o.fifo", json!({"FifoQueue": "true"})).await;
    let name = |message: &str| refusal(400, "InvalidAttributeName", message);
    let value = |message: &str| refusal(400, "InvalidAttributeValue", message);
    for number in ["", " 5", "5 ", "-1", "43201", "5.0", "0x5", "five"] {
        assert_eq!(
            set(&mut client, &url, "VisibilityTimeout", number).await,
            value("Invalid value for the parameter VisibilityTimeout."),
            "{number}"
        );
    }
    for (url, attribute, given, refused) in [
        (&url, "Colour", "blue", name("Unknown Attribute Colour.")),
        (&url, "QueueArn", "a", name("Unknown Attribute QueueArn.")),
        (&url, "All", "a", name("Unknown Attribute All.")),
        (&url, "FifoQueue", "true", name("Unknown Attribute FifoQueue.")),
        (&url, "FifoQueue", "false", name("Unknown Attribute FifoQueue.")),
        (
            &url,
            "ContentBasedDeduplication",
            "true",
            name("Unknown Attribute ContentBasedDeduplication."),
        ),
        (
            &url,
            "DeduplicationScope",
            "queue",
            name("You can specify the DeduplicationScope only when FifoQueue is set to true."),
        ),
        (
            &fifo,
            "FifoQueue",
            "false",
            value("Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported."),
        ),
        (
            &fifo,
            "ContentBasedDeduplication",
            "maybe",
            value("Invalid value for the parameter ContentBasedDeduplication."),
        ),
        (
            &fifo,
            "FifoThroughputLimit",
            "perMessageGroupId",
            value(
                "Invalid value for the parameter FifoThroughputLimit. Reason: The perMessageGroupId value is allowed \
                 only when the value for DeduplicationScope is messageGroup.",
            ),
        ),
        (&url, "Policy", "{}", value("Invalid value for the parameter Policy.")),
    ] {
        assert_eq!(
            set(&mut client, url, attribute, given).await,
            refused,
            "{attribute}={given}"
        );
    }
    let set = json!({"QueueUrl": fifo, "Attributes": {"FifoQueue": "true", "VisibilityTimeout": "+007"}});
    client.ok("SetQueueAttributes", set).await;
    assert_eq!(attributes(&mut client, &fifo).await["VisibilityTimeout"], "7");
}

#[tokio::test]
async fn a_policy_with_too_many_statements_is_over_the_limit() {
    let server = server().await;
    let mut client = Client::new(&server);
    let url = create(&mut client, "orders", json!({})).await;
    let statement = json!({"Effect": "Allow", "Principal": "*", "Action": "SQS:SendMessage", "Resource": "*"});
    let policy = json!({"Version": "2012-10-17", "Statement": vec![statement; 21]}).to_string();
    let message = "21 statements were found in the submitted policy, max allowed is 20";
    assert_eq!(
        set(&mut client, &url, "Policy", &policy).await,
        refusal(403, "OverLimit", message)
    );
    let create = json!({"QueueName": "other", "Attributes": {"Policy": policy}});
    assert_eq!(refuse(&mut client, "CreateQueue", create).await, invalid(message));
}

#[tokio::test]
async fn a_queue_is_created_again_only_with_equal_values() {
    let server = server().await;
    let mut client = Client::new(&server);
    let create =
        |attributes: Value, tags: Value| json!({"QueueName": "o.fifo", "Attributes": attributes, "tags": tags});
    let fifo = json!({"FifoQueue": "true", "DelaySeconds": "5"});
    client.ok("CreateQueue", create(fifo.clone(), json!({"k": "v"}))).await;
    for same in [
        json!({"FifoQueue": "true"}),
        json!({"FifoQueue": "true", "DelaySeconds": "05"}),
        json!({"FifoQueue": "true", "VisibilityTimeout": "30"}),
    ] {
        client.ok("CreateQueue", create(same, Value::Null)).await;
    }
    client.ok("CreateQueue", create(fifo.clone(), json!({"k": "v"}))).await;
    let exists = |part: &str| {
        let message = format!("A queue already exists with the same name and a different value for {part}");
        refusal(400, "QueueAlreadyExists", &message)
    };
    let other = create(
        json!({"FifoQueue": "true", "ContentBasedDeduplication": "true"}),
        Value::Null,
    );
    assert_eq!(
        refuse(&mut client, "CreateQueue", other).await,
        exists("attribute ContentBasedDeduplication")
    );
    let tagged = create(fifo, json!({"k": "w"}));
    assert_eq!(refuse(&mut client, "CreateQueue", tagged).await, exists("tags"));
}

#[tokio::test]
async fn tags_are_checked_when_a_queue_is_created_or_tagged() {
    let server = server().await;
    let mut client = Client::new(&server);
    let url = create(&mut client, "orders", json!({})).await;
    let bad = json!({"AWS:k": "v"});
    let refused = invalid("aws: prefixed tag key names are not allowed for external use.");
    let input = json!({"QueueName": "other", "tags": bad});
    assert_eq!(refuse(&mut client, "CreateQueue", input).await, refused);
    assert!(server.queue("other").is_none());
    let tag = |tags: Value| json!({"QueueUrl": url, "Tags": tags});
    assert_eq!(refuse(&mut client, "TagQueue", tag(bad)).await, refused);
    let empty_key = refuse(&mut client, "TagQueue", tag(json!({"": "v"}))).await;
    assert_eq!(
        empty_key,
        invalid("Tag keys must be between 1 and 128 characters in length.")
    );
    let many = |range: std::ops::Range<usize>| -> Value { range.map(|n| (n.to_string(), json!("v"))).collect() };
    client.ok("TagQueue", tag(many(0..50))).await;
    assert_eq!(
        refuse(&mut client, "TagQueue", tag(many(50..51))).await,
        invalid("Too many tags added for queue orders.")
    );
    // A tag that exists is replaced.
    client.ok("TagQueue", tag(many(49..50))).await;
}

#[tokio::test]
async fn permissions_are_limited() {
    let server = server().await;
    let mut client = Client::new(&server);
    let url = create(&mut client, "orders", json!({})).await;
    let add = |label: &str, account: &str, actions: &[&str]| json!({"QueueUrl": url, "Label": label, "AWSAccountIds": [account], "Actions": actions});
    let account = "111122223333";
    let label_reason = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length.";
    let long = "l".repeat(81);
    for (input, refused) in [
        (
            add("l", account, &["SendMessage"; 8]),
            refusal(403, "OverLimit", "8 Actions were found, maximum allowed is 7."),
        ),
        (
            add("l", account, &["SendMessage", "DeleteQueue"]),
            invalid_value(
                "SQS:DeleteQueue",
                "ActionName",
                "Only the queue owner is allowed to invoke this action.",
            ),
        ),
        (
            add("l", account, &["SendMessageBatch"]),
            invalid_value(
                "SQS:SendMessageBatch",
                "ActionName",
                "Please refer to the appropriate WSDL for a list of valid actions.",
            ),
        ),
        (add("a b", account, &["*"]), invalid_value("a b", "Label", label_reason)),
        (add(&long, account, &["*"]), invalid_value(&long, "Label", label_reason)),
        (
            add("l", "arn:aws:iam::111122223333:root", &["*"]),
            invalid_value("[arn:aws:iam::111122223333:root]", "PrincipalId", "Unable to verify."),
        ),
        (
            add("l", "11112222333x", &["*"]),
            invalid_value("[11112222333x]", "PrincipalId", "Unable to verify."),
        ),
    ] {
        assert_eq!(refuse(&mut client, "AddPermission", input).await, refused);
    }
    for n in 0..20 {
        client
            .ok("AddPermission", add(&format!("l-_{n}"), account, &["*"]))
            .await;
    }
    assert_eq!(
        refuse(&mut client, "AddPermission", add("last", account, &["*"])).await,
        refusal(403, "OverLimit", "21 Statements were found, maximum allowed is 20.")
    );
    assert_eq!(
        refuse(&mut client, "AddPermission", add("l-_0", account, &["*"])).await,
        invalid_value("l-_0", "Label", "Already exists.")
    );
    assert_eq!(
        refuse(
            &mut client,
            "RemovePermission",
            json!({"QueueUrl": url, "Label": "none"})
        )
        .await,
        invalid_value("none", "Label", "can't find label.")
    );
}

#[tokio::test]
async fn the_parameters_of_a_list_are_checked() {
    let server = server().await;
    let mut client = Client::new(&server);
    for name in ["a1", "a2", "b"] {
        create(&mut client, name, json!({})).await;
    }
    let first = json!({"QueueNamePrefix": "a", "MaxResults": 1});
    let token = client.ok("ListQueues", first).await["NextToken"].take();
    let next = json!({"QueueNamePrefix": "a", "MaxResults": 1, "NextToken": token});
    let second = client.ok("ListQueues", next).await;
    assert_eq!(second, json!({"QueueUrls": [server.queue_url("a2")]}));
    let changed = "Invalid NextToken value. If you are passing in NextToken, you must not change the other request \
                   parameters.";
    for (input, message) in [
        (json!({"MaxResults": 1, "NextToken": token}), changed),
        (
            json!({"QueueNamePrefix": "a", "NextToken": token}),
            "MaxResults is a mandatory parameter when you provide a value for NextToken.",
        ),
        (
            json!({"MaxResults": 1001}),
            "Value for parameter MaxResults is invalid. Reason: MaxResults must be an integer between 1 and 1000.",
        ),
    ] {
        assert_eq!(refuse(&mut client, "ListQueues", input).await, invalid(message));
    }
}
