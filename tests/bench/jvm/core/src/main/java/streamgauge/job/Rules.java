package streamgauge.job;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.math.BigInteger;

/** What a property must be. */
final class Rules {
    private static final BigInteger MIN_LONG = BigInteger.valueOf(Long.MIN_VALUE);
    private static final BigInteger MAX_LONG = BigInteger.valueOf(Long.MAX_VALUE);

    private Rules() {}

    static void check(JsonParser p, JsonToken token, Plan.Property rule) throws IOException, Rejection {
        switch (rule.type()) {
            case "string" -> {
                if (token != JsonToken.VALUE_STRING) {
                    throw Rejection.WRONG_TYPE;
                }
                if (rule.allowed() != null) {
                    if (!rule.allowed().contains(p.getText())) {
                        throw Rejection.BAD_VALUE;
                    }
                } else if (p.getTextLength() > rule.high() && characters(p) > rule.high()) {
                    throw Rejection.BAD_VALUE;
                }
            }
            case "integer" -> {
                if (token != JsonToken.VALUE_NUMBER_INT) {
                    throw Rejection.WRONG_TYPE;
                }
                BigInteger big = p.getNumberType() == JsonParser.NumberType.BIG_INTEGER ? p.getBigIntegerValue() : null;
                if (big != null && (big.compareTo(MIN_LONG) < 0 || big.compareTo(MAX_LONG) > 0)) {
                    throw Rejection.BAD_VALUE;
                }
                range(p.getLongValue(), rule);
            }
            case "number" -> {
                if (!token.isNumeric()) {
                    throw Rejection.WRONG_TYPE;
                }
                double number = p.getDoubleValue();
                if (!Double.isFinite(number)) {
                    throw Rejection.NOT_FINITE;
                }
                range(number, rule);
            }
            case "boolean" -> {
                if (!token.isBoolean()) {
                    throw Rejection.WRONG_TYPE;
                }
            }
            default -> throw new IllegalArgumentException("this benchmark knows no property of type " + rule.type());
        }
    }

    private static void range(double number, Plan.Property rule) throws Rejection {
        if (number < rule.low() || number > rule.high()) {
            throw Rejection.BAD_VALUE;
        }
    }

    /** A property that the plan doesn't name may be anything but a number that is none. */
    static void skip(JsonParser p, JsonToken token) throws IOException, Rejection {
        int depth = 0;
        JsonToken at = token;
        while (true) {
            if (at.isStructStart()) {
                depth++;
            } else if (at.isStructEnd()) {
                depth--;
            } else if (at == JsonToken.VALUE_NUMBER_FLOAT && !Double.isFinite(p.getDoubleValue())) {
                throw Rejection.NOT_FINITE;
            }
            if (depth == 0) {
                return;
            }
            at = p.nextToken();
            if (at == null) {
                throw Rejection.INVALID_JSON;
            }
        }
    }

    /** Characters of a text, as the plan counts them. */
    static int characters(JsonParser p) throws IOException {
        return Character.codePointCount(p.getTextCharacters(), p.getTextOffset(), p.getTextLength());
    }
}
