/* Level 0 of the search: which rows may be among the best for which query.
 *
 * Rows are int8, queries int16, sums int32 and exact, so that a score is the same to the bit on
 * every machine and scan.py can say how far it is from the cosine. Rows lie in groups of eight, two
 * numbers of each in turn: a register holds the sums of eight rows, and none is added up across.
 * One query is bound by the bytes of the rows, which are read once; for many queries a few rows
 * stay in the cache while all queries pass over them. scan.py holds the bounds, the shapes and the
 * same sums in PyTorch.
 */
#include <stdint.h>
#include <string.h>

enum { GROUP = 8, HIGH = 4, WIDE = 2, ALONE = 4096 }; /* a tile is HIGH groups by WIDE queries */
#define INLINE static inline __attribute__((always_inline))

typedef int32_t sums __attribute__((vector_size(32))); /* of eight rows */
typedef float floats __attribute__((vector_size(32)));
typedef struct { int32_t row, which; float score; } hit;
typedef struct {
  const int8_t *codes;        /* (rows / GROUP, width / 2, GROUP, 2) */
  const float *scale, *slack; /* (rows,) */
  int64_t rows, width;        /* multiples of GROUP * HIGH and of 2 */
} block;
typedef struct {
  const int16_t *whole;      /* (count, width), count 1 or a multiple of WIDE */
  const float *step, *floor; /* (count,) */
  int64_t count;
} asked;

#ifdef __AVX2__
#include <immintrin.h>
typedef __m256i pairs;
INLINE pairs row(const int8_t *p) { return _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)p)); }
INLINE pairs query(const int16_t *p) {
  int32_t two;
  memcpy(&two, p, sizeof two);
  return _mm256_set1_epi32(two);
}
INLINE sums add(sums a, pairs x, pairs y) { return a + (sums)_mm256_madd_epi16(x, y); }
#else
typedef struct { sums even, odd; } pairs;
INLINE pairs row(const int8_t *p) {
  int16_t two __attribute__((vector_size(16))); /* little-endian: the first number is the low one */
  memcpy(&two, p, sizeof two);
  return (pairs){__builtin_convertvector(two << 8 >> 8, sums),
                 __builtin_convertvector(two >> 8, sums)};
}
INLINE pairs query(const int16_t *p) { return (pairs){p[0] - (sums){0}, p[1] - (sums){0}}; }
INLINE sums add(sums a, pairs x, pairs y) { return a + x.even * y.even + x.odd * y.odd; }
#endif

INLINE floats load(const float *p) {
  floats eight;
  memcpy(&eight, p, sizeof eight);
  return eight;
}

/* Keeps those of eight rows that reach a query's floor. */
INLINE void keep(const block *b, const asked *q, int64_t i, int64_t j, sums product, hit *hits,
                 int64_t *found) {
  floats score = __builtin_convertvector(product, floats) * q->step[j] * load(b->scale + i);
  sums reached = score + load(b->slack + i) >= q->floor[j];
  int32_t any = 0;
  for (int r = 0; r < GROUP; r++) any |= reached[r];
  if (__builtin_expect(!any, 1)) return;
  for (int r = 0; r < GROUP; r++)
    if (reached[r]) {
      int64_t at = __atomic_fetch_add(found, 1, __ATOMIC_RELAXED);
      hits[at] = (hit){(int32_t)(i + r), (int32_t)j, score[r]};
    }
}

INLINE void tile(const block *b, const asked *q, int64_t i, int64_t j, int queries, hit *hits,
                 int64_t *found) {
  sums a[HIGH][WIDE] = {0};
  for (int64_t k = 0; k < b->width; k += 2) {
    pairs y[WIDE];
    for (int n = 0; n < queries; n++) y[n] = query(q->whole + (j + n) * b->width + k);
    for (int g = 0; g < HIGH; g++) {
      pairs x = row(b->codes + (i + g * GROUP) * b->width + k * GROUP);
      for (int n = 0; n < queries; n++) a[g][n] = add(a[g][n], x, y[n]);
    }
  }
  for (int g = 0; g < HIGH; g++)
    for (int n = 0; n < queries; n++) keep(b, q, i + g * GROUP, j + n, a[g][n], hits, found);
}

/* All hits, in no order; `hits` has room for rows * count. How many there are. */
int64_t scan(const block *b, const asked *q, hit *hits) {
  int64_t found = 0;
#pragma omp parallel for schedule(static) if (b->rows * q->count > ALONE)
  for (int64_t i = 0; i < b->rows; i += HIGH * GROUP) {
    if (q->count == 1)
      tile(b, q, i, 0, 1, hits, &found);
    else
      for (int64_t j = 0; j < q->count; j += WIDE) tile(b, q, i, j, WIDE, hits, &found);
  }
  return found;
}
