/* One step of a Llama-shaped decoder for a flat list of tokens of any rows, in float32.
 *
 * A step of a small model on a CPU is bound by the bytes of its weights and by the calls around
 * them, so weights stay in their file's four or eight bits, and a step is one call. Activations
 * are float32; a token's numbers are summed in one order whoever else is in the step, so its
 * results are the same to the bit alone, in a crowd, or in another chunk of the prompt.
 * model.py fills the structures; shapes stand there.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { GROUP = 32, TILE = 12, PAGE = 64 };

typedef float f8 __attribute__((vector_size(32)));
typedef float f8u __attribute__((vector_size(32), aligned(4)));
typedef int32_t i8 __attribute__((vector_size(32)));
typedef _Float16 half;

typedef struct { half scale, least; uint8_t q[GROUP / 2]; } four;
typedef struct { half scale; int8_t q[GROUP]; } eight;

/* A low-rank addition to outputs from..from+n: b^T (a x), for rows whose gate is on. */
typedef struct { const half *a, *b; int64_t rank, from, n; } adapter;
typedef struct {
  const uint8_t *w; /* rows of groups, padded to a multiple of TILE rows */
  int64_t n, k, bits, adapters;
  adapter add[3];
} linear;
typedef struct { const float *norm1, *norm2; linear qkv, out, up, down; } layer;
typedef struct {
  int64_t layers, width, heads, shared, size, hidden;
  float eps;
  const float *cos, *sin, *norm;
  const layer *layer;
  linear head;
} model;
/* cache (layers, 2, pages, PAGE, shared * size); table (rows, longest): the pages of each row */
typedef struct {
  const int32_t *row, *at, *table;
  const float *gate;
  float *cache;
  int64_t pages, longest;
} tokens;

#define INLINE static inline __attribute__((always_inline))

#ifdef __AVX2__
#include <immintrin.h>
INLINE i8 widen_u8(const uint8_t *p) { return (i8)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)p)); }
INLINE i8 widen_s8(const int8_t *p) { return (i8)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)p)); }
INLINE f8 widen_half(const half *p) { return (f8)_mm256_cvtph_ps(_mm_loadu_si128((const void *)p)); }
#else
#define WIDEN(name, from, to, type)                                  \
  INLINE to name(const from *p) {                                    \
    to v;                                                            \
    for (int i = 0; i < 8; i++) v[i] = (type)p[i];                   \
    return v;                                                        \
  }
WIDEN(widen_u8, uint8_t, i8, int32_t)
WIDEN(widen_s8, int8_t, i8, int32_t)
WIDEN(widen_half, half, f8, float)
#endif

INLINE f8 load(const float *p) { return *(const f8u *)p; }
INLINE void store(float *p, f8 v) { *(f8u *)p = v; }
INLINE f8 floats(i8 v) { return __builtin_convertvector(v, f8); }

INLINE f8 choose(i8 mask, f8 a, f8 b) { return (f8)((mask & (i8)a) | (~mask & (i8)b)); }

INLINE float sum(f8 v) {
  float even = (v[0] + v[4]) + (v[2] + v[6]), odd = (v[1] + v[5]) + (v[3] + v[7]);
  return even + odd;
}

/* exp to 2 units in the last place: 2^i times a polynomial (Cephes). */
INLINE f8 exp8(f8 x) {
  x = choose(x < (f8){0} - 87.0f, (f8){0} - 87.0f, x);
  x = choose(x > (f8){0} + 88.0f, (f8){0} + 88.0f, x);
  i8 n = __builtin_convertvector(x * 1.44269504f + 127.5f, i8) - 127; /* rounded */
  f8 r = x - floats(n) * 0.693359375f + floats(n) * 2.12194440e-4f;
  f8 p = (f8){0} + 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  return p * (f8)((n + 127) << 23);
}

/* --- y = x W^T ------------------------------------------------------------------------------ */

INLINE size_t group_bytes(int bits) {
  return bits == 4 ? sizeof(four) : bits == 8 ? sizeof(eight) : GROUP * sizeof(float);
}

INLINE void unpack(const uint8_t *from, int bits, f8 w[4]) {
  if (bits == 4) {
    const four *g = (const four *)from;
    float scale = g->scale, least = g->least;
    i8 a = widen_u8(g->q), b = widen_u8(g->q + 8);
    w[0] = floats(a & 15) * scale + least;
    w[1] = floats(b & 15) * scale + least;
    w[2] = floats(a >> 4) * scale + least;
    w[3] = floats(b >> 4) * scale + least;
  } else if (bits == 8) {
    const eight *g = (const eight *)from;
    float scale = g->scale;
    for (int i = 0; i < 4; i++) w[i] = floats(widen_s8(g->q + 8 * i)) * scale;
  } else {
    for (int i = 0; i < 4; i++) w[i] = load((const float *)from + 8 * i);
  }
}

/* One token and `count` rows of W, unpacked in registers. */
INLINE void single(const float *x, const uint8_t *w, int bits, int64_t groups, int count, float *y) {
  f8 acc[4] = {{0}};
  for (int64_t g = 0; g < groups; g++)
    for (int r = 0; r < 4; r++) {
      f8 v[4];
      unpack(w + (r * groups + g) * group_bytes(bits), bits, v);
      for (int i = 0; i < 4; i++) acc[r] = v[i] * load(x + g * GROUP + 8 * i) + acc[r];
    }
  for (int r = 0; r < count; r++) y[r] = sum(acc[r]);
}

/* `rows` tokens and three unpacked rows of W. */
INLINE void block(const float *x, int64_t k, const float *w, int rows, int count, float *y, int64_t n) {
  f8 acc[4][3] = {{{0}}};
  for (int64_t i = 0; i < k; i += 8) {
    f8 a = load(w + i), b = load(w + k + i), c = load(w + 2 * k + i);
    for (int r = 0; r < rows; r++) {
      f8 v = load(x + r * k + i);
      acc[r][0] = a * v + acc[r][0];
      acc[r][1] = b * v + acc[r][1];
      acc[r][2] = c * v + acc[r][2];
    }
  }
  for (int r = 0; r < rows; r++)
    for (int j = 0; j < count; j++) y[r * n + j] = sum(acc[r][j]);
}

INLINE void tile(const float *x, int64_t m, int64_t k, const uint8_t *w, int bits, int count,
                 float *unpacked, float *y, int64_t n) {
  for (int64_t g = 0; g < TILE * k / GROUP; g++) {
    f8 v[4];
    unpack(w + g * group_bytes(bits), bits, v);
    for (int i = 0; i < 4; i++) store(unpacked + g * GROUP + 8 * i, v[i]);
  }
  for (int64_t r = 0; r < m; r += 4)
    for (int t = 0; t < count; t += 3) {
      const float *wt = unpacked + t * k;
      int c = count - t < 3 ? count - t : 3;
      switch (m - r) {
        case 1: block(x + r * k, k, wt, 1, c, y + r * n + t, n); break;
        case 2: block(x + r * k, k, wt, 2, c, y + r * n + t, n); break;
        case 3: block(x + r * k, k, wt, 3, c, y + r * n + t, n); break;
        default: block(x + r * k, k, wt, 4, c, y + r * n + t, n);
      }
    }
}

INLINE void product(const linear *l, const float *x, int64_t m, int bits, float *y) {
  int64_t n = l->n, k = l->k, groups = k / GROUP, stride = groups * group_bytes(bits);
#pragma omp parallel
  {
    float unpacked[m > 1 ? TILE * k : 1];
#pragma omp for schedule(static)
    for (int64_t t = 0; t < n; t += TILE) {
      int count = n - t < TILE ? n - t : TILE;
      const uint8_t *w = l->w + t * stride;
      if (m > 1) tile(x, m, k, w, bits, count, unpacked, y + t, n);
      else
        for (int r = 0; r < count; r += 4)
          single(x, w + r * stride, bits, groups, count - r < 4 ? count - r : 4, y + t + r);
    }
  }
}

/* Four of a x, for one sum alone would wait for itself; those past the end repeat the last. */
INLINE void low_rank(const adapter *a, const float *x, int64_t k, float gate, int64_t i, float *low) {
  const half *w[4];
  f8 acc[4] = {{0}};
  for (int t = 0; t < 4; t++) w[t] = a->a + (i + t < a->rank ? i + t : a->rank - 1) * k;
  for (int64_t j = 0; j < k; j += 8) {
    f8 v = load(x + j);
    for (int t = 0; t < 4; t++) acc[t] = widen_half(w[t] + j) * v + acc[t];
  }
  for (int t = 0; t < 4; t++) low[t] = gate * sum(acc[t]);
}

static void adapt(const adapter *a, const float *x, int64_t m, int64_t k, const float *gate,
                  float *y, int64_t n) {
#pragma omp parallel for schedule(static) if (m > 1)
  for (int64_t r = 0; r < m; r++) {
    if (gate[r] == 0) continue;
    float low[a->rank + 3];
    for (int64_t i = 0; i < a->rank; i += 4) low_rank(a, x + r * k, k, gate[r], i, low + i);
    float *out = y + r * n + a->from;
    for (int64_t j = 0; j < a->n; j += 8) {
      f8 acc = {0};
      for (int64_t i = 0; i < a->rank; i++) acc = widen_half(a->b + i * a->n + j) * low[i] + acc;
      store(out + j, load(out + j) + acc);
    }
  }
}

static void apply(const linear *l, const float *x, int64_t m, const float *gate, float *y) {
  if (l->bits == 4) product(l, x, m, 4, y);
  else if (l->bits == 8) product(l, x, m, 8, y);
  else product(l, x, m, 32, y);
  for (int i = 0; gate && i < l->adapters; i++) adapt(&l->add[i], x, m, l->k, gate, y, l->n);
}

/* --- the rest of a block -------------------------------------------------------------------- */

static void normalise(const float *x, const float *weight, int64_t m, int64_t d, float eps, float *y) {
#pragma omp parallel for schedule(static) if (m > 8)
  for (int64_t r = 0; r < m; r++) {
    f8 acc = {0};
    for (int64_t i = 0; i < d; i += 8) acc = load(x + r * d + i) * load(x + r * d + i) + acc;
    float scale = 1 / sqrtf(sum(acc) / d + eps);
    for (int64_t i = 0; i < d; i += 8) store(y + r * d + i, load(x + r * d + i) * scale * load(weight + i));
  }
}

INLINE void rotate(float *head, const float *cosine, const float *sine, int64_t size) {
  for (int64_t i = 0; i < size / 2; i += 8) {
    f8 c = load(cosine + i), s = load(sine + i), a = load(head + i), b = load(head + size / 2 + i);
    store(head + i, a * c - b * s);
    store(head + size / 2 + i, b * c + a * s);
  }
}

/* Where token i's row keeps the key (0) or value (1) of position p in layer l. */
INLINE float *place(const model *m, const tokens *t, int64_t l, int value, int64_t i, int64_t p) {
  int64_t page = t->table[t->row[i] * t->longest + p / PAGE];
  return t->cache + (((2 * l + value) * t->pages + page) * PAGE + p % PAGE) * m->shared * m->size;
}

/* Rotates queries and keys and puts keys and values where their tokens belong. */
static void remember(const model *m, int64_t l, const tokens *t, int64_t count, float *qkv) {
  int64_t size = m->size, wide = m->shared * size, all = m->heads * size + 2 * wide;
#pragma omp parallel for schedule(static) if (count > 8)
  for (int64_t i = 0; i < count; i++) {
    const float *c = m->cos + t->at[i] * (size / 2), *s = m->sin + t->at[i] * (size / 2);
    float *q = qkv + i * all, *k = q + m->heads * size;
    for (int64_t h = 0; h < m->heads + m->shared; h++) rotate(q + h * size, c, s, size);
    memcpy(place(m, t, l, 0, i, t->at[i]), k, wide * sizeof(float));
    memcpy(place(m, t, l, 1, i, t->at[i]), k + wide, wide * sizeof(float));
  }
}

/* One query head over positions 0..last: softmax(q K^T / sqrt(size)) V. */
INLINE void attend_head(const model *m, int64_t l, const tokens *t, int64_t i, int64_t shared,
                        const float *q, float *out) {
  int64_t size = m->size, last = t->at[i], padded = (last + 8) / 8 * 8;
  float p[padded], most = -INFINITY, root = 1 / sqrtf(size);
  for (int64_t j = 0; j <= last; j++) {
    const float *k = place(m, t, l, 0, i, j) + shared * size;
    f8 acc = {0};
    for (int64_t e = 0; e < size; e += 8) acc = load(q + e) * load(k + e) + acc;
    p[j] = sum(acc) * root;
    most = p[j] > most ? p[j] : most;
  }
  for (int64_t j = last + 1; j < padded; j++) p[j] = most;
  for (int64_t j = 0; j < padded; j += 8) store(p + j, exp8(load(p + j) - most));
  for (int64_t j = last + 1; j < padded; j++) p[j] = 0;
  f8 total = {0};
  for (int64_t j = 0; j < padded; j += 8) total += load(p + j);
  memset(out, 0, size * sizeof(float));
  float share = 1 / sum(total);
  for (int64_t j = 0; j <= last; j++) {
    const float *v = place(m, t, l, 1, i, j) + shared * size;
    for (int64_t e = 0; e < size; e += 8) store(out + e, load(v + e) * (p[j] * share) + load(out + e));
  }
}

static void attend(const model *m, int64_t l, const tokens *t, int64_t count, const float *qkv,
                   float *out) {
  int64_t size = m->size, all = (m->heads + 2 * m->shared) * size;
#pragma omp parallel for collapse(2) schedule(dynamic, 4)
  for (int64_t i = 0; i < count; i++)
    for (int64_t h = 0; h < m->heads; h++)
      attend_head(m, l, t, i, h / (m->heads / m->shared), qkv + i * all + h * size,
                  out + (i * m->heads + h) * size);
}

/* up (m, 2h): gate beside up → silu(gate) * up (m, h). */
static void activate(const float *up, int64_t m, int64_t hidden, float *y) {
#pragma omp parallel for schedule(static) if (m > 8)
  for (int64_t r = 0; r < m; r++)
    for (int64_t i = 0; i < hidden; i += 8) {
      f8 g = load(up + r * 2 * hidden + i);
      store(y + r * hidden + i, g / (exp8(-g) + 1.0f) * load(up + r * 2 * hidden + hidden + i));
    }
}

static void add(float *x, const float *y, int64_t count) {
  for (int64_t i = 0; i < count; i++) x[i] += y[i];
}

/* --- what model.py calls -------------------------------------------------------------------- */

/* x (count, width): embeddings in, last hidden states out. `gate` is null if every gate is off. */
void forward(const model *m, const tokens *t, int64_t count, float *x, float *work) {
  int64_t d = m->width, all = (m->heads + 2 * m->shared) * m->size;
  float *y = work, *wide = work + count * d, *narrow = wide + count * (all > 2 * m->hidden ? all : 2 * m->hidden);
  for (int64_t i = 0; i < m->layers; i++) {
    const layer *l = m->layer + i;
    normalise(x, l->norm1, count, d, m->eps, y);
    apply(&l->qkv, y, count, t->gate, wide);
    remember(m, i, t, count, wide);
    attend(m, i, t, count, wide, narrow);
    apply(&l->out, narrow, count, t->gate, y);
    add(x, y, count * d);
    normalise(x, l->norm2, count, d, m->eps, y);
    apply(&l->up, y, count, t->gate, wide);
    activate(wide, count, m->hidden, narrow);
    apply(&l->down, narrow, count, t->gate, y);
    add(x, y, count * d);
  }
  normalise(x, m->norm, count, d, m->eps, x);
}

/* Hidden states (count, width) → logits (count, vocabulary). */
void logits(const model *m, int64_t count, const float *x, float *y) { apply(&m->head, x, count, 0, y); }
