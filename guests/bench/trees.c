// bench/trees: pointers: an allocator, a balanced tree, lists that are sorted, a hash map that grows
#include "lib.h"

static const volatile u64 rounds = 39;  // how long it runs

// ---- an allocator: lists of free blocks by power of two, split and not merged; what is left is checked at the end

static u8 arena[8 << 20] __attribute__((aligned(64)));
static u8 *arena_at = arena;
static void *bins[24];
static u64 live;

static u64 bin_of(u64 size) {
  u64 bin = 5;
  while (1UL << bin < size)
    bin++;
  return bin;
}

static void *allocate(u64 size) {
  u64 bin = bin_of(size + 8), b = bin;
  u8 *block;
  while (b < 24 && !bins[b])
    b++;
  if (b == 24) {
    block = arena_at;
    arena_at += 1UL << bin;
    if (arena_at > arena + sizeof arena)
      panic("out of memory");
  } else {
    block = bins[b];
    bins[b] = *(void **)(block + 8);
    while (b-- > bin) {  // the upper half goes back
      u8 *half = block + (1UL << b);
      *(u64 *)half = b;
      *(void **)(half + 8) = bins[b];
      bins[b] = half;
    }
  }
  *(u64 *)block = bin;
  live += 1UL << bin;
  return block + 8;
}

static void release(void *p) {
  u8 *block = (u8 *)p - 8;
  u64 bin = *(u64 *)block;
  live -= 1UL << bin;
  *(void **)(block + 8) = bins[bin];
  bins[bin] = block;
}

// ---- an AA tree: a balanced tree with levels, by skew and split

struct node {
  struct node *left, *right;
  u64 key, value;
  u32 level;
};
static struct node nil_node = {&nil_node, &nil_node, 0, 0, 0};
#define NIL (&nil_node)

static struct node *skew(struct node *t) {
  if (t->left->level != t->level || t == NIL)
    return t;
  struct node *l = t->left;
  t->left = l->right;
  l->right = t;
  return l;
}

static struct node *split(struct node *t) {
  if (t->right->right->level != t->level || t == NIL)
    return t;
  struct node *r = t->right;
  t->right = r->left;
  r->left = t;
  r->level++;
  return r;
}

static struct node *insert(struct node *t, u64 key, u64 value) {
  if (t == NIL) {
    t = allocate(sizeof *t);
    *t = (struct node){NIL, NIL, key, value, 1};
    return t;
  }
  if (key < t->key)
    t->left = insert(t->left, key, value);
  else if (key > t->key)
    t->right = insert(t->right, key, value);
  else
    t->value += value;
  return split(skew(t));
}

static struct node *removed, *successor;

static struct node *erase(struct node *t, u64 key) {
  if (t == NIL)
    return t;
  successor = t;
  if (key < t->key) {
    t->left = erase(t->left, key);
  } else {
    removed = t;
    t->right = erase(t->right, key);
  }
  if (t == successor) {
    if (removed == NIL || removed->key != key)
      return t;
    removed->key = t->key;
    removed->value = t->value;
    removed = NIL;
    struct node *r = t->right;
    release(t);
    return r;
  }
  if (t->left->level + 1 < t->level || t->right->level + 1 < t->level) {
    t->level--;
    if (t->right->level > t->level)
      t->right->level = t->level;
    t = skew(t);
    t->right = skew(t->right);
    t->right->right = skew(t->right->right);
    t = split(t);
    t->right = split(t->right);
  }
  return t;
}

static const struct node *find(const struct node *t, u64 key) {
  while (t != NIL && t->key != key)
    t = key < t->key ? t->left : t->right;
  return t;
}

static u64 walk(const struct node *t, u64 low, u64 high, u64 hash) {
  if (t == NIL)
    return hash;
  if (t->key < low || t->key > high)
    panic("key %lu is out of order", t->key);
  return walk(t->right, t->key, high, hash_mix(walk(t->left, low, t->key, hash), t->key + t->value));
}

static void destroy(struct node *t) {
  if (t == NIL)
    return;
  destroy(t->left);
  destroy(t->right);
  release(t);
}

// ---- lists

struct item {
  struct item *next;
  u64 value;
};

static struct item *merge(struct item *a, struct item *b) {
  struct item *list = 0, **end = &list;
  while (a && b) {
    struct item **lower = a->value <= b->value ? &a : &b;
    *end = *lower;
    end = &(*lower)->next;
    *lower = (*lower)->next;
  }
  *end = a ? a : b;
  return list;
}

static struct item *sort(struct item *list) {
  struct item *runs[32] = {0};
  while (list) {
    struct item *one = list;
    list = list->next;
    one->next = 0;
    int i = 0;
    for (; runs[i]; i++) {
      one = merge(runs[i], one);
      runs[i] = 0;
    }
    runs[i] = one;
  }
  for (int i = 0; i < 32; i++)
    list = merge(runs[i], list);
  return list;
}

// ---- a hash map with chains

struct entry {
  struct entry *next;
  u64 key, count;
};
static struct entry **table;
static u64 table_size, entries;

static u64 slot(u64 key) { return (key * 0x9e3779b97f4a7c15UL >> 20) & (table_size - 1); }

static void rehash(u64 size) {
  struct entry **old = table;
  u64 old_size = table_size;
  table = allocate(size * sizeof *table);
  table_size = size;
  for (u64 i = 0; i < size; i++)
    table[i] = 0;
  for (u64 i = 0; i < old_size; i++)
    for (struct entry *e = old[i], *next; e; e = next) {
      next = e->next;
      struct entry **s = &table[slot(e->key)];
      e->next = *s;
      *s = e;
    }
  if (old)
    release(old);
}

static u64 count(u64 key) {
  for (struct entry *e = table[slot(key)]; e; e = e->next)
    if (e->key == key)
      return ++e->count;
  if (++entries > table_size)
    rehash(2 * table_size);
  struct entry *e = allocate(sizeof *e), **s = &table[slot(key)];
  *e = (struct entry){*s, key, 1};
  *s = e;
  return 1;
}

static void forget(void) {
  for (u64 i = 0; i < table_size; i++)
    for (struct entry *e = table[i], *next; e; e = next) {
      next = e->next;
      release(e);
    }
  release(table);
  table = 0;
  table_size = entries = 0;
}

int main(void) {
  u64 state = 1, hash = 0;
  for (u64 round = 0; round < rounds; round++) {
    struct node *tree = NIL;
    for (u64 i = 0; i < 12000; i++)
      tree = insert(tree, random_next(&state) >> 49, i);
    u64 found = 0, gone = 0;
    for (u64 key = 0; key < 1 << 15; key++)
      found += find(tree, key) != NIL;
    for (u64 i = 0; i < 12000; i++) {
      removed = NIL;
      tree = erase(tree, random_next(&state) >> 49);
    }
    hash = walk(tree, 0, 1 << 15, hash);
    for (u64 key = 0; key < 1 << 15; key++)
      gone += find(tree, key) == NIL;
    hash = hash_mix(hash, found << 32 | gone);
    destroy(tree);

    struct item *list = 0;
    for (u64 i = 0; i < 20000; i++) {
      struct item *item = allocate(sizeof *item);
      *item = (struct item){list, random_next(&state) >> 30};
      list = item;
    }
    u64 last = 0;
    for (struct item *item = sort(list), *next; item; item = next) {
      if (item->value < last)
        panic("%lu after %lu", item->value, last);
      last = item->value;
      hash = hash_mix(hash, last);
      next = item->next;
      release(item);
    }

    rehash(16);
    for (u64 i = 0; i < 60000; i++)
      hash += count(random_next(&state) % 9973 * (random_next(&state) % 3 + 1));
    hash = hash_mix(hash, entries);
    forget();
    if (live)
      panic("%lu bytes are lost", live);
  }
  printf("trees: %016lx, %lu bytes\n", hash, arena_at - arena);
  return 0;
}
