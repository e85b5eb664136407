// SPDX-License-Identifier: Apache-2.0
// From frames to tokens: a ResNet for every size of frame, the projection, and the tokens' places
// among all. Token order does not depend on sizes: camera 0's tokens of all times, then camera 1's.
#include "model/act_internal.h"

// ---- planning ---------------------------------------------------------------------------------

// Puts every camera into the group of its size. Groups stand in the order of their first cameras.
static void group_cameras(Act *a) {
    const PolicyConfig *c = &a->config;
    for (int i = 0; i < c->n_cameras; i++) {
        const CameraConfig *camera = &c->cameras[i];
        int at = 0;
        while (at < a->n_groups && (a->groups[at].height != camera->image_height ||
                                    a->groups[at].width != camera->image_width))
            at++;
        ImageGroup *g = &a->groups[at];
        if (at == a->n_groups) {
            a->n_groups++;
            g->height = camera->image_height;
            g->width = camera->image_width;
        }
        a->camera_tokens[i] = (CameraTokens){.group = at, .place = g->n_cameras};
        g->cameras[g->n_cameras++] = i;
    }
}

bool act_plan_images(Act *a, bool one, Error *err) {
    const PolicyConfig *c = &a->config;
    group_cameras(a);
    for (int i = 0; i < a->n_groups; i++) {
        ImageGroup *g = &a->groups[i];
        g->images = one ? 1 : (int64_t)g->n_cameras * a->batch * c->obs_state_horizon;
        if (!resnet_new(a->device, a->params, c, g->images, g->height, g->width, a->train,
                        &g->resnet, err))
            return false;
        resnet_output(g->resnet, &a->feature_c, &g->feature_h, &g->feature_w);
    }
    return true;
}

// ---- inputs -----------------------------------------------------------------------------------

typedef void Transfer(Device *d, void *to, const void *host, size_t bytes);

static void transfer(Act *a, Transfer *how, Tensor t, const void *host) {
    how(a->device, t.data, host, (size_t)tensor_count(t) * dtype_size(t.dtype));
}

// Of a group's images, or of what is made of them, one camera's: (B * T, ...) of (cameras * B * T,
// ...).
static Tensor of_camera(const Act *a, Tensor all, int place) {
    int64_t n = (int64_t)a->batch * a->config.obs_state_horizon;
    return tensor_slice(all, 0, place * n, n);
}

void act_stage_images(Act *a, const uint8_t *const *images) {
    for (int i = 0; i < a->config.n_cameras; i++) {
        const CameraTokens *t = &a->camera_tokens[i];
        transfer(a, a->device->stage, of_camera(a, a->groups[t->group].frames, t->place),
                 images[i]);
    }
}

// Normalised images of a group, IMAGE (cameras * B * T, 3, h, w). in NULL: the staged frames.
static Tensor load_images(Act *a, const ImageGroup *g, const ActInput *in) {
    Device *d = a->device;
    Tensor x = arena_image(&a->net.acts, g->images, 3, g->height, g->width);
    if (!in || in->images) {
        for (int i = 0; i < g->n_cameras; i++) {
            const ImageStats *stats = &a->image_stats[g->cameras[i]];
            d->image_normalize(d, of_camera(a, x, i), of_camera(a, g->frames, i), stats->mean,
                               stats->std);
        }
        return x;
    }
    Tensor plain = net_float(&a->net, 4, SHAPE(g->images, 3, g->height, g->width));
    for (int i = 0; i < g->n_cameras; i++)
        transfer(a, d->upload, of_camera(a, plain, i), in->image_floats[g->cameras[i]]);
    d->image_from_plain(d, x, plain);
    return x;
}

// ---- tokens -----------------------------------------------------------------------------------

// Image tokens of one camera, (B, T*h'*w', D), within its group's (cameras*B*T, h'*w', D).
static Tensor camera_tokens(const Act *a, Tensor all, int place) {
    int64_t n = a->config.obs_state_horizon * all.shape[1];
    return tensor_reshape(of_camera(a, all, place), 3, SHAPE(a->batch, n, all.shape[2]));
}

static Tensor camera_slots(const Act *a, Tensor x, int camera) {
    const CameraTokens *t = &a->camera_tokens[camera];
    return tensor_slice(x, 1, t->start, a->config.obs_state_horizon * t->cells);
}

// Normalised images, IMAGE (N, 3, h, w), to tokens (N, h'*w', D).
static Tensor frames_forward(Act *a, ImageGroup *g, Tensor images) {
    Device *d = a->device;
    Net *net = &a->net;
    Tensor map = resnet_forward(net, g->resnet, images);
    int64_t N = map.shape[0], cells = g->feature_h * g->feature_w;
    g->features = net_tensor(net, 3, SHAPE(N, cells, a->feature_c));
    d->tokens_from_image(d, g->features, map);
    Tensor y = net_tensor(net, 3, SHAPE(N, cells, a->config.dim_model));
    d->linear_forward(d, y, g->features, a->image_proj.w, a->image_proj.b);
    return y;
}

static void image_tokens_forward(Act *a, ImageGroup *g, const ActInput *in, Tensor x) {
    Tensor y = frames_forward(a, g, load_images(a, g, in));
    for (int i = 0; i < g->n_cameras; i++)
        a->device->copy(a->device, camera_slots(a, x, g->cameras[i]), camera_tokens(a, y, i));
}

// The tokens of a slot, (1, h'*w', D) of a frame of this camera.
static Tensor slot_of(const Act *a, int slot, int camera) {
    Tensor t = tensor_slice(a->slot_tokens, 0, slot, 1);
    return tensor_slice(t, 1, 0, a->camera_tokens[camera].cells);
}

// The same from frames that were encoded before.
static void slot_tokens_forward(Act *a, Tensor x) {
    int T = a->config.obs_state_horizon;
    for (int i = 0; i < a->config.n_cameras; i++) {
        const CameraTokens *tokens = &a->camera_tokens[i];
        for (int t = 0; t < T; t++)
            a->device->copy(a->device,
                            tensor_slice(x, 1, tokens->start + t * tokens->cells, tokens->cells),
                            slot_of(a, a->slots[i * T + t], i));
    }
}

static void image_tokens_backward(Act *a, ImageGroup *g, Tensor dx) {
    Device *d = a->device;
    Net *net = &a->net;
    int64_t N = g->features.shape[0], cells = g->features.shape[1];
    Tensor dy = net_tensor(net, 3, SHAPE(N, cells, a->config.dim_model));
    for (int i = 0; i < g->n_cameras; i++)
        d->copy(d, camera_tokens(a, dy, i), camera_slots(a, dx, g->cameras[i]));
    Tensor dfeatures = net_like(net, g->features);
    d->linear_backward(d, dfeatures, a->image_proj.dw, a->image_proj.db, dy, g->features,
                       a->image_proj.w, false);
    Tensor dmap = arena_image(&net->acts, N, a->feature_c, g->feature_h, g->feature_w);
    d->image_from_tokens(d, dmap, dfeatures);
    resnet_backward(net, g->resnet, dmap);
}

void act_image_tokens(Act *a, const ActInput *in, Tensor x) {
    if (a->slot_tokens.data) {
        slot_tokens_forward(a, x);
        return;
    }
    for (int i = 0; i < a->n_groups; i++) image_tokens_forward(a, &a->groups[i], in, x);
}

void act_image_tokens_backward(Act *a, Tensor dx) {
    for (int i = 0; i < a->n_groups; i++) image_tokens_backward(a, &a->groups[i], dx);
}

bool act_encode_frame(Act *a, int camera, const uint8_t *frame, int slot, Error *err) {
    Device *d = a->device;
    ImageGroup *g = &a->groups[a->camera_tokens[camera].group];
    const ImageStats *stats = &a->image_stats[camera];
    act_begin_step(a, false, 0, 0);
    transfer(a, d->stage, g->frames, frame);
    d->staged(d);
    Tensor x = arena_image(&a->net.acts, 1, 3, g->height, g->width);
    d->image_normalize(d, x, g->frames, stats->mean, stats->std);
    d->copy(d, slot_of(a, slot, camera), frames_forward(a, g, x));
    return device_check(d, err);
}
