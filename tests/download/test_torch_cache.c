// SPDX-License-Identifier: Apache-2.0
// Downloads into PyTorch's cache, from file:// URLs: whole ones, ones that broke off and are
// continued, and damaged ones; and which file a setting means.
#include "base/file.h"
#include "base/memory.h"
#include "base/sha256.h"
#include "download/backbone_file.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#ifdef TACT_CURL
enum { CAN_DOWNLOAD = 1 };
#else
enum { CAN_DOWNLOAD = 0 };
#endif

typedef struct Fixture {
    Arena arena;
    char dir[64];
} Fixture;

static int set_up(void **state) {
    Fixture *f = NEW(Fixture, 1);
    strcpy(f->dir, "/tmp/tact-download-XXXXXX");
    if (!mkdtemp(f->dir)) return -1;
    setenv("TORCH_HOME", f->dir, 1);
    unsetenv("TACT_WEIGHTS_URL");
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    Fixture *f = *state;
    Error err;
    arena_free(&f->arena);
    bool ok = remove_tree(f->dir, &err);
    mem_free(f);
    return ok ? 0 : -1;
}

enum { CONTENT = 300000 };

// A server's folder with one file named after its digest; url and name get what leads to it.
static void serve(Fixture *f, char *name, size_t size, bool lie) {
    char *content = NEW(char, CONTENT), hex[65], path[256];
    Sha256 s;
    Error err = {""};
    for (int i = 0; i < CONTENT; i++) content[i] = (char)(i * 7 + i / 251);
    sha256_init(&s);
    sha256_add(&s, content, CONTENT);
    sha256_hex(&s, hex);
    if (lie) hex[0] = hex[0] == '0' ? '1' : '0';
    snprintf(name, size, "tiny-%.8s.pth", hex);
    snprintf(path, sizeof path, "%s/served", f->dir);
    assert_true(make_dirs(path, &err));
    snprintf(path, sizeof path, "%s/served/%s", f->dir, name);
    if (!file_write(path, content, CONTENT, &err)) fail_msg("%s", err.text);
    snprintf(path, sizeof path, "file://%s/served", f->dir);
    setenv("TACT_WEIGHTS_URL", path, 1);
    mem_free(content);
}

typedef struct Watch {
    int calls, stop_after; // stop_after 0: never
    int64_t done;
} Watch;

static bool watch(void *user, const char *file, int64_t done, int64_t total) {
    Watch *w = user;
    (void)file, (void)total;
    w->done = done;
    return ++w->calls != w->stop_after;
}

static void assert_whole(const char *path) {
    char *data;
    size_t size;
    Error err;
    assert_true(file_read(path, &data, &size, &err));
    assert_int_equal(size, CONTENT);
    for (int i = 0; i < CONTENT; i++) assert_int_equal(data[i], (char)(i * 7 + i / 251));
    mem_free(data);
}

static void downloads(void **state) {
    Fixture *f = *state;
    char name[64], path[4096], part[512], expected[256];
    Error err = {""};
    Watch w = {0};
    const DownloadProgress progress = {watch, &w};
    if (!CAN_DOWNLOAD) {
        print_message("skipped: tact_download, for want of libcurl, was not built\n");
        skip();
    }
    serve(f, name, sizeof name, false);
    snprintf(expected, sizeof expected, "%s/hub/checkpoints/%s", f->dir, name);
    snprintf(part, sizeof part, "%s.part", expected);
    if (!torch_cache_fetch(name, &progress, path, sizeof path, &err)) fail_msg("%s", err.text);
    assert_string_equal(path, expected);
    assert_whole(path);
    assert_false(file_exists(part));
    assert_int_equal(w.done, CONTENT);
    assert_true(w.calls > 0);
    // The file is there now and is not downloaded again.
    w.calls = 0;
    setenv("TACT_WEIGHTS_URL", "file:///nonexistent", 1);
    assert_true(torch_cache_fetch(name, &progress, path, sizeof path, &err));
    assert_int_equal(w.calls, 0);
    // Damage to the file in the cache is found, too.
    assert_int_equal(truncate(path, CONTENT - 1), 0);
    assert_false(torch_cache_fetch(name, NULL, path, sizeof path, &err));
    assert_non_null(strstr(err.text, "damaged"));
    unlink(path);

    // A download that broke off is continued. The beginning of another file is recognised by its
    // digest and dropped.
    for (int good = 1; good >= 0; good--) {
        char *begun;
        size_t size;
        serve(f, name, sizeof name, false);
        snprintf(path, sizeof path, "%s/served/%s", f->dir, name);
        assert_true(file_read(path, &begun, &size, &err));
        begun[100] ^= (char)!good;
        assert_true(file_write(part, begun, 200000, &err));
        mem_free(begun);
        w = (Watch){0};
        if (!torch_cache_fetch(name, &progress, path, sizeof path, &err)) fail_msg("%s", err.text);
        assert_whole(path);
        unlink(path);
    }
    // More is there than the server has: the download starts over.
    char *rest = NEW(char, CONTENT + 5);
    assert_true(file_write(part, rest, CONTENT + 5, &err));
    mem_free(rest);
    if (!torch_cache_fetch(name, NULL, path, sizeof path, &err)) fail_msg("%s", err.text);
    assert_whole(path);
    // A process downloaded all of it and ended before it moved the file: nothing is downloaded
    // again.
    assert_int_equal(rename(path, part), 0);
    setenv("TACT_WEIGHTS_URL", "file:///nonexistent", 1);
    if (!torch_cache_fetch(name, NULL, path, sizeof path, &err)) fail_msg("%s", err.text);
    assert_whole(path);
}

static void failed_downloads(void **state) {
    Fixture *f = *state;
    char name[64], path[4096] = "", part[512];
    Error err = {""};
    setenv("TACT_WEIGHTS_URL", "file:///nonexistent/", 1);
    assert_false(backbone_file_find("ResNet18_Weights.IMAGENET1K_V1", "resnet18", NULL, path,
                                    sizeof path, &err));
    assert_non_null(strstr(err.text, "resnet18-f37072fd.pth: cannot be downloaded from "
                                     "file:///nonexistent/resnet18-f37072fd.pth ("));
    snprintf(part, sizeof part, "put it into %s/hub/checkpoints", f->dir);
    assert_non_null(strstr(err.text, part));
    assert_non_null(strstr(err.text, "pretrained_backbone_weights=null"));
    assert_null(strchr(err.text, '\n'));
    snprintf(part, sizeof part, "%s/hub/checkpoints/resnet18-f37072fd.pth.part", f->dir);
    assert_false(file_exists(part));
    // What was downloaded so far survives an attempt without a network.
    assert_true(file_write(part, "begun", 5, &err));
    assert_false(torch_cache_fetch("resnet18-f37072fd.pth", NULL, path, sizeof path, &err));
    assert_true(file_exists(part));
    if (!CAN_DOWNLOAD) {
        assert_non_null(strstr(err.text, "downloading needs tact_download.so"));
        return;
    }
    // First a download that the user stops, then a file whose digest is not the one in its name.
    Watch w = {.stop_after = 1};
    const DownloadProgress progress = {watch, &w};
    serve(f, name, sizeof name, true);
    assert_false(torch_cache_fetch(name, &progress, path, sizeof path, &err));
    assert_non_null(strstr(err.text, "interrupted"));
    assert_false(torch_cache_fetch(name, NULL, path, sizeof path, &err));
    assert_non_null(strstr(err.text, "sent is another file: its SHA-256 begins with"));
    snprintf(path, sizeof path, "%s/hub/checkpoints/%s", f->dir, name);
    assert_false(file_exists(path));
    snprintf(part, sizeof part, "%s.part", path);
    assert_false(file_exists(part));
}

static void specs(void **state) {
    Fixture *f = *state;
    char path[4096];
    Error err = {""};
    const char *own = arena_printf(&f->arena, "%s/weights.safetensors", f->dir);
    assert_true(file_write(own, "any", 3, &err)); // what is in it, its reader says
    assert_true(backbone_file_find(own, "resnet18", NULL, path, sizeof path, &err));
    assert_string_equal(path, own);
    assert_false(
        backbone_file_find("/nonexistent/x.pth", "resnet18", NULL, path, sizeof path, &err));
    assert_non_null(strstr(err.text, "no such file"));
    assert_false(backbone_file_find("ResNet34_Weights.IMAGENET1K_V1", "resnet18", NULL, path,
                                    sizeof path, &err));
    assert_non_null(strstr(err.text, "weights of a resnet34"));
    // The other places where PyTorch may keep its cache.
    setenv("TACT_WEIGHTS_URL", "file:///nonexistent/", 1);
    unsetenv("TORCH_HOME");
    setenv("XDG_CACHE_HOME", arena_printf(&f->arena, "%s/cache", f->dir), 1);
    assert_false(backbone_file_find("DEFAULT", "resnet50", NULL, path, sizeof path, &err));
    assert_non_null(strstr(err.text, "/cache/torch/hub/checkpoints"));
    assert_non_null(strstr(err.text, "resnet50-11ad3fa6.pth"));
    unsetenv("XDG_CACHE_HOME");
    setenv("HOME", f->dir, 1);
    assert_false(backbone_file_find("DEFAULT", "resnet34", NULL, path, sizeof path, &err));
    assert_non_null(strstr(err.text, "/.cache/torch/hub/checkpoints"));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(downloads), TEST(failed_downloads), TEST(specs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
