package streamgauge.job;

import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneId;

/** Tumbling windows of event time: minute, hour, and day in the plan's zone and in UTC. */
final class Grains {
    static final String[] WIDE = {"hour", "day", "day_utc"};
    static final long MINUTE = 60_000;
    private static final long HOUR = 60 * MINUTE;
    private static final long DAY = 24 * HOUR;

    private final ZoneId zone;
    private long low;
    private long high;

    Grains(ZoneId zone) {
        this.zone = zone;
    }

    /** The start of the window around a time, epoch ms. */
    long start(String grain, long ts) {
        return switch (grain) {
            case "minute" -> ts - ts % MINUTE;
            case "hour" -> ts - ts % HOUR;
            case "day_utc" -> ts - ts % DAY;
            default -> {
                day(ts);
                yield low;
            }
        };
    }

    /** Its end. */
    long end(String grain, long ts) {
        return switch (grain) {
            case "minute" -> ts - ts % MINUTE + MINUTE;
            case "hour" -> ts - ts % HOUR + HOUR;
            case "day_utc" -> ts - ts % DAY + DAY;
            default -> {
                day(ts);
                yield high;
            }
        };
    }

    private void day(long ts) {
        if (ts < low || ts >= high) {
            LocalDate day = Instant.ofEpochMilli(ts).atZone(zone).toLocalDate();
            low = day.atStartOfDay(zone).toInstant().toEpochMilli();
            high = day.plusDays(1).atStartOfDay(zone).toInstant().toEpochMilli();
        }
    }
}
