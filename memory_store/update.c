/* X + G(Z - WX) in place, for the matrices X of many tenants and few rows W: an update of a
 * least-squares solution. update.py has the equations, and the same in PyTorch.
 *
 * All of a column of WX must be known before the column changes, so that X is passed over twice,
 * and the time is that of fetching X. Here a block of columns is still in a cache when its second
 * pass begins. Blocks of all tenants are alike and are shared out among the threads. The loops are
 * plain, and made of `add` alone, which compilers turn into vectors.
 */
#include <stdint.h>
#include <string.h>

enum { COLUMNS = 256, ROWS = 16, DEEP = 8 }; /* ROWS: see update.py */
#define INLINE static inline __attribute__((always_inline))

typedef struct {
  double *x;       /* (tenants, k, c) */
  const double *w; /* (tenants, n, k), n at most ROWS */
  const double *z; /* (tenants, n, c) */
  int64_t tenants, n, k, c;
} problem;
typedef struct {
  int64_t tenant, first, width; /* which columns of whom */
  double *x;                    /* (k, width), c apart */
} block;

static block at(const problem *p, int64_t tenant, int64_t first) {
  int64_t left = p->c - first;
  return (block){tenant, first, left < COLUMNS ? left : COLUMNS, p->x + tenant * p->k * p->c + first};
}

/* out ← out ± Σ f_i in_i over `count` rows of `width`, which lie `apart`. */
INLINE void add(double *restrict out, int64_t width, const double *restrict in, int64_t apart,
                const double *f, double sign, int count) {
  double factor[DEEP];
  for (int i = 0; i < count; i++) factor[i] = sign * f[i];
  for (int64_t e = 0; e < width; e++) {
    double sum = out[e];
    for (int i = 0; i < count; i++) sum += factor[i] * in[i * apart + e];
    out[e] = sum;
  }
}

/* The same over any number of rows. */
INLINE void add_all(double *out, int64_t width, const double *in, int64_t apart, const double *f,
                    double sign, int64_t count) {
  int64_t i = 0;
  for (; i + DEEP <= count; i += DEEP)
    add(out, width, in + i * apart, apart, f + i, sign, DEEP);
  for (; i + 2 <= count; i += 2)
    add(out, width, in + i * apart, apart, f + i, sign, 2);
  if (i < count) add(out, width, in + i * apart, apart, f + i, sign, 1);
}

/* r (n, COLUMNS) = Z - WX: a few rows of X at a time, for all of r. */
static void residual(const problem *p, block b, double *r) {
  const double *w = p->w + b.tenant * p->n * p->k, *z = p->z + b.tenant * p->n * p->c + b.first;
  for (int64_t j = 0; j < p->n; j++) memcpy(r + j * COLUMNS, z + j * p->c, b.width * sizeof *r);
  for (int64_t i = 0; i < p->k; i += DEEP) {
    int64_t deep = p->k - i < DEEP ? p->k - i : DEEP;
    for (int64_t j = 0; j < p->n; j++)
      add_all(r + j * COLUMNS, b.width, b.x + i * p->c, p->c, w + j * p->k + i, -1, deep);
  }
}

/* X ← X + Gr. */
static void correct(const problem *p, block b, const double *gain, const double *r) {
  const double *g = gain + b.tenant * p->k * p->n;
  for (int64_t i = 0; i < p->k; i++)
    add_all(b.x + i * p->c, b.width, r, COLUMNS, g + i * p->n, 1, p->n);
}

static void store(const problem *p, block b, const double *r, double *out) {
  for (int64_t j = 0; j < p->n; j++)
    memcpy(out + (b.tenant * p->n + j) * p->c + b.first, r + j * COLUMNS, b.width * sizeof *r);
}

/* X ← X + G(Z - WX) with gain = G (tenants, k, n); with none, out (tenants, n, c) ← Z - WX. */
void update(const problem *p, const double *gain, double *out) {
#pragma omp parallel for collapse(2) schedule(static)
  for (int64_t t = 0; t < p->tenants; t++)
    for (int64_t first = 0; first < p->c; first += COLUMNS) {
      double r[ROWS * COLUMNS];
      block b = at(p, t, first);
      residual(p, b, r);
      if (gain)
        correct(p, b, gain, r);
      else
        store(p, b, r, out);
    }
}
