// Kotlin on the JVM or Android, without a library: kotlinc Send.kt -include-runtime -d send.jar && java -jar send.jar
import java.io.IOException
import java.net.HttpURLConnection
import java.net.URL
import java.util.UUID

/** Sends one event; returns when it is stored. The same id in each attempt: an event counts once. */
fun send(event: String, userId: String, properties: String) {
    val body = """{"event_id": "${UUID.randomUUID()}", "ts": ${System.currentTimeMillis()},
        "event": "$event", "user_id": "$userId", "properties": $properties}""".toByteArray()
    repeat(8) { attempt ->
        try {
            val connection = URL(System.getenv("DOOR") + "/v1/events").openConnection() as HttpURLConnection
            connection.requestMethod = "POST"
            connection.connectTimeout = 5_000
            connection.readTimeout = 15_000
            connection.doOutput = true
            connection.setRequestProperty("Authorization", "Bearer " + System.getenv("KEY"))
            connection.outputStream.use { it.write(body) }
            val status = connection.responseCode
            if (status == 200) return
            require(status == 429 || status == 503) { // the event is wrong: it says why
                connection.errorStream?.bufferedReader()?.readText() ?: "status $status"
            }
        } catch (away: IOException) {
            // No answer: the event may be stored or not. Sent again it counts once.
        }
        Thread.sleep(100L shl attempt)
    }
    error("the front door is away")
}

fun main() = send("purchase", "kotlin-user", """{"order_id": "kotlin-1", "amount": 19.9}""")
