"""The device contract: what a device is, what it may know, and how its state survives.

A device is a class with a schema of fixed-size state. Every field lies in u64 words that the machine owns, so that save
is a copy, the digest covers every bit, and restore puts back words and calls nobody. A device knows its own state and
the `Board` it is given; it knows no other device, no host time and no I/O. docs/devices.md says it at length.

The rules (checked by `rrdbg check-device`):

1. What a register access does is a function of the device's state, the access, and the board's virtual clock.
2. Every field that outlives a call is in the schema. What the constructor set beside it never changes.
3. `irq_level`, `next_deadline_ns` and `can_receive` are pure: they read the state, not the clock, and change nothing.
4. Whoever changes the interrupt line tells the board: `update_irq`.
5. Work that the host completes later is asked for with `schedule_bh_event` or `schedule_bh_oneshot_event`, and what the
   host hands over arrives in `bottom_half`, journaled. It may arrive after the guest gave up: look at the state first.
6. A deadline is an absolute virtual time; `on_deadline` moves it on or ends it.
7. A guest's mistake is a `BusFault` (the access traps) or a `guest_error` line, never another exception.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol, cast, overload

import numpy as np
import numpy.typing as npt

from rrdbg_core.devices.backend import Backend
from rrdbg_core.frozen import Frozen

if TYPE_CHECKING:
    from pydantic import BaseModel

Words = npt.NDArray[np.uint64]


class BusFault(Exception):
    """The access is not answered: the hart takes an access fault."""


class StateField:
    """One named number in a device's state, `bits` wide."""

    count = 1

    def __init__(self, bits: int, doc: str, reset: int = 0) -> None:
        self.bits = bits
        self.mask = (1 << bits) - 1
        self.doc = doc
        self.reset = reset
        self.offset = 0

    def __get__(self, state: DeviceState, owner: type | None = None) -> int:
        return state.cells[self.offset]

    def __set__(self, state: DeviceState, value: int) -> None:
        state.cells[self.offset] = value & self.mask


class ArrayField:
    """`count` numbers in a device's state, each `bits` wide."""

    def __init__(self, bits: int, count: int, doc: str, reset: int = 0) -> None:
        self.bits = bits
        self.mask = (1 << bits) - 1
        self.doc = doc
        self.reset = reset
        self.count = count
        self.offset = 0
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, state: DeviceState, owner: type | None = None) -> Numbers:
        return state.arrays[self.name]

    def __set__(self, state: DeviceState, value: int) -> None:
        raise AttributeError(f"{self.name} is an array: assign to {self.name}[index] or {self.name}[:]")


NAME_BYTES = 16
"""Bytes of the name of an object."""


class Reference(ArrayField):
    """The name of an object, see `Board.store`, in a device's state."""

    def __init__(self, doc: str) -> None:
        super().__init__(64, NAME_BYTES // 8, doc)

    def __get__(self, state: DeviceState, owner: type | None = None) -> bytes:  # type: ignore[override]
        return self.name_in(state.words)

    def __set__(self, state: DeviceState, value: bytes) -> None:  # type: ignore[override]
        name = value or bytes(NAME_BYTES)
        state.arrays[self.name][:] = [int.from_bytes(name[at : at + 8], "little") for at in range(0, NAME_BYTES, 8)]

    def name_in(self, words: Words) -> bytes:
        """Return the name that some saved state has here, or b"" for none."""
        name = words[self.offset : self.offset + self.count].astype("<u8").tobytes()
        return name if any(name) else b""


class Stored(Frozen):
    """An object: a part of the state of any size, which never changes and is known by its content."""

    data: bytes
    """What the device put into it."""
    parts: tuple[bytes, ...]
    """Names of the objects that it is made of."""


class Numbers:
    """The numbers of an array field, as plain integers; what is stored is cut to the field's width."""

    __slots__ = ("_cells", "_mask")

    def __init__(self, cells: memoryview[int], mask: int) -> None:
        self._cells = cells
        self._mask = mask

    def __len__(self) -> int:
        return len(self._cells)

    def __iter__(self) -> Iterator[int]:
        return iter(self._cells)

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> list[int]: ...
    def __getitem__(self, index: int | slice) -> int | list[int]:
        return self._cells[index].tolist() if isinstance(index, slice) else self._cells[index]

    @overload
    def __setitem__(self, index: int, value: int) -> None: ...
    @overload
    def __setitem__(self, index: slice, value: Iterable[int]) -> None: ...
    def __setitem__(self, index: int | slice, value: int | Iterable[int]) -> None:
        if isinstance(index, slice):
            assert not isinstance(value, int)
            for place, number in zip(range(*index.indices(len(self._cells))), value, strict=True):
                self._cells[place] = number & self._mask
        else:
            assert isinstance(value, int)
            self._cells[index] = value & self._mask

    def clear(self) -> None:
        """Store zeros."""
        self[:] = bytes(len(self._cells))


def field(bits: int, doc: str, *, reset: int = 0) -> int:
    """Declare a number `bits` wide, for example `lcr = field(8, "Line control")`."""
    return cast(int, StateField(bits, doc, reset))


def flag(doc: str, *, reset: int = 0) -> int:
    """Declare a one-bit field."""
    return field(1, doc, reset=reset)


def timer(doc: str) -> int:
    """Declare a timer: 0 for off, else the deadline on the virtual clock in ns, plus one."""
    return field(64, doc)


def array(bits: int, count: int, doc: str, *, reset: int = 0) -> Numbers:
    """Declare `count` numbers, each `bits` wide."""
    return cast(Numbers, ArrayField(bits, count, doc, reset))


def reference(doc: str) -> bytes:
    """Declare the name of an object, see `Board.store`; b"" until one is assigned."""
    return cast(bytes, Reference(doc))


_RESERVED = ("fields", "size", "words", "cells", "arrays", "attach", "reset", "model", "dump", "load")
"""Names of `DeviceState` itself."""


class DeviceState:
    """Base of a device's state: declare fields as class attributes.

    The numbers live in `words`, a view into the machine's state; attributes read and write there.
    """

    fields: ClassVar[dict[str, StateField | ArrayField]] = {}
    """Every field by name, in order of declaration."""
    size: ClassVar[int] = 0
    """Words."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name in _RESERVED:
            if isinstance(vars(cls).get(name), StateField | ArrayField):
                raise TypeError(f"{cls.__name__}: a field cannot be called {name!r}")
        offset = 0
        cls.fields = {}
        for base in reversed(cls.__mro__):
            for name, item in vars(base).items():
                if isinstance(item, StateField | ArrayField):
                    item.offset = offset
                    offset += item.count
                    cls.fields[name] = item
        cls.size = offset

    def __init__(self) -> None:
        self.attach(np.zeros(self.size, np.uint64))

    def attach(self, words: Words) -> None:
        """Let the fields lie in `words`, u64[size]."""
        self.words = words
        # a memoryview hands out plain integers, three times as fast as an array does
        self.cells: memoryview[int] = memoryview(words)  # type: ignore[arg-type]
        self.arrays = {
            name: Numbers(self.cells[item.offset : item.offset + item.count], item.mask)
            for name, item in self.fields.items()
            if isinstance(item, ArrayField)
        }

    def reset(self) -> None:
        """Give every field its reset value."""
        for item in self.fields.values():
            self.words[item.offset : item.offset + item.count] = item.reset

    @classmethod
    @functools.cache
    def model(cls) -> type[BaseModel]:
        """Return the pydantic model of the state: ranges, documentation, JSON."""
        # a tenth of a second, which opening a trace does not need
        from pydantic import ConfigDict, Field, create_model

        parts: dict[str, Any] = {}
        for name, item in cls.fields.items():
            if isinstance(item, StateField):
                parts[name] = (int, Field(ge=0, lt=1 << item.bits, description=item.doc))
            else:
                number = Annotated[int, Field(ge=0, lt=1 << item.bits)]
                length = Field(min_length=item.count, max_length=item.count, description=item.doc)
                parts[name] = (list[number], length)
        return create_model(cls.__name__, __config__=ConfigDict(extra="forbid"), **parts)

    def dump(self) -> BaseModel:
        """Return the state as its pydantic model.

        Raises:
            ValidationError: A number does not fit its field.
        """
        values: dict[str, Any] = {}
        for name, item in self.fields.items():
            values[name] = self.arrays[name][:] if isinstance(item, ArrayField) else self.cells[item.offset]
        return self.model().model_validate(values)

    def load(self, model: BaseModel) -> None:
        """Take over the values of a model that `dump` made."""
        for name, value in model.model_dump().items():
            if isinstance(value, list):
                self.arrays[name][:] = value
            else:
                self.cells[self.fields[name].offset] = value


class Board(Protocol):
    """What a device may ask of the machine it sits in."""

    def virtual_ns(self) -> int:
        """Return the virtual clock in ns."""
        ...

    def rtc_ns(self) -> int:
        """Return the wall clock of the guest in ns since 1970: a base read once at power-on, plus virtual time."""
        ...

    def mtime(self) -> int:
        """Return the machine timer in ticks of 100 ns: the virtual clock, plus what `set_mtime` added."""
        ...

    def set_mtime(self, ticks: int) -> None:
        """Make the machine timer, which the time register shows, go on from `ticks`."""
        ...

    def update_irq(self, device: Device) -> None:
        """Look at the device's interrupt lines again: its state has changed."""
        ...

    def dma_read(self, address: int, size: int) -> bytes:
        """Read guest memory.

        Raises:
            BusFault: Not all of it is RAM.
        """
        ...

    def dma_write(self, address: int, data: bytes) -> None:
        """Write guest memory.

        Raises:
            BusFault: Not all of it is RAM.
        """
        ...

    def schedule_bh_event(self, device: Device, name: str, request: bytes = b"") -> None:
        """Have `device.bottom_half(name, ...)` run once, soon; scheduling it again before that changes nothing.

        `request` goes to the host back end, whose answer becomes the payload. The run is journaled.
        """
        ...

    def schedule_bh_oneshot_event(self, device: Device, name: str, request: bytes = b"") -> None:
        """Like `schedule_bh_event`, but each call leads to a run of its own."""
        ...

    def store(self, data: bytes, parts: Sequence[bytes] = ()) -> bytes:
        """Make an object and return its name, which is a function of its content; for state of any size.

        What a `reference` field of the state names, and what that is made of, is part of the device's state.
        """
        ...

    def load(self, name: bytes) -> Stored:
        """Return an object that the state refers to."""
        ...

    def medium(self, device: Device, number: int) -> bytes | None:
        """Return a block of 4096 bytes of what was put into the device before power-on, a disk image for example.

        It never changes in a run, and is in the trace from the first time on that it is asked for. None: the host could
        not read it then, and never will in this run.
        """
        ...

    def console_out(self, device: Device, data: bytes) -> None:
        """Hand console output to whoever looks at it."""
        ...

    def guest_error(self, device: Device, text: str) -> None:
        """Note that the guest used the device wrongly."""
        ...

    def power_off(self, exit_code: int) -> None:
        """End the run behind this step."""
        ...

    def request_reset(self) -> None:
        """Reset the machine behind this step."""
        ...


Exercise = Sequence[tuple[int, int, int]]
"""Stores in order: offset of a register, or address in RAM (the check's guest leaves 0x8008_0000 to 0x8008_ffff alone);
bytes; value."""


class Device:
    """Base of every device."""

    State: ClassVar[type[DeviceState]]
    """The schema."""
    mmio_size: ClassVar[int] = 0
    """Bytes of register space."""
    access_sizes: ClassVar[tuple[int, ...]] = (1, 2, 4, 8)
    """Access sizes in bytes that the bus lets through; others fault."""
    bottom_halves: ClassVar[tuple[str, ...]] = ()
    """Names that `bottom_half` understands. Pending ones are part of the machine's state."""
    backends: ClassVar[Mapping[str, Backend]] = {}
    """Host halves of the bottom halves, by name; without one, a bottom half runs soon and gets no payload."""
    exercises: ClassVar[Sequence[Exercise]] = ()
    """What a driver does, for `rrdbg check-device`: random accesses alone seldom set up a ring in memory."""

    def __init__(self, name: str, board: Board) -> None:
        self.name = name
        self.board = board
        self.state = self.State()
        self.state.reset()

    def bind(self, words: Words) -> None:
        """Move the state into the machine's words."""
        words[:] = self.state.words
        self.state.attach(words)

    def reset(self) -> None:
        """Do what the reset line does."""
        self.state.reset()

    def read(self, offset: int, size: int) -> int:
        """Read a register.

        Raises:
            BusFault: There is nothing to read.
        """
        raise BusFault

    def write(self, offset: int, size: int, value: int) -> None:
        """Write a register.

        Raises:
            BusFault: There is nothing to write.
        """
        raise BusFault

    def irq_level(self) -> bool:
        """Return the level of the interrupt line, as a pure function of the state."""
        return False

    def next_deadline_ns(self) -> int | None:
        """Return when `on_deadline` is due next on the virtual clock, or None; a pure function of the state.

        A deadline that has passed is still due. Keep it in a `timer` field, do not compute it from the clock.
        """
        return None

    def on_deadline(self) -> None:
        """Do what is due now."""

    def bottom_half(self, name: str, payload: bytes) -> None:
        """Go on with work that the host completed; `payload` is what it handed over."""

    def can_receive(self) -> int:
        """Return how many bytes of console input the device takes now."""
        return 0

    def receive(self, data: bytes) -> None:
        """Take console input, at most `can_receive` bytes."""
