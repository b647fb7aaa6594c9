"""A population of simulated users, for the demo, the tests and load: the same seed gives the same bytes.

`Population` makes clean events, `soil` adds dirt of which it says what must become of it, and `expected` is a
second, slow opinion about a whole log. A new kind of behaviour is a generator function in a file of its own,
like `shop.py`, handed to `Population(journeys=...)`.
"""

from __future__ import annotations

from pipeline.simulate.behaviour import Behaviour, Change, Habits
from pipeline.simulate.dirt import Dirt, soil
from pipeline.simulate.population import Population, Rhythm
from pipeline.simulate.recount import Logged, delivered, expected
from pipeline.simulate.sent import Sent

__all__ = [
    "Behaviour",
    "Change",
    "Dirt",
    "Habits",
    "Logged",
    "Population",
    "Rhythm",
    "Sent",
    "delivered",
    "expected",
    "soil",
]
