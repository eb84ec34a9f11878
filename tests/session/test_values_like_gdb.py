"""What print, whatis and ptype say of an image's own data, held against gdb in batch mode."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rrdbg_core.errors import RrdbgError

from rrdbg.session.errors import NotFound, Unreadable, UsageError
from rrdbg.session.printing_strings import string_text
from tests.symbols.compilers import GCC, ask_gdb, compiled, need

from .static import Static

SOURCE = Path(__file__).parent / "sources" / "values.c"
LETTERS = "xduotacfsz"

ACCEPTED = {
    "bi.a-6",  # C promotes narrow bit fields to int (C17, 6.3.1.1); gdb computes in the declared type
    "gb+gb",  # C promotes _Bool to int; gdb: Invalid operation on booleans
    "(bool)5",  # gdb knows C's types by the program's header files only
}


def lines_of(name: str) -> list[str]:
    return (SOURCE.parent / name).read_text().splitlines()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("values") / "values.elf"
    options = "-w -g -O0 -march=rv64imac -mabi=lp64 -mcmodel=medany -ffreestanding -nostdlib -static -Ttext=0x80000000"
    link = ["-Wl,-e,_start,--no-warn-rwx-segments", "-o", str(path), SOURCE.name, "-lgcc"]
    subprocess.run([need(GCC), *options.split(), *link], check=True, cwd=SOURCE.parent)
    return path


@pytest.fixture(scope="module")
def static(image: Path) -> Static:
    return Static(image)


def variables() -> list[str]:
    """Return the names of all variables of the source."""
    text = SOURCE.read_text()
    return [name for name in dict.fromkeys(re.findall(r"\b[a-z]\w*\b", text)) if name not in ("calls", "loc", "q")]


def answers(static: Static, questions: list[tuple[str, str, str]]) -> Iterator[str]:
    """Yield what rrdbg says: to (command, letter, text)."""
    for command, letter, text in questions:
        try:
            if command == "output":
                yield static.printed(text, letter)
            else:
                yield static.whatis(text) if command == "whatis" else static.ptype(text)
        except RrdbgError as error:
            yield f"error: {error.message}"


def differences(image: Path, static: Static, questions: list[tuple[str, str, str]]) -> str:
    """Return where the two differ; two refusals are equal."""
    theirs = ask_gdb(
        image, [f"{command}{f'/{letter}' if letter else ''} {text}" for command, letter, text in questions]
    )
    found = []
    for question, expected, answer in zip(questions, theirs, answers(static, questions), strict=True):
        expected = "\n".join(line for line in expected.splitlines() if not line.startswith("warning: "))
        refused = expected.startswith("error: ") and answer.startswith("error: ")
        if expected != answer and not refused:
            found.append(f"{question}\n  gdb:   {expected}\n  rrdbg: {answer}")
    return "\n".join(found)


def known_to_gdb(image: Path) -> list[str]:
    names = variables()
    told = ask_gdb(image, [f"whatis &{name}" for name in names])
    return [name for name, text in zip(names, told, strict=True) if not text.startswith("error: ")]


def test_every_variable_in_every_format(image: Path, static: Static) -> None:
    names = known_to_gdb(image)
    assert len(names) > 90
    questions = [("output", letter, name) for name in names for letter in ("", *LETTERS)]
    # gdb has no /a and /c for 16 bytes
    questions = [row for row in questions if row[1:] not in (("a", "i128"), ("c", "i128"))]
    assert differences(image, static, questions) == ""


def test_types(image: Path, static: Static) -> None:
    names = [*known_to_gdb(image), *lines_of("types.txt")]
    questions = [(command, "", name) for name in names for command in ("whatis", "ptype")]
    assert differences(image, static, questions) == ""


def test_expressions(image: Path, static: Static) -> None:
    texts = [text for text in lines_of("expressions.txt") if text not in ACCEPTED]
    questions = [(command, "", text) for text in texts for command in ("output", "whatis") if text != "*add"]
    questions += [("output", letter, text) for text in texts[:60] for letter in "xt"]
    assert differences(image, static, questions) == ""


def test_settings(image: Path, static: Static) -> None:
    names = [
        "o",
        "big",
        "pool",
        "ss",
        "nodes",
        "arr2",
        "mix",
        "cc",
        "longs",
        "ptr",
        "un",
        "two",
        "head",
        "*head",
        "str",
        "m",
        "bs",
    ]
    settings = {
        "pretty": "on", "elements": "5", "repeats": "3", "null-stop": "on", "union": "off", "address": "off",
        "symbol": "off", "array-indexes": "on", "array": "on",
    }  # fmt: skip
    before = static.options
    for name, value in settings.items():
        theirs = ask_gdb(image, [f"set print {name} {value}", *(f"output {text}" for text in names)])[1:]
        try:
            static.options = before.changed(name, value)
            for text, expected in zip(names, theirs, strict=True):
                assert static.printed(text) == expected, f"set print {name} {value}: {text}"
        finally:
            static.options = before


def test_strings_that_end_within_a_character(image: Path) -> None:
    leads = [0x41, 0x80, 0xBF, 0xC1, 0xC2, 0xDF, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xF7, 0xF8, 0xFB, 0xFC, 0xFD, 0xFF]
    tails = (b"", b"\x80", b"\xa0", b"\x90\xbf", b"\xbf" * 3, b"\xbf" * 4, b"\x80A", b"\xc3\xa9")
    texts = [b"ab" + bytes([lead]) + tail for lead in leads for tail in tails]
    theirs = ask_gdb(image, [f"output {{{', '.join(f'(char){byte}' for byte in text)}}}" for text in texts])
    # of what is in front of the piece gdb loses the last character
    told = [string_text(text).replace('"ab", <inc', '"a", <inc') for text in texts]
    assert [row for row in zip(texts, theirs, told, strict=True) if row[1] != row[2]] == []


CLASSES = """
sink numbers shapes colour plain reference rvalue truth
wide c16 c32 diamond ns::variable member_pointer method_pointer numbers.items[1]
numbers.inner ns::Base::count (ns::Colour)7 ns::Colour::Green ns::One &reference &rvalue rvalue+1
*(ns::Shape*)&numbers ((ns::Shape*)&numbers)->width ((ns::Shape*)&numbers)->tag (ns::Base*)(ns::Shape*)&numbers
(ns::Other*)(ns::Shape*)&numbers sizeof(ns::Shape) numbers.items reference.tag wide+1
"""


def test_classes(tmp_path: Path) -> None:
    path = compiled(tmp_path, ["classes.cpp"], "-O0", "-g")
    static = Static(path)
    # gdb shows the object of a method's type as the constant pointer that it is
    texts = [text for text in CLASSES.split() if text != "method_pointer"]
    questions = [(command, "", text) for text in texts for command in ("output", "whatis")]
    commands = [f"{command} {text}" for command, _, text in questions]
    theirs = ask_gdb(path, ["set language c++", *commands])[1:]
    found = [
        f"{question}\n  gdb:   {expected}\n  rrdbg: {answer}"
        for question, expected, answer in zip(questions, theirs, answers(static, questions), strict=True)
        if expected != answer
    ]
    assert "\n".join(found) == ""


WORDS = """
-> :: << >> && == ++ sizeof node_t head n1 arr m str ptr vp fp big o un
bi col RED add table cx ld gd fx em z0 nul bad i128 vec next value in 0 1
-1 1.5 300000 'a' "s" $x $ int unsigned values.c u8 (*) 1ul 0x80000000 (char*) struct node
"""
PIECES = st.sampled_from([*"+-*/%&|^~!()[].,?:=@<>{}", *WORDS.split()])


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PIECES, min_size=1, max_size=9).map(" ".join), st.sampled_from(["", *LETTERS]))
def test_whatever_is_typed_is_answered(static: Static, text: str, letter: str) -> None:
    """Only errors that say what is wrong, in one line."""
    told = []
    for answer in (lambda: static.printed(text, letter), lambda: static.whatis(text), lambda: static.ptype(text)):
        try:
            told.append(answer())
        except (UsageError, NotFound, Unreadable) as error:
            told.append(error.message)
            assert_one_line(error.message)
    assert all(told)


def assert_one_line(text: str) -> None:
    assert "\n" not in text
