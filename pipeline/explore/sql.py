"""SQL with bound values: what is sent, and the same as a text that can be copied and run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from pipeline.queries.conditions import quoted
from pipeline.queries.memory import before_disk

_PLACE: Final = re.compile(r"\{([dv]\d+):[A-Za-z0-9()]+\}")
#: What every question is asked with, in its own text: so it is bounded wherever it is run.
SECONDS, MEMORY, ROWS = 30, 2_000_000_000, 10_000
_BEFORE_DISK: Final = before_disk(MEMORY)
SETTINGS: Final = (
    f"SETTINGS max_execution_time = {SECONDS}, max_memory_usage = {MEMORY}, "
    f"max_bytes_before_external_group_by = {_BEFORE_DISK}, max_bytes_before_external_sort = {_BEFORE_DISK}"
)


@dataclass(frozen=True)
class Sql:
    """A query with the values of its substitutions (`{v1:String}`)."""

    text: str
    values: Mapping[str, Any]

    def shown(self) -> str:
        """The query with the values written into it, each quoted: it runs as it is."""
        return _PLACE.sub(lambda found: _literal(found[1], self.values[found[1]]), self.text)


@dataclass
class Values:
    """Gathers the values of a query: each call gives what stands in the text in place of the value."""

    found: dict[str, Any] = field(default_factory=dict)

    def text(self, value: str) -> str:
        """A text."""
        return self._place(value, "String")

    def texts(self, values: Sequence[str]) -> str:
        """A list of texts."""
        return self._place(list(values), "Array(String)")

    def number(self, value: float) -> str:
        """A number."""
        return self._place(float(value), "Float64")

    def day(self, value: date) -> str:
        """A day."""
        return self._place(value.isoformat(), "Date")

    def sql(self, text: str) -> Sql:
        """The query that was written with them."""
        return Sql(text, dict(self.found))

    def _place(self, value: Any, kind: str) -> str:
        first = "d" if kind == "Date" else "v"
        for name, known in self.found.items():
            if name[0] == first and type(known) is type(value) and known == value:
                return f"{{{name}:{kind}}}"
        name = f"{first}{len(self.found)}"
        self.found[name] = value
        return f"{{{name}:{kind}}}"


def _literal(name: str, value: Any) -> str:
    if isinstance(value, float):
        return f"toFloat64({value!r})"
    if isinstance(value, list):
        return f"[{', '.join(map(quoted, value))}]::Array(String)"
    return f"toDate({quoted(value)})" if name[0] == "d" else quoted(value)
