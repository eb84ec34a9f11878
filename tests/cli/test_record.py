"""`rrdbg record` from end to end, without a terminal: input, ends, exit codes, what is printed where."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from rrdbg_core.errors import ExitCode
from rrdbg_core.machine.conformance.assembler import assemble
from rrdbg_core.machine.events import Event, EventKind
from rrdbg_core.trace import Trace

from rrdbg.cli.summary import exit_code
from tests.cli.programs import BASE, echoing, intel_hex, printing, sleeping, spinning, write
from tests.cli.support import RRDBG, Cli, run


def events(path: Path) -> list[Event]:
    """Return a trace's journal, and check that the trace is whole."""
    trace = Trace.open(path)
    try:
        assert trace.damage == ""
        assert trace.ending is not None
        return list(trace.events)
    finally:
        trace.close()


@pytest.fixture
def echo(tmp_path: Path) -> Path:
    """Return a guest that echoes up to an exclamation mark."""
    return write(tmp_path / "echo.elf", echoing(5))


# ---- what is printed where -------------------------------------------------------------------------------------------
def test_console_on_stdout_summary_on_stderr(cli: Cli, tmp_path: Path) -> None:
    image = write(tmp_path / "p.elf", printing("no newline", 3))
    done = cli("record", image, "-o", tmp_path / "p.rrt")
    assert (done.code, done.out) == (3, b"no newline")
    assert "exit code 3" in done.err
    assert f"rrdbg tui {tmp_path}/p.rrt" in done.err


def test_quiet_says_nothing(cli: Cli, tmp_path: Path) -> None:
    image = write(tmp_path / "p.elf", printing("x\n"))
    assert cli("record", image, "-q", "-o", tmp_path / "p.rrt").err == ""


def test_what_is_printed_byte_by_byte_goes_out_together(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []
    monkeypatch.setattr("rrdbg.cli.host.write_all", lambda fd, data: written.append(data))
    text = "much ado about nothing\n" * 2_000
    cli("record", write(tmp_path / "p.elf", printing(text)), "-q", "-o", tmp_path / "p.rrt")
    assert b"".join(written) == text.encode()
    assert len(written) < len(text) / 500


def test_json_has_stdout_to_itself(cli: Cli, tmp_path: Path) -> None:
    image = write(tmp_path / "p.elf", printing("x\n", 300))
    done = cli("record", image, "--json", "--quiet", "-o", tmp_path / "p.rrt")
    summary = json.loads(done.out)
    assert done.err == "x\n"
    assert done.code == 300 & 0xFF
    assert summary["reason"] == "exit"
    assert summary["exit_code"] == 300
    assert summary["trace"] == str(tmp_path / "p.rrt")
    assert summary["trace_bytes"] == os.path.getsize(tmp_path / "p.rrt")
    assert summary["virtual_ns"] == summary["icount"] > 0


def test_the_trace_is_named_after_the_image(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "p.elf", printing("x"))
    assert cli("record", "p.elf").code == 0
    assert cli("record", "guest:hello").code == 0
    assert (tmp_path / "p.rrt").exists()
    assert (tmp_path / "hello.rrt").exists()


@pytest.mark.parametrize(
    ("guest", "code"), [(0, 0), (1, 1), (255, 255), (256, 255), (257, 1), (0xFF00, 255), (0xFFFF, 255)]
)
def test_exit_codes_above_255_never_look_like_success(guest: int, code: int) -> None:
    assert exit_code("exit", guest) == code


# ---- images ----------------------------------------------------------------------------------------------------------
def test_raw_and_hex_images(cli: Cli, tmp_path: Path) -> None:
    code = printing("same\n", 9)[120:]
    for name, content in (("p.bin", code), ("p.hex", intel_hex(code).encode())):
        done = cli("record", write(tmp_path / name, content), "-o", tmp_path / f"{name}.rrt")
        assert (done.code, done.out) == (9, b"same\n")
    elsewhere = write(tmp_path / "p", code)
    done = cli("record", elsewhere, "--load-address", hex(BASE + 0x1000), "-o", tmp_path / "p.rrt")
    assert (done.code, done.out) == (9, b"same\n")
    low = write(tmp_path / "low.hex", intel_hex(code, 0))
    done = cli("record", low, "--load-address", hex(BASE), "-o", tmp_path / "low.rrt")
    assert (done.code, done.out) == (9, b"same\n")


def test_entry_overrides_the_image(cli: Cli, tmp_path: Path) -> None:
    image = write(tmp_path / "p.bin", assemble("stay: j stay") + printing("in\n", 2)[120:])
    assert cli("record", image, "--entry", hex(BASE + 4), "-o", tmp_path / "p.rrt").out == b"in\n"


# ---- input -----------------------------------------------------------------------------------------------------------
def test_a_file_as_input(cli: Cli, tmp_path: Path, echo: Path) -> None:
    typed = write(tmp_path / "typed", bytes(range(128, 256)) + b"!" + b"rest" * 10)
    done = cli("record", echo, "--input", typed, "-o", tmp_path / "e.rrt")
    assert (done.code, done.out) == (5, bytes(range(128, 256)) + b"!")
    assert "bytes of input were never read" in done.err
    journal = events(tmp_path / "e.rrt")
    assert b"".join(event.payload for event in journal).startswith(done.out)


def test_the_same_input_twice_gives_the_same_journal(cli: Cli, tmp_path: Path) -> None:
    script = write(tmp_path / "script", 'at 5_000: help\\n\nafter 1.5ms: echo x\\n\non "$ ": exit 3\\n\n')
    journals = []
    for name in ("a.rrt", "b.rrt"):
        done = cli(
            "record", "guest:shell", "--input-script", script, "--seed", "1", "--rtc-base", "2026-01-01",
            "-o", tmp_path / name,
        )  # fmt: skip
        assert done.code == 3, done.err
        journals.append(events(tmp_path / name))
    assert journals[0] == journals[1]
    assert len(journals[0]) >= 3


def test_a_pipe_as_input(tmp_path: Path, echo: Path) -> None:
    done = run("record", echo, "-o", tmp_path / "e.rrt", stdin=None, input=b"through the pipe!")
    assert (done.code, done.out) == (5, b"through the pipe!")
    done = run("record", echo, "--input", "-", "-o", tmp_path / "f.rrt", stdin=None, input=b"again!")
    assert (done.code, done.out) == (5, b"again!")


def test_standard_input_from_a_file_is_repeatable(tmp_path: Path, echo: Path) -> None:
    typed = write(tmp_path / "typed", b"from a file!")
    for name in ("a.rrt", "b.rrt"):
        with typed.open("rb") as file:
            assert run("record", echo, "-o", tmp_path / name, stdin=file).code == 5
    assert events(tmp_path / "a.rrt") == events(tmp_path / "b.rrt")


def test_a_dialogue_over_pipes(tmp_path: Path) -> None:
    """Output comes at once, so that a program can answer it; the end of its input wakes a sleeping guest."""
    process = subprocess.Popen(
        [*RRDBG, "record", "guest:shell", "-q", "-o", str(tmp_path / "s.rrt")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        seen = b""
        while not seen.endswith(b"$ "):
            seen += process.stdout.read1()  # type: ignore[attr-defined]
        process.stdin.write(b"echo ping\n")
        process.stdin.flush()
        while not seen.endswith(b"ping\n$ ") and not seen.endswith(b"ping\r\n$ "):
            seen += process.stdout.read1()  # type: ignore[attr-defined]
        process.stdin.close()
        assert process.wait(60) == ExitCode.IDLE
    assert EventKind.DETACH in [event.kind for event in events(tmp_path / "s.rrt")]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("type this", ["line 1", "not an action"]),
        ("# fine\n\nat 5T: x", ["line 3", "'5T'"]),
        ("at 5:", ["line 1", "no text"]),
        ("after 5: x", ["line 1", "its unit"]),
        ('on "": x', ["line 1", "empty"]),
        ("on login: x", ["line 1", "not an action"]),
        ("at 5: \\q", ["line 1", "\\q"]),
    ],
)
def test_a_script_that_makes_no_sense(cli: Cli, tmp_path: Path, echo: Path, script: str, words: list[str]) -> None:
    path = write(tmp_path / "script", script)
    done = cli("record", echo, "--input-script", path, "-o", tmp_path / "e.rrt")
    done.told(ExitCode.USAGE, str(path), *words, "at 1_000_000: text")
    assert not (tmp_path / "e.rrt").exists()


def test_a_script_that_is_not_reached_is_told(cli: Cli, tmp_path: Path, echo: Path) -> None:
    script = write(tmp_path / "script", 'at 10: !\non "never": x\n')
    done = cli("record", echo, "--input-script", script, "-o", tmp_path / "e.rrt")
    assert done.code == 5
    assert "line 2 of the script was never reached" in done.err


# ---- ends ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("until", "icount"), [("1_234_567", 1_234_567), ("20k", 20_000), ("1.5ms", 1_500_000), ("0", 0)]
)
def test_until_a_position(cli: Cli, tmp_path: Path, until: str, icount: int) -> None:
    image = write(tmp_path / "spin.elf", spinning())
    done = cli("record", image, "--until", until, "--json", "-o", tmp_path / "s.rrt")
    assert done.code == ExitCode.OK
    assert json.loads(done.out)["icount"] == icount
    assert json.loads(done.out)["reason"] == "until"


def test_until_output(cli: Cli, tmp_path: Path) -> None:
    image = write(tmp_path / "p.elf", printing("one\ntwo\nthree\n", 3))
    done = cli("record", image, "--until", "text:two\\n", "-o", tmp_path / "p.rrt")
    assert (done.code, done.out) == (0, b"one\ntwo\n")


def test_until_with_a_shift(cli: Cli, tmp_path: Path) -> None:
    image = write(tmp_path / "spin.elf", spinning())
    done = cli("record", image, "--shift", "3", "--until", "1ms", "--json", "-o", tmp_path / "s.rrt")
    assert (json.loads(done.out)["icount"], json.loads(done.out)["virtual_ns"]) == (125_000, 1_000_000)


def test_a_guest_that_sleeps_for_ever(cli: Cli, tmp_path: Path) -> None:
    done = cli("record", write(tmp_path / "s.elf", sleeping()), "-o", tmp_path / "s.rrt")
    assert done.code == ExitCode.IDLE
    assert "sleeps for ever" in done.err


def test_timeout_and_size_limits(cli: Cli, tmp_path: Path) -> None:
    image = write(tmp_path / "spin.elf", spinning())
    done = cli("record", image, "--timeout", "200ms", "--json", "-o", tmp_path / "t.rrt")
    assert done.code == ExitCode.LIMIT
    assert json.loads(done.out)["reason"] == "timeout"
    events(tmp_path / "t.rrt")
    typed = write(tmp_path / "typed", os.urandom(200_000).replace(b"!", b"?"))
    echo = write(tmp_path / "echo.elf", echoing())
    done = cli("record", echo, "--input", typed, "--max-size", "100k", "--json", "-o", tmp_path / "m.rrt")
    assert done.code == ExitCode.LIMIT
    assert json.loads(done.out)["reason"] == "max-size"
    assert os.path.getsize(tmp_path / "m.rrt") <= 100 << 10
    events(tmp_path / "m.rrt")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_signals_end_it_cleanly(name: str, tmp_path: Path) -> None:
    image = write(tmp_path / "spin.elf", spinning())
    process = subprocess.Popen(
        [*RRDBG, "record", str(image), "--no-input", "-o", str(tmp_path / "s.rrt")],
        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    while not (tmp_path / "s.rrt").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=120)
    assert process.returncode == ExitCode.INTERRUPTED
    assert b"Traceback" not in err
    assert b"interrupted" in err
    events(tmp_path / "s.rrt")


def test_a_reader_that_has_seen_enough(tmp_path: Path) -> None:
    """`rrdbg record ... | head -1`: the recording ends soon, and the trace is whole."""
    script = write(tmp_path / "echo", b"line\n" * 1000)
    echo = write(tmp_path / "echo.elf", echoing())
    read, wrote = os.pipe()
    process = subprocess.Popen(
        [*RRDBG, "record", str(echo), "--input", str(script), "-o", str(tmp_path / "e.rrt")],
        stdout=wrote, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(wrote)
    assert os.read(read, 1) == b"l"
    os.close(read)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 141
    assert b"Traceback" not in err
    assert b"nobody reads" in err
    events(tmp_path / "e.rrt")


# ---- devices ---------------------------------------------------------------------------------------------------------
def test_a_seed_makes_entropy_repeatable(cli: Cli, tmp_path: Path) -> None:
    journals = []
    for name, seed in (("a", "7"), ("b", "7"), ("c", "8")):
        options = ["--device", "virtio-rng", "--seed", seed, "--until", "2M", "-o", tmp_path / f"{name}.rrt"]
        assert cli("record", "guest:storm", *options).code == 0
        journals.append([event.payload for event in events(tmp_path / f"{name}.rrt")])
    assert journals[0] == journals[1] != journals[2]
    assert any(journals[0])


@pytest.mark.parametrize(
    ("spec", "code", "words"),
    [
        ("virtio-disk", ExitCode.USAGE, ["virtio-disk", "virtio-rng"]),
        ("virtio-rng,slot=8", ExitCode.USAGE, ["'8'", "0 to 0x7"]),
        ("virtio-rng,irq=3", ExitCode.USAGE, ["no option 'irq'", "slot"]),
        ("virtio-rng,slot", ExitCode.USAGE, ["key=value"]),
        ("missing.py:Thing@0x10010000", ExitCode.NOT_FOUND, ["missing.py"]),
        ("thing@0x10010000", ExitCode.NOT_FOUND, ["thing"]),
    ],
)
def test_a_device_that_there_is_not(
    cli: Cli, tmp_path: Path, echo: Path, spec: str, code: ExitCode, words: list[str]
) -> None:
    cli("record", echo, "--device", spec, "-o", tmp_path / "e.rrt").told(code, *words)


def test_a_device_of_ones_own(cli: Cli, tmp_path: Path) -> None:
    """The trace carries its source, and the guest finds it at its address."""
    source = """
from rrdbg_core.devices.contract import Device, DeviceState, field
class State(DeviceState):
    value = field(32, "Value", reset=7)
class Thing(Device):
    State = State
    mmio_size = 16
    access_sizes = (4,)
    def read(self, offset, size):
        return self.state.value
    def write(self, offset, size, value):
        self.state.value = value
"""
    device = write(tmp_path / "thing.py", source)
    program = """
        li t0, 0x10010000; lw t1, 0(t0)
        li t2, 0x100000; slli t1, t1, 16; li t3, 0x3333; or t1, t1, t3; sw t1, 0(t2)
    """
    image = write(tmp_path / "p.bin", assemble(program))
    spec = f"{device}:Thing@0x10010000,irq=12,name=seven"
    assert cli("record", image, "--device", spec, "-o", tmp_path / "p.rrt").code == 7
    trace = Trace.open(tmp_path / "p.rrt")
    (ref,) = trace.manifest.config.devices
    assert (ref.name, ref.kind, ref.irq, ref.source) == ("seven", "thing.py:Thing", 12, source)
    trace.close()
    # whoever gets the trace has to say that they trust the program in it
    run("verify", tmp_path / "p.rrt").told(ExitCode.USAGE, "thing.py:Thing", "--trust-devices")
    assert run("verify", "--trust-devices", tmp_path / "p.rrt").code == ExitCode.OK
