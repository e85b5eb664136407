// SPDX-License-Identifier: Apache-2.0
#include "model/image_tokens.h"

// ---- planning ---------------------------------------------------------------------------------

// Puts every camera into the group of its size. Groups stand in the order of their first cameras.
static void group_cameras(ImageTokens *t) {
    const PolicyConfig *c = t->config;
    for (int i = 0; i < c->n_cameras; i++) {
        const CameraConfig *camera = &c->cameras[i];
        int at = 0;
        while (at < t->n_groups && (t->groups[at].height != camera->image_height ||
                                    t->groups[at].width != camera->image_width))
            at++;
        ImageGroup *g = &t->groups[at];
        if (at == t->n_groups) {
            t->n_groups++;
            g->height = camera->image_height;
            g->width = camera->image_width;
        }
        t->group_of[i] = at;
        t->place_of[i] = g->n_cameras;
        g->cameras[g->n_cameras++] = i;
    }
}

// A 1x1 convolution is a linear layer on tokens.
static Linear projection_of(const Params *p) {
    Linear l = linear_of(p, "model.encoder_img_feat_input_proj");
    const int64_t *shape = SHAPE(l.w.shape[0], l.w.shape[1]);
    l.w = tensor_reshape(l.w, 2, shape);
    if (l.dw.data) l.dw = tensor_reshape(l.dw, 2, shape);
    return l;
}

bool image_tokens_plan(ImageTokens *t, const Params *p, bool train, bool one, Error *err) {
    const PolicyConfig *c = t->config;
    group_cameras(t);
    for (int i = 0; i < t->n_groups; i++) {
        ImageGroup *g = &t->groups[i];
        g->images = one ? 1 : (int64_t)g->n_cameras * t->batch * c->obs_state_horizon;
        if (!resnet_new(t->net->device, p, c, g->images, g->height, g->width, train, &g->resnet,
                        err))
            return false;
        resnet_output(g->resnet, &t->feature_c, &g->feature_h, &g->feature_w);
    }
    if (c->n_cameras) t->projection = projection_of(p);
    return true;
}

void image_tokens_inputs(ImageTokens *t, TensorArena *fixed) {
    for (int i = 0; i < t->n_groups; i++) {
        ImageGroup *g = &t->groups[i];
        g->frames = arena_tensor(fixed, DTYPE_U8, 4, SHAPE(g->images, g->height, g->width, 3));
    }
}

void image_tokens_free(ImageTokens *t) {
    for (int i = 0; i < t->n_groups; i++) resnet_free(t->groups[i].resnet);
}

void image_tokens_load(ImageTokens *t) {
    for (int i = 0; i < t->n_groups; i++) resnet_load(t->groups[i].resnet);
}

double image_tokens_flops(const ImageTokens *t, bool backward) {
    double total = 0;
    for (int i = 0; i < t->n_groups; i++) total += resnet_flops(t->groups[i].resnet, backward);
    return total;
}

// ---- inputs -----------------------------------------------------------------------------------

typedef void CopyIn(Device *d, void *to, const void *host, size_t bytes);

static void copy_in(Device *d, CopyIn *how, Tensor t, const void *host) {
    how(d, t.data, host, (size_t)tensor_count(t) * dtype_size(t.dtype));
}

// One camera's part (B * T, ...) of a group's images, or of what is made of them, which is
// (cameras * B * T, ...).
static Tensor of_camera(const ImageTokens *t, Tensor all, int place) {
    int64_t n = (int64_t)t->batch * t->config->obs_state_horizon;
    return tensor_slice(all, 0, place * n, n);
}

void image_tokens_stage(ImageTokens *t, const uint8_t *const *images) {
    Device *d = t->net->device;
    for (int i = 0; i < t->config->n_cameras; i++) {
        Tensor frames = t->groups[t->group_of[i]].frames;
        copy_in(d, d->stage, of_camera(t, frames, t->place_of[i]), images[i]);
    }
}

// Normalised images of a group, IMAGE (cameras * B * T, 3, h, w). in NULL: the staged frames.
static Tensor group_images(ImageTokens *t, const ImageGroup *g, const ActInput *in) {
    Device *d = t->net->device;
    Tensor x = arena_image(&t->net->acts, g->images, 3, g->height, g->width);
    if (!in || in->images) {
        for (int i = 0; i < g->n_cameras; i++) {
            const ImageStats *stats = &t->stats[g->cameras[i]];
            d->image_normalize(d, of_camera(t, x, i), of_camera(t, g->frames, i), stats->mean,
                               stats->std);
        }
        return x;
    }
    Tensor plain = net_float(t->net, 4, SHAPE(g->images, 3, g->height, g->width));
    for (int i = 0; i < g->n_cameras; i++)
        copy_in(d, d->upload, of_camera(t, plain, i), in->image_floats[g->cameras[i]]);
    d->image_from_plain(d, x, plain);
    return x;
}

// ---- tokens -----------------------------------------------------------------------------------

// Image tokens of one camera, (B, T*h'*w', D), within its group's (cameras*B*T, h'*w', D).
static Tensor camera_tokens(const ImageTokens *t, Tensor all, int place) {
    int64_t n = t->config->obs_state_horizon * all.shape[1];
    return tensor_reshape(of_camera(t, all, place), 3, SHAPE(t->batch, n, all.shape[2]));
}

// The places of a camera's tokens in x (B, tokens, D).
static Tensor camera_places(const ImageTokens *t, Tensor x, int camera) {
    const CameraTokens *tokens = &t->layout->cameras[camera];
    return tensor_slice(x, 1, tokens->start, t->config->obs_state_horizon * tokens->cells);
}

// Normalised images, IMAGE (N, 3, h, w), to tokens (N, h'*w', D).
static Tensor frames_forward(ImageTokens *t, ImageGroup *g, Tensor images) {
    Net *net = t->net;
    Tensor map = resnet_forward(net, g->resnet, images);
    int64_t N = map.shape[0], cells = g->feature_h * g->feature_w;
    g->features = net_tensor(net, 3, SHAPE(N, cells, t->feature_c));
    net->device->tokens_from_image(net->device, g->features, map);
    Tensor y = net_tensor(net, 3, SHAPE(N, cells, t->config->dim_model));
    linear_forward(net, &t->projection, y, g->features);
    return y;
}

// Gradients of the tokens (N, h'*w', D), to those of the ResNet's parameters.
static void frames_backward(ImageTokens *t, ImageGroup *g, Tensor dy, bool last) {
    Net *net = t->net;
    Tensor dfeatures = net_like(net, g->features);
    linear_backward(net, &t->projection, dfeatures, dy, g->features, false);
    Tensor dmap = arena_image(&net->acts, g->images, t->feature_c, g->feature_h, g->feature_w);
    net->device->image_from_tokens(net->device, dmap, dfeatures);
    resnet_backward(net, g->resnet, dmap, last);
}

static void group_forward(ImageTokens *t, ImageGroup *g, const ActInput *in, Tensor x) {
    Device *d = t->net->device;
    Tensor y = frames_forward(t, g, group_images(t, g, in));
    for (int i = 0; i < g->n_cameras; i++)
        d->copy(d, camera_places(t, x, g->cameras[i]), camera_tokens(t, y, i));
}

static void group_backward(ImageTokens *t, ImageGroup *g, Tensor dx, bool last) {
    Device *d = t->net->device;
    int64_t N = g->features.shape[0], cells = g->features.shape[1];
    Tensor dy = net_tensor(t->net, 3, SHAPE(N, cells, t->config->dim_model));
    for (int i = 0; i < g->n_cameras; i++)
        d->copy(d, camera_tokens(t, dy, i), camera_places(t, dx, g->cameras[i]));
    frames_backward(t, g, dy, last);
}

void image_tokens_forward(ImageTokens *t, const ActInput *in, Tensor x) {
    for (int i = 0; i < t->n_groups; i++) group_forward(t, &t->groups[i], in, x);
}

void image_tokens_backward(ImageTokens *t, Tensor dx) {
    for (int i = 0; i < t->n_groups; i++)
        group_backward(t, &t->groups[i], dx, i + 1 == t->n_groups);
}

void image_tokens_stage_frame(ImageTokens *t, int camera, const uint8_t *frame) {
    Device *d = t->net->device;
    copy_in(d, d->stage, t->groups[t->group_of[camera]].frames, frame);
    d->staged(d);
}

Tensor image_tokens_of_frame(ImageTokens *t, int camera) {
    Device *d = t->net->device;
    ImageGroup *g = &t->groups[t->group_of[camera]];
    const ImageStats *stats = &t->stats[camera];
    Tensor x = arena_image(&t->net->acts, 1, 3, g->height, g->width);
    d->image_normalize(d, x, g->frames, stats->mean, stats->std);
    return frames_forward(t, g, x);
}
