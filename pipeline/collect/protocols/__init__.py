"""The ways in: each SDK's protocol, as pure functions from a request to events and from results to an answer."""

from __future__ import annotations

from pipeline.collect.model import Protocol
from pipeline.collect.protocols.amplitude import Amplitude
from pipeline.collect.protocols.decode import MAX_UNPACKED
from pipeline.collect.protocols.ga4 import GA4
from pipeline.collect.protocols.mixpanel import Mixpanel
from pipeline.collect.protocols.posthog import PostHog
from pipeline.collect.protocols.segment import Segment
from pipeline.collect.protocols.sensors import Sensors
from pipeline.collect.protocols.snowplow import Snowplow


def protocols(limit: int = MAX_UNPACKED) -> tuple[Protocol, ...]:
    """All of them, in the order in which they are asked whether a request is theirs.

    `limit`: bytes that a request may have once everything in it is unpacked.
    """
    return (
        Segment(limit), PostHog(limit), Sensors(limit), Snowplow(limit), Amplitude(limit), Mixpanel(limit), GA4(limit),
    )  # fmt: skip
