"""The device tree of the board, as QEMU's `virt` describes it."""

from __future__ import annotations

from rrdbg_core.cpu.memory import RAM_BASE
from rrdbg_core.devices.clint import TICK_NS
from rrdbg_core.devices.finisher import PASS, RESET
from rrdbg_core.devices.plic import SOURCES
from rrdbg_core.machine import virt
from rrdbg_core.machine.fdt import Node, Value, cells

EXTENSIONS = (*"imafdc", "zicntr", "zicsr", "zifencei", "zba", "zbb", "zbs", "sstc", "svadu")
UART_CLOCK_HZ = 3_686_400
_CPU_INTC, _PLIC, _TEST = 1, 2, 3  # phandles
_M_SOFTWARE, _M_TIMER, _M_EXTERNAL, _S_EXTERNAL = 3, 7, 11, 9
_CLINT_SIZE, _PLIC_SIZE, _UART_SIZE, _PAGE = 0x1_0000, 0x60_0000, 0x100, 0x1000
_TWO_CELLS: dict[str, Value] = {"#address-cells": 2, "#size-cells": 2}


def board_tree(ram_bytes: int) -> Node:
    """Return the tree of a board with so much RAM, without what a boot chooses."""
    root = Node({**_TWO_CELLS, "compatible": "riscv-virtio", "model": "riscv-virtio,qemu"})
    root.child("chosen", {"stdout-path": f"/soc/serial@{virt.UART:x}"})
    root.child(f"memory@{RAM_BASE:x}", {"device_type": "memory", "reg": cells(RAM_BASE, ram_bytes)})
    _cpus(root.child("cpus", {"#address-cells": 1, "#size-cells": 0}))
    _soc(root.child("soc", {**_TWO_CELLS, "compatible": "simple-bus", "ranges": None}))
    for name, value in (("poweroff", PASS), ("reboot", RESET)):
        root.child(name, {"compatible": f"syscon-{name}", "regmap": _TEST, "offset": 0, "value": value})
    return root


def _cpus(cpus: Node) -> None:
    """Add the hart."""
    cpus.set({"timebase-frequency": 1_000_000_000 // TICK_NS})
    letters, words = (tuple(e for e in EXTENSIONS if (len(e) == 1) is short) for short in (True, False))
    hart = cpus.child("cpu@0", {"device_type": "cpu", "reg": 0, "status": "okay", "compatible": "riscv"})
    hart.set({"riscv,isa": "_".join(("rv64" + "".join(letters), *words)), "riscv,isa-base": "rv64i"})
    hart.set({"riscv,isa-extensions": EXTENSIONS, "mmu-type": "riscv,sv57"})
    controller = hart.child("interrupt-controller", {"interrupt-controller": None, "#interrupt-cells": 1})
    controller.set({"compatible": "riscv,cpu-intc", "phandle": _CPU_INTC})


def _soc(soc: Node) -> None:
    """Add the devices."""

    def device(name: str, compatible: str | tuple[str, ...], address: int, size: int) -> Node:
        return soc.child(f"{name}@{address:x}", {"compatible": compatible, "reg": cells(address, size)})

    def interrupting(name: str, compatible: str, address: int, size: int, irq: int) -> Node:
        node = device(name, compatible, address, size)
        node.set({"interrupts": irq, "interrupt-parent": _PLIC})
        return node

    device("test", ("sifive,test1", "sifive,test0", "syscon"), virt.FINISHER, _PAGE).set({"phandle": _TEST})
    clint = device("clint", ("sifive,clint0", "riscv,clint0"), virt.CLINT, _CLINT_SIZE)
    clint.set({"interrupts-extended": (_CPU_INTC, _M_SOFTWARE, _CPU_INTC, _M_TIMER)})
    plic = device("plic", ("sifive,plic-1.0.0", "riscv,plic0"), virt.PLIC, _PLIC_SIZE)
    plic.set({"interrupt-controller": None, "#interrupt-cells": 1, "#address-cells": 0})
    plic.set({"interrupts-extended": (_CPU_INTC, _M_EXTERNAL, _CPU_INTC, _S_EXTERNAL)})
    plic.set({"riscv,ndev": SOURCES - 1, "phandle": _PLIC})
    uart = interrupting("serial", "ns16550a", virt.UART, _UART_SIZE, virt.UART_IRQ)
    uart.set({"clock-frequency": UART_CLOCK_HZ})
    interrupting("rtc", "google,goldfish-rtc", virt.RTC, _PAGE, virt.RTC_IRQ)
    for slot in range(virt.VIRTIO_SLOTS):
        address = virt.VIRTIO + slot * virt.VIRTIO_STRIDE
        interrupting("virtio_mmio", "virtio,mmio", address, virt.VIRTIO_STRIDE, 1 + slot)
