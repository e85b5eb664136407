// SPDX-License-Identifier: Apache-2.0
// Pretrained backbones: what lands in the parameters, and what is refused.
#include "model/pretrained.h"

#include "base/file.h"
#include "formats/safetensors.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BACKBONE "model.backbone."

typedef struct Fixture {
    Arena arena;
    char dir[64], file[128];
    TrainConfig config;
    Device *device;
    Params params;
    SafetensorsEntry *entries; // of the backbone, and what test files have beside it
    int count;
} Fixture;

// The number at place k of tensor i in a file.
static float value_at(int i, int64_t k) {
    return 0.25f + (float)((i * 31 + k * 7) % 101) / 64;
}

static int set_up(void **state) {
    Fixture *f = NEW(Fixture, 1);
    Error err;
    strcpy(f->dir, "/tmp/tact-pretrained-XXXXXX");
    if (!mkdtemp(f->dir)) return -1;
    snprintf(f->file, sizeof f->file, "%s/weights.safetensors", f->dir);
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
    // A network that has the same blocks, but more of them, is refused.
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

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(values_land), TEST(wrong_files), TEST(wrong_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
