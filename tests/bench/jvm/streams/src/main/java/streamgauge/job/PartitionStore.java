package streamgauge.job;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.processor.StateStoreContext;
import org.apache.kafka.streams.processor.internals.InternalProcessorContext;
import org.apache.kafka.streams.query.Position;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.internals.CacheFlushListener;
import org.apache.kafka.streams.state.internals.CachedStateStore;

/**
 * The state of a partition as a store of Kafka Streams: objects on the heap, whose changes go to the store's changelog
 * within the transaction that commits the offsets, and come from there after a restart.
 *
 * <p>A store of keys and values would serialize sketches at each event. This one writes an entry once a commit, however
 * often it changed. Kafka Streams tells a store that it is about to commit through {@link CachedStateStore}, as its own
 * caching stores are told: an internal interface, and so is the way to the changelog.
 */
final class PartitionStore implements StateStore, CachedStateStore<byte[], byte[]> {
    static final String NAME = "partition";

    private final Plan plan;
    private final Runnable saved;
    private InternalProcessorContext<?, ?> context;
    private PartitionState state;
    private long savedRecords;
    private boolean open;

    private PartitionStore(Plan plan, Runnable saved) {
        this.plan = plan;
        this.saved = saved;
    }

    /** The state; whole once its processor is initialized. */
    PartitionState state() {
        return state;
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public void init(StateStoreContext given, StateStore root) {
        context = (InternalProcessorContext<?, ?>) given;
        state = new PartitionState(plan, given.taskId().partition(), true);
        open = true;
        given.register(root, (key, value) -> state.load(new String(key, StandardCharsets.UTF_8), value));
    }

    @Override
    public void flushCache() {
        if (state.handled() != savedRecords) {
            long now = System.currentTimeMillis();
            state.dump((key, value) -> context.logChange(
                    NAME, Bytes.wrap(PartitionState.bytes(key)), value, now, null, Position.emptyPosition()));
            savedRecords = state.handled();
        }
        saved.run();
    }

    /** Everything that was restored is there. */
    void restored() {
        state.loaded();
        savedRecords = state.handled();
    }

    @Override
    public boolean setFlushListener(CacheFlushListener<byte[], byte[]> listener, boolean sendOldValues) {
        return false;
    }

    @Override
    public void clearCache() {}

    @Override
    public void close() {
        open = false;
    }

    @Override
    public boolean persistent() {
        return false;
    }

    @Override
    public boolean isOpen() {
        return open;
    }

    /** Makes one for each task; {@code saved} is run at each commit. */
    record Builder(Plan plan, Runnable saved) implements StoreBuilder<PartitionStore> {
        @Override
        public PartitionStore build() {
            return new PartitionStore(plan, saved);
        }

        @Override
        public StoreBuilder<PartitionStore> withCachingEnabled() {
            return this;
        }

        @Override
        public StoreBuilder<PartitionStore> withCachingDisabled() {
            return this;
        }

        @Override
        public StoreBuilder<PartitionStore> withLoggingEnabled(Map<String, String> config) {
            return this;
        }

        @Override
        public StoreBuilder<PartitionStore> withLoggingDisabled() {
            throw new UnsupportedOperationException("this store lives in its changelog");
        }

        @Override
        public Map<String, String> logConfig() {
            return Map.of();
        }

        @Override
        public boolean loggingEnabled() {
            return true;
        }

        @Override
        public String name() {
            return NAME;
        }
    }
}
