"""What `rrdbg record` does: from the command line's options to a trace, an exit code and a summary."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rrdbg_core import __version__
from rrdbg_core.checked import Invalid
from rrdbg_core.cpu import build
from rrdbg_core.devices.user import trust
from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.machine.config import DeviceRef, MachineConfig
from rrdbg_core.replay.console_input import BytesInput, ConsoleInput, HostInput
from rrdbg_core.replay.live import LiveSource
from rrdbg_core.replay.media import HostImage
from rrdbg_core.replay.recorder import Recording, Until, record
from rrdbg_core.replay.script import ScriptInput, parse_script, unescape

from rrdbg.cli import host, stats
from rrdbg.cli.boot import Boot, load
from rrdbg.cli.console import STDERR, STDOUT, Console
from rrdbg.cli.devices import added_devices
from rrdbg.cli.embedding import Embedded, embedded_sources
from rrdbg.cli.images import PREFIX, guest_sources, read_input, resolve_image
from rrdbg.cli.summary import exit_code, summary, summary_fields
from rrdbg.cli.terminal import Compiling
from rrdbg.cli.user import STDIN, User


@dataclass(frozen=True, slots=True)
class Plan:
    """What the options of `rrdbg record` ask for, all of it looked at: the image can be loaded, the script parsed."""

    args: argparse.Namespace
    """The options."""
    config: MachineConfig
    """The machine."""
    images: dict[str, bytes]
    """Content of its images by digest."""
    until: Until
    """Where it ends."""
    input: ConsoleInput
    """What is typed at the guest."""
    output: str
    """The trace."""
    sources: Embedded
    """Source files that it carries."""
    media: dict[str, HostImage] = field(default_factory=dict)
    """Disk images, by device."""

    def source(self, console: ConsoleInput, *, warp: bool) -> LiveSource:
        """Return where the events of the run come from."""
        media = {name: image.read for name, image in self.media.items()}
        return LiveSource(self.config, console, warp=warp, media=media)

    def record(self, source: LiveSource, **watchers: Any) -> Recording:
        """Record; `watchers` are callbacks and the like of `rrdbg_core.replay.recorder.record`."""
        args = self.args
        return record(
            self.config,
            self.images | self.sources.contents,
            source,
            self.output,
            force=args.force,
            max_bytes=args.max_size,
            until=self.until,
            timeout_s=None if args.timeout is None else args.timeout / 1e9,
            sources=self.sources.refs,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            creator=f"rrdbg {__version__}",
            **watchers,
        )


def plan(args: argparse.Namespace) -> Plan:
    """Return what the options ask for.

    Raises:
        RrdbgError: They make no sense, or a file that they name cannot be read.
    """
    loaded = load(args)
    added = added_devices(args.device, args.drive)
    config = _config(args, loaded, added.refs)
    until = _until(args.until)
    name = next(name for name in (args.image, args.kernel, args.bios) if name is not None)
    path = resolve_image(name)
    output = args.output or f"{path.stem}.rrt"
    bundled = guest_sources() if name.startswith(PREFIX) else None
    sources = Embedded()
    if args.embed_sources or bundled is not None:
        sources = embedded_sources(read_input(path, ExitCode.BAD_IMAGE), path, bundled)
    return Plan(args, config, loaded.contents, until, _console_input(args), output, sources, added.media)


def run_recording(args: argparse.Namespace) -> int:
    """Record as the options say, and return the exit code."""
    if args.tui:
        return _run_live(args)
    todo = plan(args)
    user = User(todo.input, Console(STDERR if args.json else STDOUT, progress=not args.quiet))
    with Compiling(quiet=args.quiet) as compiling:
        build.load(compiling.start)
    source = todo.source(user.input, warp=args.warp)
    with user.attached(source, quiet=args.quiet):
        result = todo.record(
            source,
            interrupt=user.wants_to_end,
            on_progress=user.on_progress,
            on_console=user.on_console,
            on_guest_error=user.on_guest_error,
        )
    reason = user.reason(result)
    if not args.quiet:
        for line in summary(result, reason, todo.output, user.first_error):
            user.console.say(f"rrdbg: {line}")
        if args.embed_sources:
            user.console.say(f"rrdbg: {todo.sources.text()}")
    if args.json:
        told = {"stats": stats.values(result.stats)} if args.stats else {}
        print(json.dumps(summary_fields(result, reason, todo.output) | told))
    elif args.stats:
        for line in stats.lines(result.stats):
            user.console.say(line)
    return exit_code(reason, result.ending.exit_code)


def _run_live(args: argparse.Namespace) -> int:
    """Record in a process of its own, and show it meanwhile."""
    if args.json or args.input == "-":
        option = "--json" if args.json else "--input -"
        raise RrdbgError(f"{option} makes no sense with --tui", hint="the screen is taken", exit_code=ExitCode.USAGE)
    from rrdbg.cli.live import COMMAND
    from rrdbg.session.live import Broken, LiveRecorder
    from rrdbg.tui.run import check_terminal

    check_terminal("without one, record without --tui; the trace can be walked afterwards")
    if args.theme is not None:
        from rrdbg.tui.themes import check_theme

        check_theme(args.theme)
    options = {name: value for name, value in vars(args).items() if not callable(value)}
    typed = isinstance(_console_input(args), HostInput)
    # whoever names a file with a device for the recorder vouches for it in the debugger as well
    files = [path for spec in args.device if (path := spec.partition(",")[0].rpartition("@")[0].rpartition(":")[0])]
    if files:
        trust(*files)
    with Compiling(quiet=args.quiet) as compiling:
        recorder = LiveRecorder(COMMAND, options, compiling.start)
        try:
            from rrdbg.tui.live import run_live  # while the recorder starts

            recorder.started()
        except BaseException:
            recorder.abandon()
            raise
    try:
        code = run_live(recorder, typing=typed, theme=args.theme)
    finally:
        outcome = recorder.close()
    if isinstance(outcome, Broken):
        raise outcome.error
    if not args.quiet:
        for line in outcome.lines:
            host.say(f"rrdbg: {line}")
    return code or outcome.exit_code


# ---- options ---------------------------------------------------------------------------------------------------------
def _config(args: argparse.Namespace, loaded: Boot, devices: Sequence[DeviceRef]) -> MachineConfig:
    try:
        return MachineConfig(
            isa="rv64gc",
            privilege="msu",
            firmware=loaded.firmware,
            device_tree=loaded.device_tree,
            next_stage=loaded.next_stage,
            ram_bytes=args.memory,
            shift=args.shift,
            seed=args.seed,
            rtc_base_ns=args.rtc_base,
            semihosting=args.image is not None and not args.no_semihosting,
            images=tuple(loaded.images),
            entry=loaded.entry,
            devices=tuple(devices),
        )
    except Invalid as error:
        option = {"ram_bytes": "--memory"}.get(error.where, f"--{error.where}")
        raise RrdbgError(f"{option} {error.value}: {error.what}", exit_code=ExitCode.USAGE) from error


def _until(what: tuple[str, int | str] | None) -> Until:
    match what:
        case ("icount", int(n)):
            return Until(icount=n)
        case ("virtual", int(ns)):
            return Until(virtual_ns=ns)
        case ("text", str(text)):
            try:
                return Until(pattern=unescape(text))
            except ValueError as error:
                raise RrdbgError(f"--until text:{text}: {error}", exit_code=ExitCode.USAGE) from error
    return Until()


def _console_input(args: argparse.Namespace) -> ConsoleInput:
    if args.no_input:
        return ConsoleInput()
    if args.input_script:
        text = read_input(Path(args.input_script), ExitCode.USAGE)
        try:
            return ScriptInput(parse_script(text.decode(), args.input_script))
        except UnicodeDecodeError as error:
            raise RrdbgError(f"{args.input_script}: not UTF-8 text", exit_code=ExitCode.USAGE) from error
    if args.input and args.input != "-":
        return BytesInput(read_input(Path(args.input), ExitCode.USAGE))
    if not args.tui and host.is_repeatable(STDIN):
        return BytesInput(host.read_all(STDIN))
    return HostInput()
