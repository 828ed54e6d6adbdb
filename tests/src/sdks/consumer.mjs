// The checks of sqs-local with the library sqs-consumer. See `sqs_tests::sdks`.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { SQS } from "@aws-sdk/client-sqs";
import { Consumer } from "sqs-consumer";

const MESSAGES = 100;
const sqs = new SQS({});

async function create(attributes = {}) {
  const created = await sqs.createQueue({ QueueName: `consumer-${randomUUID()}`, Attributes: attributes });
  return created.QueueUrl;
}

async function attribute(queue, name) {
  const response = await sqs.getQueueAttributes({ QueueUrl: queue, AttributeNames: [name] });
  return response.Attributes[name];
}

async function send(queue, count) {
  for (let first = 0; first < count; first += 10) {
    const entries = Array.from({ length: Math.min(10, count - first) }, (_, n) => ({
      Id: `${n}`,
      MessageBody: `${first + n}`,
    }));
    const sent = await sqs.sendMessageBatch({ QueueUrl: queue, Entries: entries });
    assert.equal(sent.Successful.length, entries.length);
  }
}

/** Runs a consumer until it has received nothing, and returns the errors that it emitted. */
async function drain(queueUrl, options) {
  const errors = [];
  const consumer = Consumer.create({ queueUrl, sqs, waitTimeSeconds: 1, batchSize: 10, ...options });
  for (const event of ["error", "processing_error"]) consumer.on(event, (error) => errors.push(error));
  const drained = new Promise((resolve) => consumer.once("empty", resolve));
  const stopped = new Promise((resolve) => consumer.once("stopped", resolve));
  consumer.start();
  await drained;
  consumer.stop();
  await stopped;
  return errors;
}

const NONE = { visible: 0, inFlight: 0 };

async function counts(queue) {
  return {
    visible: Number(await attribute(queue, "ApproximateNumberOfMessages")),
    inFlight: Number(await attribute(queue, "ApproximateNumberOfMessagesNotVisible")),
  };
}

const numbers = (count) => Array.from({ length: count }, (_, n) => n);
const sorted = (bodies) => bodies.map(Number).sort((a, b) => a - b);

const checks = {
  "each-message-is-handled-once": async () => {
    const queue = await create();
    await send(queue, MESSAGES);
    const handled = [];
    const errors = await drain(queue, {
      handleMessage: async (message) => {
        handled.push(message.Body);
        return message;
      },
    });
    assert.deepEqual(errors, []);
    assert.deepEqual(sorted(handled), numbers(MESSAGES));
    assert.deepEqual(await counts(queue), NONE);
  },

  "a-batch-handler-acknowledges-what-it-returns": async () => {
    const queue = await create();
    await send(queue, MESSAGES);
    const handled = [];
    const errors = await drain(queue, {
      handleMessageBatch: async (messages) => {
        handled.push(...messages.map((message) => message.Body));
        return messages.filter((message) => message.Body !== "42");
      },
    });
    assert.deepEqual(errors, []);
    assert.deepEqual(sorted(handled), numbers(MESSAGES));
    assert.deepEqual(await counts(queue), { visible: 0, inFlight: 1 });
  },

  "a-failing-handler-leads-to-a-dead-letter": async () => {
    const dead = await create();
    const policy = JSON.stringify({ deadLetterTargetArn: await attribute(dead, "QueueArn"), maxReceiveCount: 3 });
    const queue = await create({ RedrivePolicy: policy });
    await send(queue, 5);
    const attempts = [];
    const errors = await drain(queue, {
      // Makes a failed message visible at once.
      terminateVisibilityTimeout: true,
      messageSystemAttributeNames: ["ApproximateReceiveCount"],
      handleMessage: async (message) => {
        if (message.Body !== "3") return message;
        attempts.push(message.Attributes.ApproximateReceiveCount);
        throw new Error("refused by the handler");
      },
    });
    assert.deepEqual(attempts, ["1", "2", "3"]);
    assert.equal(errors.length, 3);
    assert.ok(errors.every((error) => error.message.includes("refused by the handler")), `${errors}`);
    const { Messages } = await sqs.receiveMessage({ QueueUrl: dead });
    assert.deepEqual(Messages.map((message) => message.Body), ["3"]);
    assert.deepEqual(await counts(queue), NONE);
  },

  "a-heartbeat-hides-a-slow-message": async () => {
    const queue = await create();
    await send(queue, 1);
    let concurrent;
    const errors = await drain(queue, {
      visibilityTimeout: 2,
      heartbeatInterval: 1,
      handleMessage: async (message) => {
        // Its first visibility timeout ends within this time. No heartbeat coincides with its deletion.
        concurrent = await sqs.receiveMessage({ QueueUrl: queue, WaitTimeSeconds: 2 });
        await new Promise((resolve) => setTimeout(resolve, 500));
        return message;
      },
    });
    assert.deepEqual([concurrent.Messages ?? [], errors], [[], []]);
    assert.deepEqual(await counts(queue), NONE);
  },
};

for (const [name, check] of Object.entries(checks)) {
  await check();
  console.log(`ok ${name}`);
}
