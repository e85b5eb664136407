// SPDX-License-Identifier: Apache-2.0
// The product of tile_weights.h. Of dz a row of positions is made for each output, of x pairs of
// positions of 16 columns, so that a column that reads x some positions later begins some pairs
// later: no tile begins within a line of cache. Where that is an odd number of positions it reads a
// copy of x that begins one position later. The sums of three tiles of columns and 32 outputs are
// one thread's from end to end.
#include "ops/cpu/tile_weights.h"

#include <omp.h>

#ifdef TACT_TILES

enum {
    TOGETHER = 3,           // tiles of columns of a unit
    ALL_BYTES = 3 << 19,    // prepared for all outputs and columns, which stay in the second cache
    SOME_BYTES = 7 << 18,   // the same for all outputs and one group
    SUMS_BYTES = 1 << 20,   // of sums: with more of them chunks are to be few
    PANELS_BYTES = 3 << 18, // of dz, that are multiplied with a group after the other
    THREAD_GROUPS = 4,      // that a thread has, so that it may have whole ones
};

// ---- the cut ------------------------------------------------------------------------------------

void tile_sums_cut(TileSums *s, int64_t reach) {
    const int64_t a_group = s->copies * PAIR_BYTES / 2, rows_bytes = s->panels * SIDE * 2;
    const int64_t sums = s->panels * s->groups * s->columns * COLUMN_SUMS * (int64_t)sizeof(float);
    const int64_t most = sums > SUMS_BYTES ? SOME_BYTES / (rows_bytes + a_group)
                                           : ALL_BYTES / (rows_bytes + s->groups * a_group);
    s->an_image = rounded_up(s->out_h * s->wide, most);
    s->rows = rounded_up(s->out_h, s->an_image);
    s->an_image = rounded_up(s->out_h, s->rows);
    s->strips = s->spec.n * s->an_image;
    s->steps = rounded_up(s->rows * s->wide, TILE_DEPTH);
    s->pairs = s->steps * TILE_DEPTH / 2 + rounded_up(reach, 2);
    const int64_t fit = most / (s->steps * TILE_DEPTH);
    s->chunk = fit < 1 ? 1 : least(fit, s->strips);
    s->chunk = rounded_up(s->strips, rounded_up(s->strips, s->chunk));
}

// ---- dz -----------------------------------------------------------------------------------------

static int64_t dz_bytes(const TileSums *s) {
    return s->chunk * s->steps * STEP;
}

// Tiles of 32 outputs, from o on, of a strip: of each 16 a row of positions.
TILES static void prepare_dz(const TileSums *s, const bf16 *dz, int64_t strip, int64_t o,
                             char *out) {
    const int64_t top = strip % s->an_image * s->rows, channels = s->spec.out_c;
    TileWalk walk = {.image = dz + strip / s->an_image * s->out_h * s->out_w * channels + o,
                     .h = s->out_h,
                     .w = s->out_w,
                     .channels = channels,
                     .step = 1,
                     .wide = s->wide,
                     .y = top,
                     .end = top + s->rows};
    walk_row(&walk);
    for (int64_t k = 0; k < s->steps; k++, out += STEP) {
        __m512i low[16], high[16];
        for (int p = 0; p < 16; p++) {
            const bf16 *first = walk_pixel(&walk), *second = walk_pixel(&walk);
            tile_interleave(first, second, &low[p], &high[p]);
        }
        tile_turn(low);
        tile_turn(high);
        for (int r = 0; r < 16; r++) {
            _mm512_store_si512(out + 64 * r, low[r]);
            _mm512_store_si512(out + TILE_BYTES + 64 * r, high[r]);
        }
    }
}

// Scratch that all threads share: a chunk of dz and of x, and sums.
typedef struct Room {
    char *dz, *x;
    float *sums;
} Room;

static void prepare(const TileSums *s, const bf16 *dz, const bf16 *x, int64_t first, int64_t count,
                    const Room *r) {
#pragma omp for collapse(2) schedule(static) nowait
    for (int64_t p = 0; p < s->panels; p++)
        for (int64_t i = 0; i < count; i++)
            prepare_dz(s, dz, first + i, p * SIDE, r->dz + p * dz_bytes(s) + i * s->steps * STEP);
#pragma omp for collapse(2) schedule(static)
    for (int64_t job = 0; job < s->jobs; job++)
        for (int64_t i = 0; i < count; i++)
            s->prepare(s, x, first + i, job, r->x + i * s->pairs * PAIR_BYTES);
}

// ---- sums ---------------------------------------------------------------------------------------

// Where the tiles of a unit begin.
typedef struct Unit {
    const char *dz, *x[TOGETHER];
    int64_t count; // strips
} Unit;

// Tiles 0 to 2: sums of 16 outputs with each of the columns; 3 to 5: of the other 16.
TILES static void begin_sums(bool zero, const float *sums) {
    enum { ROW = COLUMNS * sizeof *sums, HALF = COLUMN_SUMS / 2 };
    settle_memory(sums);
    if (zero) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        _tile_zero(4);
        _tile_zero(5);
    } else {
        _tile_loadd(0, sums, ROW);
        _tile_loadd(3, sums + HALF, ROW);
        _tile_loadd(1, sums + COLUMN_SUMS, ROW);
        _tile_loadd(4, sums + COLUMN_SUMS + HALF, ROW);
        _tile_loadd(2, sums + 2 * COLUMN_SUMS, ROW);
        _tile_loadd(5, sums + 2 * COLUMN_SUMS + HALF, ROW);
    }
}

TILES static void end_sums(float *sums) {
    enum { ROW = COLUMNS * sizeof *sums, HALF = COLUMN_SUMS / 2 };
    _tile_stored(0, sums, ROW);
    _tile_stored(3, sums + HALF, ROW);
    _tile_stored(1, sums + COLUMN_SUMS, ROW);
    _tile_stored(4, sums + COLUMN_SUMS + HALF, ROW);
    _tile_stored(2, sums + 2 * COLUMN_SUMS, ROW);
    _tile_stored(5, sums + 2 * COLUMN_SUMS + HALF, ROW);
}

// Adds a chunk to the sums of three tiles of columns. dz: tile 6; x: 7.
TILES static void multiply_three(const TileSums *s, const Unit *u, bool zero, float *sums) {
    const char *z = u->dz;
    begin_sums(zero, sums);
    for (int64_t i = 0; i < u->count; i++) {
        const int64_t from = i * s->pairs * PAIR_BYTES;
        const char *x0 = u->x[0] + from, *x1 = u->x[1] + from, *x2 = u->x[2] + from;
        for (int64_t k = 0; k < s->steps; k++, z += STEP) {
            const int64_t at = k * TILE_BYTES;
            _tile_loadd(6, z, 64);
            _tile_loadd(7, x0 + at, 64);
            _tile_dpbf16ps(0, 6, 7);
            _tile_loadd(7, x1 + at, 64);
            _tile_dpbf16ps(1, 6, 7);
            _tile_loadd(7, x2 + at, 64);
            _tile_dpbf16ps(2, 6, 7);
            _tile_loadd(6, z + TILE_BYTES, 64);
            _tile_dpbf16ps(5, 6, 7);
            _tile_loadd(7, x1 + at, 64);
            _tile_dpbf16ps(4, 6, 7);
            _tile_loadd(7, x0 + at, 64);
            _tile_dpbf16ps(3, 6, 7);
        }
    }
    end_sums(sums);
}

// The same for two, whose sums are tiles 0, 1, 3 and 4.
TILES static void multiply_two(const TileSums *s, const Unit *u, bool zero, float *sums) {
    enum { ROW = COLUMNS * sizeof *sums, HALF = COLUMN_SUMS / 2 };
    const char *z = u->dz;
    settle_memory(sums);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(3);
    _tile_zero(4);
    if (!zero) {
        _tile_loadd(0, sums, ROW);
        _tile_loadd(3, sums + HALF, ROW);
        _tile_loadd(1, sums + COLUMN_SUMS, ROW);
        _tile_loadd(4, sums + COLUMN_SUMS + HALF, ROW);
    }
    for (int64_t i = 0; i < u->count; i++) {
        const int64_t from = i * s->pairs * PAIR_BYTES;
        const char *x0 = u->x[0] + from, *x1 = u->x[1] + from;
        for (int64_t k = 0; k < s->steps; k++, z += STEP) {
            const int64_t at = k * TILE_BYTES;
            _tile_loadd(6, z, 64);
            _tile_loadd(7, x0 + at, 64);
            _tile_dpbf16ps(0, 6, 7);
            _tile_loadd(2, x1 + at, 64);
            _tile_dpbf16ps(1, 6, 2);
            _tile_loadd(5, z + TILE_BYTES, 64);
            _tile_dpbf16ps(3, 5, 7);
            _tile_dpbf16ps(4, 5, 2);
        }
    }
    _tile_stored(0, sums, ROW);
    _tile_stored(3, sums + HALF, ROW);
    _tile_stored(1, sums + COLUMN_SUMS, ROW);
    _tile_stored(4, sums + COLUMN_SUMS + HALF, ROW);
}

// ---- the work of a thread -----------------------------------------------------------------------

static int64_t units_of_group(const TileSums *s) {
    return rounded_up(s->columns, TOGETHER);
}

static float *sums_of(const TileSums *s, const Room *r, int64_t pair) {
    return r->sums + pair * s->columns * COLUMN_SUMS;
}

// Pairs follow each other so that a group's columns meet some panels of outputs, as many as stay in
// the second cache beside them, then the next group's these.
typedef struct Pair {
    int64_t group, panel;
} Pair;

static Pair pair_at(const TileSums *s, int64_t pair) {
    int64_t panels = s->panels;
    while (panels % 2 == 0 && panels * dz_bytes(s) > PANELS_BYTES) panels /= 2;
    const int64_t block = pair / (s->groups * panels), in_block = pair % (s->groups * panels);
    return (Pair){.group = in_block / panels, .panel = block * panels + in_block % panels};
}

// A unit's columns begin with `first` of a group; pair: of a group and a panel of outputs.
static void multiply_unit(const TileSums *s, const Room *r, int64_t pair, int64_t first,
                          int64_t count, bool zero) {
    const int64_t columns = least(TOGETHER, s->columns - first);
    const Pair p = pair_at(s, pair);
    const char *x = r->x + p.group * tile_group_bytes(s);
    Unit unit = {.dz = r->dz + p.panel * dz_bytes(s), .count = count};
    for (int64_t t = 0; t < columns; t++) {
        const TileColumn *column = &s->column[first + t];
        unit.x[t] = x + column->copy * tile_copy_bytes(s) + column->shift * PAIR_BYTES;
    }
    (columns == TOGETHER ? multiply_three
                         : multiply_two)(s, &unit, zero, sums_of(s, r, pair) + first * COLUMN_SUMS);
}

static void add_pair(const TileSums *s, const Room *r, int64_t pair, const float *scale,
                     float *dw) {
    const Pair p = pair_at(s, pair);
    s->add(s, p.panel * SIDE, p.group, sums_of(s, r, pair), scale, dw);
}

// Units of one group and 32 outputs follow each other. Where there are enough of both a thread has
// them whole and adds them as soon as they are done, else when all are.
static void multiply_chunk(const TileSums *s, const Room *r, int64_t first, int64_t count,
                           const float *scale, float *dw) {
    const int64_t me = omp_get_thread_num(), threads = omp_get_num_threads();
    const int64_t pairs = s->groups * s->panels, a_pair = units_of_group(s), units = pairs * a_pair;
    const bool whole = threads == 1 || pairs >= THREAD_GROUPS * threads;
    const bool last = first + count == s->strips;
    const int64_t from = whole ? pairs * me / threads * a_pair : units * me / threads;
    const int64_t to = whole ? pairs * (me + 1) / threads * a_pair : units * (me + 1) / threads;
    for (int64_t u = from; u < to; u++) {
        const int64_t pair = u / a_pair;
        multiply_unit(s, r, pair, u % a_pair * TOGETHER, count, first == 0);
        if (last && whole && u % a_pair == a_pair - 1) add_pair(s, r, pair, scale, dw);
    }
#pragma omp barrier
    if (!last || whole) return;
    for (int64_t pair = pairs * me / threads; pair < pairs * (me + 1) / threads; pair++)
        add_pair(s, r, pair, scale, dw);
}

void tile_sums_run(Device *d, const TileSums *s, float *dw, const float *scale, const bf16 *dz,
                   const bf16 *x) {
    const int64_t of_dz = s->panels * dz_bytes(s), of_x = s->groups * tile_group_bytes(s);
    const int64_t sums = s->panels * s->groups * s->columns * COLUMN_SUMS;
    if (d->failed || s->strips < 1) return;
    Room r = {.dz = cpu_grow(d, &cpu_of(d)->tiles, (size_t)(of_dz + of_x)),
              .sums = cpu_grow(d, &cpu_of(d)->gradients, (size_t)sums * sizeof *r.sums)};
    if (!r.dz || !r.sums) return;
    r.x = r.dz + of_dz;
#pragma omp parallel num_threads(d->threads)
    {
        tiles_begin();
        for (int64_t first = 0; first < s->strips; first += s->chunk) {
            const int64_t count = least(s->chunk, s->strips - first);
            prepare(s, dz, x, first, count, &r);
            multiply_chunk(s, &r, first, count, scale, dw);
        }
        tiles_end();
    }
}

#endif
