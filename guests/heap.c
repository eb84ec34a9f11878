// heap: a bank whose allocator finds a damaged block long after the damage was done
//
// Accounts and their names live on a small heap. Names change all the time, accounts are opened and closed, money
// moves. The allocator looks at the header of each block that it gets back.
#include "lib.h"

// ---- a first-fit allocator: blocks with headers, free ones in a list by address

#define MAGIC 0xb10cUL

struct header {
  u64 size;             // with the header, a multiple of 32
  struct header *next;  // of a free block; MAGIC while it is allocated
};

static u8 heap[48 * 1024] __attribute__((aligned(32)));
static struct header *free_list;
static u64 allocations;

static void heap_init(void) {
  free_list = (struct header *)heap;
  free_list->size = sizeof heap;
  free_list->next = 0;
}

static void *heap_alloc(u64 bytes) {
  u64 size = (bytes + sizeof(struct header) + 31) & ~31UL;
  for (struct header **link = &free_list; *link; link = &(*link)->next) {
    struct header *block = *link;
    if (block->size < size)
      continue;
    if (block->size > size) {
      struct header *rest = (struct header *)((u8 *)block + size);
      rest->size = block->size - size;
      rest->next = block->next;
      *link = rest;
    } else {
      *link = block->next;
    }
    block->size = size;
    block->next = (struct header *)MAGIC;
    allocations++;
    return block + 1;
  }
  panic("the heap is full");
}

static void heap_free(void *memory) {
  struct header *block = (struct header *)memory - 1;
  if (block->next != (struct header *)MAGIC || block->size % 32 || block->size < 32 || block->size > sizeof heap) {
    printf("heap corrupted: block %p has size %lu, mark %p\n", (void *)block, block->size, (void *)block->next);
    power_off(1);
  }
  struct header **link = &free_list;
  while (*link && *link < block)
    link = &(*link)->next;
  block->next = *link;
  *link = block;
  // join it with its free neighbours
  if ((u8 *)block + block->size == (u8 *)block->next) {
    block->size += block->next->size;
    block->next = block->next->next;
  }
  if (link != &free_list) {
    struct header *before = (struct header *)((u8 *)link - __builtin_offsetof(struct header, next));
    if ((u8 *)before + before->size == (u8 *)block) {
      before->size += block->size;
      before->next = block->next;
    }
  }
}

// ---- the bank

#define ACCOUNTS 100
#define NAME_SIZE 48  // bytes of a name
#define ROUNDS 6000
#define TRANSFERS 80  // in a round

struct account {
  char *name;
  i64 balance;
  u64 changes;
  u64 slots;
  i64 history[];  // the newest changes, in a ring of `slots`
};

static struct account *accounts[ACCOUNTS];
static u64 state = 2046;
static i64 cash;  // paid out by accounts that were closed

static const char *const given[] = {"Ada", "Alan", "Barbara", "Dennis", "Donald", "Edsger", "Frances", "Grace",
                                    "Jean", "John", "Kathleen", "Ken", "Lynn", "Wilhelmina", "Maurice", "Niklaus"};
static const char *const middle[] = {"", "", "", "van ", "Rosalind ", "von ", "de la ", "Mary "};
static const char *const family[] = {"Lovelace", "Turing", "Liskov", "Ritchie", "Knuth", "Dijkstra", "Allen", "Hopper",
                                     "Sammet", "McCarthy", "Featherstonhaugh-Cholmondeley", "Thompson",
                                     "Conway", "Hamilton", "Wilkes", "Wirth"};

static u64 draw(u64 n) { return random_next(&state) % n; }

// copies at most NAME_SIZE characters and ends them with a zero
static char *copy_name(char *to, const char *from, char *at) {
  while (*from && at < to + NAME_SIZE)
    *at++ = *from++;
  *at = 0;
  return at;
}

static void set_name(struct account *account) {
  if (account->name)
    heap_free(account->name);
  account->name = heap_alloc(NAME_SIZE);
  char *at = copy_name(account->name, given[draw(16)], account->name);
  at = copy_name(account->name, " ", at);
  at = copy_name(account->name, middle[draw(8)], at);
  copy_name(account->name, family[draw(16)], at);
}

static void open_account(u64 i) {
  u64 slots = 2 + draw(12), size = sizeof(struct account) + slots * sizeof(i64);
  accounts[i] = heap_alloc(size);
  memset(accounts[i], 0, size);
  accounts[i]->slots = slots;
  set_name(accounts[i]);
}

static void close_account(u64 i) {
  cash += accounts[i]->balance;
  heap_free(accounts[i]->name);
  heap_free(accounts[i]);
  accounts[i] = 0;
}

static void change(struct account *account, i64 amount) {
  account->balance += amount;
  account->history[account->changes++ % account->slots] = amount;
}

// money moves, none is made
static void transfer(void) {
  struct account *from = accounts[draw(ACCOUNTS)], *to = accounts[draw(ACCOUNTS)];
  i64 amount = draw(1000);
  if (!from || !to)
    return;
  change(from, -amount);
  change(to, amount);
}

static u64 statement(void) {
  u64 hash = 0;
  for (int i = 0; i < ACCOUNTS; i++)
    for (const char *c = accounts[i] ? accounts[i]->name : ""; *c; c++)
      hash = hash_mix(hash, *c);
  return hash;
}

int main(void) {
  heap_init();
  u64 hash = 0;
  for (u64 round = 0; round < ROUNDS; round++) {
    u64 i = draw(ACCOUNTS);
    if (!accounts[i])
      open_account(i);
    else if (draw(4) == 0)
      close_account(i);
    else
      set_name(accounts[i]);
    for (int n = 0; n < TRANSFERS; n++)
      transfer();
    if (round % 100 == 0)
      hash = hash_mix(hash, statement());
  }
  printf("%lu allocations, statements %016lx\n", allocations, hash);

  for (u64 i = 0; i < ACCOUNTS; i++)
    if (accounts[i])
      close_account(i);
  printf("all accounts are closed, %ld left over\n", cash);
  return 0;
}
