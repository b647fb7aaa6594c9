package streamgauge.job;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.runtime.state.OperatorStateCheckpointOutputStream;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.runtime.state.StatePartitionStreamProvider;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/**
 * Records to events, before they are keyed: behind the keyBy nobody knows any more in which order a partition had them,
 * so its watermark is taken along here. What is no event goes on too, without an actor, to be counted.
 */
final class ParseOperator extends AbstractStreamOperator<Event> implements OneInputStreamOperator<Raw, Event> {
    private static final long serialVersionUID = 1;

    private final String planFile;
    private transient Event event;
    private transient EventParser parser;
    private transient StreamRecord<Event> record;
    private transient Map<Integer, long[]> watermarks;

    ParseOperator(String planFile) {
        this.planFile = planFile;
    }

    @Override
    public void open() throws Exception {
        super.open();
        Plan plan = Plan.read(planFile);
        event = new Event(plan.dimensions.length);
        parser = new EventParser(plan, event);
        record = new StreamRecord<>(event);
    }

    @Override
    public void processElement(StreamRecord<Raw> element) {
        Raw raw = element.getValue();
        event.partition = raw.partition;
        long[] watermark = watermarks.computeIfAbsent(raw.partition, p -> new long[1]);
        try {
            parser.parse(raw.value, raw.written);
            event.watermark = watermark[0];
            watermark[0] = Math.max(watermark[0], event.ts);
        } catch (Rejection why) {
            event.kind = -1;
            event.actor = "";
        }
        output.collect(record);
    }

    @Override
    public void snapshotState(StateSnapshotContext context) throws Exception {
        super.snapshotState(context);
        OperatorStateCheckpointOutputStream raw = context.getRawOperatorStateOutput();
        for (var entry : watermarks.entrySet()) {
            raw.startNewPartition();
            DataOutputStream out = new DataOutputStream(raw);
            out.writeInt(entry.getKey());
            out.writeLong(entry.getValue()[0]);
            out.flush();
        }
    }

    @Override
    public void initializeState(StateInitializationContext context) throws Exception {
        super.initializeState(context);
        watermarks = new TreeMap<>();
        for (StatePartitionStreamProvider provider : context.getRawOperatorStateInputs()) {
            try (InputStream stream = provider.getStream()) {
                restore(new DataInputStream(stream));
            }
        }
    }

    private void restore(DataInputStream in) throws IOException {
        watermarks.put(in.readInt(), new long[] {in.readLong()});
    }
}
