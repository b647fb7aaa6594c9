"""What is in the logs: the events of the benchmark with some that are no ordinary ones, and a log of odd ones alone."""

from __future__ import annotations

import random
import re
from typing import Final, NamedTuple

import numpy as np

from ..events import SEED, make_event, make_events, make_shapes

_HOUR: Final = 3_600_000
_TS: Final = re.compile(rb'"ts":(\d+)')
_CHANNEL: Final = re.compile(rb'"channel":"[a-z]+"')
#: Of so many events of the timed log one is sent twice, one is late, one is no event.
_TWICE, _LATE, _BROKEN = 100, 1_000, 1_000


class Log(NamedTuple):
    """Keys and values, in the order in which they are sent."""

    keys: list[bytes]
    values: list[bytes]


def timed(count: int, end_ms: int, *, large: bool) -> Log:
    """`count` events as the benchmark's other sections have them; a few are duplicates, late, or no events."""
    keys, values = make_events(count, end_ms, large=large)
    draw = random.Random(SEED)
    for i in range(1, count):
        if not draw.randrange(_TWICE):
            earlier = max(0, i - 1 - draw.randrange(10_000))
            keys[i], values[i] = keys[earlier], values[earlier]
        elif not draw.randrange(_LATE):
            values[i] = _moved(values[i], -2 * _HOUR)
        elif not draw.randrange(_BROKEN):
            values[i] = values[i].replace(b'"event":"', b'"event":"un', 1)
    return Log(keys, values)


def odd(count: int, end_ms: int) -> Log:
    """`count` events over five hours of event time, of which a tenth is odd in every way that the job must know."""
    rng = np.random.default_rng(SEED)
    draw = random.Random(SEED)
    shapes = make_shapes(rng, count, users=max(count // 25, 1))
    since = (np.arange(count)[::-1] * (5 * _HOUR / count)).astype(np.int64)
    times = (end_ms - since - rng.integers(3_000, size=count)).tolist()
    log = Log([], [])
    ids: dict[bytes, list[bytes]] = {}
    for i in range(count):
        # Some come late, most of them within the lateness; ties of a second are common.
        ts = times[i] if draw.randrange(10) else times[i] - draw.randrange(75 * 60) * 1_000
        ts -= ts % 1_000 if not draw.randrange(3) else 0
        key = shapes.keys[i]
        own = ids.setdefault(key, [])
        # An id comes again with another time, which may be one by which it is forgotten.
        one = draw.choice(own) if own and not draw.randrange(50) else b"%032x" % draw.getrandbits(128)
        own.append(one)
        value = make_event(one, shapes.heads[i], ts, shapes.tails[i])
        if not draw.randrange(10):
            key, value = _odd(draw, key, value, log, i)
        log.keys.append(key)
        log.values.append(value)
    return log


def _moved(value: bytes, by: int) -> bytes:
    return _TS.sub(lambda found: b'"ts":%d' % (int(found[1]) + by), value, count=1)


def _odd(draw: random.Random, key: bytes, value: bytes, log: Log, i: int) -> tuple[bytes, bytes]:
    """An event that is odd in one way."""
    kind = draw.randrange(4)
    if kind == 0 and i:
        earlier = draw.randrange(max(0, i - 2_000), i)
        return log.keys[earlier], log.values[earlier]  # sent twice
    if kind == 1:
        # More channels than a window may have values of.
        return key, _CHANNEL.sub(b'"channel":"c%d"' % draw.randrange(20_000), value, count=1)
    if kind == 2:
        change, by = draw.choice(_CHANGES)
        return key, re.sub(change, by, value, count=1)
    if not draw.randrange(2):
        return key, draw.choice(_NO_EVENTS)
    # A device that is nobody's; behind a keyBy no other actor's ids are known.
    value = value.replace(b'"event_id":"', b'"event_id":"d', 1)
    return b"d" + key, value.replace(b'"user_id":"u', b'"anonymous_id":"du', 1)


#: What a valid event is turned into, by a replacement; some stay valid.
_CHANGES: Final = (
    (rb'"event":"', b'"event":"un'),
    (rb'"event_id":"[0-9a-f]+"', b'"event_id":""'),
    (rb'"event_id":"[0-9a-f]+",', b""),
    (rb'"ts":(\d+)', rb'"ts":\1.0'),
    (rb'"ts":(\d+)\d\d\d', rb'"ts":\1'),
    (rb'"ts":(\d+)', rb'"ts":9\1'),
    (rb'"ts":(\d+)', rb'"ts":"2026-07-01T12:00:00.123+08:00"'),
    (rb'"ts":(\d+)', rb'"ts":"2026-07-01 noon"'),
    (rb'"ts":(\d+)', rb'"ts":true'),
    (rb'"ts":(\d+),', b""),
    (rb'"user_id":"[^"]+"', b'"user_id":"null"'),
    (rb'"user_id":"[^"]+"', b'"user_id":" (Null) "'),
    (rb'"user_id":"[^"]+"', b'"user_id":"00000000-0000"'),
    (rb'"user_id":"[^"]+"', b'"user_id":""'),
    (rb'"user_id":"[^"]+"', b'"user_id":17'),
    (rb'"user_id":', b'"userid":'),
    (rb'"session_id":"[^"]+"', b'"session_id":null'),
    (rb'"session_id":"[^"]+"', b'"session_id":""'),
    (rb'"platform":"[a-z]+"', b'"platform":null'),
    (rb'"platform":"[a-z]+",', b""),
    (rb'"platform":"[a-z]+"', b'"platform":"a\\\\u0001b"'),
    (rb'"platform":"[a-z]+"', b'"platform":"' + b"p" * 256 + b'"'),
    (rb'"platform":"[a-z]+"', b'"platform":"' + b"p" * 257 + b'"'),
    (rb'"platform":"[a-z]+"', '"platform":"小程序"'.encode()),
    (rb'"platform":', b'"bot":"Googlebot","platform":'),
    (rb'"price":19.9', b'"price":-0.01'),
    (rb'"price":19.9', b'"price":20'),
    (rb'"price":19.9', b'"price":"19.9"'),
    (rb'"price":19.9', b'"price":1e999'),
    (rb'"price":19.9', b'"price":NaN'),
    (rb'"price":19.9', b'"price":null'),
    (rb'"item_id":"i48213"', b'"item_id":null'),
    (rb'"item_id":"i48213",', b""),
    (rb'"quantity":1', b'"quantity":0'),
    (rb'"quantity":1', b'"quantity":1001'),
    (rb'"quantity":1', b'"quantity":1.0'),
    (rb'"quantity":1', b'"quantity":true'),
    (rb'"quantity":1', b'"quantity":99999999999999999999'),
    (rb'"query":"running shoes"', b'"query":"' + b"q" * 201 + b'"'),
    (rb'"query":"running shoes"', '"query":"{}"'.format("鞋" * 200).encode()),
    (rb'"method":"card"', b'"method":"cash"'),
    (rb'"amount":39.8', b'"amount":0.1234565'),
    (rb'"amount":39.8', b'"amount":1000000000.5'),
    (rb'"amount":39.8,', b""),
    (rb'"properties":\{.*\}\}', b'"properties":null}'),
    (rb'"properties":\{.*\}\}', b'"properties":[]}'),
    (rb'"properties":\{', b'"properties":{"more":{"a":[1,2.5,{"b":null}]},'),
    (rb'"properties":\{', b'"properties":{"more":[1e400],'),
    (rb'^\{("event_id".*),("properties":\{.*\})\}$', rb"{\2,\1}"),
    (rb"\}$", b""),
    (rb"\}$", b"}}"),
    (rb"\}$", b',"more":1}'),
    (rb"a", b"\xff"),
)  # fmt: skip
_NO_EVENTS: Final = (b"", b"null", b"[]", b"17", b"{}", b'"event"', b"\x00\x01", b'{"event_id":')
