// SPDX-License-Identifier: Apache-2.0
// Encoder and decoder layers as DETR and ACT have them: positions are added to queries and keys in
// every layer, never to values. pre_norm moves each layer norm in front of its sub-layer.
#include "model/layers.h"

#include <stdio.h>
#include <string.h>

// ---- feed-forward -----------------------------------------------------------------------------

static FeedForward feed_forward_of(const Params *p, const PolicyConfig *c, const char *layer) {
    char up[160], down[160];
    snprintf(up, sizeof up, "%s.linear1", layer);
    snprintf(down, sizeof down, "%s.linear2", layer);
    bool gelu = strcmp(c->feedforward_activation, "gelu") == 0;
    return (FeedForward){
        .up = linear_of(p, up), .down = linear_of(p, down), .act = gelu ? ACT_GELU : ACT_RELU};
}

static Tensor feed_forward_forward(Net *net, FeedForward *f, Tensor x) {
    Device *d = net->device;
    f->x = x;
    f->pre = net_tensor(net, 3, SHAPE(x.shape[0], x.shape[1], f->up.w.shape[0]));
    linear_forward(net, &f->up, f->pre, x);
    // relu's backward reads its output only, so it may overwrite its input.
    f->hidden = f->act == ACT_GELU && net->train ? net_like(net, f->pre) : f->pre;
    f->drop = net_dropout(net, x.shape[1]);
    d->activation_forward(d, f->hidden, f->pre, f->act, f->drop);
    Tensor y = net_like(net, x);
    linear_forward(net, &f->down, y, f->hidden);
    return y;
}

// dx overwritten or added to.
static void feed_forward_backward(Net *net, FeedForward *f, Tensor dx, Tensor dy, bool accumulate) {
    Device *d = net->device;
    ArenaMark mark = arena_mark(&net->acts);
    Tensor dhidden = net_like(net, f->hidden);
    linear_backward(net, &f->down, dhidden, dy, f->hidden, false);
    d->activation_backward(d, dhidden, dhidden, f->pre, f->hidden, f->act, f->drop);
    linear_backward(net, &f->up, dx, dhidden, f->x, accumulate);
    arena_rewind(&net->acts, mark);
}

// ---- pieces every layer shares ----------------------------------------------------------------

// x + pos over the batch.
static Tensor with_positions(Net *net, Tensor x, Tensor pos) {
    Tensor y = net_like(net, x);
    net->device->add_rows(net->device, y, x, pos);
    return y;
}

// skip + dropout(s), into s.
static Tensor residual_forward(Net *net, Tensor skip, Tensor s, Dropout *drop) {
    *drop = net_dropout(net, s.shape[1]);
    net->device->dropout_add_forward(net->device, s, skip, s, *drop);
    return s;
}

// Backward of self-attention on x with positions: dx (overwritten) and dpos (added to).
static void self_attention_backward(Net *net, Attention *a, Tensor dx, Tensor dpos, Tensor dy) {
    Device *d = net->device;
    ArenaMark mark = arena_mark(&net->acts);
    Tensor dqk = net_like(net, dx);
    attention_layer_backward(net, a, dqk, (Tensor){0}, dx, dy);
    if (dpos.data) d->sum_rows(d, dpos, dqk);
    d->add(d, dx, dx, dqk);
    arena_rewind(&net->acts, mark);
}

// The residual stream's gradient through one sub-layer: d is the gradient after the join; ds is
// what reaches the sub-layer's output.
static Tensor residual_backward(Net *net, Tensor d, Dropout drop) {
    Tensor ds = net_like(net, d);
    net->device->dropout_add_backward(net->device, ds, d, drop);
    return ds;
}

// ---- encoder layer ----------------------------------------------------------------------------

// From the attention's output on, with what the layer was given.
static Tensor encoder_layer_rest(Net *net, EncoderLayer *e, Tensor skip, Tensor attended) {
    Tensor x = residual_forward(net, skip, attended, &e->drop1);
    skip = x;
    x = norm_forward(net, e->pre_norm ? &e->norm2 : &e->norm1, x);
    if (!e->pre_norm) skip = x;
    x = residual_forward(net, skip, feed_forward_forward(net, &e->ff, x), &e->drop2);
    return e->pre_norm ? x : norm_forward(net, &e->norm2, x);
}

static Tensor encoder_layer_forward(Net *net, EncoderLayer *e, Tensor x, Tensor pos,
                                    Tensor key_pad) {
    Tensor skip = x;
    if (e->pre_norm) x = norm_forward(net, &e->norm1, x);
    Tensor xp = with_positions(net, x, pos);
    return encoder_layer_rest(net, e, skip,
                              attention_layer_forward(net, &e->attention, xp, xp, x, key_pad));
}

// d: in dy, out dx; the residual stream's gradient is carried in place.
static void encoder_layer_backward(Net *net, EncoderLayer *e, Tensor d, Tensor dpos) {
    ArenaMark mark = arena_mark(&net->acts);
    Tensor t = net_like(net, d);
    if (e->pre_norm) {
        feed_forward_backward(net, &e->ff, t, residual_backward(net, d, e->drop2), false);
        norm_backward(net, &e->norm2, d, t, true);
        self_attention_backward(net, &e->attention, t, dpos, residual_backward(net, d, e->drop1));
        norm_backward(net, &e->norm1, d, t, true);
    } else {
        norm_backward(net, &e->norm2, d, d, false);
        feed_forward_backward(net, &e->ff, d, residual_backward(net, d, e->drop2), true);
        norm_backward(net, &e->norm1, d, d, false);
        self_attention_backward(net, &e->attention, t, dpos, residual_backward(net, d, e->drop1));
        net->device->add(net->device, d, d, t);
    }
    arena_rewind(&net->acts, mark);
}

void encoder_init(Encoder *e, const Params *p, const PolicyConfig *c, const char *name, int n) {
    *e = (Encoder){.n = n, .layers = TRY_NEW(EncoderLayer, n), .final_norm = c->pre_norm};
    if (!e->layers) {
        device_fail_memory(p->device, "an encoder of %d layers", n);
        e->n = 0;
        return;
    }
    for (int i = 0; i < n; i++) {
        char layer[128], part[160];
        snprintf(layer, sizeof layer, "model.%s.layers.%d", name, i);
        EncoderLayer *l = &e->layers[i];
        l->pre_norm = c->pre_norm;
        snprintf(part, sizeof part, "%s.", layer);
        l->params = params_range(p, part);
        snprintf(part, sizeof part, "%s.self_attn", layer);
        l->attention = attention_of(p, part, c->n_heads);
        l->ff = feed_forward_of(p, c, layer);
        snprintf(part, sizeof part, "%s.norm1", layer);
        l->norm1 = norm_of(p, part);
        snprintf(part, sizeof part, "%s.norm2", layer);
        l->norm2 = norm_of(p, part);
    }
    char norm[128];
    snprintf(norm, sizeof norm, "model.%s.norm", name);
    if (e->final_norm) e->norm = norm_of(p, norm);
}

void encoder_free(Encoder *e) {
    mem_free(e->layers);
    *e = (Encoder){0};
}

// The layers from number `first` on.
static Tensor encoder_rest(Net *net, Encoder *e, int first, Tensor x, Tensor pos, Tensor key_pad) {
    for (int i = first; i < e->n; i++)
        x = encoder_layer_forward(net, &e->layers[i], x, pos, key_pad);
    return e->final_norm ? norm_forward(net, &e->norm, x) : x;
}

Tensor encoder_forward(Net *net, Encoder *e, Tensor x, Tensor pos, Tensor key_pad) {
    return encoder_rest(net, e, 0, x, pos, key_pad);
}

void encoder_project(Net *net, Encoder *e, Tensor qkv, Tensor x) {
    EncoderLayer *l = &e->layers[0];
    if (l->pre_norm) x = norm_forward(net, &l->norm1, x);
    attention_project(net, &l->attention, qkv, x, 0, 3, true);
}

void encoder_keep(Net *net, Encoder *e, Tensor pos) {
    int64_t L = pos.shape[0], D = pos.shape[1];
    // With the values, which are not wanted: a device may keep weights in an order of its own, and
    // these are the rows that encoder_project reads.
    Tensor qkv = net_float(net, 3, SHAPE(1, L, 3 * D));
    attention_project(net, &e->layers[0].attention, qkv, tensor_reshape(pos, 3, SHAPE(1, L, D)), 0,
                      3, false);
    net->device->copy(net->device, tensor_reshape(e->kept, 3, SHAPE(1, L, 2 * D)),
                      tensor_slice(qkv, 2, 0, 2 * D));
}

Tensor encoder_forward_projected(Net *net, Encoder *e, Tensor x, Tensor qk, Tensor v, Tensor pos) {
    EncoderLayer *l = &e->layers[0];
    x = encoder_layer_rest(net, l, x, attention_of_projections(net, &l->attention, qk, v));
    return encoder_rest(net, e, 1, x, pos, (Tensor){0});
}

void encoder_backward(Net *net, Encoder *e, Tensor d, Tensor dpos) {
    if (e->final_norm) norm_backward(net, &e->norm, d, d, false);
    for (int i = e->n - 1; i >= 0; i--) {
        encoder_layer_backward(net, &e->layers[i], d, dpos);
        net_grads_ready(net, e->layers[i].params);
    }
}

// ---- decoder layer ----------------------------------------------------------------------------

// x after its self-attention.
static Tensor decoder_self_forward(Net *net, DecoderLayer *l, Tensor x, Tensor query_pos) {
    Tensor none = {0}, skip = x;
    if (l->pre_norm) x = norm_forward(net, &l->norm1, x);
    Tensor xp = with_positions(net, x, query_pos);
    return residual_forward(net, skip, attention_layer_forward(net, &l->self, xp, xp, x, none),
                            &l->drop1);
}

// What the cross-attention's queries are made of; *x becomes what its output is added to.
static Tensor decoder_cross_input(Net *net, DecoderLayer *l, Tensor *x, Tensor query_pos) {
    Tensor normed = norm_forward(net, l->pre_norm ? &l->norm2 : &l->norm1, *x);
    if (!l->pre_norm) *x = normed;
    return with_positions(net, normed, query_pos);
}

// The rest of the layer, from the cross-attention's output on.
static Tensor decoder_layer_rest(Net *net, DecoderLayer *l, Tensor skip, Tensor attended) {
    Tensor x = residual_forward(net, skip, attended, &l->drop2);
    skip = x;
    x = norm_forward(net, l->pre_norm ? &l->norm3 : &l->norm2, x);
    if (!l->pre_norm) skip = x;
    x = residual_forward(net, skip, feed_forward_forward(net, &l->ff, x), &l->drop3);
    return l->pre_norm ? x : norm_forward(net, &l->norm3, x);
}

// x after its self-attention to the end of the layer.
static Tensor decoder_cross_forward(Net *net, DecoderLayer *l, Tensor x, Tensor query_pos,
                                    Tensor memory, Tensor memory_pos) {
    Tensor xp = decoder_cross_input(net, l, &x, query_pos);
    return decoder_layer_rest(
        net, l, x, attention_layer_forward(net, &l->cross, xp, memory_pos, memory, (Tensor){0}));
}

// Backward of cross-attention from x (with positions) into memory: dx overwritten, the rest added.
static void cross_attention_backward(Net *net, Attention *a, Tensor dx, Tensor dquery_pos,
                                     Tensor dmemory, Tensor dmemory_pos, Tensor dy) {
    Device *d = net->device;
    ArenaMark mark = arena_mark(&net->acts);
    Tensor dk = net_like(net, dmemory), dv = net_like(net, dmemory);
    attention_layer_backward(net, a, dx, dk, dv, dy);
    d->sum_rows(d, dquery_pos, dx);
    d->add(d, dmemory_pos, dmemory_pos, dk);
    d->add(d, dmemory, dmemory, dv);
    arena_rewind(&net->acts, mark);
}

static void decoder_layer_backward(Net *net, DecoderLayer *l, Tensor d, Tensor dquery_pos,
                                   Tensor dmemory, Tensor dmemory_pos) {
    ArenaMark mark = arena_mark(&net->acts);
    Tensor t = net_like(net, d);
    if (l->pre_norm) {
        feed_forward_backward(net, &l->ff, t, residual_backward(net, d, l->drop3), false);
        norm_backward(net, &l->norm3, d, t, true);
        cross_attention_backward(net, &l->cross, t, dquery_pos, dmemory, dmemory_pos,
                                 residual_backward(net, d, l->drop2));
        norm_backward(net, &l->norm2, d, t, true);
        self_attention_backward(net, &l->self, t, dquery_pos, residual_backward(net, d, l->drop1));
        norm_backward(net, &l->norm1, d, t, true);
    } else {
        Device *dev = net->device;
        norm_backward(net, &l->norm3, d, d, false);
        feed_forward_backward(net, &l->ff, d, residual_backward(net, d, l->drop3), true);
        norm_backward(net, &l->norm2, d, d, false);
        cross_attention_backward(net, &l->cross, t, dquery_pos, dmemory, dmemory_pos,
                                 residual_backward(net, d, l->drop2));
        dev->add(dev, d, d, t);
        norm_backward(net, &l->norm1, d, d, false);
        self_attention_backward(net, &l->self, t, dquery_pos, residual_backward(net, d, l->drop1));
        dev->add(dev, d, d, t);
    }
    arena_rewind(&net->acts, mark);
}

void decoder_init(Decoder *dec, const Params *p, const PolicyConfig *c) {
    *dec =
        (Decoder){.n = c->n_decoder_layers, .layers = TRY_NEW(DecoderLayer, c->n_decoder_layers)};
    if (!dec->layers) {
        device_fail_memory(p->device, "a decoder of %d layers", dec->n);
        dec->n = 0;
        return;
    }
    for (int i = 0; i < dec->n; i++) {
        char layer[128], part[160];
        snprintf(layer, sizeof layer, "model.decoder.layers.%d", i);
        DecoderLayer *l = &dec->layers[i];
        l->pre_norm = c->pre_norm;
        snprintf(part, sizeof part, "%s.", layer);
        l->params = params_range(p, part);
        snprintf(part, sizeof part, "%s.self_attn", layer);
        l->self = attention_of(p, part, c->n_heads);
        snprintf(part, sizeof part, "%s.multihead_attn", layer);
        l->cross = attention_of(p, part, c->n_heads);
        l->ff = feed_forward_of(p, c, layer);
        Norm *norms[] = {&l->norm1, &l->norm2, &l->norm3};
        for (int n = 0; n < 3; n++) {
            snprintf(part, sizeof part, "%s.norm%d", layer, n + 1);
            *norms[n] = norm_of(p, part);
        }
    }
    dec->norm = norm_of(p, "model.decoder.norm");
}

void decoder_free(Decoder *dec) {
    mem_free(dec->layers);
    *dec = (Decoder){0};
}

void decoder_keep(Net *net, Decoder *dec, Tensor query_pos) {
    DecoderLayer *l = &dec->layers[0];
    Tensor queries = net_tensor(net, 3, dec->kept.shape);
    net->device->zero(net->device, queries);
    Tensor x = decoder_self_forward(net, l, queries, query_pos);
    Tensor xp = decoder_cross_input(net, l, &x, query_pos);
    net->device->copy(net->device, dec->kept, x);
    attention_project(net, &l->cross, dec->kept_q, xp, 0, 1, true);
}

// The first layer.
static Tensor decoder_first(Net *net, Decoder *dec, Tensor queries, Tensor query_pos, Tensor memory,
                            Tensor memory_pos) {
    DecoderLayer *l = &dec->layers[0];
    if (!dec->kept.data)
        return decoder_cross_forward(net, l, decoder_self_forward(net, l, queries, query_pos),
                                     query_pos, memory, memory_pos);
    return decoder_layer_rest(
        net, l, dec->kept, attention_of_queries(net, &l->cross, dec->kept_q, memory_pos, memory));
}

Tensor decoder_forward(Net *net, Decoder *dec, Tensor queries, Tensor query_pos, Tensor memory,
                       Tensor memory_pos) {
    Tensor x = decoder_first(net, dec, queries, query_pos, memory, memory_pos);
    for (int i = 1; i < dec->n; i++) {
        DecoderLayer *l = &dec->layers[i];
        x = decoder_self_forward(net, l, x, query_pos);
        x = decoder_cross_forward(net, l, x, query_pos, memory, memory_pos);
    }
    return norm_forward(net, &dec->norm, x);
}

void decoder_backward(Net *net, Decoder *dec, Tensor d, Tensor dquery_pos, Tensor dmemory,
                      Tensor dmemory_pos) {
    norm_backward(net, &dec->norm, d, d, false);
    for (int i = dec->n - 1; i >= 0; i--) {
        decoder_layer_backward(net, &dec->layers[i], d, dquery_pos, dmemory, dmemory_pos);
        net_grads_ready(net, dec->layers[i].params);
    }
}
