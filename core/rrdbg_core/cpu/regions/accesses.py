"""The instructions of a block that accesses memory: what runs straight through, and in some a careful copy of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.handler import ALIGNED, FOR_READ, FOR_WRITE, REACH, TLB_MASK, WRITE_TLB_BYTES
from rrdbg_core.cpu.host_floats import BOX
from rrdbg_core.cpu.memory import PAGE_BYTES, RAM_BASE
from rrdbg_core.cpu.regions.floats import Floats, singles_before
from rrdbg_core.cpu.regions.flow import Step
from rrdbg_core.cpu.regions.reach import Reach, reaches
from rrdbg_core.isa.expr import FloatLoad, FloatStore, Helper, Load, SetFrd, SetRd, Store, operand, sext32
from rrdbg_core.isa.rv64a import AMO

PAGE_MASK = -PAGE_BYTES


class Accesses(Floats):
    """Emits instructions one after another, jumps apart.

    Args:
        head: What stands before the function's body.
    """

    def __init__(self, head: str) -> None:
        super().__init__(head)
        self._two = self._careful = False
        """Whether there is a copy that expects nothing, and whether it is being written."""
        self._looks: dict[int, str] = {}
        """Where to go on, by the number of the instruction at which a look at the TLB may fail: there is a label."""
        self._reaches: dict[int, Reach] = {}
        self._reached: dict[int, tuple[str, str, str]] = {}
        """By the number of a reach's first access: where it is in RAM, a pointer to it, and one to its store's mark."""

    @abstractmethod
    def leave_at(self, number: int) -> None:
        """Leave the region before an instruction of a block that has begun."""

    @abstractmethod
    def miss_at(self, number: int) -> None:
        """Do the same because of a page that the TLB does not know."""

    def instructions(self, code: Sequence[Step], *, careful: bool) -> None:
        """Emit what a block does, once or, if it accesses memory, with a careful copy."""
        self._reaches, self._reached, self._looks, self._two = reaches(code), {}, {}, careful
        self._singles_before = singles_before(code)
        for number, step in enumerate(code):
            self._step(step, number)
        if not self._looks:
            return
        end = self.fresh("end")
        self.do(f"br label %{end}")
        if careful:
            self._go_carefully(code, end)
        else:
            for number, label in sorted(self._looks.items()):
                self.label(label)
                self.miss_at(number)
        self.label(end)

    def _go_carefully(self, code: Sequence[Step], end: str) -> None:
        """Emit the careful copy."""
        self._careful = True
        first = min(self._looks)
        for number in range(first, len(code)):
            if number in self._looks:
                if number > first:
                    self.do(f"br label %{self._looks[number]}")
                self.label(self._looks[number])
            self._step(code[number], number)
        self._careful = False
        self.do(f"br label %{end}")

    def _step(self, step: Step, number: int) -> None:
        decoded = step.decoded
        self._singles = self._singles_before[number]
        match decoded.insn.effect:
            case SetRd(value):
                self.set(decoded.rd, self.value(value, step))
            case SetFrd(value):
                self.set_float(decoded.rd, self.value(value, step), decoded.insn)
            case Load(_, size, signed):
                place = self._place(step, number, size, FOR_READ)[0]
                self.set(decoded.rd, self._load(place, size, signed=signed))
            case FloatLoad(_, size):
                loaded = self._load(self._place(step, number, size, FOR_READ)[0], size, signed=False)
                self.set_float(decoded.rd, loaded if size == 8 else self.let(f"or i64 {loaded}, {BOX}"), decoded.insn)
            case Store(_, size, value) | FloatStore(_, size, value):
                stored = self.value(value, step)
                self._store(*self._place(step, number, size, FOR_WRITE, stored), size, stored)
            case Helper("float_op"):
                self.compute(step)
            case Helper("lr"):
                self._load_reserved(step, number)
            case Helper("sc"):
                self._store_conditional(step, number)
            case Helper("amo"):
                self._amo(step, number)

    def _load(self, place: str, size: int, *, signed: bool) -> str:
        value = self.load(f"i{8 * size}", place, "ram")
        return value if size == 8 else self.let(f"{'sext' if signed else 'zext'} i{8 * size} {value} to i64")

    def _store(self, place: str, mark: str, size: int, value: str) -> None:
        if size < 8:
            value = self.let(f"trunc i64 {value} to i{8 * size}")
        self.store(f"i{8 * size}", value, place, "ram")
        self.store("i8", "1", mark, "dirty")

    def _place(self, step: Step, number: int, size: int, what: int, stored: str = "") -> tuple[str, str]:
        """Return a pointer to `size` bytes of RAM, and one to the mark of their word.

        Args:
            step: The instruction.
            number: Its number.
            size: Number of bytes.
            what: The kind of access, as `resolve` is asked for it.
            stored: What is stored, if that is known before the bytes are read.
        """
        if self._careful:
            at = self._resolved(number, self._address(step), size | what, stored)
            return self._in_ram(at), self._mark_of(at) if what & FOR_WRITE else ""
        reach = self._reaches[number]
        if number == reach.first:
            at = self._looked_up(number, self._address(step), reach)
            aligned = self.let(f"add i64 {at}, {reach.aligned}") if reach.aligned else at
            self._reached[number] = at, self._in_ram(at), self._mark_of(aligned) if reach.align == 8 else ""
        at, place, mark = self._reached[reach.first]
        offset = reach.offsets[number]
        place = self.let(f"getelementptr i8, ptr {place}, i64 {offset}")
        if what & FOR_WRITE and mark:
            mark = self.let(f"getelementptr i8, ptr {mark}, i64 {offset - reach.aligned >> 3}")
        elif what & FOR_WRITE:
            mark = self._mark_of(self.let(f"add i64 {at}, {offset}"))
        return place, mark

    def _atomic_at(self, step: Step, number: int, size: int, what: int) -> str:
        """Return the offset in RAM of what an atomic instruction accesses.

        If the TLB does not know its page it is asked for at once: elsewhere such instructions teach the TLB nothing.
        Not so for `sc`, which may turn out to store nothing: what is asked for counts as written.
        """
        address = self._address(step)
        page = self.let(f"and i64 {address}, {PAGE_MASK | (size - 1)}")
        reach = Reach(number, 0, size - 1, bool(what & FOR_READ), bool(what & FOR_WRITE), size)
        known, addend_at = self._tags(reach, address, page)
        passes, asks, asked, found = (self.fresh(name) for name in ("passes", "asks", "asked", "found"))
        self.do(f"br i1 {known}, label %{passes}, label %{asks}, !prof !1")
        self.label(passes)
        passed = self.let(f"add i64 {address}, {self.load('i64', addend_at, 'tlb')}")
        self.do(f"br label %{found}")
        self.label(asks)
        if what == FOR_WRITE:
            self.leave_at(number)
            self.label(found)
            return passed
        answer = self._resolved(number, address, size | what | ALIGNED, "")
        self.do(f"br label %{asked}")
        self.label(asked)
        self.do(f"br label %{found}")
        self.label(found)
        return self.let(f"phi i64 [{passed}, %{passes}], [{answer}, %{asked}]")

    def _address(self, step: Step) -> str:
        effect = step.decoded.insn.effect
        if isinstance(effect, Load | Store | FloatLoad | FloatStore):
            return self.value(effect.addr, step)
        return self.get(step.decoded.rs1)

    def _in_ram(self, offset: str) -> str:
        return self.let(f"getelementptr i8, ptr %ram, i64 {offset}")

    def _mark_of(self, offset: str) -> str:
        """Return a pointer to the mark of the word at an offset in RAM."""
        return self.let(f"getelementptr i8, ptr %dirty, i64 {self.let(f'lshr i64 {offset}, 3')}")

    def _look(self, number: int) -> str:
        """Return where to go on if the TLB does not know what an instruction wants."""
        return self._looks.setdefault(number, self.fresh("careful"))

    def _looked_up(self, number: int, address: str, reach: Reach) -> str:
        """Return the offset in RAM of a reach's first access; be careful if the TLB does not know all of the reach."""
        low, high, aligned = (self._moved(address, offset) for offset in (reach.low, reach.high, reach.aligned))
        page = self.let(f"and i64 {high}, {PAGE_MASK}")
        # loads may be misaligned; stores that are may change two words, and are for `resolve`
        odd = self.let(f"and i64 {aligned}, {reach.align - 1}") if reach.align > 1 else "0"
        known, addend_at = self._tags(reach, low, self.operation("or", [page, odd]))
        passes = self.fresh("passes")
        if self._two and len(reach.offsets) > 1:
            # it may end in the next page, in RAM as well
            wide = self.fresh("wide")
            self.do(f"br i1 {known}, label %{passes}, label %{wide}, !prof !1")
            self.label(wide)
            first, _ = self._tags(reach, low, self.operation("or", [self.let(f"and i64 {low}, {PAGE_MASK}"), odd]))
            last, other_at = self._tags(reach, high, page)
            addends = [self.load("i64", place, "tlb") for place in (addend_at, other_at)]
            both = self.let(f"and i1 {first}, {last}")
            known = self.let(f"and i1 {both}, {self.let(f'icmp eq i64 {addends[0]}, {addends[1]}')}")
        if not self._two:
            self.do(f"br i1 {known}, label %{passes}, label %{self._look(number)}, !prof !1")
            self.label(passes)
            return self.let(f"add i64 {address}, {self.load('i64', addend_at, 'tlb')}")
        # it may lie in a page of which some lines are watched or hold code, and be beside them
        asks, beside, found = self.fresh("asks"), self.fresh("beside"), self.fresh("found")
        self.do(f"br i1 {known}, label %{passes}, label %{asks}, !prof !1")
        self.label(passes)
        passed = self.load("i64", addend_at, "tlb")
        self.do(f"br label %{found}")
        self.label(asks)
        what = self.let(f"or i64 {odd}, {FOR_READ * reach.reads | FOR_WRITE * reach.writes}")
        function = self.let(f"load ptr, ptr {self.let(f'getelementptr ptr, ptr %ops, i64 {REACH}')}")
        answer = self.let(f"call preserve_mostcc i64 {function}(ptr %h, i64 {low}, i64 {high}, i64 {what}, ptr %tlb)")
        unknown = self.let(f"icmp eq i64 {answer}, -1")
        self.do(f"br i1 {unknown}, label %{self._look(number)}, label %{beside}")
        self.label(beside)
        self.do(f"br label %{found}")
        self.label(found)
        return self.let(f"add i64 {address}, {self.let(f'phi i64 [{passed}, %{passes}], [{answer}, %{beside}]')}")

    def _moved(self, address: str, offset: int) -> str:
        return self.let(f"add i64 {address}, {offset}") if offset else address

    def _tags(self, reach: Reach, address: str, wanted: str) -> tuple[str, str]:
        """Return whether the TLB has what is wanted for each kind of access of a reach, and where it has its addend."""
        index = self.let(f"and i64 {self.let(f'lshr i64 {address}, 8')}, {TLB_MASK}")
        known = ""
        for asked, bank in ((reach.reads, 0), (reach.writes, WRITE_TLB_BYTES)):
            if asked:
                tag_at = self.let(f"getelementptr i8, ptr %tlb, i64 {self._moved(index, bank)}")
                same = self.let(f"icmp eq i64 {self.load('i64', tag_at, 'tlb')}, {wanted}")
                known = self.let(f"and i1 {known}, {same}") if known else same
        return known, self.let(f"getelementptr i8, ptr {tag_at}, i64 8")

    def _resolved(self, number: int, address: str, what: int, stored: str) -> str:
        """Return the offset in RAM of an access; leave the region where it is more than a plain one."""
        if stored:
            self.store("i64", stored, self.word(L.STORED), "hart")
        asked = f"call preserve_mostcc i64 %resolve(ptr %h, i64 {address}, i64 {what}, ptr %tlb)"
        offset = self.let(asked)
        slow, found = self.fresh("slow"), self.fresh("found")
        self.do(f"br i1 {self.let(f'icmp eq i64 {offset}, -1')}, label %{slow}, label %{found}, !prof !0")
        self.label(slow)
        self.leave_at(number)
        self.label(found)
        return offset

    def _load_reserved(self, step: Step, number: int) -> None:
        size = _atomic_size(step)
        at = self._atomic_at(step, number, size, FOR_READ)
        self.store("i64", "1", self.word(L.RES_VALID), "hart")
        self.store("i64", self.let(f"add i64 {at}, {RAM_BASE}"), self.word(L.RES_ADDR), "hart")
        self.set(step.decoded.rd, self._load(self._in_ram(at), size, signed=True))

    def _store_conditional(self, step: Step, number: int) -> None:
        """Emit what succeeds; the rest is left to the dispatch loop, where it may turn out that nothing is stored."""
        size, value = _atomic_size(step), self.get(step.decoded.rs2)
        at = self._atomic_at(step, number, size, FOR_WRITE)
        place = self.let(f"add i64 {at}, {RAM_BASE}")
        valid = self.let(f"icmp ne i64 {self.load('i64', self.word(L.RES_VALID), 'hart')}, 0")
        same = self.let(f"icmp eq i64 {self.load('i64', self.word(L.RES_ADDR), 'hart')}, {place}")
        good, bad = self.fresh("good"), self.fresh("bad")
        self.do(f"br i1 {self.let(f'and i1 {valid}, {same}')}, label %{good}, label %{bad}, !prof !1")
        self.label(bad)
        self.leave_at(number)
        self.label(good)
        self._store(self._in_ram(at), self._mark_of(at), size, value)
        for word in (L.RES_VALID, L.RES_ADDR):
            self.store("i64", "0", self.word(word), "hart")
        self.set(step.decoded.rd, "0")

    def _amo(self, step: Step, number: int) -> None:
        size = _atomic_size(step)
        at = self._atomic_at(step, number, size, FOR_READ | FOR_WRITE)
        place = self._in_ram(at)
        self._old = self._load(place, size, signed=True)
        right = operand("rs2") if size == 8 else sext32(operand("rs2"))
        result = AMO[step.decoded.insn.name.split(".")[0]](operand("old"), right)
        self._store(place, self._mark_of(at), size, self.value(result, step))
        self.set(step.decoded.rd, self._old)


def _atomic_size(step: Step) -> int:
    return 8 if step.decoded.insn.name.endswith(".d") else 4
