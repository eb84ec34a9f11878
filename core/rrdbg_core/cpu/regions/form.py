"""The region former: from sampled windows of execution to what is worth compiling.

A profile takes what the kernel samples, windows of consecutive steps, and keeps how often each instruction was followed
by which. From that it builds the dynamic control flow graph, and grows regions from where most time is lost, along the
heaviest edges, through calls, returns and pages. Whether regions are entered and left as planned is seen in later
windows: each of them is followed through the regions that there are, and what goes on outside, or goes in and out all
the time, is where the next regions grow.

A region has to pay: it is made when the time lost in its blocks is worth compiling them, as if the program had as long
to run as it has run already.

All of it is heuristic: a bad plan costs speed, never correctness. But equal samples give equal plans.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush, nlargest
from itertools import chain, pairwise

from rrdbg_core.cpu.memory import PAGE_BYTES
from rrdbg_core.cpu.regions.code import PAGE_MASK, CodePages, Kind
from rrdbg_core.cpu.regions.graph import Flow, Graph, Node
from rrdbg_core.cpu.regions.plan import MAX_INSNS, Block, Plan
from rrdbg_core.cpu.regions.walk import Live, walk

# ---- samples
STEPS_BETWEEN_LOOKS = 512
"""Steps sampled between looks."""
MAX_STEPS_BETWEEN_LOOKS = 1 << 14
"""The same, after several looks in vain."""
MAX_PENDING = 1 << 15
"""Samples kept for the next look; beyond that the oldest go."""
HALF_LIFE_STEPS = 1 << 17
"""Steps sampled after which old ones count half: phases of a program are followed."""
FADED = 0.3
"""Weight below which a sample that was aged is forgotten."""
MAX_SITES = 1 << 15
"""Instructions that are remembered."""
MAX_MISSING = 1 << 10
"""Pages asked for at a time."""

# ---- what pays
VISIT = 6.0
"""What entering a region costs, in steps outside of regions."""
LEAST_VISIT = 20.0
"""Steps that a visit has to have for the region to be any better than what runs them without it."""
PRICE_IN_A_HURRY, PRICE = 16.0, 4.0
"""Sampled steps that must be lost for each instruction to be compiled; see `DENSE_IN_A_HURRY`."""
LEAST_PRICE = 1.0
"""The least after looks in vain, each of which makes them cheaper, for the compiler has nothing better to do; where the
program has not run before it is `PRICE`: it may not run again, with what is made now."""
BLOCK_COST, REGION_COST = 2, 8
"""What a block and a region take the compiler, in instructions."""
MIN_LOST = 24.0
"""Sampled steps that must be lost, however small the region."""
UNSEEN = 0.08
"""Estimated share of ways not seen yet below which the picture of a region counts as whole."""
SEEN_ENOUGH = 400.0
"""Runs of the root from which on it is taken as it is."""

# ---- shape
COLD = 0.03
"""Share of the root's runs below which a block is left out."""
DENSE_IN_A_HURRY, DENSE = 0.75, 0.2
"""How much less than its densest part, in time lost for what it costs to compile, a region may be; the first one while
much is lost, and many regions are to be made."""
HURRY = 0.2
"""Share of time lost from which on much is lost."""
RECENT_STEPS = 1 << 12
"""Sampled steps that the share of time lost is taken of."""
MAX_MISFITS = 6
"""Blocks too long for the room that is left after which a region is finished."""
MAX_ENTRIES = 8
"""Entries that a region gets; those it inherits come on top."""
MIN_ENTRY = 0.02
"""Share of a region's arrivals below which one gets no entry of its own."""

# ---- bounds
INSNS_A_LOOK = 200
"""Instructions of all plans made at a time, if there is more than one."""
MAX_ROOTS_A_LOOK = 32
"""Roots looked at."""
MAX_TRIES_A_LOOK = 8
"""Regions grown, whether a plan comes of them or not."""
MAX_LIVE = 256
"""Plans remembered; beyond that the oldest go."""
MAX_SETBACKS = 10
"""Setbacks that count: each makes regions of a page twice as dear, until it is forgotten like samples are."""
MAX_TRIES = 1 << 12
"""Roots of regions that are remembered."""


@dataclass(slots=True)
class Region:
    """Blocks that could become a plan."""

    nodes: list[Node]
    """The root first."""
    insns: int
    """Their instructions."""
    lost: float
    """Sampled steps lost in them, less those that its visits have to have anyway."""

    @property
    def density(self) -> float:
        """Time lost for what it costs to compile."""
        return self.lost / _cost(self.insns, len(self.nodes))


class Profile:
    """What is known about a guest's execution."""

    def __init__(self) -> None:
        self._code = CodePages()
        self._flow = Flow(self._code)
        self._missing: set[int] = set()
        self._lost: dict[int, float] = {}
        """Time lost at each pc, in steps of the interpreter: one for a step, `VISIT` for entering a region."""
        self._since_aged = self._since_look = 0
        self._patience = STEPS_BETWEEN_LOOKS
        self._recent = 1.0  # share of time lost
        self._pending: list[Sequence[int]] = []
        self._pending_size = 0
        self._lives: list[Live] = []  # oldest first
        self._entries: dict[int, Live] = {}
        self._holders: dict[int, Live] = {}  # newest region that an instruction is in
        self._setbacks: dict[int, int] = {}  # by page
        self._tries: dict[int, int] = {}  # by root
        self._again = False  # the program ran before
        self._misses: set[int] = set()  # loads and stores of pages that the TLB often does not know
        self._leaky: list[Live] = []  # regions that are left there

    # ---- what comes in -----------------------------------------------------------------------------------------------
    def add_samples(self, pcs: Sequence[int]) -> None:
        """Take samples: pcs of consecutive steps, windows separated by 0."""
        if not pcs:
            return
        self._pending.append(pcs[-MAX_PENDING:])
        self._pending_size += len(self._pending[-1])
        while self._pending_size > MAX_PENDING and len(self._pending) > 1:
            self._pending_size -= len(self._pending.pop(0))

    def set_page(self, address: int, content: bytes) -> None:
        """Set a page of guest code; what was known about another content is forgotten."""
        self._missing.discard(address)
        for page in self._code.put(address, content):
            pcs = [pc for pc in range(page, page + PAGE_BYTES, 2) if pc in self._flow.outs]
            self._flow.forget(pcs)
            self._misses.difference_update(range(page, page + PAGE_BYTES, 2))
            for pc in pcs:
                self._lost.pop(pc, None)
            hit = [live for live in self._lives if page in live.pages]
            for live in hit:
                self._drop(live)
            if hit:
                self._set_back(page)

    def missing_pages(self) -> set[int]:
        """Return addresses of pages that samples name and whose content is not known."""
        self._absorb()
        return set(self._missing)

    def adopt(self, plan: Plan) -> None:
        """Take note that there is a region that was not planned here: the program ran before, and will again."""
        self._again = True
        if not any(live.plan == plan for live in self._lives):
            live = self._take_over(plan)
            self._misses.update(pc for block in plan.blocks if block.careful for pc in live.blocks[block.pc][0])

    def add_miss(self, pc: int) -> None:
        """Take note that regions are left again and again at a load or store of pages that the TLB does not know."""
        if len(self._misses) >= MAX_SITES:
            self._misses.clear()
        self._misses.add(pc)
        self._leaky += [live for live in self._lives if pc in live.places and live not in self._leaky]

    def forget(self, plan: Plan, *, changed: bool = True) -> None:
        """Take note that a region is no more.

        Args:
            plan: What it was made from.
            changed: Its code has changed: it takes longer, each time, before something is formed there again.
        """
        if changed:
            for page in {block.pc & ~PAGE_MASK for block in plan.blocks}:
                self._set_back(page)
        for live in [live for live in self._lives if live.plan == plan]:
            self._drop(live)

    def _set_back(self, page: int) -> None:
        self._setbacks[page] = min(self._setbacks.get(page, 0) + 1, MAX_SETBACKS)

    def _drop(self, live: Live) -> None:
        self._lives.remove(live)
        self._entries.clear()
        self._holders.clear()
        for other in self._lives:
            self._seat(other)

    def _seat(self, live: Live) -> None:
        self._entries.update(dict.fromkeys(live.plan.entries, live))
        self._holders.update(dict.fromkeys(live.places, live))

    # ---- samples -----------------------------------------------------------------------------------------------------
    def _absorb(self) -> None:
        """Count what is pending."""
        if not self._pending:
            return
        pcs = [*chain.from_iterable(self._pending), 0]
        self._pending, self._pending_size = [], 0
        steps = len(pcs) - pcs.count(0)
        self._since_look += steps
        self._age(steps)
        flow, known = self._flow, self._flow.outs
        for (pc, then), count in Counter(pairwise(pcs)).items():
            if pc:
                if pc not in known:
                    self._want(pc & ~PAGE_MASK)
                flow.add(pc, then, count)
        self._follow(pcs)

    def _want(self, page: int) -> None:
        if page not in self._code:
            if len(self._missing) >= MAX_MISSING:
                self._missing.clear()
            self._missing.add(page)

    def _follow(self, pcs: Sequence[int]) -> None:
        """Follow windows through the regions, and count what is lost; there is a 0 behind the last one."""
        lost, entries, holders = self._lost, self._entries, self._holders
        start = 0
        total = 0.0
        while start < len(pcs):
            cut = pcs.index(0, start)
            window = pcs[start:cut]
            start = cut + 1
            if not window:
                continue
            for stay in walk(window, entries, holders.get(window[0])):
                if stay.live is None:
                    total += stay.end - stay.start
                    for pc in window[stay.start : stay.end]:
                        lost[pc] = lost.get(pc, 0.0) + 1.0
                elif stay.start:
                    pc = window[stay.start]
                    lost[pc] = lost.get(pc, 0.0) + VISIT
                    total += VISIT
        self._recent = (self._recent * RECENT_STEPS + total) / (RECENT_STEPS + len(pcs))

    def _age(self, steps: int) -> None:
        """Let old samples fade."""
        self._since_aged += steps
        while self._since_aged >= HALF_LIFE_STEPS or len(self._flow.outs) > MAX_SITES:
            self._since_aged = max(0, self._since_aged - HALF_LIFE_STEPS)
            self._flow.fade(FADED)
            self._setbacks = {page: count - 1 for page, count in self._setbacks.items() if count > 1}
            self._lost = {pc: weight / 2 for pc, weight in self._lost.items() if weight / 2 >= FADED}

    # ---- what goes out -----------------------------------------------------------------------------------------------
    def next_plans(self) -> list[Plan]:
        """Return what is worth compiling now, the best first; little at a time: ask again when that is compiled.

        A plan takes over all its entries from those before; one that has no entry left is superseded.
        """
        self._absorb()
        plans = self._mended()
        if plans or self._since_look < self._patience:
            return plans
        self._since_look = 0
        room = INSNS_A_LOOK
        graph = Graph(self._code, self._flow, self._lost, self._entries)
        candidates = self._candidates(graph)
        taken: set[int] = set()
        for region in candidates:
            if plans and region.insns > room:
                break
            if any(node.pc in taken for node in region.nodes):
                continue
            taken.update(node.pc for node in region.nodes)
            plan = self._plan(region)
            root = plan.blocks[0].pc
            if len(self._tries) >= MAX_TRIES:
                self._tries.clear()
            self._tries[root] = self._tries.get(root, 0) + 1
            if self._is_new(plan):
                room -= region.insns
                self._take_over(plan)
                plans.append(plan)
        longer = min(self._patience * 3 // 2, MAX_STEPS_BETWEEN_LOOKS)
        self._patience = STEPS_BETWEEN_LOOKS if plans else longer
        return plans

    def _mended(self) -> list[Plan]:
        """Return plans of the regions that are left where the TLB does not know a page, with care."""
        leaky, self._leaky = self._leaky, []
        plans = []
        for live in leaky:
            if live in self._lives:
                plan = replace(live.plan, blocks=tuple(self._with_care(live, block) for block in live.plan.blocks))
                if plan != live.plan:
                    self._take_over(plan)
                    plans.append(plan)
        return plans

    def _with_care(self, live: Live, block: Block) -> Block:
        return replace(block, careful=block.careful or self._is_careful(live.blocks[block.pc][0]))

    def _is_careful(self, pcs: Iterable[int]) -> bool:
        return not self._misses.isdisjoint(pcs)

    def _candidates(self, graph: Graph) -> list[Region]:
        """Return regions that would pay, the best first."""
        found: list[Region] = []
        tried: set[int] = set()
        tries = 0
        for pc in nlargest(MAX_ROOTS_A_LOOK, self._lost, key=lambda pc: (self._lost[pc], -pc)):
            root = graph.node(graph.start_of(pc))
            if root is None or root.pc in tried:
                continue
            if tries == MAX_TRIES_A_LOOK:
                break
            tries += 1
            region = self._grow(graph, root)
            tried.add(root.pc)
            if self._pays(region):  # else a part of it may
                tried.update(node.pc for node in region.nodes)
                found.append(region)
        return sorted(found, key=lambda region: (-region.density, region.nodes[0].pc))

    def _grow(self, graph: Graph, root: Node) -> Region:
        """Return blocks around a root, as far as they are dense enough."""
        region = {root.pc: root}
        insns, lost, leaving = len(root.pcs), root.lost, sum(root.succs.values()) - root.succs.get(root.pc, 0.0)
        weights: dict[int, float] = {}
        frontier: list[tuple[float, int]] = []
        cold = COLD * root.runs
        misfits = 0
        node = root
        sizes = [(insns, lost, leaving)]
        while misfits < MAX_MISFITS:
            for ways in (node.succs, node.preds):
                for pc, weight in ways.items():
                    if pc not in region:
                        weights[pc] = weight = weights.get(pc, 0.0) + weight
                        if weight >= cold:
                            heappush(frontier, (-weight, pc))
            added: Node | None = None
            while frontier and misfits < MAX_MISFITS:
                weight, pc = heappop(frontier)
                # others for the same block are out of date
                if pc not in region and weight == -weights[pc]:
                    found = graph.node(pc)
                    if found is not None and insns + len(found.pcs) <= MAX_INSNS:
                        added = found
                        break
                    misfits += 1
            if added is None:
                break
            node = region[added.pc] = added
            insns += len(node.pcs)
            lost += node.lost
            leaving += sum(weight for pc, weight in node.succs.items() if pc not in region)
            leaving -= sum(weight for pc, weight in node.preds.items() if pc in region and pc != node.pc)
            sizes.append((insns, lost, leaving))
        return self._cut(list(region.values()), sizes)

    def _cut(self, nodes: list[Node], sizes: list[tuple[int, float, float]]) -> Region:
        """Return as many of the blocks as pay, and are about as dense as the densest part.

        Args:
            nodes: Blocks in the order in which they were added.
            sizes: Instructions, time lost and ways out of the first blocks, for each number of them.
        """
        gains = [lost - LEAST_VISIT * leaving for _, lost, leaving in sizes]
        price = self._price(nodes[0])
        costs = [_cost(insns, index + 1) for index, (insns, _, _) in enumerate(sizes)]
        scores = [gain / cost for gain, cost in zip(gains, costs, strict=True)]
        best = max(scores)
        least = best * (DENSE_IN_A_HURRY if self._hurry else DENSE)
        dense = [index for index, score in enumerate(scores) if score >= least or score == best]
        index = max((index for index in dense if gains[index] >= price * costs[index]), default=dense[0])
        return Region(nodes[: index + 1], sizes[index][0], gains[index])

    @property
    def _hurry(self) -> bool:
        return self._recent >= HURRY and not self._again

    def _price(self, root: Node) -> float:
        """Return how many steps must be lost for each instruction: twice as many each time at the same place."""
        price = PRICE_IN_A_HURRY if self._hurry else PRICE
        price = max(price * STEPS_BETWEEN_LOOKS / self._patience, LEAST_PRICE if self._again else PRICE)
        return price * (1 << self._tries.get(root.pc, 0))

    def _pays(self, region: Region) -> bool:
        """Return True if a region is worth compiling, and enough was seen of it."""
        root = region.nodes[0]
        setbacks = max(self._setbacks.get(node.pc & ~PAGE_MASK, 0) for node in region.nodes)
        if region.lost < max(MIN_LOST, self._price(root) * _cost(region.insns, len(region.nodes))) * (1 << setbacks):
            return False
        if root.runs >= SEEN_ENOUGH:
            return True
        # the more ways were seen just once, the more are to come
        ways = [weight for node in region.nodes for weight in node.succs.values()]
        once = sum(1 for weight in ways if weight <= 1)
        return once <= UNSEEN * sum(ways)

    def _is_new(self, plan: Plan) -> bool:
        """Return True unless there is a region that does what a plan says, whatever it was made for."""
        code = {(block.pc, block.code, block.careful) for block in plan.blocks}
        return not any(
            code == {(block.pc, block.code, block.careful) for block in live.plan.blocks}
            and set(plan.entries) <= set(live.plan.entries)
            for live in self._lives
        )

    def _plan(self, region: Region) -> Plan:
        members = {node.pc: node for node in region.nodes}
        root, *others = region.nodes
        ordered = [root, *sorted(others, key=lambda node: (-node.runs, node.pc))]
        return Plan(tuple(self._as_block(node, members) for node in ordered), self._choose_entries(root, members))

    def _as_block(self, node: Node, members: dict[int, Node]) -> Block:
        last = node.pcs[-1]
        step = self._code.step(last)
        assert step is not None
        targets: Iterable[int] = ()
        if node.ends_in is Kind.INDIRECT:
            targets = sorted((pc for pc in node.succs if pc in members), key=lambda pc: (-node.succs[pc], pc))
        code = self._code.bytes_at(node.pc, last + step.length - node.pc)
        return Block(node.pc, code, tuple(targets), self._is_careful(node.pcs))

    def _choose_entries(self, root: Node, members: dict[int, Node]) -> tuple[int, ...]:
        """Return where a region is entered: root, heads of loops, and what is often come to from outside."""
        arrivals: dict[int, float] = {}
        for node in members.values():
            inside = sum(weight for pc, weight in node.preds.items() if pc in members)
            arrivals[node.pc] = node.strangers + sum(node.preds.values()) - inside
        for pc, weight in _loops(root, members).items():
            if weight >= MIN_ENTRY * root.runs:
                arrivals[pc] += weight / 100
        least = MIN_ENTRY * sum(arrivals.values())
        chosen = [pc for pc in sorted(arrivals, key=lambda pc: (-arrivals[pc], pc)) if arrivals[pc] >= least]
        entries = dict.fromkeys([root.pc, *(pc for pc in chosen if arrivals[pc])][:MAX_ENTRIES])
        for live in {id(live): live for live in map(self._holders.get, members) if live}.values():
            if all(block.pc in members for block in live.plan.blocks):
                entries.update(dict.fromkeys(live.plan.entries))
        return tuple(entries)

    def _take_over(self, plan: Plan) -> Live:
        """Count a plan as compiled."""
        live = Live(plan)
        for pc in live.places:
            self._lost.pop(pc, None)
        self._lives.append(live)
        self._seat(live)
        for old in [old for old in self._lives if not any(self._entries[pc] is old for pc in old.plan.entries)]:
            self._drop(old)
        while len(self._lives) > MAX_LIVE:
            self._drop(self._lives[0])
        return live


def _cost(insns: int, blocks: int) -> int:
    """Return what a region takes the compiler, in instructions."""
    return insns + BLOCK_COST * blocks + REGION_COST


def _loops(root: Node, members: dict[int, Node]) -> dict[int, float]:
    """Return the heads of loops, and how often each is jumped back to: targets of edges back, depth first from root."""
    heads: dict[int, float] = {}
    state = {root.pc: 1}  # 1: on the way here, 2: done
    path = [(root, iter(_hot_ways(root, members)))]
    while path:
        node, ways = path[-1]
        for pc in ways:
            seen = state.get(pc)
            if seen is None:
                state[pc] = 1
                path.append((members[pc], iter(_hot_ways(members[pc], members))))
                break
            if seen == 1:
                heads[pc] = heads.get(pc, 0.0) + node.succs[pc]
        else:
            state[node.pc] = 2
            path.pop()
    return heads


def _hot_ways(node: Node, members: dict[int, Node]) -> list[int]:
    return sorted((pc for pc in node.succs if pc in members), key=lambda pc: (-node.succs[pc], pc))
