// SPDX-License-Identifier: Apache-2.0
// What a conversion cannot go on with, and what cannot be converted, is refused in a sentence; what
// was begun and came to nothing is removed.
#include "fake_source.h"
#include "formats/video.h"
#include "import/part_file.h"
#include <fcntl.h>
#include <sys/file.h>

static void another_begun_is_refused(void **state) {
    Fixture *f = *state;
    ConvertOptions o = fake_options(f->root, CONVERT_PNG);
    Fake *fake = fake_new(&f->arena);
    fake->fail_at = 150;
    fake_refuse(fake, &o, "is damaged");
    fake->fail_at = 0;
    ConvertOptions other = o;
    other.images = CONVERT_VIDEO;
    fake_refuse(fake, &other, "another --images (\"png\", now \"video\")");
    other = o;
    other.fps = 15;
    fake_refuse(fake, &other, "another --fps (20.0, now 15.0)");
    other = o;
    other.task = "pick";
    fake_refuse(fake, &other, "another --task (null, now \"pick\")");
    other = o;
    other.episodes = (const int64_t[]){0, 1};
    other.n_episodes = 2;
    fake_refuse(fake, &other, "another --episodes");
    fake->source.red_is_blue = true;
    fake_refuse(fake, &o, "another --colors (\"rgb\", now \"bgr\")");
    fake->source.red_is_blue = false;
    ConvertResult result;
    o.threads = 1; // is no part of it
    fake_convert(fake, &o, &result);
    assert_true(result.found > 0);
    Error err;
    assert_false(convert_source(&fake->source, &o, &result, &err));
    assert_non_null(strstr(err.text, "already exists"));
}

static void another_action_is_refused(void **state) {
    Fixture *f = *state;
    ConvertOptions o = fake_options(f->root, CONVERT_PNG);
    Fake *fake = fake_new(&f->arena);
    fake->source.n_vectors = 2;
    fake->source.action_is_state = true;
    fake->fail_at = 150;
    fake_refuse(fake, &o, "is damaged");
    o.next_action = true;
    fake_refuse(fake, &o, "another --action (\"same\", now \"next\")");
}

// Whatever differs in a source is seen: what it says of itself, its values, its bytes.
static void another_source_is_refused(void **state) {
    Fixture *f = *state;
    ConvertOptions o = fake_options(f->root, CONVERT_PNG);
    Fake *fake = fake_new(&f->arena);
    const char *path = at(&f->arena, f->dir, "source"), *longer = at(&f->arena, f->dir, "longer");
    char *folder = at(&f->arena, f->dir, "folder");
    Error err;
    OK(make_dirs(folder, &err));
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"source", "longer", "folder/source"};
        FILE *file = fopen(at(&f->arena, f->dir, names[i]), "w");
        assert_non_null(file);
        fputs(i == 1 ? "text" : "tex", file);
        assert_int_equal(fclose(file), 0);
    }
    fake->source.path = path;
    fake->fail_at = 150;
    fake_refuse(fake, &o, "is damaged");
    fake->fail_at = 0;
    const struct {
        const char **text, *now;
    } texts[] = {{&fake->source.form, "other"},        {&fake->source.path, longer},
                 {&fake->episodes[2].name, "other"},   {&fake->episodes[2].task, "other"},
                 {&fake->episodes[0].split, "other"},  {&fake->vectors[1].name, "other"},
                 {&fake->vectors[1].dtype, "float16"}, {&fake->cameras[1].name, "other"},
                 {&fake->cameras[1].codec, "other"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *before = *texts[i].text;
        *texts[i].text = texts[i].now;
        fake_refuse(fake, &o, "another source");
        *texts[i].text = before;
    }
    int *const sizes[] = {&fake->cameras[1].height, &fake->cameras[1].width};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        *sizes[i] += 2;
        fake_refuse(fake, &o, "another source");
        *sizes[i] -= 2;
    }
    fake->other_end = true; // one value, the last
    fake_refuse(fake, &o, "another source");
    fake->other_end = false;
    ConvertResult result;
    fake->source.path = at(&f->arena, f->dir, "folder"); // as many bytes
    fake_convert(fake, &o, &result);
    assert_true(result.found > 0);
}

// What was written when a conversion began is looked at key by key.
static void an_older_beginning_is_refused(void **state) {
    Fixture *f = *state;
    ConvertOptions o = fake_options(f->root, CONVERT_PNG);
    Fake *fake = fake_new(&f->arena);
    fake->fail_at = 150;
    fake_refuse(fake, &o, "is damaged");
    Error err;
    const char *path = arena_printf(&f->arena, "%s/import.json", partial_of(&f->arena, f->root));
    json_t *begun;
    OK(json_read(path, &begun, &err));
    json_t *source = json_incref(json_object_get(begun, "source"));
    json_object_del(begun, "source");
    OK(json_write(path, begun, 4, &err));
    fake_refuse(fake, &o, "another source");
    json_object_set_new(begun, "source", source);
    json_object_del(json_object_get(begun, "options"), "colors");
    OK(json_write(path, begun, 4, &err));
    fake_refuse(fake, &o, "another --colors (null, now \"rgb\")");
    json_decref(begun);
}

// A folder that another program has locked is left alone; one that was begun and not used is taken.
static void one_at_a_time(void **state) {
    Fixture *f = *state;
    ConvertOptions o = fake_options(at(&f->arena, f->dir, "set//"), CONVERT_PNG);
    Fake *fake = fake_new(&f->arena);
    const char *partial = partial_of(&f->arena, f->root);
    Error err;
    OK(make_dirs(arena_printf(&f->arena, "%s/dataset/data", partial), &err));
    static const char *const halves[] = {"import.json.tmp.7", "dataset/data/file.parquet.tmp.7"};
    for (int i = 0; i < 2; i++)
        assert_int_equal(close(creat(arena_printf(&f->arena, "%s/%s", partial, halves[i]), 0666)),
                         0);
    int lock = open(arena_printf(&f->arena, "%s/lock", partial), O_RDWR | O_CREAT, 0666);
    assert_int_equal(flock(lock, LOCK_EX), 0);
    fake_refuse(fake, &o, "another `tact import` is working on it");
    assert_true(dir_exists(partial));
    close(lock);
    ConvertResult result;
    fake_convert(fake, &o, &result);
    assert_false(dir_exists(partial));
    assert_false(file_exists(arena_printf(&f->arena, "%s/data/file.parquet.tmp.7", f->root)));
    dataset_close(open_all(f->root));
}

static void roots_in_the_way(void **state) {
    Fixture *f = *state;
    Error err;
    ConvertResult result;
    ConvertOptions o = fake_options(f->root, CONVERT_PNG);
    Fake *fake = fake_new(&f->arena);
    assert_int_equal(close(creat(f->root, 0666)), 0);
    assert_false(convert_source(&fake->source, &o, &result, &err));
    assert_non_null(strstr(err.text, "already exists"));
    char *name = arena_alloc(&f->arena, 3100);
    memset(name, 'a', 3099);
    o.root = name;
    fake_refuse(fake, &o, "3099 bytes long, and at most 3000 are possible");
}

// A part that has other frames than its note says, whatever made it so, comes into no file.
static void a_part_of_other_frames_is_refused(void **state) {
    Fixture *f = *state;
    Error err;
    ConvertOptions o = fake_options(f->root, CONVERT_VIDEO);
    o.threads = 1;
    Fake *fake = fake_new(&f->arena);
    fake->fail_at = 150;
    fake_refuse(fake, &o, "is damaged");
    PixelCounts pixels = {0};
    Part part = {.n = 60, .pixels = &pixels};
    const char *path =
        arena_printf(&f->arena, "%s/parts/e000000-r000000000-c00", partial_of(&f->arena, f->root));
    const char *mp4 = arena_printf(&f->arena, "%s.mp4", path);
    VideoWriter *video;
    Image image = fake_image(&fake->cameras[0], 0, 0, 0);
    OK(video_writer_open_part(mp4, 64, 96, 20, 2, 30, &video, &err));
    for (int i = 0; i < 3; i++) OK(video_writer_add(video, image.rgb, &err));
    OK(video_writer_close(video, &err));
    image_free(&image);
    OK(part_look(mp4, &part.bytes, &part.sum, &err));
    OK(part_note_write(arena_printf(&f->arena, "%s.note", path), &part, &err));
    fake->fail_at = 0;
    fake_refuse(fake, &o, "3 frames instead of 60; remove it");
}

static void refusals_leave_nothing(void **state) {
    Fixture *f = *state;
    Error err;
    ConvertOptions o = fake_options(f->root, CONVERT_VIDEO);
    Fake *fake = fake_new(&f->arena);
    fake->cameras[1].width = 63;
    fake_refuse(fake, &o, "63x64");
    fake_refuse(fake, &o, "--images=png");
    fake->cameras[1].width = 64;
    fake->source.fps = 0;
    fake_refuse(fake, &o, "--fps=N");
    fake->source.robot_type = "umi";
    fake_refuse(fake, &o, "--fps=59.94");
    fake->source.fps = 20;
    o.next_action = true;
    fake_refuse(fake, &o, "--action=next");
    o.next_action = false;
    o.episodes = (const int64_t[]){4};
    o.n_episodes = 1;
    fake_refuse(fake, &o, "--episodes: 4");
    o.episodes = NULL;
    o.images = CONVERT_COPY;
    fake->source.reader = &fake_form_not_stored;
    fake_refuse(fake, &o, "--images=copy");
    fake->source.reader = &fake_form;
    fake->nan = true;
    fake_refuse(fake, &o, "not a number");
    fake->nan = false;
    fake->vectors[3].feature = "timestamp";
    fake_refuse(fake, &o, "'timestamp' cannot be written");
    fake->vectors[3].feature = "observation.velocity";
    fake->fail_at = fake->asked + 1;
    fake_refuse(fake, &o, "is damaged");
    fake->fail_at = 0;
    assert_false(dir_exists(partial_of(&f->arena, f->root)));
    char *mine = arena_printf(&f->arena, "%s/mine", partial_of(&f->arena, f->root));
    OK(make_dirs(mine, &err));
    fake_refuse(fake, &o, "not begun by `tact import`");
    assert_true(dir_exists(mine));
}

int main(void) {
    setenv("SVT_LOG", "0", 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(another_begun_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_action_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_source_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_older_beginning_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_at_a_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(roots_in_the_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_part_of_other_frames_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refusals_leave_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
