"""The ways in: each SDK's protocol, as pure functions from a request to events and from results to an answer."""

from __future__ import annotations

from pipeline.collect.model import Protocol
from pipeline.collect.protocols.amplitude import AmplitudeProtocol
from pipeline.collect.protocols.decode import MAX_UNPACKED
from pipeline.collect.protocols.ga4 import GA4Protocol
from pipeline.collect.protocols.mixpanel import MixpanelProtocol
from pipeline.collect.protocols.posthog import PostHogProtocol
from pipeline.collect.protocols.segment import SegmentProtocol
from pipeline.collect.protocols.sensors import SensorsProtocol
from pipeline.collect.protocols.snowplow import SnowplowProtocol


def protocols(limit: int = MAX_UNPACKED) -> tuple[Protocol, ...]:
    """All of them, in the order in which they are asked whether a request is theirs.

    `limit`: bytes that a request may have once everything in it is unpacked.
    """
    return (
        SegmentProtocol(limit),
        PostHogProtocol(limit),
        SensorsProtocol(limit),
        SnowplowProtocol(limit),
        AmplitudeProtocol(limit),
        MixpanelProtocol(limit),
        GA4Protocol(limit),
    )
