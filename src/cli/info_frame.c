// SPDX-License-Identifier: Apache-2.0
// tact info DATASET --frame: what a policy sees at one frame.
#include "base/center.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/info.h"
#include "dataset/frames.h"
#include "formats/image_codec.h"
#include "image/image.h"
#include "policy/policy_stats.h"
#include "train/policy_from_dataset.h"
#include <stdio.h>
#include <string.h>

enum { GRID_ROWS = 12, GRID_COLUMNS = 16 };

static json_t *matrix_json(const double *values, int rows, int columns) {
    json_t *matrix = json_array();
    for (int i = 0; i < rows; i++)
        json_array_append_new(matrix, cli_numbers_json(values + i * columns, columns));
    return matrix;
}

// Mean RGB of grid cell (row, column); cells of a tiny image overlap, so that none is empty.
static json_t *cell_json(const Image *image, int row, int column) {
    int top = row * image->height / GRID_ROWS, bottom = (row + 1) * image->height / GRID_ROWS;
    int left = column * image->width / GRID_COLUMNS;
    int right = (column + 1) * image->width / GRID_COLUMNS;
    bottom = bottom > top ? bottom : top + 1;
    right = right > left ? right : left + 1;
    int64_t sum[3] = {0};
    for (int y = top; y < bottom; y++) {
        for (int x = left; x < right; x++) {
            for (int k = 0; k < 3; k++) {
                sum[k] +=
                    image->rgb[((size_t)y * (size_t)image->width + (size_t)x) * 3 + (size_t)k];
            }
        }
    }
    double pixels = (double)(bottom - top) * (right - left);
    return json_pack("[f,f,f]", (double)sum[0] / pixels, (double)sum[1] / pixels,
                     (double)sum[2] / pixels);
}

static json_t *grid_json(const Image *image) {
    json_t *grid = json_array();
    for (int row = 0; row < GRID_ROWS; row++) {
        json_t *cells = json_array();
        for (int column = 0; column < GRID_COLUMNS; column++)
            json_array_append_new(cells, cell_json(image, row, column));
        json_array_append_new(grid, cells);
    }
    return grid;
}

// Writes one camera's frames, the middle of what was resized to `whole`, and appends their grids to
// `grids`.
static CHECKED bool write_camera_pngs(FrameReader *reader, int camera, const char *name,
                                      const int64_t *rows, int horizon, const Image *whole,
                                      Image *image, const char *directory, json_t *grids,
                                      Error *err) {
    const ImageFit middle = {.height = whole->height,
                             .width = whole->width,
                             .top = center_start(whole->height, image->height),
                             .left = center_start(whole->width, image->width),
                             .rows = image->height,
                             .columns = image->width};
    static const char prefix[] = "observation.images.";
    const char *label =
        strncmp(name, prefix, sizeof prefix - 1) == 0 ? name + sizeof prefix - 1 : name;
    if (strchr(label, '/'))
        return fail(err, "%s: a camera name with a slash cannot name a file", name);
    for (int t = 0; t < horizon; t++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s_t%d.png", directory, label, t);
        if (!frames_read(reader, camera, rows[t], whole->rgb, err)) return false;
        image_fit(image->rgb, &middle, whole->rgb, (size_t)whole->width * 3, whole->height,
                  whole->width, NULL);
        if (!image_write_png(path, image, err)) return false;
        json_array_append_new(grids, grid_json(image));
    }
    return true;
}

static CHECKED bool write_window_images(const Dataset *ds, const PolicyConfig *p,
                                        const int64_t *rows, const char *directory, json_t *object,
                                        Error *err) {
    bool ok = false;
    FrameReader *reader = NULL;
    int positions[MAX_CAMERAS];
    FrameSize sizes[MAX_CAMERAS];
    FrameCrop crops[MAX_CAMERAS];
    json_t *cameras = json_object();
    policy_find_cameras(p, ds, positions, sizes, crops);
    if (!make_dirs(directory, err) || !frames_open(ds, 0, 0, &reader, err)) goto done;
    for (int i = 0; i < p->n_cameras; i++) {
        json_t *grids = json_array();
        Image whole = {sizes[i].height, sizes[i].width, NULL};
        Image image = {crops[i].height, crops[i].width, NULL};
        json_object_set_new_nocheck(cameras, p->cameras[i].name, grids);
        whole.rgb = mem_alloc(image_rgb_bytes(whole.height, whole.width));
        image.rgb = mem_alloc(image_rgb_bytes(image.height, image.width));
        bool written =
            frames_resize(reader, positions[i], sizes[i], err) &&
            write_camera_pngs(reader, positions[i], p->cameras[i].name, rows, p->obs_state_horizon,
                              &whole, &image, directory, grids, err);
        image_free(&whole);
        image_free(&image);
        if (!written) goto done;
    }
    json_object_set(object, "image_mean",
                    p->n_cameras == 1 ? json_object_get(cameras, p->cameras[0].name) : cameras);
    ok = true;
done:
    frames_close(reader);
    json_decref(cameras);
    return ok;
}

static void set_actions(json_t *object, const char *key, const double *action,
                        const uint8_t *is_pad, int rows, int columns) {
    char pad_key[64];
    json_t *pads = json_array();
    snprintf(pad_key, sizeof pad_key, "%s_is_pad", key);
    for (int i = 0; i < rows; i++) json_array_append_new(pads, json_boolean(is_pad[i]));
    json_object_set_new(object, key, matrix_json(action, rows, columns));
    json_object_set_new(object, pad_key, pads);
}

bool info_print_frame(const Dataset *ds, TrainConfig *c, int64_t index, const char *images,
                      Error *err) {
    PolicyConfig *p = &c->policy;
    int64_t row = dataset_row_of(ds, index);
    if (row < 0) {
        return fail(err,
                    "--frame=%lld: no such frame in the selected episodes; the dataset has frames "
                    "0 to %lld",
                    (long long)index, (long long)ds->total_frames - 1);
    }
    if (!policy_from_dataset(p, ds, err)) return false;
    const WindowSpec w = policy_window(p);
    const int state_dim = p->state_dim, action_dim = window_action_dim(ds, &w);
    double *state = NEW(double, (w.horizon * state_dim) + 1);
    double *action = NEW(double, (window_action_rows(&w) * action_dim) + 1);
    uint8_t *is_pad = NEW(uint8_t, window_action_rows(&w));
    int64_t *rows = NEW(int64_t, w.horizon);
    json_t *object = json_object(), *frames = json_array();
    window_rows(ds, &w, row, rows);
    if (state_dim > 0) window_state(ds, &w, row, state);
    window_action(ds, &w, row, action, is_pad);
    json_object_set_new(object, "index", json_integer(index));
    json_object_set_new(object, "state",
                        state_dim > 0 ? matrix_json(state, w.horizon, state_dim) : json_null());
    set_actions(object, "action", action, is_pad, w.chunk_size, action_dim);
    if (w.past)
        set_actions(object, "past_action", action + w.chunk_size * action_dim,
                    is_pad + w.chunk_size, w.past, action_dim);
    for (int t = 0; t < w.horizon; t++)
        json_array_append_new(frames, json_integer(dataset_index_of(ds, rows[t])));
    json_object_set_new(object, "frames", frames);
    bool ok = !images || write_window_images(ds, p, rows, images, object, err);
    if (ok) cli_print_json(object, 0);
    json_decref(object);
    mem_free(state);
    mem_free(action);
    mem_free(is_pad);
    mem_free(rows);
    return ok;
}
