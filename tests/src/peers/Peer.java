import com.amazon.sqs.javamessaging.AmazonSQSExtendedClient;
import com.amazon.sqs.javamessaging.ExtendedClientConfiguration;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.sqs.SqsClient;
import software.amazon.awssdk.services.sqs.model.SendMessageBatchRequestEntry;

/** AWS's extended client for Java, driven by lines on standard input. See peers.rs. */
public class Peer {
    private final SqsClient current;
    private final SqsClient legacy;

    private Peer(String sqs, String s3, String bucket) {
        var queues = SqsClient.builder().endpointOverride(URI.create(sqs)).build();
        var store = S3Client.builder().endpointOverride(URI.create(s3)).forcePathStyle(true).build();
        legacy = new AmazonSQSExtendedClient(queues, settings(store, bucket));
        current = new AmazonSQSExtendedClient(queues, settings(store, bucket).withLegacyReservedAttributeNameDisabled());
    }

    private static ExtendedClientConfiguration settings(S3Client store, String bucket) {
        return new ExtendedClientConfiguration().withPayloadSupportEnabled(store, bucket, true);
    }

    public static void main(String[] arguments) throws IOException {
        var peer = new Peer(arguments[0], arguments[1], arguments[2]);
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            System.out.println(peer.respond(line.split("\t")));
        }
    }

    private String respond(String[] words) {
        try {
            return "ok\t" + String.join("\t", run(words));
        } catch (Throwable failed) {
            // Includes OutOfMemoryError, which the benchmark expects.
            return "failed\t" + failed.toString().replaceAll("\\s+", " ");
        }
    }

    private List<String> run(String[] words) throws IOException {
        return switch (words[0]) {
            case "send" -> send(client(words[1]), words[2], Integer.parseInt(words[3]), words[4]);
            case "batch" -> batch(client(words[1]), words[2], List.of(words).subList(3, words.length));
            case "receive" -> receive(words[1], Path.of(words[2]));
            case "delete" -> delete(words[1], words[2]);
            default -> throw new IllegalArgumentException(words[0]);
        };
    }

    private SqsClient client(String attribute) {
        return attribute.equals("legacy") ? legacy : current;
    }

    private static List<String> send(SqsClient client, String queue, int times, String file) throws IOException {
        var body = Files.readString(Path.of(file)).repeat(times);
        return List.of(timed(() -> client.sendMessage(request -> request.queueUrl(queue).messageBody(body))).seconds);
    }

    private static List<String> batch(SqsClient client, String queue, List<String> files) throws IOException {
        var entries = new ArrayList<SendMessageBatchRequestEntry>();
        for (var file : files) {
            var body = Files.readString(Path.of(file));
            var id = String.valueOf(entries.size());
            entries.add(SendMessageBatchRequestEntry.builder().id(id).messageBody(body).build());
        }
        var sent = timed(() -> client.sendMessageBatch(request -> request.queueUrl(queue).entries(entries)));
        if (sent.response.hasFailed()) {
            throw new IllegalStateException(sent.response.failed().toString());
        }
        return List.of(sent.seconds);
    }

    private List<String> receive(String queue, Path folder) throws IOException {
        var received = timed(() -> current.receiveMessage(request ->
                request.queueUrl(queue).waitTimeSeconds(5).maxNumberOfMessages(10)));
        var response = new ArrayList<String>(List.of(received.seconds));
        for (var message : received.response.messages()) {
            Files.writeString(folder.resolve(String.valueOf(response.size() - 1)), message.body());
            response.add(message.receiptHandle());
        }
        return response;
    }

    private List<String> delete(String queue, String handle) {
        return List.of(timed(() -> current.deleteMessage(request ->
                request.queueUrl(queue).receiptHandle(handle))).seconds);
    }

    private record Timed<T>(String seconds, T response) {}

    private static <T> Timed<T> timed(Supplier<T> call) {
        var begin = System.nanoTime();
        var response = call.get();
        return new Timed<>(String.valueOf((System.nanoTime() - begin) / 1e9), response);
    }
}
