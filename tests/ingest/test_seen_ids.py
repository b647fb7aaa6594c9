"""The memory of ids: a growing set of hashes, and generations that forget by stream time."""

from __future__ import annotations

import numpy as np
import pytest
from cost import cpu_seconds
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pipeline.ingest.seen import U64, HashTable, SeenIds

#: Small numbers, neighbours and numbers that share their upper half (and so their home slot).
hashes = st.one_of(st.integers(1, 50), st.integers(1, 2**64 - 1), st.integers(0, 30).map(lambda i: (7 << 32) + i))
batches = st.lists(hashes, max_size=300, unique=True).map(lambda values: np.array(values, np.uint64))


class TableIsASet(RuleBasedStateMachine):
    """A HashTable does what a Python set does."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.model = HashTable(), set[int]()

    @rule(batch=batches)
    def add(self, batch: np.ndarray) -> None:
        new = batch[~self.table.contains(batch)]
        self.table.add(new)
        self.model.update(batch.tolist())

    @rule(batch=batches)
    def ask(self, batch: np.ndarray) -> None:
        assert self.table.contains(batch).tolist() == [h in self.model for h in batch.tolist()]

    @invariant()
    def holds_the_same(self) -> None:
        assert self.table.used == len(self.model)
        assert set(self.table.values().tolist()) == self.model


TestTableIsASet = TableIsASet.TestCase
TestTableIsASet.settings = settings(
    max_examples=settings.default.max_examples // 4, stateful_step_count=15, deadline=None
)


def test_a_table_grows_and_keeps_every_hash() -> None:
    rng = np.random.default_rng(5)
    values = np.unique(rng.integers(1, 2**64 - 1, 100_000, np.uint64))
    table = HashTable()
    for part in np.array_split(rng.permutation(values), 37):
        table.add(part)
    assert table.contains(values).all()
    others = np.setdiff1d(rng.integers(1, 2**64 - 1, 100_000, np.uint64), values)
    assert not table.contains(others).any()
    assert 11 < table.slots.nbytes / table.used < 17


def test_hashes_that_share_a_slot_are_kept_apart() -> None:
    same = np.array([(9 << 32) + i for i in range(1, 2_000)], np.uint64)
    last_slot = np.array([2**64 - i for i in range(1, 2_000)], np.uint64)  # runs over the end of the table
    table = HashTable()
    table.add(same)
    table.add(last_slot)
    assert table.contains(np.concatenate([same, last_slot])).all()
    assert not table.contains(same + np.uint64(5_000)).any()


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(1, 30), max_size=10, unique=True)), max_size=30))
def test_ids_are_known_in_their_generation_and_the_next_two_that_have_ids(steps: list[tuple[int, list[int]]]) -> None:
    seen, model = SeenIds(1_000), dict[int, int]()
    generation, with_ids = 0, list[int]()
    for ahead, batch in steps:
        if ahead:
            generation += ahead
            seen.move_to(generation)
            with_ids = with_ids[-2:]
            model = {h: g for h, g in model.items() if g in with_ids}
        array = np.array(batch, np.uint64)
        assert seen.contains(array).tolist() == [h in model for h in batch]
        new = [h for h in batch if h not in model]
        seen.add(np.array(new, np.uint64))
        model.update(dict.fromkeys(new, generation))
        if new and generation not in with_ids:
            with_ids.append(generation)
    assert len(seen) == len(model)


def test_generations_are_half_a_horizon_and_never_move_back() -> None:
    seen = SeenIds(60_000)
    assert [seen.generation_of(t) for t in (0, 29_999, 30_000, 60_000)] == [0, 0, 1, 2]
    seen.move_to(5)
    seen.move_to(3)
    assert seen.generation == 5


def test_a_dump_holds_every_id_in_pieces() -> None:
    seen = SeenIds(1_000)
    for generation in (3, 4, 5):
        seen.move_to(generation)
        seen.add(np.arange(1, 251, dtype=np.uint64) + np.uint64(1_000 * generation))
    pieces = list(seen.dump(chunk=100))
    assert [(g, len(h)) for g, h in pieces] == [(g, n) for g in (3, 4, 5) for n in (100, 100, 50)]
    restored = SeenIds(1_000)
    restored.move_to(5)
    for generation, part in pieces:
        restored.add(part, generation)
    everything = np.concatenate([h for _, h in pieces])
    assert restored.contains(everything).all()
    restored.move_to(6)
    assert restored.contains(everything).sum() == 500


def test_memory_is_given_back() -> None:
    seen = SeenIds(1_000)
    seen.add(np.random.default_rng(1).integers(1, 2**63, 100_000, np.uint64))
    assert seen.nbytes() > 800_000
    for generation in (1, 2, 3):
        seen.move_to(generation)
        seen.add(np.array([generation], np.uint64))
    assert seen.nbytes() < 100_000


def _milliseconds(hashes: U64) -> float:
    """To remember so many ids in batches and to ask for each again."""
    seen = SeenIds(1_000)

    def remember() -> None:
        for part in np.array_split(hashes, 20):
            assert not seen.contains(part).any()
            seen.add(part)
            assert seen.contains(part).all()

    return cpu_seconds(remember) * 1000


@pytest.mark.parametrize("step", [1, 1 << 8, 1 << 32, 1 << 40, 0x9E3779B97F4A7C15])
def test_ids_whose_hashes_were_chosen_cost_no_more_than_others(step: int) -> None:
    """A hash without a secret can be chosen: all in a row, all in one slot."""
    count = 20_000
    chosen = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(step) + np.uint64(7)
    assert len(np.unique(chosen)) == count
    usual = np.random.default_rng(3).integers(1, 2**64 - 1, count, np.uint64)
    assert min(_milliseconds(chosen) for _ in range(3)) < 5 * min(_milliseconds(usual) for _ in range(3)) + 20


def test_the_secret_stays_inside() -> None:
    """What is saved are the hashes themselves: another process has another secret."""
    seen = SeenIds(1_000)
    hashes = np.array([1, 2, 3, 2**32, 2**64 - 1], np.uint64)
    seen.add(hashes)
    assert sorted(h for _, part in seen.dump() for h in part.tolist()) == [1, 2, 3, 2**32, 2**64 - 1]
    assert not set(hashes.tolist()) & set(seen.tables[0].slots.tolist())
