// SPDX-License-Identifier: Apache-2.0
// What the processes of a run have to agree on.
#include "train/run.h"

#include "base/checksum.h"
#include "base/log.h"
#include "base/sha256.h"
#include "config/fields.h"
#include <stdio.h>
#include <string.h>

enum { DIGEST = 65 };

// ---- before anything is opened ------------------------------------------------------------------

bool run_ranks_begin(const Run *r, Error *err) {
    TrainConfig *c = r->config;
    char dir[4096] = "";
    int processors = 0;
    if (!r->ranks) return true;
    // Without --output_dir every process has named its own, after its clock.
    snprintf(dir, sizeof dir, "%s", c->output_dir);
    if (!ranks_share(r->ranks, dir, sizeof dir, err) ||
        !ranks_processors(r->ranks, &processors, err))
        return false;
    c->output_dir = arena_strdup(&c->arena, dir);
    if (!c->threads) c->threads = processors;
    c->processes = ranks_count(r->ranks);
    c->process = ranks_rank(r->ranks);
    return true;
}

bool run_ranks_in_turn(const Run *r, bool (*work)(Run *r, Error *err), Error *err) {
    const bool first = ranks_local_rank(r->ranks) == 0;
    return (!first || work((Run *)r, err)) && ranks_gather(r->ranks, NULL, 0, NULL, err) &&
           (first || work((Run *)r, err));
}

// ---- settings -----------------------------------------------------------------------------------

// Settings that processes may have each its own: where things are on a host, and how much works
// there.
static bool may_differ(const char *flag) {
    static const char *const own[] = {"dataset.root",
                                      "dataset.repo_id",
                                      "dataset.revision",
                                      "dataset.streaming",
                                      "dataset.video_backend",
                                      "output_dir",
                                      "job_name",
                                      "num_workers",
                                      "loader_warn_s",
                                      "prefetch_factor",
                                      "threads",
                                      "policy.device",
                                      "policy.path",
                                      "config_path",
                                      "resume",
                                      "dist.timeout_s",
                                      "keep_last",
                                      "tensorboard"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (strcmp(flag, own[i]) == 0) return true;
    return strncmp(flag, "dataset.frame_cache", 19) == 0 || strncmp(flag, "wandb.", 6) == 0;
}

static void digest_setting(const TrainConfig *c, const Field *f, char out[DIGEST]) {
    Sha256 sum;
    json_t *value = field_json(f, (const char *)c + f->offset);
    char *text = json_text_had(value, 0);
    sha256_init(&sum);
    sha256_add(&sum, text, strlen(text));
    sha256_hex(&sum, out);
    mem_free(text);
    json_decref(value);
}

CHECKED static bool same_settings(const Run *r, Error *err) {
    const int n = ranks_count(r->ranks);
    const size_t bytes = (size_t)train_field_count * DIGEST;
    char(*mine)[DIGEST] = mem_alloc(bytes), (*all)[DIGEST] = mem_alloc(bytes * (size_t)n);
    for (int i = 0; i < train_field_count; i++)
        if (!may_differ(train_fields[i].flag)) digest_setting(r->config, &train_fields[i], mine[i]);
    bool ok = ranks_gather(r->ranks, mine, bytes, all, err), same = true;
    for (int rank = 1; ok && rank < n; rank++)
        for (int i = 0; same && i < train_field_count; i++)
            if (memcmp(all[i], all[rank * train_field_count + i], DIGEST) != 0)
                same = fail(err,
                            "--%s is not the same for rank %d (%s) as for rank 0; give all "
                            "processes the same flags",
                            train_fields[i].flag, rank, ranks_host(r->ranks, rank));
    mem_free(mine);
    mem_free(all);
    return ok && same;
}

// ---- data and weights ---------------------------------------------------------------------------

static void add_normalizer(Sha256 *sum, const Normalizer *n) {
    sha256_add(sum, n->scale, (size_t)n->dim * sizeof *n->scale);
    sha256_add(sum, n->offset, (size_t)n->dim * sizeof *n->offset);
}

// What the training sees of the dataset: which frames, how they are normalised, and where it
// begins.
static void digest_data(const Run *r, char out[DIGEST]) {
    const RunData *data = &r->data;
    Sha256 sum;
    sha256_init(&sum);
    sha256_add(&sum, data->train_rows, (size_t)data->n_train * sizeof *data->train_rows);
    sha256_add(&sum, data->eval_rows, (size_t)data->n_eval * sizeof *data->eval_rows);
    for (int64_t i = 0; i < data->dataset->n_episodes; i++) {
        const Episode *e = &data->dataset->episodes[i];
        const int64_t numbers[] = {e->first_index, e->length};
        sha256_add(&sum, numbers, sizeof numbers);
    }
    add_normalizer(&sum, &r->statistics.state);
    add_normalizer(&sum, &r->statistics.env);
    add_normalizer(&sum, &r->statistics.action);
    // Checkpoints of two steps could have the same weights.
    const int64_t from[] = {r->first_step, r->resumed.next_step, r->eval_due};
    sha256_add(&sum, from, sizeof from);
    sha256_hex(&sum, out);
}

static void digest_weights(const Run *r, char out[DIGEST]) {
    Device *d = r->device;
    const Tensor t = r->model.params.values;
    const size_t bytes = (size_t)tensor_count(t) * sizeof(float);
    const bool here = d->backend->host_memory;
    float *host = here ? f32(t) : mem_alloc(bytes);
    if (!here) d->download(d, host, t.data, bytes);
    memset(out, 0, DIGEST);
    snprintf(out, DIGEST, "%016llx", (unsigned long long)checksum(host, bytes, 0));
    if (!here) mem_free(host);
}

// what: of the message, and what to do about it. *same: false where one has another; true after
// other errors.
CHECKED static bool same_digest(const Run *r, const char mine[DIGEST], const char *what,
                                const char *advice, bool *same, Error *err) {
    const int n = ranks_count(r->ranks);
    char(*all)[DIGEST] = mem_alloc((size_t)n * DIGEST);
    bool ok = ranks_gather(r->ranks, mine, DIGEST, all, err);
    *same = true;
    for (int rank = 1; ok && *same && rank < n; rank++)
        if (memcmp(all[0], all[rank], DIGEST) != 0)
            *same = fail(err, "rank %d (%s) has not the same %s as rank 0 (%s)%s", rank,
                         ranks_host(r->ranks, rank), what, ranks_host(r->ranks, 0), advice);
    mem_free(all);
    return ok && *same;
}

bool run_ranks_same_weights(Run *r, Error *err) {
    char mine[DIGEST];
    bool same;
    if (!r->ranks) return true;
    digest_weights(r, mine);
    bool ok = same_digest(r, mine, "weights", "", &same, err);
    r->sound = r->sound && same;
    return ok;
}

// Each takes the steps of the optimiser by itself, so all have to compute the same bits.
static void digest_device(const Run *r, char out[DIGEST]) {
    Sha256 sum;
    sha256_init(&sum);
    sha256_add(&sum, r->device->description, strlen(r->device->description));
    sha256_hex(&sum, out);
}

bool run_ranks_same_start(Run *r, Error *err) {
    char data[DIGEST], device[DIGEST];
    bool same;
    if (!r->ranks) return true;
    digest_data(r, data);
    digest_device(r, device);
    return same_settings(r, err) &&
           same_digest(r, device, "kind of processor or card",
                       ", and so not the same last bits; ONEDNN_MAX_CPU_ISA=AVX2 for all makes "
                       "processors alike (`tact --version`)",
                       &same, err) &&
           same_digest(r, data, "frames, statistics or steps behind it",
                       "; is it the same dataset, and the same checkpoint?", &same, err) &&
           run_ranks_same_weights(r, err);
}

// ---- while it runs ------------------------------------------------------------------------------

bool run_agree_to_stop(Run *r, Error *err) {
    uint8_t mine = r->stopping || hooks_stopping(r->hooks), all[65536];
    r->stopping = mine;
    if (!r->ranks) return true;
    if (!ranks_gather(r->ranks, &mine, 1, all, err)) return false;
    for (int i = 0; i < ranks_count(r->ranks); i++) r->stopping = r->stopping || all[i];
    return true;
}

void run_log_ranks(const Run *r) {
    const TrainConfig *c = r->config;
    const int n = ranks_count(r->ranks);
    int hosts = 0;
    if (!r->ranks) return;
    for (int i = 0; i < n; i++) {
        bool seen = false;
        for (int k = 0; k < i; k++)
            seen = seen || strcmp(ranks_host(r->ranks, i), ranks_host(r->ranks, k)) == 0;
        hosts += !seen;
    }
    char pieces[64] = "";
    if (c->gradient_accumulation_steps > 1)
        snprintf(pieces, sizeof pieces, " x %d gradient_accumulation_steps",
                 c->gradient_accumulation_steps);
    log_info("%d processes on %d host%s; effective batch %lld = %d processes x batch_size %d%s; "
             "gradients by %s",
             n, hosts, hosts == 1 ? "" : "s", (long long)train_step_samples(c), n, c->batch_size,
             pieces, r->device->backend->asynchronous ? "NCCL" : ranks_way(r->ranks));
}
