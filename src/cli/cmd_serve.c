// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"
#include "cli/stop.h"
#include "policy/policy_locate.h"
#include "serve/serve.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Serve {
    ServeOptions options;
    int64_t port, threads, idle_timeout, max_sessions;
    bool dry_run;
} Serve;

static const Serve defaults = {
    .options = {.host = "127.0.0.1"}, .port = 8000, .idle_timeout = 600, .max_sessions = 64};

enum { MOST_OPTIONS = 16 };

// The flags, whose values go into *s; returns how many there are.
static int list_options(Serve *s, Option options[MOST_OPTIONS]) {
    ServeOptions *o = &s->options;
    const Option all[] = {
        {"policy.path", OPTION_TEXT, &o->policy_path, 0, 0, NULL,
         "training run, checkpoint or pretrained_model"},
        {"host", OPTION_TEXT, &o->host, 0, 0, NULL,
         "the address to listen on; 0.0.0.0: every one of this machine, which needs a token"},
        {"port", OPTION_INT, &s->port, 0, 65535, NULL, "0: one that is free, which the log names"},
        {"token", OPTION_TEXT, &o->token, 0, 0, NULL,
         "what a client has to show (api_key of openpi-client); better in the environment, as "
         "TACT_SERVE_TOKEN, where other users do not see it"},
        {"tls_cert", OPTION_TEXT, &o->tls_cert, 0, 0, NULL,
         "PEM file of a certificate and those above it: clients connect with wss://"},
        {"tls_key", OPTION_TEXT, &o->tls_key, 0, 0, NULL, "PEM file of its key"},
        {"idle_timeout", OPTION_INT, &s->idle_timeout, 1, 86400, NULL,
         "seconds without a message until a session is closed"},
        {"max_sessions", OPTION_INT, &s->max_sessions, 1, 1024, NULL,
         "clients at a time; each has a history of its own, and all share the weights"},
        {"policy.device", OPTION_TEXT, &o->device, 0, 0, NULL,
         "what computes; cpu where it is left out"},
        {"policy.dtype", OPTION_TEXT, &o->dtype, 0, 0, NULL,
         "its arithmetic: float32, tf32 (cuda), bfloat16 or, after `tact calibrate`, int8 (cpu)"},
        {"threads", OPTION_INT, &s->threads, 0, 4096, NULL, "compute threads; 0: all processors"},
        {"dataset.root", OPTION_TEXT, &o->dataset, 0, 0, NULL,
         "folder of a dataset whose statistics are taken where the checkpoint has none"},
        {"dry_run", OPTION_BOOL, &s->dry_run, 0, 0, NULL,
         "print what a client has to send and what it gets, and end"},
    };
    _Static_assert(sizeof all / sizeof all[0] <= MOST_OPTIONS, "room for the flags");
    memcpy(options, all, sizeof all);
    return sizeof all / sizeof all[0];
}

void describe_serve(const PageWriter *w) {
    Serve s = defaults;
    Option options[MOST_OPTIONS];
    page_usage(w, "serve --policy.path=CHECKPOINT [--flag=value ...]");
    page_text(w,
              "Loads a policy once and gives actions to clients that speak openpi's WebSocket "
              "protocol, as openpi-client from PyPI does: a client connects, is told what the "
              "policy wants, and gets for each observation a chunk of actions. An observation is a "
              "dictionary of NumPy arrays with the policy's names (observation.images.front) or "
              "what ends like them (front, images/front, observation/state); --dry_run prints "
              "them. Every connection is an episode of its own.");
    page_options(w, options, list_options(&s, options));
    page_text(w, "Listens on this machine alone unless --host says otherwise. GET /healthz answers "
                 "OK. Ends in order at SIGTERM and SIGINT: what is being predicted is still "
                 "answered.");
}

// ---- the command --------------------------------------------------------------------------------

static int serve(Serve *s) {
    Error err;
    char dir[POLICY_PATH];
    ServeOptions *o = &s->options;
    o->port = (int)s->port;
    o->threads = (int)s->threads;
    o->idle_timeout = (double)s->idle_timeout;
    o->max_sessions = (int)s->max_sessions;
    o->stop = stop_signal;
    if (!serve_check(o, &err)) return cli_error(&err, EXIT_USAGE);
    if (!policy_resolve(o->policy_path, dir, &err)) return cli_error(&err, EXIT_ERROR);
    o->policy_path = dir;
    if (!s->dry_run) stop_catch(NULL);
    bool ok = s->dry_run ? serve_describe(o, stdout, &err) : serve_run(o, &err);
    return ok ? EXIT_OK : cli_error(&err, EXIT_ERROR);
}

int cmd_serve(int argc, char **argv) {
    Serve s = defaults;
    Option options[MOST_OPTIONS];
    const int count = list_options(&s, options);
    Error err;
    const char *token = getenv("TACT_SERVE_TOKEN");
    if (token && *token) s.options.token = token;
    if (!options_take(options, count, &argc, argv, &err) ||
        !options_none_left(options, count, argc, argv, &err))
        return cli_error(&err, EXIT_USAGE);
    if (!s.options.policy_path) {
        (void)fail(&err, "no policy given; name a training run or a checkpoint with --policy.path");
        return cli_error(&err, EXIT_USAGE);
    }
    return serve(&s);
}
