// The checks of sqs-local with AWS's SDK for JavaScript. See `sqs_tests::sdks`.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import * as sdk from "@aws-sdk/client-sqs";

// Aggregated, so that each action is a method.
const sqs = new sdk.SQS({});

const uniqueName = () => `js-${randomUUID().slice(0, 12)}`;

async function create(suffix = "", attributes = {}) {
  if (suffix.endsWith(".fifo")) attributes = { ...attributes, FifoQueue: "true" };
  const created = await sqs.createQueue({ QueueName: uniqueName() + suffix, Attributes: attributes });
  return created.QueueUrl;
}

async function attributesOf(queue, ...names) {
  return (await sqs.getQueueAttributes({ QueueUrl: queue, AttributeNames: names })).Attributes;
}

const arn = async (queue) => (await attributesOf(queue, "QueueArn")).QueueArn;

const receive = async (queue, options = {}) =>
  (await sqs.receiveMessage({ QueueUrl: queue, ...options })).Messages ?? [];

const bodies = async (queue) => (await receive(queue, { MaxNumberOfMessages: 10 })).map((message) => message.Body);

/** Checks the typed exception. */
const refused = (error, call) => assert.rejects(call, error);

const checks = {
  "send-and-receive": async () => {
    const queue = await create();
    const attributes = {
      text: { DataType: "String", StringValue: "grüße" },
      number: { DataType: "Number.int", StringValue: "42" },
      binary: { DataType: "Binary", BinaryValue: Uint8Array.of(0, 255) },
    };
    const body = '<a> & "b"\r\n\u{1f600}';
    const sent = await sqs.sendMessage({ QueueUrl: queue, MessageBody: body, MessageAttributes: attributes });
    const options = { MessageAttributeNames: ["All"], MessageSystemAttributeNames: ["All"] };
    const [message] = await receive(queue, options);
    assert.deepEqual([message.Body, message.MessageId], [body, sent.MessageId]);
    assert.deepEqual(message.MessageAttributes, attributes);
    assert.equal(message.MD5OfMessageAttributes, sent.MD5OfMessageAttributes);
    assert.equal(message.Attributes.ApproximateReceiveCount, "1");
    for (const name of ["SenderId", "SentTimestamp", "ApproximateFirstReceiveTimestamp"])
      assert.ok(message.Attributes[name], name);
    assert.deepEqual(await receive(queue), []);
    await sqs.deleteMessage({ QueueUrl: queue, ReceiptHandle: message.ReceiptHandle });
    const counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
    assert.deepEqual(await attributesOf(queue, ...counts), { [counts[0]]: "0", [counts[1]]: "0" });
  },

  batches: async () => {
    const queue = await create();
    const entries = Array.from({ length: 10 }, (_, n) => ({ Id: `e${n}`, MessageBody: `body ${n}` }));
    entries[3].DelaySeconds = 901;
    const sent = await sqs.sendMessageBatch({ QueueUrl: queue, Entries: entries });
    assert.equal(sent.Successful.length, 9);
    const [failed] = sent.Failed;
    assert.deepEqual([failed.Id, failed.SenderFault, failed.Code], ["e3", true, "InvalidParameterValue"]);
    const received = await receive(queue, { MaxNumberOfMessages: 10 });
    assert.equal(received.length, 9);
    const handles = received.map((message, n) => ({ Id: `${n}`, ReceiptHandle: message.ReceiptHandle }));
    const changed = await sqs.changeMessageVisibilityBatch({
      QueueUrl: queue,
      Entries: handles.map((handle) => ({ ...handle, VisibilityTimeout: 60 })),
    });
    assert.equal(changed.Successful.length, 9);
    handles[0].ReceiptHandle = "bad";
    const deleted = await sqs.deleteMessageBatch({ QueueUrl: queue, Entries: handles });
    assert.equal(deleted.Successful.length, 8);
    assert.deepEqual(deleted.Failed.map((f) => [f.Id, f.Code]), [["0", "ReceiptHandleIsInvalid"]]);
  },

  "fifo-groups": async () => {
    const queue = await create(".fifo");
    const numbers = [];
    for (const body of ["a1", "b1", "a2"]) {
      const message = { MessageBody: body, MessageGroupId: body[0], MessageDeduplicationId: body };
      numbers.push(BigInt((await sqs.sendMessage({ QueueUrl: queue, ...message })).SequenceNumber));
    }
    assert.ok(numbers[0] < numbers[1] && numbers[1] < numbers[2], `${numbers}`);
    const [first] = await receive(queue, { MessageSystemAttributeNames: ["All"] });
    const { MessageGroupId, MessageDeduplicationId, SequenceNumber } = first.Attributes;
    assert.deepEqual(
      [first.Body, MessageGroupId, MessageDeduplicationId, BigInt(SequenceNumber)],
      ["a1", "a", "a1", numbers[0]],
    );
    // Its group is blocked until it is deleted.
    assert.deepEqual(await bodies(queue), ["b1"]);
    await sqs.deleteMessage({ QueueUrl: queue, ReceiptHandle: first.ReceiptHandle });
    assert.deepEqual(await bodies(queue), ["a2"]);
  },

  "fifo-deduplication": async () => {
    const queue = await create(".fifo", { ContentBasedDeduplication: "true" });
    const ids = [];
    for (const [body, id] of [["same"], ["same"], ["other", "id"], ["ignored", "id"]]) {
      const message = { MessageBody: body, MessageGroupId: "g", MessageDeduplicationId: id };
      ids.push((await sqs.sendMessage({ QueueUrl: queue, ...message })).MessageId);
    }
    assert.deepEqual([ids[0], ids[2]], [ids[1], ids[3]]);
    assert.deepEqual(await bodies(queue), ["same", "other"]);
  },

  visibility: async () => {
    const queue = await create("", { VisibilityTimeout: "600" });
    await sqs.sendMessage({ QueueUrl: queue, MessageBody: "again" });
    const [{ ReceiptHandle }] = await receive(queue);
    await sqs.changeMessageVisibility({ QueueUrl: queue, ReceiptHandle, VisibilityTimeout: 1 });
    assert.deepEqual(await receive(queue), []);
    const names = ["ApproximateReceiveCount"];
    const [message] = await receive(queue, { WaitTimeSeconds: 5, MessageSystemAttributeNames: names });
    assert.deepEqual(message.Attributes, { ApproximateReceiveCount: "2" });
  },

  "long-poll": async () => {
    const queue = await create();
    const sent = sleep(200).then(() => sqs.sendMessage({ QueueUrl: queue, MessageBody: "late" }));
    const [message] = await receive(queue, { WaitTimeSeconds: 10 });
    await sent;
    assert.equal(message.Body, "late");
  },

  "dead-letters": async () => {
    const [source, dead] = await withDeadLetters();
    const [message] = await receive(dead, { MessageSystemAttributeNames: ["All"] });
    assert.deepEqual([message.Body, message.Attributes.DeadLetterQueueSourceArn], ["poison", await arn(source)]);
    const sources = await sqs.listDeadLetterSourceQueues({ QueueUrl: dead });
    assert.deepEqual(sources.queueUrls, [source]);
  },

  redrive: async () => {
    const [source, dead] = await withDeadLetters();
    const SourceArn = await arn(dead);
    const started = await sqs.startMessageMoveTask({ SourceArn, MaxNumberOfMessagesPerSecond: 100 });
    assert.ok(started.TaskHandle);
    let task;
    for (let polls = 0; polls < 100 && (task?.Status ?? "RUNNING") === "RUNNING"; polls++) {
      await sleep(50);
      [task] = (await sqs.listMessageMoveTasks({ SourceArn })).Results;
    }
    assert.deepEqual([task.Status, task.ApproximateNumberOfMessagesMoved], ["COMPLETED", 1]);
    assert.deepEqual([task.SourceArn, task.MaxNumberOfMessagesPerSecond], [SourceArn, 100]);
    assert.ok(task.StartedTimestamp > 1_700_000_000_000, `${task.StartedTimestamp}`);
    assert.deepEqual(await bodies(source), ["poison"]);
    await refused(sdk.ResourceNotFoundException, sqs.startMessageMoveTask({ SourceArn: `${SourceArn}x` }));
  },

  purge: async () => {
    const queue = await create();
    await sqs.sendMessage({ QueueUrl: queue, MessageBody: "gone" });
    await sqs.purgeQueue({ QueueUrl: queue });
    assert.deepEqual(await bodies(queue), []);
    await refused(sdk.PurgeQueueInProgress, sqs.purgeQueue({ QueueUrl: queue }));
  },

  tags: async () => {
    const queue = await create();
    assert.deepEqual((await sqs.listQueueTags({ QueueUrl: queue })).Tags ?? {}, {});
    await sqs.tagQueue({ QueueUrl: queue, Tags: { stage: "test", team: "a @ b" } });
    await sqs.untagQueue({ QueueUrl: queue, TagKeys: ["stage"] });
    assert.deepEqual((await sqs.listQueueTags({ QueueUrl: queue })).Tags, { team: "a @ b" });
  },

  attributes: async () => {
    const queue = await create("", { VisibilityTimeout: "7" });
    await sqs.setQueueAttributes({ QueueUrl: queue, Attributes: { DelaySeconds: "3" } });
    const { VisibilityTimeout, DelaySeconds } = await attributesOf(queue, "All");
    assert.deepEqual([VisibilityTimeout, DelaySeconds], ["7", "3"]);
    const name = queue.split("/").pop();
    assert.equal((await sqs.getQueueUrl({ QueueName: name })).QueueUrl, queue);
    const unknown = sqs.setQueueAttributes({ QueueUrl: queue, Attributes: { Colour: "blue" } });
    await refused(sdk.InvalidAttributeName, unknown);
    const other = sqs.createQueue({ QueueName: name, Attributes: { VisibilityTimeout: "8" } });
    await refused(sdk.QueueNameExists, other);
  },

  "list-pages": async () => {
    const prefix = `${uniqueName()}-`;
    const queues = [];
    for (let n = 0; n < 5; n++) queues.push((await sqs.createQueue({ QueueName: prefix + n })).QueueUrl);
    const pages = [];
    const paginator = sdk.paginateListQueues({ client: sqs, pageSize: 2 }, { QueueNamePrefix: prefix });
    for await (const page of paginator) pages.push(page.QueueUrls ?? []);
    assert.deepEqual(pages.map((page) => page.length), [2, 2, 1]);
    assert.deepEqual(pages.flat().sort(), queues);
    for (const QueueUrl of queues) await sqs.deleteQueue({ QueueUrl });
    assert.deepEqual((await sqs.listQueues({ QueueNamePrefix: prefix })).QueueUrls ?? [], []);
  },

  "missing-queue": async () => {
    const queue = await create();
    await sqs.deleteQueue({ QueueUrl: queue });
    await refused(sdk.QueueDoesNotExist, sqs.sendMessage({ QueueUrl: queue, MessageBody: "lost" }));
    await refused(sdk.QueueDoesNotExist, sqs.receiveMessage({ QueueUrl: queue }));
    await refused(sdk.QueueDoesNotExist, sqs.getQueueUrl({ QueueName: "no-such-queue" }));
  },

  "refused-batches": async () => {
    const queue = await create();
    const send = (bodies) =>
      sqs.sendMessageBatch({
        QueueUrl: queue,
        Entries: bodies.map(([Id, MessageBody]) => ({ Id, MessageBody })),
      });
    const numbered = (length, body) => Array.from({ length }, (_, n) => [`${n}`, body]);
    await refused(sdk.BatchRequestTooLong, send(numbered(6, "x".repeat(200_000))));
    await refused(sdk.TooManyEntriesInBatchRequest, send(numbered(11, "x")));
    await refused(sdk.BatchEntryIdsNotDistinct, send([["same", "x"], ["same", "x"]]));
    await refused(sdk.EmptyBatchRequest, send([]));
  },

  "bad-receipt-handle": async () => {
    const queue = await create();
    const deleted = sqs.deleteMessage({ QueueUrl: queue, ReceiptHandle: "not a handle" });
    await refused(sdk.ReceiptHandleIsInvalid, deleted);
  },
};

/** Returns a queue and its dead-letter queue, to which one message was moved. */
async function withDeadLetters() {
  const dead = await create();
  const policy = JSON.stringify({ deadLetterTargetArn: await arn(dead), maxReceiveCount: 2 });
  const source = await create("", { VisibilityTimeout: "0", RedrivePolicy: policy });
  await sqs.sendMessage({ QueueUrl: source, MessageBody: "poison" });
  for (const expected of [["poison"], ["poison"], []]) assert.deepEqual(await bodies(source), expected);
  return [source, dead];
}

for (const [name, check] of Object.entries(checks)) {
  await check();
  console.log(`ok ${name}`);
}
