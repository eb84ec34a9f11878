/* Values of all kinds, laid out in the image: what print, whatis and ptype say of them is compared with gdb. */
#include <stdbool.h>
#include <stdint.h>

struct node { int value; struct node *next; };
typedef struct node node_t;
enum color { RED, GREEN = 5, BLUE = -3 };
enum flags { FA = 1, FB = 2, FC = 4, FBC = 6 };
union u { int i; float f; char c[8]; };
struct bits { unsigned a:3; int b:5; unsigned long c:40; bool d:1; enum color e:4; };
int gi = 42; unsigned gu = 0xdeadbeef; long gl = -5; unsigned long gul = 1ul<<63; short gs=-1; unsigned char guc = 200; signed char gsc=-56; char gc='a';
float gf = 1.5f; double gd = 3.141592653589793; long double gld = 2.5L; bool gb = true; _Bool gb2 = 0;
struct node n2 = { 2, 0 }; struct node n1 = { 1, &n2 }; node_t *head = &n1;
enum color col = GREEN; enum color badcol = (enum color)77; enum flags fl = FA|FC; enum flags fl2 = (enum flags)9; enum flags fl0=0;
union u un = { .f = 1.0f };
struct bits bi = { 5, -3, 123456789, 1, BLUE };
int arr[10] = {1,1,1,1,1,1,1,1,1,1}; int arr2[300]; int m[3][4] = {{1,2,3,4},{5,6,7,8}};
char str[16] = "hello"; char strx[] = "a\001\0022\tb\n\"q\\'\377"; char zero[8]; char full[3] = {'a','b','c'}; char rep[40]="aaaaaaaaaaaaaaaaaaaaaaaabcc";
const char *ptr = "text in rodata"; void *vp = &gi; int (*fp)(int); char *nul = 0; char **pp = (char**)&ptr;
uint8_t bytes[8] = {1,2,3,4,5,6,7,255}; uint64_t words[2]={1,2};
struct { int x; struct node in; char name[8]; int *p; double d; union u uu; enum color c; int (*cb)(int);} big = { 1, {2,0}, "nm", &gi, 2.5, {7}, RED, 0};
const volatile int cvi = 3; const int *const cpc = &gi; volatile struct node *vsn = &n1;
struct node nodes[4] = {{1,0},{1,0},{1,0},{2,&n1}};
static int add(int x) { static int calls; calls++; return x + 1 + calls; }
int (*table[2])(int) = { add, add };
struct fwd; struct fwd *fw;
__int128 i128 = 5;
int _start(void) { int loc = 5; node_t l = {3, head}; fp = add; for (int i = 0; i < 3; i++) { int q = i * 2; loc += add(q) + l.value; } return loc + arr2[0]+col+fl; }

enum f1 { A=1,B=2,C=4,D=8 }; enum f2 { X=1, Y=6, Z=8 }; enum f3 { P=1,Q=3,R=2 }; enum f4 {Z0=0,Z1=1,Z2=2};
enum f1 a1=A|C, a2=(enum f1)(A|16), a3=(enum f1)0, a4=(enum f1)32; enum f2 b1=(enum f2)7,b2=(enum f2)(2|8), b3=(enum f2)6; enum f3 c1=(enum f3)3,c2=(enum f3)5; enum f4 d1=(enum f4)3;
struct flex { int n; char data[]; } fx = { 2, "ab" };
struct emp { } em; int z0[0];
struct outer { struct { int a; union { int b; char c; }; } in; struct { int q; struct { int deep; } dd; } *pin; enum { LOCALE1, LOCALE2 } le; struct inner { int k; } named; int (*fn)(struct outer *, char *, ...); int bf:3, :2, bg:4; const char *const names[2]; int mm[2][3]; void (*handlers[4])(int); } o;
struct fields { signed a:5; unsigned b:6; int c:3; long d:37; } bb = { -3, 33, -1, -5 };
float fs[4] = {1,2.5,-0.0f, 1e30f}; double inf = __builtin_inf(), ninf=-__builtin_inf(), qn = __builtin_nan(""); double small=1e-310; long double ld=1.1L; float _Complex cx = 1.0f + 2.0f*1.0fi;
char blank[300]; char cc[250]="0123456789aaaaaaaaaaaaaaaaaaaabcdefghijklmnop"; char manyrep[64]="aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbcdcdcdcdccccccccccccccccc";
int zeros[500]; int mix[30]={1,2,3,3,3,3,3,3,3,3,3,3,3,3,4}; int seq[260]; int two[2][250];
const char *longs = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789";
struct item {int v; struct item*n;}; struct item pool[20] = {[3]={1,&pool[4]},[4]={1,&pool[7]}};
struct s2 { struct item a[3]; char nm[4]; struct {int x,y;} p; } ss = {{{1,0},{1,0},{2,0}},"abc",{1,2}};
uint8_t *u8p = (uint8_t*)"bytes"; signed char *scp=(signed char*)"sc"; char *bad=(char*)0x1234; unsigned char uc3[3]={1,2,3}; int8_t i8s[4]={'a','b',-1,0};
unsigned short us=65535; int neg=-5; long lneg=-7; unsigned char c200=200; int i200=200; int i321=321;
__attribute__((vector_size(16))) int vec={1,2,3,4};
int sum(int a,int b){return a+b;} void vf(void){} int nop(){return 0;} int var(const char*f,...){return 0;}
typedef int (*cb_t)(int); cb_t cbs[3]; typedef struct item nt; nt *np=&pool[3]; typedef nt *ntp; ntp npp=&pool[4]; typedef int arr_t[4]; arr_t at4; typedef unsigned long ul; ul u1=3;
volatile int vi=1; int *restrict rp; int *const volatile cvp=0; const char cca[3]="ab"; _Bool bs[3]={1,0,1}; _Bool oddb;
int second(void){ return sum(a1,b1)+nop()+var("")+oddb; }
