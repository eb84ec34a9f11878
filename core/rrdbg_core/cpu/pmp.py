"""Physical memory protection, privileged spec 3.7, over the list of regions in use."""

from __future__ import annotations

from rrdbg_core.cpu import layout as L

LOCKED = 0x80
"""Bit of pmpcfg."""
Region = tuple[int, int, int]
"""First byte, byte behind the last, pmpcfg."""


def pmp_regions(hart: list[int]) -> list[Region]:
    """Return the PMP entries in use, lowest number first (privileged spec 3.7.1)."""
    regions = []
    below = 0
    for i in range(16):
        cfg, address = hart[L.PMPCFG + i], hart[L.PMPADDR + i]
        match cfg >> 3 & 3:
            case 1:  # TOR: from the entry below up to this one
                regions.append((below << 2, address << 2, cfg))
            case 2:  # NA4
                regions.append((address << 2, (address << 2) + 4, cfg))
            case 3:  # NAPOT: the trailing ones say how large
                ones = (~address & -~address).bit_length() - 1
                size = 8 << ones
                base = address >> ones << ones << 2
                regions.append((base, base + size, cfg))
        below = address
    return regions


def pmp_allows(regions: list[Region], address: int, size: int, kind: int, priv: int) -> bool:
    """Return whether `size` bytes may be accessed; all must lie in the first region that holds any of them."""
    for low, high, cfg in regions:
        if address < high and low < address + size:
            inside = low <= address and address + size <= high
            return inside and ((priv == L.PRIV_M and not cfg & LOCKED) or cfg & kind == kind)
    return priv == L.PRIV_M
