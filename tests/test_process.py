"""Addresses as they are printed, and processes that listen on them."""

from __future__ import annotations

import pytest

from pipeline.errors import UserError
from pipeline.process import address
from pipeline.settings import load_settings


def test_an_ipv6_host_stands_in_brackets() -> None:
    assert address("::1", 9110) == "[::1]:9110"
    assert address("127.0.0.1", 9110) == "127.0.0.1:9110"
    assert address("kafka-1", 9092) == "kafka-1:9092"


def test_a_broker_without_its_brackets_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_KAFKA_BOOTSTRAP", "::1:9092")
    with pytest.raises(UserError, match=r"an IPv6 address stands in brackets: \[::1\]:9092"):
        load_settings()
    monkeypatch.setenv("PIPELINE_KAFKA_BOOTSTRAP", "[::1]:9092,kafka-2:9092")
    assert load_settings().kafka_bootstrap == "[::1]:9092,kafka-2:9092"
