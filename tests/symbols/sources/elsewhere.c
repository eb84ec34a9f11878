/* Completes what types.c only declares. */
struct elsewhere { int a; struct elsewhere *next; long b[3]; };
struct elsewhere somewhere;
static int hidden_count = 3;
int count_elsewhere(struct elsewhere *e) { static int calls; calls += hidden_count; return e ? e->a + calls : calls; }
