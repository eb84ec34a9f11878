// bugs/use-after-free: a chat server whose keep-alive writes to a session that was closed
//
// Sessions and messages lie in cells of one pool. The server remembers the session that was active last, to keep it
// alive. When a session is closed, that pointer stays; its cell may be a message's by then, which is delivered later.
#include "label.h"
#include "lib.h"

// ---- the pool: free cells in a list; the one that was given back last goes out first

#define CELLS 96

union cell {
  union cell *next;
  u8 bytes[96];
};

static union cell pool[CELLS];
static union cell *free_cells;

static void *take(void) {
  union cell *cell = free_cells;
  if (!cell)
    panic("the pool is empty");
  free_cells = cell->next;
  memset(cell, 0, sizeof *cell);
  return cell;
}

static void give(void *memory) {
  union cell *cell = memory;
  cell->next = free_cells;
  free_cells = cell;
}

// ---- the server

#define USERS 16
#define ROUNDS 60000
#define KEPT 40  // messages that wait for delivery

struct session {
  u64 user;
  u64 messages;
  u64 last_seen;
};

struct message {
  struct message *next;
  u32 from;
  u32 sum;
  char text[72];
};

static struct session *sessions[USERS];
static struct session *active;
static struct message *oldest, *newest;
static u64 waiting, delivered, state = 7;

static const char *const words[] = {"hello ", "where ", "is ", "the ", "train ", "to ", "morning ", "again "};

static u64 draw(u64 n) { return random_next(&state) % n; }

static u32 checksum(const char *text) {
  u64 sum = 0;
  for (u64 i = 0; i < sizeof ((struct message *)0)->text; i++)
    sum = hash_mix(sum, text[i]);
  return sum;
}

static noinline void post(u64 from) {
  struct message *message = take();
  message->from = from;
  char *at = message->text;
  for (u64 n = 1 + draw(6); n; n--)
    for (const char *c = words[draw(8)]; *c; c++)
      *at++ = *c;
  message->sum = checksum(message->text);
  if (oldest)
    newest->next = message;
  else
    oldest = message;
  newest = message;
  waiting++;
}

static noinline void deliver(struct message *message) {
  if (checksum(message->text) != message->sum)
    panic("message %lu, from user %d, is damaged", delivered, message->from);
  oldest = message->next;
  waiting--;
  delivered++;
  give(message);
}

static void login(u64 user) {
  sessions[user] = take();
  sessions[user]->user = user;
}

static void logout(u64 user) {
  give(sessions[user]);
  sessions[user] = 0;
}

static void talk(u64 user, u64 now) {
  active = sessions[user];
  active->messages++;
  active->last_seen = now;
  post(user);
}

static noinline void keep_alive(u64 now) {
  struct session *session = active;
  if (!session)
    return;
  LABEL("+r"(session), "+r"(now));
  session->last_seen = now;
}

int main(void) {
  for (int i = 0; i < CELLS; i++)
    give(&pool[i]);
  for (u64 round = 0; round < ROUNDS; round++) {
    u64 user = draw(USERS);
    if (!sessions[user])
      login(user);
    else if (draw(12) == 0)
      logout(user);
    else if (draw(12) == 0)
      post(USERS);  // the server's own
    else
      talk(user, round);
    if (round % 20 == 0)
      keep_alive(round);
    while (waiting > KEPT)
      deliver(oldest);
  }
  printf("%lu messages delivered\n", delivered);
  return 0;
}
