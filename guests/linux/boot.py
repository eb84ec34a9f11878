"""Record a boot of Debian's Linux and open it: `python guests/linux/boot.py`, or `make linux`.

Fetches what it needs first (see fetch.py). On a terminal, the guest's shell is yours, and the terminal interface opens
when the guest has powered off; without one, a script is typed. With --check the recording is verified with random
pauses and without the disk that it was made with, once with the built-in firmware and once with OpenSBI: the test.
Then walk.py goes from what the console shows back to the programs, also in a boot that runs teller.c.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from apt import FetchError
from fetch import HERE, SUITE, fetch
from walk import Lost, walk_gdb, walk_program, walk_shell

MEMORY = "256M"
DISK_BYTES = 16 << 20
TYPED = r"""on "~ # ": uname -a\n
on "~ # ": mount\n
on "~ # ": echo written by the guest > /mnt/note; cat /mnt/note\n
on "~ # ": head -c 16 /dev/hwrng | wc -c\n
on "~ # ": poweroff -f\n
"""
EXPECTED = ("is mounted at /mnt", "written by the guest\r\n", "\r\n16\r\n", "reboot: Power down")
"""What the guest has to print, the script being typed."""
WITHOUT_DISK = EXPECTED[2:]
TIMEOUT = "600s"
COMPILER = (
    "riscv64-unknown-elf-gcc",
    "-march=rv64gc",
    "-mabi=lp64d",
    "-O1",
    "-g",
    "-ffreestanding",
    "-nostdlib",
    "-static",
)
COMPILER += ("-Wl,--no-relax", "-Wl,-e,start")  # nobody sets gp


class Failed(Exception):
    """A step did not do what it should; the text says which."""


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--into", type=Path, default=HERE / "build", help="folder of what is fetched and recorded")
    parser.add_argument("--suite", default=SUITE, help=f"Debian's release ({SUITE})")
    parser.add_argument("--program", type=Path, metavar="FILE", help="a static program for /init to run, not a shell")
    parser.add_argument("--offline", action="store_true", help="use what was fetched before")
    parser.add_argument("--opensbi", action="store_true", help="boot through OpenSBI, not the built-in firmware")
    parser.add_argument("--check", action="store_true", help="record and verify, with both firmwares")
    parser.add_argument("--pauses", type=int, default=100, metavar="N", help="random pauses of --check (100)")
    args = parser.parse_args()
    try:
        fetch(args.into, args.suite, args.program, offline=args.offline)
        if args.check:
            for opensbi in (False, True):
                _check(args, opensbi=opensbi)
            _check_program(args)
        else:
            _show(args)
    except (FetchError, Failed, Lost) as error:
        print(f"boot.py: {error}", file=sys.stderr)
        return 1
    return 0


def _disk(folder: Path) -> Path | None:
    """Return a fresh ext4 image; None where there is no mkfs.ext4."""
    mkfs = shutil.which("mkfs.ext4") or shutil.which("mkfs.ext4", path="/usr/sbin:/sbin")
    if mkfs is None:
        print("boot.py: no mkfs.ext4 here (Debian: e2fsprogs): the guest gets no disk", file=sys.stderr)
        return None
    path = folder / "disk.img"
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        file.truncate(DISK_BYTES)
    subprocess.run([mkfs, "-q", "-F", path], check=True)
    return path


def _recording(args: argparse.Namespace, trace: Path, disk: Path | None, *, opensbi: bool) -> list[str | Path]:
    """Return the command that records the boot."""
    command: list[str | Path] = ["record", "--kernel", args.into / "Image", "--initrd", args.into / "initramfs.cpio.gz"]
    command += ["--append", "console=ttyS0", "--memory", MEMORY, "--device", "virtio-rng", "-f", "-o", trace]
    if opensbi:
        command += ["--bios", args.into / "fw_dynamic.bin"]
    if disk is not None:
        command += ["--drive", f"file={disk}"]
    return command


def _show(args: argparse.Namespace) -> None:
    """Record, and open the recording."""
    trace, typed = args.into / "linux.rrt", args.into / "keys.txt"
    typed.write_text(TYPED)
    at_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    command = _recording(args, trace, _disk(args.into), opensbi=args.opensbi)
    if not at_terminal and args.program is None:
        command += ["--input-script", typed, "--timeout", TIMEOUT]
    _rrdbg(command)
    _rrdbg(["tui" if at_terminal else "info", trace])


def _check(args: argparse.Namespace, *, opensbi: bool) -> None:
    """Record the boot, and see that the recording is what it should be.

    Raises:
        Failed: It is not.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        disk, trace, typed = _disk(folder), folder / "linux.rrt", folder / "keys.txt"
        typed.write_text(TYPED)
        command = _recording(args, trace, disk, opensbi=opensbi)
        command += ["--input-script", typed, "--timeout", TIMEOUT]
        printed = _rrdbg(command, capture=True)
        expected = WITHOUT_DISK if disk is None else EXPECTED
        missing = [text for text in expected if text not in printed]
        if missing:
            print(printed, file=sys.stderr)
            raise Failed(f"the guest did not print {missing[0]!r}")
        if disk is not None:
            disk.unlink()  # the trace has what it needs of it
        print(f"boot.py: Linux through {'OpenSBI' if opensbi else 'the built-in firmware'}", flush=True)
        _rrdbg(["verify", trace, "--pauses", str(args.pauses)])
        walk_shell(trace, has_disk=disk is not None)


def _check_program(args: argparse.Namespace) -> None:
    """Record a boot that runs a program compiled here, and walk through it.

    Raises:
        Failed: There is no compiler, or the program does not do what it should.
    """
    if shutil.which(COMPILER[0]) is None:
        raise Failed(f"{COMPILER[0]} is not installed (Debian: gcc-riscv64-unknown-elf): it compiles teller.c")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program, trace = folder / "teller", folder / "linux.rrt"
        subprocess.run([*COMPILER, "-o", program, HERE / "teller.c"], check=True)
        fetch(args.into, args.suite, program, offline=True)
        print("boot.py: Linux with a program of its own", flush=True)
        printed = _rrdbg([*_recording(args, trace, None, opensbi=False), "--timeout", TIMEOUT], capture=True)
        if "init: the program ended with exit code 7" not in printed:
            print(printed, file=sys.stderr)
            raise Failed("the program did not end with exit code 7")
        walk_program(trace, program)
        walk_gdb(trace, program)
    fetch(args.into, args.suite, args.program, offline=True)


def _rrdbg(command: Sequence[str | Path], *, capture: bool = False) -> str:
    """Run a command of rrdbg and return what it printed, if that is wanted.

    Raises:
        Failed: Its exit code is not 0.
    """
    line = [sys.executable, "-m", "rrdbg", *map(str, command)]
    done = subprocess.run(line, check=False, stdout=subprocess.PIPE if capture else None)
    if done.returncode:
        raise Failed(f"`rrdbg {command[0]}` ended with exit code {done.returncode}")
    return (done.stdout or b"").decode(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
