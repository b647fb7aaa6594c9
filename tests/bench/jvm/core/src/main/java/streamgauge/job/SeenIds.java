package streamgauge.job;

import it.unimi.dsi.fastutil.longs.LongArrayList;
import it.unimi.dsi.fastutil.longs.LongOpenHashSet;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.TreeMap;

/** The event ids of a partition, hashed, in generations of half the horizon: the current one and two before it. */
public final class SeenIds {
    private static final int KEPT = 2;

    private final long span;
    private long generation;
    private final TreeMap<Long, LongOpenHashSet> tables = new TreeMap<>();
    private LongOpenHashSet current;
    /** What was added since the last dump, by generation. */
    private final TreeMap<Long, LongArrayList> added = new TreeMap<>();
    private LongArrayList addedNow;
    private final TreeMap<Long, Integer> pieces = new TreeMap<>();
    private final boolean tracks;

    /** With {@code tracks} it remembers what {@link #dump} has to give. */
    public SeenIds(long horizon, boolean tracks) {
        this.tracks = tracks;
        span = Math.max(1, horizon / 2);
    }

    /** Whether the id is remembered. */
    public boolean contains(long id) {
        if (current != null && current.contains(id)) {
            return true;
        }
        for (LongOpenHashSet table : tables.values()) {
            if (table != current && table.contains(id)) {
                return true;
            }
        }
        return false;
    }

    /** Remembers an id that is new, after whose record the watermark stands at {@code watermark}. */
    public void add(long id, long watermark, Dump forgotten) {
        long now = watermark / span;
        if (now > generation) {
            generation = now;
            current = null;
            addedNow = null;
            while (tables.size() > KEPT) {
                long old = tables.firstKey();
                tables.remove(old);
                added.remove(old);
                Integer count = pieces.remove(old);
                for (int i = 0; count != null && i < count; i++) {
                    forgotten.put(key(old, i), null);
                }
            }
        }
        if (current == null) {
            current = tables.computeIfAbsent(generation, g -> new LongOpenHashSet());
        }
        current.add(id);
        if (tracks) {
            if (addedNow == null) {
                addedNow = added.computeIfAbsent(generation, g -> new LongArrayList());
            }
            addedNow.add(id);
        }
    }

    /** What was added since the last dump, as pieces of a generation. */
    public void dump(Dump to) {
        for (Map.Entry<Long, LongArrayList> entry : added.entrySet()) {
            int piece = pieces.merge(entry.getKey(), 1, Integer::sum) - 1;
            to.put(key(entry.getKey(), piece), bytes(entry.getValue().elements(), entry.getValue().size()));
        }
        added.clear();
        addedNow = null;
    }

    /** All ids, one piece a generation. */
    public void dumpAll(Dump to) {
        tables.forEach((number, table) -> to.put(key(number, 0), bytes(table.toLongArray(), table.size())));
    }

    /** Puts back a piece. */
    public void load(String key, byte[] value) {
        String[] parts = key.split("\\|");
        long number = Long.parseLong(parts[1]);
        if (value == null) {
            tables.remove(number);
            pieces.remove(number);
            return;
        }
        LongOpenHashSet table = tables.computeIfAbsent(number, g -> new LongOpenHashSet());
        ByteBuffer in = ByteBuffer.wrap(value);
        while (in.hasRemaining()) {
            table.add(in.getLong());
        }
        pieces.merge(number, Integer.parseInt(parts[2]) + 1, Math::max);
        generation = Math.max(generation, number);
        current = tables.get(generation);
    }

    private static String key(long number, int piece) {
        return "I|" + number + "|" + piece;
    }

    private static byte[] bytes(long[] ids, int count) {
        ByteBuffer out = ByteBuffer.allocate(8 * count);
        out.asLongBuffer().put(ids, 0, count);
        return out.array();
    }
}
