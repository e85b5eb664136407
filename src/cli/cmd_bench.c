// SPDX-License-Identifier: Apache-2.0
// tact bench: the time of a training step on synthetic batches, beside what the machine can do; or,
// with
// --infer, the latency of a policy on a robot.
#include "base/memory.h"
#include "cli/bench.h"
#include "cli/cli.h"
#include "model/memory.h"
#include "pose/pose.h"
#include "train/policy_from_dataset.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Bench {
    TrainConfig config;
    int64_t steps, cameras;
    const char *image;
    bool json, infer, ops;
    Device *device;
    Params params;
    Act *act;
    Optimizer optimizer;
    ActInput in;
    MemoryEstimate estimate;
    void *owned[MAX_CAMERAS + 4];
    char names[MAX_CAMERAS][40]; // of the cameras
} Bench;

enum { SITE_BENCH = 0xbe };

// One size for all cameras, or one for each.
CHECKED static bool parse_image(Bench *b, Error *err) {
    PolicyConfig *p = &b->config.policy;
    const char *s = b->image;
    int n = 0, h = 0, w = 0;
    p->n_cameras = (int)b->cameras;
    for (int end = 0; n < MAX_CAMERAS; n++, s += end) {
        end = 0;
        if (sscanf(s, n ? ",%dx%d%n" : "%dx%d%n", &h, &w, &end) != 2 || h < 32 || w < 32 ||
            h > 8192 || w > 8192)
            break;
        snprintf(b->names[n], sizeof b->names[n], "observation.images.camera%d", n);
        p->cameras[n] = (CameraConfig){b->names[n], h, w, h, w};
    }
    if (*s || (n != 1 && n != p->n_cameras))
        return fail(err,
                    "--image=%s: not HEIGHTxWIDTH, each from 32 to 8192, or one of these for each "
                    "of the %d cameras with commas between them",
                    b->image, p->n_cameras);
    for (; n < p->n_cameras; n++) {
        snprintf(b->names[n], sizeof b->names[n], "observation.images.camera%d", n);
        p->cameras[n] = (CameraConfig){b->names[n], h, w, h, w};
    }
    p->state_dim = p->action_dim = POSE_POLICY_ROW;
    p->pose_repr = "relative";
    p->arms = 1;
    p->normalization_mapping = (NormMap){"MEAN_STD", "MIN_MAX", "MIN_MAX", "MEAN_STD"};
    return true;
}

json_t *bench_sizes_json(const PolicyConfig *p) {
    json_t *sizes = json_array();
    for (int i = 0; i < p->n_cameras; i++)
        json_array_append_new(
            sizes, json_pack("[i,i]", p->cameras[i].image_height, p->cameras[i].image_width));
    return sizes;
}

static float *random_floats(int64_t n, RngStream *rng) {
    float *out = NEW(float, n);
    for (int64_t i = 0; i < n; i++) out[i] = (float)(2 * rng_double(rng) - 1);
    return out;
}

static void make_batch(Bench *b) {
    const PolicyConfig *p = &b->config.policy;
    RngStream rng = {.key = {.seed = (uint64_t)b->config.seed, .site = SITE_BENCH}};
    int64_t B = b->config.batch_size, T = p->obs_state_horizon, S = p->chunk_size;
    float *state = random_floats(B * T * p->state_dim, &rng);
    float *action = random_floats(B * S * p->action_dim, &rng);
    const uint8_t **images = NEW(const uint8_t *, MAX_CAMERAS);
    uint8_t *pad = NEW(uint8_t, B * S);
    int n = 0;
    b->owned[n++] = state;
    b->owned[n++] = action;
    b->owned[n++] = images;
    b->owned[n++] = pad;
    for (int i = 0; i < p->n_cameras; i++) {
        int64_t pixels = B * T * p->cameras[i].image_height * p->cameras[i].image_width * 3;
        uint8_t *frames = NEW(uint8_t, pixels);
        for (int64_t k = 0; k < pixels; k++) frames[k] = (uint8_t)rng_next(&rng);
        images[i] = frames;
        b->owned[n++] = frames;
    }
    b->in = (ActInput){
        .batch = (int)B, .state = state, .images = images, .action = action, .action_is_pad = pad};
}

// Frames are copied to a device from where they lie, as the loader's are.
static void pin_frames(Bench *b, bool pinned) {
    const PolicyConfig *p = &b->config.policy;
    const size_t pixels = (size_t)b->config.batch_size * (size_t)p->obs_state_horizon * 3;
    for (int i = 0; b->in.images && i < p->n_cameras; i++)
        b->device->pin(b->device, (void *)(uintptr_t)b->in.images[i],
                       pixels * (size_t)p->cameras[i].image_height *
                           (size_t)p->cameras[i].image_width,
                       pinned);
}

CHECKED static bool set_up(Bench *b, Error *err) {
    const TrainConfig *c = &b->config;
    ImageStats images[MAX_CAMERAS];
    for (int i = 0; i < MAX_CAMERAS; i++) images[i] = image_stats_imagenet;
    const char *device = c->policy.device ? c->policy.device : "cpu";
    Precision precision;
    if (!parse_image(b, err) || !precision_named(c->policy.dtype, device, &precision, err) ||
        !device_open(device, precision, c->threads, &b->device, err) ||
        !estimate_memory(&c->policy, c->batch_size, true, b->device->backend, precision,
                         &b->estimate, err) ||
        !params_init(&b->params, b->device, &c->policy, true, err))
        return false;
    params_initialize(&b->params, (uint64_t)c->seed);
    make_batch(b);
    pin_frames(b, true);
    return act_new(b->device, &c->policy, &b->params, c->batch_size, true, images, &b->act, err) &&
           optimizer_init(&b->optimizer, &b->params, c, err);
}

static void print_result(const Bench *b, const BenchTimings *t, const BenchPeak *peak,
                         const BenchOp *ops, int n_ops) {
    const TrainConfig *c = &b->config;
    double flops = act_step_flops(b->act), gflops = flops / t->step_ms / 1e6;
    double samples = 1e3 * c->batch_size / t->step_ms;
    const double estimate = (double)b->estimate.total / 1e6;
    if (b->json) {
        json_t *j =
            json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:I, s:I}", "device",
                      b->device->backend->name, "device_description", b->device->description,
                      "dtype", precision_name(b->device->precision), "image", b->image, "cameras",
                      c->policy.n_cameras, "batch_size", c->batch_size, "obs_state_horizon",
                      c->policy.obs_state_horizon, "threads", b->device->threads, "steps",
                      (json_int_t)b->steps, "peak_size", (json_int_t)peak->size);
        const struct {
            const char *name;
            double value;
        } figures[] = {
            {"step_ms", t->step_ms},
            {"step_p10_ms", t->p10_ms},
            {"step_p90_ms", t->p90_ms},
            {"step_mean_ms", t->mean_ms},
            {"serial_step_ms", t->serial_ms},
            {"forward_ms", t->forward_ms},
            {"backward_ms", t->backward_ms},
            {"optimizer_ms", t->optimizer_ms},
            {"samples_per_s", samples},
            {"gflop_per_step", flops / 1e9},
            {"gflops", gflops},
            {"peak_gflops", peak->forward},
            {"peak_dx_gflops", peak->dx},
            {"peak_dw_gflops", peak->dw},
            {"copy_gbps", peak->copy_gbps},
            {"estimated_mb", estimate},
            {"resident_mb", t->resident_mb},
            {"loss", (double)t->loss},
        };
        for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
            json_object_set_new(j, figures[i].name, json_real(figures[i].value));
        if (b->ops) json_object_set_new(j, "ops", bench_ops_json(ops, n_ops));
        char *text = json_text(j, 2);
        printf("%s\n", text);
        mem_free(text);
        json_decref(j);
        return;
    }
    printf("training step, batch %d, T=%d, %d camera%s %s, %s %s with %d threads\n", c->batch_size,
           c->policy.obs_state_horizon, c->policy.n_cameras, c->policy.n_cameras == 1 ? "" : "s",
           b->image, b->device->backend->name, precision_name(b->device->precision),
           b->device->threads);
    printf("  step       %8.1f ms   (median of %lld)\n", t->step_ms, (long long)b->steps);
    if (b->device->backend->asynchronous)
        printf("  one part after another, %.1f ms:\n", t->serial_ms);
    printf("  forward    %8.1f ms\n  backward   %8.1f ms\n  optimizer  %8.1f ms\n", t->forward_ms,
           t->backward_ms, t->optimizer_ms);
    printf("  samples/s  %8.2f\n  GFLOP/s    %8.1f of %.1f for a %lld^3 matrix product (%.0f %%)\n",
           samples, gflops, peak->forward, (long long)peak->size, 100 * gflops / peak->forward);
    printf("  copy       %8.1f GB/s read and written\n", peak->copy_gbps);
    printf("  memory     %8.0f MB resident, %.0f MB estimated beforehand\n", t->resident_mb,
           estimate);
    if (b->ops) bench_ops_print(ops, n_ops);
}

CHECKED static bool train_step(void *user, Error *err) {
    Bench *b = user;
    ActLosses losses;
    float norm;
    bool ok = act_train(b->act, &b->in, (uint64_t)b->config.seed, 1, &losses, err);
    optimizer_step(&b->optimizer, &norm);
    act_load_params(b->act);
    return ok;
}

// ---- --infer ------------------------------------------------------------------------------------

static json_t *latency_json(const BenchLatency *l, double peak) {
    double gflops = l->gflop / l->p50 * 1e3;
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "p50_ms", l->p50, "p95_ms", l->p95, "p99_ms",
                     l->p99, "gflop", l->gflop, "gflops", gflops, "of_peak", gflops / peak);
}

static void print_infer_json(const Bench *b, const BenchInfer *r, const TrainConfig *shape,
                             const BenchPeak *peak) {
    const PolicyConfig *p = &shape->policy;
    json_t *j = json_pack(
        "{s:s, s:s, s:s, s:o, s:i, s:i, s:i, s:i, s:I, s:f}", "device", b->device->backend->name,
        "device_description", b->device->description, "dtype", precision_name(b->device->precision),
        "image_sizes", bench_sizes_json(p), "cameras", p->n_cameras, "obs_state_horizon",
        p->obs_state_horizon, "chunk_size", p->chunk_size, "threads", b->device->threads, "steps",
        (json_int_t)b->steps, "latency_ms", r->cached.p50);
    json_object_update_new(j, latency_json(&r->cached, peak->forward));
    json_object_set_new(j, "without_frame_cache", latency_json(&r->uncached, peak->forward));
    json_object_set_new(j, "load_ms", json_real(r->load_ms));
    json_object_set_new(j, "first_step_ms", json_real(r->first_ms));
    json_object_set_new(j, "start_ms", isnan(r->start_ms) ? json_null() : json_real(r->start_ms));
    json_object_set_new(j, "resident_mb", json_real(r->resident_mb));
    json_object_set_new(j, "peak_gflops", json_real(peak->forward));
    json_object_set_new(j, "copy_gbps", json_real(peak->copy_gbps));
    if (b->ops) json_object_set_new(j, "ops", bench_ops_json(r->ops, r->n_ops));
    char *text = json_text(j, 2);
    printf("%s\n", text);
    mem_free(text);
    json_decref(j);
}

static void print_latency(const char *name, const BenchLatency *l, double peak) {
    double gflops = l->gflop / l->p50 * 1e3;
    printf("  %-22s %8.2f %8.2f %8.2f %8.1f %8.0f %6.0f %%\n", name, l->p50, l->p95, l->p99,
           l->gflop, gflops, 100 * gflops / peak);
}

static void print_infer(const Bench *b, const BenchInfer *r, const TrainConfig *shape,
                        const BenchPeak *peak) {
    const PolicyConfig *p = &shape->policy;
    char sizes[IMAGE_SIZES_TEXT];
    policy_image_sizes(p, sizes, sizeof sizes);
    printf("control step that predicts, T=%d, %d camera%s %s, %s %s with %d threads, %lld steps\n",
           p->obs_state_horizon, p->n_cameras, p->n_cameras == 1 ? "" : "s", sizes,
           b->device->backend->name, precision_name(b->device->precision), b->device->threads,
           (long long)b->steps);
    printf("  %-22s %8s %8s %8s %8s %8s %8s\n", "ms", "p50", "p95", "p99", "GFLOP", "GFLOP/s",
           "of peak");
    print_latency("with the frame cache", &r->cached, peak->forward);
    print_latency("without", &r->uncached, peak->forward);
    printf("  load %.0f ms, first step %.1f ms", r->load_ms, r->first_ms);
    if (!isnan(r->start_ms))
        printf(", from the program's start to the first action %.0f ms", r->start_ms);
    printf("\n  memory %.0f MB resident; peak: %.0f GFLOP/s for a %lld^3 matrix product\n",
           r->resident_mb, peak->forward, (long long)peak->size);
    if (b->ops) bench_ops_print(r->ops, r->n_ops);
}

static int run_infer(Bench *b) {
    Error err;
    BenchInfer result;
    BenchPeak peak;
    TrainConfig shape;
    const TrainConfig *c = &b->config;
    const char *path = c->policy.path, *device = c->policy.device ? c->policy.device : "cpu";
    Precision precision;
    train_config_default(&shape);
    bool ok = (path || parse_image(b, &err)) &&
              bench_infer(c, path, b->steps, b->ops, &result, &shape, &err) &&
              precision_named(c->policy.dtype, device, &precision, &err) &&
              device_open(device, precision, c->threads, &b->device, &err) &&
              bench_peak(b->device, &peak, &err);
    if (ok) (b->json ? print_infer_json : print_infer)(b, &result, &shape, &peak);
    train_config_free(&shape);
    return ok ? EXIT_OK : cli_error(&err, EXIT_ERROR);
}

static void free_bench(Bench *b) {
    if (b->device) pin_frames(b, false);
    optimizer_free(&b->optimizer);
    act_free(b->act);
    params_free(&b->params);
    device_close(b->device);
    for (size_t i = 0; i < sizeof b->owned / sizeof *b->owned; i++) mem_free(b->owned[i]);
    train_config_free(&b->config);
}

int cmd_bench(int argc, char **argv) {
    if (bench_loader_wanted(argc, argv)) return bench_loader(argc, argv);
    Bench b = {.cameras = 1, .image = "240x320"};
    const Option options[] = {
        {"infer", OPTION_BOOL, &b.infer, 0, 0,
         "the latency of a policy (--policy.path, or one of random weights) instead of training"},
        {"steps", OPTION_INT, &b.steps, 0, 100000,
         "steps to time, after some to warm up; 0: 5 of training, 100 with --infer"},
        {"image", OPTION_TEXT, &b.image, 0, 0,
         "size of the synthetic frames, HEIGHTxWIDTH; or one a camera: 480x640,640x480"},
        {"cameras", OPTION_INT, &b.cameras, 1, MAX_CAMERAS, "number of cameras"},
        {"ops", OPTION_BOOL, &b.ops, 0, 0, "also a table of the step's ops and their times"},
        {"json", OPTION_BOOL, &b.json, 0, 0, "print JSON"},
    };
    const int count = sizeof options / sizeof *options;
    if (cli_wants_help(argc, argv)) {
        printf(
            "tact bench: time of a training step, or with --infer of a control step, on synthetic "
            "frames\n\n");
        options_print(options, count);
        printf("\nThe flags of tact train that shape the model (--policy.*), --batch_size, "
               "--threads and --seed\napply. Another benchmark: tact bench --loader (its help: "
               "--loader --help).\n");
        return EXIT_OK;
    }
    Error err;
    BenchTimings t = {0};
    BenchOp ops[BENCH_MAX_OPS];
    int n_ops = 0;
    BenchPeak peak;
    int code = EXIT_OK;
    train_config_default(&b.config);
    if (!options_take(options, count, &argc, argv, &err) ||
        !options_rest_known(options, count, argc, argv, &err) ||
        !train_config_parse(&b.config, argc, argv, &err) ||
        !policy_config_check(&b.config.policy, &err)) {
        code = cli_error(&err, EXIT_USAGE);
        goto done;
    }
    train_config_fill(&b.config, 0);
    if (!b.steps) b.steps = b.infer ? 100 : 5;
    if (b.infer) {
        code = run_infer(&b);
        goto done;
    }
    if (!set_up(&b, &err) ||
        !bench_steps(b.act, &b.optimizer, &b.in, (uint64_t)b.config.seed, b.steps, &t, &err) ||
        (b.ops && !bench_ops(b.device, train_step, &b, b.steps, ops, &n_ops, &err)) ||
        !bench_peak(b.device, &peak, &err)) {
        code = cli_error(&err, EXIT_ERROR);
        goto done;
    }
    print_result(&b, &t, &peak, ops, n_ops);
done:
    free_bench(&b);
    return code;
}
