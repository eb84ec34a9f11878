// bugs/stack-smash: a title too long for its buffer; the function returns a thousand million steps later
//
// The work in between calls and returns all the time, on the same page of the stack.
#include "label.h"
#include "lib.h"

static const char settings[] = "title=The great search for all the ways to place fourteen queens on one chessboard;size=14;";

// finds KEY=VALUE; and copies the value
static noinline void setting(char *to, const char *key) {
  u64 length = strlen(key);
  const char *at = settings;
  while (memcmp(at, key, length) || at[length] != '=')
    at++;
  at += length + 1;
  while (*at != ';') {
    char c = *at++;
    LABEL("+r"(to), "+r"(c));
    *to = c;
    to++;
  }
  *to = 0;
}

static u64 number(const char *text) {
  u64 value = 0;
  while (*text)
    value = 10 * value + *text++ - '0';
  return value;
}

// ways to place a queen in each row from here on: columns and diagonals that are taken are bits
static noinline u64 place(u64 all, u64 columns, u64 left, u64 right) {
  if (columns == all)
    return 1;
  u64 ways = 0;
  for (u64 open = all & ~(columns | left | right); open; open &= open - 1) {
    u64 queen = open & -open;
    ways += place(all, columns | queen, (left | queen) << 1, (right | queen) >> 1);
  }
  return ways;
}

static noinline u64 search(void) {
  char title[32], size[8];
  setting(size, "size");
  setting(title, "title");
  printf("%s\n", title);
  u64 ways = 0, largest = number(size);
  for (u64 n = 4; n <= largest; n += 2) {
    ways = place((1UL << n) - 1, 0, 0, 0);
    printf("%lu queens: %lu ways\n", n, ways);
  }
  return ways;
}

int main(void) {
  u64 ways = search();
  printf("that was %lu ways\n", ways);
  return 0;
}
