package streamgauge.job;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.io.IOException;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The tracking plan, as the benchmark writes it down for the JVM (tests/bench/jvm/plan.py says each field). */
public final class Plan {
    /** What a property must be; of a text {@code high} is the largest number of characters. */
    public record Property(
            int index, String name, String type, boolean required, double low, double high, Set<String> allowed) {}

    /** An event and its properties; {@code required} is how many of them must be there. */
    public record Kind(String name, String value, boolean keeps, Map<String, Property> properties, int required) {}

    /** A funnel; {@code steps} are places in {@link Plan#events}, {@code breakdowns} in {@link Plan#dimensions}. */
    public record Funnel(String name, int[] steps, long window, String bucket, int[] breakdowns) {}

    private record PropertyFile(
            String type, boolean required, Double low, Double high, List<String> allowed) {}

    private record KindFile(String value, boolean keeps, Map<String, PropertyFile> properties) {}

    private record FunnelFile(String name, List<String> steps, long window, String bucket, List<String> breakdowns) {}

    private record PlanFile(
            String zone, long lateness, long dedupe, long maxFuture, int maxValues, String registration,
            List<String> dimensions, Map<String, KindFile> events, List<FunnelFile> funnels, Set<String> nobody) {}

    public final ZoneId zone;
    public final long lateness;
    public final long dedupe;
    public final long maxFuture;
    public final int maxValues;
    public final String[] dimensions;
    public final Kind[] events;
    public final Funnel[] funnels;
    public final Set<String> nobody;
    /** The place of the registration event in {@link #events}, -1 without one. */
    public final int registration;

    private final Map<String, Integer> kinds = new HashMap<>();

    /** Reads the file that the benchmark wrote. */
    public static Plan read(String path) throws IOException {
        return new Plan(new ObjectMapper().readValue(new File(path), new TypeReference<PlanFile>() {}));
    }

    private Plan(PlanFile file) {
        zone = ZoneId.of(file.zone);
        lateness = file.lateness;
        dedupe = file.dedupe;
        maxFuture = file.maxFuture;
        maxValues = file.maxValues;
        dimensions = file.dimensions.toArray(String[]::new);
        nobody = new HashSet<>(file.nobody);
        List<Kind> found = new ArrayList<>();
        file.events.forEach((name, kind) -> {
            kinds.put(name, found.size());
            found.add(kind(name, kind));
        });
        events = found.toArray(Kind[]::new);
        registration = file.registration == null ? -1 : kinds.get(file.registration);
        funnels = file.funnels.stream().map(this::funnel).toArray(Funnel[]::new);
    }

    /** The place of an event in {@link #events}, -1 if the plan has none of that name. */
    public int kindOf(String name) {
        return kinds.getOrDefault(name, -1);
    }

    private static Kind kind(String name, KindFile file) {
        Map<String, Property> properties = new HashMap<>();
        int required = 0;
        for (var entry : file.properties.entrySet()) {
            PropertyFile one = entry.getValue();
            // Those that must be there come first, so that a mask of them says whether all are.
            properties.put(entry.getKey(), new Property(one.required ? required++ : -1, entry.getKey(), one.type,
                    one.required, one.low == null ? Double.NEGATIVE_INFINITY : one.low,
                    one.high == null ? Double.POSITIVE_INFINITY : one.high,
                    one.allowed == null ? null : Set.copyOf(one.allowed)));
        }
        if (required > 31) {
            throw new IllegalArgumentException(name + " has more than 31 required properties");
        }
        return new Kind(name, file.value, file.keeps, properties, required);
    }

    private Funnel funnel(FunnelFile file) {
        int[] steps = file.steps.stream().mapToInt(kinds::get).toArray();
        if (new HashSet<>(file.steps).size() != steps.length) {
            throw new IllegalArgumentException(file.name + ": an event is two steps");
        }
        int[] breakdowns = file.breakdowns.stream().mapToInt(List.of(dimensions)::indexOf).toArray();
        return new Funnel(file.name, steps, file.window, file.bucket, breakdowns);
    }
}
