/* Every kind of type that C has; each global is looked at by name. No libc: linked with -nostdlib. */
typedef unsigned long size_type;
typedef signed char i8;
typedef const volatile unsigned short cv16;
typedef int (*compare)(const void *, const void *);
typedef struct node node_t;

struct incomplete;
struct elsewhere;
union number { int i; float f; double d; unsigned char bytes[8]; struct { unsigned low, high; } halves; };
enum colour { RED, GREEN = 5, BLUE, NEGATIVE = -3 };
enum wide { SMALL = 1, LARGE = 0x100000000 };
typedef enum { ANON_A, ANON_B } anonymous_enum;

struct node { struct node *next, **previous; node_t *self; int value : 5; unsigned flags : 3; int rest; };
struct bits {
    unsigned a : 1, b : 2; int c : 13; unsigned long long d : 33; unsigned : 0; signed char e : 4; _Bool f : 1;
    unsigned short g : 9, h : 9; long i;
};
struct packed { char a; int b : 17; long c : 40; short d; } __attribute__((packed));
struct outer {
    struct { int x, y; };
    union { long l; char *text; };
    struct inner { short s; union number n[2]; } in, grid[2][3];
    enum colour colour;
    int (*callback)(struct outer *self, int, ...);
    char (*row)[7];
    const char *const names[3];
    struct incomplete *hidden;
    struct elsewhere *found;
    int flexible[];
};
struct empty {};
struct aligned { char c; long double q __attribute__((aligned(32))); };

int an_int = 1; unsigned an_unsigned; char a_char = 'c'; signed char s_char; unsigned char u_char; short a_short;
unsigned short u_short; long a_long; unsigned long u_long; long long a_llong; unsigned long long u_llong;
float a_float; double a_double; long double a_ldouble; _Bool a_bool; __int128 a_i128; unsigned __int128 a_u128;
size_type a_size; i8 an_i8; cv16 a_cv16; compare a_compare; node_t a_node; struct bits some_bits; struct packed a_packed;
struct outer an_outer; struct empty an_empty; struct aligned an_aligned; union number a_number; enum colour a_colour;
enum wide a_wide; anonymous_enum an_anonymous;
int array1[4], array2[2][3], array3[2][3][4]; char *strings[5]; const char *const *const deep = 0;
int *volatile vp; const int *restrict rp; void *vptr; const void *cvptr; char (*to_array)[3]; int (*to_matrix)[2][3];
int (*function_pointer)(void); void (*handlers[8])(int, char *); int *(*returns_pointer)(struct node *, enum colour);
int (*(*returns_function)(int))(long); char *(*(*weird[3])(void))[5]; struct node *list; struct { int q; } unnamed;
union { int u; } unnamed_union; enum { LOCAL_ONE = 1 } unnamed_enum; volatile int vi; const struct node cnode;
const int carray[3] = {1, 2, 3}; int zero_length[0]; _Complex double complex_double; _Complex float complex_float;
typedef int vector __attribute__((vector_size(16))); vector a_vector;
struct elsewhere *pointer_elsewhere; struct incomplete *pointer_incomplete;
extern int old_style(); int (*old_pointer)(); int (*variadic)(const char *, ...);
_Atomic int atomic_int; char nul_name[16]; typedef char name_t[12]; name_t a_name; const name_t const_name;

int old_style(a, b) int a; char b; { return a + b; }
static int plain(int a, struct node *b) { return a + b->value; }
void nothing(void) {}
void _start(void) { vi = plain(an_int, &a_node) + old_style(1, 2) + carray[1]; nothing(); for (;;) {} }
