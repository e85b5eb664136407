// SPDX-License-Identifier: Apache-2.0
// A policy for clients on a network, in openpi's WebSocket protocol. What speaks it (openpi/) is a
// module, for it needs libwebsockets and msgpack-c; what the policy does is this side, which the
// module calls through ServePolicy.
#ifndef TACT_SERVE_SERVE_H
#define TACT_SERVE_SERVE_H

#include "base/error.h"
#include "tact.h"
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

typedef struct ServeOptions {
    // Of the policy, as for tact_open.
    const char *policy_path, *device, *dtype, *dataset;
    int threads;
    // Of the network.
    const char *host;               // "localhost" or a number; where to listen
    int port;                       // 0: one that is free
    const char *token;              // that a client has to show, or NULL
    const char *tls_cert, *tls_key; // PEM files, or NULL: without TLS
    double idle_timeout;            // seconds without a message until a session is closed
    int max_sessions;
    const atomic_int *stop; // not 0: end in order
} ServeOptions;

// What the policy sees and gives, as tact.h has it.
typedef struct ServeWants {
    const tact_camera *cameras; // (n_cameras)
    int n_cameras;
    size_t state_size, env_size, action_size;
    int chunk_size, n_action_steps, horizon;
    double fps; // 0: unknown
} ServeWants;

// The policy, as the module sees it. Everything but wants is called by one thread of the module,
// one call at a time.
typedef struct ServePolicy {
    ServeWants wants;
    void *user;
    // Before the first client: what would make the first prediction slower than others.
    void (*prepare)(void *user);
    // An episode, with a history of its own.
    bool (*open)(void *user, void **episode, Error *err);
    void (*close)(void *episode);
    void (*reset)(void *episode);
    bool (*observe)(void *episode, const tact_observation *o, Error *err);
    // (chunk_size, action_size) from what the episode has seen.
    bool (*predict)(void *episode, double *actions, Error *err);
} ServePolicy;

// What tact_serve, the module made of openpi/, gives.
typedef struct ServeModule {
    // Serves until *stop; what runs then is finished and answered. Error: what kept it from
    // listening.
    bool (*run)(const ServeOptions *options, const ServePolicy *policy, Error *err);
} ServeModule;

// Whether only programs on this machine reach that address.
bool serve_is_loopback(const char *host);
// Whether host, token and TLS files go together.
CHECKED bool serve_check(const ServeOptions *options, Error *err);
// Opens the policy and serves it; returns when *stop is set, or with an error before the first
// client.
CHECKED bool serve_run(const ServeOptions *options, Error *err);
// Opens the policy and prints what a client has to send and what it gets.
CHECKED bool serve_describe(const ServeOptions *options, FILE *out, Error *err);

#endif
