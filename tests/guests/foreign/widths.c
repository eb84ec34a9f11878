/* Device registers with accesses of all widths; who answers, who faults. */
#define TRAPS
#include "bare.h"
#define TRY(text, access)  \
  do {                     \
    trap_count = 0;        \
    (void)(access);        \
    trap_report(text);     \
  } while (0)
static unsigned long sink;
int main(void) {
  write_csr(mtvec, on_trap);
  TRY("rtc 1", sink = REG8(RTC + 4));
  TRY("rtc 2", sink = REG16(RTC + 4));
  TRY("rtc 8", sink = REG64(RTC + 0x10));
  TRY("rtc far", sink = REG32(RTC + 0x100));
  TRY("plic 1", sink = REG8(PLIC));
  TRY("plic 2", sink = REG16(PLIC));
  TRY("plic 8", sink = REG64(PLIC));
  TRY("plic hole", sink = REG32(PLIC + 0x1f0000));
  TRY("plic end", sink = REG32(PLIC + 0x5ffffc));
  TRY("plic beyond", sink = REG32(PLIC + 0x600000));
  TRY("test 1", sink = REG8(TEST));
  TRY("test 2", sink = REG16(TEST));
  TRY("test 4", sink = REG32(TEST));
  TRY("test 8", sink = REG64(TEST));
  TRY("test far", sink = REG32(TEST + 0x800));
  TRY("uart 2", sink = REG16(UART0 + 6));
  TRY("uart 4", sink = REG32(UART0 + 4));
  TRY("uart 8", sink = REG64(UART0));
  TRY("uart 8", sink = REG8(UART0 + 8));
  TRY("uart end", sink = REG8(UART0 + 0xff));
  TRY("uart beyond", sink = REG8(UART0 + 0x100));
  TRY("virtio 1", sink = REG8(UART0 + 0x1000));
  TRY("virtio 4", sink = REG32(UART0 + 0x1000));
  field("magic", sink);
  TRY("virtio 8", sink = REG64(UART0 + 0x1000));
  TRY("virtio id", sink = REG32(UART0 + 0x8008));
  field("id", sink);
  TRY("virtio end", sink = REG32(UART0 + 0x81fc));
  TRY("virtio beyond", sink = REG32(UART0 + 0x8200));
  TRY("virtio ninth", sink = REG32(UART0 + 0x9000));
  TRY("misaligned uart", sink = *(volatile uint32_t *)(uintptr_t)(UART0 + 1));
  TRY("misaligned plic", sink = *(volatile uint32_t *)(uintptr_t)(PLIC + 2));
  TRY("rtc store 1", REG8(RTC + 0x1c) = 1);
  TRY("plic store 8", REG64(PLIC + 8) = 1);
  TRY("test store 1", REG8(TEST) = 0x55);
  TRY("test store 8", REG64(TEST) = 0x12);
  REG16(TEST) = 0x5555;
  return 9;
}
