package streamgauge.job;

/** Where entries of a state go: a changelog, a checkpoint. A value of null means that the entry is gone. */
@FunctionalInterface
public interface Dump {
    void put(String key, byte[] value);
}
