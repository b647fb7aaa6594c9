package streamgauge.job;

import it.unimi.dsi.fastutil.ints.IntArrayList;
import it.unimi.dsi.fastutil.objects.ObjectArrayList;
import java.util.HashMap;
import java.util.Map;

/**
 * The funnels of one partition: what its actors count, by bucket and value of the breakdown.
 *
 * <p>Where the actors' {@link Steps} are kept is the caller's matter. Events may come in any order within the lateness:
 * a step that comes late takes back what was counted without it.
 */
public final class Funnels {
    /** A funnel by one breakdown; {@code dimension} -1 is none. */
    private record View(Plan.Funnel funnel, int dimension) {}

    private static final int MAX_EVENTS = 2_000;

    private final Plan plan;
    private final boolean tracks;
    private final Grains grains;
    private final View[] views;
    /** By kind of event: pairs of a view and a step. */
    private final int[][] places;
    private final Map<FunnelCell.Key, FunnelCell> cells = new HashMap<>();
    private final ObjectArrayList<FunnelCell> unpublished = new ObjectArrayList<>();
    private final ObjectArrayList<FunnelCell> unsaved = new ObjectArrayList<>();

    /** With {@code tracks} it remembers what {@link #dump} has to give. */
    public Funnels(Plan plan, boolean tracks) {
        this.plan = plan;
        this.tracks = tracks;
        grains = new Grains(plan.zone);
        ObjectArrayList<View> found = new ObjectArrayList<>();
        for (Plan.Funnel funnel : plan.funnels) {
            if (funnel.breakdowns().length == 0) {
                found.add(new View(funnel, -1));
            }
            for (int dimension : funnel.breakdowns()) {
                found.add(new View(funnel, dimension));
            }
        }
        views = found.toArray(new View[0]);
        places = new int[plan.events.length][];
        for (int kind = 0; kind < places.length; kind++) {
            IntArrayList here = new IntArrayList();
            for (int v = 0; v < views.length; v++) {
                int[] steps = views[v].funnel.steps();
                for (int step = 0; step < steps.length; step++) {
                    if (steps[step] == kind) {
                        here.add(v);
                        here.add(step);
                    }
                }
            }
            places[kind] = here.toIntArray();
        }
    }

    /** Whether an event of this kind is a step of any funnel. */
    public boolean concerns(int kind) {
        return places[kind].length > 0;
    }

    /** An actor without steps. */
    public Steps[] nobody() {
        return new Steps[views.length];
    }

    /** Adds an accepted event to its actor's steps. */
    public void fold(Steps[] actor, Event event, long horizon) {
        int[] here = places[event.kind];
        for (int i = 0; i < here.length; i += 2) {
            int v = here[i];
            View view = views[v];
            Steps steps = actor[v];
            if (steps == null || steps.expires(view.funnel.window()) <= horizon) {
                steps = actor[v] = new Steps();
            }
            if (steps.count < MAX_EVENTS) {
                fold(view, v, steps, event, here[i + 1]);
            }
        }
    }

    private void fold(View view, int v, Steps steps, Event event, int step) {
        long window = view.funnel.window();
        String value = step > 0 ? null : view.dimension < 0 ? "" : event.values[view.dimension];
        steps.insert(event.ts, step, value);
        if (step == 0) {
            String grain = view.funnel.bucket();
            steps.bucket(grains.start(grain, event.ts), grains.end(grain, event.ts));
        }
        for (Steps.Counted bucket : steps.counted) {
            if (event.ts < bucket.low || event.ts >= bucket.high + window) {
                continue;
            }
            long[] chain = steps.chain(bucket.low, bucket.high, window, view.funnel.steps().length);
            String under = steps.value(bucket.low);
            if (bucket.chain != null) {
                cell(v, bucket.low, bucket.value).take(bucket.chain);
            }
            cell(v, bucket.low, under).count(chain);
            bucket.chain = chain;
            bucket.value = under;
        }
    }

    private FunnelCell cell(int view, long low, String value) {
        FunnelCell.Key key = new FunnelCell.Key(view, low, value);
        FunnelCell cell = cells.get(key);
        if (cell == null) {
            cell = new FunnelCell(key, views[view].funnel.steps().length);
            cells.put(key, cell);
        }
        if (!cell.unpublished) {
            cell.unpublished = true;
            unpublished.add(cell);
        }
        if (tracks && !cell.unsaved) {
            cell.unsaved = true;
            unsaved.add(cell);
        }
        return cell;
    }

    /** When nothing of an actor can matter any more. */
    public long expires(Steps[] actor) {
        long last = 0;
        for (int v = 0; v < views.length; v++) {
            if (actor[v] != null) {
                last = Math.max(last, actor[v].expires(views[v].funnel.window()));
            }
        }
        return last;
    }

    /** The rows that changed since the last call, and the totals that they change. */
    public void rows(int partition, Rows to) {
        Map<FunnelCell.Key, FunnelCell> totals = new HashMap<>();
        for (FunnelCell cell : unpublished) {
            cell.unpublished = false;
            if (views[cell.key.view()].dimension >= 0) {
                row(partition, cell, to);
            }
            totals.put(new FunnelCell.Key(cell.key.view(), cell.key.low(), ""), null);
        }
        unpublished.clear();
        for (FunnelCell.Key key : totals.keySet()) {
            View view = views[key.view()];
            if (view.dimension >= 0 && view.dimension != view.funnel.breakdowns()[0]) {
                continue;
            }
            FunnelCell total = new FunnelCell(key, view.funnel.steps().length);
            for (FunnelCell cell : cells.values()) {
                if (cell.key.view() == key.view() && cell.key.low() == key.low()) {
                    total.add(cell);
                }
            }
            write(partition, total, "", to);
        }
    }

    private void row(int partition, FunnelCell cell, Rows to) {
        write(partition, cell, plan.dimensions[views[cell.key.view()].dimension], to);
    }

    private void write(int partition, FunnelCell cell, String breakdown, Rows to) {
        Plan.Funnel funnel = views[cell.key.view()].funnel;
        String value = breakdown.isEmpty() ? "" : cell.key.value();
        Json json = new Json().add("kind", "funnel").add("partition", partition).add("funnel", funnel.name())
                .add("start", cell.key.low()).add("end", grains.end(funnel.bucket(), cell.key.low()))
                .add("breakdown", breakdown).add("value", value)
                .add("users", cell.users()).add("sums", cell.sums()).add("bins", cell.bins());
        String key = "F|" + partition + "|" + funnel.name() + "|" + cell.key.low() + "|" + breakdown + "|" + value;
        to.put(key, json.done());
    }

    /** The counters that changed since the last call. */
    public void dump(Dump to) {
        for (FunnelCell cell : unsaved) {
            cell.unsaved = false;
            if (!cell.closed) {
                to.put(cell.key.text(), cell.bytes());
            }
        }
        unsaved.clear();
    }

    /** All counters. */
    public void dumpAll(Dump to) {
        cells.values().forEach(cell -> to.put(cell.key.text(), cell.bytes()));
    }

    /** Forgets counters that nothing can change any more. */
    public void close(long horizon, Dump to) {
        cells.values().removeIf(cell -> {
            Plan.Funnel funnel = views[cell.key.view()].funnel;
            boolean over = grains.end(funnel.bucket(), cell.key.low()) + funnel.window() < horizon && !cell.unpublished;
            if (over) {
                cell.closed = true;
                to.put(cell.key.text(), null);
            }
            return over;
        });
    }

    /** Puts back a counter. */
    public void load(String text, byte[] bytes) {
        FunnelCell.Key key = FunnelCell.Key.of(text);
        if (bytes == null) {
            cells.remove(key);
        } else {
            cells.put(key, FunnelCell.of(key, views[key.view()].funnel.steps().length, bytes));
        }
    }
}
