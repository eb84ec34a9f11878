"""The digest of a machine: XXH3_128 of the hashes of all pages and of the words of all parts of its state.

XXH3 goes through its input in blocks of 1024 bytes. What a block adds to the eight accumulators does not depend on what
they hold, so it is kept for each block of hashes, 64 bytes: the root of 128 MiB takes 2 us instead of 40, and does not
drive the guest's memory out of the caches. See https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md; all inputs here
are longer than 240 bytes, without seed.

`d` is a table of pointers of its own, see cpu/digest.py.
"""

from __future__ import annotations

from rrdbg_core.cpu.intrinsics import (
    absorb,
    absorb_15,
    absorb_16,
    bytes_at,
    fold,
    load8,
    scramble,
    store8,
    swap,
    u32_at,
    words_at,
)
from rrdbg_core.cpu.native.collect import next_page
from rrdbg_core.cpu.native.names import (
    D_HASHES,
    D_PARTS,
    D_RAM,
    D_SECRET,
    D_SUMS,
    D_WORDS,
    D_WRITTEN,
    DIGEST_FRESH,
    DIGEST_HIGH,
    DIGEST_LOW,
    DIGEST_PAGES,
    DIGEST_PARTS,
    DIGEST_SIZE,
    U,
)
from rrdbg_core.cpu.pipeline import njit


@njit
def start_hash(m):
    """Set the accumulators, the first eight words of `m`, to where XXH3 starts."""
    m[U(0)] = U(0xC2B2AE3D)
    m[U(1)] = U(0x9E3779B185EBCA87)
    m[U(2)] = U(0xC2B2AE3D27D4EB4F)
    m[U(3)] = U(0x165667B19E3779F9)
    m[U(4)] = U(0x85EBCA77C2B2AE63)
    m[U(5)] = U(0x85EBCA77)
    m[U(6)] = U(0x27D4EB2F165667C5)
    m[U(7)] = U(0x9E3779B1)


@njit
def merge(m, secret, at, result):
    """Return half of the hash of what the accumulators hold."""
    lane = U(0)
    while lane < U(8):
        key = at + (lane << U(3))
        result += fold(m[lane] ^ load8(secret, key), m[lane + U(1)] ^ load8(secret, key + U(8)))
        lane += U(2)
    result ^= result >> U(37)
    result *= U(0x165667919E3779F9)
    return result ^ (result >> U(32))


@njit
def end_hash(d, data, end, size):
    """Take in the last 64 of `size` bytes, which end at `end`, and leave the hash in DIGEST_HIGH and DIGEST_LOW."""
    m = words_at(d, D_WORDS)
    secret = bytes_at(d, D_SECRET)
    absorb(m, U(0), data, end - U(64), secret, U(121))
    m[DIGEST_LOW] = merge(m, secret, U(11), size * U(0x9E3779B185EBCA87))
    m[DIGEST_HIGH] = merge(m, secret, U(117), ~(size * U(0xC2B2AE3D27D4EB4F)))


@njit
def hash_page(d, page):
    """Hash a page of RAM: the hash goes among the others, in its canonical form."""
    m = words_at(d, D_WORDS)
    ram = bytes_at(d, D_RAM)
    hashes = bytes_at(d, D_HASHES)
    secret = bytes_at(d, D_SECRET)
    at = page << U(12)
    start_hash(m)
    block = U(0)
    while block < U(3):
        absorb_16(m, U(0), ram, at + (block << U(10)), secret, U(0))
        scramble(m, words_at(d, D_SUMS), U(0), secret, U(128))
        block += U(1)
    absorb_15(m, U(0), ram, at + U(3072), secret, U(0))
    end_hash(d, ram, at + U(4096), U(4096))
    store8(hashes, page << U(4), swap(m[DIGEST_HIGH]))
    store8(hashes, (page << U(4)) + U(8), swap(m[DIGEST_LOW]))


@njit
def sum_block(d, block):
    """Note what a block of hashes adds to the accumulators. Sums number 0 are always zero; those of blocks follow."""
    sums = words_at(d, D_SUMS)
    at = (block + U(1)) << U(3)
    lane = U(0)
    while lane < U(8):
        sums[at + lane] = U(0)
        lane += U(1)
    absorb_16(sums, at, bytes_at(d, D_HASHES), block << U(10), bytes_at(d, D_SECRET), U(0))


@njit
def hash_pages(d, since):
    """Hash the pages written in generation `since` or later."""
    generations = u32_at(d, D_WRITTEN)
    m = words_at(d, D_WORDS)
    pages = m[DIGEST_PAGES]
    blocks = pages >> U(6)
    fresh = m[DIGEST_FRESH] != U(0)
    block = U(0)
    page = next_page(generations, U(0), pages, since)
    while block < blocks:
        behind = (block + U(1)) << U(6)
        if fresh or page < behind:
            while page < behind:
                hash_page(d, page)
                page = next_page(generations, page + U(1), pages, since)
            sum_block(d, block)
        if not fresh:
            block = page >> U(6)
        else:
            block += U(1)
    while page < pages:
        hash_page(d, page)
        page = next_page(generations, page + U(1), pages, since)
    m[DIGEST_FRESH] = U(0)


@njit
def gather_parts(d):
    """Put the words of all parts of the state behind the hashes, each where its place is."""
    hashes = bytes_at(d, D_HASHES)
    parts = words_at(d, D_PARTS)
    row = U(0)
    while row < words_at(d, D_WORDS)[DIGEST_PARTS] << U(2):
        at = parts[row]
        words = words_at(parts, row + U(1))
        places = words_at(parts, row + U(2))
        scattered = parts[row + U(2)] != U(0)
        number = U(0)
        while number < parts[row + U(3)]:
            store8(hashes, at + (number << U(3)), words[places[number]] if scattered else words[number])
            number += U(1)
        row += U(4)


@njit
def digest(d, since):
    """Hash what was written in generation `since` or later, and then everything; see cpu/digest.py."""
    m = words_at(d, D_WORDS)
    hashes = bytes_at(d, D_HASHES)
    sums = words_at(d, D_SUMS)
    secret = bytes_at(d, D_SECRET)
    hash_pages(d, since)
    gather_parts(d)
    size = m[DIGEST_SIZE]
    whole = (size - U(1)) >> U(10)
    summed = m[DIGEST_PAGES] >> U(6)
    start_hash(m)
    block = U(0)
    while block < summed:
        block += U(1)
        scramble(m, sums, block << U(3), secret, U(128))
    while block < whole:
        absorb_16(m, U(0), hashes, block << U(10), secret, U(0))
        scramble(m, sums, U(0), secret, U(128))
        block += U(1)
    at = block << U(10)
    stripe = U(0)
    while stripe < (size - U(1) - at) >> U(6):
        absorb(m, U(0), hashes, at + (stripe << U(6)), secret, stripe << U(3))
        stripe += U(1)
    end_hash(d, hashes, size, size)
    return U(0)
