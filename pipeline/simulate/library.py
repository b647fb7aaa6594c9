"""The articles of the simulated product: some from before, and what authors publish while it runs."""

from __future__ import annotations

from random import Random
from typing import Final, NamedTuple

from pipeline.simulate.world import SECTIONS
from schemas.duration import HOUR

#: Articles from before the start, one every so many ms.
_BEFORE: Final = 60
_EVERY: Final = 12 * HOUR
#: New articles are read most: who opens one takes one of the newest so many.
_NEW: Final = 24


class Article(NamedTuple):
    """An article; `published` is epoch ms."""

    article_id: str
    author_id: str
    section: str
    published: int

    @property
    def about(self) -> str:
        """What an event says of it, as JSON text without the braces."""
        return f'"article_id":"{self.article_id}","author_id":"{self.author_id}","section":"{self.section}"'


class Library:
    """What can be read."""

    def __init__(self, start_ms: int) -> None:
        rng = Random("streamgauge:articles")
        self.articles = [
            Article(
                f"t{number:04d}",
                f"u{rng.randrange(40) * 50}",
                rng.choice(SECTIONS),
                start_ms - (_BEFORE - number) * _EVERY,
            )
            for number in range(_BEFORE)
        ]

    def pick(self, rng: Random) -> Article:
        """An article to read: two of three times a new one."""
        articles = self.articles
        if rng.random() < 0.67:
            return articles[-1 - int(rng.random() ** 2 * min(_NEW, len(articles)))]
        return articles[int(rng.random() * len(articles))]

    def publish(self, author_id: str, rng: Random, now: int) -> Article:
        """A new article."""
        article = Article(f"t{rng.getrandbits(40):010x}", author_id, rng.choice(SECTIONS), now)
        self.articles.append(article)
        return article
