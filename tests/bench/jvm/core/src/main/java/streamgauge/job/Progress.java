package streamgauge.job;

import java.lang.management.ManagementFactory;
import java.util.Map;

/** Tells the benchmark on standard output how far a process is, and the CPU time that it took: a JSON object a line. */
public final class Progress {
    private static final int LINES = 60;

    private final long expected;
    private final long every;
    private long count;
    private long next = 1;

    /** {@code expected} records are handled in all. */
    public Progress(long expected) {
        this.expected = expected;
        every = Math.max(1, expected / LINES);
    }

    /** Notes that one more record was handled; whether it was the last. */
    public boolean handled() {
        if (++count == next) {
            print("records", count);
            next = count == 1 ? every : count + every;
        }
        return count >= expected;
    }

    /** Whether all records were handled. */
    public boolean complete() {
        return count >= expected;
    }

    /** Says that what was handled is saved, too. */
    public void saved() {
        print("saved", count);
    }

    private static synchronized void print(String word, long count) {
        long cpu = ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
                .getProcessCpuTime();
        System.out.println(new Json().add(word, count).add("at", System.nanoTime() / 1e9).add("cpu", cpu / 1e9).done());
        System.out.flush();
    }

    /** The arguments of a program, `--name value`. */
    public static Map<String, String> arguments(String[] args) {
        Map<String, String> found = new java.util.HashMap<>();
        for (int i = 0; i + 1 < args.length; i += 2) {
            found.put(args[i].substring(2), args[i + 1]);
        }
        return found;
    }
}
