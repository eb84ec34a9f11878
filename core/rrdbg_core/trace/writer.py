"""Write a trace: `TraceWriter`."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.machine.events import Event
from rrdbg_core.trace import contents, journal, pagepack
from rrdbg_core.trace.frame import MAX_CHUNK_BYTES, ChunkKind, Parts, build_chunk, file_header
from rrdbg_core.trace.model import CHECK_PERIOD, Ending, EpochIndex, Manifest, Snapshot
from rrdbg_core.trace.output import Output, TraceFull
from rrdbg_core.trace.pagepack import ALL_LINES, DELTA_LINES, MAX_CHAIN, MAX_ENTRIES, PAGE_BYTES

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]

RESERVE_BYTES = 64 << 10
"""Part of `max_bytes` that is kept for the journal's last block and the end."""
_KIND_NAMES = {kind: kind.name.lower() for kind in ChunkKind}
_BLOCK_EVENTS, _BLOCK_BYTES, _BLOCK_CHECKS = 4096, 256 << 10, 4096
MEDIUM_BLOCKS = 256
"""Blocks of a medium in one chunk: one is unpacked to read one of them."""
OBJECT_BYTES = 1 << 20
"""Objects in one chunk, as a rule."""


class TraceWriter:
    """Writes a trace, chunk by chunk.

    Events and check words wait until a block is full or a position is promised: `digest`, `snapshot`, `progress` and
    `end` each promise that everything up to their position is in the file. So events have to be handed over before
    them, and positions never go back.

    Nothing is in the hands of the operating system before `flush` or `close`. A trace in which no position was promised
    is deleted on `close`; a file that it should have replaced is then still there.

    Args:
        path: The file.
        manifest: What is recorded.
        images: Content by digest: at least all that the manifest names.
        force: Replace an existing file. It is replaced by the first flush behind a promise.
        max_bytes: Size that the file shall not exceed.

    Raises:
        RrdbgError: The file exists, cannot be written, or holds not even the images.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        manifest: Manifest,
        images: Mapping[str, bytes],
        *,
        force: bool = False,
        max_bytes: int | None = None,
    ) -> None:
        text = _manifest_json(manifest)
        for ref in manifest.config.images:
            if ref.digest not in images:
                raise ValueError(f"image {ref.name} is not there")
        for digest, content in images.items():
            if contents.image_digest(content) != digest:
                raise ValueError(f"an image is called {digest}, which is not its digest")
        self.file_id = secrets.token_bytes(16)
        """Random id of the file."""
        self._start = manifest.start_icount
        self._pages = manifest.config.ram_bytes // PAGE_BYTES
        self.bytes_by_kind: dict[str, int] = {}
        """Bytes that were written, by kind of chunk."""
        self._version = np.zeros(self._pages, np.uint32)
        self._depth = np.zeros(self._pages, np.uint8)
        self._versions = 0
        self.max_bytes = max_bytes
        """Size that the file shall not exceed."""
        self._events: list[Event] = []
        self._event_bytes = 0
        self._event_count = 0
        self._event_icount = self._start
        self._blocks: dict[str, list[tuple[int, bytes | None]]] = {}
        self._objects: set[bytes] = set()
        self._checks: list[U64] = []
        self._check_count = 0
        self._next_check = self._start // CHECK_PERIOD + 1
        self._promised: int | None = None
        self._snapshot_icount = -1
        self._index_stop = self._start
        # promises that may still get lost: offset behind the chunk, position, events
        self._promises: list[tuple[int, int, int]] = []
        self._safe: tuple[int, int, int] | None = None
        self._failed: TraceFull | None = None
        self._ended = self._closed = False
        self._out = Output(path, force=force)
        self.path = self._out.path
        """The file."""
        try:
            self._out.append((file_header(self.file_id),))
            self._add(ChunkKind.MANIFEST, text, self._start, self._start)
            self._add_images(images)
            self._out.flush()
        except BaseException:
            self._closed = True
            self._out.discard()
            raise

    @property
    def size(self) -> int:
        """Bytes of the file so far."""
        return self._out.size

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- what is recorded --------------------------------------------------------------------------------------------
    def events(self, events: Sequence[Event]) -> None:
        """Add events, in order.

        Raises:
            TraceFull: The trace is full. They are in it if it was `max_bytes` that was reached.
        """
        self._check_open()
        for event in events:
            if event.icount < self._event_icount or (self._promised or 0) > event.icount:
                raise ValueError(f"an event at {event.icount} comes too late")
            if len(event.payload) > journal.MAX_PAYLOAD:
                raise ValueError(f"an event carries {len(event.payload)} bytes")
            self._event_icount = event.icount
            self._events.append(event)
            self._event_bytes += len(event.payload)
            if len(self._events) >= _BLOCK_EVENTS or self._event_bytes >= _BLOCK_BYTES:
                self._write_events()
        self._check_size()

    def block(self, device: str, number: int, block: bytes | None) -> None:
        """Add a block of a device's medium, or None for one that cannot be read. Each is added once."""
        self._blocks.setdefault(device, []).append((number, block))

    def holds(self, name: bytes) -> bool:
        """Return whether an object is in the file, with all that it leads to."""
        return name in self._objects

    def checks(self, words: npt.ArrayLike) -> None:
        """Add the next check words. Word k, from 1, is that of position k * CHECK_PERIOD.

        A trace that starts later than power-on begins with the first such position behind its start.

        Shapes: words u64[n].
        """
        self._check_open()
        array = np.array(words, np.uint64)
        self._checks.append(array)
        self._check_count += len(array)
        if self._check_count >= _BLOCK_CHECKS:
            self._write_checks()
        self._check_size()

    def snapshot(
        self,
        snap: Snapshot,
        pages: npt.ArrayLike,
        lines: npt.ArrayLike | None,
        content: U8,
        objects: Mapping[bytes, bytes] | None = None,
    ) -> None:
        """Add a snapshot.

        Args:
            snap: The state.
            pages: u32[n], ascending: pages written since the snapshot before; for the first, those not all zero.
            lines: u64[n]: which of their 64-byte lines may have changed; None: any.
            content: u8[n, 4096]: what they contain now.
            objects: Objects that the state leads to, encoded, by name: at least those that the file does not hold.

        Raises:
            TraceFull: It does not fit. Nothing of it is in the file.
        """
        self._check_open()
        if snap.icount <= self._snapshot_icount:
            raise ValueError(f"a snapshot at {snap.icount} behind one at {self._snapshot_icount}")
        self._settle(snap.icount)
        numbers = np.asarray(pages, np.uint32)
        if len(numbers) and int(numbers.max()) >= self._pages:
            raise ValueError(f"page {int(numbers.max())} of {self._pages}")
        changed = np.full(len(numbers), ALL_LINES, np.uint64) if lines is None else np.asarray(lines, np.uint64)
        rows = np.ascontiguousarray(content).reshape(len(numbers), PAGE_BYTES)
        before = self._version[numbers], self._depth[numbers], self._versions
        try:
            packs = [
                self._pack(numbers[i : i + MAX_ENTRIES], changed[i : i + MAX_ENTRIES], rows[i : i + MAX_ENTRIES])
                for i in range(0, len(numbers), MAX_ENTRIES)
            ]
            state = contents.encode_snapshot(snap, self._versions)
            fresh = {name: encoded for name, encoded in (objects or {}).items() if name not in self._objects}
            parts = [part for pack in packs for part in pack]
            self._check_size(sum(map(len, (*parts, state, *fresh.values()))))
        except BaseException:
            self._version[numbers], self._depth[numbers], self._versions = before
            raise
        for pack in filter(None, packs):
            self._add(ChunkKind.PAGES, pack, snap.icount, snap.icount, compress=False)
        self._add_objects(fresh, snap.icount)
        self._snapshot_icount = snap.icount
        self._promise(ChunkKind.SNAPSHOT, state, snap.icount)

    def digest(self, icount: int, digest: bytes) -> None:
        """Add the root hash of the guest state at a position."""
        self._check_open()
        self._settle(icount)
        self._promise(ChunkKind.DIGEST, contents.encode_digest(self._event_count, digest), icount)
        self._check_size()

    def index(self, epoch: EpochIndex) -> None:
        """Add the index of an epoch; one that no chunk can hold, since so much was printed, is left to replay.

        Raises:
            TraceFull: It does not fit and is not in the file; nothing else is lost.
        """
        self._check_open()
        if epoch.start < self._index_stop or epoch.stop < epoch.start:
            raise ValueError(f"an index of {epoch.start} to {epoch.stop} behind {self._index_stop}")
        payload = contents.encode_index(epoch)
        self._check_size(len(payload))
        self._index_stop = epoch.stop
        if len(payload) > MAX_CHUNK_BYTES:
            return
        self._add(ChunkKind.INDEX, payload, epoch.start, epoch.stop)
        last = self._promises[-1] if self._promises else self._safe
        if last and last[1] >= epoch.stop and last[2] == self._event_count:
            self._promises.append((self._out.size, *last[1:]))  # a full disk later does not cost it

    def progress(self, icount: int) -> None:
        """Promise that everything up to this position has been handed over: replay may go here."""
        self._check_open()
        self._settle(icount)
        self._promise(ChunkKind.PROGRESS, contents.encode_progress(self._event_count), icount)
        self._check_size()

    def end(self, ending: Ending) -> None:
        """End the trace. It may be full by `max_bytes`; a full disk has ended it already.

        Raises:
            TraceFull: The disk is full.
        """
        if self._failed:
            return
        self._check_open()
        self._settle(ending.icount)
        self._promise(ChunkKind.END, contents.encode_end(self._event_count, ending), ending.icount)
        self._ended = True
        self.flush()

    def flush(self) -> None:
        """Hand everything that was promised to the operating system: it survives the death of this process.

        Raises:
            TraceFull: The disk takes no more.
        """
        if self._closed or self._failed:
            return
        try:
            self._out.flush()
        except TraceFull as error:
            self._fail(error)
        if self._promises:
            self._safe = self._promises[-1]
            self._promises.clear()
        if self._safe is not None:
            self._out.commit()

    def close(self, *, sync: bool = False) -> None:
        """Write what waits, and close the file.

        Args:
            sync: Return only when a power cut would lose nothing.
        """
        if self._closed:
            return
        try:
            if not self._failed and not self._ended:
                self._write_events()
                self._write_checks()
            self.flush()
        finally:
            self._closed = True
            if self._safe is None:
                self._out.discard()
            else:
                self._out.close(sync=sync)

    # ---- chunks ------------------------------------------------------------------------------------------------------
    def _check_open(self) -> None:
        if self._failed:
            raise self._failed
        if self._closed or self._ended:
            raise ValueError("the trace has ended")

    def _check_size(self, more: int = 0) -> None:
        """Raise TraceFull if `more` bytes would bring the file to its limit."""
        if self.max_bytes is not None and self._out.size + more > self.max_bytes - RESERVE_BYTES:
            raise TraceFull(
                f"{self._out.shown} has reached its limit of {self.max_bytes} bytes",
                hint="allow more with --max-size",
                exit_code=ExitCode.LIMIT,
            )

    def _add(self, kind: ChunkKind, content: bytes | Parts, first: int, last: int, *, compress: bool = True) -> None:
        parts = (content,) if isinstance(content, bytes) else content
        chunk = build_chunk(self.file_id, self._out.size, kind, parts, first, last, compress=compress)
        name = _KIND_NAMES[kind]
        self.bytes_by_kind[name] = self.bytes_by_kind.get(name, 0) + sum(map(len, chunk))
        try:
            self._out.append(chunk)
        except TraceFull as error:
            self._fail(error)

    def _add_images(self, images: Mapping[str, bytes]) -> None:
        for digest, content in images.items():
            for offset in range(0, max(len(content), 1), contents.IMAGE_PART_BYTES):
                part = content[offset : offset + contents.IMAGE_PART_BYTES]
                payload = contents.encode_image_part(digest, len(content), offset, part)
                self._add(ChunkKind.IMAGE, payload, self._start, self._start)
        self._check_size()

    def _settle(self, icount: int) -> None:
        """Write what waits, before something is promised at a position."""
        if icount < max(self._promised or 0, self._start, self._event_icount):
            raise ValueError(f"position {icount} lies before what is written")
        self._write_blocks(icount)
        self._write_events()
        self._write_checks()

    def _write_blocks(self, icount: int) -> None:
        blocks, self._blocks = self._blocks, {}
        for device, some in blocks.items():
            for start in range(0, len(some), MEDIUM_BLOCKS):
                payload = contents.encode_blocks(device, some[start : start + MEDIUM_BLOCKS])
                self._add(ChunkKind.BLOCKS, payload, icount, icount)

    def _add_objects(self, objects: Mapping[bytes, bytes], icount: int) -> None:
        batch: dict[bytes, bytes] = {}
        size = 0
        for number, (name, encoded) in enumerate(objects.items(), 1):
            batch[name] = encoded
            size += len(encoded)
            if size >= OBJECT_BYTES or number == len(objects):
                self._add(ChunkKind.OBJECTS, contents.encode_objects(batch), icount, icount)
                batch, size = {}, 0
        self._objects.update(objects)

    def _promise(self, kind: ChunkKind, payload: bytes, icount: int) -> None:
        self._add(kind, payload, icount, icount)
        self._promised = icount
        self._promises.append((self._out.size, icount, self._event_count))

    def _write_events(self) -> None:
        if not self._events:
            return
        events, self._events, self._event_bytes = self._events, [], 0
        self._event_count += len(events)
        self._add(ChunkKind.JOURNAL, journal.encode(events), events[0].icount, events[-1].icount)

    def _write_checks(self) -> None:
        if not self._check_count:
            return
        words = self._checks[0] if len(self._checks) == 1 else np.concatenate(self._checks)
        self._checks, self._check_count = [], 0
        first, self._next_check = self._next_check, self._next_check + len(words)
        payload = contents.encode_checks(words)
        positions = first * CHECK_PERIOD, (self._next_check - 1) * CHECK_PERIOD
        self._add(ChunkKind.CHECKS, payload, *positions, compress=False)

    def _pack(self, pages: U32, lines: U64, content: U8) -> Parts:
        """Choose how each page is written, give it its version, and encode. Returns () if nothing changed."""
        depth = self._depth[pages]
        deltas = (np.bitwise_count(lines) <= DELTA_LINES) & (self._version[pages] != 0) & (depth < MAX_CHAIN)
        masks, zeros = lines, pages[:0]
        if not deltas.all():
            masks, whole = lines.copy(), np.flatnonzero(~deltas)
            masks[whole] = pagepack.masks_of(content if len(whole) == len(pages) else content[whole])
        some = masks != 0
        if not some.all():
            zeros = pages[~some & ~deltas]
            pages, deltas, masks, depth, content = pages[some], deltas[some], masks[some], depth[some], content[some]
        if not len(pages) and not len(zeros):
            return ()
        pack = pagepack.encode(self._versions + 1, pages, deltas, masks, content, zeros)
        self._version[pages] = np.arange(self._versions + 1, self._versions + 1 + len(pages), dtype=np.uint32)
        self._version[zeros] = 0
        self._depth[pages] = depth * deltas + np.uint8(1)
        self._versions += len(pages)
        return pack

    def _fail(self, error: TraceFull) -> None:
        """Say in the file, if there is room, that the disk was full, and give up."""
        self._failed = error
        kept = [promise for promise in self._promises if promise[0] <= self._out.size]
        if kept:
            self._safe = kept[-1]
        if self._safe is not None:
            size, icount, events = self._safe
            self._out.cut(size)  # nothing behind it counts without a promise
            payload = contents.encode_end(events, Ending(icount, "disk-full"))
            # the chunk that did not fit has left some room
            with contextlib.suppress(TraceFull, OSError):
                self._out.append(build_chunk(self.file_id, self._out.size, ChunkKind.END, (payload,), icount, icount))
                self._out.flush()
                self._out.commit()
        raise error


def _manifest_json(manifest: Manifest) -> bytes:
    try:
        text = manifest.to_json().encode()
    except UnicodeEncodeError as error:
        raise RrdbgError(f"a name in the manifest is not Unicode: {error}", exit_code=ExitCode.USAGE) from error
    if len(text) > MAX_CHUNK_BYTES:
        raise RrdbgError(
            f"the manifest has {len(text)} bytes, {MAX_CHUNK_BYTES} are possible", exit_code=ExitCode.USAGE
        )
    return text
