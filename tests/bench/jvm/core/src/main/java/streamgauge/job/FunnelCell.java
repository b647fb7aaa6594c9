package streamgauge.job;

import it.unimi.dsi.fastutil.ints.Int2IntMap;
import it.unimi.dsi.fastutil.ints.Int2IntOpenHashMap;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * One bucket and value of a funnel: actors by the step that they got to, and the times from step to step: exact sums,
 * and histograms whose bins are within 1 % (DDSketch), from which what was counted can be taken back.
 */
final class FunnelCell {
    /** {@code view} is the funnel and breakdown, {@code low} the bucket's start. */
    record Key(int view, long low, String value) {
        String text() {
            return "C|" + view + "|" + low + "|" + value;
        }

        static Key of(String text) {
            String[] parts = text.split("\\|", 4);
            return new Key(Integer.parseInt(parts[1]), Long.parseLong(parts[2]), parts[3]);
        }
    }

    private static final long[] BOUNDS = bounds();

    final Key key;
    boolean unpublished;
    boolean unsaved;
    boolean closed;
    /** Actors that got exactly to step k + 1. */
    private final long[] counts;
    private final long[] sums;
    private final Int2IntOpenHashMap[] bins;

    FunnelCell(Key key, int steps) {
        this.key = key;
        counts = new long[steps];
        sums = new long[steps - 1];
        bins = new Int2IntOpenHashMap[steps - 1];
        Arrays.setAll(bins, k -> new Int2IntOpenHashMap());
    }

    /** The largest whole number of each bin, floor(gamma ** i), in whole numbers. */
    private static long[] bounds() {
        List<Long> found = new ArrayList<>(List.of(1L));
        BigInteger above = BigInteger.ONE;
        BigInteger below = BigInteger.ONE;
        while (found.get(found.size() - 1) < 1L << 53) {
            above = above.multiply(BigInteger.valueOf(101));
            below = below.multiply(BigInteger.valueOf(99));
            found.add(above.divide(below).longValueExact());
        }
        return found.stream().mapToLong(Long::longValue).toArray();
    }

    private static int bin(long ms) {
        if (ms == 0) {
            return -1;
        }
        int at = Arrays.binarySearch(BOUNDS, ms);
        if (at < 0) {
            return -at - 1;
        }
        while (at > 0 && BOUNDS[at - 1] == ms) {
            at--;
        }
        return at;
    }

    void count(long[] chain) {
        change(chain, 1);
    }

    void take(long[] chain) {
        change(chain, -1);
    }

    private void change(long[] chain, int by) {
        counts[chain.length - 1] += by;
        for (int k = 1; k < chain.length; k++) {
            long ms = chain[k] - chain[k - 1];
            sums[k - 1] += by * ms;
            int bin = bin(ms);
            if (bins[k - 1].addTo(bin, by) + by == 0) {
                bins[k - 1].remove(bin);
            }
        }
    }

    void add(FunnelCell other) {
        for (int k = 0; k < counts.length; k++) {
            counts[k] += other.counts[k];
        }
        for (int k = 0; k < sums.length; k++) {
            sums[k] += other.sums[k];
            for (Int2IntMap.Entry entry : other.bins[k].int2IntEntrySet()) {
                bins[k].addTo(entry.getIntKey(), entry.getIntValue());
            }
        }
    }

    /** Actors that got to each step or further. */
    List<Long> users() {
        Long[] found = new Long[counts.length];
        long total = 0;
        for (int k = counts.length - 1; k >= 0; k--) {
            total += counts[k];
            found[k] = total;
        }
        return List.of(found);
    }

    List<Long> sums() {
        return Arrays.stream(sums).boxed().toList();
    }

    /** By transition: bin and number, one after the other, by bin. */
    List<List<Integer>> bins() {
        List<List<Integer>> found = new ArrayList<>();
        for (Int2IntOpenHashMap one : bins) {
            int[] keys = one.keySet().toIntArray();
            Arrays.sort(keys);
            List<Integer> pairs = new ArrayList<>(2 * keys.length);
            for (int bin : keys) {
                pairs.add(bin);
                pairs.add(one.get(bin));
            }
            found.add(pairs);
        }
        return found;
    }

    byte[] bytes() {
        int pairs = Arrays.stream(bins).mapToInt(Int2IntOpenHashMap::size).sum();
        ByteBuffer out = ByteBuffer.allocate(8 * (counts.length + sums.length) + 4 * bins.length + 8 * pairs);
        for (long count : counts) {
            out.putLong(count);
        }
        for (int k = 0; k < sums.length; k++) {
            out.putLong(sums[k]).putInt(bins[k].size());
            for (Int2IntMap.Entry entry : bins[k].int2IntEntrySet()) {
                out.putInt(entry.getIntKey()).putInt(entry.getIntValue());
            }
        }
        return out.array();
    }

    static FunnelCell of(Key key, int steps, byte[] bytes) {
        FunnelCell found = new FunnelCell(key, steps);
        ByteBuffer in = ByteBuffer.wrap(bytes);
        for (int k = 0; k < steps; k++) {
            found.counts[k] = in.getLong();
        }
        for (int k = 0; k < steps - 1; k++) {
            found.sums[k] = in.getLong();
            for (int n = in.getInt(); n > 0; n--) {
                found.bins[k].put(in.getInt(), in.getInt());
            }
        }
        return found;
    }
}
