"""Where guest images come from: a path, or a guest that rrdbg brings along (`guest:hello`)."""

from __future__ import annotations

from pathlib import Path

from rrdbg_core.errors import ExitCode, RrdbgError

PREFIX = "guest:"


def bundled_guests() -> dict[str, Path]:
    """Return the guests that rrdbg brings along: name to ELF."""
    package = Path(__file__).resolve().parents[1]
    # a wheel carries them inside the package, a checkout keeps them where they are built
    for folder in (package / "_guests", package.parent / "guests" / "bin"):
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.glob("*.elf"))}
    return {}


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
