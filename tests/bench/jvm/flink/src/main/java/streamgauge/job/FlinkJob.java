package streamgauge.job;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.TypeHint;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.configuration.RestartStrategyOptions;
import org.apache.flink.configuration.StateBackendOptions;
import org.apache.flink.configuration.StateRecoveryOptions;
import org.apache.flink.configuration.TaskManagerOptions;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * The job on Flink, in one process, with its state on the heap and in checkpoints.
 *
 * <p>Ends with a savepoint once `--expected` records are handled and their rows written; a later start in the same
 * `--state` folder goes on from there. `--variant` is `chained` or `keyed`.
 */
public final class FlinkJob {
    private static final TypeInformation<Tuple2<String, String>> ROW =
            TypeInformation.of(new TypeHint<Tuple2<String, String>>() {});
    private static Progress progress;
    private static final CountDownLatch ROWS_ARE_OUT = new CountDownLatch(1);

    private FlinkJob() {}

    /** How far this process is: of all operators, which are in it. */
    static Progress progress() {
        return progress;
    }

    /** The rows of all records have been handed to the sink. */
    static void rowsAreOut() {
        ROWS_ARE_OUT.countDown();
    }

    public static void main(String[] args) throws Exception {
        Map<String, String> given = Progress.arguments(args);
        progress = new Progress(Long.parseLong(given.get("expected")));
        Path savepoint = Path.of(given.get("state"), "savepoint");
        Configuration settings = settings(given);
        if (Files.exists(savepoint)) {
            settings.set(StateRecoveryOptions.SAVEPOINT_PATH, Files.readString(savepoint));
        }
        StreamExecutionEnvironment env = StreamExecutionEnvironment.createLocalEnvironment(1, settings);
        int rowsEvery = Integer.parseInt(given.get("rows-ms"));
        DataStream<Raw> records =
                env.fromSource(source(given), WatermarkStrategy.noWatermarks(), "events").uid("events");
        String plan = given.get("plan");
        DataStream<Tuple2<String, String>> rows = given.get("variant").equals("chained")
                ? records.transform("count", ROW, new ChainedOperator(plan, rowsEvery)).uid("count")
                : records.transform("parse", new EventType(), new ParseOperator(plan)).uid("parse")
                        .keyBy(event -> event.actor)
                        .transform("count", ROW, new KeyedOperator(plan, rowsEvery)).uid("count");
        rows.sinkTo(sink(given)).uid("rows");
        JobClient job = env.executeAsync("shop");
        job.getJobExecutionResult().whenComplete((result, problem) -> {
            if (problem != null && ROWS_ARE_OUT.getCount() > 0) {
                problem.printStackTrace();
                Runtime.getRuntime().halt(1);
            }
        });
        ROWS_ARE_OUT.await();
        String path = job.stopWithSavepoint(false, "file://" + given.get("state"), SavepointFormatType.NATIVE).get();
        Files.writeString(savepoint, path);
        progress.saved();
        System.exit(0);
    }

    private static KafkaSource<Raw> source(Map<String, String> given) {
        return KafkaSource.<Raw>builder()
                .setBootstrapServers(given.get("bootstrap"))
                .setGroupId(given.get("name"))
                .setTopics(given.get("topic"))
                .setStartingOffsets(OffsetsInitializer.earliest())
                .setProperty("max.poll.records", "5000")
                .setProperty("max.partition.fetch.bytes", String.valueOf(4 << 20))
                .setDeserializer(new Raw.Schema())
                .build();
    }

    /** Rows are current values, so that one which is written twice changes nothing. */
    private static KafkaSink<Tuple2<String, String>> sink(Map<String, String> given) {
        String topic = given.get("rows");
        return KafkaSink.<Tuple2<String, String>>builder()
                .setBootstrapServers(given.get("bootstrap"))
                .setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
                .setProperty("batch.size", String.valueOf(256 << 10))
                .setProperty("linger.ms", "50")
                .setProperty("compression.type", "lz4")
                .setRecordSerializer((row, context, timestamp) -> new ProducerRecord<>(topic, bytes(row.f0), bytes(row.f1)))
                .build();
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static Configuration settings(Map<String, String> given) {
        Configuration settings = new Configuration();
        settings.set(StateBackendOptions.STATE_BACKEND, "hashmap");
        settings.set(CheckpointingOptions.CHECKPOINT_STORAGE, "filesystem");
        settings.set(CheckpointingOptions.CHECKPOINTS_DIRECTORY, "file://" + given.get("state"));
        settings.set(CheckpointingOptions.CHECKPOINTING_INTERVAL, Duration.ofMillis(Long.parseLong(given.get("save-ms"))));
        settings.set(PipelineOptions.OBJECT_REUSE, true);
        settings.set(RestartStrategyOptions.RESTART_STRATEGY, "disable");
        // All state is on the heap, and there are few channels.
        settings.set(TaskManagerOptions.MANAGED_MEMORY_SIZE, MemorySize.ofMebiBytes(1));
        settings.set(TaskManagerOptions.NETWORK_MEMORY_MIN, MemorySize.ofMebiBytes(16));
        settings.set(TaskManagerOptions.NETWORK_MEMORY_MAX, MemorySize.ofMebiBytes(16));
        return settings;
    }
}
