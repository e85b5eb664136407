// SPDX-License-Identifier: Apache-2.0
// Three of the device's ops are replaced by ones that look and call the others.
#include "ops/watch.h"

#include "base/memory.h"

// A convolution and the weights that it was given last.
typedef struct Loaded {
    const Conv *conv;
    Tensor w;
} Loaded;

struct Watch {
    ProductSeen *seen;
    void *user;
    void (*linear_forward)(Device *, Tensor, Tensor, Tensor, Tensor);
    void (*conv_load)(Device *, Conv *, Tensor, Tensor, Tensor);
    void (*conv_forward)(Device *, Conv *, Tensor, Tensor, Tensor);
    Loaded *loaded;
    int n, room;
};

static void watched_linear_forward(Device *d, Tensor y, Tensor x, Tensor w, Tensor b) {
    if (!d->failed) d->watch->seen(d->watch->user, w, x);
    d->watch->linear_forward(d, y, x, w, b);
}

// The place of a convolution; NULL (and failed) without memory for a new one.
static Loaded *place_of(Device *d, const Conv *conv) {
    struct Watch *s = d->watch;
    for (int i = 0; i < s->n; i++)
        if (s->loaded[i].conv == conv) return &s->loaded[i];
    if (s->n == s->room) {
        const int room = s->room ? 2 * s->room : 64;
        Loaded *more = TRY_NEW(Loaded, room);
        if (!more) {
            device_fail_memory(d, "a table of convolutions");
            return NULL;
        }
        for (int i = 0; i < s->n; i++) more[i] = s->loaded[i];
        mem_free(s->loaded);
        s->loaded = more;
        s->room = room;
    }
    s->loaded[s->n] = (Loaded){.conv = conv};
    return &s->loaded[s->n++];
}

static void watched_conv_load(Device *d, Conv *c, Tensor w, Tensor scale, Tensor shift) {
    Loaded *place = place_of(d, c);
    if (place) place->w = w;
    d->watch->conv_load(d, c, w, scale, shift);
}

static void watched_conv_forward(Device *d, Conv *c, Tensor y, Tensor x, Tensor residual) {
    struct Watch *s = d->watch;
    for (int i = 0; !d->failed && i < s->n; i++)
        if (s->loaded[i].conv == c) s->seen(s->user, s->loaded[i].w, x);
    s->conv_forward(d, c, y, x, residual);
}

bool watch_products(Device *d, ProductSeen *seen, void *user, Error *err) {
    if (!d->backend->host_memory || d->precision != PRECISION_FLOAT32)
        return fail(err, "products are looked at on the cpu in float32");
    d->watch = TRY_NEW(struct Watch, 1);
    if (!d->watch) return fail_memory(err, "a look at products");
    *d->watch = (struct Watch){.seen = seen,
                               .user = user,
                               .linear_forward = d->linear_forward,
                               .conv_load = d->conv_load,
                               .conv_forward = d->conv_forward};
    d->linear_forward = watched_linear_forward;
    d->conv_load = watched_conv_load;
    d->conv_forward = watched_conv_forward;
    return true;
}

void watch_stop(Device *d) {
    struct Watch *s = d->watch;
    if (!s) return;
    d->linear_forward = s->linear_forward;
    d->conv_load = s->conv_load;
    d->conv_forward = s->conv_forward;
    mem_free(s->loaded);
    mem_free(s);
    d->watch = NULL;
}
