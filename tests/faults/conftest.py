from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from chaos.ground import Ground
from chaos.world import World

WAYS = 4
NewWorld = Callable[..., Any]
_WORLDS = pytest.StashKey[list[World]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With a failure stands what each role said last: it can't be had from the machine that has seen it."""
    report = yield
    if report.failed:
        for world in item.stash.get(_WORLDS, []):
            report.sections += [(f"the log of {role.name}", role.last_words(40)) for role in world.roles.values()]
    return report


@pytest.fixture(autouse=True)
def quiet_clients() -> Iterator[None]:
    """The tests' own clients complain thousands of times about the faults that are the point."""
    logger = logging.getLogger("aiokafka")
    before, logger.level = logger.level, logging.CRITICAL
    yield
    logger.level = before


# Not until the end of all tests: idle servers work a little, too.
@pytest.fixture(scope="package")
def shared_ground(
    needs_kafka: None, needs_embedded: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ground]:
    """Kafka and ClickHouse for all failures."""
    ground = Ground(tmp_path_factory.mktemp("ground"), WAYS)
    ground.start()
    yield ground
    ground.close()


@pytest.fixture
def ground(shared_ground: Ground) -> Iterator[Ground]:
    """The shared ground; whole again after the test."""
    yield shared_ground
    shared_ground.heal()


@pytest.fixture
async def new_world(ground: Ground, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[NewWorld]:
    """`await new_world(workers=1, archivers=1, **settings)`: topics, a database and roles (not started)."""
    worlds: list[World] = []
    request.node.stash[_WORLDS] = worlds

    async def make(**changes: Any) -> World:
        world = World(ground, tmp_path / f"world{len(worlds)}", **changes)
        worlds.append(world)
        await world.__aenter__()
        return world

    yield make
    for world in worlds:
        await world.__aexit__(None, None, None)
