"""Where a name may stand in debug information: the search of many numbers at once against one that looks everywhere."""

from __future__ import annotations

import random

import pytest

from rrdbg.symbols.dwarf import index

NEEDLE = b"file"


def everywhere(data: bytes, offsets: list[int], base: int) -> list[int]:
    """Return what `_places` should find."""
    patterns = [NEEDLE + b"\0", *(offset.to_bytes(4, "little") for offset in offsets)]
    return [base + at for at in range(len(data)) for pattern in patterns if data.startswith(pattern, at)]


@pytest.mark.parametrize("count", [0, 1, index.MAX_SEPARATE, index.MAX_SEPARATE + 1, index.MAX_TEXTS])
@pytest.mark.parametrize("scanned", [4, 64, 1 << 22])
def test_all_places_are_found_at_any_byte(count: int, scanned: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "SCANNED_BYTES", scanned)
    rng = random.Random(count * scanned)
    found = 0
    for _ in range(60):
        # few values of a byte, so that numbers overlap and halves agree where the whole does not
        offsets = rng.sample(range(0x0101_0101, 0x0101_0101 + 4 * count + 1), count)
        data = bytearray(rng.choices(b"\1\2\3\0", k=rng.randrange(200)))
        for _ in range(rng.randrange(20)):
            text = rng.choice([NEEDLE + b"\0", *(offset.to_bytes(4, "little") for offset in offsets)])
            at = rng.randrange(len(data) + 1)
            data[at : at + len(text)] = text
        expected = everywhere(bytes(data), offsets, 7)
        assert list(index._places(bytes(data), NEEDLE, offsets, 7)) == expected
        found += len(expected)
    assert found > 100
