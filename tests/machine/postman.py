"""A device whose every write is a letter to the host, and a note to itself."""

from __future__ import annotations

from rrdbg_core.devices.contract import Device, DeviceState, field


class PostmanState(DeviceState):
    """State."""

    answers = field(32, "Answers that came")
    last = field(64, "The last one")


class Postman(Device):
    """0x0 plain, 0x4 oneshot, 0x8 answers, 0xc last."""

    State = PostmanState
    state: PostmanState
    mmio_size = 0x10
    access_sizes = (4,)
    bottom_halves = ("letter",)

    def read(self, offset: int, size: int) -> int:
        return self.state.answers if offset == 8 else self.state.last

    def write(self, offset: int, size: int, value: int) -> None:
        request = value.to_bytes(4, "little")
        if offset == 0:
            self.board.schedule_bh_event(self, "letter", request)
        elif offset == 4:
            self.board.schedule_bh_oneshot_event(self, "letter", request)

    def bottom_half(self, name: str, payload: bytes) -> None:
        self.state.answers += 1
        self.state.last = int.from_bytes(payload[:8], "little")
