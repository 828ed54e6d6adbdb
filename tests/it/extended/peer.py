import sys

import boto3
import sqs_extended_client  # noqa: F401, patches boto3

verb, attribute, sqs_url, s3_url, bucket, queue = sys.argv[1:]
sqs = boto3.client("sqs", endpoint_url=sqs_url)
sqs.s3_client = boto3.client("s3", endpoint_url=s3_url)
sqs.large_payload_support = bucket
sqs.use_legacy_attribute = attribute == "legacy"
sqs.delete_payload_from_s3 = True

if verb == "send":
    sqs.send_message(QueueUrl=queue, MessageBody=sys.stdin.buffer.read().decode())
else:
    answer = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5, MessageAttributeNames=["All"])
    (message,) = answer["Messages"]
    sys.stdout.buffer.write(message["Body"].encode())
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
