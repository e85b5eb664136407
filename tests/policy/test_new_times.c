// SPDX-License-Identifier: Apache-2.0
// Plain ACT made temporal: two observations where the checkpoint had one. The order of the frames
// must be part of what the policy sees, or a history is worth nothing.
#include "dataset/sample.h"
#include "tact.h"
#include "train/settings.h"
#include "train/train.h"
#include <math.h>

#include "../dataset/fixture.h"

enum { STATE = 6, CHUNK = 4, HEIGHT = 64, WIDTH = 64, PIXELS = HEIGHT * WIDTH * 3 };

typedef struct Runs {
    Arena arena;
    char *dir, *data;
} Runs;

// Runs `tact train` with these flags, which spaces separate, after the usual ones.
static void train(Runs *f, const char *flags) {
    static const char usual[] = "--batch_size=2 --num_workers=0 --threads=1 --log_freq=0 ";
    char *text = arena_printf(&f->arena, "%s--dataset.root=%s %s", usual, f->data, flags);
    char *argv[64];
    int argc = 0;
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) argv[argc++] = word;
    TrainConfig c;
    TrainHooks hooks = {0};
    TrainResult result = {0};
    Error err = {""};
    bool ok = train_settings(&c, argc, argv, 0, &err) && train_run(&c, &hooks, &result, &err);
    train_config_free(&c);
    if (!ok) fail_msg("%s", err.text);
}

static int runs_new(void **state) {
    Runs *f = NEW(Runs, 1);
    f->dir = new_folder(&f->arena);
    f->data = at(&f->arena, f->dir, "data");
    *state = f;
    return 0;
}

static int runs_free(void **state) {
    Runs *f = *state;
    return remove_fixture(f, &f->arena, f->dir);
}

// The chunk that is predicted after two frames with equal states.
static void chunk_after(tact_policy *p, const uint8_t *first, const uint8_t *second, double *out) {
    double joints[STATE] = {0.1, -0.2, 0.3, 0, 0.2, 0.5};
    assert_int_equal(tact_state_size(p), STATE);
    assert_int_equal(tact_reset(p), TACT_OK);
    for (int i = 0; i < 2; i++) {
        tact_image image = {.size = sizeof image};
        image.rgb = i ? second : first;
        image.height = HEIGHT;
        image.width = WIDTH;
        tact_observation now = {.size = sizeof now};
        now.state = joints;
        now.state_size = STATE;
        now.images = &image;
        now.n_images = 1;
        assert_int_equal(tact_observe(p, &now), TACT_OK);
    }
    assert_int_equal(tact_predict_chunk(p, out), TACT_OK);
}

// How much the chunk changes, relative to its size, when two frames change places.
static double order_matters(const char *run) {
    static uint8_t a[PIXELS], b[PIXELS];
    double one[CHUNK * STATE], other[CHUNK * STATE], diff = 0, size = 0;
    for (int i = 0; i < PIXELS; i++) {
        a[i] = (uint8_t)(i * 7 % 251);
        b[i] = (uint8_t)(255 - i / 20 % 200);
    }
    tact_policy *p;
    tact_options o;
    tact_options_default(&o, sizeof o);
    o.threads = 1;
    if (tact_open(run, &o, &p) != TACT_OK) fail_msg("%s", tact_message(NULL));
    assert_int_equal(tact_horizon(p), 2);
    chunk_after(p, a, b, one);
    chunk_after(p, b, a, other);
    tact_close(&p);
    for (int i = 0; i < CHUNK * STATE; i++) {
        diff += (one[i] - other[i]) * (one[i] - other[i]);
        size += one[i] * one[i];
    }
    return sqrt(diff / size);
}

static void sees_the_order(Runs *f, const char *run) {
    (void)f;
    double d = order_matters(run);
    if (!(d > 1e-4)) fail_msg("%s: another order of its frames changes the chunk by %g", run, d);
}

static void one_observation_becomes_two(void **state) {
    Runs *f = *state;
    Error err;
    const SampleOptions sample = {.root = f->data,
                                  .episodes = 1,
                                  .frames = 12,
                                  .height = HEIGHT,
                                  .width = WIDTH,
                                  .cameras = 1,
                                  .fps = 10,
                                  .joints = true};
    OK(sample_dataset_write(&sample, &err));
    char *plain = at(&f->arena, f->dir, "plain"), *tuned = at(&f->arena, f->dir, "tuned");
    train(f, arena_printf(
                 &f->arena,
                 "--policy.type=act --steps=1 --policy.dim_model=16 --policy.n_heads=2 "
                 "--policy.dim_feedforward=16 --policy.n_encoder_layers=1 "
                 "--policy.n_vae_encoder_layers=1 --policy.latent_dim=4 --policy.chunk_size=4 "
                 "--policy.n_action_steps=4 --policy.pretrained_backbone_weights=null "
                 "--output_dir=%s",
                 plain));
    // A table that starts at zero learns with the first steps. By the way of a new run,
    train(f, arena_printf(&f->arena,
                          "--policy.path=%s --policy.obs_state_horizon=2 --steps=3 "
                          "--policy.optimizer_lr=0.01 --output_dir=%s",
                          plain, tuned));
    sees_the_order(f, tuned);
    // of the run itself,
    train(f, arena_printf(&f->arena,
                          "--config_path=%s --resume=true --policy.obs_state_horizon=2 --steps=4 "
                          "--policy.optimizer_lr=0.01",
                          plain));
    sees_the_order(f, plain);
    // and not when it is asked not to be.
    char *blind = at(&f->arena, f->dir, "blind");
    train(f, arena_printf(
                 &f->arena,
                 "--policy.path=%s/checkpoints/000001 --policy.obs_state_horizon=2 --steps=3 "
                 "--policy.optimizer_lr=0.01 --policy.temporal_pos_embed=none --output_dir=%s",
                 plain, blind));
    assert_true(order_matters(blind) < 1e-5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_observation_becomes_two, runs_new, runs_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
