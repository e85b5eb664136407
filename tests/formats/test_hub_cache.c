// SPDX-License-Identifier: Apache-2.0
// Names of the Hub -> folders, over trees as LeRobot and `hf download` make them.
#include "formats/hub_cache.h"

#include "base/file.h"
#include "base/memory.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct Fixture {
    Arena arena;
    char dir[512];
} Fixture;

static const char *const variables[] = {"HF_HOME",      "HF_LEROBOT_HOME",       "XDG_CACHE_HOME",
                                        "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HOME"};

static int set_up(void **state) {
    Fixture *f = NEW(Fixture, 1);
    Error err;
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) unsetenv(variables[i]);
    if (!make_temporary_dir(f->dir, sizeof f->dir, NULL, &err)) return -1;
    setenv("HOME", f->dir, 1);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    Fixture *f = *state;
    Error err;
    bool ok = remove_tree(f->dir, &err);
    arena_free(&f->arena);
    mem_free(f);
    return ok ? 0 : -1;
}

static const char *at(Fixture *f, const char *name) {
    return arena_printf(&f->arena, "%s/%s", f->dir, name);
}

static void put(Fixture *f, const char *name, const char *text) {
    char parent[1024];
    Error err;
    path_parent(parent, sizeof parent, at(f, name));
    assert_true(make_dirs(parent, &err));
    assert_true(file_write(at(f, name), text, strlen(text), &err));
}

static void assert_found(Fixture *f, HubKind kind, const char *name, const char *revision,
                         const char *where) {
    char out[4096];
    Error err;
    if (!hub_find(kind, name, revision, out, sizeof out, &err)) fail_msg("%s", err.text);
    assert_string_equal(out, at(f, where));
}

static void assert_missing(HubKind kind, const char *name, const char *revision, const char *one,
                           const char *two) {
    char out[4096];
    Error err;
    assert_false(hub_find(kind, name, revision, out, sizeof out, &err));
    if (!strstr(err.text, one) || !strstr(err.text, two))
        fail_msg("\"%s\" lacks \"%s\" or \"%s\"", err.text, one, two);
}

#define CACHE ".cache/huggingface/"
#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define OTHER "89abcdef0123456789abcdef0123456789abcdef"

static void datasets(void **state) {
    Fixture *f = *state;
    assert_missing(HUB_DATASET, "a/b", NULL, CACHE "lerobot/a/b, ",
                   "`hf download --repo-type dataset a/b`");
    // hf download: main.
    put(f, CACHE "hub/datasets--a--b/refs/main", COMMIT);
    put(f, CACHE "hub/datasets--a--b/snapshots/" COMMIT "/meta/info.json", "{}");
    put(f, CACHE "hub/datasets--a--b/snapshots/" OTHER "/meta/info.json", "{}");
    assert_found(f, HUB_DATASET, "a/b", NULL, CACHE "hub/datasets--a--b/snapshots/" COMMIT);
    assert_found(f, HUB_DATASET, "a/b", "89abcde", CACHE "hub/datasets--a--b/snapshots/" OTHER);
    assert_missing(HUB_DATASET, "a/b", "v2.0", "only main, ", "--revision v2.0");
    assert_missing(HUB_DATASET, "a/b", "../main", "revision ../main", "");
    assert_missing(HUB_MODEL, "a/b", NULL, "models--a--b", "hf download a/b");
    // LeRobot's own cache, under the tag of the format, comes first.
    put(f, CACHE "lerobot/hub/datasets--a--b/refs/v3.0", OTHER "\n");
    put(f, CACHE "lerobot/hub/datasets--a--b/snapshots/" OTHER "/meta/info.json", "{}");
    assert_found(f, HUB_DATASET, "a/b", NULL, CACHE "lerobot/hub/datasets--a--b/snapshots/" OTHER);
    assert_found(f, HUB_DATASET, "a/b", "main", CACHE "hub/datasets--a--b/snapshots/" COMMIT);
    // It does not come first where it only holds the description.
    put(f, CACHE "hub/datasets--a--b/snapshots/" COMMIT "/data/chunk-000/file-000.parquet", "");
    assert_found(f, HUB_DATASET, "a/b", NULL, CACHE "hub/datasets--a--b/snapshots/" COMMIT);
    // What was recorded on this machine comes before both.
    put(f, CACHE "lerobot/a/b/meta/info.json", "{}");
    assert_found(f, HUB_DATASET, "a/b", NULL, CACHE "lerobot/a/b");
    assert_found(f, HUB_DATASET, "a/b", "main", CACHE "hub/datasets--a--b/snapshots/" COMMIT);
    assert_found(f, HUB_DATASET, "a/b", "v9", CACHE "lerobot/a/b");
}

static void variables_are_honoured(void **state) {
    Fixture *f = *state;
    put(f, "xdg/huggingface/lerobot/set/meta/info.json", "{}");
    put(f, "xdg/huggingface/hub/models--a--b/snapshots/" COMMIT "/config.json", "{}");
    setenv("XDG_CACHE_HOME", "~/xdg", 1); // as LeRobot expands it
    assert_found(f, HUB_DATASET, "set", NULL, "xdg/huggingface/lerobot/set");
    assert_found(f, HUB_MODEL, "a/b", NULL, "xdg/huggingface/hub/models--a--b/snapshots/" COMMIT);
    put(f, "hf/lerobot/set/meta/info.json", "{}");
    setenv("HF_HOME", at(f, "hf"), 1);
    assert_found(f, HUB_DATASET, "set", NULL, "hf/lerobot/set");
    assert_missing(HUB_MODEL, "a/b", NULL, "hf/hub/models--a--b", "hf download a/b");
    put(f, "cache/models--a--b/refs/main", COMMIT);
    put(f, "cache/models--a--b/snapshots/" COMMIT "/config.json", "{}");
    setenv("HF_HUB_CACHE", at(f, "cache"), 1);
    assert_found(f, HUB_MODEL, "a/b", NULL, "cache/models--a--b/snapshots/" COMMIT);
    put(f, "home/set/meta/info.json", "{}");
    setenv("HF_LEROBOT_HOME", at(f, "home"), 1);
    assert_found(f, HUB_DATASET, "set", NULL, "home/set");
}

static void names(void **state) {
    (void)state;
    static const char *const good[] = {"a/b", "set", "me/so101_test-2.1", "outputs/train"};
    static const char *const bad[] = {"",     "/a/b", "./a", "a/../b", "a/b/c", "~/a", "a b",
                                      "a//b", "a/",   "..",  ".a",     "-x/y",  "a/.b"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(hub_is_name(HUB_DATASET, good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (hub_is_name(HUB_DATASET, bad[i])) fail_msg("%s is no name", bad[i]);
    assert_true(hub_is_name(HUB_MODEL, "me/act") && !hub_is_name(HUB_MODEL, "x.json"));
    char out[64];
    setenv("HOME", "/somewhere", 1);
    hub_expand_home("~/x", out, sizeof out);
    assert_string_equal(out, "/somewhere/x");
    hub_expand_home("~x/y", out, sizeof out);
    assert_string_equal(out, "~x/y");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(datasets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(variables_are_honoured, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
