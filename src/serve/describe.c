// SPDX-License-Identifier: Apache-2.0
// What `tact serve --dry_run` prints.
#include "serve/serve.h"

#include "serve/served_policy.h"

static void print_row(FILE *out, const char *name, const char *shape, const char *type,
                      const char *what) {
    fprintf(out, "  %-36s %-16s %-8s %s\n", name, shape, type, what);
}

static void print_vector(FILE *out, const char *name, size_t size) {
    char shape[32];
    snprintf(shape, sizeof shape, "(%zu,)", size);
    if (size) print_row(out, name, shape, "number", "in the dataset's units");
}

static void print_wants(FILE *out, const ServeWants *w) {
    char shape[64];
    fprintf(out, "wants, in every observation:\n");
    for (int i = 0; i < w->n_cameras; i++) {
        const tact_camera *c = &w->cameras[i];
        snprintf(shape, sizeof shape, "(%d, %d, 3)", c->height, c->width);
        print_row(out, c->name, shape, "uint8", "RGB, also (3, height, width)");
    }
    print_vector(out, "observation.state", w->state_size);
    print_vector(out, "observation.environment_state", w->env_size);
    fprintf(out, "takes, where they are there:\n");
    print_row(out, "reset", "", "bool", "an episode begins; so it does with a new connection");
    print_row(out, "observe_only", "", "bool", "it is remembered, and no actions are predicted");
    snprintf(shape, sizeof shape, "(%d, %zu)", w->chunk_size, w->action_size);
    fprintf(out, "gives:\n");
    print_row(out, "actions", shape, "float64", "one a step, the first for this observation");
    print_row(out, "server_timing", "", "", "infer_ms, prev_total_ms");
}

bool serve_describe(const ServeOptions *options, FILE *out, Error *err) {
    ServedPolicy policy;
    if (!serve_check(options, err) || !served_policy_open(&policy, options, err)) return false;
    const ServeWants *w = &policy.table.wants;
    fprintf(out, "policy  %s\n", tact_path(policy.first));
    print_wants(out, w);
    fprintf(out, "steps   ");
    if (w->fps > 0)
        fprintf(out, "%.15g a second; ", w->fps);
    else
        fprintf(out, "of unknown length; ");
    fprintf(out, "a chunk has %d, of which %d were carried out in training\n", w->chunk_size,
            w->n_action_steps);
    if (w->horizon > 1)
        fprintf(out,
                "sees    %d observations: the client has to send every frame, with observe_only "
                "where it wants no actions\n",
                w->horizon);
    served_policy_close(&policy);
    return true;
}
