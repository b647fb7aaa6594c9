package streamgauge.job;

import it.unimi.dsi.fastutil.longs.Long2ObjectOpenHashMap;
import it.unimi.dsi.fastutil.objects.ObjectArrayList;
import java.util.HashMap;
import java.util.Map;

/** Activity of one partition: events, amount, users, sessions and registrations by window and value of a dimension. */
public final class Windows {
    private static final String OTHER = "(other)";

    /** One window: its total, and its cells by dimension and value. */
    private static final class Slot {
        Cell total;
        final Map<String, Cell>[] values;

        Slot(int dimensions) {
            values = maps(dimensions);
        }

        @SuppressWarnings({"unchecked", "rawtypes"})
        private static Map<String, Cell>[] maps(int count) {
            Map<String, Cell>[] made = new Map[count];
            for (int d = 0; d < count; d++) {
                made[d] = new HashMap<>();
            }
            return made;
        }
    }

    private final Plan plan;
    private final boolean tracks;
    private final Grains grains;
    private final Map<String, Long2ObjectOpenHashMap<Slot>> slots = new HashMap<>();
    private long lastMinute = -1;
    private Slot lastSlot;
    private final ObjectArrayList<Cell> pending = new ObjectArrayList<>();
    private final ObjectArrayList<Cell> unpublished = new ObjectArrayList<>();
    private final ObjectArrayList<Cell> unsaved = new ObjectArrayList<>();

    /** With {@code tracks} it remembers what {@link #dump} has to give. */
    public Windows(Plan plan, boolean tracks) {
        this.plan = plan;
        this.tracks = tracks;
        grains = new Grains(plan.zone);
        slots.put("minute", new Long2ObjectOpenHashMap<>());
        for (String grain : Grains.WIDE) {
            slots.put(grain, new Long2ObjectOpenHashMap<>());
        }
    }

    /** Counts an accepted event. */
    public void count(Event event) {
        boolean registers = event.kind == plan.registration;
        Slot slot = minute(event.ts);
        count(slot.total, event, registers);
        for (int d = 0; d < plan.dimensions.length; d++) {
            String value = event.values[d];
            Cell cell = slot.values[d].get(value);
            if (cell == null) {
                cell = place("minute", slot, event.ts, d, value);
            }
            count(cell, event, registers);
            if (cell.parents == null) {
                for (String grain : Grains.WIDE) {
                    count(place(grain, slot(grain, event.ts), event.ts, d, value), event, registers);
                }
            }
        }
    }

    private void count(Cell cell, Event event, boolean registers) {
        cell.count(event, registers);
        changed(cell);
        if (cell.parents != null && !cell.pending) {
            cell.pending = true;
            pending.add(cell);
        }
    }

    private void changed(Cell cell) {
        if (!cell.unpublished) {
            cell.unpublished = true;
            unpublished.add(cell);
        }
        if (tracks && !cell.unsaved) {
            cell.unsaved = true;
            unsaved.add(cell);
        }
    }

    private Slot minute(long ts) {
        long start = ts - ts % Grains.MINUTE;
        if (start != lastMinute) {
            lastSlot = slot("minute", ts);
            lastMinute = start;
        }
        return lastSlot;
    }

    private Slot slot(String grain, long ts) {
        long start = grains.start(grain, ts);
        Slot found = slots.get(grain).get(start);
        if (found == null) {
            found = new Slot(plan.dimensions.length);
            slots.get(grain).put(start, found);
            found.total = new Cell(grain, start, grains.end(grain, ts), -1, "");
            if (grain.equals("minute")) {
                found.total.parents = parents(ts, -1, "");
            }
        }
        return found;
    }

    /** Where a value counts in a window: by itself, or under `(other)` once as many as the plan allows have a place. */
    private Cell place(String grain, Slot slot, long ts, int dimension, String value) {
        Map<String, Cell> values = slot.values[dimension];
        Cell found = values.get(value);
        if (found != null) {
            return found;
        }
        String name = values.size() - (values.containsKey(OTHER) ? 1 : 0) < plan.maxValues ? value : OTHER;
        found = values.get(name);
        if (found == null) {
            found = new Cell(grain, grains.start(grain, ts), grains.end(grain, ts), dimension, name);
            values.put(name, found);
            if (grain.equals("minute") && !name.equals(OTHER)) {
                found.parents = parents(ts, dimension, value);
            }
        }
        return found;
    }

    private Cell[] parents(long ts, int dimension, String value) {
        Cell[] found = new Cell[Grains.WIDE.length];
        for (int i = 0; i < found.length; i++) {
            Slot slot = slot(Grains.WIDE[i], ts);
            found[i] = dimension < 0 ? slot.total : place(Grains.WIDE[i], slot, ts, dimension, value);
        }
        return found;
    }

    private void settle() {
        for (Cell cell : pending) {
            for (Cell wider : cell.parents) {
                cell.giveTo(wider);
                changed(wider);
            }
            cell.taken();
        }
        pending.clear();
    }

    /** The rows that changed since the last call. */
    public void rows(int partition, Rows to) {
        settle();
        for (Cell cell : unpublished) {
            cell.unpublished = false;
            String dimension = cell.dimension < 0 ? "" : plan.dimensions[cell.dimension];
            to.put("A|" + partition + "|" + key(cell), new Json().add("kind", "activity").add("partition", partition)
                    .add("grain", cell.grain).add("start", cell.start).add("end", cell.end)
                    .add("dimension", dimension).add("value", cell.value)
                    .add("events", cell.events).add("amount", cell.micro).add("users", cell.users())
                    .add("sessions", cell.sessions()).add("registrations", cell.registrations()).done());
        }
        unpublished.clear();
    }

    /** The state that changed since the last call. */
    public void dump(Dump to) {
        settle();
        for (Cell cell : unsaved) {
            cell.unsaved = false;
            if (!cell.closed) {
                to.put("W|" + key(cell), cell.bytes());
            }
        }
        unsaved.clear();
    }

    /** The whole state. */
    public void dumpAll(Dump to) {
        settle();
        for (Long2ObjectOpenHashMap<Slot> windows : slots.values()) {
            for (Slot slot : windows.values()) {
                to.put("W|" + key(slot.total), slot.total.bytes());
                for (Map<String, Cell> values : slot.values) {
                    values.values().forEach(cell -> to.put("W|" + key(cell), cell.bytes()));
                }
            }
        }
    }

    /** Forgets windows that are closed and published. */
    public void close(long horizon, Dump to) {
        for (Long2ObjectOpenHashMap<Slot> windows : slots.values()) {
            windows.values().removeIf(slot -> {
                if (slot.total.end > horizon) {
                    return false;
                }
                close(slot.total, to);
                for (Map<String, Cell> values : slot.values) {
                    values.values().forEach(cell -> close(cell, to));
                }
                return true;
            });
        }
        lastMinute = -1;
    }

    private static void close(Cell cell, Dump to) {
        cell.closed = true;
        to.put("W|" + key(cell), null);
    }

    /** Puts back a cell; {@link #loaded} once all are there. */
    public void load(String key, byte[] bytes) {
        String[] parts = key.split("\\|", 5);
        long start = Long.parseLong(parts[2]);
        int dimension = Integer.parseInt(parts[3]);
        Slot slot = slots.get(parts[1]).computeIfAbsent(start, s -> new Slot(plan.dimensions.length));
        if (bytes == null) {
            slots.get(parts[1]).remove(start);
            return;
        }
        Cell cell = new Cell(parts[1], start, grains.end(parts[1], start), dimension, parts[4]);
        cell.load(bytes);
        if (dimension < 0) {
            slot.total = cell;
        } else {
            slot.values[dimension].put(cell.value, cell);
        }
    }

    /** Finds the wider windows of the minutes that were put back. */
    public void loaded() {
        slots.get("minute").forEach((start, slot) -> {
            slot.total.parents = parents(start, -1, "");
            for (int d = 0; d < slot.values.length; d++) {
                for (Cell cell : slot.values[d].values()) {
                    cell.parents = cell.value.equals(OTHER) ? null : parents(start, d, cell.value);
                }
            }
        });
        lastMinute = -1;
    }

    private static String key(Cell cell) {
        return cell.grain + "|" + cell.start + "|" + cell.dimension + "|" + cell.value;
    }
}
