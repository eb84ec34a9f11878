// bugs/uninitialised: a till that gives a discount which nobody has set
//
// The discount is looked up; for a customer who is not known, the result parameter stays as it is: what an earlier call
// has left there on the stack. Nobody looks at the invoice until the books are closed.
#include "label.h"
#include "lib.h"

#define CUSTOMERS 50
#define SALES 20000
#define STRANGER 17077  // the sale to somebody who is no customer

struct invoice {
  u64 customer;
  u64 amount;
  u64 due;
};

static struct invoice invoices[SALES];
static struct {
  u64 customer;
  u64 percent;
} discounts[CUSTOMERS];
static u64 state = 5, printed;

static noinline u64 find_discount(u64 customer, u64 *percent) {
  for (u64 i = 0; i < CUSTOMERS; i++)
    if (discounts[i].customer == customer) {
      *percent = discounts[i].percent;
      return 1;
    }
  return 0;
}

static noinline u64 price(u64 customer, u64 amount) {
  u64 percent;
  find_discount(customer, &percent);
  LABEL();
  u64 off = amount * percent / 100;
  return amount - off;
}

// writes a receipt to the roll: here only its hash
static noinline void receipt(const struct invoice *invoice) {
  char line[40];
  u64 rest = invoice->due;
  memset(line, ' ', sizeof line);
  for (u64 at = sizeof line; at && rest; rest /= 10)
    line[--at] = '0' + rest % 10;
  for (u64 i = 0; i < sizeof line; i++)
    printed = hash_mix(printed, line[i]);
}

static noinline void complain(const struct invoice *invoice) {
  panic("customer %lu bought for %lu and owes %lx", invoice->customer, invoice->amount, invoice->due);
}

static noinline void close_books(void) {
  u64 turnover = 0;
  for (struct invoice *invoice = invoices; invoice < invoices + SALES; invoice++) {
    if (invoice->due > invoice->amount)
      complain(invoice);
    turnover += invoice->due;
  }
  printf("%lu sold, receipts %lx\n", turnover, printed);
}

int main(void) {
  for (u64 i = 0; i < CUSTOMERS; i++) {
    discounts[i].customer = 1000 + i;
    discounts[i].percent = random_next(&state) % 20;
  }
  for (u64 sale = 0; sale < SALES; sale++) {
    struct invoice *invoice = &invoices[sale];
    invoice->customer = sale == STRANGER ? 7 : 1000 + random_next(&state) % CUSTOMERS;
    invoice->amount = 100 + random_next(&state) % 10000;
    invoice->due = price(invoice->customer, invoice->amount);
    receipt(invoice);
  }
  close_books();
  return 0;
}
