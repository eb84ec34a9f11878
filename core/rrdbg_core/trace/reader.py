"""Read a trace: `Trace`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from rrdbg_core.checked import Invalid
from rrdbg_core.frozen import Frozen
from rrdbg_core.machine.events import Event
from rrdbg_core.trace import contents, describe, frame, journal
from rrdbg_core.trace.frame import BadTrace, Chunk, ChunkFlag, ChunkKind
from rrdbg_core.trace.lazy import EventSequence, LazySequence
from rrdbg_core.trace.media import Media, MediumInfo, StoredObjects
from rrdbg_core.trace.model import CHECK_PERIOD, Ending, EpochIndex, Manifest, Snapshot
from rrdbg_core.trace.pagepack import PAGE_BYTES
from rrdbg_core.trace.pagestore import PageStore
from rrdbg_core.trace.scan import ChunkFile
from rrdbg_core.trace.varint import Malformed

U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
INDEX_BYTES = 64 << 20
"""Memory for decoded epochs of the index: a search looks at all of them, and the next one again."""


class ChunkInfo(Frozen):
    """A chunk, for `rrdbg dump`."""

    number: int
    """0 for the first."""
    offset: int
    """Of its header in the file."""
    kind: str
    """Its kind in words."""
    stored: int
    """Bytes in the file, header included."""
    raw: int
    """Bytes of its content."""
    first: int
    """First icount that it is about."""
    last: int
    """Last icount that it is about."""
    text: str
    """What it holds, in a few words."""


class _SnapshotPlace(Frozen):
    chunk: Chunk
    packs: int


class _Images(Mapping[str, bytes]):
    """Images by digest, put together from their parts when they are asked for."""

    def __init__(self, file: ChunkFile) -> None:
        self._file = file
        self._parts: dict[str, list[Chunk]] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._content: dict[str, bytes] = {}

    def add(self, chunk: Chunk, payload: bytes) -> None:
        """Take in a part."""
        part = contents.decode_image_part(payload)
        size, here = self._sizes.get(part.digest, (part.size, 0))
        if (part.size, part.offset) != (size, here):
            raise Malformed(f"it is not the next part of image {part.digest}")
        self._sizes[part.digest] = size, here + len(part.data)
        self._parts.setdefault(part.digest, []).append(chunk)

    def whole(self, digest: str) -> bool:
        """Return whether all of an image is there."""
        size, here = self._sizes.get(digest, (0, -1))
        return size == here

    def __getitem__(self, digest: str) -> bytes:
        if not self.whole(digest):
            raise KeyError(digest)
        if digest not in self._content:
            parts = [contents.decode_image_part(self._file.content(chunk)).data for chunk in self._parts[digest]]
            content = b"".join(parts)
            if contents.image_digest(content) != digest:
                raise self._file.bad(self._parts[digest][0], f"the image is not {digest}")
            self._content[digest] = content
        return self._content[digest]

    def __iter__(self) -> Iterator[str]:
        return (digest for digest in self._sizes if self.whole(digest))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Trace:
    """A trace, opened for reading. Content is read from the file when it is asked for.

    Everything up to the first chunk that is not whole is there; `damage` says what was lost behind it.

    Raises of all methods:
        BadTrace: A chunk's content contradicts itself, though its checksum holds, or the file has become shorter.
    """

    def __init__(self, file: ChunkFile) -> None:
        self._file = file
        self.path = file.path
        """The file."""
        self.file_id = file.file_id
        """Random id of the file, 16 bytes."""
        self.format_version = file.format_version
        """Version of the format that the file is in."""
        self.ending: Ending | None = None
        """How it ended; None: the recorder was killed or is still running, or the end was lost."""
        self._chunks: list[Chunk] = []
        self._images = _Images(file)
        self._media = Media(file)
        self._objects = StoredObjects(file)
        self._journal_chunks: list[Chunk] = []
        self._events = EventSequence(self._decode_block)
        self._check_parts: list[U64] = []
        self._checks: U64 = np.zeros(0, np.uint64)
        self._digests: list[tuple[int, int, bytes]] = []
        self._valid_digests: tuple[tuple[int, int], dict[int, bytes]] = ((0, 0), {})
        self._snapshots: list[_SnapshotPlace] = []
        self._epochs: list[Chunk] = []
        self._lost = ""
        self._manifest, self._next_check = self._read_manifest()
        self._end_icount = self._manifest.start_icount
        self._pages = PageStore(self._manifest.config.ram_bytes // PAGE_BYTES, file)
        self._snapshot_items = LazySequence(
            lambda: len(self._snapshots), self._decode_snapshot, lambda number: self._snapshots[number].chunk.raw
        )
        self._epoch_items = LazySequence(
            self._epoch_count, self._decode_epoch, lambda number: 2 * self._epochs[number].raw, INDEX_BYTES
        )
        self._takers: dict[int, Callable[[Chunk, bytes], None]] = {
            int(ChunkKind.MANIFEST): self._take_manifest,
            int(ChunkKind.IMAGE): self._images.add,
            int(ChunkKind.JOURNAL): self._take_journal,
            int(ChunkKind.PAGES): self._pages.add,
            int(ChunkKind.CHECKS): self._take_checks,
            int(ChunkKind.INDEX): self._take_index,
            int(ChunkKind.BLOCKS): self._media.add,
            int(ChunkKind.OBJECTS): self._objects.add,
        }
        self._read_on()
        self._check_usable()

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Trace:
        """Open a trace.

        Raises:
            BadTrace: It cannot be read, is no trace, or is of a newer version.
        """
        file = ChunkFile(path)
        try:
            return cls(file)
        except BaseException:
            file.close()
            raise

    def __enter__(self) -> Trace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. What was not read before can then not be read any more."""
        self._file.close()

    def fileno(self) -> int:
        """Return the descriptor of its file."""
        return self._file.fileno()

    # ---- what it holds -----------------------------------------------------------------------------------------------
    @property
    def manifest(self) -> Manifest:
        """What was recorded."""
        return self._manifest

    @property
    def images(self) -> Mapping[str, bytes]:
        """Images by digest."""
        return self._images

    @property
    def media(self) -> Mapping[str, MediumInfo]:
        """By device: how much of what was put into it is there."""
        return self._media.devices

    def block(self, device: str, number: int) -> bytes | None:
        """Return a block of what was put into a device; None if the recording could not read it.

        Raises:
            KeyError: The recording never asked for it.
        """
        return self._media.block(device, number)

    def stored(self, name: bytes) -> bytes | None:
        """Return an encoded object that states refer to, or None if there is none of that name."""
        return self._objects.get(name)

    @property
    def events(self) -> Sequence[Event]:
        """The journal, up to the newest promise."""
        return self._events

    @property
    def end_icount(self) -> int:
        """The last position that replays."""
        return self._end_icount

    @property
    def start_icount(self) -> int:
        """The first position that replays."""
        return self._manifest.start_icount

    @property
    def checks(self) -> U64:
        """u64[n]: check words up to `end_icount`, from the first multiple of CHECK_PERIOD behind the start on."""
        if self._check_parts:
            self._checks = np.concatenate((self._checks, *self._check_parts))
            self._check_parts.clear()
        return self._checks[: self._end_icount // CHECK_PERIOD - self.start_icount // CHECK_PERIOD]

    @property
    def digests(self) -> Mapping[int, bytes]:
        """Root hashes by position, of the state behind every event at that position."""
        state = len(self._digests), len(self._events)
        if state != self._valid_digests[0]:
            # one taken before another event at its position is not the hash of that position
            valid = {icount: digest for icount, events, digest in self._digests if self._events.up_to(icount) == events}
            self._valid_digests = state, valid
        return self._valid_digests[1]

    @property
    def snapshots(self) -> Sequence[Snapshot]:
        """Snapshots by position."""
        return self._snapshot_items

    @property
    def snapshot_icounts(self) -> Sequence[int]:
        """Positions of the snapshots, ascending; nothing is decoded for it."""
        return [place.chunk.first for place in self._snapshots]

    @property
    def epochs(self) -> Sequence[EpochIndex]:
        """Index blocks by position, those up to `end_icount`. Epochs may be missing."""
        return self._epoch_items

    @property
    def epoch_spans(self) -> list[tuple[int, int]]:
        """The first step of each index block, and one past its last, without reading any."""
        return [(chunk.first, chunk.last) for chunk in self._epochs[: self._epoch_count()]]

    @property
    def size(self) -> int:
        """Bytes of the file that are whole chunks."""
        return self._file.offset

    @property
    def size_by_kind(self) -> dict[str, int]:
        """Bytes of the file by kind of chunk."""
        sizes: dict[str, int] = {}
        for chunk in self._chunks:
            sizes[chunk.name] = sizes.get(chunk.name, 0) + chunk.end - chunk.offset
        return sizes

    @property
    def recording(self) -> bool:
        """Whether a recorder is still writing the file; False where the operating system cannot tell."""
        return self.ending is None and self._file.recording

    @property
    def damage(self) -> str:
        """What was lost, in a sentence, or ""."""
        return self._lost

    @property
    def corrupt(self) -> bool:
        """Whether bytes are wrong, not only missing at the end as after a killed recorder."""
        return bool(self._lost) and not self._file.cut_off

    def versions(self, snapshot_number: int) -> U32:
        """Return an id of the content of each page of RAM at a snapshot: 0 for all zero.

        Shapes: result u32[ram_pages].
        """
        return self._pages.versions(self._snapshots[snapshot_number].packs)

    def load_pages(self, pages: npt.ArrayLike, versions: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """Return the content of pages.

        Shapes: pages u32[n], versions u32[n], as `versions` gives them; result u8[n, 4096].

        Raises:
            ValueError: A page has no such version.
        """
        return self._pages.load(pages, versions)

    def refresh(self) -> bool:
        """Take in what was written since; return whether there was anything."""
        if self.ending is not None:
            return False
        before = len(self._chunks)
        self._read_on()
        return len(self._chunks) > before

    def chunks(self) -> Iterator[ChunkInfo]:
        """Return every chunk."""
        for chunk in self._chunks:
            try:
                text = describe.summary(chunk, self._file.content(chunk))
            except Malformed as error:
                raise self._file.bad(chunk, error) from error
            size = chunk.end - chunk.offset
            yield ChunkInfo(chunk.number, chunk.offset, chunk.name, size, chunk.raw, chunk.first, chunk.last, text)

    # ---- reading -----------------------------------------------------------------------------------------------------
    def _read_manifest(self) -> tuple[Manifest, int]:
        chunk, stored = next(self._file.walk(), (None, b""))
        if chunk is None:
            why = self._file.fault or "is missing"
            raise BadTrace(
                f"{self._file.shown}: the manifest, which comes first, {why}", hint="nothing of it can be replayed"
            )
        if chunk.newer or chunk.kind != ChunkKind.MANIFEST:
            raise BadTrace(
                f"{self._file.shown}: {chunk.where}: the manifest of a newer rrdbg", hint="use a newer rrdbg"
            )
        self._chunks.append(chunk)
        try:
            manifest = Manifest.from_json(frame.unpack(chunk, stored))
        except (Invalid, Malformed) as error:
            raise self._file.bad(chunk, error) from error
        return manifest, manifest.start_icount // CHECK_PERIOD + 1

    def _read_on(self) -> None:
        """Take in the chunks behind the last one."""
        # a recorder that is gone now will not write any more; asked before the file's size is
        final = not self.recording
        self._lost = ""
        place = self._file.offset, self._file.number
        try:
            for chunk, stored in self._file.walk():
                if self.ending is not None:
                    raise Malformed("it comes behind the end")
                self._take(chunk, stored)
                self._chunks.append(chunk)
                place = self._file.offset, self._file.number
            fault = self._file.fault
        except Malformed as error:
            fault, self._file.cut_off = f"cannot be read: {error}", False
        self._file.offset, self._file.number = place
        if fault and final:
            self._lost = self._describe_loss(fault)

    def _describe_loss(self, fault: str) -> str:
        lost = self._file.size - self._file.offset
        header = self._file.read_at(frame.CHUNK_HEADER_BYTES, self._file.offset)
        try:
            kind = f" ({frame.parse_chunk_header(header, self._file.number, self._file.offset).name})"
        except (Malformed, frame.Incomplete):
            kind = ""
        return (
            f"chunk {self._file.number}{kind} at offset {self._file.offset} {fault}; "
            f"the last {lost} bytes of the file are lost, it replays up to icount {self._end_icount}"
        )

    def _check_usable(self) -> None:
        """Raise BadTrace if not even the first position can be replayed."""
        missing = [ref.name for ref in self._manifest.config.images if not self._images.whole(ref.digest)]
        if missing:
            what = f"image {missing[0]!r} is not all there"
        elif self.start_icount and not self._snapshots:
            what = "the snapshot that it starts from is not there"
        else:
            return
        raise BadTrace(
            f"{self._file.shown}: {what}", hint=self._lost or "the recorder was killed, or has only just started"
        )

    def _take(self, chunk: Chunk, stored: bytes) -> None:
        """Take in one chunk.

        Raises:
            Malformed: It makes no sense where it stands.
        """
        if chunk.newer:
            if chunk.flags & ChunkFlag.OPTIONAL:
                return
            raise Malformed("a newer rrdbg wrote it")
        if chunk.first < self.start_icount:
            raise Malformed("it is about positions before the start")
        self._takers.get(chunk.kind, self._take_promise)(chunk, frame.unpack(chunk, stored))

    def _take_manifest(self, chunk: Chunk, payload: bytes) -> None:
        raise Malformed("a second manifest")

    def _take_index(self, chunk: Chunk, payload: bytes) -> None:
        if self._epochs and chunk.first < self._epochs[-1].last:
            raise Malformed("it comes too late")
        self._epochs.append(chunk)

    def _take_journal(self, chunk: Chunk, payload: bytes) -> None:
        if chunk.first < max(self._end_icount, self._journal_chunks[-1].last if self._journal_chunks else 0):
            raise Malformed("its events come too late")
        self._events.add(journal.count(payload), chunk.raw, chunk.first, chunk.last)
        self._journal_chunks.append(chunk)

    def _take_checks(self, chunk: Chunk, payload: bytes) -> None:
        words = contents.decode_checks(payload)
        first, after = self._next_check, self._next_check + len(words)
        if not len(words) or (chunk.first, chunk.last) != (first * CHECK_PERIOD, (after - 1) * CHECK_PERIOD):
            raise Malformed("they are not the next check words")
        self._check_parts.append(words)
        self._next_check = after

    def _take_promise(self, chunk: Chunk, payload: bytes) -> None:
        """Take in a chunk that says: everything up to here is in the file."""
        icount = chunk.first
        if icount != chunk.last or icount < self._end_icount:
            raise Malformed("it lies before what came before it")
        if self._events.last_icount > icount:
            raise Malformed("an event behind it is there already")
        ending = None
        if chunk.kind == ChunkKind.SNAPSHOT:
            applied, versions = contents.decode_snapshot_head(payload)
            if versions != self._pages.total or applied > self._events.total:
                raise Malformed("pages or events of it are missing")
            if self._snapshots and icount <= self._snapshots[-1].chunk.first:
                raise Malformed("there is a snapshot of this position already")
            self._snapshots.append(_SnapshotPlace(chunk, self._pages.packs))
        else:
            if chunk.kind == ChunkKind.DIGEST:
                events, digest = contents.decode_digest(payload)
            elif chunk.kind == ChunkKind.PROGRESS:
                events = contents.decode_progress(payload)
            else:
                events, ending = contents.decode_end(payload, icount)
            if events != self._events.total:
                raise Malformed(f"{events} events come before it, {self._events.total} are there")
            if chunk.kind == ChunkKind.DIGEST:
                self._digests.append((icount, events, digest))
        self._events.promise()
        self._end_icount = icount
        self.ending = ending

    def _decode_block(self, number: int) -> list[Event]:
        chunk = self._journal_chunks[number]
        try:
            return journal.decode(self._file.content(chunk), chunk.first, chunk.last)
        except Malformed as error:
            raise self._file.bad(chunk, error) from error

    def _decode_snapshot(self, number: int) -> Snapshot:
        chunk = self._snapshots[number].chunk
        try:
            return contents.decode_snapshot(self._file.content(chunk), chunk.first)
        except Malformed as error:
            raise self._file.bad(chunk, error) from error

    def _epoch_count(self) -> int:
        count = len(self._epochs)
        while count and self._epochs[count - 1].last > self._end_icount:
            count -= 1
        return count

    def _decode_epoch(self, number: int) -> EpochIndex:
        chunk = self._epochs[number]
        try:
            return contents.decode_index(
                self._file.content(chunk), chunk.first, chunk.last, self._manifest.config.ram_bytes // PAGE_BYTES
            )
        except Malformed as error:
            raise self._file.bad(chunk, error) from error
