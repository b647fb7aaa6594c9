package streamgauge.job;

/** A valid event, as far as the job needs it. One object is filled again and again. */
public final class Event {
    /** Where its record stands. */
    public int partition;
    /** The event's place in {@link Plan#events}. */
    public int kind;
    /** The user_id, else the anonymous_id. */
    public String actor;
    public long actorHash;
    /** The event_id, hashed; never 0. */
    public long id;
    /** Epoch ms. */
    public long ts;
    /** The session_id, hashed; 0 without one. */
    public long session;
    /** The event's value in 10^-6 units. */
    public long micro;
    /** The values of the plan's dimensions; "" where a field is missing. */
    public final String[] values;
    /** The partition's largest event time before this event, where whoever judges it can't know that. */
    public long watermark;

    public Event(int dimensions) {
        values = new String[dimensions];
    }
}
