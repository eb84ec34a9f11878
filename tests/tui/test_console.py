"""The console: colours, rows, searching, and the step behind each character."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.color import Color

from rrdbg.session.values import ConsoleChunk
from rrdbg.tui.ansi import PLAIN, Look, Transcript, cells, changed, rows
from rrdbg.tui.panes.console import ConsolePane
from tests.tui.fake import FakeSession
from tests.tui.helpers import running

PLAIN_PIECES = [b"a", b"Zebra ", b"\n", b"\r\n", b"\r", b"\t", "é漢".encode(), b"\xff", b"\x00", b"\x9b"]
COLOURS = [b"\x1b[31m", b"\x1b[1;48;5;200mx", b"\x1b[0m"]
CONTROLS = [b"\x1b[2J", b"\x1b]0;title\x07", b"\x1b(B", b"\x1b", b"\x1b[", b"\x1bP1$q\x1b\\"]
pieces = st.sampled_from([*PLAIN_PIECES, *COLOURS, *CONTROLS])
outputs = st.lists(pieces, max_size=40).map(b"".join)


def test_colours_are_obeyed() -> None:
    assert changed(PLAIN, b"\x1b[1;31m") == Look(color=Color.from_ansi(1), bold=True)
    assert changed(PLAIN, b"\x1b[38;2;1;2;3;103m") == Look(color=Color.from_rgb(1, 2, 3), back=Color.from_ansi(11))
    assert changed(changed(PLAIN, b"\x1b[7;97;44m"), b"\x1b[27;39m") == Look(back=Color.from_ansi(4))
    assert changed(Look(bold=True), b"\x1b[m") == PLAIN
    assert changed(Look(bold=True), b"\x1b[2J") == Look(bold=True)
    assert changed(Look(bold=True), b"\x1b[?25m") == Look(bold=True)
    assert changed(PLAIN, b"\x1b[38;5m") == PLAIN


@given(outputs, st.integers(2, 30))
def test_rows_hold_every_byte_once_and_fit(data: bytes, width: int) -> None:
    found = rows(data, width, 0)
    assert [end for _, end in found[:-1]] == [start for start, _ in found[1:]]
    assert b"".join(data[start:end] for start, end in found) == data
    for start, end in found:
        shown = list(cells(data, start, end, PLAIN))
        assert sum(cell.width for cell in shown) <= width or len(shown) == 1 or b"\t" in data[start:end]
        assert "".join(cell.text for cell in shown).isprintable()
        assert all(one.offset < other.offset for one, other in pairwise(shown))


@given(outputs, st.lists(st.integers(0, 400)), st.integers(2, 30))
def test_output_that_comes_in_pieces_ends_as_if_it_had_come_at_once(data: bytes, cuts: list[int], width: int) -> None:
    whole, parts = Transcript(), Transcript()
    whole.extend(data)
    for cut in sorted(min(cut, len(data)) for cut in cuts):
        parts.extend(data[:cut])
    parts.extend(data)
    assert parts.plain == whole.plain
    for offset in range(len(data)):
        assert parts.look(offset) == whole.look(offset)


@given(outputs, st.sampled_from(["a", "Z", "zebra", "ax", "é"]))
def test_what_is_found_is_what_is_seen(data: bytes, pattern: str) -> None:
    transcript = Transcript()
    transcript.extend(data)
    shown = {cell.offset: cell.text for cell in cells(data, 0, len(data), PLAIN)}
    for start, end in transcript.find(pattern):
        seen = "".join(text for offset, text in shown.items() if start <= offset < end)
        assert seen == pattern if pattern == "Z" else seen.lower() == pattern.lower()


def test_nothing_is_found_that_a_sequence_says_and_nothing_is_missed_across_one() -> None:
    transcript = Transcript()
    transcript.extend(b"pa\x1b[31mnic\x1b[0m 31m Panic")
    assert transcript.find("panic") == [(0, 10), (19, 24)]
    assert transcript.find("Panic") == [(19, 24)]
    assert transcript.find("31m") == [(15, 18)]


def test_a_carriage_return_writes_nothing_over() -> None:
    data = b"10%\r20%\r\ndone\r"
    assert [data[start:end] for start, end in rows(data, 40, 0)] == [b"10%\r", b"20%\r\n", b"done\r"]


class Printer(FakeSession):
    """Prints a byte every 100 steps."""

    TEXT = b"one \x1b[31mred\x1b[0m\r\ntwo Red\r\nthree red\r\n" * 40

    def console(self, lo: int = 0, hi: int | None = None) -> list[ConsoleChunk]:
        self.fail("console")
        chunks = [ConsoleChunk(100 * (i + 1), bytes([byte])) for i, byte in enumerate(self.TEXT)]
        return [chunk for chunk in chunks if lo < chunk.icount <= (self.total if hi is None else hi)]


async def test_searching_while_one_types_and_going_on() -> None:
    async with running(session=Printer(total=200_000)) as run:
        console = run.app.deck.console
        await run.until(lambda: console.complete)
        await run.press("slash", *"re")
        await run.sees("/re  1/160")
        assert console.selected == 0
        await run.press("d", "enter")
        await run.sees("/red  1/120")
        assert run.app.focused is console
        await run.press("n", "n")
        await run.sees("3/120")
        assert console.selected == 2
        await run.press("N", "N", "N")
        await run.sees("120/120")
        assert run.session.calls == []
        await run.press("slash", *"Red", "enter")
        await run.sees("/Red  1/40")
        await run.press("slash", *"nowhere")
        await run.sees("no match")
        await run.press("enter")
        await run.sees("'nowhere' is not in the output")
        await run.press("escape")
        assert not console.pattern
        assert console.selected == 0
        await run.press("n")
        assert run.session.calls == ["nexti"]


async def test_a_click_goes_to_the_step_that_printed_that_very_byte() -> None:
    async with running(session=Printer(total=200_000)) as run:
        console = run.app.deck.console
        await run.until(lambda: console.complete)
        await run.sees("one red")
        await run.pilot.click("#console", offset=(1 + 5, 1))  # the e of red, behind a colour
        offset = Printer.TEXT.index(b"ed\x1b")
        await run.stands(100 * (offset + 1) - 1)
        assert console.printed == offset
        await run.press("i")
        assert console.printed == offset + 1
        await run.pilot.click("#console", offset=(1 + 40, 2))  # behind the end of a line: its last character
        await run.stands(100 * (Printer.TEXT.index(b"two Red") + 7) - 1)


async def test_output_that_cannot_be_read_is_told_and_not_called_none() -> None:
    session = Printer(total=200_000)
    session.failing = {"console": "chunk 7 is damaged", "timeline": "the index is damaged"}
    async with running(session=session) as run:
        await run.sees("the output is not known: chunk 7 is damaged")
        await run.sees("not known: the index is damaged")
        assert "printed nothing" not in run.text
        status = run.app.status.message
        assert status is not None
        assert status[0] == "error"
        await run.press("8")
        await run.sees("console: chunk 7 is damaged")
        await run.sees("timeline: the index is damaged")
        await run.sees("this is what to do")


async def test_silence_is_told_only_when_it_is_known() -> None:
    session = FakeSession()
    session.printed = []
    async with running(session=session) as run:
        await run.sees("the guest has printed nothing")


async def test_much_output_comes_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    extend = ConsolePane.extend

    def spy(pane: ConsolePane, chunks: Sequence[ConsoleChunk], *, last: bool) -> None:
        taken.append(len(chunks))
        extend(pane, chunks, last=last)

    monkeypatch.setattr("rrdbg.tui.source.PRINTED", 7)
    monkeypatch.setattr(ConsolePane, "extend", spy)
    async with running(session=Printer(total=200_000)) as run:
        console = run.app.deck.console
        await run.until(lambda: console.complete)
        assert max(taken) == 7
        assert console.data == Printer.TEXT
        assert list(console.positions) == [100 * (i + 1) for i in range(len(Printer.TEXT))]
        assert list(console.ends) == list(range(1, len(Printer.TEXT) + 1))
        assert console.output == Printer(total=200_000).console()


@pytest.mark.parametrize("width", [80, 120])
async def test_the_guest_colours_its_text(width: int) -> None:
    async with running((width, 40), session=Printer(total=200_000)) as run:
        console = run.app.deck.console
        await run.press("end")
        await run.until(lambda: console.complete and console.count() and run.position == 200_000)
        line = console.line(0, 60)
        assert [text for text, style in line if style.color == Color.from_ansi(1)] == ["red"]


async def test_matches_are_reached_from_elsewhere() -> None:
    async with running(session=Printer(total=200_000)) as run:
        await run.until(lambda: run.app.deck.console.complete)
        await run.app.run_action("match(1)")
        await run.sees("nothing was found")
        await run.press("slash", *"three", "enter", "9")
        await run.app.run_action("match(-1)")
        await run.sees("/three  40/40")
