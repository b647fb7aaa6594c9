// Java 17, without a library: java Send.java
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.UUID;

public class Send {
    static final HttpClient CLIENT = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build();

    /** Sends one event; returns when it is stored. The same id in each attempt: an event counts once. */
    static void send(String event, String userId, String properties) throws Exception {
        String body = String.format(
            "{\"event_id\": \"%s\", \"ts\": %d, \"event\": \"%s\", \"user_id\": \"%s\", \"properties\": %s}",
            UUID.randomUUID(), System.currentTimeMillis(), event, userId, properties);
        HttpRequest request = HttpRequest.newBuilder(URI.create(System.getenv("DOOR") + "/v1/events"))
            .header("Authorization", "Bearer " + System.getenv("KEY"))
            .timeout(Duration.ofSeconds(15))
            .POST(HttpRequest.BodyPublishers.ofString(body)).build();
        for (int attempt = 0; attempt < 8; attempt++) {
            try {
                HttpResponse<String> answer = CLIENT.send(request, HttpResponse.BodyHandlers.ofString());
                if (answer.statusCode() == 200) return;
                if (answer.statusCode() != 429 && answer.statusCode() != 503)
                    throw new IllegalArgumentException(answer.body()); // the event is wrong: it says why
            } catch (java.io.IOException away) {
                // No answer: the event may be stored or not. Sent again it counts once.
            }
            Thread.sleep(100L << attempt);
        }
        throw new IllegalStateException("the front door is away");
    }

    public static void main(String[] args) throws Exception {
        send("purchase", "java-user", "{\"order_id\": \"java-1\", \"amount\": 19.9}");
    }
}
