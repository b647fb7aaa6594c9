"""What a fold sends: rejected records to their topic, others to where they count, letters to other partitions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.ingest.links import person_header
from pipeline.ingest.records import ORIGIN_HEADER, Classified
from pipeline.settings import Settings
from pipeline.state.persons import Letter
from pipeline.worker.delivery import Headers, Outgoing
from schemas.event import plain_id


def records_of(partition: int, result: Classified, letters: Sequence[Letter], settings: Settings) -> Iterator[Outgoing]:
    """The records that follow from a batch of a partition, and its letters."""
    topic = settings.events_topic
    for to, key, value, headers in letters:
        yield Outgoing(topic, to, key, value, headers)
    for i, why in result.rejections.items():
        record = result.records[i]
        about: Headers = (
            ("reason", why.reason.encode()),
            ("detail", why.detail.encode("utf-8", "backslashreplace")),
            (ORIGIN_HEADER, f"{partition}:{record.offset}".encode()),
        )
        # aiokafka sends no record that has neither key nor value.
        whole = b"" if record.key is None and record.value is None else record.value
        yield Outgoing(settings.rejected_topic, None, record.key, whole, about, cut=True)
    for i, home in result.forwarded.items():
        record, event = result.records[i], result.events[i]
        assert event is not None
        # Nothing but the value, its origin and its person: never larger than the limit of a value and a bit.
        told: Headers = ((ORIGIN_HEADER, f"{partition}:{record.offset}".encode()),)
        if i in result.hops:
            told = (*told, person_header(event.actor, result.hops[i]))
        yield Outgoing(topic, home, plain_id(event.actor).encode(), record.value, told)
