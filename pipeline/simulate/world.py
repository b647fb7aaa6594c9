"""What the simulated world is made of: devices, countries, channels, goods. All invented."""

from __future__ import annotations

import json
from bisect import bisect
from collections.abc import Mapping
from itertools import accumulate
from math import log
from random import Random
from typing import Final, NamedTuple


class Choice:
    """A weighted choice."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.values = list(weights)
        self._sums = list(accumulate(weights.values()))

    def pick(self, rng: Random) -> str:
        """One of the values."""
        return self.values[bisect(self._sums, rng.random() * self._sums[-1], 0, len(self.values) - 1)]


PLATFORMS: Final = Choice({"android": 42, "ios": 33, "web": 25})
VERSIONS: Final = {
    "android": Choice({"4.2.0": 50, "4.1.3": 30, "4.0.1": 12, "3.9.8": 8}),
    "ios": Choice({"4.2.0": 64, "4.1.3": 24, "4.0.1": 12}),
    "web": Choice({"2026.9": 1}),
}
#: Country and the language that most of its visitors use.
COUNTRIES: Final = Choice({"CN": 34, "US": 18, "DE": 12, "GB": 9, "FR": 8, "JP": 8, "BR": 6, "IN": 5})
LANGUAGES: Final = {"CN": "zh", "DE": "de", "FR": "fr", "JP": "ja", "BR": "pt"}
CHANNELS: Final = Choice({"organic": 34, "search": 24, "social": 16, "email": 10, "ads": 16})
#: Only paid and sent channels have campaigns.
CAMPAIGNS: Final = {
    "search": Choice({"brand": 40, "shoes-exact": 35, "generic": 25}),
    "social": Choice({"autumn-video": 60, "creators": 40}),
    "email": Choice({"weekly": 70, "come-back": 30}),
    "ads": Choice({"autumn-sale": 55, "retargeting": 45}),
}
QUERIES: Final = (
    "red shoes",
    "rain jacket",
    "wool socks",
    "tent",
    "head torch",
    "跑步鞋",
    "Mütze",
    "sac à dos",
)
SIGN_UPS: Final = Choice({"email": 45, "phone": 25, "wechat": 18, "google": 12})
PAYMENTS: Final = Choice({"wallet": 48, "card": 44, "cod": 8})
TARGETS: Final = Choice({"chat": 60, "feed": 25, "link": 15})
_CATEGORIES: Final = ("shoes", "jackets", "trousers", "bags", "tents", "lights")

#: Exponential quantiles (mean 1), to draw thinking times from with 12 random bits.
WAITS: Final = tuple(-log((i + 0.5) / 4096) for i in range(4096))


class Item(NamedTuple):
    """A product: its price in cents, and its properties as JSON text without the braces."""

    cents: int
    item_id: str
    view: str


def money(cents: int) -> str:
    """Cents as a JSON number of the main unit."""
    sign, cents = ("-", -cents) if cents < 0 else ("", cents)
    return f"{sign}{cents // 100}.{cents % 100:02d}"


def _items(count: int) -> tuple[Item, ...]:
    rng = Random("streamgauge:items")
    out = []
    for number in range(count):
        cents = int(rng.lognormvariate(8.2, 0.8)) // 10 * 10 + 99
        item_id = f"i{number:04d}"
        category = _CATEGORIES[number % len(_CATEGORIES)]
        out.append(Item(cents, item_id, f'"item_id":"{item_id}","category":"{category}","price":{money(cents)}'))
    return tuple(out)


ITEMS: Final = _items(1024)
#: The searches as JSON text, each with the number of its results.
SEARCHES: Final = tuple(
    f',"properties":{{"query":{json.dumps(query, ensure_ascii=False)},"results":{number * 7 % 40}}}'
    for number, query in enumerate(QUERIES)
)
