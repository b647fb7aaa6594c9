"""The errors that leave this package, as a tree.

StreamgaugeError
├── UserError            a setting, file or argument is wrong: one line says what to do (exit code 2)
│   └── AnotherTopicError  the events topic is not the one that was counted
├── DependencyError      Kafka or ClickHouse did not answer within the bounds of the retries
└── BrokenPromiseError   a guarantee can't be kept: the process must stop, loudly
"""

from __future__ import annotations

from typing import Self

from schemas.translatable import Sentence, TranslatableError


class StreamgaugeError(TranslatableError):
    """Base of all errors that Streamgauge raises itself: `UserError("there is no event {event}", event=name)`."""

    @classmethod
    def of(cls, what: Exception | str) -> Self:
        """What another error or a sentence says, as one of ours."""
        said = what.said if isinstance(what, TranslatableError) else what
        return cls(said.text, **said.values) if isinstance(said, Sentence) else cls(str(said))


class UserError(StreamgaugeError):
    """Something the person who runs the command can mend. The message is one line and says how."""


class AnotherTopicError(UserError):
    """The events topic is not the one that was counted: its offsets mean other records."""

    def __init__(self, text: str, /, **values: object) -> None:
        what = Sentence(text, **values)
        super().__init__("{what}. Use a new PIPELINE_GROUP and PIPELINE_STREAM", what=what)


class DependencyError(StreamgaugeError):
    """A system we depend on (Kafka, ClickHouse) failed for longer than the retries allow."""


class BrokenPromiseError(StreamgaugeError):
    """Going on would lose or double events. Never caught: it ends the process."""
