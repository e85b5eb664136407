// SPDX-License-Identifier: Apache-2.0
#include "model/frame_norms.h"

#include "model/layers.h"

// The cameras whose frames have the size of the first one's.
static int cameras_of_first_size(const PolicyConfig *c, int *cameras) {
    int n = 0;
    for (int i = 0; i < c->n_cameras; i++)
        if (c->cameras[i].image_height == c->cameras[0].image_height &&
            c->cameras[i].image_width == c->cameras[0].image_width)
            cameras[n++] = i;
    return n;
}

bool frame_norms_fill(Device *d, const PolicyConfig *c, Params *p, const uint8_t *const *frames,
                      int n, const ImageStats *images, Error *err) {
    int cameras[MAX_CAMERAS];
    const int n_cameras = cameras_of_first_size(c, cameras);
    const int64_t N = (int64_t)n_cameras * n;
    const int64_t h = c->cameras[0].image_height, w = c->cameras[0].image_width;
    Net net = {.device = d, .acts.device = d};
    ResNet *r = NULL;
    bool ok = resnet_new(d, p, c, N, h, w, false, &r, err);
    if (ok) {
        Tensor bytes = arena_tensor(&net.acts, DTYPE_U8, 4, SHAPE(n, h, w, 3));
        Tensor x = arena_image(&net.acts, N, 3, h, w);
        for (int i = 0; i < n_cameras && !d->failed; i++) {
            const ImageStats *stats = &images[cameras[i]];
            d->upload(d, bytes.data, frames[cameras[i]], (size_t)tensor_count(bytes));
            d->image_normalize(d, tensor_slice(x, 0, (int64_t)i * n, n), bytes, stats->mean,
                               stats->std);
        }
        if (!d->failed) resnet_take_norms(&net, r, p, x);
        ok = device_check(d, err);
    }
    resnet_free(r);
    tensor_arena_free(&net.acts);
    return ok;
}
