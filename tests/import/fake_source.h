// SPDX-License-Identifier: Apache-2.0
// A source that is made up: what its vectors and frames hold follows from their place. It can stop
// its process, or fail, at a frame.
#ifndef TACT_TESTS_FAKE_SOURCE_H
#define TACT_TESTS_FAKE_SOURCE_H

#include "../dataset/folder_fixture.h"
#include "base/rng.h"
#include "formats/image_codec.h"
#include "import/convert.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { FAKE_EPISODES = 4, FAKE_CAMERAS = 2, FAKE_VECTORS = 4 };

typedef struct Fake {
    const char *kill_after; // a file that must be gone before kill_at kills; NULL: none
    ImportSource source;
    ImportEpisode episodes[FAKE_EPISODES];
    ImportCamera cameras[FAKE_CAMERAS];
    ImportVector vectors[FAKE_VECTORS];
    int kill_at;          // frame, counted over all, at which the process is killed; 0: none
    int fail_at;          // likewise, with an error
    atomic_int *stop_at;  // set when frame fail_at is asked for, instead of an error
    atomic_int asked;     // frames asked for so far
    atomic_int cursors;   // that are not freed
    const uint8_t *fixed; // the stored bytes of every frame; NULL: a PNG of the frame
    size_t fixed_size;
    bool nan;             // a value is none
    bool wide;            // a value of the last episode needs float64, whatever the type says
    bool other_end;       // the last value of a vector is another
    int larger_at;        // frame, counted over all, that is larger than the camera says; 0: none
    int grows[2];         // by so much in height and width
    bool slow;            // a frame takes a few milliseconds
    bool some_not_stored; // row 5 is no image file
    atomic_int inside, most_inside; // frames that are read at once
} Fake;

static const char *const fake_names[] = {"x", "y", "z"};

// A number that float32 does not hold, where the vector is float64.
static double fake_value(const Fake *f, int64_t episode, int vector, int64_t row, int j) {
    double value = sin((double)(episode * 1000 + row) * 0.1 + vector + j * 0.3);
    return strcmp(f->vectors[vector].dtype, "float64") == 0 ? value : (double)(float)value;
}

static bool fake_vector(ImportSource *s, int64_t episode, int vector, double *out, Error *err) {
    const Fake *f = s->data;
    int dim = s->vectors[vector].dim;
    if (f->nan && vector == 1 && episode == 1)
        return (fail)(err, "%s: vector b, episode 1, row 3: not a number", s->path);
    for (int64_t k = 0; k < s->episodes[episode].length; k++)
        for (int j = 0; j < dim; j++) out[k * dim + j] = fake_value(f, episode, vector, k, j);
    if (f->other_end && episode == FAKE_EPISODES - 1 && vector == 1)
        out[s->episodes[episode].length - 1] = 3;
    if (f->wide && episode == FAKE_EPISODES - 1 && vector == 0) out[0] = 0.1;
    return true;
}

// Smooth, with the number of the row in 8 blocks of black and white at the upper edge.
static Image fake_image(const ImportCamera *camera, int64_t episode, int number, int64_t row) {
    int h = camera->height, w = camera->width;
    Image image = {h, w, mem_alloc(image_rgb_bytes(h, w))};
    for (int y = 0; y < h; y++) {
        for (int x = 0; x < w; x++) {
            uint8_t *p = image.rgb + ((size_t)y * (size_t)w + (size_t)x) * 3;
            int bit = x * 8 / w;
            p[0] = (uint8_t)(40 + x * 100 / w + (int)(row % 50));
            p[1] = (uint8_t)(60 + y * 100 / h + number * 40);
            p[2] = (uint8_t)(30 + episode * 20);
            if (y < h / 4) p[0] = p[1] = p[2] = row >> bit & 1 ? 230 : 20;
        }
    }
    return image;
}

static bool fake_frame(ImportSource *s, void **cursor, int64_t episode, int camera, int64_t row,
                       Image *out, Error *err) {
    Fake *f = s->data;
    if (!*cursor) {
        *cursor = f;
        f->cursors++;
    }
    int asked = ++f->asked;
    if (asked == f->kill_at) {
        // The files of the dataset are another thread's, which may be waiting for the disk.
        for (int i = 0; f->kill_after && file_exists(f->kill_after) && i < 60000; i++) usleep(1000);
        raise(SIGKILL);
    }
    if (asked == f->fail_at && f->stop_at)
        *f->stop_at = 1;
    else if (asked == f->fail_at)
        return (fail)(err, "%s: frame %lld is damaged", s->path, (long long)row);
    int inside = ++f->inside;
    if (inside > f->most_inside) f->most_inside = inside;
    if (f->slow) usleep(2000);
    ImportCamera size = s->cameras[camera];
    if (asked == f->larger_at) {
        size.height += f->grows[0];
        size.width += f->grows[1];
    }
    *out = fake_image(&size, episode, camera, row);
    f->inside--;
    return true;
}

static bool fake_stored(ImportSource *s, void **cursor, int64_t episode, int camera, int64_t row,
                        uint8_t **bytes, size_t *size, Error *err) {
    const Fake *f = s->data;
    (void)cursor;
    if (f->some_not_stored && row == 5) return true;
    if (f->fixed) {
        *bytes = mem_alloc(f->fixed_size);
        *size = f->fixed_size;
        memcpy(*bytes, f->fixed, f->fixed_size);
        return true;
    }
    Image image = fake_image(&s->cameras[camera], episode, camera, row);
    bool ok = image_encode_png(&image, bytes, size, err);
    image_free(&image);
    return ok;
}

static void fake_cursor_free(void *cursor) {
    if (cursor) ((Fake *)cursor)->cursors--;
}

static const ImportForm fake_form = {.name = "made up",
                                     .vector = fake_vector,
                                     .frame = fake_frame,
                                     .stored = fake_stored,
                                     .cursor_free = fake_cursor_free};
static const ImportForm fake_form_not_stored = {
    .name = "made up", .vector = fake_vector, .frame = fake_frame, .cursor_free = fake_cursor_free};

// Two parts of a state, an action, a vector of its own; two cameras of two sizes.
static Fake *fake_new(Arena *a) {
    static const int lengths[FAKE_EPISODES] = {60, 7, 1, 33};
    Fake *f = arena_alloc(a, sizeof *f);
    for (int e = 0; e < FAKE_EPISODES; e++)
        f->episodes[e] = (ImportEpisode){lengths[e], arena_printf(a, "demo_%d", e), NULL, NULL};
    f->cameras[0] = (ImportCamera){"wrist", "observation.images.wrist", "raw", 64, 96};
    f->cameras[1] = (ImportCamera){"top", "observation.images.top", "raw", 64, 64};
    f->vectors[0] = (ImportVector){"a", NULL, "float32", IMPORT_STATE, 3, fake_names, "m"};
    f->vectors[1] = (ImportVector){"b", NULL, "float32", IMPORT_STATE, 1, NULL, NULL};
    f->vectors[2] = (ImportVector){"act", NULL, "float64", IMPORT_ACTION, 2, NULL, NULL};
    f->vectors[3] =
        (ImportVector){"vel", "observation.velocity", "float64", IMPORT_EXTRA, 3, NULL, NULL};
    f->source = (ImportSource){.form = "made up",
                               .robot_type = "arm",
                               .path = "made-up",
                               .fps = 20,
                               .n_episodes = FAKE_EPISODES,
                               .episodes = f->episodes,
                               .n_vectors = FAKE_VECTORS,
                               .vectors = f->vectors,
                               .n_cameras = FAKE_CAMERAS,
                               .cameras = f->cameras,
                               .reader = &fake_form,
                               .decode = image_decode};
    f->source.data = f;
    return f;
}

static inline bool no_encoder(const Error *err) {
    return strstr(err->text, "apt-get") || strstr(err->text, "no encoder");
}

static inline ConvertOptions fake_options(const char *root, ConvertImages images) {
    return (ConvertOptions){.root = root, .images = images, .threads = 2};
}

static inline void fake_convert(Fake *fake, const ConvertOptions *o, ConvertResult *result) {
    Error err;
    if (convert_source(&fake->source, o, result, &err)) return;
    if (no_encoder(&err)) skip();
    fail_msg("%s", err.text);
}

static inline const char *partial_of(Arena *a, const char *root) {
    return arena_printf(a, "%s.partial", root);
}

static inline void fake_refuse(Fake *fake, const ConvertOptions *o, const char *why) {
    Error err;
    ConvertResult result;
    if (convert_source(&fake->source, o, &result, &err)) fail_msg("not refused: %s", why);
    if (no_encoder(&err)) skip();
    if (!strstr(err.text, why)) fail_msg("'%s' does not say '%s'", err.text, why);
    assert_false(dir_exists(o->root));
}

// Converts in a process of its own, which may be killed; returns its exit status as waitpid has
// it.
static inline int convert_apart(Fake *f, const ConvertOptions *o) {
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        Error err;
        ConvertResult result;
        bool ok = convert_source(&f->source, o, &result, &err);
        if (!ok) fprintf(stderr, "%s\n", err.text);
        _exit(ok ? 0 : 3);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

#endif
