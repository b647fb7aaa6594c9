package streamgauge.job;

import java.io.IOException;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.runtime.state.VoidNamespaceSerializer;
import org.apache.flink.streaming.api.operators.InternalTimer;
import org.apache.flink.streaming.api.operators.InternalTimerService;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.operators.Triggerable;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/**
 * The job behind a keyBy of the actor: ids and steps are keyed state, copied by Flink while a checkpoint is written;
 * windows and funnels' counters are operator state, as partial results of this operator.
 */
final class KeyedOperator extends RowsOperator
        implements OneInputStreamOperator<Event, Tuple2<String, String>>, Triggerable<String, VoidNamespace> {
    private static final long serialVersionUID = 1;
    private static final long CLEAN_EVERY = 3_600_000;

    /** What is counted of a partition of the topic. */
    private static final class Counts {
        final Windows windows;
        final Funnels funnels;
        final PartitionState.Totals totals;
        long watermark;

        Counts(Plan plan, int partition) {
            windows = new Windows(plan, false);
            funnels = new Funnels(plan, false);
            totals = new PartitionState.Totals(partition);
        }
    }

    private final String planFile;
    private transient Plan plan;
    private transient Map<Integer, Counts> counts;
    private transient long span;
    private transient ValueState<Actor> actors;
    private transient InternalTimerService<VoidNamespace> timers;

    KeyedOperator(String planFile, int rowsEvery) {
        super(rowsEvery);
        this.planFile = planFile;
    }

    @Override
    public void open() throws Exception {
        super.open();
        actors = getRuntimeContext().getState(new ValueStateDescriptor<>("actors", Actor.Serializer.INSTANCE));
        timers = getInternalTimerService("clean", VoidNamespaceSerializer.INSTANCE, this);
    }

    private Counts counts(int partition) {
        if (counts == null) {
            counts = new TreeMap<>();
            try {
                plan = Plan.read(planFile);
            } catch (IOException problem) {
                throw new java.io.UncheckedIOException(problem);
            }
            span = Math.max(1, plan.dedupe / 2);
        }
        return counts.computeIfAbsent(partition, p -> new Counts(plan, p));
    }

    @Override
    public void processElement(StreamRecord<Event> element) throws Exception {
        Event event = element.getValue();
        Counts here = counts(event.partition);
        if (event.kind < 0) {
            here.totals.rejected++;
        } else {
            count(event, here);
        }
        FlinkJob.progress().handled();
    }

    private void count(Event event, Counts here) throws IOException {
        here.watermark = Math.max(event.watermark, event.ts);
        Actor actor = actors.value();
        if (actor == null) {
            actor = new Actor();
            actor.partition = event.partition;
            timers.registerProcessingTimeTimer(VoidNamespace.INSTANCE, timers.currentProcessingTime() + CLEAN_EVERY);
        }
        if (!actor.add(event.id, event.watermark / span, here.watermark / span)) {
            here.totals.duplicate++;
            return;
        }
        if (event.ts < event.watermark - plan.lateness) {
            here.totals.late++;
        } else {
            here.totals.accepted++;
            here.windows.count(event);
            if (here.funnels.concerns(event.kind)) {
                if (actor.steps.length == 0) {
                    actor.steps = here.funnels.nobody();
                }
                here.funnels.fold(actor.steps, event, event.watermark - plan.lateness);
            }
        }
        actors.update(actor);
    }

    @Override
    public void onProcessingTime(InternalTimer<String, VoidNamespace> timer) throws IOException {
        Actor actor = actors.value();
        if (actor == null) {
            return;
        }
        Counts here = counts(actor.partition);
        boolean steps = actor.steps.length > 0
                && here.funnels.expires(actor.steps) > here.watermark - plan.lateness;
        if (steps || actor.remembers(here.watermark / span)) {
            timers.registerProcessingTimeTimer(VoidNamespace.INSTANCE, timers.currentProcessingTime() + CLEAN_EVERY);
        } else {
            actors.clear();
        }
    }

    @Override
    public void onEventTime(InternalTimer<String, VoidNamespace> timer) {
        throw new IllegalStateException("no timer of event time is set");
    }

    @Override
    void rows(Rows to) {
        if (counts != null) {
            counts.forEach((partition, here) -> {
                here.windows.rows(partition, to);
                here.funnels.rows(partition, to);
                here.totals.row(here.watermark, to);
                close(here);
            });
        }
    }

    /** Forgets what is over, once it is in the rows. */
    private void close(Counts here) {
        here.windows.close(here.watermark - plan.lateness, (key, gone) -> {});
        here.funnels.close(here.watermark - plan.lateness, (key, gone) -> {});
    }

    @Override
    Iterable<Integer> partitions() {
        return counts == null ? java.util.List.of() : counts.keySet();
    }

    @Override
    void dumpAll(int partition, Dump to) {
        Counts here = counts.get(partition);
        here.windows.dumpAll(to);
        here.funnels.dumpAll(to);
        to.put("M", here.totals.bytes(here.watermark));
    }

    @Override
    void load(int partition, String key, byte[] value) {
        Counts here = counts(partition);
        switch (key.charAt(0)) {
            case 'W' -> here.windows.load(key, value);
            case 'C' -> here.funnels.load(key, value);
            default -> here.watermark = here.totals.load(value);
        }
    }

    @Override
    void loaded(int partition) {
        counts(partition).windows.loaded();
    }
}
