/* Level 0 of the search: which rows may be among the best for which query. Then, of rows where they
 * lie: exact products, weighted sums, copies.
 *
 * Rows and queries are int8, sums int32 and exact, so that a score is the same to the bit on every
 * machine and scan.py can say how far it is from the cosine. Rows lie in groups of sixteen, four
 * numbers of each in turn: a register holds the sums of its rows, and none is added up across.
 * One query is bound by the bytes of the rows, which are read once; for many queries a few rows
 * stay in the cache while all queries pass over them, on processors with VNNI by an instruction
 * that multiplies and adds. scan.py holds the bounds, the shapes and the same sums in PyTorch.
 */
#include <stdint.h>
#include <string.h>

enum { GROUP = 16, HIGH = 2, WIDE = 4 }; /* a tile is HIGH groups by up to WIDE queries */
enum { EIGHT = 8, BYTES = 32 };          /* rows in a register of that many bytes */
enum { SCANNED = 4096, SCORED = 64 };    /* rows times queries, and rows, that one thread does */
enum { AHEAD = 4, CHUNK = 256 };         /* rows fetched before their turn; numbers of a row */
#define INLINE static inline __attribute__((always_inline))

typedef int32_t sums __attribute__((vector_size(BYTES))); /* of eight rows, or four int8 of each */
typedef float floats __attribute__((vector_size(BYTES)));
typedef double doubles __attribute__((vector_size(BYTES)));
typedef struct { int32_t row, which; float score; } hit;
typedef struct {
  const int8_t *codes;        /* (rows / GROUP, width / 4, GROUP, 4) */
  const float *scale, *slack; /* (rows,) */
  int64_t rows, width;        /* multiples of GROUP * HIGH and of 4 */
} block;
typedef struct {
  const int8_t *whole;       /* (count, width), count 1 or a multiple of WIDE */
  const float *step, *floor; /* (count,) */
  const int32_t *total;      /* of the numbers of each, (count,) */
  int64_t count;
} asked;

#ifdef __AVX2__
#include <immintrin.h>
/* Two products of at most 127 x 127 fit 16 bits. */
INLINE sums add(sums sum, sums x, sums y) {
  __m256i two = _mm256_maddubs_epi16(_mm256_abs_epi8((__m256i)x),
                                     _mm256_sign_epi8((__m256i)y, (__m256i)x));
  return sum + (sums)_mm256_madd_epi16(two, _mm256_set1_epi16(1));
}
#else
INLINE sums add(sums sum, sums x, sums y) {
  for (int shift = 0; shift < 32; shift += 8) sum += (x << shift >> 24) * (y << shift >> 24);
  return sum;
}
#endif

INLINE sums row(const int8_t *p) {
  sums four;
  memcpy(&four, p, sizeof four);
  return four;
}

INLINE int32_t query(const int8_t *p) {
  int32_t four;
  memcpy(&four, p, sizeof four);
  return four;
}

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
  int32_t count = 0;
  for (int r = 0; r < EIGHT; r++) count -= reached[r];
  if (__builtin_expect(!count, 1)) return;
  int64_t at = __atomic_fetch_add(found, count, __ATOMIC_RELAXED);
  for (int r = 0; r < EIGHT; r++)
    if (reached[r]) hits[at++] = (hit){(int32_t)(i + r), (int32_t)j, score[r]};
}

/* HIGH groups, each two times eight rows, by one or two queries. */
INLINE void tile(const block *b, const asked *q, int64_t i, int64_t j, int queries, hit *hits,
                 int64_t *found) {
  sums a[2 * HIGH][2] = {0};
  for (int64_t k = 0; k < b->width; k += 4) {
    sums y[2];
    for (int n = 0; n < queries; n++) y[n] = query(q->whole + (j + n) * b->width + k) + (sums){0};
    for (int g = 0; g < 2 * HIGH; g++) {
      const int8_t *group = b->codes + (i + g / 2 * GROUP) * b->width + k * GROUP;
      sums x = row(group + g % 2 * BYTES);
      for (int n = 0; n < queries; n++) a[g][n] = add(a[g][n], x, y[n]);
    }
  }
  for (int g = 0; g < 2 * HIGH; g++)
    for (int n = 0; n < queries; n++) keep(b, q, i + g * EIGHT, j + n, a[g][n], hits, found);
}

#ifdef __AVX2__
#ifndef VNNI
#define VNNI (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni"))
#endif

/* HIGH groups by WIDE queries, a group in a register. The instruction takes one side without a
 * sign: the rows, 128 too large, and the sums start as much too small. */
__attribute__((target("avx512bw,avx512vnni"))) static void vnni_tile(
    const block *b, const asked *q, int64_t i, int64_t j, hit *hits, int64_t *found) {
  __m512i a[HIGH][WIDE], large = _mm512_set1_epi8(-128);
  for (int n = 0; n < WIDE; n++)
    for (int g = 0; g < HIGH; g++) a[g][n] = _mm512_set1_epi32(-128 * q->total[j + n]);
  for (int64_t k = 0; k < b->width; k += 4) {
    __m512i y[WIDE];
    for (int n = 0; n < WIDE; n++) y[n] = _mm512_set1_epi32(query(q->whole + (j + n) * b->width + k));
    for (int g = 0; g < HIGH; g++) {
      const int8_t *group = b->codes + (i + g * GROUP) * b->width + k * GROUP;
      __m512i x = _mm512_xor_si512(_mm512_loadu_si512(group), large);
      for (int n = 0; n < WIDE; n++) a[g][n] = _mm512_dpbusd_epi32(a[g][n], x, y[n]);
    }
  }
  for (int g = 0; g < HIGH; g++, i += GROUP)
    for (int n = 0; n < WIDE; n++) {
      __m512 score = _mm512_cvtepi32_ps(a[g][n]) * q->step[j + n] * _mm512_loadu_ps(b->scale + i);
      __m512 most = score + _mm512_loadu_ps(b->slack + i);
      __mmask16 reached = _mm512_cmp_ps_mask(most, _mm512_set1_ps(q->floor[j + n]), _CMP_GE_OQ);
      if (__builtin_expect(!reached, 1)) continue;
      int64_t at = __atomic_fetch_add(found, __builtin_popcount(reached), __ATOMIC_RELAXED);
      for (int r = 0; r < GROUP; r++)
        if (reached >> r & 1) hits[at++] = (hit){(int32_t)(i + r), (int32_t)(j + n), score[r]};
    }
}
#else
#define VNNI 0
#define vnni_tile(...)
#endif

INLINE void fetch(const void *place, int64_t size) {
  for (int64_t at = 0; at < size; at += 64) __builtin_prefetch((const char *)place + at);
}

/* Fetches the rows after a tile's, a share of them for each tile of queries. */
INLINE void fetch_next(const block *b, const asked *q, int64_t i, int64_t j) {
  int64_t share = HIGH * GROUP * b->width * WIDE / q->count;
  const int8_t *next = b->codes + (i + HIGH * GROUP) * b->width + j / WIDE * share;
  fetch(next, share);
}

/* All hits, in no order; `hits` has room for rows * count. How many there are. */
int64_t scan(const block *b, const asked *q, hit *hits) {
  int64_t found = 0;
  int vnni = VNNI;
#pragma omp parallel for schedule(static) if (b->rows * q->count > SCANNED)
  for (int64_t i = 0; i < b->rows; i += HIGH * GROUP) {
    if (q->count == 1)
      tile(b, q, i, 0, 1, hits, &found);
    else
      for (int64_t j = 0; j < q->count; j += WIDE) {
        fetch_next(b, q, i, j);
        if (vnni)
          vnni_tile(b, q, i, j, hits, &found);
        else
          for (int h = 0; h < WIDE; h += 2) tile(b, q, i, j + h, 2, hits, &found);
      }
  }
  return found;
}

INLINE doubles four(const uint16_t *p) {
#ifdef __F16C__
  return _mm256_cvtps_pd(_mm_cvtph_ps(_mm_loadl_epi64((const void *)p)));
#else
  _Float16 half[4];
  memcpy(half, p, sizeof half);
  return (doubles){half[0], half[1], half[2], half[3]};
#endif
}

/* sum + x * y. The compiler may not fuse them (scores would differ from those of PyTorch), though
 * these are exact either way. */
INLINE doubles add_product(doubles sum, doubles x, doubles y) {
#ifdef __FMA__
  return (doubles)_mm256_fmadd_pd((__m256d)x, (__m256d)y, (__m256d)sum);
#else
  return sum + x * y;
#endif
}

/* Sums of four and four products of a row with a query, and of the row with itself. */
INLINE void add_four(const uint16_t *row, const double *query, doubles *product, doubles *square) {
  doubles x = four(row), y;
  memcpy(&y, query, sizeof y);
  *product = add_product(*product, x, y);
  *square = add_product(*square, x, x);
}

/* Exact products of float16 rows with the query each is for, and with themselves: the order of
 * these sums cannot be seen (search.py). `out` is (count, 2). */
void exact(const uint16_t *const *rows, const int64_t *which, int64_t count, const double *queries,
           int64_t width, double *out) {
#pragma omp parallel for schedule(static) if (count > SCORED)
  for (int64_t n = 0; n < count; n++) {
    const uint16_t *row = rows[n];
    const double *query = queries + which[n] * width;
    doubles product[2] = {0}, square[2] = {0};
    int64_t k = 0;
    if (n + AHEAD < count) fetch(rows[n + AHEAD], width * sizeof *row);
    for (; k + 8 <= width; k += 8)
      for (int h = 0; h < 2; h++)
        add_four(row + k + 4 * h, query + k + 4 * h, product + h, square + h);
    uint16_t last[8] = {0};
    double asked[8] = {0};
    memcpy(last, row + k, (width - k) * sizeof *last);
    memcpy(asked, query + k, (width - k) * sizeof *asked);
    for (int h = 0; h < 2; h++) add_four(last + 4 * h, asked + 4 * h, product + h, square + h);
    product[0] += product[1];
    square[0] += square[1];
    out[2 * n] = product[0][0] + product[0][1] + product[0][2] + product[0][3];
    out[2 * n + 1] = square[0][0] + square[0][1] + square[0][2] + square[0][3];
  }
}

/* Numbers k to k + 3 of a row, zeros past its end or without one. */
INLINE doubles part(const uint16_t *row, int64_t k, int64_t width) {
  uint16_t last[4] = {0};
  if (row && k + 4 <= width) return four(row + k);
  if (row) memcpy(last, row + k, (width - k) * sizeof *row);
  return four(last);
}

INLINE void add_each(doubles *sum, const doubles *some, doubles x) {
  for (int g = 0; g < EIGHT; g++) sum[g] = add_product(sum[g], some[g], x);
}

/* Exact products with one another of the float16 rows of each of some matrices, (count, rows);
 * what is added to `out`, (count, rows, rows), zeros. The last rows of a matrix may be missing. */
void grams(const uint16_t *const *keys, int64_t count, int64_t rows, int64_t width, double *out) {
#pragma omp parallel for collapse(2) schedule(static, 1)
  for (int64_t n = 0; n < count; n++)
    for (int64_t i = 0; i < rows; i += EIGHT) {
      const uint16_t *const *own = keys + n * rows;
      int high = rows - i < EIGHT ? rows - i : EIGHT;
      double *products = out + n * rows * rows;
      doubles some[CHUNK / 4][EIGHT] = {0}; /* eight rows, widened: they stay in the cache */
      for (int64_t first = 0; own[i] && first < width; first += CHUNK) {
        int64_t left = width - first < CHUNK ? width - first : CHUNK;
        for (int64_t k = 0; k < left; k += 4)
          for (int g = 0; g < high; g++) some[k / 4][g] = part(own[i + g], first + k, width);
        for (int64_t j = 0; j < i + high && own[j]; j++) {
          const uint16_t *other = own[j] + first;
          doubles sum[EIGHT] = {0};
          int64_t k = 0;
          for (; k + 4 <= left; k += 4) add_each(sum, some[k / 4], four(other + k));
          if (k < left) add_each(sum, some[k / 4], part(other, k, left));
          for (int g = 0; g < high; g++) {
            products[(i + g) * rows + j] += sum[g][0] + sum[g][1] + sum[g][2] + sum[g][3];
            if (j < i) products[j * rows + i + g] = products[(i + g) * rows + j];
          }
        }
      }
    }
}

/* Sums of float16 rows (count, rows), each times its weight, in `out` (count, width), zeros. The
 * last rows of a sum may be missing. */
void mixtures(const uint16_t *const *latents, const double *weights, int64_t count, int64_t rows,
              int64_t width, double *out) {
#pragma omp parallel for schedule(static)
  for (int64_t n = 0; n < count; n++)
    for (int64_t i = n * rows; i < (n + 1) * rows && latents[i]; i++) {
      int64_t k = 0;
      doubles weight = weights[i] + (doubles){0}, sum;
      for (; k + 4 <= width; k += 4) {
        memcpy(&sum, out + n * width + k, sizeof sum);
        sum = add_product(sum, four(latents[i] + k), weight);
        memcpy(out + n * width + k, &sum, sizeof sum);
      }
      for (doubles last = part(latents[i], k, width); k < width; k++)
        out[n * width + k] += last[k % 4] * weights[i];
    }
}

/* `size` bytes from each of some places, one after the other. */
void copy(const char *const *places, int64_t count, int64_t size, char *out) {
  for (int64_t n = 0; n < count; n++) {
    if (n + AHEAD < count) fetch(places[n + AHEAD], size);
    memcpy(out + n * size, places[n], size);
  }
}
