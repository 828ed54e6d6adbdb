"""The checks of sqs-local with boto3. See `sqs_tests::sdks`."""

import threading
import time
import uuid

import boto3

sqs = boto3.client("sqs")


def create(suffix="", **attributes):
    name = f"python-{uuid.uuid4().hex[:12]}{suffix}"
    if suffix.endswith(".fifo"):
        attributes["FifoQueue"] = "true"
    return sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]


def arn(queue):
    response = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    return response["Attributes"]["QueueArn"]


def receive(queue, **options):
    return sqs.receive_message(QueueUrl=queue, **options).get("Messages", [])


def bodies(queue):
    return [message["Body"] for message in receive(queue, MaxNumberOfMessages=10)]


def equal(found, expected):
    assert found == expected, f"{found!r} instead of {expected!r}"


def refused(error, code, call, **arguments):
    """Checks the typed exception, and its code, which keeps the name from the Query protocol."""
    try:
        call(**arguments)
    except error as e:
        equal(e.response["Error"]["Code"], code)
    else:
        raise AssertionError(f"no {error.__name__}")


def send_and_receive():
    queue = create()
    attributes = {
        "text": {"DataType": "String", "StringValue": "grüße"},
        "number": {"DataType": "Number.int", "StringValue": "42"},
        "binary": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    body = "<a> & \"b\"\r\n\U0001f600"
    sent = sqs.send_message(QueueUrl=queue, MessageBody=body, MessageAttributes=attributes)
    (message,) = receive(queue, MessageAttributeNames=["All"], AttributeNames=["All"])
    equal((message["Body"], message["MessageAttributes"]), (body, attributes))
    equal(message["MessageId"], sent["MessageId"])
    equal(message["MD5OfMessageAttributes"], sent["MD5OfMessageAttributes"])
    equal(message["Attributes"]["ApproximateReceiveCount"], "1")
    assert {"SenderId", "SentTimestamp", "ApproximateFirstReceiveTimestamp"} <= message["Attributes"].keys()
    equal(receive(queue), [])
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    counted = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=counts)["Attributes"]
    equal(counted, dict.fromkeys(counts, "0"))


def batches():
    queue = create()
    entries = [{"Id": f"e{n}", "MessageBody": f"body {n}"} for n in range(10)]
    entries[3]["DelaySeconds"] = 901
    sent = sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    equal(sorted(entry["Id"] for entry in sent["Successful"]), [f"e{n}" for n in range(10) if n != 3])
    (failed,) = sent["Failed"]
    equal((failed["Id"], failed["SenderFault"], failed["Code"]), ("e3", True, "InvalidParameterValue"))
    received = receive(queue, MaxNumberOfMessages=10)
    equal(len(received), 9)
    handles = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(received)]
    changes = [{**handle, "VisibilityTimeout": 60} for handle in handles]
    changed = sqs.change_message_visibility_batch(QueueUrl=queue, Entries=changes)
    equal(len(changed["Successful"]), 9)
    handles[0]["ReceiptHandle"] = "bad"
    deleted = sqs.delete_message_batch(QueueUrl=queue, Entries=handles)
    equal(len(deleted["Successful"]), 8)
    equal([(f["Id"], f["Code"]) for f in deleted["Failed"]], [("0", "ReceiptHandleIsInvalid")])


def fifo_groups():
    queue = create(".fifo")
    numbers = []
    for body in ["a1", "b1", "a2"]:
        sent = sqs.send_message(
            QueueUrl=queue, MessageBody=body, MessageGroupId=body[0], MessageDeduplicationId=body
        )
        numbers.append(int(sent["SequenceNumber"]))
    assert numbers == sorted(set(numbers)), numbers
    (first,) = receive(queue, AttributeNames=["All"])
    equal(first["Body"], "a1")
    equal(first["Attributes"]["MessageGroupId"], "a")
    equal(first["Attributes"]["MessageDeduplicationId"], "a1")
    equal(int(first["Attributes"]["SequenceNumber"]), numbers[0])
    # Its group is blocked until it is deleted.
    equal(bodies(queue), ["b1"])
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=first["ReceiptHandle"])
    equal(bodies(queue), ["a2"])


def fifo_deduplication():
    queue = create(".fifo", ContentBasedDeduplication="true")
    ids = [
        sqs.send_message(QueueUrl=queue, MessageBody=body, MessageGroupId="g", **options)["MessageId"]
        for body, options in [
            ("same", {}),
            ("same", {}),
            ("other", {"MessageDeduplicationId": "id"}),
            ("ignored", {"MessageDeduplicationId": "id"}),
        ]
    ]
    equal((ids[0], ids[2]), (ids[1], ids[3]))
    equal(bodies(queue), ["same", "other"])


def visibility():
    queue = create(VisibilityTimeout="600")
    sqs.send_message(QueueUrl=queue, MessageBody="again")
    (message,) = receive(queue)
    sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=1)
    equal(receive(queue), [])
    (message,) = receive(queue, WaitTimeSeconds=5, AttributeNames=["ApproximateReceiveCount"])
    equal(message["Attributes"], {"ApproximateReceiveCount": "2"})


def long_poll():
    queue = create()
    sender = threading.Timer(0.2, lambda: sqs.send_message(QueueUrl=queue, MessageBody="late"))
    sender.start()
    (message,) = receive(queue, WaitTimeSeconds=10)
    sender.join()
    equal(message["Body"], "late")


def with_dead_letters():
    """Returns a queue and its dead-letter queue, to which one message was moved."""
    dead = create()
    policy = f'{{"deadLetterTargetArn": "{arn(dead)}", "maxReceiveCount": "2"}}'
    source = create(VisibilityTimeout="0", RedrivePolicy=policy)
    sqs.send_message(QueueUrl=source, MessageBody="poison")
    for _ in range(2):
        equal(bodies(source), ["poison"])
    equal(bodies(source), [])
    return source, dead


def dead_letters():
    source, dead = with_dead_letters()
    (message,) = receive(dead, AttributeNames=["All"])
    equal(message["Body"], "poison")
    equal(message["Attributes"]["DeadLetterQueueSourceArn"], arn(source))
    equal(sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"], [source])


def redrive():
    source, dead = with_dead_letters()
    handle = sqs.start_message_move_task(SourceArn=arn(dead), MaxNumberOfMessagesPerSecond=100)["TaskHandle"]
    assert handle
    for _ in range(100):
        (task,) = sqs.list_message_move_tasks(SourceArn=arn(dead))["Results"]
        if task["Status"] != "RUNNING":
            break
        time.sleep(0.05)
    equal((task["Status"], task["ApproximateNumberOfMessagesMoved"]), ("COMPLETED", 1))
    equal((task["SourceArn"], task["MaxNumberOfMessagesPerSecond"]), (arn(dead), 100))
    assert task["StartedTimestamp"] > 1_700_000_000_000, task
    equal(bodies(source), ["poison"])
    refused(
        sqs.exceptions.ResourceNotFoundException,
        "ResourceNotFoundException",
        sqs.start_message_move_task,
        SourceArn=arn(dead) + "x",
    )


def purge():
    queue = create()
    sqs.send_message(QueueUrl=queue, MessageBody="gone")
    sqs.purge_queue(QueueUrl=queue)
    equal(bodies(queue), [])
    refused(
        sqs.exceptions.PurgeQueueInProgress,
        "AWS.SimpleQueueService.PurgeQueueInProgress",
        sqs.purge_queue,
        QueueUrl=queue,
    )


def tags():
    queue = create()
    equal(sqs.list_queue_tags(QueueUrl=queue).get("Tags", {}), {})
    sqs.tag_queue(QueueUrl=queue, Tags={"stage": "test", "team": "a @ b"})
    sqs.untag_queue(QueueUrl=queue, TagKeys=["stage"])
    equal(sqs.list_queue_tags(QueueUrl=queue)["Tags"], {"team": "a @ b"})


def attributes():
    queue = create(VisibilityTimeout="7")
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"DelaySeconds": "3"})
    found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    equal((found["VisibilityTimeout"], found["DelaySeconds"]), ("7", "3"))
    name = queue.rsplit("/", 1)[1]
    equal(sqs.get_queue_url(QueueName=name)["QueueUrl"], queue)
    refused(
        sqs.exceptions.InvalidAttributeName,
        "InvalidAttributeName",
        sqs.set_queue_attributes,
        QueueUrl=queue,
        Attributes={"Colour": "blue"},
    )
    refused(
        sqs.exceptions.QueueNameExists,
        "QueueAlreadyExists",
        sqs.create_queue,
        QueueName=name,
        Attributes={"VisibilityTimeout": "8"},
    )


def list_pages():
    prefix = f"python-{uuid.uuid4().hex[:12]}-"
    queues = [sqs.create_queue(QueueName=f"{prefix}{n}")["QueueUrl"] for n in range(5)]
    pages = sqs.get_paginator("list_queues").paginate(
        QueueNamePrefix=prefix, PaginationConfig={"PageSize": 2}
    )
    pages = [page.get("QueueUrls", []) for page in pages]
    equal([len(page) for page in pages], [2, 2, 1])
    equal(sorted(sum(pages, [])), queues)
    for queue in queues:
        sqs.delete_queue(QueueUrl=queue)
    equal(sqs.list_queues(QueueNamePrefix=prefix).get("QueueUrls", []), [])


def missing_queue():
    queue = create()
    sqs.delete_queue(QueueUrl=queue)
    missing, code = sqs.exceptions.QueueDoesNotExist, "AWS.SimpleQueueService.NonExistentQueue"
    refused(missing, code, sqs.send_message, QueueUrl=queue, MessageBody="lost")
    refused(missing, code, sqs.receive_message, QueueUrl=queue)
    refused(missing, code, sqs.get_queue_url, QueueName="no-such-queue")


def refused_batches():
    queue = create()
    entries = [{"Id": str(n), "MessageBody": "x" * 200_000} for n in range(6)]
    prefix, send = "AWS.SimpleQueueService.", sqs.send_message_batch
    refused(sqs.exceptions.BatchRequestTooLong, prefix + "BatchRequestTooLong", send, QueueUrl=queue, Entries=entries)
    entries = [{"Id": str(n), "MessageBody": "x"} for n in range(11)]
    refused(
        sqs.exceptions.TooManyEntriesInBatchRequest,
        prefix + "TooManyEntriesInBatchRequest",
        send,
        QueueUrl=queue,
        Entries=entries,
    )
    entries = [{"Id": "same", "MessageBody": "x"}] * 2
    refused(
        sqs.exceptions.BatchEntryIdsNotDistinct,
        prefix + "BatchEntryIdsNotDistinct",
        send,
        QueueUrl=queue,
        Entries=entries,
    )
    refused(
        sqs.exceptions.EmptyBatchRequest, prefix + "EmptyBatchRequest", send, QueueUrl=queue, Entries=[]
    )


def bad_receipt_handle():
    queue = create()
    refused(
        sqs.exceptions.ReceiptHandleIsInvalid,
        "ReceiptHandleIsInvalid",
        sqs.delete_message,
        QueueUrl=queue,
        ReceiptHandle="not a handle",
    )


for check in [
    send_and_receive,
    batches,
    fifo_groups,
    fifo_deduplication,
    visibility,
    long_poll,
    dead_letters,
    redrive,
    purge,
    tags,
    attributes,
    list_pages,
    missing_queue,
    refused_batches,
    bad_receipt_handle,
]:
    check()
    print("ok", check.__name__.replace("_", "-"), flush=True)
