// The checks of sqs-local with AWS's SDK for Go. See `sqs_tests::sdks`.
package main

import (
	"context"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

var (
	ctx    = context.Background()
	client *sqs.Client
	// The start of this run's queue names.
	run   = fmt.Sprintf("go-%d", os.Getpid())
	names = 0
)

func main() {
	client = sqs.NewFromConfig(must(config.LoadDefaultConfig(ctx)))
	for _, check := range []struct {
		name string
		run  func()
	}{
		{"send-and-receive", sendAndReceive},
		{"batches", batches},
		{"fifo-groups", fifoGroups},
		{"fifo-deduplication", fifoDeduplication},
		{"visibility", visibility},
		{"long-poll", longPoll},
		{"dead-letters", deadLetters},
		{"redrive", redrive},
		{"purge", purge},
		{"tags", tags},
		{"attributes", attributes},
		{"list-pages", listPages},
		{"missing-queue", missingQueue},
		{"refused-batches", refusedBatches},
		{"bad-receipt-handle", badReceiptHandle},
	} {
		check.run()
		fmt.Println("ok", check.name)
	}
}

func sendAndReceive() {
	queue := create("", nil)
	attributes := map[string]types.MessageAttributeValue{
		"text":   {DataType: aws.String("String"), StringValue: aws.String("grüße")},
		"number": {DataType: aws.String("Number.int"), StringValue: aws.String("42")},
		"binary": {DataType: aws.String("Binary"), BinaryValue: []byte{0, 255}},
	}
	body := "<a> & \"b\"\r\n\U0001f600"
	sent := must(client.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl: queue, MessageBody: &body, MessageAttributes: attributes,
	}))
	message := one(receive(&sqs.ReceiveMessageInput{
		QueueUrl:                    queue,
		MessageAttributeNames:       []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
	}))
	equal(*message.Body, body)
	equal(*message.MessageId, *sent.MessageId)
	equal(message.MessageAttributes, attributes)
	equal(*message.MD5OfMessageAttributes, *sent.MD5OfMessageAttributes)
	equal(message.Attributes["ApproximateReceiveCount"], "1")
	for _, name := range []string{"SenderId", "SentTimestamp", "ApproximateFirstReceiveTimestamp"} {
		require(message.Attributes[name] != "", name)
	}
	equal(bodies(queue), []string{})
	must(client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: queue, ReceiptHandle: message.ReceiptHandle}))
	equal(attributesOf(queue, "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"),
		map[string]string{"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0"})
}

func batches() {
	queue := create("", nil)
	entries := make([]types.SendMessageBatchRequestEntry, 10)
	for n := range entries {
		entries[n] = types.SendMessageBatchRequestEntry{
			Id: aws.String(fmt.Sprintf("e%d", n)), MessageBody: aws.String(fmt.Sprintf("body %d", n)),
		}
	}
	entries[3].DelaySeconds = 901
	sent := must(client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: queue, Entries: entries}))
	equal(len(sent.Successful), 9)
	equal(len(sent.Failed), 1)
	failed := sent.Failed[0]
	equal([]any{*failed.Id, failed.SenderFault, *failed.Code}, []any{"e3", true, "InvalidParameterValue"})

	received := receive(&sqs.ReceiveMessageInput{QueueUrl: queue, MaxNumberOfMessages: 10})
	equal(len(received), 9)
	var changes []types.ChangeMessageVisibilityBatchRequestEntry
	var deletions []types.DeleteMessageBatchRequestEntry
	for n, message := range received {
		id, handle := aws.String(strconv.Itoa(n)), message.ReceiptHandle
		changes = append(changes, types.ChangeMessageVisibilityBatchRequestEntry{
			Id: id, ReceiptHandle: handle, VisibilityTimeout: 60,
		})
		deletions = append(deletions, types.DeleteMessageBatchRequestEntry{Id: id, ReceiptHandle: handle})
	}
	changed := must(client.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{
		QueueUrl: queue, Entries: changes,
	}))
	equal(len(changed.Successful), 9)
	deletions[0].ReceiptHandle = aws.String("bad")
	deleted := must(client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: queue, Entries: deletions}))
	equal(len(deleted.Successful), 8)
	equal(len(deleted.Failed), 1)
	equal([]string{*deleted.Failed[0].Id, *deleted.Failed[0].Code}, []string{"0", "ReceiptHandleIsInvalid"})
}

func fifoGroups() {
	queue := create(".fifo", nil)
	// They have 20 digits, which exceed 64 bits.
	var numbers []string
	for _, body := range []string{"a1", "b1", "a2"} {
		sent := must(client.SendMessage(ctx, &sqs.SendMessageInput{
			QueueUrl: queue, MessageBody: &body, MessageGroupId: aws.String(body[:1]), MessageDeduplicationId: &body,
		}))
		numbers = append(numbers, *sent.SequenceNumber)
	}
	require(len(numbers[0]) == 20 && numbers[0] < numbers[1] && numbers[1] < numbers[2], numbers)
	first := one(receive(&sqs.ReceiveMessageInput{
		QueueUrl: queue, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
	}))
	equal(*first.Body, "a1")
	equal(first.Attributes["MessageGroupId"], "a")
	equal(first.Attributes["MessageDeduplicationId"], "a1")
	equal(first.Attributes["SequenceNumber"], numbers[0])
	// Its group is blocked until it is deleted.
	equal(bodies(queue), []string{"b1"})
	must(client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: queue, ReceiptHandle: first.ReceiptHandle}))
	equal(bodies(queue), []string{"a2"})
}

func fifoDeduplication() {
	queue := create(".fifo", map[string]string{"ContentBasedDeduplication": "true"})
	var ids []string
	for _, message := range []struct {
		body string
		id   *string
	}{{"same", nil}, {"same", nil}, {"other", aws.String("id")}, {"ignored", aws.String("id")}} {
		sent := must(client.SendMessage(ctx, &sqs.SendMessageInput{
			QueueUrl: queue, MessageBody: &message.body, MessageGroupId: aws.String("g"), MessageDeduplicationId: message.id,
		}))
		ids = append(ids, *sent.MessageId)
	}
	equal([]string{ids[0], ids[2]}, []string{ids[1], ids[3]})
	equal(bodies(queue), []string{"same", "other"})
}

func visibility() {
	queue := create("", map[string]string{"VisibilityTimeout": "600"})
	send(queue, "again")
	message := one(receive(&sqs.ReceiveMessageInput{QueueUrl: queue}))
	must(client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: queue, ReceiptHandle: message.ReceiptHandle, VisibilityTimeout: 1,
	}))
	equal(bodies(queue), []string{})
	message = one(receive(&sqs.ReceiveMessageInput{
		QueueUrl:                    queue,
		WaitTimeSeconds:             5,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{"ApproximateReceiveCount"},
	}))
	equal(message.Attributes, map[string]string{"ApproximateReceiveCount": "2"})
}

func longPoll() {
	queue := create("", nil)
	time.AfterFunc(200*time.Millisecond, func() { send(queue, "late") })
	message := one(receive(&sqs.ReceiveMessageInput{QueueUrl: queue, WaitTimeSeconds: 10}))
	equal(*message.Body, "late")
}

func deadLetters() {
	source, dead := withDeadLetters()
	message := one(receive(&sqs.ReceiveMessageInput{
		QueueUrl: dead, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
	}))
	equal(*message.Body, "poison")
	equal(message.Attributes["DeadLetterQueueSourceArn"], arn(source))
	sources := must(client.ListDeadLetterSourceQueues(ctx, &sqs.ListDeadLetterSourceQueuesInput{QueueUrl: dead}))
	equal(sources.QueueUrls, []string{*source})
}

func redrive() {
	source, dead := withDeadLetters()
	deadArn := arn(dead)
	started := must(client.StartMessageMoveTask(ctx, &sqs.StartMessageMoveTaskInput{
		SourceArn: &deadArn, MaxNumberOfMessagesPerSecond: aws.Int32(100),
	}))
	require(*started.TaskHandle != "", "no handle")
	var task types.ListMessageMoveTasksResultEntry
	for range 100 {
		tasks := must(client.ListMessageMoveTasks(ctx, &sqs.ListMessageMoveTasksInput{SourceArn: &deadArn}))
		equal(len(tasks.Results), 1)
		if task = tasks.Results[0]; *task.Status != "RUNNING" {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	equal(*task.Status, "COMPLETED")
	equal(task.ApproximateNumberOfMessagesMoved, int64(1))
	equal(*task.SourceArn, deadArn)
	equal(*task.MaxNumberOfMessagesPerSecond, int32(100))
	require(task.StartedTimestamp > 1_700_000_000_000, task.StartedTimestamp)
	equal(bodies(source), []string{"poison"})
	_, err := client.StartMessageMoveTask(ctx, &sqs.StartMessageMoveTaskInput{SourceArn: aws.String(deadArn + "x")})
	refused[*types.ResourceNotFoundException](err)
}

func purge() {
	queue := create("", nil)
	send(queue, "gone")
	must(client.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: queue}))
	equal(bodies(queue), []string{})
	_, err := client.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: queue})
	refused[*types.PurgeQueueInProgress](err)
}

func tags() {
	queue := create("", nil)
	listed := func() map[string]string {
		return must(client.ListQueueTags(ctx, &sqs.ListQueueTagsInput{QueueUrl: queue})).Tags
	}
	equal(len(listed()), 0)
	must(client.TagQueue(ctx, &sqs.TagQueueInput{
		QueueUrl: queue, Tags: map[string]string{"stage": "test", "team": "a @ b"},
	}))
	must(client.UntagQueue(ctx, &sqs.UntagQueueInput{QueueUrl: queue, TagKeys: []string{"stage"}}))
	equal(listed(), map[string]string{"team": "a @ b"})
}

func attributes() {
	queue := create("", map[string]string{"VisibilityTimeout": "7"})
	set := func(name, value string) error {
		_, err := client.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{
			QueueUrl: queue, Attributes: map[string]string{name: value},
		})
		return err
	}
	require(set("DelaySeconds", "3") == nil, "not set")
	found := attributesOf(queue, "All")
	equal([]string{found["VisibilityTimeout"], found["DelaySeconds"]}, []string{"7", "3"})
	name := (*queue)[strings.LastIndex(*queue, "/")+1:]
	equal(*must(client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})).QueueUrl, *queue)
	refused[*types.InvalidAttributeName](set("Colour", "blue"))
	_, err := client.CreateQueue(ctx, &sqs.CreateQueueInput{
		QueueName: &name, Attributes: map[string]string{"VisibilityTimeout": "8"},
	})
	refused[*types.QueueNameExists](err)
}

func listPages() {
	prefix := uniqueName() + "-"
	var queues []string
	for n := range 5 {
		name := prefix + strconv.Itoa(n)
		queues = append(queues, *must(client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name})).QueueUrl)
	}
	pages := sqs.NewListQueuesPaginator(client, &sqs.ListQueuesInput{
		QueueNamePrefix: &prefix, MaxResults: aws.Int32(2),
	})
	var lengths []int
	var found []string
	for pages.HasMorePages() {
		page := must(pages.NextPage(ctx))
		lengths = append(lengths, len(page.QueueUrls))
		found = append(found, page.QueueUrls...)
	}
	sort.Strings(found)
	equal(lengths, []int{2, 2, 1})
	equal(found, queues)
	for _, queue := range queues {
		must(client.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &queue}))
	}
	equal(len(must(client.ListQueues(ctx, &sqs.ListQueuesInput{QueueNamePrefix: &prefix})).QueueUrls), 0)
}

func missingQueue() {
	queue := create("", nil)
	must(client.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: queue}))
	_, err := client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: queue, MessageBody: aws.String("lost")})
	refused[*types.QueueDoesNotExist](err)
	_, err = client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: queue})
	refused[*types.QueueDoesNotExist](err)
	_, err = client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("no-such-queue")})
	refused[*types.QueueDoesNotExist](err)
}

func refusedBatches() {
	queue := create("", nil)
	send := func(length int, body string, id func(int) string) error {
		entries := []types.SendMessageBatchRequestEntry{}
		for n := range length {
			entries = append(entries, types.SendMessageBatchRequestEntry{Id: aws.String(id(n)), MessageBody: &body})
		}
		_, err := client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: queue, Entries: entries})
		return err
	}
	refused[*types.BatchRequestTooLong](send(6, strings.Repeat("x", 200_000), strconv.Itoa))
	refused[*types.TooManyEntriesInBatchRequest](send(11, "x", strconv.Itoa))
	refused[*types.BatchEntryIdsNotDistinct](send(2, "x", func(int) string { return "same" }))
	refused[*types.EmptyBatchRequest](send(0, "", strconv.Itoa))
}

func badReceiptHandle() {
	queue := create("", nil)
	_, err := client.DeleteMessage(ctx, &sqs.DeleteMessageInput{
		QueueUrl: queue, ReceiptHandle: aws.String("not a handle"),
	})
	refused[*types.ReceiptHandleIsInvalid](err)
}
