package streamgauge.job;

/** Why a record is no event of the plan. One object a reason, without a stack: rejecting is no exceptional thing. */
public final class Rejection extends Exception {
    public static final Rejection EMPTY = new Rejection("empty");
    public static final Rejection TOO_LARGE = new Rejection("too_large");
    public static final Rejection INVALID_JSON = new Rejection("invalid_json");
    public static final Rejection NOT_AN_OBJECT = new Rejection("not_an_object");
    public static final Rejection UNKNOWN_EVENT = new Rejection("unknown_event");
    public static final Rejection UNKNOWN_FIELD = new Rejection("unknown_field");
    public static final Rejection MISSING_FIELD = new Rejection("missing_field");
    public static final Rejection MISSING_ACTOR = new Rejection("missing_actor");
    public static final Rejection NOBODY = new Rejection("nobody_id");
    public static final Rejection BOT = new Rejection("bot");
    public static final Rejection WRONG_TYPE = new Rejection("wrong_type");
    public static final Rejection BAD_VALUE = new Rejection("bad_value");
    public static final Rejection NOT_FINITE = new Rejection("not_finite");
    public static final Rejection TIME_TOO_OLD = new Rejection("time_too_old");
    public static final Rejection TIME_IN_FUTURE = new Rejection("time_in_future");

    private Rejection(String reason) {
        super(reason, null, false, false);
    }
}
