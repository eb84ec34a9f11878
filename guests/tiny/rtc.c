// goldfish RTC: the date moves with the clock; set it; an alarm
#include "tiny.h"

#define RTC_IRQ 11
#define TIME_LOW (RTC + 0x00)
#define TIME_HIGH (RTC + 0x04)
#define ALARM_LOW (RTC + 0x08)
#define ALARM_HIGH (RTC + 0x0c)
#define IRQ_ENABLED (RTC + 0x10)
#define ALARM_STATUS (RTC + 0x18)
#define CLEAR_INTERRUPT (RTC + 0x1c)

struct frame *trap(struct frame *frame) {
  note_trap(frame);
  u32 irq = plic_claim();
  write32(CLEAR_INTERRUPT, 1);
  plic_complete(irq);
  return frame;
}

static u64 date(void) {
  u64 low = read32(TIME_LOW);  // latches the high half
  return low | (u64)read32(TIME_HIGH) << 32;
}

int main(void) {
  u64 first = date(), ticks = time_now();
  while (time_now() < ticks + 1000)  // 100 us
    ;
  u64 passed = date() - first;
  printf("%s ns passed\n", passed >= 99900 && passed < 1000000000 ? "100,000" : "not 100,000");

  write32(TIME_HIGH, 0x16000000);
  write32(TIME_LOW, 0);
  printf("set: %lx\n", date() >> 32);

  plic_enable(RTC_IRQ);
  csr_set(mie, MIE_MEIE);
  interrupts_on();
  write32(IRQ_ENABLED, 1);
  u64 alarm = date() + 20000000;
  write32(ALARM_HIGH, alarm >> 32);
  write32(ALARM_LOW, alarm);
  u32 armed = read32(ALARM_STATUS);
  printf("armed: %u\n", armed);
  while (!traps)
    wait_for_interrupt();
  printf("alarm: %s, armed: %u\n", date() >= alarm ? "in time" : "early", read32(ALARM_STATUS));
  say_trap("alarm");
  return 0;
}
