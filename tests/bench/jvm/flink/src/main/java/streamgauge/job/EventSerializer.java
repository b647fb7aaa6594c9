package streamgauge.job;

import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.base.TypeSerializerSingleton;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;
import org.apache.flink.types.StringValue;

/** Events on their way through a keyBy. */
public final class EventSerializer extends TypeSerializerSingleton<Event> {
    private static final long serialVersionUID = 1;
    static final EventSerializer INSTANCE = new EventSerializer();

    @Override
    public boolean isImmutableType() {
        return false;
    }

    @Override
    public Event createInstance() {
        return new Event(0);
    }

    @Override
    public Event copy(Event from) {
        return copy(from, new Event(from.values.length));
    }

    @Override
    public Event copy(Event from, Event reuse) {
        Event to = reuse.values.length == from.values.length ? reuse : new Event(from.values.length);
        to.partition = from.partition;
        to.kind = from.kind;
        to.actor = from.actor;
        to.actorHash = from.actorHash;
        to.id = from.id;
        to.ts = from.ts;
        to.session = from.session;
        to.micro = from.micro;
        to.watermark = from.watermark;
        System.arraycopy(from.values, 0, to.values, 0, from.values.length);
        return to;
    }

    @Override
    public int getLength() {
        return -1;
    }

    @Override
    public void serialize(Event event, DataOutputView out) throws IOException {
        out.writeInt(event.partition);
        out.writeShort(event.kind);
        if (event.kind < 0) {
            return;
        }
        StringValue.writeString(event.actor, out);
        out.writeLong(event.actorHash);
        out.writeLong(event.id);
        out.writeLong(event.ts);
        out.writeLong(event.session);
        out.writeLong(event.micro);
        out.writeLong(event.watermark);
        out.writeByte(event.values.length);
        for (String value : event.values) {
            StringValue.writeString(value, out);
        }
    }

    @Override
    public Event deserialize(DataInputView in) throws IOException {
        return deserialize(createInstance(), in);
    }

    @Override
    public Event deserialize(Event reuse, DataInputView in) throws IOException {
        int partition = in.readInt();
        int kind = in.readShort();
        Event event = reuse;
        if (kind >= 0) {
            String actor = StringValue.readString(in);
            long actorHash = in.readLong();
            long id = in.readLong();
            long ts = in.readLong();
            long session = in.readLong();
            long micro = in.readLong();
            long watermark = in.readLong();
            int count = in.readByte();
            event = reuse.values.length == count ? reuse : new Event(count);
            event.actor = actor;
            event.actorHash = actorHash;
            event.id = id;
            event.ts = ts;
            event.session = session;
            event.micro = micro;
            event.watermark = watermark;
            for (int d = 0; d < count; d++) {
                event.values[d] = StringValue.readString(in);
            }
        } else {
            event.actor = "";
        }
        event.partition = partition;
        event.kind = kind;
        return event;
    }

    @Override
    public void copy(DataInputView in, DataOutputView out) throws IOException {
        serialize(deserialize(in), out);
    }

    @Override
    public TypeSerializerSnapshot<Event> snapshotConfiguration() {
        return new Snapshot();
    }

    /** The format has no versions. */
    public static final class Snapshot extends SimpleTypeSerializerSnapshot<Event> {
        public Snapshot() {
            super(() -> INSTANCE);
        }
    }
}
