"""LZW as in GIF: read back by a decoder written here from the specification alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.imaging.codecs.lzw import compressed

NOISE = np.random.default_rng(0).integers(0, 256, 30_000, np.uint8).tobytes()


def expanded(data: bytes, bits: int) -> tuple[bytes, int]:
    """The indices, and how many clear codes there were. GIF89a, appendix F, read word by word."""
    at = 0
    clear, end = 1 << bits, (1 << bits) + 1
    found, clears = bytearray(), 0
    table: dict[int, bytes] = {}
    width, before = bits + 1, b""
    while True:
        code = int.from_bytes(data[at >> 3 : (at >> 3) + 3], "little") >> (at & 7) & (1 << width) - 1
        at += width
        if code == clear:
            table = {number: bytes((number,)) for number in range(clear)}
            width, before, clears = bits + 1, b"", clears + 1
            continue
        if code == end:
            assert len(data) == -(-at // 8), "bytes after the end"
            return bytes(found), clears
        run = table[code] if code in table else before + before[:1]
        if before and len(table) + 2 < 4096:
            table[len(table) + 2] = before + run[:1]
        assert table[code] == run, "a code that is not known yet"
        found += run
        before = run
        if len(table) + 2 == 1 << width and width < 12:
            width += 1


@given(st.integers(2, 8).flatmap(lambda bits: st.tuples(st.just(bits), st.binary(min_size=1, max_size=300))))
def test_what_is_compressed_expands_to_itself(case):
    bits, data = case
    indices = bytes(value % (1 << bits) for value in data)
    assert expanded(compressed(indices, bits), bits)[0] == indices


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5000)), min_size=1, max_size=8))
def test_runs_of_any_length_expand_to_themselves(runs):
    indices = b"".join(bytes((value,)) * length for value, length in runs)
    assert expanded(compressed(indices, 2), 2)[0] == indices


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 3834, 3835, 3836, 3837, 3838, 3839, 3840, 3841, 4096])
def test_every_place_where_codes_grow_wider_or_are_forgotten(bits, size):
    indices = bytes(value % (1 << bits) for value in NOISE[:size])
    assert expanded(compressed(indices, bits), bits)[0] == indices


def test_all_codes_are_used_before_they_are_forgotten():
    # Pairs that never repeat: each index is a code of its own, and makes one more code known.
    pairs = bytes(n for a in range(256) for b in range(a + 1, 256) for n in (a, b))[:20_000]
    found, clears = expanded(compressed(pairs, 8), 8)
    assert found == pairs
    assert clears == 1 + (20_000 - 1) // (4095 - 256)


def test_a_long_run_is_short():
    data = compressed(bytes(200_000), 2)
    assert len(data) < 1000  # runs of 1, 2, 3, … indices: as many codes as the square root of 400,000
    assert expanded(data, 2)[0] == bytes(200_000)


def test_noise_of_many_dictionaries():
    found, clears = expanded(compressed(NOISE, 8), 8)
    assert found == NOISE
    assert clears > 5
