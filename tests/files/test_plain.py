"""Lines that are sent as they are: known at a glance, they are what reading them with care makes of them."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from pipeline.files.detect import Found, Given, detect
from pipeline.files.plain import actor_of_line
from pipeline.files.reader import FileEvent, Reading, event_of
from pipeline.files.rows import json_lines

FOUND: Found = detect(b'{"a": 1}\n', "x", Given(), whole=True)
values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(), max_size=6),
    st.sampled_from([1_760_000_000_000, "u1", "", 946_684_799_999, 10_000_000_000_000, 20_261_125_090_000, "e1"]),
)  # fmt: skip
names = st.sampled_from(["ts", "event_id", "user_id", "anonymous_id", "event", "properties", "x"])
objects = st.dictionaries(
    names, st.one_of(values, st.lists(values, max_size=2), st.dictionaries(names, values, max_size=2))
)


@given(objects, st.binary(max_size=3), st.integers(0, 200), st.booleans())
def test_what_is_known_at_a_glance_is_what_reading_makes_of_it(
    event: dict[str, object], odd: bytes, at: int, ascii_only: bool
) -> None:
    line = json.dumps(
        {"ts": 1_760_000_000_000, "event_id": "e", "user_id": "u", **event}, ensure_ascii=ascii_only
    ).encode("utf-8", "surrogatepass")
    for raw in (line, line[:at] + odd + line[at:], line[:at] + odd + line[at + len(odd) :]):
        raw = raw.strip()
        actor = actor_of_line(raw)
        if actor is None or b"\n" in raw:
            continue
        (row,) = json_lines(iter([(7, raw)]), FOUND)
        assert event_of(row, Reading(), FOUND) == FileEvent(7, actor, raw)


def test_most_lines_are() -> None:
    assert actor_of_line(b'{"event_id":"e1","event":"look","user_id":"u1","ts":1760004000000}') == b"u1"
    assert (
        actor_of_line(b'{"event_id":"e1","event":"look","user_id":"","anonymous_id":"d\xc3\xbc","ts":1760004000000}')
        == "dü".encode()
    )
    for line in (
        b"",
        b"[]",
        b"7",
        b'"ts"',
        b"null",
        b'{"ts":1760004000000}',
        b'{"event_id":"e","user_id":7,"ts":1760004000000}',
        b'{"event_id":"e","user_id":null,"anonymous_id":"","ts":1760004000000}',
    ):
        assert actor_of_line(line) is None
