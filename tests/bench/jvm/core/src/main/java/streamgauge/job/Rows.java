package streamgauge.job;

/** Where rows go: current values, of which the last one of a key counts. */
@FunctionalInterface
public interface Rows {
    void put(String key, String json);
}
