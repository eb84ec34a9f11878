"""The state schema: fields in words, pydantic models, save and restore."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from rrdbg_core.devices.contract import BusFault, Device, DeviceState, array, field, flag, timer
from rrdbg_core.machine.conformance.bench import BenchBoard


class Sample(DeviceState):
    """A bit of everything."""

    number = field(12, "A number", reset=7)
    on = flag("A flag")
    table = array(9, 5, "Some numbers", reset=3)
    alarm = timer("A timer")


class More(Sample):
    """What a derived device adds."""

    extra = field(64, "One more")


class Plain(Device):
    """A device that does nothing."""

    State = Sample
    state: Sample


VALUES = st.integers(0, (1 << 70) - 1)


def test_fields_lie_one_behind_the_other_in_order_of_declaration() -> None:
    assert [(name, item.offset, item.count) for name, item in More.fields.items()] == [
        *(("number", 0, 1), ("on", 1, 1), ("table", 2, 5), ("alarm", 7, 1), ("extra", 8, 1))
    ]
    assert (Sample.size, More.size) == (8, 9)


def test_reset_gives_each_field_its_value() -> None:
    state = More()
    state.words[:] = 1
    state.reset()
    assert state.words.tolist() == [7, 0, 3, 3, 3, 3, 3, 0, 0]


@given(VALUES, VALUES, st.integers(0, 4))
def test_what_is_stored_is_cut_to_the_width(number: int, entry: int, index: int) -> None:
    state = More()
    state.number, state.table[index], state.extra = number, entry, number
    assert state.number == number & 0xFFF
    assert state.table[index] == entry & 0x1FF
    assert state.extra == number & (1 << 64) - 1
    assert type(state.number) is type(state.table[index]) is int
    state.dump()


def test_negative_numbers_wrap() -> None:
    state = Sample()
    state.number = -1
    state.table[0] = -2
    assert (state.number, state.table[0]) == (0xFFF, 0x1FE)


def test_arrays_are_sequences_of_plain_integers() -> None:
    state = Sample()
    state.table[:] = [1, 2, 3, 4, 600]
    assert list(state.table) == [1, 2, 3, 4, 600 & 0x1FF]
    assert state.table[1:3] == [2, 3]
    assert len(state.table) == 5
    state.table[:-1] = state.table[1:]
    assert state.table[:] == [2, 3, 4, 88, 88]
    state.table.clear()
    assert not any(state.table)
    with pytest.raises(IndexError):
        state.table[5] = 1
    with pytest.raises(ValueError, match="zip"):
        state.table[:] = [1, 2]
    with pytest.raises(AttributeError, match="assign to table"):
        state.table = [1]  # type: ignore[assignment]


@pytest.mark.parametrize("name", ["words", "size", "reset", "fields"])
def test_a_field_cannot_hide_what_every_state_has(name: str) -> None:
    # `size = field(...)` would once have lived outside the words, unsaved
    with pytest.raises(TypeError, match=name):
        type("Bad", (DeviceState,), {name: field(8, "Hides something")})


def test_the_model_knows_ranges_and_documentation() -> None:
    schema = More.model().model_json_schema()["properties"]
    assert schema["number"] == {
        "description": "A number",
        "exclusiveMaximum": 4096,
        "minimum": 0,
        "title": "Number",
        "type": "integer",
    }
    assert (schema["table"]["minItems"], schema["table"]["maxItems"]) == (5, 5)
    assert set(schema) == set(More.fields)


@given(st.lists(st.integers(0, 511), min_size=5, max_size=5), st.integers(0, 4095))
def test_dump_and_load_are_inverse(table: list[int], number: int) -> None:
    one, other = More(), More()
    one.table[:], one.number, one.alarm = table, number, number << 40
    dumped = one.dump()
    other.load(More.model().model_validate_json(dumped.model_dump_json()))
    assert other.words.tolist() == one.words.tolist()


def test_a_dump_refuses_what_does_not_fit() -> None:
    state = Sample()
    state.words[2] = 512
    with pytest.raises(ValidationError):
        state.dump()


def test_bind_moves_the_state_into_the_machine() -> None:
    device = Plain("plain", BenchBoard())
    device.state.number = 5
    words = np.zeros(Sample.size, np.uint64)
    device.bind(words)
    assert words[0] == 5
    device.state.table[4] = 9
    words[7] = 77
    assert (words[6], device.state.alarm) == (9, 77)


def test_a_device_without_registers_faults() -> None:
    device = Plain("plain", BenchBoard())
    with pytest.raises(BusFault):
        device.read(0, 4)
    with pytest.raises(BusFault):
        device.write(0, 4, 1)
    assert (device.irq_level(), device.next_deadline_ns(), device.can_receive()) == (False, None, 0)
