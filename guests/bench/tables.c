// bench/tables: look-ups: CRC-32 by bytes and by 4 bytes, AES-128, base64, a histogram, a permutation walked in circles
#include "lib.h"

#define SIZE 65536

static const volatile u64 rounds = 48;  // how long it runs

// ---- CRC-32

static u32 crc[4][256];

static void crc_init(void) {
  for (u32 i = 0; i < 256; i++) {
    u32 c = i;
    for (int bit = 0; bit < 8; bit++)
      c = c >> 1 ^ (c & 1 ? 0xedb88320 : 0);
    crc[0][i] = c;
  }
  for (u32 i = 0; i < 256; i++)
    for (int slice = 1; slice < 4; slice++)
      crc[slice][i] = crc[slice - 1][i] >> 8 ^ crc[0][crc[slice - 1][i] & 255];
}

static u32 crc_bytes(const u8 *p, u64 n) {
  u32 c = ~0U;
  while (n--)
    c = crc[0][(c ^ *p++) & 255] ^ c >> 8;
  return ~c;
}

static u32 crc_words(const u8 *p, u64 n) {
  u32 c = ~0U;
  for (; n; n -= 4, p += 4) {
    c ^= *(const u32 *)p;
    c = crc[3][c & 255] ^ crc[2][c >> 8 & 255] ^ crc[1][c >> 16 & 255] ^ crc[0][c >> 24];
  }
  return ~c;
}

// ---- AES-128: one table for encryption, its rotations for the other columns; plain bytes for decryption

static u8 box[256], back[256];
static u32 mixed[256];

static u8 twice(u8 x) { return x << 1 ^ (x & 0x80 ? 0x1b : 0); }
static u8 times(u8 x, u8 y) {
  u8 result = 0;
  for (; y; y >>= 1, x = twice(x))
    if (y & 1)
      result ^= x;
  return result;
}
static u32 rotate(u32 x, int n) { return x << n | x >> (32 - n); }

static void aes_init(void) {
  u8 p = 1, q = 1;  // p runs through the powers of 3, q through their inverses
  do {
    p ^= twice(p);
    q ^= q << 1;
    q ^= q << 2;
    q ^= q << 4;
    if (q & 0x80)
      q ^= 9;
    u8 x = q ^ (u8)(q << 1 | q >> 7) ^ (u8)(q << 2 | q >> 6) ^ (u8)(q << 3 | q >> 5) ^ (u8)(q << 4 | q >> 4) ^ 0x63;
    box[p] = x;
  } while (p != 1);
  box[0] = 0x63;
  for (u32 i = 0; i < 256; i++) {
    u32 s = box[i], d = twice(s);
    back[s] = i;
    mixed[i] = d | s << 8 | s << 16 | (d ^ s) << 24;
  }
}

static void expand(u32 *keys, const u8 *key) {
  u8 constant = 1;
  memcpy(keys, key, 16);
  for (int i = 4; i < 44; i++) {
    u32 t = keys[i - 1];
    if (i % 4 == 0) {
      t = rotate(t, 24);
      t = box[t & 255] | box[t >> 8 & 255] << 8 | box[t >> 16 & 255] << 16 | (u32)box[t >> 24] << 24;
      t ^= constant;
      constant = twice(constant);
    }
    keys[i] = keys[i - 4] ^ t;
  }
}

static void encrypt(u32 *s, const u32 *keys) {
  u32 t[4];
  for (int c = 0; c < 4; c++)
    s[c] ^= keys[c];
  for (int round = 1; round < 10; round++) {
    for (int c = 0; c < 4; c++)
      t[c] = mixed[s[c] & 255] ^ rotate(mixed[s[(c + 1) & 3] >> 8 & 255], 8) ^
             rotate(mixed[s[(c + 2) & 3] >> 16 & 255], 16) ^ rotate(mixed[s[(c + 3) & 3] >> 24], 24) ^
             keys[4 * round + c];
    for (int c = 0; c < 4; c++)
      s[c] = t[c];
  }
  for (int c = 0; c < 4; c++)
    t[c] = (box[s[c] & 255] | box[s[(c + 1) & 3] >> 8 & 255] << 8 | box[s[(c + 2) & 3] >> 16 & 255] << 16 |
            (u32)box[s[(c + 3) & 3] >> 24] << 24) ^
           keys[40 + c];
  for (int c = 0; c < 4; c++)
    s[c] = t[c];
}

static void decrypt(u8 *s, const u32 *keys) {
  const u8 *k = (const u8 *)keys;
  u8 t[16];
  for (int round = 10; round >= 0; round--) {
    for (int i = 0; i < 16; i++)
      s[i] ^= k[16 * round + i];
    if (!round)
      return;
    if (round < 10)
      for (u8 *c = s; c < s + 16; c += 4) {
        u8 a = c[0], b = c[1], d = c[2], e = c[3];
        c[0] = times(a, 14) ^ times(b, 11) ^ times(d, 13) ^ times(e, 9);
        c[1] = times(a, 9) ^ times(b, 14) ^ times(d, 11) ^ times(e, 13);
        c[2] = times(a, 13) ^ times(b, 9) ^ times(d, 14) ^ times(e, 11);
        c[3] = times(a, 11) ^ times(b, 13) ^ times(d, 9) ^ times(e, 14);
      }
    for (int i = 0; i < 16; i++)
      t[(i + 4 * (i & 3)) & 15] = back[s[i]];
    memcpy(s, t, 16);
  }
}

// ---- base64

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static u8 values[256];

static u64 encode(char *to, const u8 *p, u64 n) {
  char *start = to;
  for (; n >= 3; n -= 3, p += 3) {
    u32 x = p[0] << 16 | p[1] << 8 | p[2];
    *to++ = letters[x >> 18];
    *to++ = letters[x >> 12 & 63];
    *to++ = letters[x >> 6 & 63];
    *to++ = letters[x & 63];
  }
  return to - start;
}

static u64 decode(u8 *to, const char *p, u64 n) {
  u8 *start = to;
  for (; n; n -= 4, p += 4) {
    u32 x = values[(u8)p[0]] << 18 | values[(u8)p[1]] << 12 | values[(u8)p[2]] << 6 | values[(u8)p[3]];
    *to++ = x >> 16;
    *to++ = x >> 8;
    *to++ = x;
  }
  return to - start;
}

// ---- all of it

static u8 data[SIZE], again[SIZE];
static char text[SIZE * 4 / 3 + 4];
static u32 next[SIZE], counts[256];

int main(void) {
  u64 state = 1, hash = 0;
  crc_init();
  aes_init();
  for (u32 i = 0; i < 64; i++)
    values[(u8)letters[i]] = i;
  if (crc_bytes((const u8 *)"123456789", 9) != 0xcbf43926)
    panic("CRC-32");
  u8 key[16], block[16];
  for (u32 i = 0; i < 16; i++)
    key[i] = i, block[i] = i * 0x11;
  u32 keys[44];
  expand(keys, key);
  encrypt((u32 *)block, keys);
  if (memcmp(block, "\x69\xc4\xe0\xd8\x6a\x7b\x04\x30\xd8\xcd\xb7\x80\x70\xb4\xc5\x5a", 16))
    panic("AES");  // FIPS 197, appendix C.1
  for (u64 i = 0; i < SIZE; i++)
    next[i] = i;
  for (u64 i = SIZE; --i;) {  // Sattolo: one circle
    u64 j = (random_next(&state) >> 32) % i, t = next[i];
    next[i] = next[j];
    next[j] = t;
  }
  for (u64 round = 0; round < rounds; round++) {
    for (u64 i = 0; i < SIZE; i += 8)
      *(u64 *)(data + i) = random_next(&state);
    u32 sum = crc_bytes(data, SIZE);
    if (sum != crc_words(data, SIZE))
      panic("the CRCs differ");
    memcpy(again, data, SIZE);
    memcpy(key, data, 16);
    expand(keys, key);
    for (u64 i = 0; i < SIZE; i += 16) {
      encrypt((u32 *)(data + i), keys);
      if (i)
        hash = hash_mix(hash, *(u64 *)(data + i));
    }
    for (u64 i = 0; i < SIZE; i += 256) {  // decryption by bytes takes long: one block of sixteen
      decrypt(data + i, keys);
      if (memcmp(data + i, again + i, 16))
        panic("AES: block at %lu", i);
    }
    u64 size = encode(text, data, SIZE - 1);
    if (decode(again, text, size) != SIZE - 1 || memcmp(data, again, SIZE - 1))
      panic("base64");
    hash = hash_mix(hash, sum ^ crc_bytes((u8 *)text, size));
    memset(counts, 0, sizeof counts);
    for (u64 i = 0; i < size; i++)
      counts[(u8)text[i]]++;
    for (u64 i = 0; i < 256; i++)
      hash = hash_mix(hash, counts[i]);
    u32 at = round;
    for (u64 i = 0; i < SIZE; i++) {
      at = next[at];
      hash += at ^ data[at];
    }
    if (at != round)
      panic("not a circle");
  }
  printf("tables: %016lx\n", hash);
  return 0;
}
