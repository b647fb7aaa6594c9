package streamgauge.job;

import it.unimi.dsi.fastutil.longs.LongArraySet;
import it.unimi.dsi.fastutil.longs.LongIterator;
import it.unimi.dsi.fastutil.longs.LongOpenHashSet;
import it.unimi.dsi.fastutil.longs.LongSet;
import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.base.TypeSerializerSingleton;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** What is kept of an actor: the ids of its events, in generations of half of `dedupe`, and its steps. */
public final class Actor {
    private static final int KEPT = 3;
    private static final int FEW = 32;

    int partition;
    private final long[] numbers = new long[KEPT];
    private final LongSet[] ids = new LongSet[KEPT];
    Steps[] steps = {};

    /** Whether an id is new; remembers it then. {@code before} and {@code after} are generations by the watermark. */
    boolean add(long id, long before, long after) {
        for (int i = 0; i < KEPT; i++) {
            if (ids[i] != null && numbers[i] >= before - 2 && ids[i].contains(id)) {
                return false;
            }
        }
        int at = (int) (after % KEPT);
        if (ids[at] == null || numbers[at] != after) {
            numbers[at] = after;
            ids[at] = new LongArraySet(4);
        } else if (ids[at].size() == FEW) {
            ids[at] = new LongOpenHashSet(ids[at]);
        }
        ids[at].add(id);
        return true;
    }

    /** Whether an id of it is remembered in this generation. */
    boolean remembers(long generation) {
        for (int i = 0; i < KEPT; i++) {
            if (ids[i] != null && numbers[i] >= generation - 2) {
                return true;
            }
        }
        return false;
    }

    /** Actors in the state backend and in checkpoints. */
    public static final class Serializer extends TypeSerializerSingleton<Actor> {
        private static final long serialVersionUID = 1;
        static final Serializer INSTANCE = new Serializer();

        @Override
        public boolean isImmutableType() {
            return false;
        }

        @Override
        public Actor createInstance() {
            return new Actor();
        }

        /** A checkpoint writes the old one while the new one goes on. */
        @Override
        public Actor copy(Actor from) {
            Actor to = new Actor();
            to.partition = from.partition;
            for (int i = 0; i < KEPT; i++) {
                to.numbers[i] = from.numbers[i];
                LongSet own = from.ids[i];
                to.ids[i] = own == null ? null : own.size() <= FEW ? new LongArraySet(own) : new LongOpenHashSet(own);
            }
            to.steps = new Steps[from.steps.length];
            for (int i = 0; i < to.steps.length; i++) {
                to.steps[i] = from.steps[i] == null ? null : from.steps[i].copy();
            }
            return to;
        }

        @Override
        public Actor copy(Actor from, Actor reuse) {
            return copy(from);
        }

        @Override
        public int getLength() {
            return -1;
        }

        @Override
        public void serialize(Actor actor, DataOutputView out) throws IOException {
            out.writeInt(actor.partition);
            for (int i = 0; i < KEPT; i++) {
                out.writeInt(actor.ids[i] == null ? 0 : actor.ids[i].size());
                if (actor.ids[i] != null) {
                    out.writeLong(actor.numbers[i]);
                    for (LongIterator id = actor.ids[i].iterator(); id.hasNext(); ) {
                        out.writeLong(id.nextLong());
                    }
                }
            }
            byte[] steps = Steps.bytes(actor.steps);
            out.writeInt(steps.length);
            out.write(steps);
        }

        @Override
        public Actor deserialize(DataInputView in) throws IOException {
            Actor actor = new Actor();
            actor.partition = in.readInt();
            for (int i = 0; i < KEPT; i++) {
                int count = in.readInt();
                if (count > 0) {
                    actor.numbers[i] = in.readLong();
                    actor.ids[i] = count <= FEW ? new LongArraySet(count) : new LongOpenHashSet(count);
                    for (int k = 0; k < count; k++) {
                        actor.ids[i].add(in.readLong());
                    }
                }
            }
            byte[] steps = new byte[in.readInt()];
            in.readFully(steps);
            actor.steps = Steps.of(steps);
            return actor;
        }

        @Override
        public Actor deserialize(Actor reuse, DataInputView in) throws IOException {
            return deserialize(in);
        }

        @Override
        public void copy(DataInputView in, DataOutputView out) throws IOException {
            serialize(deserialize(in), out);
        }

        @Override
        public TypeSerializerSnapshot<Actor> snapshotConfiguration() {
            return new Snapshot();
        }
    }

    /** The format has no versions. */
    public static final class Snapshot extends SimpleTypeSerializerSnapshot<Actor> {
        public Snapshot() {
            super(() -> Serializer.INSTANCE);
        }
    }
}
