// SPDX-License-Identifier: Apache-2.0
#include "serve/openpi/message.h"

#include <string.h>

static void begin(msgpack_packer *pk, msgpack_sbuffer *out, size_t head) {
    static const char zeros[64];
    msgpack_sbuffer_clear(out);
    for (size_t n = 0; head; head -= n) {
        n = head < sizeof zeros ? head : sizeof zeros;
        msgpack_sbuffer_write(out, zeros, n);
    }
    msgpack_packer_init(pk, out, msgpack_sbuffer_write);
}

static void pack_text(msgpack_packer *pk, const char *text) {
    msgpack_pack_str_with_body(pk, text, strlen(text));
}

static void pack_bytes(msgpack_packer *pk, const char *text) {
    msgpack_pack_bin_with_body(pk, text, strlen(text));
}

static void pack_number(msgpack_packer *pk, const char *key, double value) {
    pack_text(pk, key);
    msgpack_pack_double(pk, value);
}

static void pack_whole(msgpack_packer *pk, const char *key, size_t value) {
    pack_text(pk, key);
    msgpack_pack_uint64(pk, value);
}

// A feature of that shape: {"dtype", "shape"}.
static void pack_feature(msgpack_packer *pk, const char *name, const char *dtype,
                         const size_t *shape, size_t n) {
    pack_text(pk, name);
    msgpack_pack_map(pk, 2);
    pack_text(pk, "dtype");
    pack_text(pk, dtype);
    pack_text(pk, "shape");
    msgpack_pack_array(pk, n);
    for (size_t i = 0; i < n; i++) msgpack_pack_uint64(pk, shape[i]);
}

void message_write_metadata(msgpack_sbuffer *out, size_t head, const ServeWants *w) {
    msgpack_packer pk;
    begin(&pk, out, head);
    msgpack_pack_map(&pk, 7);
    pack_text(&pk, "server");
    pack_text(&pk, "tact " TACT_VERSION);
    pack_text(&pk, "observation");
    msgpack_pack_map(&pk, (size_t)w->n_cameras + (w->state_size > 0) + (w->env_size > 0));
    for (int i = 0; i < w->n_cameras; i++) {
        const tact_camera *c = &w->cameras[i];
        const size_t shape[] = {(size_t)c->height, (size_t)c->width, 3};
        pack_feature(&pk, c->name, "uint8", shape, 3);
    }
    if (w->state_size) pack_feature(&pk, "observation.state", "float64", &w->state_size, 1);
    if (w->env_size) pack_feature(&pk, "observation.environment_state", "float64", &w->env_size, 1);
    pack_whole(&pk, "action_size", w->action_size);
    pack_whole(&pk, "chunk_size", (size_t)w->chunk_size);
    pack_whole(&pk, "n_action_steps", (size_t)w->n_action_steps);
    pack_whole(&pk, "observations", (size_t)w->horizon);
    pack_number(&pk, "fps", w->fps);
}

// The bytes of doubles are little-endian on all machines that tact is built for.
static void pack_doubles(msgpack_packer *pk, const double *values, size_t rows, size_t columns) {
    msgpack_pack_map(pk, 4);
    pack_bytes(pk, "__ndarray__");
    msgpack_pack_true(pk);
    pack_bytes(pk, "data");
    msgpack_pack_bin_with_body(pk, values, rows * columns * sizeof *values);
    pack_bytes(pk, "dtype");
    pack_text(pk, "<f8");
    pack_bytes(pk, "shape");
    msgpack_pack_array(pk, 2);
    msgpack_pack_uint64(pk, rows);
    msgpack_pack_uint64(pk, columns);
}

void message_write_reply(msgpack_sbuffer *out, size_t head, const ServeWants *w,
                         const double *actions, double infer_ms, double previous_ms) {
    msgpack_packer pk;
    begin(&pk, out, head);
    msgpack_pack_map(&pk, actions ? 2 : 1);
    if (actions) {
        pack_text(&pk, "actions");
        pack_doubles(&pk, actions, (size_t)w->chunk_size, w->action_size);
    }
    pack_text(&pk, "server_timing");
    msgpack_pack_map(&pk, previous_ms < 0 ? 1 : 2);
    pack_number(&pk, "infer_ms", infer_ms);
    if (previous_ms >= 0) pack_number(&pk, "prev_total_ms", previous_ms);
}

void message_write_error(msgpack_sbuffer *out, size_t head, const char *text) {
    msgpack_packer pk;
    begin(&pk, out, head);
    for (const char *p = text; *p; p++) {
        char c = *p >= ' ' && *p <= '~' ? *p : '?';
        msgpack_sbuffer_write(out, &c, 1);
    }
}
