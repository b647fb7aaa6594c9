"""Partitions: the same as Kafka's default partitioner, or users would be counted in two places."""

from __future__ import annotations

import numpy as np
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.partitioner import murmur2 as reference
from cost import cpu_seconds
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ingest.partitioner import murmur2, partitions_of


@given(st.lists(st.binary(max_size=40), max_size=30))
def test_the_hash_is_kafkas(keys: list[bytes]) -> None:
    assert murmur2(keys).tolist() == [reference(key) & 0xFFFFFFFF for key in keys]


@given(st.lists(st.text(min_size=1, max_size=20), max_size=20), st.integers(1, 64))
def test_the_partition_is_the_default_partitioners(actors: list[str], count: int) -> None:
    keys = [actor.encode() for actor in actors]
    choose, everywhere = DefaultPartitioner(), list(range(count))
    assert partitions_of(keys, count).tolist() == [choose(key, everywhere, everywhere) for key in keys]


def test_known_hashes_of_the_java_client() -> None:
    # From the tests of org.apache.kafka.common.utils.Utils.murmur2.
    known = {
        b"21": -973932308,
        b"foobar": -790332482,
        b"a-little-bit-long-string": -985981536,
        b"a-little-bit-longer-string": -1486304829,
        b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    }
    assert murmur2(list(known)).astype(np.int32).tolist() == list(known.values())


def test_keys_of_all_lengths_in_one_batch() -> None:
    keys = [bytes(range(256)) * 4 + b"tail"[: n % 5] for n in range(5)] + [b"k" * n for n in range(1_100)]
    assert murmur2(keys).tolist() == [reference(key) & 0xFFFFFFFF for key in keys]


def test_keys_of_many_lengths_cost_little_more_than_their_bytes() -> None:
    """A stranger chooses the lengths: one pass for each would cost a hundred times as much."""

    many, one = [b"k" * (1 + n % 1024) for n in range(2_048)], [b"k" * 1024] * 2_048
    least_many = min(cpu_seconds(lambda: murmur2(many)) for _ in range(3))
    assert least_many < 5 * min(cpu_seconds(lambda: murmur2(one)) for _ in range(3))
