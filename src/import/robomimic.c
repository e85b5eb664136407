// SPDX-License-Identifier: Apache-2.0
// robomimic's HDF5 file: /data/demo_N with actions and obs/KEY, in the order of the numbers.
//
// The state is, for robot0 and then robot1: eef_pos, eef_quat (x, y, z, w), gripper_qpos; where a
// robot has no number in its names, these three without one; else ee_states and gripper_states
// (LIBERO). The object is the environment's state. Other keys with one dimension are features of
// their own, observation.KEY; images are cameras. next_obs, states, rewards and dones are left out,
// and what is neither a vector nor an image (depth).
//
// Images are upright: robomimic turns robosuite's over before it stores them. What other programs
// wrote stays as it is.
#include "import/forms.h"
#include "import/hdf5_source.h"

#include "base/log.h"
#include "base/text_set.h"
#include "formats/json.h"
#include <stdio.h>
#include <string.h>

// ---- the state ----------------------------------------------------------------------------------

enum { PARTS = 3, MOST_PARTS = 2 * PARTS };

// Observations that make up the state, in one of the ways that are known.
typedef struct StateNames {
    const char *parts[MOST_PARTS + 1]; // the first is needed
} StateNames;

static const StateNames known_states[] = {
    {{"robot0_eef_pos", "robot0_eef_quat", "robot0_gripper_qpos", "robot1_eef_pos",
      "robot1_eef_quat", "robot1_gripper_qpos"}},
    {{"eef_pos", "eef_quat", "gripper_qpos"}},
    {{"ee_states", "gripper_states"}},
};
enum { KNOWN_STATES = sizeof known_states / sizeof known_states[0] };

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

// The place of a key in a way to make the state, or -1.
static int part_of(const StateNames *state, const char *key) {
    for (int i = 0; state && state->parts[i]; i++)
        if (strcmp(state->parts[i], key) == 0) return i;
    return -1;
}

// KEY_x, KEY_y, ... of a position or a quaternion; KEY_0, KEY_1, ... of anything else.
static const char *const *name_values(const char *key, int dim, Arena *arena) {
    static const char axes[] = "xyzw";
    bool axial =
        (ends_with(key, "eef_pos") && dim == 3) || (ends_with(key, "eef_quat") && dim == 4);
    const char **names = arena_alloc(arena, sizeof *names * (size_t)dim);
    for (int i = 0; i < dim; i++)
        names[i] = axial ? arena_printf(arena, "%s_%c", key, axes[i])
                         : arena_printf(arena, "%s_%d", key, i);
    return names;
}

// ---- one demonstration --------------------------------------------------------------------------

// What is done with an observation.
typedef enum Use { USE_VECTOR, USE_CAMERA, USE_NOTHING } Use;

static bool use_of(const Hdf5Layout *l, const char *array, Use *use, Error *err) {
    Hdf5Shape shape;
    const char *path = layout_path(l, array);
    *use = USE_NOTHING;
    if (hdf5_kind(l->file, path) != HDF5_ARRAY) return true;
    if (!hdf5_shape(l->file, path, &shape, err)) return false;
    if (shape.bytes && shape.numbers && shape.rank == 4 && shape.dims[3] == 3)
        *use = USE_CAMERA;
    else if (shape.numbers && (shape.rank == 1 || shape.rank == 2))
        *use = USE_VECTOR;
    return true;
}

static bool has_key(const char *const *keys, int64_t n, const char *key) {
    for (int64_t i = 0; i < n; i++)
        if (strcmp(keys[i], key) == 0) return true;
    return false;
}

// The camera of agentview_image and, in LIBERO's files, agentview_rgb is called agentview, unless
// both are there, or something else of that name.
static const char *camera_feature(const char *key, const char *const *keys, int64_t n,
                                  Arena *arena) {
    static const char *const ends[] = {"_image", "_rgb"};
    for (int i = 0; i < 2; i++) {
        if (!ends_with(key, ends[i]) || strlen(key) == strlen(ends[i])) continue;
        int stem = (int)(strlen(key) - strlen(ends[i]));
        const char *plain = arena_printf(arena, "%.*s", stem, key);
        if (!has_key(keys, n, plain) &&
            !has_key(keys, n, arena_printf(arena, "%s%s", plain, ends[1 - i])))
            return arena_printf(arena, "observation.images.%s", plain);
    }
    return arena_printf(arena, "observation.images.%s", key);
}

// The names that a dataset of LeRobot's has for something else.
static const char *extra_feature(const char *key, Arena *arena) {
    bool taken = strcmp(key, "state") == 0 || strcmp(key, "environment_state") == 0 ||
                 strncmp(key, "images", 6) == 0;
    return arena_printf(arena, "observation.%s%s", taken ? "recorded_" : "", key);
}

static bool add_named_vector(Hdf5Layout *l, const char *key, ImportRole role, Error *err) {
    const ImportVector v = {
        .name = arena_printf(l->arena, "obs/%s", key),
        .role = role,
        .feature = role == IMPORT_EXTRA ? extra_feature(key, l->arena) : NULL,
        .unit = ends_with(key, "eef_pos") ? "m" : NULL,
    };
    if (!layout_add_vector(l, v, err)) return false;
    ImportVector *added = &l->vectors[l->n_vectors - 1];
    added->names = name_values(key, added->dim, l->arena);
    return true;
}

static bool is_object(const char *key) {
    return strcmp(key, "object") == 0 || strcmp(key, "object-state") == 0;
}

static const StateNames *state_of(const char *const *keys, int64_t n) {
    for (int i = 0; i < KNOWN_STATES; i++)
        if (has_key(keys, n, known_states[i].parts[0])) return &known_states[i];
    return NULL;
}

// The vectors with a place of their own: the parts of the state in their order, and the object.
static bool add_state(Hdf5Layout *l, const char *const *keys, int64_t n, Error *err) {
    const StateNames *state = state_of(keys, n);
    for (int i = 0; state && state->parts[i]; i++)
        if (has_key(keys, n, state->parts[i]) &&
            !add_named_vector(l, state->parts[i], IMPORT_STATE, err))
            return false;
    const char *object = has_key(keys, n, "object") ? "object" : "object-state";
    return !has_key(keys, n, object) || add_named_vector(l, object, IMPORT_ENVIRONMENT, err);
}

static bool add_others(Hdf5Layout *l, const char *const *keys, int64_t n, Error *err) {
    const StateNames *state = state_of(keys, n);
    for (int64_t i = 0; i < n; i++) {
        const char *array = arena_printf(l->arena, "obs/%s", keys[i]);
        Use use;
        if (part_of(state, keys[i]) >= 0) continue;
        if (is_object(keys[i])) { // add_state has taken one
            if (strcmp(keys[i], "object") != 0 && has_key(keys, n, "object"))
                layout_leave_out_as(l, "obs/object-state stands beside obs/object, which is taken");
            continue;
        }
        if (!use_of(l, array, &use, err)) return false;
        if (use == USE_VECTOR && !add_named_vector(l, keys[i], IMPORT_EXTRA, err)) return false;
        if (use == USE_CAMERA &&
            !layout_add_camera(l, array, keys[i], camera_feature(keys[i], keys, n, l->arena), err))
            return false;
        if (use == USE_NOTHING) layout_leave_out(l, array);
    }
    return true;
}

// num_samples, which the recorder wrote beside the arrays.
static bool check_length(const Hdf5Layout *l, Error *err) {
    double samples;
    if (!hdf5_attribute_number(l->file, l->group, "num_samples", &samples) ||
        samples == (double)l->length)
        return true;
    return fail(err,
                "%s: its attribute num_samples is %.0f, but actions has %lld rows; it was cut or "
                "not written whole: record it again, or remove it",
                l->where, samples, (long long)l->length);
}

static bool add_arrays(Hdf5Layout *l, Error *err) {
    static const ImportVector actions = {.name = "actions", .role = IMPORT_ACTION};
    const char **keys = NULL, *group = layout_path(l, "obs");
    int64_t n = 0;
    if (!layout_add_vector(l, actions, err)) return false;
    if (hdf5_kind(l->file, group) != HDF5_GROUP)
        return fail(err,
                    "%s: there are no observations (obs) beside its actions; robomimic's "
                    "dataset_states_to_obs.py makes them",
                    l->where);
    return hdf5_children(l->file, group, l->arena, &keys, &n, err) && check_length(l, err) &&
           add_state(l, keys, n, err) && add_others(l, keys, n, err);
}

// ---- what stands beside the demonstrations ------------------------------------------------------

typedef struct Splits {
    TextSet names[2]; // of /mask/train, /mask/valid
} Splits;

static const char *const split_names[2] = {"train", "valid"};

static bool read_splits(const Hdf5 *f, Arena *arena, Splits *out, Error *err) {
    *out = (Splits){0};
    for (int i = 0; i < 2; i++) {
        const char *array = arena_printf(arena, "mask/%s", split_names[i]);
        if (hdf5_kind(f, array) == HDF5_MISSING) continue;
        const char *const *names;
        int64_t n;
        if (!hdf5_read_strings(f, array, arena, &names, &n, err)) return false;
        for (int64_t k = 0; k < n; k++)
            text_set_add(&out->names[i], arena, names[k], strlen(names[k]));
    }
    return true;
}

static const char *split_of(const Splits *s, const char *demo) {
    for (int i = 0; i < 2; i++)
        if (text_set_find(&s->names[i], demo, strlen(demo)) >= 0) return split_names[i];
    return NULL;
}

// An attribute that holds a JSON document; NULL where there is none, or another.
static json_t *read_json(const Hdf5 *f, const char *object, const char *name) {
    Arena scratch = {0};
    const char *text = hdf5_attribute_text(f, object, name, &scratch);
    json_t *value = text ? json_parse(text, strlen(text), JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (text && !value)
        log_warn("%s: %s: its attribute %s is not valid JSON; going on without it", hdf5_path(f),
                 object, name);
    arena_free(&scratch);
    return value;
}

// A string of an object, in the arena; NULL.
static const char *text_at(const json_t *object, const char *key, Arena *arena) {
    const char *text = json_string_value(json_object_get(object, key));
    return text && *text ? arena_strdup(arena, text) : NULL;
}

// env_args: the name of the task, the rate, the robot. LIBERO has the task in words beside it.
static const char *describe(ImportSource *source, const Hdf5 *f, Arena *arena) {
    json_t *args = read_json(f, "data", "env_args"),
           *problem = read_json(f, "data", "problem_info");
    const json_t *kwargs = json_object_get(args, "env_kwargs");
    const json_t *robots = json_object_get(kwargs, "robots");
    if (json_is_array(robots)) robots = json_array_get(robots, 0);
    double rate = json_number_value(json_object_get(kwargs, "control_freq"));
    source->fps = rate > 0 && rate <= 1e6 ? rate : 0;
    if (json_is_string(robots)) source->robot_type = arena_strdup(arena, json_string_value(robots));
    const char *task = text_at(problem, "language_instruction", arena);
    if (!task) task = text_at(args, "env_name", arena);
    json_decref(args);
    json_decref(problem);
    return task;
}

// RoboCasa has words for each demonstration.
static const char *task_of(const Hdf5 *f, const char *group, Arena *arena) {
    json_t *meta = read_json(f, group, "ep_meta");
    const char *task = text_at(meta, "lang", arena);
    json_decref(meta);
    return task;
}

// ---- the file -----------------------------------------------------------------------------------

static bool add_demo(Hdf5Source *h, const Hdf5 *f, const char *group, ImportEpisode episode,
                     Error *err) {
    Arena scratch = {0};
    const char *task = task_of(f, group, &h->arena);
    if (task) episode.task = task;
    Hdf5Layout l = layout_begin(h->n == 0 ? &h->arena : &scratch, f, group);
    bool ok = add_arrays(&l, err) && hdf5_source_add(h, &l, episode, err);
    arena_free(&scratch);
    return ok;
}

static bool add_demos(ImportSource *source, Hdf5Source *h, const Hdf5 *f, Error *err) {
    const char **demos, *task = describe(source, f, &h->arena);
    int64_t n;
    Splits splits;
    if (!hdf5_children(f, "data", &h->arena, &demos, &n, err) ||
        !read_splits(f, &h->arena, &splits, err))
        return false;
    for (int64_t i = 0; i < n; i++) {
        const char *group = arena_printf(&h->arena, "data/%s", demos[i]);
        const ImportEpisode episode = {
            .name = group, .task = task, .split = split_of(&splits, demos[i])};
        if (hdf5_kind(f, group) == HDF5_GROUP && !add_demo(h, f, group, episode, err)) return false;
    }
    return h->n > 0 ||
           fail(err, "%s: there is no demonstration in /data (demo_0, demo_1, ...)", source->path);
}

static bool robomimic_recognise(const char *path) {
    Error other;
    Hdf5 *f;
    Arena scratch = {0};
    if (!hdf5_has_signature(path) || !hdf5_open(path, &f, &other)) return false;
    bool is = hdf5_kind(f, "data") == HDF5_GROUP;
    const char **names = NULL;
    int64_t n = 0;
    if (is && !hdf5_attribute_text(f, "data", "env_args", &scratch)) {
        is = hdf5_children(f, "data", &scratch, &names, &n, &other) && n > 0 &&
             (hdf5_kind(f, arena_printf(&scratch, "data/%s/actions", names[0])) == HDF5_ARRAY ||
              hdf5_kind(f, arena_printf(&scratch, "data/%s/obs", names[0])) == HDF5_GROUP);
    }
    hdf5_close(f);
    arena_free(&scratch);
    return is;
}

static bool robomimic_open(ImportSource *source, Error *err) {
    Hdf5Source *h = NEW(Hdf5Source, 1);
    Hdf5 *f;
    source->form = robomimic_form.name;
    bool ok = hdf5_open(source->path, &f, err);
    if (ok) {
        ok = add_demos(source, h, f, err);
        hdf5_close(f);
    }
    if (ok)
        hdf5_source_fill(source, h);
    else
        hdf5_source_free(h);
    return ok;
}

const ImportForm robomimic_form = {
    .name = "robomimic (HDF5)",
    .what = "/data/demo_N with actions and obs in an HDF5 file",
    .recognise = robomimic_recognise,
    .open = robomimic_open,
    .vector = hdf5_source_vector,
    .frame = hdf5_source_frame,
    .stored = hdf5_source_stored,
    .cursor_free = hdf5_source_cursor_free,
    .close = hdf5_source_close,
};
