package streamgauge.job;

import java.io.IOException;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** A record as Kafka gave it: what an operator that is chained to the source gets. */
public final class Raw {
    public int partition;
    /** When it was written, epoch ms. */
    public long written;
    /** May be null, as a record's value may be. */
    public byte[] value;

    /** Records as they are; they are parsed where they are counted. */
    static final class Schema implements KafkaRecordDeserializationSchema<Raw> {
        private static final long serialVersionUID = 1;

        @Override
        public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Raw> out) throws IOException {
            Raw raw = new Raw();
            raw.partition = record.partition();
            raw.written = record.timestamp();
            raw.value = record.value();
            out.collect(raw);
        }

        @Override
        public TypeInformation<Raw> getProducedType() {
            return TypeInformation.of(Raw.class);
        }
    }
}
