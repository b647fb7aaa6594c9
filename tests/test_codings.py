"""Compression of HTTP bodies."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import codings


def encode(data: bytes, coding: str) -> bytes:
    encoder = codings.encoder(coding)
    return encoder.compress(data) + encoder.flush()


@settings(deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=5), st.sampled_from(codings.CODINGS))
def test_what_was_encoded_in_frames_is_decoded(frames: list[bytes], coding: str) -> None:
    body = b"".join(encode(frame, coding) for frame in frames)
    assert codings.decode(body, coding, limit=2000) == b"".join(frames)


@pytest.mark.parametrize("coding", codings.CODINGS)
def test_frames_longer_than_a_slice_are_decoded(coding: str) -> None:
    noise = bytes(hash((i, coding)) & 255 for i in range(700_000)) * 3
    body = encode(noise, coding) + encode(b"tail", coding)
    assert codings.decode(body, coding, limit=len(noise) + 4) == noise + b"tail"


@pytest.mark.parametrize("coding", codings.CODINGS)
def test_a_bomb_is_refused_before_it_unfolds(coding: str) -> None:
    with pytest.raises(codings.TooLargeError, match="larger than 1000000 bytes"):
        codings.decode(encode(bytes(200_000_000), coding), coding, limit=1_000_000)


@pytest.mark.parametrize("coding", codings.CODINGS)
def test_damaged_and_cut_bodies_are_refused(coding: str) -> None:
    body = encode(b"some rows" * 100, coding)
    with pytest.raises(codings.CodingError, match=coding):
        codings.decode(body[:-3], coding, limit=10_000)
    with pytest.raises(codings.CodingError, match=coding):
        codings.decode(b"rubbish" + body, coding, limit=10_000)


def test_gzip_of_other_programs_is_decoded() -> None:
    assert codings.decode(gzip.compress(b"rows"), "gzip", limit=4) == b"rows"


def test_an_unknown_coding_is_named() -> None:
    with pytest.raises(codings.CodingError, match="'br' is not supported: use one of lz4, zstd, gzip, deflate"):
        codings.decode(b"x", "br", limit=10)


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("gzip, deflate, br, zstd", "zstd"),
        ("lz4,zstd,gzip", "lz4"),
        ("GZIP;q=0.5", "gzip"),
        ("zstd;q=0, deflate", "deflate"),
        ("br", None),
        ("", None),
    ],
)
def test_the_cheapest_accepted_coding_is_chosen(accepted: str, chosen: str | None) -> None:
    assert codings.choose(accepted) == chosen
