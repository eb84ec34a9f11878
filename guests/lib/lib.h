// what every guest shares
#ifndef LIB_H
#define LIB_H

#include <stdarg.h>

#include "board.h"

// finisher.c: the end of the run
_Noreturn void power_off(u32 code);
_Noreturn void reset(void);
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

// uart.c
#define UART_RX_INTERRUPT 1
#define UART_TX_INTERRUPT 2
#define UART_CAUSE_TX 2
void uart_init(void);
void uart_interrupts(u8 which);
u8 uart_interrupt_cause(void);
void uart_putc(int c);
int uart_getc(void);  // -1: nothing there

// printf.c: %d %u %x %p %c %s %%, with l, width and 0
void vprint(void (*put)(int), const char *format, va_list args);
void printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

// string.c
void *memset(void *to, int c, u64 n);
void *memcpy(void *to, const void *from, u64 n);
void *memmove(void *to, const void *from, u64 n);
int memcmp(const void *a, const void *b, u64 n);
u64 strlen(const char *s);
int strcmp(const char *a, const char *b);
u64 random_next(u64 *state);        // xorshift64*: the same numbers everywhere
u64 hash_mix(u64 hash, u64 value);  // a running hash, for checksums

// clint.c
u64 time_now(void);
void timer_set(u64 when);  // mtime at which the timer interrupt comes
void timer_off(void);

// plic.c: context 0, M mode of hart 0
void plic_enable(u32 irq);
u32 plic_claim(void);
void plic_complete(u32 irq);

// virtio_rng.c
#define RNG_BYTES 32
int rng_find(void);     // irq of the entropy device, 0: the board has none
void rng_start(void);   // ask for RNG_BYTES bytes
void rng_ack(void);     // lower its interrupt line
const u8 *rng_done(u32 *size);  // what came, 0: still under way

// trap.S, trap.c
struct frame {
  u64 pc;
  u64 x[31];  // x1 to x31
  u64 status;
  u64 unused;  // the stack stays aligned to 16
};
#define FRAME_SP 1
#define FRAME_GP 2
#define FRAME_A0 9
#define FRAME_A1 10
#define FRAME_A7 16
void trap_init(void);
// makes the frame of a task that has not run yet; status: MSTATUS_MPP_M, or 0 for U mode.
// A frame for U mode is the top of the task's kernel stack: the next trap saves its registers there.
void frame_init(struct frame *frame, void (*entry)(void), void *stack_top, u64 status);
// answers a trap; resumes at the frame returned. A guest that takes traps defines its own.
struct frame *trap(struct frame *frame);
_Noreturn void resume(struct frame *frame);
_Noreturn void trap_panic(struct frame *frame);

extern char end[];  // kernel.ld: first free byte of RAM
int main(void);

#endif
