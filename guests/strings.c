// strings: text is made, searched, split into words, counted in a hash table and formatted
#include "lib.h"

#define TEXT (1 << 20)
#define TABLE 8192     // entries of the hash table, a power of two
#define ROUNDS 11

static char text[TEXT + 1];
static u64 text_size;

static struct {
  const char *word;
  u64 size, count;
} table[TABLE];

// ---- text: words of one to four syllables

static const char *const syllables[] = {"ba", "co", "di", "fu", "ge", "ha", "jo", "ki", "lu", "me", "na",
                                        "po", "qui", "ru", "se", "ta", "vo", "wi", "xu", "ye", "za", "sch"};

static void make_text(u64 *state) {
  char *at = text;
  while (at < text + TEXT - 32) {
    u64 r = random_next(state);
    // short words, and words with a low first syllable, are more frequent
    for (u64 n = 1 + (r & 3); n--; r /= 32) {
      const char *s = syllables[(r >> 4) % 22 * ((r >> 9) % 22) / 22];
      while (*s)
        *at++ = *s++;
    }
    *at++ = r >> 40 & 7 ? ' ' : '\n';
  }
  *at = 0;
  text_size = at - text;
}

// ---- search: Horspool's algorithm

static u64 occurrences(const char *needle) {
  static u8 shift[256];
  u64 size = strlen(needle), found = 0;
  memset(shift, size, sizeof shift);
  for (u64 i = 0; i + 1 < size; i++)
    shift[(u8)needle[i]] = size - 1 - i;
  for (u64 at = 0; at + size <= text_size;) {
    found += !memcmp(text + at, needle, size);
    at += shift[(u8)text[at + size - 1]];
  }
  return found;
}

static u64 occurrences_simple(const char *needle) {
  u64 size = strlen(needle), found = 0;
  for (const char *at = text; *at; at++) {
    u64 i = 0;
    while (i < size && at[i] == needle[i])
      i++;
    found += i == size;
  }
  return found;
}

// ---- words: an open hash table

static void count_word(const char *word, u64 size) {
  u64 hash = 0xcbf29ce484222325UL;  // FNV-1a
  for (u64 i = 0; i < size; i++)
    hash = (hash ^ (u8)word[i]) * 0x100000001b3UL;
  for (u64 i = hash;; i++) {
    i %= TABLE;
    if (!table[i].word) {
      table[i].word = word;
      table[i].size = size;
    }
    if (table[i].size == size && !memcmp(table[i].word, word, size)) {
      table[i].count++;
      return;
    }
  }
}

// counts words of at most three syllables: there are not too many of them
static u64 count_words(void) {
  u64 words = 0;
  memset(table, 0, sizeof table);
  for (const char *at = text; *at;) {
    const char *word = at;
    while (*at > ' ')
      at++;
    words++;
    if (at - word <= 5)
      count_word(word, at - word);
    while (*at && *at <= ' ')
      at++;
  }
  return words;
}

// ---- formatting, into a hash

static u64 output_hash, output_size;

static void put(int c) {
  output_hash = hash_mix(output_hash, c);
  output_size++;
}

static void format(const char *pattern, ...) {
  va_list args;
  va_start(args, pattern);
  vprint(put, pattern, args);
  va_end(args);
}

static void report(u64 round) {
  char word[32];
  for (u64 i = 0; i < TABLE; i++) {
    if (!table[i].word)
      continue;
    memcpy(word, table[i].word, table[i].size);
    word[table[i].size] = 0;
    format("%4lu %8s %6lu times, %08lx\n", round, word, table[i].count, i * table[i].count);
  }
}

static void reverse_words(void) {
  for (char *at = text; *at;) {
    char *first = at;
    while (*at > ' ')
      at++;
    for (char *last = at - 1; first < last; first++, last--) {
      char c = *first;
      *first = *last;
      *last = c;
    }
    while (*at && *at <= ' ')
      at++;
  }
}

int main(void) {
  u64 state = 1, words = 0, found = 0;
  static const char *const needles[] = {"dico", "scha", "bababa", "fu\ndi", "lu lu", "nothing like it"};
  for (u64 round = 0; round < ROUNDS; round++) {
    make_text(&state);
    words += count_words();
    report(round);
    for (u64 i = 0; i < sizeof needles / sizeof *needles; i++) {
      u64 n = occurrences(needles[i]);
      if (i < 2 && n != occurrences_simple(needles[i]))
        panic("the searches for %s differ", needles[i]);
      found += n;
    }
    reverse_words();
    found += occurrences("ocid");
  }
  printf("strings: %lu words, %lu found, %lu characters formatted\n", words, found, output_size);
  printf("strings: %016lx\n", output_hash);
  return 0;
}
