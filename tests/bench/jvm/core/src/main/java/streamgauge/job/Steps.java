package streamgauge.job;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Arrays;

/** One actor's steps in one funnel and breakdown, sorted by (time, step, value), and what they count by now. */
public final class Steps {
    /** What an actor counts in one bucket: the times of its longest chain, under the value of its first step. */
    static final class Counted {
        final long low;
        final long high;
        String value;
        long[] chain;

        Counted(long low, long high) {
            this.low = low;
            this.high = high;
        }
    }

    private static final Counted[] NONE = {};
    private static final String[] NO_VALUES = {};

    int count;
    long[] times = new long[4];
    byte[] steps = new byte[4];
    /** The breakdown's value; only of first steps, and null elsewhere. */
    String[] values = NO_VALUES;
    Counted[] counted = NONE;

    /** A copy; times of a chain are never changed, so they are shared. */
    public Steps copy() {
        Steps to = new Steps();
        to.count = count;
        to.times = times.clone();
        to.steps = steps.clone();
        to.values = values.clone();
        to.counted = new Counted[counted.length];
        for (int i = 0; i < counted.length; i++) {
            Counted one = to.counted[i] = new Counted(counted[i].low, counted[i].high);
            one.value = counted[i].value;
            one.chain = counted[i].chain;
        }
        return to;
    }

    /** Puts in an event; step 0 is the first. */
    void insert(long ts, int step, String value) {
        if (count == times.length) {
            times = Arrays.copyOf(times, 2 * count);
            steps = Arrays.copyOf(steps, 2 * count);
        }
        if (values.length < times.length) {
            values = Arrays.copyOf(values, times.length);
        }
        int at = count;
        while (at > 0 && later(at - 1, ts, step, value)) {
            times[at] = times[at - 1];
            steps[at] = steps[at - 1];
            values[at] = values[at - 1];
            at--;
        }
        times[at] = ts;
        steps[at] = (byte) step;
        values[at] = value;
        count++;
    }

    private boolean later(int i, long ts, int step, String value) {
        if (times[i] != ts) {
            return times[i] > ts;
        }
        if (steps[i] != step) {
            return steps[i] > step;
        }
        return value != null && values[i].compareTo(value) > 0;
    }

    /** What is counted in a bucket; made if there is nothing yet. */
    Counted bucket(long low, long high) {
        for (Counted one : counted) {
            if (one.low == low) {
                return one;
            }
        }
        counted = Arrays.copyOf(counted, counted.length + 1);
        return counted[counted.length - 1] = new Counted(low, high);
    }

    /** When nothing of it can matter any more: the last bucket is final, and no first step can come before the last. */
    long expires(long window) {
        long last = count == 0 ? 0 : times[count - 1] + 1;
        for (Counted one : counted) {
            last = Math.max(last, one.high + window);
        }
        return last;
    }

    /**
     * The chain of ClickHouse's windowFunnel over the events in [low, high + window): first steps before {@code high}
     * only; of several chains that reach a step at one event the one that started last.
     */
    long[] chain(long low, long high, long window, int length) {
        long[][] latest = new long[length][];
        long[] best = null;
        for (int i = first(low); i < count && times[i] < high + window; i++) {
            int step = steps[i];
            if (step == 0) {
                if (times[i] < high) {
                    latest[0] = new long[] {times[i]};
                    if (best == null) {
                        best = latest[0];
                    }
                }
            } else if (latest[step - 1] != null && times[i] <= latest[step - 1][0] + window) {
                long[] chain = latest[step] = Arrays.copyOf(latest[step - 1], step + 1);
                chain[step] = times[i];
                if (chain.length > best.length) {
                    best = chain;
                    if (best.length == length) {
                        break;
                    }
                }
            }
        }
        return best;
    }

    /** The value of the earliest first step in [low, high). */
    String value(long low) {
        for (int i = first(low); i < count; i++) {
            if (steps[i] == 0) {
                return values[i];
            }
        }
        throw new IllegalStateException("a bucket without a first step");
    }

    private int first(long low) {
        int at = Arrays.binarySearch(times, 0, count, low);
        at = at < 0 ? -at - 1 : at;
        while (at > 0 && times[at - 1] == low) {
            at--;
        }
        return at;
    }

    void write(DataOutputStream out) throws IOException {
        out.writeShort(count);
        for (int i = 0; i < count; i++) {
            out.writeLong(times[i]);
            out.writeByte(steps[i]);
            if (steps[i] == 0) {
                out.writeUTF(values[i]);
            }
        }
        out.writeShort(counted.length);
        for (Counted one : counted) {
            out.writeLong(one.low);
            out.writeLong(one.high);
            out.writeUTF(one.value);
            out.writeByte(one.chain.length);
            for (long time : one.chain) {
                out.writeLong(time);
            }
        }
    }

    static Steps read(DataInputStream in) throws IOException {
        Steps found = new Steps();
        found.count = in.readUnsignedShort();
        found.times = new long[Math.max(4, found.count)];
        found.steps = new byte[found.times.length];
        found.values = new String[found.times.length];
        for (int i = 0; i < found.count; i++) {
            found.times[i] = in.readLong();
            found.steps[i] = in.readByte();
            found.values[i] = found.steps[i] == 0 ? in.readUTF() : null;
        }
        found.counted = new Counted[in.readUnsignedShort()];
        for (int i = 0; i < found.counted.length; i++) {
            Counted one = found.counted[i] = new Counted(in.readLong(), in.readLong());
            one.value = in.readUTF();
            one.chain = new long[in.readByte()];
            for (int k = 0; k < one.chain.length; k++) {
                one.chain[k] = in.readLong();
            }
        }
        return found;
    }

    /** An actor's steps in all funnels as bytes; null stands for none. */
    static byte[] bytes(Steps[] all) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(128);
        try (DataOutputStream out = new DataOutputStream(bytes)) {
            write(all, out);
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
        return bytes.toByteArray();
    }

    static Steps[] of(byte[] bytes) {
        try (DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes))) {
            return readAll(in);
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
    }

    static void write(Steps[] all, DataOutputStream out) throws IOException {
        out.writeByte(all.length);
        for (Steps one : all) {
            out.writeBoolean(one != null);
            if (one != null) {
                one.write(out);
            }
        }
    }

    static Steps[] readAll(DataInputStream in) throws IOException {
        Steps[] all = new Steps[in.readByte()];
        for (int i = 0; i < all.length; i++) {
            all[i] = in.readBoolean() ? read(in) : null;
        }
        return all;
    }
}
