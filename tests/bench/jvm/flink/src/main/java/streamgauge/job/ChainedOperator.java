package streamgauge.job;

import java.io.IOException;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/**
 * The whole job, chained to the source: the topic is partitioned by actor already, so nothing has to be sent anywhere.
 *
 * <p>The state of each partition is operator state, written as it stands at a checkpoint: counting waits meanwhile.
 */
final class ChainedOperator extends RowsOperator implements OneInputStreamOperator<Raw, Tuple2<String, String>> {
    private static final long serialVersionUID = 1;

    private final String planFile;
    private transient Plan plan;
    private transient Map<Integer, PartitionState> states;
    private transient int last;
    private transient PartitionState lastState;

    ChainedOperator(String planFile, int rowsEvery) {
        super(rowsEvery);
        this.planFile = planFile;
    }

    private PartitionState state(int partition) {
        if (states == null) {
            states = new TreeMap<>();
            try {
                plan = Plan.read(planFile);
            } catch (IOException problem) {
                throw new java.io.UncheckedIOException(problem);
            }
        }
        return states.computeIfAbsent(partition, p -> new PartitionState(plan, p, false));
    }

    @Override
    public void processElement(StreamRecord<Raw> element) {
        Raw raw = element.getValue();
        if (lastState == null || raw.partition != last) {
            last = raw.partition;
            lastState = state(last);
        }
        lastState.accept(raw.value, raw.written);
        FlinkJob.progress().handled();
    }

    @Override
    void rows(Rows to) {
        if (states != null) {
            states.values().forEach(state -> state.rows(to));
        }
    }

    @Override
    Iterable<Integer> partitions() {
        return states == null ? java.util.List.of() : states.keySet();
    }

    @Override
    void dumpAll(int partition, Dump to) {
        states.get(partition).dumpAll(to);
    }

    @Override
    void load(int partition, String key, byte[] value) {
        state(partition).load(key, value);
    }

    @Override
    void loaded(int partition) {
        state(partition).loaded();
    }
}
