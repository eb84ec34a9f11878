"""Every guest does on rrdbg what the manifest says, and on QEMU too if its output does not depend on time."""

from __future__ import annotations

import hashlib
import re

import pytest

from tests.guests.machine import run
from tests.guests.manifest import LONG, ROWS, elf
from tests.guests.qemu import needs_qemu, run_qemu

QUICK = [name for name in ROWS if name not in LONG]
OTHER_ON_QEMU = {
    # QEMU 7.2 reports faults of atomic operations as those of loads; the privileged specification
    # (20211203, table 3.6) has codes 6 and 7 for "store/AMO"
    "tiny/amofault",
    "tiny/htif",  # QEMU's `virt` has no HTIF
    # QEMU has a TLB, and notices later: privileged 10.2.1 wants an sfence.vma before a changed PTE need be seen
    "tiny/ptes",
    # QEMU 7.2 keeps MPRV in an mret to a lesser mode; privileged 3.1.6.3 (20211203) clears it
    "tiny/mprv",
    "bugs/stack-smash",  # where nothing is, QEMU fetches ones, an illegal instruction, and we take an access fault
}
UNTIMED = [name for name in QUICK if not ROWS[name]["timed"] and name not in OTHER_ON_QEMU]


def check(name: str, output: bytes, exit_code: int | None) -> None:
    """Compare a run with the manifest."""
    row = ROWS[name]
    if row["output"] is not None:
        assert output.decode() == row["output"]
    assert hashlib.sha256(output).hexdigest() == row["output_sha256"]
    assert exit_code == row["exit_code"]


@pytest.mark.parametrize("name", QUICK)
def test_on_rrdbg(name: str) -> None:
    result = run(elf(name), privilege=ROWS[name].get("privilege", "mu"))
    check(name, result.output, result.exit_code)
    assert result.reason.value == ROWS[name]["end"]
    assert result.steps == ROWS[name]["steps"]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LONG))
def test_kernel_on_rrdbg(name: str) -> None:
    result = run(elf(name))
    check(name, result.output, result.exit_code)
    assert result.steps == ROWS[name]["steps"]


@needs_qemu
@pytest.mark.oracle
@pytest.mark.parametrize("name", UNTIMED)
def test_on_qemu(name: str) -> None:
    check(name, *run_qemu(elf(name)))


@needs_qemu
@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LONG - OTHER_ON_QEMU))
def test_kernel_on_qemu(name: str) -> None:
    check(name, *run_qemu(elf(name), timeout=300))


def test_sha256_prints_the_hash() -> None:
    """The guest's hash is Python's."""
    message, digest = bytearray((i * i >> 8) & 255 for i in range(1 << 20)), bytes(32)
    for _ in range(16):
        message[:32] = digest
        digest = hashlib.sha256(message).digest()
    assert ROWS["sha256"]["output"] == f"sha256: {digest.hex()}\n"


def test_sieve_counts_the_primes() -> None:
    """pi(2^25) is 2063689 (OEIS A007053)."""
    found = re.search(r"(\d+) primes below 33554432", ROWS["sieve"]["output"])
    assert found is not None
    assert found[1] == "2063689"
