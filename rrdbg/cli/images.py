"""Where guest images come from: a path, or a guest that rrdbg brings along (`guest:hello`)."""

from __future__ import annotations

from pathlib import Path

from rrdbg_core.errors import ExitCode, RrdbgError

PREFIX = "guest:"


def _folder() -> Path | None:
    package = Path(__file__).resolve().parents[1]
    # a wheel carries them inside the package, a checkout keeps them where they are built
    folders = (package / "_guests", package.parent / "guests" / "bin")
    return next((folder for folder in folders if folder.is_dir()), None)


def guest_sources() -> Path | None:
    """Return the folder that the sources of the bundled guests lie in; None if they are not there."""
    package = Path(__file__).resolve().parents[1]
    folders = (package / "_guests" / "sources", package.parent / "guests")
    return next((folder for folder in folders if (folder / "lib").is_dir()), None)


def bundled_guests() -> dict[str, Path]:
    """Return the guests that rrdbg brings along: name to ELF.

    Those of tests are called tiny/NAME, those of benchmarks bench/NAME.
    """
    folder = _folder()
    if folder is None:
        return {}
    found = {path.relative_to(folder).with_suffix("").as_posix(): path for path in folder.rglob("*.elf")}
    return dict(sorted(found.items(), key=lambda item: ("/" in item[0], item[0])))


def purposes() -> dict[str, str]:
    """Return what each bundled guest is for, in a few words, as far as their manifest says."""
    import json

    folder = _folder()
    try:
        rows = json.loads((folder / "MANIFEST.json").read_text(encoding="utf-8"))["guests"] if folder else []
    except (OSError, ValueError, KeyError):
        return {}
    return {row["name"]: row["purpose"] for row in rows}


def resolve_image(name: str) -> Path:
    """Return the path of an image named on the command line.

    Raises:
        RrdbgError: There is no such bundled guest.
    """
    if not name.startswith(PREFIX):
        return Path(name)
    guests = bundled_guests()
    wanted = name.removeprefix(PREFIX)
    if wanted not in guests:
        raise RrdbgError(
            f"no bundled guest is called {wanted!r}",
            hint="`rrdbg guests` lists them",
            exit_code=ExitCode.NOT_FOUND,
        )
    return guests[wanted]


def read_input(path: Path, code: ExitCode) -> bytes:
    """Return the content of an input file.

    Args:
        path: The file.
        code: Exit code if it is no file; BAD_IMAGE for one that a bundled guest could stand for.

    Raises:
        RrdbgError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        hint = f"bundled guests are called {PREFIX}NAME; `rrdbg guests` lists them"
        raise RrdbgError(
            f"{path}: no such file", hint=hint if code == ExitCode.BAD_IMAGE else None, exit_code=ExitCode.NOT_FOUND
        ) from error
    except IsADirectoryError as error:
        raise RrdbgError(f"{path} is a directory", exit_code=code) from error
    except OSError as error:
        raise RrdbgError(f"cannot read {path}: {error.strerror}", exit_code=ExitCode.HOST_IO) from error
