// SPDX-License-Identifier: Apache-2.0
// Any bytes as a message to tact serve: it is refused, or every pixel and number that it is said to
// hold can be read.
#include "driver.h"
#include "serve/openpi/message.h"
#include <stdlib.h>

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

void fuzz_input(const uint8_t *data, size_t size) {
    static MessageReader *reader;
    Message m;
    Error err = {""};
    if (!reader) reader = message_reader_new(&wants);
    if (!fuzz_ok(message_read(reader, data, size, &m, &err), &err) || !m.sees) return;
    const tact_observation *o = &m.observation;
    if (o->state_size == wants.state_size)
        fuzz_use_bytes(o->state, o->state_size * sizeof *o->state);
    if (o->env_size == wants.env_size) fuzz_use_bytes(o->env, o->env_size * sizeof *o->env);
    for (size_t i = 0; i < o->n_images; i++) {
        const tact_image *image = &o->images[i];
        fuzz_use_bytes(image->rgb, (size_t)image->height * (size_t)image->width * 3);
    }
}
