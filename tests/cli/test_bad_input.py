"""What users get wrong and what hosts do: one clear message, the right exit code, no traceback, nothing lost."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rrdbg_core.errors import ExitCode
from rrdbg_core.trace import Trace

from tests.cli.programs import BASE, echoing, elf, intel_hex, printing, spinning, write
from tests.cli.support import RRDBG, Cli, Terminal, run

GOOD = printing("hello\n")
CODE = GOOD[120:]


# ---- images ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", b"just text\n", ["not an ELF", "--load-address"]),
        ("empty.elf", b"", ["not an ELF"]),
        ("empty.bin", b"", ["empty"]),
        ("a.elf", elf(CODE, klass=1), ["32-bit", "RV64"]),
        ("a.elf", elf(CODE, data=2), ["big-endian"]),
        ("a.elf", elf(CODE, machine=62), ["machine 62", "RISC-V"]),
        ("a.elf", elf(CODE, kind=1), ["not an executable", "link"]),
        ("a.elf", elf(CODE, phnum=0), ["no program headers"]),
        ("a.elf", elf(CODE, segment=0), ["no segment"]),
        ("a.elf", elf(CODE, address=0x1000), ["in RAM", "0x80000000"]),
        ("a.elf", elf(CODE, address=BASE + (127 << 20), memory=2 << 20), ["outside RAM", "--memory"]),
        ("a.elf", elf(CODE, address=BASE + 4096, entry=0x1000), ["0x1000", "RAM"]),
        ("a.elf", elf(CODE, address=BASE + 4096, entry=BASE + 4097), ["0x80001001"]),
        ("a.hex", intel_hex(CODE).replace(":10", ":11", 1).encode(), ["line 2", "checksum"]),
        ("a.hex", b":00000001FF\n", ["no data"]),
        ("a.hex", b":nothing\n", ["line 1"]),
    ],
)
def test_an_image_that_cannot_run(cli: Cli, tmp_path: Path, name: str, content: bytes, words: list[str]) -> None:
    image = write(tmp_path / name, content)
    cli("record", image, "-o", tmp_path / "t.rrt").told(ExitCode.BAD_IMAGE, *words)
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("size", [1, 4, 16, 52, 63, 64, 100, 119, 120, len(GOOD) // 2 + 60, len(GOOD) - 1])
def test_a_truncated_elf(cli: Cli, tmp_path: Path, size: int) -> None:
    image = write(tmp_path / "a.elf", GOOD[:size])
    cli("record", image, "-o", tmp_path / "t.rrt").told(ExitCode.BAD_IMAGE, "a.elf")
    assert os.listdir(tmp_path) == ["a.elf"]


def test_an_elf_with_any_byte_changed_runs_or_is_refused(cli: Cli, tmp_path: Path) -> None:
    """No header, however odd, is an accident of ours."""
    for at in range(120):
        spoilt = bytearray(GOOD)
        spoilt[at] ^= 0xFF
        image = write(tmp_path / "a.elf", bytes(spoilt))
        done = cli("record", image, "--until", "1000", "-f", "-o", tmp_path / "t.rrt")
        assert "Traceback" not in done.err
        assert done.code in (0, ExitCode.BAD_IMAGE, ExitCode.USAGE), (at, done)


def test_images_that_are_not_there(cli: Cli, tmp_path: Path) -> None:
    cli("record", tmp_path / "no.elf").told(ExitCode.NOT_FOUND, "no.elf", "no such file")
    cli("record", tmp_path).told(ExitCode.BAD_IMAGE, "is a directory")
    cli("record", "guest:no").told(ExitCode.NOT_FOUND, "'no'", "rrdbg guests")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--memory", "3000"], ["--memory 3000"]),
        (["--memory", "65G"], ["--memory"]),
        (["--shift", "11"], ["--shift 11"]),
        (["--until", "text:\\q"], ["\\q"]),
        (["--input", "no/file"], ["no/file"]),
        (["--entry", "0x1000"], ["0x1000", "RAM"]),
        (["--load-address", "0x80000000"], ["is an ELF", "--load-address"]),
    ],
)
def test_options_out_of_range(cli: Cli, tmp_path: Path, options: list[str], words: list[str]) -> None:
    image = write(tmp_path / "a.elf", GOOD)
    code = {"--input": ExitCode.NOT_FOUND, "--entry": ExitCode.BAD_IMAGE}.get(options[0], ExitCode.USAGE)
    cli("record", image, *options, "-o", tmp_path / "t.rrt").told(code, *words)


# ---- traces ----------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a good trace of a bundled guest."""
    path = tmp_path_factory.mktemp("trace") / "hello.rrt"
    assert run("record", "guest:hello", "-q", "-o", path).code == 0
    return path


READERS = [
    ["verify"],
    ["info"],
    ["events"],
    ["dump"],
    ["export"],
    ["replay", "-batch", "-ex", "when"],
]


@pytest.mark.parametrize("command", READERS, ids=lambda words: words[0])
@pytest.mark.parametrize("fault", ["empty", "foreign", "header", "newer", "image"])
def test_a_trace_that_cannot_be_read(cli: Cli, tmp_path: Path, recorded: Path, command: list[str], fault: str) -> None:
    content = recorded.read_bytes()
    spoilt = {
        "empty": b"",
        "foreign": b"PK\x03\x04" + bytes(1000),
        "header": content[:20],
        "newer": content[:8] + b"\xff" + content[9:],
        "image": content[:200],
    }[fault]
    path = write(tmp_path / "t.rrt", spoilt)
    if (command, fault) == (["dump"], "image"):
        return  # shows what is left of a trace, in whatever state
    cli(*command, path).told(ExitCode.BAD_TRACE, "t.rrt")
    assert path.read_bytes() == spoilt


@pytest.mark.parametrize("command", READERS, ids=lambda words: words[0])
def test_a_trace_that_is_not_there(cli: Cli, tmp_path: Path, command: list[str]) -> None:
    cli(*command, tmp_path / "no.rrt").told(ExitCode.NOT_FOUND, "no.rrt")
    done = cli(*command, tmp_path)
    assert done.code != 0
    assert "Traceback" not in done.err
    assert "directory" in done.err


def test_a_damaged_tail_is_told_and_the_rest_verifies(cli: Cli, tmp_path: Path, recorded: Path) -> None:
    content = recorded.read_bytes()
    path = write(tmp_path / "t.rrt", content[:-10])
    done = cli("verify", path)
    assert done.code == ExitCode.OK
    assert "Traceback" not in done.err
    assert "rrdbg: " in done.err


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("break no_such_function", ["no_such_function"]),
        ("goto @no_such_bookmark", ["no_such_bookmark"]),
        ("goto #99", ["99"]),
        ("print no_such_symbol", ["no_such_symbol"]),
    ],
)
def test_names_that_the_trace_does_not_know(cli: Cli, recorded: Path, command: str, words: list[str]) -> None:
    cli("replay", recorded, "-batch", "-ex", command).told(ExitCode.NOT_FOUND, *words)


@pytest.mark.parametrize("command", ["goto 10G", "goto nonsense:", "fly"])
def test_commands_that_make_no_sense(cli: Cli, recorded: Path, command: str) -> None:
    done = cli("replay", recorded, "-batch", "-ex", command)
    assert done.code in (ExitCode.USAGE, ExitCode.NOT_FOUND)
    assert "Traceback" not in done.err


# ---- the host --------------------------------------------------------------------------------------------------------
def test_a_full_disk(tmp_path: Path) -> None:
    """The prefix that fits replays, all but what was not promised yet, and the exit code is not the guest's."""
    path = tmp_path / "t.rrt"
    image = write(tmp_path / "echo.elf", echoing())
    typed = write(tmp_path / "typed", os.urandom(300_000).replace(b"!", b"?"))  # seconds of recording

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))

    done = run("record", image, "--input", typed, "--json", "-o", path, preexec_fn=limit)
    replace(done, err=done.err[done.err.rindex("rrdbg: ") :]).told(ExitCode.HOST_IO, "t.rrt")
    assert path.stat().st_size <= 150_000
    trace = Trace.open(path)
    assert trace.end_icount > 0
    trace.close()
    assert run("verify", path).code == ExitCode.OK


def test_no_room_for_the_first_byte(tmp_path: Path) -> None:
    image = write(tmp_path / "a.elf", GOOD)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    run("record", image, "-o", tmp_path / "t.rrt", preexec_fn=limit).told(ExitCode.HOST_IO, "t.rrt")
    assert not (tmp_path / "t.rrt").exists()


def test_an_output_that_exists_is_kept(cli: Cli, tmp_path: Path) -> None:
    image = write(tmp_path / "a.elf", GOOD)
    path = write(tmp_path / "t.rrt", b"precious")
    cli("record", image, "-o", path).told(ExitCode.USAGE, "t.rrt", "--force")
    assert path.read_bytes() == b"precious"
    assert cli("record", image, "--force", "-o", path).code == 0
    assert cli("verify", path).code == ExitCode.OK


def test_a_recording_that_fails_keeps_what_it_should_replace(cli: Cli, tmp_path: Path) -> None:
    path = write(tmp_path / "t.rrt", b"precious")
    image = write(tmp_path / "a.elf", elf(CODE, address=0x1000))
    cli("record", image, "--force", "-o", path).told(ExitCode.BAD_IMAGE, "in RAM")
    assert path.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("output", "code"), [("no/t.rrt", ExitCode.NOT_FOUND), ("a.elf/t.rrt", ExitCode.NOT_FOUND), (".", ExitCode.USAGE)]
)
def test_an_output_that_cannot_be_written(cli: Cli, tmp_path: Path, output: str, code: ExitCode) -> None:
    image = write(tmp_path / "a.elf", GOOD)
    cli("record", image, "-o", tmp_path / output).told(code)


def test_a_folder_without_permission(cli: Cli, tmp_path: Path) -> None:
    image = write(tmp_path / "a.elf", GOOD)
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    if os.geteuid() == 0:  # whom only a file system of another kind refuses
        folder = Path("/sys")
    cli("record", image, "-o", folder / "t.rrt").told(ExitCode.HOST_IO, "t.rrt")


def test_a_cache_that_others_can_write(tmp_path: Path) -> None:
    """What lies there is executed."""
    image = write(tmp_path / "a.elf", GOOD)
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels").chmod(0o777)
    done = run("record", image, "-o", tmp_path / "t.rrt", env=os.environ | {"RRDBG_CACHE": str(tmp_path)})
    done.told(ExitCode.HOST_IO, f"{tmp_path}/kernels", "RRDBG_CACHE")


@pytest.mark.slow
def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    """The guest CPU is compiled each time then, and everything works."""
    image = write(tmp_path / "a.elf", GOOD)
    env = os.environ | {"RRDBG_CACHE": "/proc/nowhere"}
    done = run("record", image, "-o", tmp_path / "t.rrt", env=env, timeout=300)
    assert (done.code, done.out) == (0, b"hello\n")
    assert "/proc/nowhere" in done.err
    assert "compiling the guest CPU" in done.err


def test_no_home(tmp_path: Path) -> None:
    """Without HOME the user's entry in the password file says where the cache is."""
    image = write(tmp_path / "a.elf", GOOD)
    env = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME")}
    assert run("record", image, "-q", "-o", tmp_path / "t.rrt", env=env).out == b"hello\n"


def test_no_terminal_for_the_tui(cli: Cli, recorded: Path) -> None:
    cli("tui", recorded).told(ExitCode.HOST_IO, "terminal", "rrdbg replay")


def test_no_trace_for_the_tui(tmp_path: Path) -> None:
    with Terminal("tui", tmp_path / "no.rrt") as user:
        assert user.end() == ExitCode.NOT_FOUND
        assert user.restored()
        assert b"no.rrt" in user.seen


@pytest.mark.parametrize("command", [["commands", "--markdown"], ["completion", "bash"], ["guests"]])
def test_a_reader_that_is_gone(command: list[str]) -> None:
    """`rrdbg ... | true`: no complaint, neither from us nor from Python at exit."""
    read, wrote = os.pipe()
    os.close(read)
    done = subprocess.run([*RRDBG, *command], stdout=wrote, stderr=subprocess.PIPE, check=False)
    os.close(wrote)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_full_disk_behind_stdout() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*RRDBG, "guests"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == ExitCode.HOST_IO
    assert done.stderr.decode().startswith("rrdbg: ")
    assert b"Traceback" not in done.stderr


def test_a_full_disk_behind_an_export(tmp_path: Path) -> None:
    image = write(tmp_path / "a.elf", printing("a line for the console\n" * 40))
    trace = str(tmp_path / "t.rrt")
    subprocess.run([*RRDBG, "record", str(image), "-o", trace], capture_output=True, check=True)
    done = subprocess.run([*RRDBG, "export", trace, "-o", "/dev/full"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (ExitCode.HOST_IO, b"rrdbg: /dev/full: No space left on device\n")


def test_closed_standard_streams_never_hit_the_trace(tmp_path: Path) -> None:
    """With 0, 1 and 2 closed, the first files that a program opens get these numbers, and what it prints."""
    image = write(tmp_path / "a.elf", printing("a line for the console\n" * 40))
    words = [*RRDBG, "record", str(image), "-o", str(tmp_path / "t.rrt")]
    shell = " ".join(f"'{word}'" for word in words) + " <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", shell], check=False).returncode == 0
    trace = Trace.open(tmp_path / "t.rrt")
    assert trace.damage == ""
    trace.close()


def test_an_interrupt_while_starting() -> None:
    """Ctrl-C before anything happened: a word, no traceback."""
    code = (
        "import os, signal, rrdbg.cli.main as m\n"
        "m.build_parser = lambda names: os.kill(os.getpid(), signal.SIGINT) or __import__('time').sleep(5)\n"
        "raise SystemExit(m.main(['guests']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (ExitCode.INTERRUPTED, "rrdbg: interrupted\n")


@pytest.mark.parametrize("module", ["argparse", "rrdbg.cli.main", "rrdbg.cli.info"])
def test_an_interrupt_while_it_is_imported(module: str) -> None:
    """Whatever is being imported: no traceback. (Before `rrdbg.cli.start` is, Python has the word.)"""
    code = (
        "import os, signal, sys\n"
        "class Interrupts:\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.modules.pop('argparse', None)\n"
        "sys.meta_path.insert(0, Interrupts())\n"
        "from rrdbg.cli.start import main\n"
        "raise SystemExit(main(['info', 'nothing.rrt']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.INTERRUPTED
    assert done.stderr in ("", "rrdbg: interrupted\n")


def test_next_to_nothing_is_imported_before_an_interrupt_is_quiet() -> None:
    code = (
        "import sys, os, signal; before = set(sys.modules); import rrdbg.cli.start;"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    allowed = {"__future__", "collections.abc", "rrdbg", "rrdbg.cli", "rrdbg.cli.start", "rrdbg_core"}
    assert set(done.stdout.split()) <= allowed


def test_more_ram_than_the_host_has(tmp_path: Path) -> None:
    image = write(tmp_path / "spin.elf", spinning())

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))

    done = run("record", image, "--memory", "8G", "-o", tmp_path / "t.rrt", preexec_fn=limit)
    done.told(ExitCode.HOST_IO, "memory")
