package streamgauge.job;

import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.BufferedInputStream;
import java.io.UncheckedIOException;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.runtime.state.OperatorStateCheckpointOutputStream;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.runtime.state.StatePartitionStreamProvider;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/** An operator that gives out rows once in a while, and keeps entries of a state by partition of the topic. */
abstract class RowsOperator extends AbstractStreamOperator<Tuple2<String, String>> {
    private static final long serialVersionUID = 1;
    private static final String DONE = "";

    private final int rowsEvery;
    private transient StreamRecord<Tuple2<String, String>> row;

    RowsOperator(int rowsEvery) {
        this.rowsEvery = rowsEvery;
    }

    /** Gives the rows that have changed. */
    abstract void rows(Rows to);

    /** The partitions that there is a state of. */
    abstract Iterable<Integer> partitions();

    /** Gives all entries of one. */
    abstract void dumpAll(int partition, Dump to);

    /** Takes an entry back. */
    abstract void load(int partition, String key, byte[] value);

    /** All entries of a partition are there. */
    abstract void loaded(int partition);

    @Override
    public void open() throws Exception {
        super.open();
        row = new StreamRecord<>(new Tuple2<>());
        next();
    }

    private void next() {
        long now = getProcessingTimeService().getCurrentProcessingTime();
        getProcessingTimeService().registerTimer(now + rowsEvery, time -> {
            boolean complete = FlinkJob.progress().complete();
            rows(this::put);
            if (complete) {
                FlinkJob.rowsAreOut();
            }
            next();
        });
    }

    private void put(String key, String json) {
        // Rows are serialized as they are given, so that one object is enough.
        row.getValue().f0 = key;
        row.getValue().f1 = json;
        output.collect(row);
    }

    @Override
    public void snapshotState(StateSnapshotContext context) throws Exception {
        super.snapshotState(context);
        OperatorStateCheckpointOutputStream raw = context.getRawOperatorStateOutput();
        for (int partition : partitions()) {
            raw.startNewPartition();
            DataOutputStream out = new DataOutputStream(new BufferedOutputStream(raw, 1 << 16));
            out.writeInt(partition);
            dumpAll(partition, (key, value) -> entry(out, key, value));
            out.writeUTF(DONE);
            out.flush();
        }
    }

    private static void entry(DataOutputStream out, String key, byte[] value) {
        try {
            out.writeUTF(key);
            out.writeInt(value.length);
            out.write(value);
        } catch (IOException problem) {
            throw new UncheckedIOException(problem);
        }
    }

    @Override
    public void initializeState(StateInitializationContext context) throws Exception {
        super.initializeState(context);
        for (StatePartitionStreamProvider provider : context.getRawOperatorStateInputs()) {
            try (InputStream stream = provider.getStream()) {
                DataInputStream in = new DataInputStream(new BufferedInputStream(stream, 1 << 16));
                int partition = in.readInt();
                String key;
                while (!(key = in.readUTF()).equals(DONE)) {
                    byte[] value = in.readNBytes(in.readInt());
                    load(partition, key, value);
                }
                loaded(partition);
            } catch (EOFException cut) {
                throw new IOException("a checkpoint that is cut short", cut);
            }
        }
    }
}
