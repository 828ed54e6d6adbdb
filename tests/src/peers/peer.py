"""AWS's extended client for Python, driven by lines on standard input. See `peers.rs`."""

import pathlib
import sys
import time

import boto3
import sqs_extended_client  # noqa: F401, patches boto3


def client(sqs_url, s3_url, bucket, legacy):
    sqs = boto3.client("sqs", endpoint_url=sqs_url)
    sqs.s3_client = boto3.client("s3", endpoint_url=s3_url)
    sqs.large_payload_support = bucket
    sqs.use_legacy_attribute = legacy
    sqs.delete_payload_from_s3 = True
    return sqs


def read(file, times=1):
    return pathlib.Path(file).read_text(encoding="utf-8") * int(times)


def timed(call, **arguments):
    begin = time.monotonic()
    response = call(**arguments)
    return time.monotonic() - begin, response


def send(attribute, queue, times, file):
    seconds, _ = timed(clients[attribute].send_message, QueueUrl=queue, MessageBody=read(file, times))
    return [seconds]


def batch(attribute, queue, *files):
    entries = [{"Id": str(number), "MessageBody": read(file)} for number, file in enumerate(files)]
    seconds, response = timed(clients[attribute].send_message_batch, QueueUrl=queue, Entries=entries)
    if response.get("Failed"):
        raise RuntimeError(response["Failed"])
    return [seconds]


def receive(queue, folder):
    # By default, the client requests only the attribute that it would itself send.
    settings = {"WaitTimeSeconds": 5, "MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"]}
    seconds, response = timed(clients["current"].receive_message, QueueUrl=queue, **settings)
    messages = response.get("Messages", [])
    for number, message in enumerate(messages):
        (pathlib.Path(folder) / str(number)).write_text(message["Body"], encoding="utf-8", newline="")
    return [seconds, *(message["ReceiptHandle"] for message in messages)]


def delete(queue, handle):
    seconds, _ = timed(clients["current"].delete_message, QueueUrl=queue, ReceiptHandle=handle)
    return [seconds]


def respond(verb, *words):
    try:
        verbs = {"send": send, "batch": batch, "receive": receive, "delete": delete}
        return "\t".join(["ok", *map(str, verbs[verb](*words))])
    except Exception as error:
        return "failed\t" + " ".join(f"{type(error).__name__}: {error}".split())


clients = {name: client(*sys.argv[1:], legacy=name == "legacy") for name in ("current", "legacy")}
for line in sys.stdin:
    print(respond(*line.rstrip("\n").split("\t")), flush=True)
