// bench/compress: LZ77 with hash chains, then Huffman codes, and back: branches that nobody foresees, bits, short copies
#include "lib.h"

#define SIZE (128 * 1024)
#define WINDOW 32768
#define SHORTEST 4
#define LONGEST 255

static const volatile u64 rounds = 44;  // how long it runs

// ---- LZ77: a token is a literal byte, or 0xff, length and distance; a literal 0xff is 0xff and 0

static u32 heads[1 << 13], chain[WINDOW];

static u64 squash(u8 *to, const u8 *from, u64 n) {
  u8 *out = to;
  for (u64 i = 0; i < 1 << 13; i++)
    heads[i] = 0;
  for (u64 i = 0; i < n;) {
    u64 best = 0, distance = 0;
    if (i + SHORTEST <= n) {
      u32 four = from[i] | from[i + 1] << 8 | from[i + 2] << 16 | (u32)from[i + 3] << 24, slot = four * 2654435761U >> 19;
      u32 candidate = heads[slot];
      for (int tries = 8; candidate && i - (candidate - 1) < WINDOW && tries--; candidate = chain[(candidate - 1) % WINDOW]) {
        const u8 *a = from + candidate - 1, *b = from + i;
        u64 length = 0, most = n - i < LONGEST ? n - i : LONGEST;
        while (length < most && a[length] == b[length])
          length++;
        if (length > best) {
          best = length;
          distance = b - a;
        }
      }
      chain[i % WINDOW] = heads[slot];
      heads[slot] = i + 1;
    }
    if (best >= SHORTEST) {
      *out++ = 0xff;
      *out++ = best;
      *out++ = distance;
      *out++ = distance >> 8;
      i += best;
    } else {
      if ((*out++ = from[i++]) == 0xff)
        *out++ = 0;
    }
  }
  return out - to;
}

static u64 unsquash(u8 *to, const u8 *from, u64 n) {
  u8 *out = to;
  const u8 *end = from + n;
  while (from < end) {
    u8 c = *from++;
    if (c != 0xff) {
      *out++ = c;
    } else if (!*from) {
      *out++ = c;
      from++;
    } else {
      u64 length = from[0];
      const u8 *copy = out - (from[1] | from[2] << 8);
      from += 3;
      while (length--)
        *out++ = *copy++;
    }
  }
  return out - to;
}

// ---- Huffman codes over bytes, canonical

static u32 counts[512], parents[512];
static u8 lengths[256], depths[512];
static u32 codes[256];

static void lengths_from(const u8 *p, u64 n) {
  u32 queue[256], queued = 0, next = 256;
  for (u32 i = 0; i < 256; i++)
    counts[i] = 1;  // every byte gets a code
  for (u64 i = 0; i < n; i++)
    counts[p[i]]++;
  // no byte may be so rare that its code is longer than 32 bits: with these sizes none is
  for (u32 i = 0; i < 256; i++) {
    u32 at = queued++;
    for (; at && counts[queue[(at - 1) / 2]] > counts[i]; at = (at - 1) / 2)
      queue[at] = queue[(at - 1) / 2];
    queue[at] = i;
  }
  while (queued > 1) {
    u32 two[2];
    for (int k = 0; k < 2; k++) {
      two[k] = queue[0];
      u32 last = queue[--queued], at = 0;
      for (u32 child; (child = 2 * at + 1) < queued; at = child) {
        if (child + 1 < queued && counts[queue[child + 1]] < counts[queue[child]])
          child++;
        if (counts[queue[child]] >= counts[last])
          break;
        queue[at] = queue[child];
      }
      queue[at] = last;
    }
    counts[next] = counts[two[0]] + counts[two[1]];
    parents[two[0]] = parents[two[1]] = next;
    u32 at = queued++;
    for (; at && counts[queue[(at - 1) / 2]] > counts[next]; at = (at - 1) / 2)
      queue[at] = queue[(at - 1) / 2];
    queue[at] = next++;
  }
  depths[next - 1] = 0;
  for (u32 node = next - 1; node--;)  // parents come behind their children
    depths[node] = depths[parents[node]] + 1;
  memcpy(lengths, depths, sizeof lengths);
}

static u32 first_code[34], first_index[34];
static u8 ordered[256];

static void assign(void) {
  u32 code = 0, index = 0;
  for (u32 length = 1; length <= 32; length++) {
    code <<= 1;
    first_code[length] = code;
    first_index[length] = index;
    for (u32 i = 0; i < 256; i++)
      if (lengths[i] == length) {
        ordered[index++] = i;
        codes[i] = code++;
      }
  }
  first_index[33] = index;
}

static u64 pack(u8 *to, const u8 *p, u64 n) {
  u64 bits = 0, held = 0, size = 0;
  while (n--) {
    bits = bits << lengths[*p] | codes[*p];
    held += lengths[*p++];
    for (; held >= 8; held -= 8)
      to[size++] = bits >> (held - 8);
  }
  if (held)
    to[size++] = bits << (8 - held);
  return size;
}

static void unpack(u8 *to, u64 n, const u8 *p) {
  u64 bits = 0;
  int held = 0;
  while (n--) {
    u32 code = 0, length = 0;
    do {
      if (!held) {
        bits = *p++;
        held = 8;
      }
      code = code << 1 | (bits >> --held & 1);
      length++;
    } while (code - first_code[length] >= first_index[length + 1] - first_index[length]);
    *to++ = ordered[first_index[length] + code - first_code[length]];
  }
}

// ---- something to compress: lines of a log, words with noise

static u8 text[SIZE + 256], small[2 * SIZE], tiny[2 * SIZE], back[2 * SIZE], whole[SIZE + 256];

static void make(u64 *state) {
  static const char *const words[] = {"open ",  "read ", "close ", "error ", "retry ", "sensor ", "voltage ", "at ",
                                      "node ", "0x",    "timeout\n", "ok\n", "packet ", "dropped\n", "from ", "queue "};
  for (u64 at = 0; at < SIZE;) {
    u64 r = random_next(state) >> 16;
    for (const char *s = words[(r & 15) * (r >> 4 & 15) / 15]; *s;)
      text[at++] = *s++;
    for (u64 noise = r >> 8 & 3; noise--; r >>= 4)
      text[at++] = "0123456789abcdef"[r >> 10 & 15];
    if ((r >> 40 & 63) == 0)
      text[at++] = r >> 20;
  }
}

int main(void) {
  u64 state = 1, hash = 0, in = 0, out = 0;
  for (u64 round = 0; round < rounds; round++) {
    make(&state);
    u64 squashed = squash(small, text, SIZE);
    lengths_from(small, squashed);
    assign();
    u64 packed = pack(tiny, small, squashed);
    unpack(back, squashed, tiny);
    if (memcmp(back, small, squashed))
      panic("Huffman, round %lu", round);
    if (unsquash(whole, back, squashed) != SIZE || memcmp(whole, text, SIZE))
      panic("LZ77, round %lu", round);
    for (u64 i = 0; i + 8 <= packed; i += 8)
      hash = hash_mix(hash, *(u64 *)(tiny + i));
    in += SIZE;
    out += packed;
  }
  printf("compress: %lu bytes to %lu, %016lx\n", in, out, hash);
  return 0;
}
