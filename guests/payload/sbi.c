// sbi: a kernel in S mode, as an Image with the header of Linux's: asks the firmware for all that it offers
//
// Placed at 0x80200000 with a0 = hartid, a1 = device tree (RISC-V boot protocol of Linux). It brings nothing of lib/
// along: that is for M mode.
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;

#define BASE 0x10
#define TIME 0x54494d45
#define IPI 0x735049
#define RFENCE 0x52464e43
#define HSM 0x48534d
#define SRST 0x53525354
#define DBCN 0x4442434e
#define LEGACY_PUTCHAR 1
#define LEGACY_GETCHAR 2

#define SIE_SSIE 0x2UL
#define SIE_STIE 0x20UL
#define NEVER (~0UL)
#define TICK 20000UL              // 2 ms
#define SV39 (8UL << 60)
#define LEAF 0xcfUL               // V, R, W, X, A, D: a page of 1 GiB
#define REBOOTED 0x7265626f6f7464UL
#define MARK (*(volatile u64 *)0x80400000UL)  // outside the image: a reset leaves it alone

#define csr_read(name) ({ u64 v_; __asm__ volatile("csrr %0, " #name : "=r"(v_)); v_; })
#define csr_write(name, value) __asm__ volatile("csrw " #name ", %0" : : "r"((u64)(value)) : "memory")
#define csr_set(name, value) __asm__ volatile("csrs " #name ", %0" : : "r"((u64)(value)) : "memory")
#define csr_clear(name, value) __asm__ volatile("csrc " #name ", %0" : : "r"((u64)(value)) : "memory")

// Documentation/arch/riscv/boot-image-header.rst
__asm__(
    ".section .text.start, \"ax\", @progbits\n"
    ".option norvc\n"
    "header: j start\n"
    ".word 0\n"
    ".dword 0x200000\n"        // offset from the start of RAM
    ".dword image_end - header\n"
    ".dword 0\n"               // little endian
    ".word 2, 0\n"             // version 0.2
    ".dword 0\n"
    ".ascii \"RISCV\\0\\0\\0RSC\\5\"\n"
    ".word 0\n"
    "start: la sp, stack_end\n"
    "la t0, bss\n"
    "la t1, image_end\n"
    "1: sd zero, 0(t0)\n"
    "addi t0, t0, 8\n"
    "bltu t0, t1, 1b\n"
    "tail run\n");

static u64 root[512] __attribute__((aligned(4096)));
static u8 buffer[64];
static volatile u64 ticks, doorbells;
static int has_dbcn;

struct answer {
  long error;
  u64 value;
};

static struct answer sbi(u64 extension, u64 function, u64 x0, u64 x1, u64 x2) {
  register u64 a0 __asm__("a0") = x0, a1 __asm__("a1") = x1, a2 __asm__("a2") = x2;
  register u64 a6 __asm__("a6") = function, a7 __asm__("a7") = extension;
  __asm__ volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a6), "r"(a7) : "memory");
  return (struct answer){(long)a0, a1};
}

static void print(const char *text) {
  u64 length = 0;
  while (text[length]) length++;
  if (has_dbcn)
    sbi(DBCN, 0, length, (u64)text, 0);
  else
    for (u64 i = 0; i < length; i++) sbi(LEGACY_PUTCHAR, 0, (u8)text[i], 0, 0);
}

static void number(const char *what, u64 value) {
  char text[20], *at = text + sizeof text;
  *--at = 0;
  do *--at = "0123456789abcdef"[value & 15]; while (value >>= 4);
  print(what);
  print(at);
}

__attribute__((interrupt("supervisor"), aligned(4))) static void trap(void) {
  u64 cause = csr_read(scause);
  if (cause == (1UL << 63 | 5)) {
    ticks++;
    sbi(TIME, 0, ticks < 5 ? csr_read(time) + TICK : NEVER, 0, 0);
  } else if (cause == (1UL << 63 | 1)) {
    doorbells++;
    csr_clear(sip, SIE_SSIE);
  } else {
    number("\ntrap ", cause);
    sbi(SRST, 0, 0, 1, 0);
  }
}

static void wait_for_ticks(u64 count) {
  while (ticks < count) __asm__ volatile("wfi");
}

// a line that is typed; the console is polled at every tick
static u64 line(void) {
  u64 length = 0;
  while (length < sizeof buffer) {
    u64 got = 0;
    if (has_dbcn) {
      got = sbi(DBCN, 1, sizeof buffer - length, (u64)buffer + length, 0).value;
    } else {
      long byte = sbi(LEGACY_GETCHAR, 0, 0, 0, 0).error;
      if (byte >= 0) buffer[length] = (u8)byte, got = 1;
    }
    length += got;
    if (length && buffer[length - 1] == '\n') break;
    if (!got) {
      ticks = 4;
      sbi(TIME, 0, csr_read(time) + TICK, 0, 0);
      wait_for_ticks(5);
    }
  }
  return length;
}

__attribute__((used, noreturn)) static void run(u64 hart, u8 *tree) {
  static const u64 extensions[] = {TIME, IPI, RFENCE, HSM, SRST, DBCN, 0x504d55};
  has_dbcn = (int)sbi(BASE, 3, DBCN, 0, 0).value;
  csr_write(stvec, trap);
  number("sbi ", sbi(BASE, 0, 0, 0, 0).value);
  number(", hart ", hart);
  number(", tree ", (u64)tree[0] << 24 | (u64)tree[1] << 16 | (u64)tree[2] << 8 | tree[3]);
  for (u64 i = 0; i < sizeof extensions / sizeof *extensions; i++)
    print(sbi(BASE, 3, extensions[i], 0, 0).value ? ", yes" : ", no");
  root[2] = 0x80000000UL >> 12 << 10 | LEAF;
  csr_write(satp, SV39 | (u64)root >> 12);
  number("\nfence ", (u64)sbi(RFENCE, 1, 1, 0, 0).error);
  number(", hart's state ", sbi(HSM, 2, hart, 0, 0).value);
  csr_write(sie, SIE_SSIE | SIE_STIE);
  csr_set(sstatus, 2);
  sbi(IPI, 0, 1, 0, 0);
  while (!doorbells)
    ;
  u64 began = csr_read(time);
  sbi(TIME, 0, began + TICK, 0, 0);
  sbi(HSM, 3, 0, 0, 0);  // sleep until the tick
  wait_for_ticks(5);
  number(", doorbells ", doorbells);
  number(", ticks ", ticks);
  print(csr_read(time) - began >= 5 * TICK ? " in time\n" : " too early\n");
  if (MARK != REBOOTED) {
    MARK = REBOOTED;
    print("again? ");
    u64 length = line();
    number("typed ", length);
    print(", reboots\n");
    sbi(SRST, 0, 1, 0, 0);
  }
  print("back, and off\n");
  sbi(SRST, 0, 0, 0, 0);
  for (;;) __asm__ volatile("wfi");
}
