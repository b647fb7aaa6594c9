"""What the simulator hands over to be sent."""

from __future__ import annotations

from typing import Literal, NamedTuple

Truth = Literal["accepted", "late", "duplicate", "rejected"]


class Sent(NamedTuple):
    """A record to send, and what must become of it if its partition keeps the order of sending.

    `at` is when it is sent (epoch ms): the time of the Kafka record. A `partition` of None leaves the choice
    to the producer's partitioner. A record that was sent to the wrong partition is sent on by the worker
    first; `truth` tells what happens to it at home.
    """

    at: int
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    truth: Truth = "accepted"
    #: The kind of noise, "" for a clean event: `Counter(s.why for s in ...)` counts each.
    why: str = ""
    #: Headers of the record: of what is no event.
    headers: tuple[tuple[str, bytes], ...] = ()
