// SPDX-License-Identifier: Apache-2.0
// What is decided before a frame is decoded: the vectors, episodes and splits of the dataset, the
// parts, and which files are there from an earlier run.
#include "fake_source.h"
#include "import/assemble.h"
#include "import/part_file.h"
#include "import/parts.h"
#include <zlib.h>

enum { MB = 1048576 };

typedef struct Case {
    Fixture *f;
    Fake *fake;
    ConvertOptions o;
    Plan plan;
} Case;

static Case begin(void **state) {
    Fixture *f = *state;
    return (Case){.f = f, .fake = fake_new(&f->arena), .o = {.root = f->root}};
}

static const Plan *make(Case *c) {
    Error err;
    plan_free(&c->plan);
    if (!plan_make(&c->fake->source, &c->o, &c->plan, &err)) fail_msg("%s", err.text);
    return &c->plan;
}

static void refuse(Case *c, const char *why) {
    Error err;
    plan_free(&c->plan);
    bool ok = plan_make(&c->fake->source, &c->o, &c->plan, &err) && plan_check(&c->plan, &err);
    if (ok) fail_msg("not refused: %s", why);
    if (!strstr(err.text, why)) fail_msg("'%s' does not say '%s'", err.text, why);
    plan_free(&c->plan);
}

static void accept(Case *c) {
    Error err;
    if (!plan_check(make(c), &err)) fail_msg("%s", err.text);
}

// ---- vectors ------------------------------------------------------------------------------------

static void rates(void **state) {
    (void)state;
    static const double exact[][2] = {{23.976, 24000}, {29.97, 30000},   {47.952, 48000},
                                      {59.94, 60000},  {119.88, 120000}, {239.76, 240000}};
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
        assert_true(convert_exact_fps(exact[i][0]) == exact[i][1] / 1001);
    static const double own[] = {24, 30, 48, 60, 120, 240, 12.5, 29.99, 29.95, 59.9, 59.96};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        assert_true(convert_exact_fps(own[i]) == own[i]);
}

static void types(void **state) {
    Case c = begin(state);
    static const char *const narrow[] = {"float32", "float16", "bool",  "int8",
                                         "uint8",   "int16",   "uint16"};
    static const char *const wide[] = {"float64", "int32", "uint32", "int64", "uint64"};
    for (size_t i = 0; i < sizeof narrow / sizeof *narrow; i++) {
        c.fake->vectors[1].dtype = narrow[i];
        assert_string_equal(make(&c)->state.dtype, "float32");
    }
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        c.fake->vectors[1].dtype = wide[i];
        assert_string_equal(make(&c)->state.dtype, "float64");
    }
    plan_free(&c.plan);
}

static void names(void **state) {
    Case c = begin(state);
    assert_string_equal(make(&c)->state.names[2], "z");
    assert_string_equal(c.plan.state.names[3], "b");
    assert_null(c.plan.action.names);
    c.fake->vectors[1].dim = 2;
    assert_string_equal(make(&c)->state.names[4], "b_1");
    static const char *const again[] = {"x", "w"}; // only the first repeats
    c.fake->vectors[1].names = again;
    assert_string_equal(make(&c)->state.names[0], "a.x");
    assert_string_equal(c.plan.state.names[3], "b.x");
    assert_string_equal(c.plan.state.names[4], "b.w");
    plan_free(&c.plan);
}

static void actions(void **state) {
    Case c = begin(state);
    c.fake->source.action_is_state = true; // but there is one
    assert_false(make(&c)->action_is_state);
    assert_int_equal(c.plan.action.dim, 2);
    c.o.next_action = true;
    refuse(&c, "actions of its own");
    c.fake->vectors[2].role = IMPORT_ENVIRONMENT;
    assert_true(make(&c)->action_is_state);
    assert_int_equal(c.plan.action.dim, 4);
    assert_string_equal(c.plan.action.name, "action");
    c.o.next_action = c.fake->source.action_is_state = false;
    refuse(&c, "no actions in it");
}

// What the writer is told of them.
static void features(void **state) {
    Case c = begin(state);
    static const char *const env[] = {"p", "q", "r"}, *const vel[] = {"u", "v", "w"};
    ImportVector vectors[FAKE_VECTORS + 1];
    memcpy(vectors, c.fake->vectors, sizeof c.fake->vectors);
    vectors[3].names = vel;
    vectors[4] = (ImportVector){"box", NULL, "float64", IMPORT_ENVIRONMENT, 3, env, NULL};
    c.fake->source.vectors = vectors;
    c.fake->source.n_vectors = FAKE_VECTORS + 1;
    make(&c);
    WriterOptions w = plan_writer_options(&c.plan, "root", "folder");
    assert_string_equal(w.robot_type, "arm");
    assert_int_equal(w.state_dim, 4);
    assert_string_equal(w.state_names[0], "x");
    assert_string_equal(w.state_dtype, "float32");
    assert_int_equal(w.env_dim, 3);
    assert_string_equal(w.env_names[2], "r");
    assert_string_equal(w.env_dtype, "float64");
    assert_int_equal(w.action_dim, 2);
    assert_string_equal(w.action_dtype, "float64");
    assert_int_equal(w.n_extras, 1);
    assert_string_equal(w.extras[0].name, "observation.velocity");
    assert_string_equal(w.extras[0].dtype, "float64");
    assert_string_equal(w.extras[0].names[1], "v");
    assert_false(w.images_in_parquet);
    plan_free(&c.plan);
}

// ---- episodes and splits ------------------------------------------------------------------------

static void episodes(void **state) {
    Case c = begin(state);
    int64_t chosen[2] = {1, 2};
    c.o.episodes = chosen;
    c.o.n_episodes = 2;
    assert_int_equal(make(&c)->rows, 8);
    chosen[1] = 1;
    refuse(&c, "1 comes after 1");
    chosen[1] = 0;
    refuse(&c, "0 comes after 1");
    chosen[1] = FAKE_EPISODES;
    refuse(&c, "--episodes: 4 is not in made-up, which has episodes 0 to 3");
    chosen[0] = -1;
    refuse(&c, "--episodes: -1 is not in made-up");
    c.o.n_episodes = 0;
    refuse(&c, "no episodes to import");
}

static void tasks(void **state) {
    Case c = begin(state);
    assert_string_equal(make(&c)->episodes[0].task, "");
    assert_false(c.plan.task_unused);
    c.o.task = "pick";
    c.fake->episodes[1].task = ""; // is none
    c.fake->episodes[2].task = "place";
    assert_string_equal(make(&c)->episodes[1].task, "pick");
    assert_string_equal(c.plan.episodes[2].task, "place");
    assert_false(c.plan.task_unused);
    for (int e = 0; e < FAKE_EPISODES; e++) c.fake->episodes[e].task = "place";
    assert_true(make(&c)->task_unused);
    c.o.task = NULL;
    assert_false(make(&c)->task_unused);
    plan_free(&c.plan);
}

static void splits(void **state) {
    Case c = begin(state);
    for (int e = 0; e < FAKE_EPISODES; e++) c.fake->episodes[e].split = "train";
    assert_false(make(&c)->reordered);
    static const char *const names[] = {"valid", "test", "train", NULL};
    for (int e = 0; e < FAKE_EPISODES; e++) c.fake->episodes[e].split = names[e];
    assert_true(make(&c)->reordered);
    static const char *const order[] = {"train", "valid", "test"};
    assert_int_equal(c.plan.n_splits, 3);
    for (int s = 0; s < 3; s++) {
        assert_string_equal(c.plan.splits[s].name, order[s]);
        assert_int_equal(c.plan.splits[s].first, s);
        assert_int_equal(c.plan.splits[s].end, s + 1);
    }
    assert_int_equal(c.plan.episodes[0].source, 2);
    assert_int_equal(c.plan.episodes[3].source, 3);
    plan_free(&c.plan);
}

// ---- frames -------------------------------------------------------------------------------------

static void sizes(void **state) {
    Case c = begin(state);
    static const int wrong[][2] = {{62, 64}, {64, 62}, {65, 64}, {64, 65}};
    accept(&c);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        c.fake->cameras[1].height = wrong[i][0];
        c.fake->cameras[1].width = wrong[i][1];
        c.o.images = CONVERT_VIDEO;
        refuse(&c, i < 2 ? "videos need at least 64x64" : "videos need even sizes");
        c.o.images = CONVERT_PNG;
        accept(&c);
    }
    plan_free(&c.plan);
}

static void copies(void **state) {
    Case c = begin(state);
    c.o.images = CONVERT_COPY;
    accept(&c);
    c.fake->source.red_is_blue = true;
    refuse(&c, "red as blue");
    c.o.images = CONVERT_PNG;
    accept(&c);
    c.fake->source.red_is_blue = false;
    c.fake->source.reader = &fake_form_not_stored;
    accept(&c);
    c.o.images = CONVERT_COPY;
    refuse(&c, "stores the frames of camera wrist as raw");
}

// ---- parts --------------------------------------------------------------------------------------

static void rows_of_parts(void **state) {
    Case c = begin(state);
    Parts parts;
    static const int sides[][2] = {{64, 512}, {1000, 8}, {4000, 8}}, video[] = {512, 512, 512};
    for (int i = 0; i < 3; i++) {
        c.fake->cameras[0].height = c.fake->cameras[0].width = sides[i][0];
        c.o.images = CONVERT_PNG;
        parts_list(&parts, make(&c), &c.fake->source, c.f->dir);
        assert_int_equal(parts.rows, i == 1 ? 32 * 1048576 / 3012289 : sides[i][1]);
        parts_end(&parts);
        c.o.images = CONVERT_VIDEO;
        parts_list(&parts, make(&c), &c.fake->source, c.f->dir);
        assert_int_equal(parts.rows, video[i]);
        parts_end(&parts);
    }
    c.fake->episodes[0].length = 1100; // 512, 512, 76
    parts_list(&parts, make(&c), &c.fake->source, c.f->dir);
    assert_int_equal(parts.n, 2 * (3 + 1 + 1 + 1));
    assert_int_equal(parts.part[4].first, 1024);
    assert_int_equal(parts.part[4].n, 76);
    assert_int_equal(parts.part[5].camera, 1);
    assert_int_equal(parts.first[1], 6);
    parts_end(&parts);
    plan_free(&c.plan);
}

static void write_bytes(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

// A note counts only as it was written, and for a part of as many rows.
static void notes(void **state) {
    Fixture *f = *state;
    Error err;
    PixelCounts pixels = {.frames = 3};
    Part part = {.n = 5, .bytes = 77, .sum = 99, .pixels = &pixels}, got = {.n = 5};
    got.pixels = arena_alloc(&f->arena, sizeof pixels);
    const char *path = at(&f->arena, f->dir, "a.note");
    OK(part_note_write(path, &part, &err));
    assert_true(part_note_read(path, &got));
    assert_true(got.bytes == 77 && got.sum == 99 && got.pixels->frames == 3);
    got.n = 6;
    assert_false(part_note_read(path, &got));
    got.n = 5;
    char *note;
    size_t size;
    OK(file_read(path, &note, &size, &err));
    write_bytes(path, note, size - 1);
    assert_false(part_note_read(path, &got));
    note[size - 9] ^= 1; // in the counts
    write_bytes(path, note, size);
    assert_false(part_note_read(path, &got));
    note[size - 9] ^= 1;
    note[0] ^= 1; // the note of another program, whose checksum is right
    uint64_t sum = 0;
    memcpy(note + 32, &sum, sizeof sum);
    sum = crc32_z(0, (const Bytef *)note, size);
    memcpy(note + 32, &sum, sizeof sum);
    write_bytes(path, note, size);
    assert_false(part_note_read(path, &got));
    note[0] ^= 1;
    mem_free(note);
    assert_false(part_note_read(at(&f->arena, f->dir, "none"), &got));
}

// What is left of a part after a power cut may be an empty file; without a note it is no part.
static void an_empty_part_is_none(void **state) {
    Case c = begin(state);
    Parts parts;
    char path[4300];
    c.o.images = CONVERT_PNG;
    parts_list(&parts, make(&c), &c.fake->source, c.f->dir);
    part_path(&parts, &parts.part[0], "images", path, sizeof path);
    parts_end(&parts);
    write_bytes(path, "", 0);
    parts_list(&parts, make(&c), &c.fake->source, c.f->dir);
    assert_false(parts.part[0].done);
    parts_end(&parts);
    plan_free(&c.plan);
}

static void damaged_images(void **state) {
    Fixture *f = *state;
    Error err;
    const char *path = at(&f->arena, f->dir, "a.images");
    struct {
        int64_t sizes[2];
        char bytes[5];
    } file = {{2, 3}, "abcde"};
    const size_t size = 2 * sizeof(int64_t) + 5;
    ParquetBytes images[2];
    char *data;
    write_bytes(path, &file, size);
    OK(part_images_read(path, 2, &data, images, &err));
    assert_int_equal(images[1].size, 3);
    assert_memory_equal(images[1].data, "cde", 3);
    mem_free(data);
    static const int64_t wrong[][2] = {{2, 4}, {6, 0}, {-1, 3}, {2, -1}, {INT64_MAX, 3}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        memcpy(file.sizes, wrong[i], sizeof file.sizes);
        write_bytes(path, &file, size);
        assert_false(part_images_read(path, 2, &data, images, &err));
        assert_non_null(strstr(err.text, "damaged; remove it"));
    }
    write_bytes(path, &file, 12);
    assert_false(part_images_read(path, 2, &data, images, &err));
}

// ---- files --------------------------------------------------------------------------------------

// Parts of so many bytes an episode and camera, 0: not made yet; an assembly for them.
typedef struct Files {
    ConvertImages images;
    Case c;
    Parts parts;
    DatasetWriter *writer;
    Assembly assembly;
} Files;

static void list_files(Files *f, void **state, const int64_t bytes[FAKE_EPISODES]) {
    Error err;
    f->c = begin(state);
    f->c.o.images = f->images;
    const WriterOptions o = plan_writer_options((Plan *)make(&f->c), f->c.f->root,
                                                at(&f->c.f->arena, f->c.f->dir, "begun"));
    OK(dataset_writer_open(&o, &f->writer, &err));
    char *dir = at(&f->c.f->arena, f->c.f->dir, "parts");
    OK(make_dirs(dir, &err));
    parts_list(&f->parts, &f->c.plan, &f->c.fake->source, dir);
    for (int64_t i = 0; i < f->parts.n; i++) {
        Part part = f->parts.part[i];
        char note[4300];
        part.bytes = bytes[part.episode];
        part_path(&f->parts, &part, "note", note, sizeof note);
        if (part.bytes) OK(part_note_write(note, &part, &err));
    }
}

static void add_file(Files *f, int camera, int64_t file) {
    char path[4500], dir[4500];
    Error err;
    dataset_writer_path(f->writer, camera, file, path, sizeof path);
    path_parent(dir, sizeof dir, path);
    OK(make_dirs(dir, &err));
    write_bytes(path, "", 0);
}

static void free_files(Files *f) {
    assembly_free(&f->assembly);
    parts_end(&f->parts);
    dataset_writer_abort(f->writer);
    plan_free(&f->c.plan);
}

// Which parts are done, a digit an episode: 1 of the first camera, 2 of the other, 3 of both.
static void expect_done(void **state, ConvertImages images, const int64_t bytes[FAKE_EPISODES],
                        const int (*files)[2], int n, const char *done) {
    Files f = {.images = images};
    list_files(&f, state, bytes);
    for (int i = 0; i < n; i++) add_file(&f, files[i][0], files[i][1]);
    parts_end(&f.parts);
    parts_list(&f.parts, &f.c.plan, &f.c.fake->source, at(&f.c.f->arena, f.c.f->dir, "parts"));
    assembly_new(&f.assembly, &f.c.plan, &f.parts, f.writer);
    char got[FAKE_EPISODES + 1] = "0000";
    for (int64_t i = 0; i < f.parts.n; i++)
        if (f.parts.part[i].done)
            got[f.parts.part[i].episode] += (char)(f.parts.part[i].camera + 1);
    assert_string_equal(got, done);
    free_files(&f);
    Error err;
    OK(remove_tree(at(&f.c.f->arena, f.c.f->dir, "parts"), &err));
    OK(remove_tree(at(&f.c.f->arena, f.c.f->dir, "begun"), &err));
}

static void ended_files_are_found(void **state) {
    static const int64_t three[] = {120 * MB, 90 * MB, 60 * MB, 150 * MB}, // 120 | 150 | 150
        two[] = {120 * MB, 79 * MB, 60 * MB, 30 * MB},                     // 199 | 90
        lost[] = {120 * MB, 0, 150 * MB, 60 * MB}, first_only[] = {120 * MB, 90 * MB, 0, 0};
    static const int first[][2] = {{0, 0}}, second[][2] = {{1, 1}},
                     all[][2] = {{0, 0}, {1, 0}, {0, 1}, {1, 1}, {0, 2}, {1, 2}};
    expect_done(state, CONVERT_VIDEO, three, first, 0, "0000");
    expect_done(state, CONVERT_VIDEO, three, first, 1, "1000");
    expect_done(state, CONVERT_VIDEO, three, second, 1, "0220");
    expect_done(state, CONVERT_VIDEO, three, all, 6, "3333");
    expect_done(state, CONVERT_VIDEO, two, first, 1, "1100");
    expect_done(state, CONVERT_VIDEO, two, all, 4, "3333");
    expect_done(state, CONVERT_VIDEO, lost, first, 1, "0000");
    expect_done(state, CONVERT_VIDEO, first_only, first, 1, "1000");
    expect_done(state, CONVERT_VIDEO, first_only, second, 1, "0000");
}

// Rows of a data file count 8 bytes a value, of 4 + 2 + 3 and 5 columns of numbers.
static void numbers_count(void **state) {
    static const int64_t exact = 50 * MB - (60 + 7) * 14 * 8 / 2 - 2; // two cameras
    static const int64_t fits[] = {exact - 1, 1, MB, MB}, not [] = {exact + 1, 1, MB, MB};
    static const int first[][2] = {{-1, 0}};
    expect_done(state, CONVERT_PNG, fits, first, 1, "3300");
    expect_done(state, CONVERT_PNG, not, first, 1, "3000");
}

// The bytes of videos say nothing about data files.
static void data_files_count_their_own(void **state) {
    static const int64_t bytes[] = {250 * MB, 250 * MB, 250 * MB, 250 * MB};
    Files f = {0};
    Error err;
    list_files(&f, state, bytes);
    for (int file = 0; file < FAKE_EPISODES; file++)
        for (int camera = 0; camera < FAKE_CAMERAS; camera++) add_file(&f, camera, file);
    parts_end(&f.parts);
    parts_list(&f.parts, &f.c.plan, &f.c.fake->source, at(&f.c.f->arena, f.c.f->dir, "parts"));
    assembly_new(&f.assembly, &f.c.plan, &f.parts, f.writer);
    double zeros[60 * 4] = {0};
    const double *values[] = {zeros, zeros, zeros};
    for (int e = 0; e < FAKE_EPISODES; e++)
        OK(dataset_writer_rows(f.writer, f.c.plan.episodes[e].length, values, "", &err));
    for (int e = 0; e < FAKE_EPISODES; e++) OK(assembly_add(&f.assembly, e, &err));
    OK(assembly_finish(&f.assembly, &err));
    char path[4500];
    for (int file = 0; file < 2; file++) {
        dataset_writer_path(f.writer, -1, file, path, sizeof path);
        assert_int_equal(file_exists(path), file == 0);
    }
    free_files(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates),
        cmocka_unit_test_setup_teardown(types, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(actions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(features, set_up, tear_down),
        cmocka_unit_test_setup_teardown(episodes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tasks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(splits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sizes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(copies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rows_of_parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(notes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_empty_part_is_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged_images, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ended_files_are_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(numbers_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(data_files_count_their_own, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
