"""Broken makers of blocks, all of which the comparison with a core that makes none must tell from the right one.

Each is a copy of the package in which one thing is wrong. Its kernel is compiled, and a process of its own compares
(block_compare.py): something differs, or it crashes, or it goes on for ever.
"""

# ruff: noqa: E501  (what is replaced stands as it does in the source)

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import rrdbg_core

from tests.cpu.block_compare import DIFFERS, SECONDS

PACKAGE = Path(rrdbg_core.__file__).parent
STENCILS, DISPATCH, BLOCKS, DECODE, COLLECT, CACHES, SLOTS, BASE = (
    *("cpu/stencils.py", "cpu/dispatch.py", "cpu/native/blocks.py", "cpu/native/decode.py", "cpu/native/collect.py"),
    *("cpu/native/caches.py", "cpu/slots.py", "cpu/base.py"),
)
KERNEL = (STENCILS, DISPATCH, BLOCKS, DECODE, COLLECT, CACHES)
"""Sources that the kernel is compiled from."""
MUTANTS = {
    # what goes into the holes
    "rs2 is rs1": (STENCILS, '(24, False): "rs2"', '(24, False): "rs1"'),
    "rs1 is rs2": (STENCILS, '(16, False): "rs1"', '(16, False): "rs2"'),
    "rd is its neighbour": (BLOCKS, "return ((slot >> U(8) & U(0xFF)) - MIDDLE) << U(3)", "return ((slot >> U(8) & U(0xFF) ^ U(1)) - MIDDLE) << U(3)"),
    "x0 is written": (BLOCKS, "    return number + TO_NOBODY if slot >> U(8) & U(0xFF) == U(L.XD) else number\n", "    return number\n"),
    "loads to x0 write": (STENCILS, "        if not self._to_nobody:\n", "        if True:\n"),
    "loads to x0 do nothing": (STENCILS, "    return isinstance(op.insn.effect, SetRd) and not op.insn.floats\n", "    return isinstance(op.insn.effect, SetRd | Load)\n"),
    "rs1 is elsewhere": (STENCILS, "HOLES.index(name) << 20", 'HOLES.index("rs2" if name == "rs1" else name) << 20'),
    "a byte is where a word is": (BLOCKS, "                store1(code, place + (entry & U(0xFFFF)), value)\n", "                store4(code, place + (entry & U(0xFFFF)), value)\n"),
    "fs1 and fs2 are mixed up": (STENCILS, '(16, True): "fs1", (24, True): "fs2"', '(16, True): "fs2", (24, True): "fs1"'),
    "fs3 is fs2": (STENCILS, '(59, True): "fs3"', '(59, True): "fs2"'),
    "frd is an x register": (BLOCKS, "return (U(L.F) - MIDDLE + (slot >> U(8) & U(31))) << U(3)", "return ((slot >> U(8) & U(31)) - MIDDLE) << U(3)"),
    "immediates are unsigned": (STENCILS, "!3 = !{i64 -2147483648, i64 2147483648}", "!3 = !{i64 0, i64 4294967296}"),
    "addends are forgotten": (BLOCKS, "value += sar(entry, U(32))", "value += U(0)"),
    "addends of distances are forgotten": (BLOCKS, "target + sar(entry, U(32)) - at", "target - at"),
    "half of a word goes into a hole": (STENCILS, "{1: ABSOLUTE_64,", "{1: ABSOLUTE_32,"),
    "pc is that of the first instruction": (STENCILS, 'super().pc(self._at("%ip", "here") if ip == "%ip" else ip)', "super().pc(ip)"),
    "compressed instructions are as long as others": (BLOCKS, "return here + size", "return here + U(16)"),
    "jumps lead from the first instruction": (BLOCKS, "return here + (sar(slot, U(32)) << U(2))", "return sar(slot, U(32)) << U(2)"),
    "jumps in a page are twice as far": (BLOCKS, "return here + (sar(slot, U(32)) << U(2))", "return here + (sar(slot, U(32)) << U(3))"),
    # steps
    "a step too many": (BLOCKS, "    left = steps - U(1)\n", "    left = steps\n"),
    "a step too few": (BLOCKS, "    left = steps - U(1)\n", "    left = steps - U(2)\n"),
    "the steps of a block are not counted": (STENCILS, 'f.next("", n=left)', 'f.next("")'),
    "a way out counts the steps behind it": (DISPATCH, """n, slot = out.let(f"add i64 %n, {left}"),""", 'n, slot = "%n",'),
    "all ways out are the first instruction's": (BLOCKS, "        left -= U(1)\n", ""),
    "entered however few steps are left": (STENCILS, 'f"br i1 {few}, label %beside, label %enter, !prof !0"', '"br label %enter"'),
    # ways out and ends
    "a way out leads to the next instruction": (BLOCKS, "way = here >> U(3) | left", "way = (here >> U(3)) + U(1) | left"),
    "a way out leads to the first instruction": (BLOCKS, "way = here >> U(3) | left", "way = left"),
    "a way out leads to another's function": (BLOCKS, "(hole - WAY_OUT) << U(16)", "(hole - WAY_OUT + U(1)) << U(16)"),
    "a way out tells nothing of its instruction": (DISPATCH, "out.tail(function, here, n, slot)", 'out.tail(function, here, n, "%w")'),
    "a way out of the first instruction tells of the block": (DISPATCH, "    out.tail(function, here, n, out.let(f\"load i64, ptr {kept}\"))\n", "    out.tail(function, here, n, slot)\n"),
    "a way out counts steps that were not made": (DISPATCH, """out.let(f"sub i64 -1, {left}")""", '"0"'),
    "passed over as the block": (DISPATCH, '    beside.dispatch("%w")\n', '    beside.next("%ip")\n'),
    "all ways out of floating point are the last": (STENCILS, "MISSES + FLOAT_PATHS.index(function[1:])", "MISSES + 2"),
    "jumps to an unknown page leave": (STENCILS, '"@refetch": REFETCH', '"@refetch": LEAVE_LOOP'),
    "ways out lie in the code": (BLOCKS, "begin + size + U(7)", "begin + size"),
    "a block lies in the ways out of another": (BLOCKS, "(m[L.BLOCK_OUT] + U(15)) & ~U(15)", "m[L.BLOCK_OUT] & ~U(15)"),
    "blocks that do not jump have no end": (BLOCKS, "    if ends == U(0):\n        put_stencil", "    if ends == U(1):\n        put_stencil"),
    "a block ends before its last instruction": (BLOCKS, "put_stencil(c, STENCIL_END, place, U(0), (end - first) << U(3)", "put_stencil(c, STENCIL_END, place, U(0), (at - first - U(1)) << U(3)"),
    "a block goes on behind a jump": (BLOCKS, "while at - first < BLOCK_SLOTS and ends == U(0):", "while at - first < BLOCK_SLOTS:"),
    "a byte of the last jump stays": (STENCILS, "code[:-5], holes[:-1]", "code[:-4], holes[:-1]"),
    "all slots are blocks": (STENCILS, 'f"br i1 {is_block}, label %{block}, label %{other}, !prof !1"', 'f"br i1 true, label %{block}, label %{other}"'),
    "passed over as its last instruction": (BLOCKS, "words_at(c, BLOCK_CODE)[m[L.BLOCK_USED] >> U(3)] = slot", "words_at(c, BLOCK_CODE)[m[L.BLOCK_USED] >> U(3)] = insn"),
    # what is in which block
    "second halves are in no block": (BLOCKS, "U(2):\n            store1(block_of, at, at - first + U(1))", "U(2):\n            store1(block_of, at, U(0))"),
    "every instruction is the first": (BLOCKS, "        store1(block_of, at, at - first + U(1))\n        at += U(1)\n        if", "        store1(block_of, at, U(1))\n        at += U(1)\n        if"),
    "slots are in two blocks": (
        BLOCKS,
        "        if row == U(0) or (steps != U(0) and load1(block_of, at) != U(0)):\n            break\n        behind = at + (stencils[row] >> U(32) & U(0xFF))\n        if load1(block_of, behind - U(1)) != U(0) and behind - U(1) != first:\n",
        "        if row == U(0):\n            break\n        behind = at + (stencils[row] >> U(32) & U(0xFF))\n        if False:\n",
    ),
    "a block begins in another's instruction": (BLOCKS, "            break  # another one begins in the middle of this instruction\n", "            pass\n"),
    "the middle of an instruction is a block": (BLOCKS, "    if load1(block_of, first) != U(0) and load1(block_of, first) != BEGINS:\n", "    if False:\n"),
    "where a jump leads to a block goes on": (BLOCKS, "        forget_block(c, at)\n        store1(block_of, at, BEGINS)\n        dec = words_at(c, DEC)\n", "        store1(block_of, at, BEGINS)\n        dec = words_at(c, DEC)\n"),
    "what does not lead on is in a block": (BLOCKS, "        forget_block(c, at)  # of which it is in the middle of an instruction\n", ""),
    # forgetting
    "the slot before a block is forgotten": (BLOCKS, "    at = at + U(1) - distance\n", "    at = at - distance\n"),
    "what is forgotten can be entered": (BLOCKS, "    words_at(c, DEC)[at] = OP_UNDECODED\n", ""),
    "what is forgotten is marked": (BLOCKS, "        at += U(1)\n        k += U(1)\n\n", "        at += U(1)\n\n"),
    "blocks stay when all are forgotten": (BLOCKS, "                    dec[at + k] = OP_UNDECODED\n", "                    pass\n"),
    "blocks of the last page stay": (BLOCKS, "forget_blocks(c, m[L.POOL_USED])", "forget_blocks(c, m[L.POOL_USED] - U(1))"),
    "blocks find room behind the end": (BLOCKS, "m[L.BLOCK_USED] + BLOCK_ROOM > m[L.BLOCK_BYTES]", "m[L.BLOCK_USED] > m[L.BLOCK_BYTES]"),
    "stores leave blocks": (CACHES, "        forget_block(c, base + slot)\n", ""),
    "blocks are in pages that are not decoded": (CACHES, "    forget_blocks(c, used)\n", ""),
    "breakpoints leave blocks": (SLOTS, "                self._forget_block(page * STRIDE + half)\n", "                pass\n"),
    "breakpoints leave blocks of the last pages": (SLOTS, "[: len(pages) + 2]", "[: len(pages)]"),
    "who puts a slot leaves the block": (SLOTS, "        self._forget_block(base + pc % PAGE_BYTES // 2)\n", ""),
    "what is written from outside is marked": (SLOTS, "            self._block_of[base : base + 2048] = 0\n", ""),
    "blocks that are not made any more are entered": (SLOTS, "        self._dec[: len(block_of)][block_of == 1] = UNDECODED_OP\n", ""),
    "blocks that are not made any more are marked": (SLOTS, "        block_of[:] = 0\n", ""),
    "dropped caches are marked": (BASE, "        self._block_of[: int(self.mach[L.POOL_USED]) * STRIDE] = 0\n", ""),
    # where blocks begin
    "what is come to begins no block": (DECODE, "    begin(c, ip)\n", "    pass\n"),
    "one instruction is no block": (BLOCKS, "    if steps == U(0):\n", "    if steps < U(2):\n"),
    "what is come to is another": (DECODE, "[L.REAL_SLOT] = slot\n    begin", "[L.REAL_SLOT] = slot ^ U(1 << 8)\n    begin"),
    # what was run
    "blocks do not sleep": (COLLECT, "        dec[slot] = content & ~U(0xFF) | OP_ASLEEP\n", "        pass\n"),
    "blocks wake at once": (DECODE, "    while at < end:\n", "    while at < at:\n"),
    "blocks wake with their second slot": (DECODE, "    end = ip + words_at(c, BLOCK_CODE)[head + U(1)]\n", "    end = ip + U(2)\n"),
    "half of a block wakes it": (BLOCKS, "[(m[L.BLOCK_USED] >> U(3)) + U(1)] = at - first", "[(m[L.BLOCK_USED] >> U(3)) + U(1)] = steps"),
    "who wakes a block is not run": (DECODE, "    store1(bytes_at(c, RUN), offset_of_slot(c, pc, ip) >> U(1), U(1))\n    head =", "    head ="),
    "who is counted is not run": (DECODE, "    store1(bytes_at(c, RUN), offset >> U(1), U(1))\n    words_at(c, HART)", "    words_at(c, HART)"),
    "who wakes a block is another": (DECODE, "[L.REAL_SLOT] = words_at(c, BLOCK_CODE)[head]", "[L.REAL_SLOT] = words_at(c, BLOCK_CODE)[head] ^ U(1 << 8)"),
    "who is counted is another": (DECODE, "    words_at(c, HART)[L.REAL_SLOT] = insn\n", ""),
}  # fmt: skip
"""What is wrong: in which source, and the text that makes it so."""


def mutate(name: str | None, folder: Path) -> Path:
    """Return where a copy of the package is, with something wrong in it if there is a name."""
    package = folder / PACKAGE.name
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    if name is not None:
        file, old, new = MUTANTS[name]
        source = (package / file).read_text()
        assert source.count(old) == 1, f"{name}: {file} has changed, and the mutant must"
        (package / file).write_text(source.replace(old, new))
    return package


def compare(name: str | None, folder: Path) -> str:
    """Return how a copy of the package is caught; nothing: it is not."""
    package = mutate(name, folder)
    # a kernel that is right is compiled once
    cache = folder if name is not None and MUTANTS[name][0] in KERNEL else folder.parent
    env = os.environ | {"PYTHONPATH": str(folder), "RRDBG_CACHE": str(cache / "cache"), "RRDBG_TIER2": "0"}
    command = [sys.executable, "-m", "tests.cpu.block_compare"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=20 * SECONDS)
    shutil.rmtree(folder)
    where, *differs = done.stdout.splitlines() or [done.stderr]
    assert where == str(package)
    if done.returncode < 0:
        return signal.Signals(-done.returncode).name
    assert done.returncode == (DIFFERS if differs else 0), done.stderr
    return "".join(differs)


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[str]]]:
    """Compare two at a time, all whose turn will come."""
    folder = tmp_path_factory.mktemp("mutants")
    mine = [item for item in request.session.items if item.path == request.path and hasattr(item, "callspec")]
    wanted = {item.callspec.params["name"] for item in mine}
    names = [name for name in MUTANTS if name in wanted]
    with ThreadPoolExecutor(2) as executor:
        yield {name: executor.submit(compare, name, folder / f"{number}") for number, name in enumerate(names)}
        executor.shutdown(cancel_futures=True)


def test_every_mutant_is_of_this_source() -> None:
    for name, (file, old, new) in MUTANTS.items():
        assert (PACKAGE / file).read_text().count(old) == 1, f"{name}: {file} has changed, and the mutant must"
        assert old != new


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_is_caught(name: str, outcomes: dict[str, Future[str]]) -> None:
    outcome = outcomes[name].result()
    print(outcome)
    assert outcome


@pytest.mark.slow
def test_the_right_one_is_not_caught(tmp_path: Path) -> None:
    assert not compare(None, tmp_path / "right")
