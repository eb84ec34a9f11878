"""The host: which cores, what it is, and what processes cost."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("rrdbg", "numba", "llvmlite", "numpy", "lz4", "xxhash")
WATCH_S = 0.005
"""Time between two looks for processes that a measured one has started."""


class Failed(Exception):
    """What was to be measured did not work: its time would say nothing."""


USABLE = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
"""Cores that this process may use; none if nobody can tell."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Where things run."""

    guest: int | None
    """Core of what is measured: rrdbg's process, QEMU; None: all of them, or the system cannot pin."""
    helper: int | None
    """Core of the processes that they start, and of the harness; the same one if there is no other."""

    def pin(self) -> None:
        """Pin the calling process to the guest's core, or let it run on every core that there was in the beginning."""
        if USABLE:
            os.sched_setaffinity(0, USABLE if self.guest is None else {self.guest})

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Keep the calling process off the guest's core."""
        if self.helper is None:
            yield
            return
        usable = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {self.helper})
        try:
            yield
        finally:
            os.sched_setaffinity(0, usable)


EVERY = Cores(None, None)
"""All of them, as the system likes."""


def cores(guest: int | None = None, helper: int | None = None) -> Cores:
    """Return the cores that were asked for; by default the last for the guest and the first for all else."""
    if not hasattr(os, "sched_getaffinity"):
        return Cores(None, None)
    usable = sorted(os.sched_getaffinity(0))
    chosen = usable[-1] if guest is None else guest
    return Cores(chosen, usable[0] if helper is None else helper)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took, from its start to its end."""

    wall: float
    """Seconds that passed."""
    cpu: float
    """Seconds of a core, children included that it waited for."""
    stdout: bytes
    """What it printed."""

    def seconds(self, clock: str) -> float:
        """Return one of the two."""
        return self.wall if clock == "wall" else self.cpu


def run(
    command: Sequence[str],
    where: Cores,
    *,
    env: Mapping[str, str] | None = None,
    ok: Sequence[int] = (0,),
    timeout_s: float = 900,
) -> Cost:
    """Run a command on the guest's core, and what it starts on the other one.

    Raises:
        Failed: It ended with another exit code than those in `ok`, or did not end.
    """
    before, started = _children_cpu(), time.perf_counter()
    process = subprocess.Popen(
        command,
        env={**os.environ, **env} if env is not None else None,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=where.pin if USABLE else None,
    )
    with _off_its_core(process.pid, where):
        try:
            stdout, stderr = process.communicate(timeout=timeout_s)
        except BaseException as error:
            process.kill()
            process.communicate()
            if isinstance(error, subprocess.TimeoutExpired):
                raise Failed(f"{' '.join(command)}: not done after {timeout_s:.0f} s") from None
            raise
    wall = time.perf_counter() - started
    if process.returncode not in ok:
        text = (stderr or stdout).decode(errors="replace")[-2000:]
        raise Failed(f"{' '.join(command)}: exit code {process.returncode}\n{text}")
    return Cost(wall, _children_cpu() - before, stdout)


def _children_cpu() -> float:
    if resource is None:
        times = os.times()
        return times.children_user + times.children_system
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def peak_bytes() -> int:
    """Return the largest resident size this process has had; 0 where the system does not say."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 if resource is not None else 0


@contextmanager
def _off_its_core(pid: int, where: Cores) -> Iterator[None]:
    """Keep the processes that a process starts off its core."""
    if where.helper is None or where.helper == where.guest:
        yield
        return
    done = threading.Event()
    helper = where.helper

    def watch() -> None:
        seen: set[int] = set()
        while not done.wait(WATCH_S):
            for child in descendants(pid):
                if child not in seen:
                    seen.add(child)
                    for task in _tasks(child):
                        with suppress(OSError):
                            os.sched_setaffinity(task, {helper})

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _tasks(pid: int) -> list[int]:
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def descendants(pid: int) -> list[int]:
    """Return the living processes that a process has started, and theirs; none where there is no /proc."""
    found = []
    for task in _tasks(pid):
        try:
            children = Path(f"/proc/{pid}/task/{task}/children").read_text().split()
        except OSError:
            continue
        for child in map(int, children):
            found += [child, *descendants(child)]
    return found


def descendants_cpu() -> float:
    """Return the seconds of a core that processes took which this one has started, the living ones included."""
    ticks = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
    total = _children_cpu()
    for pid in descendants(os.getpid()):
        with suppress(OSError, IndexError):
            # utime, stime and those of children that were waited for; the name before may hold anything (proc(5))
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15])) / ticks
    return total


def describe(where: Cores, clock: str) -> dict[str, Any]:
    """Return what a reader has to know of the machine and the versions of everything."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "pinned": {"guest": where.guest, "helper": where.helper},
        "governor": _governor(where.guest),
        "memory_bytes": _memory_bytes(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "revision": revision(),
        "qemu": qemu_version(),
        "clock": clock,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "load_before": load(),
    }


def load() -> list[float] | None:
    """Return the load averages of 1, 5 and 15 minutes."""
    try:
        return [round(value, 2) for value in os.getloadavg()]
    except (AttributeError, OSError):
        return None


def qemu() -> str | None:
    """Return where QEMU is."""
    return shutil.which("qemu-system-riscv64")


def qemu_version() -> str | None:
    """Return what QEMU says of itself."""
    path = qemu()
    return _first_line([path, "--version"]) if path else None


def revision() -> str | None:
    """Return the commit that is measured, with a mark if files differ from it."""
    return _first_line(["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"])


def _first_line(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.partition("\n")[0] or None if done.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _read(path: str, find: Callable[[str], str | None]) -> str | None:
    try:
        return find(Path(path).read_text())
    except OSError:
        return None


def _cpu_model() -> str:
    """Return the model of the CPU: its name may stand for several (`AMD EPYC`), so with its numbers."""
    keys = ("model name", "cpu family", "model", "stepping", "CPU part")

    def find(text: str) -> str | None:
        rows = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
        values = {key.strip(): value.strip() for key, value in rows.items()}
        return " ".join(values[key] for key in keys if key in values) or None

    return _read("/proc/cpuinfo", find) or platform.processor() or platform.machine()


def _governor(core: int | None) -> str | None:
    return _read(f"/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor", lambda text: text.strip() or None)


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
