// bench/objects: calls through pointers: virtual methods of trees and shapes, comparison callbacks, a table of states
#include "lib.h"

static const volatile u64 rounds = 205;  // how long it runs

// ---- terms: a tree of objects with virtual methods

struct term;
struct methods {
  i64 (*value)(const struct term *, i64 x);
  u64 (*size)(const struct term *);
  void (*visit)(const struct term *, void (*seen)(const struct term *, void *), void *context);
};
struct term {
  const struct methods *methods;
  const struct term *left, *right;
  i64 number;
};

static i64 value(const struct term *t, i64 x) { return t->methods->value(t, x); }
static u64 size(const struct term *t) { return t->methods->size(t); }
static void visit(const struct term *t, void (*seen)(const struct term *, void *), void *context) {
  t->methods->visit(t, seen, context);
}

static i64 number_value(const struct term *t, i64 x) { return (void)x, t->number; }
static i64 variable_value(const struct term *t, i64 x) { return (void)t, x; }
static i64 add_value(const struct term *t, i64 x) { return value(t->left, x) + value(t->right, x); }
static i64 subtract_value(const struct term *t, i64 x) { return value(t->left, x) - value(t->right, x); }
static i64 multiply_value(const struct term *t, i64 x) { return value(t->left, x) * value(t->right, x); }
static i64 negate_value(const struct term *t, i64 x) { return -value(t->left, x); }
static i64 choose_value(const struct term *t, i64 x) { return value(x & 1 ? t->left : t->right, x ^ t->number); }
static i64 shift_value(const struct term *t, i64 x) { return value(t->left, x) >> (t->number & 7); }

static u64 leaf_size(const struct term *t) { return (void)t, 1; }
static u64 unary_size(const struct term *t) { return 1 + size(t->left); }
static u64 binary_size(const struct term *t) { return 1 + size(t->left) + size(t->right); }

static void leaf_visit(const struct term *t, void (*seen)(const struct term *, void *), void *c) { seen(t, c); }
static void unary_visit(const struct term *t, void (*seen)(const struct term *, void *), void *c) {
  seen(t, c);
  visit(t->left, seen, c);
}
static void binary_visit(const struct term *t, void (*seen)(const struct term *, void *), void *c) {
  visit(t->left, seen, c);
  seen(t, c);
  visit(t->right, seen, c);
}

#define KINDS 8
static const struct methods kinds[KINDS] = {
    {number_value, leaf_size, leaf_visit},        {variable_value, leaf_size, leaf_visit},
    {add_value, binary_size, binary_visit},       {subtract_value, binary_size, binary_visit},
    {multiply_value, binary_size, binary_visit},  {choose_value, binary_size, binary_visit},
    {negate_value, unary_size, unary_visit},      {shift_value, unary_size, unary_visit},
};

static struct term terms[4096];
static u64 used;

static const struct term *grow(u64 depth, u64 *state) {
  struct term *t = &terms[used++];
  u64 r = random_next(state);
  t->methods = &kinds[depth ? 2 + (r >> 32) % 6 : (r >> 32) % 2];
  t->number = r >> 40 & 0xff;
  if (depth) {
    t->left = grow(depth - 1, state);
    t->right = t->methods->size == binary_size ? grow(depth - 1, state) : 0;
  }
  return t;
}

static void count(const struct term *t, void *context) { ++*(u64 *)context, (void)t; }
static void fold(const struct term *t, void *context) {
  u64 *hash = context;
  *hash = hash_mix(*hash, t->number + (t->methods - kinds));
}

// ---- sorting with a callback

struct record {
  u32 key, other;
};
typedef int compare(const struct record *, const struct record *);

static int by_key(const struct record *a, const struct record *b) { return a->key < b->key ? -1 : a->key > b->key; }
static int by_other(const struct record *a, const struct record *b) { return b->other < a->other ? -1 : b->other > a->other; }
static int by_both(const struct record *a, const struct record *b) {
  int order = by_key(&(struct record){a->key & 15, 0}, &(struct record){b->key & 15, 0});
  return order ? order : by_other(a, b);
}

static void sort(struct record *a, u64 n, compare *order) {
  for (u64 gap = n / 2; gap; gap /= 2)
    for (u64 i = gap; i < n; i++) {
      struct record x = a[i];
      u64 j = i;
      for (; j >= gap && order(&a[j - gap], &x) > 0; j -= gap)
        a[j] = a[j - gap];
      a[j] = x;
    }
}

// ---- a state machine: each state is a function that returns the next one, as lexers and protocol stacks are written

struct machine {
  const u8 *at, *end;
  u64 words, numbers, others, hash;
};
struct state {
  struct state (*step)(struct machine *);
};
static struct state outside(struct machine *m);

static struct state in_word(struct machine *m) {
  u8 c = *m->at;
  if (c < 'a') {
    m->words++;
    return (struct state){outside};
  }
  m->at++;
  m->hash = m->hash * 31 + c;
  return (struct state){in_word};
}

static struct state in_number(struct machine *m) {
  u8 c = *m->at;
  if (c < '0' || c > '9') {
    m->numbers++;
    return (struct state){outside};
  }
  m->at++;
  m->hash = m->hash * 10 + c - '0';
  return (struct state){in_number};
}

static struct state at_end(struct machine *m) { return (void)m, (struct state){0}; }

static struct state outside(struct machine *m) {
  if (m->at == m->end)
    return (struct state){at_end};
  if (*m->at >= 'a')
    return (struct state){in_word};
  if (*m->at >= '0' && *m->at <= '9')
    return (struct state){in_number};
  m->others++;
  m->at++;
  return (struct state){outside};
}

static u8 text[20001];

static u64 lex(u64 *state) {
  for (u64 i = 0; i + 1 < sizeof text; i++) {
    u64 r = random_next(state) >> 32;
    text[i] = (r & 7) == 0 ? ' ' : (r & 7) < 3 ? '0' + (r >> 3) % 10 : 'a' + (r >> 3) % 26;
  }
  struct machine m = {text, text + sizeof text - 1, 0, 0, 0, 0};
  struct state s = {outside};
  while (s.step)
    s = s.step(&m);
  if (m.at != m.end)
    panic("the lexer stopped early");
  return hash_mix(m.hash, m.words << 40 ^ m.numbers << 20 ^ m.others);
}

int main(void) {
  static struct record records[3000];
  static compare *const orders[] = {by_key, by_other, by_both};
  u64 state = 1, hash = 0;
  for (u64 round = 0; round < rounds; round++) {
    used = 0;
    const struct term *term = grow(9, &state);
    u64 counted = 0;
    visit(term, count, &counted);
    if (counted != used || size(term) != used)
      panic("%lu terms, counted %lu", used, counted);
    visit(term, fold, &hash);
    for (i64 x = 0; x < 100; x++)
      hash = hash_mix(hash, value(term, x));
    for (u64 i = 0; i < 3000; i++)
      records[i] = (struct record){random_next(&state) >> 40, random_next(&state) >> 48};
    for (u64 o = 0; o < 3; o++) {
      sort(records, 3000, orders[o]);
      for (u64 i = 0; i < 3000; i++) {
        if (i && orders[o](&records[i - 1], &records[i]) > 0)
          panic("record %lu is out of order", i);
        hash = hash_mix(hash, records[i].other);
      }
    }
    hash = hash_mix(hash, lex(&state));
  }
  printf("objects: %016lx\n", hash);
  return 0;
}
