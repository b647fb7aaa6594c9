"""What PostHog's libraries ask for before they send: that there are no flags, no surveys and no recordings."""

from __future__ import annotations

from typing import Any, Final

from pydantic_core import to_json

from pipeline.collect.model import Answer
from pipeline.collect.protocols.fields import json_answer

#: What is not here, in the words of the configuration.
OFF: Final[dict[str, Any]] = {
    "supportedCompression": ["gzip", "gzip-js", "base64"], "hasFeatureFlags": False, "sessionRecording": False,
    "surveys": False, "heatmaps": False, "capturePerformance": False, "captureDeadClicks": False,
    "autocaptureExceptions": False, "errorTracking": {"autocaptureExceptions": False, "suppressionRules": []},
    "logs": {"captureConsoleLogs": False}, "conversations": False, "productTours": False, "siteApps": [],
    "toolbarParams": {}, "isAuthenticated": False, "defaultIdentifiedOnly": True, "elementsChainAsString": True,
    "config": {"enable_collect_everything": True},
}  # fmt: skip


def configuration(key: str, script: bool) -> Answer:
    """The configuration of a project: as JSON, or as the script that a page loads."""
    config = {"token": key} | OFF
    if not script:
        return json_answer(200, config)
    name = to_json(key).decode()
    body = (
        f"(function(){{var w=window;w._POSTHOG_REMOTE_CONFIG=w._POSTHOG_REMOTE_CONFIG||{{}};"
        f"w._POSTHOG_REMOTE_CONFIG[{name}]={{config:{to_json(config).decode()},siteApps:[]}}}})();"
    )
    return Answer(200, body.encode(), "text/javascript; charset=utf-8")
