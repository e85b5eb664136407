// SPDX-License-Identifier: Apache-2.0
// Which checkpoint is meant by the name of a run, however it was copied.
#include "policy/policy_locate.h"

#include "../dataset/fixture.h"
#include <unistd.h>

typedef struct Copied {
    Arena arena;
    char *dir, *run;
} Copied;

static char *in_run(Copied *f, const char *name) {
    return arena_printf(&f->arena, "%s/checkpoints/%s", f->run, name);
}

// Makes a checkpoint's directory with its name and its settings, but without weights.
static void make(Copied *f, const char *name, int step) {
    Error err;
    char *model = arena_printf(&f->arena, "%s/pretrained_model", in_run(f, name));
    char *state = arena_printf(&f->arena, "%s/training_state", in_run(f, name));
    char text[64];
    OK(make_dirs(model, &err));
    OK(make_dirs(state, &err));
    OK(file_write(at(&f->arena, model, "config.json"), "{}", 2, &err));
    OK(file_write(at(&f->arena, model, "train_config.json"), "{}", 2, &err));
    snprintf(text, sizeof text, "{\"step\": %d}", step);
    OK(file_write(at(&f->arena, state, "training_step.json"), text, strlen(text), &err));
}

static int copied_new(void **state) {
    Copied *f = NEW(Copied, 1);
    f->dir = new_folder(&f->arena);
    f->run = at(&f->arena, f->dir, "run");
    make(f, "000020", 20);
    make(f, "000100", 100);
    make(f, "000040", 40);
    *state = f;
    return 0;
}

static int copied_free(void **state) {
    Copied *f = *state;
    return remove_fixture(f, &f->arena, f->dir);
}

// Finds the checkpoint by every name that people give it.
static void means(Copied *f, const char *name) {
    static const char *const forms[] = {"",
                                        "/",
                                        "/checkpoints",
                                        "/checkpoints/last",
                                        "/checkpoints/last/",
                                        "/checkpoints/last/pretrained_model",
                                        "/checkpoints/last/pretrained_model/",
                                        "/checkpoints/last/pretrained_model/train_config.json"};
    char *wanted = arena_printf(&f->arena, "%s/pretrained_model", in_run(f, name));
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        char out[POLICY_PATH];
        Error err;
        OK(policy_locate(arena_printf(&f->arena, "%s%s", f->run, forms[i]), out, &err));
        if (strcmp(out, wanted) != 0) fail_msg("%s%s is %s, not %s", f->run, forms[i], out, wanted);
    }
}

static void put_last(Copied *f, const char *text) {
    Error err;
    OK(file_write(in_run(f, "last"), text, strlen(text), &err));
}

static void a_link_is_followed(void **state) {
    Copied *f = *state;
    assert_int_equal(symlink("000040", in_run(f, "last")), 0);
    means(f, "last");
}

static void without_a_link_the_highest_step(void **state) {
    Copied *f = *state;
    means(f, "000100");
    assert_int_equal(symlink("000999", in_run(f, "last")), 0);
    means(f, "000100");
    assert_int_equal(unlink(in_run(f, "last")), 0);
    put_last(f, "000999");
    means(f, "000100");
    put_last(f, "");
    means(f, "000100");
}

static void a_file_with_the_name(void **state) {
    Copied *f = *state;
    put_last(f, "000040");
    means(f, "000040");
    put_last(f, "../checkpoints/000020/\r\n");
    means(f, "000020");
    put_last(f, "..\\checkpoints\\000040"); // of a Windows machine
    means(f, "000040");
    static const char *const none[] = {"/", "\n", "no step", "000040/pretrained_model", "00004O"};
    for (int i = 0; i < 5; i++) {
        put_last(f, none[i]);
        means(f, "000100");
    }
}

static void names_are(Copied *f, const char *name, const char *wanted) {
    char out[POLICY_PATH];
    Error err;
    OK(policy_locate(arena_printf(&f->arena, "%s/%s", f->run, name), out, &err));
    if (strcmp(out, arena_printf(&f->arena, "%s/%s", f->run, wanted)) != 0)
        fail_msg("%s is %s, not %s", name, out, wanted);
}

// A checkpoint that is not the last, and what lies in it; a folder that is a policy itself.
static void one_by_its_own_name(void **state) {
    Copied *f = *state;
    static const char own[] = "checkpoints/000020/pretrained_model";
    static const char *const forms[] = {"", "/", "/config.json", "/train_config.json",
                                        "/config.json//"};
    for (int i = 0; i < 5; i++) names_are(f, arena_printf(&f->arena, "%s%s", own, forms[i]), own);
    names_are(f, "checkpoints/000020", own);
    names_are(f, "checkpoints/000020/", own);
    Error err;
    char out[POLICY_PATH];
    OK(file_write(at(&f->arena, f->run, "config.json"), "{}", 2, &err));
    OK(policy_locate(f->run, out, &err)); // it is nearer than the run around it
    assert_string_equal(out, f->run);
    OK(remove_tree(in_run(f, "000020/pretrained_model"), &err));
    assert_false(policy_locate(in_run(f, "000020/pretrained_model"), out, &err));
    assert_false(policy_locate(in_run(f, "000020"), out, &err));
    char *longest = mem_alloc(POLICY_PATH + 1);
    memset(longest, 'x', POLICY_PATH);
    longest[POLICY_PATH] = 0;
    assert_false(policy_locate(longest, out, &err));
    assert_says(&err, "xxx...", "too long");
    mem_free(longest);
}

static void steps_of_names(void **state) {
    (void)state;
    assert_int_equal(checkpoint_step("000040"), 40);
    assert_int_equal(checkpoint_step("0"), 0);
    assert_int_equal(checkpoint_step("999999999999999999"), 999999999999999999);
    static const char *const none[] = {"",   "last", "12a", "a12", "-1", "1000000000000000000",
                                       "1.5"};
    for (int i = 0; i < 7; i++) assert_int_equal(checkpoint_step(none[i]), -1);
}

static void a_folder_in_its_place(void **state) {
    Copied *f = *state;
    make(f, "last", 100);
    means(f, "000100");
    make(f, "last", 120); // of a step that was not copied by its own name
    means(f, "last");
}

// The checkpoint with the highest step that is whole counts: a step whose settings are missing is
// no checkpoint yet.
static void half_copied(void **state) {
    Copied *f = *state;
    Error err;
    OK(make_dirs(in_run(f, "000200/pretrained_model"), &err));
    means(f, "000100");
}

static void only_the_folder_was_copied(void **state) {
    Copied *f = *state;
    Error err;
    OK(remove_tree(f->run, &err));
    make(f, "last", 7);
    means(f, "last");
    OK(remove_tree(f->run, &err));
    char out[POLICY_PATH];
    assert_false(policy_locate(f->run, out, &err));
    assert_says(&err, f->run, "no checkpoint here");
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, copied_new, copied_free)
    const struct CMUnitTest tests[] = {
        TEST(a_link_is_followed),   TEST(without_a_link_the_highest_step),
        TEST(a_file_with_the_name), TEST(a_folder_in_its_place),
        TEST(half_copied),          TEST(only_the_folder_was_copied),
        TEST(one_by_its_own_name),  cmocka_unit_test(steps_of_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
