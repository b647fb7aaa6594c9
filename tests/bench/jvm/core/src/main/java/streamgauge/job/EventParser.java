package streamgauge.job;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.IOException;
import java.time.OffsetDateTime;
import java.time.format.DateTimeParseException;
import java.util.Locale;
import org.apache.datasketches.memory.XxHash;

/**
 * Bytes to a valid event of the plan, or a rejection: a pull parser, without a tree and without an object an event.
 *
 * <p>Strict as the worker is: types, ranges, enums, required properties, unknown events and fields, control characters,
 * ids that mean nobody, times.
 */
public final class EventParser {
    private static final int MAX_BYTES = 1_000_000;
    private static final long EARLIEST = 946_684_800_000L;
    private static final long LATEST = 7_258_118_400_000L;
    private static final int MAX_LABEL = 256;

    private final Plan plan;
    private final Event event;
    private final JsonFactory json =
            JsonFactory.builder().enable(StreamReadFeature.USE_FAST_DOUBLE_PARSER).build();
    private final int eventDimension;

    private String user;
    private String device;
    private long userHash;
    private long deviceHash;
    private boolean hasTime;
    private boolean hasProperties;

    /** Fills {@code event}, the same one each time. */
    public EventParser(Plan plan, Event event) {
        this.plan = plan;
        this.event = event;
        int at = -1;
        for (int d = 0; d < plan.dimensions.length; d++) {
            if (plan.dimensions[d].equals("event")) {
                at = d;
            }
        }
        eventDimension = at;
    }

    /** Parses a record's value, written at {@code written} (epoch ms). */
    public void parse(byte[] value, long written) throws Rejection {
        if (value == null || value.length == 0) {
            throw Rejection.EMPTY;
        }
        if (value.length > MAX_BYTES) {
            throw Rejection.TOO_LARGE;
        }
        event.kind = -1;
        event.id = event.session = event.micro = 0;
        user = device = null;
        hasTime = hasProperties = false;
        for (int d = 0; d < event.values.length; d++) {
            event.values[d] = "";
        }
        try (JsonParser p = json.createParser(value)) {
            if (p.nextToken() != JsonToken.START_OBJECT) {
                throw Rejection.NOT_AN_OBJECT;
            }
            String name;
            while ((name = p.nextFieldName()) != null) {
                field(p, name, value);
            }
            if (p.nextToken() != null) {
                throw Rejection.INVALID_JSON;
            }
        } catch (IOException bad) {
            throw Rejection.INVALID_JSON;
        }
        check(written);
    }

    private void check(long written) throws Rejection {
        if (event.kind < 0 || event.id == 0 || !hasTime) {
            throw Rejection.MISSING_FIELD;
        }
        if (!hasProperties && plan.events[event.kind].required() > 0) {
            throw Rejection.MISSING_FIELD;
        }
        boolean known = user != null && !user.isEmpty();
        if (!known && (device == null || device.isEmpty())) {
            throw Rejection.MISSING_ACTOR;
        }
        event.actor = known ? user : device;
        event.actorHash = known ? userHash : ~deviceHash;
        if (nobody(event.actor)) {
            throw Rejection.NOBODY;
        }
        if (known && user.startsWith("$device:")) {
            throw Rejection.BAD_VALUE;
        }
        if (event.ts < EARLIEST) {
            throw Rejection.TIME_TOO_OLD;
        }
        if (event.ts > LATEST || (written >= EARLIEST && event.ts > written + plan.maxFuture)) {
            throw Rejection.TIME_IN_FUTURE;
        }
    }

    private void field(JsonParser p, String name, byte[] value) throws IOException, Rejection {
        JsonToken token = p.nextToken();
        switch (name) {
            case "event_id" -> event.id = identifier(p, token);
            case "event" -> {
                identifier(p, token);
                event.kind = plan.kindOf(p.getText());
                if (event.kind < 0) {
                    throw Rejection.UNKNOWN_EVENT;
                }
                if (eventDimension >= 0) {
                    event.values[eventDimension] = plan.events[event.kind].name();
                }
            }
            case "ts" -> {
                event.ts = time(p, token);
                hasTime = true;
            }
            case "user_id" -> {
                if (label(p, token)) {
                    user = p.getText();
                    userHash = hash(p);
                }
            }
            case "anonymous_id" -> {
                if (label(p, token)) {
                    device = p.getText();
                    deviceHash = hash(p);
                }
            }
            case "session_id" -> {
                if (label(p, token) && p.getTextLength() > 0) {
                    event.session = hash(p);
                }
            }
            case "bot" -> {
                if (label(p, token) && p.getTextLength() > 0) {
                    throw Rejection.BOT;
                }
            }
            case "platform", "app_version", "channel", "campaign", "country", "device", "os", "language", "referrer",
                    "source", "browser", "region", "city" -> {
                if (label(p, token)) {
                    dimension(name, p);
                }
            }
            case "properties" -> {
                if (event.kind < 0) {
                    event.kind = kindIn(value);
                }
                properties(p, token, plan.events[event.kind]);
            }
            default -> throw Rejection.UNKNOWN_FIELD;
        }
    }

    private void dimension(String name, JsonParser p) throws IOException {
        for (int d = 0; d < plan.dimensions.length; d++) {
            if (plan.dimensions[d].equals(name)) {
                event.values[d] = p.getText();
            }
        }
    }

    /** The event's place where its properties stand before its name. */
    private int kindIn(byte[] value) throws IOException, Rejection {
        try (JsonParser p = json.createParser(value)) {
            p.nextToken();
            String name;
            while ((name = p.nextFieldName()) != null) {
                JsonToken token = p.nextToken();
                if (name.equals("event")) {
                    identifier(p, token);
                    int kind = plan.kindOf(p.getText());
                    if (kind < 0) {
                        throw Rejection.UNKNOWN_EVENT;
                    }
                    return kind;
                }
                p.skipChildren();
            }
        }
        throw Rejection.MISSING_FIELD;
    }

    private void properties(JsonParser p, JsonToken token, Plan.Kind kind) throws IOException, Rejection {
        if (token == JsonToken.VALUE_NULL) {
            return;
        }
        if (token != JsonToken.START_OBJECT) {
            throw Rejection.WRONG_TYPE;
        }
        hasProperties = true;
        int present = 0;
        String name;
        while ((name = p.nextFieldName()) != null) {
            JsonToken found = p.nextToken();
            Plan.Property rule = kind.properties().get(name);
            if (rule == null) {
                if (!kind.keeps()) {
                    throw Rejection.UNKNOWN_FIELD;
                }
                Rules.skip(p, found);
                continue;
            }
            if (found == JsonToken.VALUE_NULL) {
                if (rule.required()) {
                    throw Rejection.WRONG_TYPE;
                }
                continue;
            }
            Rules.check(p, found, rule);
            if (rule.required()) {
                present |= 1 << rule.index();
            }
            if (name.equals(kind.value())) {
                event.micro = (long) Math.rint(p.getDoubleValue() * 1_000_000);
            }
        }
        if (Integer.bitCount(present) < kind.required()) {
            throw Rejection.MISSING_FIELD;
        }
    }

    /** Checks a text that must be there; its hash, which is never 0. */
    private static long identifier(JsonParser p, JsonToken token) throws IOException, Rejection {
        if (token != JsonToken.VALUE_STRING) {
            throw Rejection.WRONG_TYPE;
        }
        if (p.getTextLength() == 0) {
            throw Rejection.BAD_VALUE;
        }
        characters(p, token);
        return hash(p);
    }

    /** Checks a text that may be missing; whether it is there. */
    private static boolean label(JsonParser p, JsonToken token) throws IOException, Rejection {
        if (token == JsonToken.VALUE_NULL) {
            return false;
        }
        characters(p, token);
        return true;
    }

    private static void characters(JsonParser p, JsonToken token) throws IOException, Rejection {
        if (token != JsonToken.VALUE_STRING) {
            throw Rejection.WRONG_TYPE;
        }
        char[] text = p.getTextCharacters();
        int from = p.getTextOffset();
        int length = p.getTextLength();
        for (int i = from; i < from + length; i++) {
            if (text[i] < 0x20 || text[i] == 0x7f) {
                throw Rejection.BAD_VALUE;
            }
        }
        if (length > MAX_LABEL && Rules.characters(p) > MAX_LABEL) {
            throw Rejection.BAD_VALUE;
        }
    }

    private static long hash(JsonParser p) throws IOException {
        long found = XxHash.hashCharArr(p.getTextCharacters(), p.getTextOffset(), p.getTextLength(), 0);
        return found == 0 ? 1 : found;
    }

    private static long time(JsonParser p, JsonToken token) throws IOException, Rejection {
        if (token == JsonToken.VALUE_NUMBER_INT) {
            return p.getNumberType() == JsonParser.NumberType.BIG_INTEGER ? Long.MAX_VALUE : p.getLongValue();
        }
        if (token != JsonToken.VALUE_STRING) {
            throw Rejection.WRONG_TYPE;
        }
        try {
            return OffsetDateTime.parse(p.getText()).toInstant().toEpochMilli();
        } catch (DateTimeParseException bad) {
            throw Rejection.WRONG_TYPE;
        }
    }

    /** As schemas/nobody.py has it. */
    private boolean nobody(String id) {
        String text = id.strip().toLowerCase(Locale.ROOT);
        if (text.isEmpty() || plan.nobody.contains(text)) {
            return true;
        }
        for (int i = 0; i < text.length(); i++) {
            if ("0-:.".indexOf(text.charAt(i)) < 0) {
                return false;
            }
        }
        return true;
    }
}
