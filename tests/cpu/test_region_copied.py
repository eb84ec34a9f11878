"""The first compiler as a copy of the process: in programs of their own, for a test runner has threads."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux alone")
PATIENCE_S = 60.0
"""Longer than anything here takes; only a hang meets it."""
BEGIN = """
import os, signal, subprocess, sys, threading, time
from rrdbg_core.cpu.regions import helper, link
from tests.cpu import region_compiler as compiler
from tests.cpu.test_region_helper import *

execs = []
popen = subprocess.Popen
link.subprocess.Popen = lambda *a, **k: execs.append(a) or popen(*a, **k)
link.COMMAND, link.PAUSE_S, helper.main = COMPILER, 0.0, compiler.main

def childless():
    try:
        return os.waitpid(-1, os.WNOHANG) and False
    except ChildProcessError:
        return True

def settle():
    await_true(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("regions")])
"""


def program(body: str, tmp_path: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BEGIN + body],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "RRDBG_CACHE": str(tmp_path), "RRDBG_TEST_GATE": str(tmp_path / "gate"), **environment},
    )


def output(body: str, tmp_path: Path) -> str:
    """Run a program that ends well, and return what it prints."""
    with program(body, tmp_path) as run:
        out, err = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, err
    return out


def test_a_copy_compiles_and_no_program_is_started(tmp_path: Path) -> None:
    body = """
with Client(b"p", command=COMPILER) as regions:
    regions.wait_stored(60)
    found = drive(regions, GOOD, GOOD + 0x1000, until=compiled(2))
    assert [run_code(result) for result in found], found
    print(entries(found) == [GOOD, GOOD + 0x1000], regions.stats.starts, len(execs), regions.stats.cpu_ns > 0)
settle()
print(childless())
"""
    assert output(body, tmp_path).split("\n") == ["True 1 0 True", "True", ""]


def test_a_process_with_other_threads_is_not_copied(tmp_path: Path) -> None:
    body = """
threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
with Client(b"p", command=COMPILER) as regions:
    regions.wait_stored(60)
    print(entries(drive(regions, GOOD, until=compiled(1))) == [GOOD], regions.stats.starts, len(execs))
"""
    assert output(body, tmp_path) == "True 1 1\n"


def test_whoever_brings_a_compiler_gets_it(tmp_path: Path) -> None:
    body = """
with Client(b"p", command=(*COMPILER, "LOOK_S=1")) as regions:
    regions.wait_stored(60)
    drive(regions, GOOD, until=compiled(1))
    print(regions.stats.starts, len(execs))
"""
    assert output(body, tmp_path) == "1 1\n"


def test_behind_a_copy_that_died_comes_a_program(tmp_path: Path) -> None:
    body = """
with Client(b"p", command=COMPILER) as regions:
    regions.wait_stored(60)
    until = lambda stats, results: stats.starts >= 2 and stats.compiled
    found = drive(regions, compiler.ABORTS, GOOD, until=until, repeat=True)
    print(GOOD in entries(found), len(execs) == regions.stats.starts - 1 > 0)
"""
    assert output(body, tmp_path) == "True True\n"


@pytest.mark.parametrize("pause_s", ["0", "0.001", "0.01", "0.05"])
def test_a_copy_ends_with_its_client_at_any_time(pause_s: str, tmp_path: Path) -> None:
    body = f"""
files = set(os.listdir("/proc/self/fd"))
for _ in range(5):
    with Client(b"", command=COMPILER) as regions:
        regions.wait_stored(60)
        regions.send_samples(pcs(GOOD))
        time.sleep({pause_s})
    settle()
    print(childless(), len(set(os.listdir("/proc/self/fd")) - files), len(execs))
"""
    assert output(body, tmp_path).split("\n") == ["True 0 0"] * 5 + [""]


def test_a_copy_ends_with_its_parent_and_keeps_nothing_of_it(tmp_path: Path) -> None:
    """Neither its files, which it may have locked, nor what it does about signals."""
    body = """
signal.signal(signal.SIGTERM, lambda *_: print("SIGTERM", flush=True))
signal.signal(signal.SIGUSR1, lambda *_: print("SIGUSR1", flush=True))
secret = open(os.environ["RRDBG_CACHE"] + "/secret", "w")
regions = Client(b"p", command=COMPILER)
regions.wait_stored(60)
drive(regions, compiler.SLOW, until=lambda *_: regions._link._trying)
print(regions._link._process.pid, flush=True)
time.sleep(1000)
"""
    with program(body, tmp_path) as run:
        assert run.stdout is not None
        pid = run.stdout.readline().strip()
        files = {os.path.basename(os.readlink(f"/proc/{pid}/fd/{file}")) for file in os.listdir(f"/proc/{pid}/fd")}
        assert {file.partition(":")[0] for file in files} == {"pipe", "null"}
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        caught = int(status["SigCgt"], 16)
        assert not caught & (1 << 14 | 1 << 9)  # SIGTERM and SIGUSR1, from 1 on
        assert os.getsid(int(pid)) == int(pid)
        run.kill()
        run.communicate()
    end = time.monotonic() + PATIENCE_S
    while _lives(pid):
        assert time.monotonic() < end
        time.sleep(0.005)


def _lives(pid: str) -> bool:
    """Return whether a process is there; one that nobody waits for is a zombie until init has looked at it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
