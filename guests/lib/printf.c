// a small printf
#include "lib.h"

static void number(void (*put)(int), u64 value, u64 base, int width, char fill) {
  char digits[24];
  int n = 0;
  do
    digits[n++] = "0123456789abcdef"[value % base];
  while (value /= base);
  while (width-- > n)
    put(fill);
  while (n)
    put(digits[--n]);
}

void vprint(void (*put)(int), const char *format, va_list args) {
  for (; *format; format++) {
    if (*format != '%') {
      put(*format);
      continue;
    }
    char fill = *++format == '0' ? '0' : ' ';
    int width = 0;
    while (*format >= '0' && *format <= '9')
      width = 10 * width + *format++ - '0';
    int is_long = *format == 'l';
    format += is_long;
    switch (*format) {
    case 'd': {
      i64 value = is_long ? va_arg(args, i64) : va_arg(args, int);
      if (value < 0)
        put('-');
      number(put, value < 0 ? -(u64)value : (u64)value, 10, width, fill);
      break;
    }
    case 'u':
    case 'x': {
      u64 value = is_long ? va_arg(args, u64) : va_arg(args, u32);
      number(put, value, *format == 'u' ? 10 : 16, width, fill);
      break;
    }
    case 'p':
      put('0');
      put('x');
      number(put, va_arg(args, u64), 16, width, fill);
      break;
    case 'c':
      put(va_arg(args, int));
      break;
    case 's': {
      const char *s = va_arg(args, const char *);
      for (int n = strlen(s); n < width; n++)
        put(' ');
      while (*s)
        put(*s++);
      break;
    }
    default:
      put(*format);
    }
  }
}

void printf(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vprint(uart_putc, format, args);
  va_end(args);
}
