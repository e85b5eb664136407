// SPDX-License-Identifier: Apache-2.0
// What tests of the server's messages share: a policy's wishes, and messages as openpi-client packs
// them.
#ifndef TACT_TESTS_SERVE_MESSAGES_H
#define TACT_TESTS_SERVE_MESSAGES_H

#include "serve/openpi/message.h"
#include <string.h>

enum { HEIGHT = 4, WIDTH = 6, PIXELS = HEIGHT * WIDTH, STATE = 3, ACTION = 2, CHUNK = 5 };

static const tact_camera the_cameras[] = {
    {sizeof(tact_camera), "observation.images.front", HEIGHT, WIDTH},
    {sizeof(tact_camera), "observation.images.wrist", HEIGHT, WIDTH}};
static const ServeWants the_wants = {.cameras = the_cameras,
                                     .n_cameras = 2,
                                     .state_size = STATE,
                                     .action_size = ACTION,
                                     .chunk_size = CHUNK,
                                     .n_action_steps = CHUNK,
                                     .horizon = 1,
                                     .fps = 30};

typedef struct Packed {
    msgpack_sbuffer bytes;
    msgpack_packer to;
} Packed;

static inline void packed_begin(Packed *p, size_t members) {
    msgpack_sbuffer_init(&p->bytes);
    msgpack_packer_init(&p->to, &p->bytes, msgpack_sbuffer_write);
    msgpack_pack_map(&p->to, members);
}

static inline void packed_free(Packed *p) {
    msgpack_sbuffer_destroy(&p->bytes);
}

static inline void put_key(Packed *p, const char *key) {
    msgpack_pack_str_with_body(&p->to, key, strlen(key));
}

static inline void put_bytes(Packed *p, const char *bytes) {
    msgpack_pack_bin_with_body(&p->to, bytes, strlen(bytes));
}

// An array of NumPy's; shape has n numbers, data as many bytes as are said.
static inline void put_array(Packed *p, const char *key, const char *dtype, const size_t *shape,
                             size_t n, const void *data, size_t bytes) {
    put_key(p, key);
    msgpack_pack_map(&p->to, 4);
    put_bytes(p, "__ndarray__");
    msgpack_pack_true(&p->to);
    put_bytes(p, "data");
    msgpack_pack_bin_with_body(&p->to, data, bytes);
    put_bytes(p, "dtype");
    put_key(p, dtype);
    put_bytes(p, "shape");
    msgpack_pack_array(&p->to, n);
    for (size_t i = 0; i < n; i++) msgpack_pack_uint64(&p->to, shape[i]);
}

static inline void put_image(Packed *p, const char *key, const uint8_t *pixels) {
    put_array(p, key, "|u1", (const size_t[]){HEIGHT, WIDTH, 3}, 3, pixels, 3 * PIXELS);
}

static inline void put_state(Packed *p, const char *key, const double *state) {
    put_array(p, key, "<f8", (const size_t[]){STATE}, 1, state, STATE * sizeof *state);
}

#endif
