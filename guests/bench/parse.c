// bench/parse: text in JSON is written, read into a tree, and written again: a lexer, switches, numbers, escapes, copies
#include "lib.h"

#define TEXT (256 * 1024)
#define NODES 32768

static const volatile u64 rounds = 80;  // how long it runs

enum kind { NONE, FALSE, TRUE, NUMBER, STRING, ARRAY, OBJECT };

struct node {
  enum kind kind;
  u32 size;                  // of a string
  struct node *first, *next; // of an array or object, and in one
  const char *key, *string;
  u32 key_size;
  i64 number;
  u32 scale;                 // decimal places of a number
};

static struct node nodes[NODES];
static u64 used;
static char pool[TEXT];
static u64 pool_used;

// ---- reading

static const char *at, *source;

static _Noreturn void bad(const char *what) { panic("json: %s at %lu", what, at - source); }

static void blank(void) {
  while (*at == ' ' || *at == '\n' || *at == '\t')
    at++;
}

static u32 hex(void) {
  u32 value = 0;
  for (int i = 0; i < 4; i++) {
    char c = *at++;
    value <<= 4;
    if (c >= '0' && c <= '9')
      value |= c - '0';
    else if (c >= 'a' && c <= 'f')
      value |= c - 'a' + 10;
    else
      bad("hexadecimal digit");
  }
  return value;
}

static const char *string(u32 *size) {
  char *start = pool + pool_used, *to = start;
  at++;
  while (*at != '"') {
    if (!*at)
      bad("end of text");
    if (*at != '\\') {
      *to++ = *at++;
      continue;
    }
    at++;
    switch (*at++) {
    case 'n': *to++ = '\n'; break;
    case 't': *to++ = '\t'; break;
    case 'r': *to++ = '\r'; break;
    case 'b': *to++ = '\b'; break;
    case '"': *to++ = '"'; break;
    case '\\': *to++ = '\\'; break;
    case 'u': {
      u32 c = hex();  // to UTF-8
      if (c < 0x80) {
        *to++ = c;
      } else if (c < 0x800) {
        *to++ = 0xc0 | c >> 6;
        *to++ = 0x80 | (c & 63);
      } else {
        *to++ = 0xe0 | c >> 12;
        *to++ = 0x80 | (c >> 6 & 63);
        *to++ = 0x80 | (c & 63);
      }
      break;
    }
    default: bad("escape");
    }
  }
  at++;
  *size = to - start;
  pool_used += *size;
  return start;
}

static struct node *value(void) {
  struct node *n = &nodes[used++];
  if (used == NODES)
    bad("too many nodes");
  *n = (struct node){0};
  blank();
  switch (*at) {
  case '{':
  case '[': {
    char close = *at == '{' ? '}' : ']';
    n->kind = *at == '{' ? OBJECT : ARRAY;
    at++;
    struct node **end = &n->first;
    for (blank(); *at != close; blank()) {
      const char *key = 0;
      u32 key_size = 0;
      if (n->kind == OBJECT) {
        if (*at != '"')
          bad("key");
        key = string(&key_size);
        blank();
        if (*at++ != ':')
          bad("colon");
      }
      struct node *child = value();
      child->key = key;
      child->key_size = key_size;
      *end = child;
      end = &child->next;
      blank();
      if (*at == ',')
        at++;
      else if (*at != close)
        bad("comma");
    }
    at++;
    return n;
  }
  case '"':
    n->kind = STRING;
    n->string = string(&n->size);
    return n;
  case 't':
    if (memcmp(at, "true", 4))
      bad("word");
    n->kind = TRUE;
    at += 4;
    return n;
  case 'f':
    if (memcmp(at, "false", 5))
      bad("word");
    n->kind = FALSE;
    at += 5;
    return n;
  case 'n':
    if (memcmp(at, "null", 4))
      bad("word");
    at += 4;
    return n;
  default: {
    i64 sign = 1, number = 0;
    u32 scale = 0, point = 0;
    if (*at == '-')
      sign = -1, at++;
    if (*at < '0' || *at > '9')
      bad("value");
    for (; (*at >= '0' && *at <= '9') || (*at == '.' && !point); at++) {
      if (*at == '.') {
        point = 1;
        continue;
      }
      number = number * 10 + *at - '0';
      scale += point;
    }
    n->kind = NUMBER;
    n->number = sign * number;
    n->scale = scale;
    return n;
  }
  }
}

// ---- writing

static char *out;

static void put_text(const char *s) {
  while (*s)
    *out++ = *s++;
}

static void put_string(const char *s, u32 size) {
  *out++ = '"';
  for (const char *end = s + size; s < end; s++) {
    u8 c = *s;
    switch (c) {
    case '\n': put_text("\\n"); break;
    case '\t': put_text("\\t"); break;
    case '\r': put_text("\\r"); break;
    case '\b': put_text("\\b"); break;
    case '"': put_text("\\\""); break;
    case '\\': put_text("\\\\"); break;
    default:
      if (c < 0x80) {
        *out++ = c;
        break;
      }
      u32 code = c < 0xe0 ? (c & 31) << 6 | (s[1] & 63) : (c & 15) << 12 | (s[1] & 63) << 6 | (s[2] & 63);
      s += c < 0xe0 ? 1 : 2;
      put_text("\\u");
      for (int shift = 12; shift >= 0; shift -= 4)
        *out++ = "0123456789abcdef"[code >> shift & 15];
    }
  }
  *out++ = '"';
}

static void put_number(i64 number, u32 scale) {
  char digits[24];
  u32 n = 0;
  if (number < 0) {
    *out++ = '-';
    number = -number;
  }
  for (; number || n <= scale; number /= 10)
    digits[n++] = '0' + number % 10;
  while (n) {
    if (n == scale)
      *out++ = '.';
    *out++ = digits[--n];
  }
}

static void put(const struct node *n) {
  switch (n->kind) {
  case NONE: put_text("null"); break;
  case FALSE: put_text("false"); break;
  case TRUE: put_text("true"); break;
  case NUMBER: put_number(n->number, n->scale); break;
  case STRING: put_string(n->string, n->size); break;
  case ARRAY:
  case OBJECT:
    *out++ = n->kind == OBJECT ? '{' : '[';
    for (const struct node *c = n->first; c; c = c->next) {
      if (c->key) {
        put_string(c->key, c->key_size);
        *out++ = ':';
      }
      put(c);
      if (c->next)
        *out++ = ',';
    }
    *out++ = n->kind == OBJECT ? '}' : ']';
  }
}

// ---- something to read

static void make(u64 depth, u64 *state) {
  static const char *const keys[] = {"id", "name", "children", "value", "unit", "a longer key", "t", "flags"};
  u64 r = random_next(state) >> 8;
  if (!depth)
    r = r % 5 + 3;
  switch (r & 7) {
  case 0:
  case 1:
  case 2:
    *out++ = r & 1 ? '[' : '{';
    for (u64 i = 0, n = 2 + (r >> 3) % 8; i < n; i++) {
      if (!(r & 1)) {
        *out++ = '"';
        put_text(keys[(r >> (8 + i)) & 7]);
        put_text("\": ");
      }
      make(depth - 1, state);
      if (i + 1 < n)
        put_text(i & 3 ? ", " : ",\n  ");
    }
    *out++ = r & 1 ? ']' : '}';
    break;
  case 3: put_text(r >> 8 & 1 ? "true" : r >> 9 & 1 ? "false" : "null"); break;
  case 4: put_number((i64)(r >> 8) >> (r & 31), 0); break;
  case 5: put_number(-(i64)(r >> 40), 3); break;
  default: {
    *out++ = '"';
    for (u64 i = 0, n = (r >> 3) % 40; i < n; i++) {
      u64 c = random_next(state) >> 32;
      if ((c & 31) == 0)
        put_text("\\n");
      else if ((c & 31) == 1)
        put_text("\\u20ac");
      else if ((c & 31) == 2)
        put_text("\\\"");
      else
        *out++ = 'a' + (c >> 8) % 26;
    }
    *out++ = '"';
  }
  }
}

static char text[2 * TEXT], once[2 * TEXT], twice[2 * TEXT];

static u64 count(const struct node *n, enum kind kind) {
  u64 found = n->kind == kind;
  for (const struct node *c = n->first; c; c = c->next)
    found += count(c, kind);
  return found;
}

static struct node *read(const char *from) {
  used = pool_used = 0;
  at = source = from;
  struct node *n = value();
  if (*at)
    bad("more text");
  return n;
}

int main(void) {
  u64 state = 1, hash = 0, characters = 0, values = 0;
  for (u64 round = 0; round < rounds; round++) {
    out = text;
    put_text("[0");
    while (out - text < 96 * 1024) {
      put_text(", ");
      make(5, &state);
    }
    put_text("]");
    *out = 0;
    characters += out - text;
    struct node *n = read(text);
    values += used;
    hash = hash_mix(hash, count(n, STRING) << 32 | count(n, NUMBER));
    out = once;
    put(n);
    u64 size = out - once;
    *out = 0;
    out = twice;
    put(read(once));
    if ((u64)(out - twice) != size || memcmp(once, twice, size))
      panic("the second text differs");
    for (u64 i = 0; i + 8 <= size; i += 8)
      hash = hash_mix(hash, *(u64 *)(once + i));
  }
  printf("parse: %lu characters, %lu values, %016lx\n", characters, values, hash);
  return 0;
}
