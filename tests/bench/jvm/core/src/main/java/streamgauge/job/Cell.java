package streamgauge.job;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import org.apache.datasketches.hll.HllSketch;
import org.apache.datasketches.hll.TgtHllType;
import org.apache.datasketches.hll.Union;

/**
 * The counters of one window and value of a dimension.
 *
 * <p>A minute's sketches are updated by events; wider windows take in what is new of their minutes when they are looked
 * at, so an event touches one window and not four.
 */
final class Cell {
    static final int LG_K = 12;

    final String grain;
    final long start;
    final long end;
    /** -1 is the total. */
    final int dimension;
    final String value;
    /** Of a minute: the wider windows that take it in; null of `(other)`, whose events go there one by one. */
    Cell[] parents;
    boolean pending;
    boolean unpublished;
    boolean unsaved;
    boolean closed;

    long events;
    long micro;
    private long takenEvents;
    private long takenMicro;
    private HllSketch users;
    private HllSketch sessions;
    private HllSketch registrations;
    private Union wideUsers;
    private Union wideSessions;
    private Union wideRegistrations;

    Cell(String grain, long start, long end, int dimension, String value) {
        this.grain = grain;
        this.start = start;
        this.end = end;
        this.dimension = dimension;
        this.value = value;
    }

    private boolean wide() {
        return !grain.equals("minute");
    }

    /** Counts an event. */
    void count(Event event, boolean registers) {
        events++;
        micro += event.micro;
        if (wide()) {
            (wideUsers = made(wideUsers)).update(event.actorHash);
            if (event.session != 0) {
                (wideSessions = made(wideSessions)).update(event.session);
            }
            if (registers) {
                (wideRegistrations = made(wideRegistrations)).update(event.actorHash);
            }
            return;
        }
        (users = made(users)).update(event.actorHash);
        if (event.session != 0) {
            (sessions = made(sessions)).update(event.session);
        }
        if (registers) {
            (registrations = made(registrations)).update(event.actorHash);
        }
    }

    /** Hands what is new to a wider window; {@link #taken} once all have it. */
    void giveTo(Cell wider) {
        wider.events += events - takenEvents;
        wider.micro += micro - takenMicro;
        if (users != null) {
            (wider.wideUsers = made(wider.wideUsers)).update(users);
        }
        if (sessions != null) {
            (wider.wideSessions = made(wider.wideSessions)).update(sessions);
        }
        if (registrations != null) {
            (wider.wideRegistrations = made(wider.wideRegistrations)).update(registrations);
        }
    }

    /** Notes that all wider windows have what was counted so far. */
    void taken() {
        takenEvents = events;
        takenMicro = micro;
        pending = false;
    }

    private static HllSketch made(HllSketch sketch) {
        return sketch == null ? new HllSketch(LG_K, TgtHllType.HLL_8) : sketch;
    }

    private static Union made(Union union) {
        return union == null ? new Union(LG_K) : union;
    }

    double users() {
        return wide() ? estimate(wideUsers) : estimate(users);
    }

    double sessions() {
        return wide() ? estimate(wideSessions) : estimate(sessions);
    }

    double registrations() {
        return wide() ? estimate(wideRegistrations) : estimate(registrations);
    }

    private static double estimate(HllSketch sketch) {
        return sketch == null ? 0 : sketch.getEstimate();
    }

    private static double estimate(Union union) {
        return union == null ? 0 : union.getEstimate();
    }

    /** As bytes; wider windows must have taken it in. */
    byte[] bytes() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(256);
        try (DataOutputStream out = new DataOutputStream(bytes)) {
            out.writeLong(events);
            out.writeLong(micro);
            if (wide()) {
                write(out, wideUsers == null ? null : wideUsers.toCompactByteArray());
                write(out, wideSessions == null ? null : wideSessions.toCompactByteArray());
                write(out, wideRegistrations == null ? null : wideRegistrations.toCompactByteArray());
            } else {
                write(out, users == null ? null : users.toCompactByteArray());
                write(out, sessions == null ? null : sessions.toCompactByteArray());
                write(out, registrations == null ? null : registrations.toCompactByteArray());
            }
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
        return bytes.toByteArray();
    }

    private static void write(DataOutputStream out, byte[] sketch) throws IOException {
        out.writeShort(sketch == null ? 0 : sketch.length);
        if (sketch != null) {
            out.write(sketch);
        }
    }

    /** Takes what {@link #bytes} gave. */
    void load(byte[] bytes) {
        try (DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes))) {
            events = takenEvents = in.readLong();
            micro = takenMicro = in.readLong();
            byte[][] sketches = new byte[3][];
            for (int i = 0; i < 3; i++) {
                int length = in.readUnsignedShort();
                sketches[i] = length == 0 ? null : in.readNBytes(length);
            }
            if (wide()) {
                wideUsers = union(sketches[0]);
                wideSessions = union(sketches[1]);
                wideRegistrations = union(sketches[2]);
            } else {
                users = sketch(sketches[0]);
                sessions = sketch(sketches[1]);
                registrations = sketch(sketches[2]);
            }
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
    }

    private static HllSketch sketch(byte[] bytes) {
        return bytes == null ? null : HllSketch.heapify(bytes);
    }

    private static Union union(byte[] bytes) {
        return bytes == null ? null : Union.heapify(bytes);
    }
}
