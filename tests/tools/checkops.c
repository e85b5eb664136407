// SPDX-License-Identifier: Apache-2.0
// checkops: compares every op of a device with the reference device, or times it.
#include "../checkops/checkops.h"
#include "base/memory.h"
#include "ops/cpu/backend.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const OpCheck op_checks[] = {
#define OP(name, params, args) {#name, check_##name},
#define TRANSFER(name, params, args)
#include "ops/ops.def"
    {0},
};

typedef struct Options {
    const char *device, *dtype, *op;
    uint64_t seed;
    int first, cases, threads;
    bool bench, self_test, rate;
    bool halves; // of ref, which has no bfloat16: what it leaves of activations is rounded
} Options;

static const char usage[] =
    "usage: checkops [--device cpu|cuda|ref] [--dtype float32|tf32|bfloat16|bfloat16-images|int8]\n"
    "                [--op NAME] [--seed N] [--first N] [--cases N] [--threads N]\n"
    "                [--bench | --self-test | --rate]\n"
    "Compares each op of the device with the reference on random and real shapes; --op takes all\n"
    "ops whose name contains NAME. --bench times them on the model's shapes at batch 8 instead.\n"
    "bfloat16-images: the cpu device's own ops on bfloat16 images, which are plain C, on any "
    "processor.\n"
    "Cases below an op's number of real shapes are those; --first N starts behind the first N.\n"
    "--rate lists the cpu device's convolutions and dense layers of the whole model, at images of "
    "32 to\n"
    "480 pixels and batches of 1 to 64, by their time over that of their arithmetic.\n"
    "--self-test spoils each result in several ways and counts a case as passed when that was "
    "noticed\n"
    "every time. With --device ref --dtype bfloat16 the results are ref's, rounded to bfloat16.\n";

static bool parse_options(Options *o, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(name, "--bench") == 0)
            o->bench = true;
        else if (strcmp(name, "--rate") == 0)
            o->rate = true;
        else if (strcmp(name, "--self-test") == 0)
            o->self_test = true;
        else if (!value)
            return false;
        else if (strcmp(name, "--device") == 0)
            o->device = argv[++i];
        else if (strcmp(name, "--dtype") == 0)
            o->dtype = argv[++i];
        else if (strcmp(name, "--op") == 0)
            o->op = argv[++i];
        else if (strcmp(name, "--seed") == 0)
            o->seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(name, "--first") == 0)
            o->first = atoi(argv[++i]);
        else if (strcmp(name, "--cases") == 0)
            o->cases = atoi(argv[++i]);
        else if (strcmp(name, "--threads") == 0)
            o->threads = atoi(argv[++i]);
        else
            return false;
    }
    return o->cases > 0 && o->first >= 0;
}

// The stream of a case depends on the seed, the op's name and the case's number only, so that a
// failing case can be run alone.
static Case case_new(Device *device, const Device *candidate, const Options *o, const OpCheck *op,
                     int index) {
    Case c = {.device = device,
              .activations = o->halves ? DTYPE_BF16 : candidate->images,
              .precision = o->halves ? PRECISION_BFLOAT16 : candidate->precision,
              .stores_halves = o->halves && device == candidate,
              .candidate = candidate->backend->name,
              .index = index,
              .bench = o->bench};
    uint32_t site = 2166136261u;
    for (const char *s = op->name; *s; s++) site = (site ^ (uint8_t)*s) * 16777619u;
    c.random.key = (RngKey){.seed = o->seed + site, .step = (uint32_t)index, .site = 1};
    return c;
}

// Both sides of a case, run.
static void run_case(Device *ref, Device *device, const Options *o, const OpCheck *op, int index,
                     Case *a, Case *b) {
    *a = case_new(ref, device, o, op, index);
    *b = case_new(device, device, o, op, index);
    op->run(a);
    case_finish(a);
    op->run(b);
    case_finish(b);
}

static Verdict missed(const Case *c, int output, Damage damage) {
    static const char *const names[DAMAGES] = {"", "a NaN", "a wrong value", "a wrong scale",
                                               "a write behind the end"};
    Verdict v = {.passed = false};
    snprintf(v.problem, sizeof v.problem, "%s: %s was not noticed", c->buffers[output].name,
             names[damage]);
    return v;
}

// Spoils each output in each way; passed if that was noticed every time.
static Verdict check_damages(const Case *a, Case *b) {
    for (int i = 0; i < b->count; i++) {
        const size_t bytes = (size_t)tensor_count(b->buffers[i].tensor) * sizeof(double);
        double *values = b->buffers[i].values, *kept = values ? mem_alloc(bytes) : NULL;
        bool noticed = true;
        Damage damage = DAMAGE_NONE;
        if (values) memcpy(kept, values, bytes);
        while (values && noticed && ++damage < DAMAGES) {
            noticed = !case_damage(b, i, damage) || !case_compare(a, b).passed;
            memcpy(values, kept, bytes);
            b->problem[0] = 0;
        }
        mem_free(kept);
        if (!noticed) return missed(b, i, damage);
    }
    return (Verdict){.passed = true, .tolerance = 1};
}

static Verdict check_case(Device *ref, Device *device, const Options *o, const OpCheck *op,
                          int index, char *shape, size_t shape_size) {
    Case a, b;
    run_case(ref, device, o, op, index, &a, &b);
    Verdict v = case_compare(&a, &b);
    if (o->self_test && v.passed) v = check_damages(&a, &b);
    snprintf(shape, shape_size, "%s", a.shape);
    case_free(&a);
    case_free(&b);
    return v;
}

static bool check_op(Device *ref, Device *device, const Options *o, const OpCheck *op) {
    Verdict worst = {.passed = true, .error = 0, .tolerance = 1};
    int failed = 0;
    for (int i = o->first; i < o->first + o->cases; i++) {
        char shape[160];
        Verdict v = check_case(ref, device, o, op, i, shape, sizeof shape);
        if (!v.passed) {
            printf("%-22s FAILED case %d (%s): %s\n", op->name, i, shape, v.problem);
            failed++;
        } else if (v.error * worst.tolerance > worst.error * v.tolerance || i == o->first)
            worst = v;
    }
    if (failed)
        printf("%-22s %3d of %d cases FAILED\n", op->name, failed, o->cases);
    else
        printf("%-22s %3d cases, worst error %.2e, tolerance there %.2e\n", op->name, o->cases,
               worst.error, worst.tolerance);
    fflush(stdout);
    return failed == 0;
}

static bool bench_op(Device *device, const Options *o, const OpCheck *op) {
    for (int i = 0;; i++) {
        Case c = case_new(device, device, o, op, i);
        op->run(&c);
        bool done = c.count == 0;
        Error err;
        bool good = device_check(device, &err);
        if (!good)
            printf("%-22s FAILED: %s\n", op->name, err.text);
        else if (!done) {
            printf("%-22s %-34s %10.3f ms %9.1f GB/s", op->name, c.shape, c.seconds * 1e3,
                   case_bytes_moved(&c) / c.seconds * 1e-9);
            if (c.flops > 0) printf(" %9.1f GFLOP/s", c.flops / c.seconds * 1e-9);
            printf("\n");
        }
        fflush(stdout);
        case_free(&c);
        if (!good || done) return good;
    }
}

// The cpu device's bfloat16 needs a processor that has it for the sake of oneDNN's products. The
// ops on images beside them do not.
static void make_images_halves(Device *d) {
    d->precision = PRECISION_BFLOAT16;
    d->images = DTYPE_BF16;
    cpu_images_in_bfloat16(d);
}

static bool is_image_op(const char *name) {
    static const char *const words[] = {"image", "pool", "relu_backward"};
    for (int i = 0; i < COUNT(words); i++)
        if (strstr(name, words[i])) return true;
    return false;
}

// 1, and said, if the device has taken over ref's function.
static int left_to_ref(const Device *device, const char *name, bool same) {
    if (same) printf("%-22s FAILED: %s has none of its own\n", name, device->backend->name);
    return same;
}

// What a device whose memory is not the host's has taken over of ref: those functions would look
// into memory that is not there.
static int count_left_to_ref(const Device *ref, const Device *device) {
    int count = 0;
    if (device->backend->host_memory) return 0;
#define OP(name, params, args) count += left_to_ref(device, #name, device->name == ref->name);
#define SERVICE(type, name, params) OP(name, params, )
#include "ops/ops.def"
    return count;
}

int main(int argc, char **argv) {
    Options o = {.device = "cpu", .op = "", .seed = 1, .cases = 24};
    if (!parse_options(&o, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    Device *ref = NULL, *device = NULL;
    Error err;
    Precision precision;
    const bool images = o.dtype && strcmp(o.dtype, "bfloat16-images") == 0;
    if (images && strncmp(o.device, "cpu", 3) != 0) {
        fputs(usage, stderr);
        return 2;
    }
    o.halves = o.dtype && strcmp(o.dtype, "bfloat16") == 0 && strcmp(o.device, "ref") == 0;
    const char *dtype = o.dtype && !images && !o.halves ? o.dtype : "float32";
    if (!precision_named(dtype, o.device, &precision, &err) ||
        !device_open("ref", precision == PRECISION_INT8 ? PRECISION_INT8 : PRECISION_FLOAT32, 1,
                     &ref, &err) ||
        !device_open(o.device, precision, o.threads, &device, &err)) {
        fprintf(stderr, "checkops: %s\n", err.text);
        device_close(ref);
        return 2;
    }
    if (images) make_images_halves(device);
    printf("device %s, %s, seed %llu\n", o.device, o.dtype ? o.dtype : "float32",
           (unsigned long long)o.seed);
    if (o.rate && strcmp(device->backend->name, "cpu") == 0) {
        rate_table(device);
        return 0;
    }
    if (count_left_to_ref(ref, device) > 0) return 1;
    static const OpCheck none[] = {{0}};
    const bool int8 = device->precision == PRECISION_INT8;
    const OpCheck *families[] = {op_checks, edge_checks, int8 ? int8_checks : none};
    int passed = 0, failed = 0;
    for (int f = 0; f < COUNT(families); f++)
        for (const OpCheck *op = families[f]; op->name; op++) {
            if (!strstr(op->name, o.op) || (images && !is_image_op(op->name))) continue;
            bool good = o.bench ? bench_op(device, &o, op) : check_op(ref, device, &o, op);
            good ? passed++ : failed++;
        }
    if (passed + failed == 0) fprintf(stderr, "checkops: no op is called *%s*\n", o.op);
    printf("%d passed, %d failed\n", passed, failed);
    device_close(ref);
    device_close(device);
    return failed > 0 || passed == 0;
}
