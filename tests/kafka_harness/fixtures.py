"""Fixtures: one Kafka for the whole run, behind two proxies, whole again after every test.

A `conftest.py` takes them with `from kafka_harness.fixtures import kafka, kafka_server, new_topic`; several
may, and still share one server.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator

import pytest

from kafka_harness.proxy import TcpProxy
from kafka_harness.server import KafkaServer

_SHARED = pytest.StashKey[KafkaServer]()

NewTopic = Callable[..., str]


@pytest.fixture(scope="session")
def kafka_server(
    needs_kafka: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> KafkaServer:
    """The shared server. Tests want `kafka`, which heals it; only wider fixtures need this one."""
    config = request.config
    if _SHARED not in config.stash:
        proxies = [TcpProxy(), TcpProxy()]
        for proxy in proxies:
            config.add_cleanup(proxy.close)
        server = KafkaServer(tmp_path_factory.mktemp("kafka"), proxies=proxies)
        server.start()
        config.add_cleanup(server.kill)
        config.stash[_SHARED] = server
    return config.stash[_SHARED]


@pytest.fixture
def kafka(kafka_server: KafkaServer) -> Iterator[KafkaServer]:
    """The shared server, running, its two proxies passing everything on. After the test it is so again."""
    yield kafka_server
    for proxy in kafka_server.proxies:
        proxy.heal()
        proxy.cut()
    kafka_server.resume()
    if not kafka_server.running:
        kafka_server.start()


@pytest.fixture
def new_topic(kafka: KafkaServer, request: pytest.FixtureRequest) -> NewTopic:
    """`new_topic(partitions=1, **config)` creates a topic with a name of its own and returns the name.

    Underscores in names of settings stand for dots: `new_topic(4, message_timestamp_type="LogAppendTime")`.
    """

    def create(partitions: int = 1, **config: str) -> str:
        words = re.sub(r"[^A-Za-z0-9_-]", "-", request.node.name)[:60]
        name = f"{words}-{uuid.uuid4().hex[:8]}"
        settings = {key.replace("_", "."): value for key, value in config.items()}
        kafka.create_topics({name: partitions}, settings)
        return name

    return create
