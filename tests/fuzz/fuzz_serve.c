// SPDX-License-Identifier: Apache-2.0
// Any bytes as a message to tact serve: it is refused, or every pixel and number that it is said to
// hold can be read.
#include "serve/openpi/message.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Two cameras of one name's ending, so that names have something to be mistaken for.
static const tact_camera cameras[] = {{sizeof(tact_camera), "observation.images.front", 4, 6},
                                      {sizeof(tact_camera), "observation.images.left.front", 2, 3}};
static const ServeWants wants = {.cameras = cameras,
                                 .n_cameras = 2,
                                 .state_size = 3,
                                 .env_size = 2,
                                 .action_size = 2,
                                 .chunk_size = 5,
                                 .horizon = 1};

static volatile double kept; // so that what is read is not left out

static double sum(const double *values, size_t n) {
    double total = 0;
    for (size_t i = 0; i < n; i++) total += values[i];
    return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static MessageReader *reader;
    Message m;
    Error err;
    if (!reader) reader = message_reader_new(&wants);
    if (!message_read(reader, data, size, &m, &err)) {
        if (!err.text[0]) abort();
        return 0;
    }
    if (!m.sees) return 0;
    const tact_observation *o = &m.observation;
    if (o->state_size == wants.state_size) kept = sum(o->state, o->state_size);
    if (o->env_size == wants.env_size) kept = sum(o->env, o->env_size);
    for (size_t i = 0; i < o->n_images; i++) {
        const tact_image *image = &o->images[i];
        size_t bytes = (size_t)image->height * (size_t)image->width * 3, total = 0;
        for (size_t k = 0; k < bytes; k++) total += image->rgb[k];
        kept = (double)total;
    }
    return 0;
}
