package streamgauge.job;

import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;

/**
 * The job on Kafka Streams, exactly once: one processor a partition of a topic that is partitioned by actor already.
 *
 * <p>Ends once `--expected` records are handled, their rows written and all of it committed.
 */
public final class StreamsJob {
    private static final int LARGEST = 16 << 20;

    private StreamsJob() {}

    /** Hands records to the partition's state, and rows on, once a second. */
    private static final class Counting implements Processor<byte[], byte[], String, String> {
        private final Progress progress;
        private final int rowsEvery;
        private PartitionState state;

        Counting(Progress progress, int rowsEvery) {
            this.progress = progress;
            this.rowsEvery = rowsEvery;
        }

        @Override
        public void init(ProcessorContext<String, String> context) {
            PartitionStore store = context.getStateStore(PartitionStore.NAME);
            store.restored();
            state = store.state();
            context.schedule(Duration.ofMillis(rowsEvery), PunctuationType.WALL_CLOCK_TIME,
                    now -> state.rows((key, json) -> context.forward(new Record<>(key, json, now))));
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            state.accept(record.value(), record.timestamp());
            progress.handled();
        }
    }

    /** Waits until everything is handled, and then for a second commit of each task after the next rows. */
    private static final class End {
        private final Progress progress;
        private final long wait;
        private final CountDownLatch over = new CountDownLatch(1);
        private long since;

        End(Progress progress, long wait) {
            this.progress = progress;
            this.wait = wait;
        }

        void committing() {
            if (progress.complete() && over.getCount() > 0) {
                long now = System.currentTimeMillis();
                if (since == 0) {
                    since = now;
                } else if (now > since + wait) {
                    over.countDown();
                }
            }
        }
    }

    public static void main(String[] args) throws Exception {
        Map<String, String> given = Progress.arguments(args);
        Plan plan = Plan.read(given.get("plan"));
        Progress progress = new Progress(Long.parseLong(given.get("expected")));
        int rowsEvery = Integer.parseInt(given.get("rows-ms"));
        End end = new End(progress, 2L * rowsEvery);

        Topology topology = new Topology();
        topology.addSource("events", new ByteArrayDeserializer(), new ByteArrayDeserializer(), given.get("topic"))
                .addProcessor("count", () -> new Counting(progress, rowsEvery), "events")
                .addStateStore(new PartitionStore.Builder(plan, end::committing), "count")
                .addSink("rows", given.get("rows"), new StringSerializer(), new StringSerializer(), "count");
        try (KafkaStreams streams = new KafkaStreams(topology, settings(given))) {
            streams.setUncaughtExceptionHandler(exception -> {
                exception.printStackTrace();
                Runtime.getRuntime().halt(1);
                return StreamThreadExceptionResponse.SHUTDOWN_APPLICATION;
            });
            streams.start();
            end.over.await();
            // Else a later start waits for the session of this one to be over.
            streams.close(CloseOptions.groupMembershipOperation(CloseOptions.GroupMembershipOperation.LEAVE_GROUP));
        }
        progress.saved();
    }

    private static Properties settings(Map<String, String> given) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, given.get("name"));
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, given.get("bootstrap"));
        settings.put(StreamsConfig.STATE_DIR_CONFIG, given.get("state"));
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        // Without it exactly once commits each 100 ms; the worker saves its state each 2 s.
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, Integer.parseInt(given.get("save-ms")));
        settings.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 5_000);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 5_000);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG), 4 << 20);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 << 10);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 50);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
        // The ids of one commit are one record: of 2 s at this rate more than the megabyte that a record may have.
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.MAX_REQUEST_SIZE_CONFIG), LARGEST);
        settings.put(StreamsConfig.topicPrefix(TopicConfig.MAX_MESSAGE_BYTES_CONFIG), LARGEST);
        return settings;
    }
}
