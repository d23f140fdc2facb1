/* Level 0 of the search: which rows may be among the best for which query.
 *
 * Rows are int8, queries int16, sums int32 and exact, so that a score is the same to the bit on
 * every machine and scan.py can say how far it is from the cosine. One query is bound by the bytes
 * of the rows, which are read once; for many queries a panel of rows stays in the cache while all
 * queries pass over it. scan.py holds the bounds, the shapes and the same sums in PyTorch.
 */
#include <stdint.h>
#include <string.h>

enum { WIDE = 16, PANEL = 128, TALL = 4, LOW = 2, ALONE = 4096 };
#define INLINE static inline __attribute__((always_inline))

typedef struct { int32_t row, which; float score; } hit;
typedef struct {
  const int8_t *codes;        /* (rows, width), rows a multiple of PANEL, width of WIDE */
  const float *scale, *slack; /* (rows,) */
  int64_t rows, width;
} block;
typedef struct {
  const int16_t *whole;      /* (count, width), count 1 or a multiple of TALL */
  const float *step, *floor; /* (count,) */
  int64_t count;
} asked;

#ifdef __AVX2__
#include <immintrin.h>
typedef __m256i sums;
INLINE sums zero(void) { return _mm256_setzero_si256(); }
INLINE sums row16(const int8_t *p) { return _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)p)); }
INLINE sums query16(const int16_t *p) { return _mm256_loadu_si256((const void *)p); }
INLINE sums add(sums a, sums x, sums y) { return _mm256_add_epi32(a, _mm256_madd_epi16(x, y)); }
INLINE void total(const sums *a, int32_t *out) { /* four at once */
  sums pairs = _mm256_hadd_epi32(_mm256_hadd_epi32(a[0], a[1]), _mm256_hadd_epi32(a[2], a[3]));
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
  _mm_storeu_si128((void *)out, four);
}
#else
typedef int32_t sums __attribute__((vector_size(64)));
INLINE sums zero(void) { return (sums){0}; }
#define WIDEN(name, from)                            \
  INLINE sums name(const from *p) {                  \
    sums v;                                          \
    for (int i = 0; i < WIDE; i++) v[i] = p[i];      \
    return v;                                        \
  }
WIDEN(row16, int8_t)
WIDEN(query16, int16_t)
INLINE sums add(sums a, sums x, sums y) { return a + x * y; }
INLINE void total(const sums *a, int32_t *out) {
  for (int n = 0; n < 4; n++) {
    out[n] = 0;
    for (int i = 0; i < WIDE; i++) out[n] += a[n][i];
  }
}
#endif

/* Products of `rows` rows with `queries` queries; one of the two is TALL. */
INLINE void tile(const int8_t *x, int rows, const int16_t *q, int queries, int64_t width,
                 int32_t *out) {
  sums a[TALL * LOW];
  for (int n = 0; n < rows * queries; n++) a[n] = zero();
  for (int64_t k = 0; k < width; k += WIDE) {
    sums v[TALL];
    for (int r = 0; r < rows; r++) v[r] = row16(x + r * width + k);
    for (int j = 0; j < queries; j++) {
      sums w = query16(q + j * width + k);
      for (int r = 0; r < rows; r++) a[r * queries + j] = add(a[r * queries + j], v[r], w);
    }
  }
  for (int n = 0; n < rows * queries; n += 4) total(a + n, out + n);
}

/* Keeps the rows of a tile that reach their query's floor. */
INLINE void keep(const block *b, const asked *q, int64_t i, int rows, int64_t j, int queries,
                 const int32_t *product, hit *hits, int64_t *found) {
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < queries; c++) {
      float score = (float)product[r * queries + c] * q->step[j + c] * b->scale[i + r];
      if (__builtin_expect(score + b->slack[i + r] >= q->floor[j + c], 0)) {
        int64_t at = __atomic_fetch_add(found, 1, __ATOMIC_RELAXED);
        hits[at] = (hit){(int32_t)(i + r), (int32_t)(j + c), score};
      }
    }
}

INLINE void panel(const block *b, const asked *q, int64_t start, int rows, int queries, hit *hits,
                  int64_t *found) {
  int32_t product[TALL * LOW];
  for (int64_t j = 0; j < q->count; j += queries)
    for (int64_t i = start; i < start + PANEL; i += rows) {
      tile(b->codes + i * b->width, rows, q->whole + j * b->width, queries, b->width, product);
      keep(b, q, i, rows, j, queries, product, hits, found);
    }
}

/* All hits, in no order; `hits` has room for rows * count. How many there are. */
int64_t scan(const block *b, const asked *q, hit *hits) {
  int64_t found = 0;
#pragma omp parallel for schedule(static) if (b->rows * q->count > ALONE)
  for (int64_t start = 0; start < b->rows; start += PANEL) {
    if (q->count == 1)
      panel(b, q, start, TALL, 1, hits, &found);
    else
      panel(b, q, start, LOW, TALL, hits, &found);
  }
  return found;
}
