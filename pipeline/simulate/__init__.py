"""A population of simulated users, for the demo, the tests and load: the same seed gives the same bytes.

`Population` makes clean events, `add_noise` adds noise of which it says what must become of it, and `expected` is a
second, slow opinion about a whole log. `History` makes events of the past, `Fault` is what goes wrong. A new kind
of behaviour is a generator function in a file of its own, like `shop.py`, handed to `Population(journeys=...)`.
"""

from __future__ import annotations

from pipeline.ingest.sent import Sent
from pipeline.simulate.behaviour import Behaviour, Change, Habits
from pipeline.simulate.fault import Fault, parse_fault
from pipeline.simulate.history import History
from pipeline.simulate.noise import Noise, add_noise
from pipeline.simulate.population import Population, Rhythm
from pipeline.simulate.products import CONTENT, SHOP, Product, product_of
from pipeline.simulate.recount import Logged, delivered, expected

__all__ = [
    "CONTENT",
    "SHOP",
    "Behaviour",
    "Change",
    "Fault",
    "Habits",
    "History",
    "Logged",
    "Noise",
    "Population",
    "Product",
    "Rhythm",
    "Sent",
    "add_noise",
    "delivered",
    "expected",
    "parse_fault",
    "product_of",
]
