"""How much a source may send, and where a request really comes from. Pure: times are given."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: What may come at once, in seconds of a source's rate.
BURST_SECONDS: Final = 10.0
#: What is no event: whoever waits as long as they were told must not be a rounding error too early.
_ROUNDING: Final = 1e-6


class TokenBucket:
    """A token bucket: `rate` events a second, `BURST_SECONDS` of them at once."""

    __slots__ = ("_at", "_left", "_rate")

    def __init__(self, rate: float, now: float) -> None:
        self._rate, self._at, self._left = rate, now, rate * BURST_SECONDS

    def take(self, events: int, now: float) -> float:
        """Take so many events out; returns 0, or in how many seconds that may be tried again.

        A request of more events than fit into the bucket takes what is there when it is full.
        """
        full = self._rate * BURST_SECONDS
        self._left = min(full, self._left + (now - self._at) * self._rate)
        self._at = now
        wanted = min(float(events), full)
        if wanted <= self._left + _ROUNDING:
            self._left = max(0.0, self._left - wanted)
            return 0.0
        return (wanted - self._left) / self._rate


def networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks, separated by commas. Raises ValueError."""
    return tuple(ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())


def client_address(peer: str, forwarded: Sequence[str], proxies: Sequence[Network]) -> str:
    """Where a request comes from, by the address that connected and all `X-Forwarded-For` headers.

    Each proxy adds the address that connected to it at the end. So they are read from the end for as long as whoever
    said so is one of our proxies; what a client wrote in front of that is not looked at.
    """
    address = peer
    hops = [hop.strip() for header in forwarded for hop in header.split(",")]
    while hops and _is_one_of(address, proxies):
        said = _address(hops.pop())
        if said is None:
            break
        address = said
    return address


def _is_one_of(address: str, proxies: Sequence[Network]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in proxies)


def _address(text: str) -> str | None:
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
