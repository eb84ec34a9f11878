// shell: an interactive shell on the UART, asleep in wfi at its prompt
#include "lib.h"

#define CTRL(c) ((c) & 0x1f)
#define LINE_MAX 100
#define WORDS_MAX 8

// bytes that the interrupt handler has read and the shell has not; a power of two
static volatile u8 ring[64];
static volatile u32 ring_head, ring_tail;

struct frame *trap(struct frame *frame) {
  if (csr_read(mcause) != CAUSE_EXTERNAL)
    trap_panic(frame);
  u32 irq = plic_claim();
  if (irq == UART_IRQ) {
    // the interrupt is up as long as the FIFO holds a byte: take all
    for (int c; (c = uart_getc()) >= 0;)
      if (ring_head - ring_tail < sizeof ring)
        ring[ring_head++ % sizeof ring] = c;
  }
  plic_complete(irq);
  return frame;
}

static int getc(void) {
  for (;;) {
    // with interrupts off, none can come between the look and the wfi; wfi wakes up all the same
    interrupts_off();
    if (ring_head != ring_tail)
      break;
    wait_for_interrupt();
    interrupts_on();
  }
  int c = ring[ring_tail++ % sizeof ring];
  interrupts_on();
  return c;
}

static void rub_out(int n) {
  while (n--)
    printf("\b \b");
}

// read a line with echo; backspace, Ctrl-U (the whole line) and Ctrl-C (a new prompt) edit it
static int read_line(char *line) {
  int n = 0, escape = 0;
  for (;;) {
    int c = getc();
    if (escape) {
      // the sequence of an arrow key: ESC [ A
      escape = c == '[' || c < '@';
      continue;
    }
    switch (c) {
    case 0x1b:
      escape = 1;
      break;
    case '\r':
    case '\n':
      printf("\n");
      line[n] = 0;
      return n;
    case '\b':
    case 0x7f:
      if (n) {
        rub_out(1);
        n--;
      }
      break;
    case CTRL('U'):
      rub_out(n);
      n = 0;
      break;
    case CTRL('C'):
      printf("^C\n");
      line[0] = 0;
      return 0;
    default:
      if (c >= ' ' && c < 0x7f && n < LINE_MAX - 1) {
        line[n++] = c;
        uart_putc(c);
      }
    }
  }
}

static int split(char *line, char **words) {
  int n = 0;
  while (n < WORDS_MAX) {
    while (*line == ' ')
      *line++ = 0;
    if (!*line)
      break;
    words[n++] = line;
    while (*line && *line != ' ')
      line++;
  }
  return n;
}

// decimal, or hex with 0x; 0 if it is neither
static u64 number(const char *s) {
  u64 value = 0, base = 10;
  if (s[0] == '0' && s[1] == 'x') {
    base = 16;
    s += 2;
  }
  for (; *s; s++) {
    u64 digit = *s >= 'a' ? *s - 'a' + 10u : *s >= '0' ? *s - '0' + 0u : 99;
    if (digit >= base)
      return 0;
    value = value * base + digit;
  }
  return value;
}

static void do_help(void);

static void do_echo(int n, char **words) {
  for (int i = 1; i < n; i++)
    printf("%s%s", words[i], i < n - 1 ? " " : "");
  printf("\n");
}

static void do_peek(int n, char **words) {
  u64 address = number(words[1]) & ~7UL, count = n > 2 ? number(words[2]) : 1;
  for (; count--; address += 8)
    printf("%p: %016lx\n", (void *)address, read64(address));
}

static void do_poke(int n, char **words) {
  if (n < 3)
    printf("what value?\n");
  else
    write64(number(words[1]) & ~7UL, number(words[2]));
}

static void do_mem(void) {
  u64 here = (u64)__builtin_frame_address(0);
  printf("RAM from %p, program up to %p, stack at %p\n", (void *)RAM, (void *)end, (void *)here);
}

static void do_time(void) {
  u64 ticks = time_now();
  u64 date = read32(RTC);  // reading the low half latches the high one
  date |= (u64)read32(RTC + 4) << 32;
  printf("up %lu.%03lu s, date %lu s since 1970\n", ticks / TIMEBASE_HZ, ticks / (TIMEBASE_HZ / 1000) % 1000,
         date / 1000000000);
}

static void do_rand(void) {
  static int irq = -1;
  if (irq < 0)
    irq = rng_find();
  if (!irq) {
    printf("no entropy device (add one with --device virtio-rng)\n");
    return;
  }
  u32 size;
  const u8 *bytes;
  rng_start();
  while (!(bytes = rng_done(&size)))
    ;
  rng_ack();
  for (u32 i = 0; i < size; i++)
    printf("%02x", bytes[i]);
  printf("\n");
}

static u64 fib(u64 n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

static void do_run(int n, char **words) {
  if (n < 3 || strcmp(words[1], "fib"))
    printf("run fib N\n");
  else
    printf("fib(%lu) = %lu\n", number(words[2]), fib(number(words[2])));
}

static void do_crash(void) {
  printf("jumping to 0\n");
  ((void (*)(void))0)();
}

static void do_reset(void) { reset(); }

static void do_exit(int n, char **words) { power_off(n > 1 ? number(words[1]) : 0); }

static const struct {
  const char *name;
  const char *help;
  void (*run)();
  int words;  // at least so many
} commands[] = {
    {"help", "list the commands", do_help, 1},
    {"echo", "TEXT: print it", do_echo, 1},
    {"peek", "ADDRESS [N]: print N double words", do_peek, 2},
    {"poke", "ADDRESS VALUE: write a double word", do_poke, 3},
    {"mem", "show where things are", do_mem, 1},
    {"time", "time since power-on, and the date", do_time, 1},
    {"rand", "bytes from the entropy device", do_rand, 1},
    {"run", "fib N: compute", do_run, 1},
    {"crash", "jump to address 0", do_crash, 1},
    {"reset", "reset the machine", do_reset, 1},
    {"exit", "[N]: end with exit code N", do_exit, 1},
};
#define COMMANDS (sizeof commands / sizeof *commands)

static void do_help(void) {
  for (u32 i = 0; i < COMMANDS; i++)
    printf("  %5s  %s\n", commands[i].name, commands[i].help);
}

static void execute(char *line) {
  char *words[WORDS_MAX];
  int n = split(line, words);
  if (!n)
    return;
  for (u32 i = 0; i < COMMANDS; i++) {
    if (strcmp(words[0], commands[i].name))
      continue;
    if (n < commands[i].words)
      printf("%s %s\n", commands[i].name, commands[i].help);
    else
      commands[i].run(n, words);
    return;
  }
  printf("%s: no such command, try help\n", words[0]);
}

int main(void) {
  char line[LINE_MAX];
  plic_enable(UART_IRQ);
  uart_interrupts(UART_RX_INTERRUPT);
  csr_set(mie, MIE_MEIE);
  interrupts_on();
  printf("rrdbg guest shell; try help\n");
  for (;;) {
    printf("$ ");
    if (read_line(line))
      execute(line);
  }
}
