"""How much is measured: the sizes of a full run, and those of a quick one that shows that everything works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Sizes of all sections; the defaults are those of a full run."""

    runs: int = 3
    #: Events that worker and archiver handle from a full topic; half as many of the large ones.
    events: int = 1_000_000
    #: Events of the worker's steady state, and of a back-fill.
    steady_events: int = 3_000_000
    backfill_events: int = 1_000_000
    #: Events for idiomatic Faust, which takes long, and for Quix Streams and Bytewax.
    sample: int = 50_000
    peer_sample: int = 200_000
    #: Freshness: events a second, and for how long they are sent.
    freshness_rate: int = 10_000
    freshness_seconds: float = 30.0
    #: Catching up: the rate of arrival, and the outage.
    arrival_rate: int = 5_000
    outage_seconds: float = 300.0
    #: Users with funnel state: in memory, and for the restart.
    users: int = 1_000_000
    #: Events that the costs of the stages are measured on.
    stage_events: int = 100_000
    #: Minutes of the long run for the worker's memory; 0: it is not done.
    soak_minutes: float = 0.0

    def describe(self) -> str:
        """In one line."""
        return (
            f"{self.runs} runs; {self.events:,} events (half of 900 bytes), {self.sample:,} for idiomatic Faust, "
            f"{self.peer_sample:,} for Quix Streams and Bytewax; freshness at {self.freshness_rate:,} events/s for "
            f"{self.freshness_seconds:.0f} s; outage of {self.outage_seconds:.0f} s at {self.arrival_rate:,} events/s; "
            f"{self.users:,} users of funnel state; stages on {self.stage_events:,} events; steady state over "
            f"{self.steady_events:,} events; back-fill of {self.backfill_events:,}"
        )


def quick(runs: int = 1, soak_minutes: float = 0.0) -> Sizes:
    """Small sizes: to see that everything works. The figures say little."""
    return Sizes(
        runs=runs,
        events=100_000,
        steady_events=300_000,
        backfill_events=50_000,
        sample=10_000,
        peer_sample=20_000,
        freshness_rate=2_000,
        freshness_seconds=8.0,
        arrival_rate=1_000,
        outage_seconds=60.0,
        users=50_000,
        stage_events=20_000,
        soak_minutes=soak_minutes,
    )
