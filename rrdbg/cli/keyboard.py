"""What the user types while a guest runs: bytes for the guest, and Ctrl-A commands for the recorder, as in QEMU."""

from __future__ import annotations

ESCAPE = 0x01
"""Ctrl-A."""

HELP = """\
Ctrl-A x  end the recording         Ctrl-A r  reset the guest
Ctrl-A c  where the recording is    Ctrl-A h  this help
Ctrl-A Ctrl-A  a Ctrl-A for the guest"""

COMMANDS = frozenset("hcrx?")
"""Letters behind Ctrl-A that mean something; others are dropped with the Ctrl-A, as in QEMU."""


class Keys:
    """Tells keys for the guest from commands; a Ctrl-A at the end of a read waits for its letter."""

    def __init__(self) -> None:
        self._escaped = False

    def feed(self, data: bytes) -> tuple[bytes, str]:
        """Return the bytes for the guest and the commands, each in order.

        What follows Ctrl-A x is dropped: it was typed at a guest that is about to end.
        """
        guest, commands = bytearray(), ""
        for byte in data:
            if self._escaped:
                self._escaped = False
                letter = chr(byte).lower()
                if byte == ESCAPE:
                    guest.append(byte)
                elif letter in COMMANDS:
                    commands += letter
                    if letter == "x":
                        break
            elif byte == ESCAPE:
                self._escaped = True
            else:
                guest.append(byte)
        return bytes(guest), commands
