"""Whether a hart is about to take an interrupt, for who looks at it from outside."""

from __future__ import annotations

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.addresses import Words


def interrupt_due(hart: Words) -> bool:
    """Return whether the next step takes an interrupt (privileged spec, sections 3.1.9 and 3.1.8)."""
    pending, status, priv = int(hart[L.MIP]) & int(hart[L.MIE]), int(hart[L.MSTATUS]), int(hart[L.PRIV])
    delegated = int(hart[L.MIDELEG])
    if pending & ~delegated and (priv != L.PRIV_M or status >> 3 & 1):
        return True
    return bool(pending & delegated and (priv == L.PRIV_U or (priv == L.PRIV_S and status >> 1 & 1)))
