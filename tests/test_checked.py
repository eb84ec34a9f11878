"""`Checked`: what goes to JSON comes back, and nothing else does; pydantic, which knows its business, is the oracle."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rrdbg_core.checked import Checked, Invalid, Range


class Part(Checked):
    """A value in another one."""

    name: str
    kind: Literal["elf", "raw"] = "elf"
    place: int | None = None


class Whole(Checked):
    """Has a field of each sort."""

    size: Annotated[int, Range(8, 64, multiple_of=8)] = 8
    one: Literal[1] = 1
    sure: bool = False
    part: Part | None = None
    parts: tuple[Part, ...] = ()
    text: str = ""


class PartModel(BaseModel):
    """The same in pydantic."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: str
    kind: Literal["elf", "raw"] = "elf"
    place: int | None = None


class WholeModel(BaseModel):
    """The same in pydantic."""

    model_config = ConfigDict(extra="forbid", strict=True)
    size: int = Field(default=8, ge=8, le=64, multiple_of=8)
    one: Literal[1] = 1
    sure: bool = False
    part: PartModel | None = None
    parts: tuple[PartModel, ...] = ()
    text: str = ""


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PARTS = st.builds(Part, NAMES, st.sampled_from(["elf", "raw"]), st.none() | st.integers(-(2**80), 2**80))
WHOLES = st.builds(
    Whole,
    st.integers(1, 8).map(lambda n: 8 * n),
    sure=st.booleans(),
    part=st.none() | PARTS,
    parts=st.lists(PARTS, max_size=3).map(tuple),
    text=NAMES,
)
SCALARS = st.sampled_from([None, True, False, 0, 1, 7, 8, 12, 64, 72, 1.0, 8.0, 1.5, "", "elf", "é", "8", [], {}])
PART_LIKE = st.dictionaries(st.sampled_from(["name", "kind", "place", "other"]), SCALARS, max_size=4)
ANYTHING = SCALARS | PART_LIKE | st.lists(PART_LIKE, max_size=2)
OBJECTS = st.dictionaries(
    st.sampled_from(["size", "one", "sure", "part", "parts", "text", "more"]), ANYTHING, max_size=4
)


@given(WHOLES)
def test_what_goes_to_json_comes_back(whole: Whole) -> None:
    text = whole.to_json()
    assert Whole.from_json(text) == whole
    assert Whole.from_json(text.encode()) == whole
    assert json.loads(text) == whole.values()
    assert text == WholeModel.model_validate_json(text).model_dump_json()


@given(OBJECTS | ANYTHING)
def test_json_is_taken_where_pydantic_takes_it(value: Any) -> None:
    text = json.dumps(value)
    expected: WholeModel | None
    try:
        expected = WholeModel.model_validate_json(text)
    except ValidationError:
        expected = None
    try:
        found = Whole.from_json(text)
    except Invalid:
        assert expected is None
    else:
        assert expected is not None
        assert found.values() == expected.model_dump(mode="json")


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("", "", "no JSON"),
        ("{", "", "no JSON"),
        (b"\xff{}", "", "no JSON"),
        ("[" * 100_000, "", "no JSON"),
        ("[]", "", "an object"),
        ('{"size": 9}', "size", "a multiple of 8"),
        ('{"size": 0}', "size", "at least 8"),
        ('{"size": 128}', "size", "at most 64"),
        ('{"size": true}', "size", "an integer"),
        ('{"one": true}', "one", "it should be 1"),
        ('{"parts": 1}', "parts", "a list"),
        ('{"parts": [{"name": "a"}, {"kind": "elf"}]}', "parts.1.name", "missing"),
        ('{"parts": [{"name": "a", "kind": "hex"}]}', "parts.0.kind", "'elf' or 'raw'"),
        ('{"part": {"name": "a", "plaice": 1}}', "part.plaice", "no such field"),
        ('{"part": {"name": "\\ud800"}}', "part.name", "not Unicode"),
        ('{"text": NaN}', "text", "a text"),
    ],
)
def test_an_error_says_where_and_what(text: str | bytes, where: str, what: str) -> None:
    with pytest.raises(Invalid, match=what) as error:
        Whole.from_json(text)
    assert error.value.where == where


def test_what_is_made_is_checked_too() -> None:
    with pytest.raises(Invalid, match="size: it should be at least 8"):
        Whole(size=1)
    with pytest.raises(Invalid, match=r"parts\.0: it should be an object"):
        Whole(parts=({"name": "a"},))  # type: ignore[arg-type]
    with pytest.raises(Invalid, match=r"parts: .* a list"):
        Whole(parts=[])  # type: ignore[arg-type]
    with pytest.raises(Invalid, match="size"):
        dataclasses.replace(Whole(), size=12)
