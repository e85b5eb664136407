// SPDX-License-Identifier: Apache-2.0
// Pretrained backbones: what lands in the parameters, what is refused, and downloads (from file://
// URLs).
#include "model/pretrained.h"

#include "base/file.h"
#include "base/sha256.h"
#include "formats/safetensors.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BACKBONE "model.backbone."
#ifdef TACT_CURL
enum { CAN_DOWNLOAD = 1 };
#else
enum { CAN_DOWNLOAD = 0 };
#endif

typedef struct Fixture {
    Arena arena;
    char dir[64], file[128];
    TrainConfig config;
    Device *device;
    Params params;
    SafetensorsEntry *entries; // of the backbone, and what test files have beside it
    int count;
} Fixture;

// What tensor i of a file holds at k.
static float value_at(int i, int64_t k) {
    return 0.25f + (float)((i * 31 + k * 7) % 101) / 64;
}

static int set_up(void **state) {
    Fixture *f = NEW(Fixture, 1);
    Error err;
    strcpy(f->dir, "/tmp/tact-pretrained-XXXXXX");
    if (!mkdtemp(f->dir)) return -1;
    snprintf(f->file, sizeof f->file, "%s/weights.safetensors", f->dir);
    setenv("TORCH_HOME", f->dir, 1);
    unsetenv("TACT_WEIGHTS_URL");
    train_config_default(&f->config);
    PolicyConfig *p = &f->config.policy;
    p->dim_model = p->dim_feedforward = 16;
    p->n_heads = 2;
    p->n_encoder_layers = 1;
    p->state_dim = p->action_dim = 3;
    p->n_cameras = 1;
    if (!device_open("ref", PRECISION_FLOAT32, 1, &f->device, &err)) return -1;
    if (!params_init(&f->params, f->device, p, false, &err)) return -1;
    params_initialize(&f->params, 4);
    f->entries = NEW(SafetensorsEntry, f->params.count + 8);
    for (int i = 0; i < f->params.count; i++) {
        const Param *q = &f->params.list[i];
        if (strncmp(q->name, BACKBONE, strlen(BACKBONE)) != 0) continue;
        float *values = arena_alloc(&f->arena, (size_t)q->count * sizeof(float));
        for (int64_t k = 0; k < q->count; k++) values[k] = value_at(f->count, k);
        SafetensorsEntry *e = &f->entries[f->count++];
        *e = (SafetensorsEntry){.name = q->name + strlen(BACKBONE),
                                .type = ST_F32,
                                .rank = q->rank,
                                .count = q->count,
                                .data = values,
                                .bytes = (size_t)q->count * 4};
        memcpy(e->shape, q->shape, sizeof q->shape);
    }
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    Fixture *f = *state;
    Error err;
    params_free(&f->params);
    device_close(f->device);
    train_config_free(&f->config);
    mem_free(f->entries);
    arena_free(&f->arena);
    bool ok = remove_tree(f->dir, &err);
    mem_free(f);
    return ok ? 0 : -1;
}

// Writes the entries under prefixed names.
static void write_weights(Fixture *f, const char *prefix) {
    SafetensorsEntry *named = NEW(SafetensorsEntry, f->count);
    Error err = {""};
    memcpy(named, f->entries, sizeof *named * (size_t)f->count);
    for (int i = 0; i < f->count; i++)
        named[i].name = arena_printf(&f->arena, "%s%s", prefix, f->entries[i].name);
    if (!safetensors_write(f->file, named, f->count, true, &err)) fail_msg("%s", err.text);
    mem_free(named);
}

static SafetensorsEntry *entry(Fixture *f, const char *name) {
    for (int i = 0; i < f->count; i++)
        if (strcmp(f->entries[i].name, name) == 0) return &f->entries[i];
    fail_msg("no entry %s", name);
    return NULL;
}

static void assert_refused(Fixture *f, const char *what) {
    Error err = {"nothing"};
    if (pretrained_load(&f->params, f->file, "resnet18", &err)) fail_msg("loaded, not: %s", what);
    if (!strstr(err.text, what) || strncmp(err.text, f->file, strlen(f->file)) != 0)
        fail_msg("\"%s\" does not say \"%s\"", err.text, what);
}

static void values_land(void **state) {
    Fixture *f = *state;
    const char *const prefixes[] = {"", "module.", "backbone.", "module.backbone.", BACKBONE};
    Error err = {""};
    // A classifier and counters stand in torchvision's files too.
    static const float fc[2] = {1, NAN};
    static const int64_t tracked = 7;
    int own = f->count;
    f->entries[f->count++] = (SafetensorsEntry){"fc.weight", ST_F32, 1, {2}, 2, fc, sizeof fc};
    f->entries[f->count++] =
        (SafetensorsEntry){"bn1.num_batches_tracked", ST_I64, 0, {0}, 1, &tracked, sizeof tracked};
    for (int n = 0; n < 5; n++) {
        params_initialize(&f->params, 4);
        write_weights(f, prefixes[n]);
        if (!pretrained_load(&f->params, f->file, "resnet18", &err)) fail_msg("%s", err.text);
        int compared = 0;
        for (int i = 0; i < f->params.count; i++) {
            const Param *q = &f->params.list[i];
            if (strncmp(q->name, BACKBONE, strlen(BACKBONE)) != 0) continue;
            float *values = NEW(float, q->count);
            param_get(&f->params, q, values);
            const SafetensorsEntry *e = entry(f, q->name + strlen(BACKBONE));
            assert_memory_equal(values, e->data, e->bytes);
            mem_free(values);
            compared++;
        }
        assert_int_equal(compared, own);
        assert_int_equal(own, 100); // 20 convolutions, and 4 tensors for each one's norm
    }
}

static void wrong_files(void **state) {
    Fixture *f = *state;
    Error err = {""};
    assert_false(pretrained_load(&f->params, "/nonexistent/x.pth", "resnet18", &err));
    assert_non_null(strstr(err.text, "/nonexistent/x.pth"));
    SafetensorsEntry *e = entry(f, "layer2.0.downsample.0.weight");
    e->shape[0] = 64, e->shape[1] = 128;
    write_weights(f, "");
    assert_refused(f, "layer2.0.downsample.0.weight has shape (64,128,1,1), but a resnet18 needs "
                      "(128,64,1,1)");
    e->shape[0] = 128, e->shape[1] = 64;
    e->rank = 3;
    write_weights(f, "");
    assert_refused(f, "has shape (128,64,1)");
    e->rank = 5, e->shape[4] = 1;
    write_weights(f, "");
    assert_refused(f, "has shape (128,64,1,1,1)");
    e->rank = 4;
    e->name = "layer2.0.downsample.9.weight";
    write_weights(f, "");
    assert_refused(f, "no tensor layer2.0.downsample.0.weight");
    e->name = "layer2.0.downsample.0.weight";
    // A network of the same blocks, but more of them.
    static const float more[2] = {1, 2};
    f->entries[f->count++] = (SafetensorsEntry){"layer1.2.bn1.bias", ST_F32, 1, {2}, 2, more, 8};
    write_weights(f, "module.");
    assert_refused(f, "has a tensor module.layer1.2.bn1.bias, which a resnet18 has not");
    f->count--;
    e = entry(f, "conv1.weight");
    e->name = "conv_stem.weight";
    write_weights(f, "");
    assert_refused(f, "not the weights of a ResNet");
    e->name = "conv1.weight";
    e->type = ST_I32;
    write_weights(f, "");
    assert_refused(f, "floating-point");
    e->type = ST_F32;
}

static void wrong_values(void **state) {
    Fixture *f = *state;
    static const struct {
        const char *name;
        float value;
        const char *what;
    } cases[] = {{"bn1.weight", NAN, "bn1.weight[3] is nan"},
                 {"layer3.1.bn2.bias", INFINITY, "layer3.1.bn2.bias[3] is inf"},
                 {"layer4.0.conv1.weight", -INFINITY, "layer4.0.conv1.weight[3] is -inf"},
                 {"layer1.0.bn1.running_var", -1, "a variance is not negative"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        float *data = (float *)entry(f, cases[i].name)->data, kept = data[3];
        data[3] = cases[i].value;
        write_weights(f, "");
        assert_refused(f, cases[i].what);
        data[3] = kept;
    }
}

// ---- files ------------------------------------------------------------------------------------
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
    const PretrainedProgress progress = {watch, &w};
    if (!CAN_DOWNLOAD) {
        print_message("skipped: tact_download, for want of libcurl, was not built\n");
        skip();
    }
    serve(f, name, sizeof name, false);
    snprintf(expected, sizeof expected, "%s/hub/checkpoints/%s", f->dir, name);
    snprintf(part, sizeof part, "%s.part", expected);
    if (!pretrained_fetch(name, &progress, path, sizeof path, &err)) fail_msg("%s", err.text);
    assert_string_equal(path, expected);
    assert_whole(path);
    assert_false(file_exists(part));
    assert_int_equal(w.done, CONTENT);
    assert_true(w.calls > 0);
    // It is there now, and is not asked for again.
    w.calls = 0;
    setenv("TACT_WEIGHTS_URL", "file:///nonexistent", 1);
    assert_true(pretrained_fetch(name, &progress, path, sizeof path, &err));
    assert_int_equal(w.calls, 0);
    // Damage is seen there, too.
    assert_int_equal(truncate(path, CONTENT - 1), 0);
    assert_false(pretrained_fetch(name, NULL, path, sizeof path, &err));
    assert_non_null(strstr(err.text, "damaged"));
    unlink(path);

    // A beginning is gone on with; one that another file left is found out and dropped.
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
        if (!pretrained_fetch(name, &progress, path, sizeof path, &err)) fail_msg("%s", err.text);
        assert_whole(path);
        unlink(path);
    }
    // More than the server has: starts over.
    char *rest = NEW(char, CONTENT + 5);
    assert_true(file_write(part, rest, CONTENT + 5, &err));
    mem_free(rest);
    if (!pretrained_fetch(name, NULL, path, sizeof path, &err)) fail_msg("%s", err.text);
    assert_whole(path);
    // All of it, by a process that ended before it moved the file: nothing is downloaded.
    assert_int_equal(rename(path, part), 0);
    setenv("TACT_WEIGHTS_URL", "file:///nonexistent", 1);
    if (!pretrained_fetch(name, NULL, path, sizeof path, &err)) fail_msg("%s", err.text);
    assert_whole(path);
}

static void failed_downloads(void **state) {
    Fixture *f = *state;
    char name[64], path[4096] = "", part[512];
    Error err = {""};
    setenv("TACT_WEIGHTS_URL", "file:///nonexistent/", 1);
    assert_false(pretrained_find("ResNet18_Weights.IMAGENET1K_V1", "resnet18", NULL, path,
                                 sizeof path, &err));
    assert_non_null(strstr(err.text, "resnet18-f37072fd.pth: cannot be downloaded from "
                                     "file:///nonexistent/resnet18-f37072fd.pth ("));
    snprintf(part, sizeof part, "put it into %s/hub/checkpoints", f->dir);
    assert_non_null(strstr(err.text, part));
    assert_non_null(strstr(err.text, "pretrained_backbone_weights=null"));
    assert_null(strchr(err.text, '\n'));
    snprintf(part, sizeof part, "%s/hub/checkpoints/resnet18-f37072fd.pth.part", f->dir);
    assert_false(file_exists(part));
    // A beginning outlives a try without a network.
    assert_true(file_write(part, "begun", 5, &err));
    assert_false(pretrained_fetch("resnet18-f37072fd.pth", NULL, path, sizeof path, &err));
    assert_true(file_exists(part));
    if (!CAN_DOWNLOAD) {
        assert_non_null(strstr(err.text, "downloading needs tact_download.so"));
        return;
    }
    // Stopped by the user; then another file than the name says.
    Watch w = {.stop_after = 1};
    const PretrainedProgress progress = {watch, &w};
    serve(f, name, sizeof name, true);
    assert_false(pretrained_fetch(name, &progress, path, sizeof path, &err));
    assert_non_null(strstr(err.text, "interrupted"));
    assert_false(pretrained_fetch(name, NULL, path, sizeof path, &err));
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
    write_weights(f, "");
    assert_true(pretrained_find(f->file, "resnet18", NULL, path, sizeof path, &err));
    assert_string_equal(path, f->file);
    assert_false(pretrained_find("/nonexistent/x.pth", "resnet18", NULL, path, sizeof path, &err));
    assert_non_null(strstr(err.text, "no such file"));
    assert_false(pretrained_find("ResNet34_Weights.IMAGENET1K_V1", "resnet18", NULL, path,
                                 sizeof path, &err));
    assert_non_null(strstr(err.text, "weights of a resnet34"));
    // PyTorch's other places for its cache.
    setenv("TACT_WEIGHTS_URL", "file:///nonexistent/", 1);
    unsetenv("TORCH_HOME");
    setenv("XDG_CACHE_HOME", arena_printf(&f->arena, "%s/cache", f->dir), 1);
    assert_false(pretrained_find("DEFAULT", "resnet50", NULL, path, sizeof path, &err));
    assert_non_null(strstr(err.text, "/cache/torch/hub/checkpoints"));
    assert_non_null(strstr(err.text, "resnet50-11ad3fa6.pth"));
    unsetenv("XDG_CACHE_HOME");
    setenv("HOME", f->dir, 1);
    assert_false(pretrained_find("DEFAULT", "resnet34", NULL, path, sizeof path, &err));
    assert_non_null(strstr(err.text, "/.cache/torch/hub/checkpoints"));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(values_land),      TEST(wrong_files),
                                       TEST(wrong_values),     TEST(downloads),
                                       TEST(failed_downloads), TEST(specs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
