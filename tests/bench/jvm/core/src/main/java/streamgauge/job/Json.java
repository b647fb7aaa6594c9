package streamgauge.job;

import com.fasterxml.jackson.core.io.JsonStringEncoder;
import java.util.Collection;

/** A flat JSON object, written field by field. */
final class Json {
    private final StringBuilder out = new StringBuilder(192).append('{');

    Json add(String name, String value) {
        name(name).append('"').append(JsonStringEncoder.getInstance().quoteAsString(value)).append('"');
        return this;
    }

    Json add(String name, long value) {
        name(name).append(value);
        return this;
    }

    Json add(String name, double value) {
        name(name).append(value);
        return this;
    }

    Json add(String name, Collection<?> numbers) {
        name(name).append(numbers);
        return this;
    }

    private StringBuilder name(String name) {
        if (out.length() > 1) {
            out.append(',');
        }
        return out.append('"').append(name).append("\":");
    }

    String done() {
        return out.append('}').toString();
    }
}
