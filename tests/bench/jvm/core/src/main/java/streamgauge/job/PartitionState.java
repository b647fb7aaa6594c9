package streamgauge.job;

import it.unimi.dsi.fastutil.objects.Object2ObjectOpenHashMap;
import it.unimi.dsi.fastutil.objects.ObjectOpenHashSet;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** The whole job for one partition: records in, in the order of its log; rows and state out. */
public final class PartitionState {
    private static final long SWEEP = 10 * 60_000;

    private final Plan plan;
    private final int partition;
    private final boolean tracks;
    private final Event event;
    private final EventParser parser;
    private final SeenIds seen;
    private final Windows windows;
    private final Funnels funnels;
    private final Map<String, Steps[]> actors = new Object2ObjectOpenHashMap<>();
    private final ObjectOpenHashSet<String> changed = new ObjectOpenHashSet<>();
    /** Entries that are gone, until the next dump. */
    private final ObjectOpenHashSet<String> gone = new ObjectOpenHashSet<>();
    private final Totals totals;
    private long watermark;
    private long swept;

    /** With {@code tracks} it remembers what {@link #dump} has to give; without, all of it is given each time. */
    public PartitionState(Plan plan, int partition, boolean tracks) {
        this.plan = plan;
        this.partition = partition;
        this.tracks = tracks;
        event = new Event(plan.dimensions.length);
        event.partition = partition;
        parser = new EventParser(plan, event);
        seen = new SeenIds(plan.dedupe, tracks);
        windows = new Windows(plan, tracks);
        funnels = new Funnels(plan, tracks);
        totals = new Totals(partition);
    }

    /** Counts one record, written at {@code written} (epoch ms) by the broker's clock. */
    public void accept(byte[] value, long written) {
        try {
            parser.parse(value, written);
        } catch (Rejection why) {
            totals.rejected++;
            return;
        }
        if (seen.contains(event.id)) {
            totals.duplicate++;
            return;
        }
        boolean late = event.ts < watermark - plan.lateness;
        long before = watermark;
        watermark = Math.max(watermark, event.ts);
        seen.add(event.id, watermark, this::gone);
        if (late) {
            totals.late++;
            return;
        }
        totals.accepted++;
        windows.count(event);
        if (funnels.concerns(event.kind)) {
            Steps[] steps = actors.get(event.actor);
            if (steps == null) {
                steps = funnels.nobody();
                actors.put(event.actor, steps);
            }
            funnels.fold(steps, event, before - plan.lateness);
            if (tracks) {
                changed.add(event.actor);
            }
        }
    }

    /** The rows that changed since the last call. */
    public void rows(Rows to) {
        windows.rows(partition, to);
        funnels.rows(partition, to);
        totals.row(watermark, to);
        if (watermark > swept + SWEEP) {
            swept = watermark;
            forget(watermark - plan.lateness);
        }
    }

    /** Forgets what is over; it is in the rows by now. */
    private void forget(long horizon) {
        windows.close(horizon, this::gone);
        funnels.close(horizon, this::gone);
        actors.entrySet().removeIf(entry -> {
            boolean over = funnels.expires(entry.getValue()) <= horizon;
            if (over) {
                gone("S|" + entry.getKey(), null);
            }
            return over;
        });
    }

    private void gone(String key, byte[] nothing) {
        if (tracks) {
            gone.add(key);
        }
    }

    /** The entries of the state that changed since the last call. */
    public void dump(Dump to) {
        // First: an actor that is gone may have come again since.
        gone.forEach(key -> to.put(key, null));
        gone.clear();
        seen.dump(to);
        windows.dump(to);
        funnels.dump(to);
        for (String actor : changed) {
            Steps[] steps = actors.get(actor);
            if (steps != null) {
                to.put("S|" + actor, Steps.bytes(steps));
            }
        }
        changed.clear();
        to.put("M", totals.bytes(watermark));
    }

    /** All entries of the state. */
    public void dumpAll(Dump to) {
        seen.dumpAll(to);
        windows.dumpAll(to);
        funnels.dumpAll(to);
        actors.forEach((actor, steps) -> to.put("S|" + actor, Steps.bytes(steps)));
        to.put("M", totals.bytes(watermark));
    }

    /** Puts back an entry; {@link #loaded} once all are there. */
    public void load(String key, byte[] value) {
        switch (key.charAt(0)) {
            case 'I' -> seen.load(key, value);
            case 'W' -> windows.load(key, value);
            case 'C' -> funnels.load(key, value);
            case 'M' -> watermark = totals.load(value);
            case 'S' -> {
                String actor = key.substring(2);
                if (value == null) {
                    actors.remove(actor);
                } else {
                    actors.put(actor, Steps.of(value));
                }
            }
            default -> throw new IllegalArgumentException("no entry of this state: " + key);
        }
    }

    /** Everything is put back. */
    public void loaded() {
        windows.loaded();
    }

    /** A key as bytes. */
    public static byte[] bytes(String key) {
        return key.getBytes(StandardCharsets.UTF_8);
    }

    /** Records handled so far, whatever became of them. */
    public long handled() {
        return totals.all();
    }

    /** What became of the records. */
    static final class Totals {
        private final int partition;
        long accepted;
        long late;
        long duplicate;
        long rejected;

        Totals(int partition) {
            this.partition = partition;
        }

        long all() {
            return accepted + late + duplicate + rejected;
        }

        void row(long watermark, Rows to) {
            to.put("P|" + partition, new Json().add("kind", "partition").add("partition", partition)
                    .add("watermark", watermark).add("accepted", accepted).add("late", late)
                    .add("duplicate", duplicate).add("rejected", rejected).done());
        }

        byte[] bytes(long watermark) {
            return ByteBuffer.allocate(40).putLong(watermark).putLong(accepted).putLong(late).putLong(duplicate)
                    .putLong(rejected).array();
        }

        long load(byte[] bytes) {
            ByteBuffer in = ByteBuffer.wrap(bytes);
            long watermark = in.getLong();
            accepted = in.getLong();
            late = in.getLong();
            duplicate = in.getLong();
            rejected = in.getLong();
            return watermark;
        }
    }
}
