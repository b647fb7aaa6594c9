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
#: How somebody comes back who came by a channel first: mostly the same way, or by one of these.
RETURNS: Final = Choice({"organic": 60, "email": 25, "ads": 15})
AD_PLACES: Final = Choice({"feed": 55, "start": 30, "search": 15})
#: What an advertisement brings, as JSON text, cents of the main unit and less.
AD_REVENUES: Final = tuple(f"{0.0006 * 1.045**step:.4f}" for step in range(64))
#: Answers to "how likely are you to recommend us", 0 to 10, by how it went.
SCORES: Final = {
    "well": Choice({"10": 30, "9": 24, "8": 18, "7": 11, "6": 6, "5": 5, "3": 3, "0": 3}),
    "badly": Choice({"10": 8, "9": 10, "8": 14, "7": 16, "6": 16, "5": 14, "3": 12, "0": 10}),
}
SECTIONS: Final = ("culture", "science", "travel", "politics", "sports")
SOURCES: Final = Choice({"feed": 55, "search": 20, "push": 15, "related": 10})
TIERS: Final = Choice({"basic": 70, "plus": 30})
_CATEGORIES: Final = ("shoes", "jackets", "trousers", "bags", "tents", "lights")

#: Exponential quantiles (mean 1), to draw thinking times from with 12 random bits.
WAITS: Final = tuple(-log((i + 0.5) / 4096) for i in range(4096))


class StockItem(NamedTuple):
    """A product: its price in cents, and its properties as JSON text without the braces."""

    cents: int
    item_id: str
    view: str


def money(cents: int) -> str:
    """Cents as a JSON number of the main unit."""
    sign, cents = ("-", -cents) if cents < 0 else ("", cents)
    return f"{sign}{cents // 100}.{cents % 100:02d}"


def _items(count: int) -> tuple[StockItem, ...]:
    rng = Random("streamgauge:items")
    out = []
    for number in range(count):
        cents = int(rng.lognormvariate(8.2, 0.8)) // 10 * 10 + 99
        item_id = f"i{number:04d}"
        category = _CATEGORIES[number % len(_CATEGORIES)]
        out.append(StockItem(cents, item_id, f'"item_id":"{item_id}","category":"{category}","price":{money(cents)}'))
    return tuple(out)


ITEMS: Final = _items(1024)
#: The searches as JSON text, each with the number of its results.
SEARCHES: Final = tuple(
    f',"properties":{{"query":{json.dumps(query, ensure_ascii=False)},"results":{number * 7 % 40}}}'
    for number, query in enumerate(QUERIES)
)
