"""Packages of another Debian release and architecture, through this machine's own apt.

A directory of its own holds apt's lists, caches and state. The mirrors are this machine's, with the release replaced;
proxies, credentials and keys are this machine's as well. Its own sources and packages are only read.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ETC = Path("/etc/apt")
FALLBACK = "http://deb.debian.org/debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
TOOLS = {"apt-get": "apt", "apt-cache": "apt", "dpkg-deb": "dpkg"}


class FetchError(Exception):
    """Something cannot be had; the text says what, and what to try."""


@dataclass(frozen=True)
class Mirror:
    """Where packages come from."""

    uri: str
    """The archive."""
    signed_by: str
    """File with its keys, or "" for those that apt trusts anyway."""


def mirrors(etc: Path = ETC) -> list[Mirror]:
    """Return the archives of Debian itself that this machine uses, or the public one if it uses none."""
    found = [mirror for mirror in _configured(etc) if mirror.uri.rstrip("/").rpartition("/")[2] == "debian"]
    return list(dict.fromkeys(found)) or [Mirror(FALLBACK, str(KEYRING) if KEYRING.exists() else "")]


def _configured(etc: Path) -> Iterator[Mirror]:
    files = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]
    for file in files:
        if not file.is_file():
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        if file.suffix == ".list":
            yield from _lines(text)
        elif file.suffix == ".sources":
            yield from _stanzas(text)


def _lines(text: str) -> Iterator[Mirror]:
    """Yield what a file of lines lists: deb [signed-by=KEYS arch=...] URI SUITE COMPONENT..."""
    for line in text.splitlines():
        words = line.partition("#")[0].replace("[", " [ ").replace("]", " ] ").split()
        if not words or words[0] != "deb":
            continue
        options: list[str] = []
        if words[1:2] == ["["] and "]" in words:
            end = words.index("]")
            options, words = words[2:end], [words[0], *words[end + 1 :]]
        keys = next((option.partition("=")[2] for option in options if option.startswith("signed-by=")), "")
        if len(words) > 3 and "main" in words[3:]:
            yield Mirror(words[1], keys)


def _stanzas(text: str) -> Iterator[Mirror]:
    """Yield what a file of stanzas lists (deb822)."""
    for stanza in text.split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in (" ", "\t"):
                fields[name] = f"{fields.get(name, '')} {line.strip()}"
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.lower()
                fields[name] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes") in ("no", "false"):
            continue
        keys = fields.get("signed-by", "")
        if "main" in fields.get("components", "").split():
            for uri in fields.get("uris", "").split():
                yield Mirror(uri, keys if keys.startswith("/") else "")


class Apt:
    """An apt of its own in a directory.

    Args:
        root: The directory; it is made if it is not there.
        suite: Name of the release, such as trixie.
        architecture: As Debian calls it.

    Raises:
        FetchError: This machine has no apt.
    """

    def __init__(self, root: Path, suite: str, architecture: str) -> None:
        for tool, package in TOOLS.items():
            if shutil.which(tool) is None:
                raise FetchError(f"{tool} is not installed: packages come through apt (Debian's package {package})")
        self.root = root.resolve()
        self.suite, self.architecture = suite, architecture
        for folder in ("lists/partial", "cache/archives/partial", "preferences.d", "parts", "packages"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / "status").touch()
        lines = []
        for mirror in mirrors():
            options = f"arch={architecture}" + (f" signed-by={mirror.signed_by}" if mirror.signed_by else "")
            lines.append(f"deb [{options}] {mirror.uri} {suite} main\n")
        (self.root / "sources.list").write_text("".join(lines), encoding="utf-8")

    def _options(self) -> list[str]:
        root = self.root
        settings = {
            "Dir::State": root,
            "Dir::State::lists": root / "lists",
            "Dir::State::status": root / "status",
            "Dir::Cache": root / "cache",
            "Dir::Etc::sourcelist": root / "sources.list",
            "Dir::Etc::sourceparts": root / "parts",
            "Dir::Etc::preferences": root / "preferences",
            "Dir::Etc::preferencesparts": root / "preferences.d",
            "APT::Architecture": self.architecture,
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
            "Acquire::Retries": "2",
        }
        # lists are replaced as a whole only this way
        return ["-o", f"APT::Architectures::={self.architecture}", *_pairs(settings)]

    def _run(self, tool: str, *args: str, what: str) -> str:
        environment = os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(
            [tool, *self._options(), *args],
            cwd=self.root / "packages",
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
        if done.returncode:
            told = [line for line in done.stderr.splitlines() if line.startswith(("E:", "Err:"))]
            raise FetchError(f"{what}: {' '.join(told[:3]) or f'{tool} failed with exit code {done.returncode}'}")
        return done.stdout

    def update(self) -> None:
        """Fetch the lists of packages.

        Raises:
            FetchError: They cannot be had.
        """
        options = ["-o", "APT::Update::Error-Mode=any", "-qq", "update"]
        self._run("apt-get", *options, what=f"no lists of Debian {self.suite} ({self.architecture})")

    def version(self, package: str) -> str:
        """Return the version of a package that would be fetched.

        Raises:
            FetchError: There is none.
        """
        for line in self._run("apt-cache", "policy", package, what=f"nothing is known of {package}").splitlines():
            key, _, value = line.strip().partition(": ")
            if key == "Candidate" and value != "(none)":
                return value
        raise FetchError(f"Debian {self.suite} has no package {package} for {self.architecture}")

    def depends(self, package: str) -> list[str]:
        """Return the names of the packages that a package depends on."""
        text = self._run("apt-cache", "depends", "--important", package, what=f"nothing is known of {package}")
        return [line.split(":", 1)[1].strip() for line in text.splitlines() if line.strip().startswith("Depends:")]

    def fetch(self, packages: Sequence[str]) -> list[Path]:
        """Download packages, unless they are there already, and return their files.

        Raises:
            FetchError: They cannot be had.
        """
        folder = self.root / "packages"
        self._run("apt-get", "-qq", "download", *packages, what=f"cannot download {', '.join(packages)}")
        files = []
        for package in packages:
            version = self.version(package).replace(":", "%3a")
            found = sorted(folder.glob(f"{package}_{version}_*.deb"))
            if not found:
                raise FetchError(f"apt-get said nothing, and {package} {version} is not in {folder}")
            files.append(found[-1])
        return files


def _pairs(settings: dict[str, object]) -> list[str]:
    return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]


def unpack(package: Path, into: Path) -> None:
    """Unpack the files of a package.

    Raises:
        FetchError: It is none.
    """
    into.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["dpkg-deb", "-x", package, into], capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise FetchError(f"cannot unpack {package.name}: {done.stderr.strip()}")
