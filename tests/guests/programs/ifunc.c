/* Functions that glibc chooses by the CPU's features, over sizes and alignments, as checksums: strings and memory
 * ("strings"), or mathematics to the last bit ("maths").
 *
 * What is read lies against a page that cannot be, so that reading too far faults. Functions are called through
 * pointers: the compiler's own versions are of no interest. */
#define _GNU_SOURCE
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <wchar.h>

enum { ROOM = 1 << 18 };

/* Two areas that end before a page without access. */
static char *source, *target;

static uint64_t sum;

static void add(uint64_t value)
{
	for (int i = 0; i < 8; i++)
		sum = (sum ^ (value >> 8 * i & 0xff)) * 0x100000001b3;
}

static void add_bytes(const void *bytes, size_t count)
{
	const unsigned char *b = bytes;
	for (size_t i = 0; i < count; i++)
		sum = (sum ^ b[i]) * 0x100000001b3;
}

static void add_sign(int value) { add((value > 0) - (value < 0)); }
static void add_place(const void *place, const void *base)
{
	add(place ? (uint64_t)((const char *)place - (const char *)base) : ~0ull);
}

static void begin(void) { sum = 0xcbf29ce484222325; }
static void end(const char *name) { printf("%-12s %016llx\n", name, (unsigned long long)sum); }

static char *area(void)
{
	char *start = mmap(0, ROOM + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (start == MAP_FAILED || mprotect(start + ROOM, 4096, PROT_NONE))
		exit(1);
	return start + ROOM;
}

/* Letters of no short period, and none of them 'z'. */
static void fill(char *to, size_t count, unsigned seed)
{
	for (size_t i = 0; i < count; i++) {
		seed = seed * 1103515245 + 12345;
		to[i] = 'a' + (seed >> 16) % 25;
	}
}

static const size_t sizes[] = {
	0,   1,   2,   3,   4,   5,   7,   8,    9,    12,   15,   16,   17,   20,    24,    31,    32,    33,
	40,  47,  48,  49,  63,  64,  65,  95,   96,   97,   127,  128,  129,  159,   191,   192,   193,   255,
	256, 257, 300, 383, 511, 512, 513, 1023, 1024, 1025, 2047, 2049, 4095, 4096,  4097,  9000,  40000, 65536,
};
static const size_t shifts[] = { 0, 1, 2, 3, 7, 8, 13, 15, 16, 17, 31, 32, 63 };
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Each size, with `s` that far before the end of the source, `shift` bytes more. */
#define EACH(...)                                                   \
	for (size_t i_ = 0; i_ < COUNT(sizes); i_++)                \
		for (size_t k_ = 0; k_ < COUNT(shifts); k_++) {     \
			size_t n = sizes[i_], shift = shifts[k_];   \
			if (n > 5000 && shift > 3) continue;        \
			char *s = source - n - shift;               \
			fill(s, n + shift, n * 64 + shift);         \
			__VA_ARGS__                                 \
		}

#define CALL(type, function) type function##_ = function; __asm__("" : "+r"(function##_))

typedef void *copy(void *, const void *, size_t);
typedef int compare(const void *, const void *, size_t);
typedef void *find(const void *, int, size_t);
typedef char *string_copy(char *, const char *);
typedef char *string_copy_n(char *, const char *, size_t);
typedef int string_compare(const char *, const char *);
typedef int string_compare_n(const char *, const char *, size_t);
typedef size_t span(const char *, const char *);
typedef char *string_find(const char *, int);

static void copies(void)
{
	CALL(copy *, memcpy);
	CALL(copy *, memmove);
	CALL(copy *, mempcpy);
	copy *all[] = { memcpy_, memmove_, mempcpy_ };
	begin();
	for (int f = 0; f < 3; f++)
		EACH({
			char *t = target - n - (shift * 5 & 63);
			add_place(all[f](t, s, n), t);
			add_bytes(t, n);
		})
	end("copies");
	begin();
	EACH({
		/* Overlapping, forwards and backwards. */
		if (n < 2) continue;
		size_t step = 1 + shift * 3 % (n - 1);
		memmove_(s, s + step, n - step);
		add_bytes(s, n);
		memmove_(s + step, s, n - step);
		add_bytes(s, n);
	})
	end("memmove");
}

static void sets(void)
{
	void *(*set)(void *, int, size_t) = memset;
	wchar_t *(*wide)(wchar_t *, wchar_t, size_t) = wmemset;
	void (*zero)(void *, size_t) = explicit_bzero;
	__asm__("" : "+r"(set), "+r"(wide), "+r"(zero));
	begin();
	EACH({
		add_place(set(s, 'A' + (int)n, n), s);
		add_bytes(s, n + shift);
		zero(s, n / 2);
		add_bytes(s, n + shift);
		wchar_t *w = (wchar_t *)(source - (n / 4 + shift) * 4);
		wide(w, 0x1234567 + (int)n, n / 4);
		add_bytes(w, n / 4 * 4);
	})
	end("sets");
}

static void compares(void)
{
	CALL(compare *, memcmp);
	compare *equal = bcmp;
	CALL(string_compare *, strcmp);
	CALL(string_compare_n *, strncmp);
	CALL(string_compare *, strcasecmp);
	CALL(string_compare_n *, strncasecmp);
	__asm__("" : "+r"(equal));
	begin();
	EACH({
		size_t length = n + shift;
		if (!length) continue;
		char *t = target - length - (n & 31) - 1;
		memcpy(t, s, length);
		source[-1] = t[length - 1] = 0;
		size_t places[] = { length - 1, length / 2, 0, length > 16 ? length - 16 : 0 };
		for (int p = 0; p < 4; p++) {
			char *byte = &t[places[p]];
			char before = *byte;
			for (int change = 0; change < 3; change++) {
				*byte = change == 0 ? before : change == 1 ? before ^ 0x20 : before + 1;
				add_sign(memcmp_(s, t, length));
				add(!equal(s, t, length));
				if (!t[length - 1]) {
					add_sign(strcmp_(s, t));
					add_sign(strcmp_(t, s));
					add_sign(strcasecmp_(s, t));
				}
				add_sign(strncmp_(s, t, n));
				add_sign(strncasecmp_(t, s, n));
			}
			*byte = before;
		}
	})
	end("compares");
}

static void finds(void)
{
	CALL(find *, memchr);
	CALL(find *, memrchr);
	void *(*raw)(const void *, int) = rawmemchr;
	void *(*within)(const void *, size_t, const void *, size_t) = memmem;
	__asm__("" : "+r"(raw), "+r"(within));
	begin();
	EACH({
		add_place(memchr_(s, 'z', n + shift), s);
		add_place(memrchr_(s, 'z', n + shift), s);
		if (!n) continue;
		s[n - 1] = 'z';
		add_place(memchr_(s, 'z', n), s);
		add_place(memchr_(s, 'z', ~0ul - 4096), s);
		add_place(memrchr_(s, 'z', n + shift), s);
		add_place(raw(s, 'z'), s);
		s[n / 3] = 'z';
		add_place(memchr_(s, 'z', n), s);
		add_place(memrchr_(s, 'z', n / 2 + 1), s);
		add_place(within(s, n, s + n / 2, n - n / 2), s);
		add_place(within(s, n, "zq", 2), s);
	})
	end("finds");
}

static void strings(void)
{
	size_t (*length)(const char *) = strlen;
	size_t (*bounded)(const char *, size_t) = strnlen;
	CALL(string_find *, strchr);
	CALL(string_find *, strrchr);
	CALL(string_find *, strchrnul);
	CALL(span *, strspn);
	CALL(span *, strcspn);
	char *(*any)(const char *, const char *) = strpbrk;
	char *(*part)(const char *, const char *) = strstr;
	char *(*part_of_any_case)(const char *, const char *) = strcasestr;
	__asm__("" : "+r"(length), "+r"(bounded), "+r"(any), "+r"(part), "+r"(part_of_any_case));
	begin();
	EACH({
		if (!(n + shift)) continue;
		source[-1] = 0;
		size_t l = length(s);
		add(l);
		add(bounded(s, n));
		add(bounded(s, ~0ul));
		add_place(strchr_(s, 'z'), s);
		add_place(strchrnul_(s, 'z'), s);
		add_place(strrchr_(s, 'b'), s);
		add_place(strchr_(s, 0), s);
		add(strspn_(s, "abcdefghijklmnopqrstuvwxy"));
		add(strcspn_(s, "z"));
		add(strcspn_(s, "zyx"));
		add_place(any(s, "zxwq"), s);
		if (l < 3) continue;
		s[l - 1] = 'z';
		add_place(strchr_(s, 'z'), s);
		add_place(strrchr_(s, 'z'), s);
		add(strspn_(s, "abcdefghijklmnopqrstuvwxy"));
		add_place(part(s, s + l - 3), s);
		add_place(part(s, "zz"), s);
		if (l < 5000) add_place(part_of_any_case(s, "YZ"), s);
	})
	end("strings");
}

static void string_copies(void)
{
	CALL(string_copy *, strcpy);
	CALL(string_copy *, stpcpy);
	CALL(string_copy *, strcat);
	CALL(string_copy_n *, strncpy);
	CALL(string_copy_n *, stpncpy);
	CALL(string_copy_n *, strncat);
	begin();
	EACH({
		size_t room = n + shift;
		if (!room) continue;
		source[-1] = 0;
		char *t = target - room - (n & 15);
		add_place(strcpy_(t, s), t);
		add_bytes(t, room);
		add_place(stpcpy_(t, s), t);
		t = target - 2 * room - 8;
		strcpy_(t, "front");
		strcat_(t, s);
		add_bytes(t, room + 5);
		t[5] = 0;
		strncat_(t, s, n);
		add(strlen(t));
		t = target - room - 70;
		add_place(strncpy_(t, s, room + 70), t);
		add_bytes(t, room + 70);
		add_place(stpncpy_(t, s, n), t);
		add_bytes(t, room);
	})
	end("copying");
}

static void wide(void)
{
	size_t (*length)(const wchar_t *) = wcslen;
	size_t (*bounded)(const wchar_t *, size_t) = wcsnlen;
	wchar_t *(*first)(const wchar_t *, wchar_t) = wcschr;
	wchar_t *(*last)(const wchar_t *, wchar_t) = wcsrchr;
	wchar_t *(*in_memory)(const wchar_t *, wchar_t, size_t) = wmemchr;
	int (*order)(const wchar_t *, const wchar_t *) = wcscmp;
	int (*order_n)(const wchar_t *, const wchar_t *, size_t) = wcsncmp;
	int (*memory_order)(const wchar_t *, const wchar_t *, size_t) = wmemcmp;
	wchar_t *(*copying)(wchar_t *, const wchar_t *) = wcscpy;
	__asm__("" : "+r"(length), "+r"(bounded), "+r"(first), "+r"(last), "+r"(in_memory), "+r"(order));
	__asm__("" : "+r"(order_n), "+r"(memory_order), "+r"(copying));
	begin();
	EACH({
		size_t count = (n + shift) / 4 + 1;
		wchar_t *w = (wchar_t *)source - count, *t = (wchar_t *)target - count - (n & 7);
		for (size_t i = 0; i + 1 < count; i++)
			w[i] = 0x10000 + (int)(i * 2654435761u >> 20);
		w[count - 1] = 0;
		add(length(w));
		add(bounded(w, n / 4));
		add_place(first(w, 0x10000), w);
		add_place(first(w, 7), w);
		add_place(last(w, 0x10000), w);
		add_place(in_memory(w, 0, count), w);
		add_place(copying(t, w), t);
		add_sign(order(w, t));
		t[count / 2] ^= 0x40000000;
		add_sign(order(w, t));
		add_sign(order_n(w, t, n / 4));
		add_sign(memory_order(t, w, count));
	})
	end("wide");
}

#define UNARY(name) { #name, name, name##f }
static const struct {
	const char *name;
	double (*wide)(double);
	float (*narrow)(float);
} functions[] = {
	UNARY(sin),   UNARY(cos),   UNARY(tan),   UNARY(asin),  UNARY(acos),  UNARY(atan),      UNARY(sinh),  UNARY(cosh),
	UNARY(tanh),  UNARY(exp),   UNARY(exp2),  UNARY(expm1), UNARY(log),   UNARY(log2),      UNARY(log10), UNARY(log1p),
	UNARY(sqrt),  UNARY(cbrt),  UNARY(floor), UNARY(ceil),  UNARY(trunc), UNARY(nearbyint), UNARY(rint),  UNARY(round),
	UNARY(erf),   UNARY(roundeven), UNARY(lgamma), UNARY(tgamma), UNARY(logb), UNARY(j0),
};

static double argument(int i)
{
	static const double odd[] = { 0., -0., 1., -1., .5, 1e-310, 1e308, 1e22, 2.5, 3.5, -.5, 123456789.5, 0x1p52, 0x1p-1074 };
	if (i < (int)COUNT(odd))
		return odd[i];
	uint64_t bits = (uint64_t)i * 0x9e3779b97f4a7c15;
	double part = (double)(int64_t)bits / 0x1p63;
	return i % 3 == 0 ? part : i % 3 == 1 ? part * 30 : ldexp(part, (int)(bits % 200) - 100);
}

static void add_double(double value)
{
	uint64_t bits;
	memcpy(&bits, &value, 8);
	add(value != value ? 1 : bits);
}

static void maths(void)
{
	enum { RUNS = 3000 };
	for (size_t f = 0; f < COUNT(functions); f++) {
		begin();
		for (int i = 0; i < RUNS; i++) {
			add_double(functions[f].wide(argument(i)));
			add_double(functions[f].narrow((float)argument(i)));
		}
		end(functions[f].name);
	}
	begin();
	for (int i = 0; i < RUNS; i++) {
		double a = argument(i), b = argument(i + 7), c = argument(i + 31), sine, cosine;
		float fsine, fcosine;
		add_double(pow(fabs(a), b));
		add_double(powf((float)fabs(a), (float)b));
		add_double(atan2(a, b));
		add_double(atan2f((float)a, (float)b));
		add_double(fma(a, b, c));
		add_double(fmaf((float)a, (float)b, (float)c));
		add_double(fmod(a, b));
		add_double(hypot(a, b));
		sincos(a, &sine, &cosine);
		add_double(sine);
		add_double(cosine);
		sincosf((float)a, &fsine, &fcosine);
		add_double(fsine);
		add_double(fcosine);
	}
	end("several");
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "maths")) {
		maths();
		return 0;
	}
	source = area();
	target = area();
	copies();
	sets();
	compares();
	finds();
	strings();
	string_copies();
	wide();
	return 0;
}
