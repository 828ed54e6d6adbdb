package main

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Returns a queue and its dead-letter queue, to which one message was moved.
func withDeadLetters() (source, dead *string) {
	dead = create("", nil)
	policy := fmt.Sprintf(`{"deadLetterTargetArn": %q, "maxReceiveCount": 2}`, arn(dead))
	source = create("", map[string]string{"VisibilityTimeout": "0", "RedrivePolicy": policy})
	send(source, "poison")
	for range 2 {
		equal(bodies(source), []string{"poison"})
	}
	equal(bodies(source), []string{})
	return source, dead
}

func create(suffix string, attributes map[string]string) *string {
	all := map[string]string{}
	for name, value := range attributes {
		all[name] = value
	}
	if suffix == ".fifo" {
		all["FifoQueue"] = "true"
	}
	name := uniqueName() + suffix
	return must(client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: all})).QueueUrl
}

func uniqueName() string {
	names++
	return fmt.Sprintf("%s-%d", run, names)
}

func send(queue *string, body string) {
	must(client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: queue, MessageBody: &body}))
}

func receive(input *sqs.ReceiveMessageInput) []types.Message {
	return must(client.ReceiveMessage(ctx, input)).Messages
}

func bodies(queue *string) []string {
	bodies := []string{}
	for _, message := range receive(&sqs.ReceiveMessageInput{QueueUrl: queue, MaxNumberOfMessages: 10}) {
		bodies = append(bodies, *message.Body)
	}
	return bodies
}

func attributesOf(queue *string, names ...types.QueueAttributeName) map[string]string {
	input := &sqs.GetQueueAttributesInput{QueueUrl: queue, AttributeNames: names}
	return must(client.GetQueueAttributes(ctx, input)).Attributes
}

func arn(queue *string) string {
	return attributesOf(queue, "QueueArn")["QueueArn"]
}

func one(messages []types.Message) types.Message {
	equal(len(messages), 1)
	return messages[0]
}

// Checks the typed error.
func refused[T error](err error) {
	var expected T
	require(errors.As(err, &expected), fmt.Sprintf("%T instead of %T: %v", err, expected, err))
}

func equal[T any](found, expected T) {
	require(reflect.DeepEqual(found, expected), fmt.Sprintf("%#v instead of %#v", found, expected))
}

func require(holds bool, why any) {
	if !holds {
		panic(why)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
