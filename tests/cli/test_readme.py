"""What README and docs show is what rrdbg does."""

from __future__ import annotations

import contextlib
import io
import re
import textwrap
from pathlib import Path

import pytest
from rrdbg_core.errors import ExitCode

from rrdbg.cli.main import SUBCOMMANDS, build_parser
from tests.bugs.transcript import refreshed
from tests.cli.support import Cli

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "guests" / "README.md", *DOCS]


def anchors(text: str) -> set[str]:
    """Return what links within a page may name: its headings, as GitHub spells them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    for link in links:
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


def test_every_page_is_linked() -> None:
    """From the README, or from a page that is."""
    reached, new = set(), {ROOT / "README.md"}
    while new:
        page = new.pop()
        reached.add(page)
        links = re.findall(r"\]\(([^)\s#]+\.md)[^)]*\)", page.read_text(encoding="utf-8"))
        new |= {(page.parent / link).resolve() for link in links if "://" not in link} - reached
    assert set(DOCS) <= reached


def test_every_exit_code_is_in_the_readme_and_in_the_help() -> None:
    table = dict(re.findall(r"^\| (\d+) \| (.+) \|$", README, re.MULTILINE))
    epilog = build_parser().epilog or ""
    for code in ExitCode:
        assert str(code.value) in table
        assert re.search(rf"\b{code.value}\b", epilog), code


def test_every_command_is_in_the_readme() -> None:
    for name in SUBCOMMANDS:
        assert re.search(rf"`(rrdbg )?{name.replace('_', '-')}\b", README), name


def test_the_tour_is_what_happens() -> None:
    """Every line in it comes out of the commands; host time and file size may differ."""
    assert refreshed(README) == README, "python -m tests.bugs.transcript README.md writes it anew"


def test_the_python_in_it_runs(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("record", "guest:heap").code == 1
    program = README[README.index("    import rrdbg\n") :].partition("\n\n## ")[0]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(compile(textwrap.dedent(program), "README.md", "exec"), {})
    assert "copy_name" in said.getvalue()
