// SPDX-License-Identifier: Apache-2.0
// What the arrays of a replay buffer's data/ become.
#include "base/array.h"
#include "base/log.h"
#include "import/umi.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROW_MOST = 256,    // numbers in a row of what is not known by its name; more is no vector
    SIDE_MOST = 16384, // of a frame
    ARMS_MOST = 1000,
};

#define ROWS_MOST INT32_MAX // at 60 frames a second a year and more

typedef struct Listing {
    Umi *u;
    ImportSource *s;
    const char **names; // of the arrays in data/
    int n_names;
    ImportVector *vectors;
    ImportCamera *cameras;
    const char **left_out;
    int64_t vectors_room, arrays_room, cameras_room, frames_room, left_room;
    int n_arrays, n_frames;
    const char *rows_of; // the array whose length all others are held to
} Listing;

static const char *path_of(const Listing *l) {
    return l->u->group.path;
}

static bool in_data(const Listing *l, const char *name) {
    for (int i = 0; i < l->n_names; i++)
        if (strcmp(l->names[i], name) == 0) return true;
    return false;
}

// "(100, 224, 224, 3)"
static void shape_text(const ZarrArray *a, char *out, size_t size) {
    size_t used = (size_t)snprintf(out, size, "(");
    for (int i = 0; i < a->rank && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%" PRId64, i ? ", " : "", a->shape[i]);
    if (used < size) snprintf(out + used, size - used, ")");
}

CHECKED static bool other_shape(const Listing *l, const ZarrArray *a, const char *wanted,
                                Error *err) {
    char shape[200];
    shape_text(a, shape, sizeof shape);
    return fail(err, "%s: %s has the shape %s and numbers of %s, but %s is wanted", path_of(l),
                a->name, shape, a->dtype, wanted);
}

// Reads what is said of data/NAME.
CHECKED static bool read_array(const Listing *l, const char *name, ZarrArray *a, Error *err) {
    char whole[256];
    snprintf(whole, sizeof whole, "data/%s", name);
    return zarr_array(&l->u->group, whole, a, err);
}

// All arrays that something is made of have as many rows.
CHECKED static bool check_rows(Listing *l, const ZarrArray *a, Error *err) {
    if (!l->rows_of) {
        if (a->shape[0] > ROWS_MOST)
            return fail(err, "%s: %s has %" PRId64 " rows, more than are read (%d)", path_of(l),
                        a->name, a->shape[0], ROWS_MOST);
        l->rows_of = arena_strdup(&l->u->arena, a->name);
        l->u->rows = a->shape[0];
    }
    return a->shape[0] == l->u->rows ||
           fail(err,
                "%s: %s has %" PRId64 " rows, but %s has %" PRId64 ": the recording is not whole, "
                "copy it again or cut both to the same length",
                path_of(l), a->name, a->shape[0], l->rows_of, l->u->rows);
}

// ---- vectors ------------------------------------------------------------------------------------

// A chunk of numbers that is not there holds fill_value: zarr leaves such chunks out. A copy that
// lost the file looks the same, and nobody but the user can tell.
static void tell_of_missing(const Listing *l, const ZarrArray *a) {
    Error why;
    if (!zarr_complete(&l->u->group, a, a->shape[0], &why))
        log_warn("%s; a chunk that was never written holds the array's fill_value, and that is "
                 "what is imported",
                 why.text);
}

static void add_vector(Listing *l, const char *name, const ZarrArray *a, ImportVector v) {
    Arena *arena = &l->u->arena;
    tell_of_missing(l, a);
    v.name = arena_strdup(arena, name);
    v.dtype = arena_strdup(arena, a->dtype);
    v.dim = (int)a->row;
    *ARENA_ARRAY_ADD(arena, l->u->vectors, l->n_arrays, l->arrays_room) = *a;
    *ARENA_ARRAY_ADD(arena, l->vectors, l->s->n_vectors, l->vectors_room) = v;
}

// An array of dim numbers a row whose meaning its name says.
CHECKED static bool add_known(Listing *l, const char *name, int dim, ImportVector v, Error *err) {
    ZarrArray a;
    char wanted[40];
    snprintf(wanted, sizeof wanted, "(rows, %d) of numbers", dim);
    if (!read_array(l, name, &a, err)) return false;
    if (a.row != dim || a.rank > 2) return other_shape(l, &a, wanted, err);
    if (!check_rows(l, &a, err)) return false;
    add_vector(l, name, &a, v);
    return true;
}

// Names of an arm's values as tact's relative poses know them (dataset/arms.h): with one arm "x",
// with several "robot0_x".
static const char *const *names_of(Listing *l, int arm, bool alone, const char *const *plain,
                                   int n) {
    if (alone) return plain;
    const char **names = arena_alloc(&l->u->arena, (size_t)n * sizeof *names);
    for (int i = 0; i < n; i++) names[i] = arena_printf(&l->u->arena, "robot%d_%s", arm, plain[i]);
    return names;
}

static const char *const pose_names[] = {"x", "y", "z", "rx", "ry", "rz"};
static const char *const gripper_names[] = {"gripper"};

CHECKED static bool add_arm(Listing *l, int arm, bool alone, Error *err) {
    const struct {
        const char *part, *unit;
        const char *const *names;
        int dim;
    } parts[] = {{"eef_pos", "m", pose_names, 3},
                 {"eef_rot_axis_angle", "rad", pose_names + 3, 3},
                 {"gripper_width", "m", gripper_names, 1}};
    for (int i = 0; i < 3; i++) {
        char name[64];
        snprintf(name, sizeof name, "robot%d_%s", arm, parts[i].part);
        ImportVector v = {.role = IMPORT_STATE,
                          .names = names_of(l, arm, alone, parts[i].names, parts[i].dim),
                          .unit = parts[i].unit};
        if (!in_data(l, name))
            return fail(err,
                        "%s: data/ has no %s, one of the three arrays (eef_pos, "
                        "eef_rot_axis_angle, gripper_width) that a UMI recording has of each arm",
                        path_of(l), name);
        if (!add_known(l, name, parts[i].dim, v, err)) return false;
    }
    return true;
}

// The number of an arm or camera and what stands behind it: "robot12_eef_pos". -1: none.
static int numbered(const char *name, const char *before, const char **rest) {
    size_t n = strlen(before);
    char *end;
    if (strncmp(name, before, n) != 0 || name[n] < '0' || name[n] > '9') return -1;
    long number = strtol(name + n, &end, 10);
    *rest = end;
    return number < ARMS_MOST ? (int)number : -1;
}

static bool is_arm_part(const char *rest) {
    return strcmp(rest, "_eef_pos") == 0 || strcmp(rest, "_eef_rot_axis_angle") == 0 ||
           strcmp(rest, "_gripper_width") == 0;
}

// Arms in the order of their numbers; the names are sorted.
static int find_arms(const Listing *l, int *arms) {
    int n = 0;
    for (int i = 0; i < l->n_names; i++) {
        const char *rest = "";
        int arm = numbered(l->names[i], "robot", &rest);
        if (arm >= 0 && is_arm_part(rest) && (n == 0 || arms[n - 1] != arm)) arms[n++] = arm;
    }
    return n;
}

// The names under which diffusion policy's recordings have the state, the first that is there.
static const char *find_state(const Listing *l) {
    static const char *const known[] = {"state", "agent_pos", "robot_eef_pose"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (in_data(l, known[i])) return known[i];
    return NULL;
}

// An array of (rows, n) or (rows) whose n nobody knows before.
CHECKED static bool add_any(Listing *l, const char *name, ImportRole role, Error *err) {
    ZarrArray a;
    if (!read_array(l, name, &a, err)) return false;
    if (a.rank > 2 || a.row < 1 || a.row > ROW_MOST)
        return other_shape(l, &a, "(rows, numbers of a row)", err);
    if (!check_rows(l, &a, err)) return false;
    add_vector(l, name, &a, (ImportVector){.role = role});
    return true;
}

// ---- cameras ------------------------------------------------------------------------------------

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

// Whether the name alone says that it is a camera's, so that another shape is a mistake.
static bool is_camera_name(const char *name) {
    const char *rest = "";
    return strcmp(name, "img") == 0 ||
           (numbered(name, "camera", &rest) >= 0 && strcmp(rest, "_rgb") == 0);
}

static bool is_camera_shape(const ZarrArray *a) {
    bool colours = (a->kind == 'u' && a->item == 1) || a->kind == 'f';
    return a->rank == 4 && a->shape[3] == 3 && colours && a->shape[1] >= 1 && a->shape[2] >= 1 &&
           a->shape[1] <= SIDE_MOST && a->shape[2] <= SIDE_MOST;
}

CHECKED static bool add_camera(Listing *l, const char *name, const ZarrArray *a, Error *err) {
    Arena *arena = &l->u->arena;
    char plain[256];
    if (!is_camera_shape(a)) return other_shape(l, a, "(rows, height, width, 3) of uint8", err);
    if (!check_rows(l, a, err) || !zarr_complete(&l->u->group, a, a->shape[0], err)) return false;
    // camera0_rgb is camera0, unless there is one of that name.
    snprintf(plain, sizeof plain, "%s", name);
    if (ends_with(plain, "_rgb")) plain[strlen(plain) - 4] = '\0';
    ImportCamera camera = {
        .name = arena_strdup(arena, name),
        .feature = arena_printf(arena, "observation.images.%s", in_data(l, plain) ? name : plain),
        .codec = arena_strdup(arena, a->codec.name),
        .height = (int)a->shape[1],
        .width = (int)a->shape[2],
    };
    *ARENA_ARRAY_ADD(arena, l->u->cameras, l->n_frames, l->frames_room) = *a;
    *ARENA_ARRAY_ADD(arena, l->cameras, l->s->n_cameras, l->cameras_room) = camera;
    return true;
}

// ---- the others ---------------------------------------------------------------------------------

static void leave_out(Listing *l, const char *name, const char *why) {
    Arena *arena = &l->u->arena;
    *ARENA_ARRAY_ADD(arena, l->left_out, l->s->n_left_out, l->left_room) =
        arena_printf(arena, "data/%s %s", name, why);
}

// An array of a shape of which nothing can be made.
static void leave_out_shape(Listing *l, const char *name, const ZarrArray *a) {
    char text[400], shape[200], why[100];
    shape_text(a, shape, sizeof shape);
    if (a->shape[0] != l->u->rows)
        snprintf(why, sizeof why, "has not the %" PRId64 " rows of the recording", l->u->rows);
    else
        snprintf(why, sizeof why, "is neither 1 to %d numbers a row nor RGB frames", ROW_MOST);
    snprintf(text, sizeof text, "%s of %s %s", shape, a->dtype, why);
    leave_out(l, name, text);
}

// Names that a LeRobot dataset has a meaning for already.
static const char *feature_name(Listing *l, const char *name) {
    static const char *const taken[] = {"timestamp", "frame_index", "episode_index",
                                        "index",     "task_index",  "task",
                                        "next",      "observation"};
    bool is_taken = strncmp(name, "action", 6) == 0;
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        is_taken = is_taken || strcmp(name, taken[i]) == 0;
    return arena_printf(&l->u->arena, "%s%s", is_taken ? "source." : "", name);
}

static void add_extra(Listing *l, const char *name, const ZarrArray *a) {
    const char *rest = "";
    bool pose = numbered(name, "robot", &rest) >= 0 && a->row == 6 &&
                (strcmp(rest, "_demo_start_pose") == 0 || strcmp(rest, "_demo_end_pose") == 0);
    add_vector(l, name, a,
               (ImportVector){.role = IMPORT_EXTRA,
                              .feature = feature_name(l, name),
                              .names = pose ? pose_names : NULL,
                              .unit = pose ? "m, rad" : NULL});
}

// A frame of all rows is a camera; what else is as long as the recording becomes a feature of its
// own where it is small enough.
CHECKED static bool add_other(Listing *l, const char *name, Error *err) {
    ZarrArray a;
    Error why;
    bool camera = is_camera_name(name);
    if (!read_array(l, name, &a, &why)) {
        // Without a name nothing is known of it, because the source itself could not be read.
        if (camera || !a.name[0]) return fail_because(err, &why, "%.1000s", why.text);
        const char *reason = strstr(why.text, a.name);
        leave_out(l, name, reason ? reason + strlen(a.name) + 1 : "cannot be read");
        return true;
    }
    if (camera || (is_camera_shape(&a) && a.shape[0] == l->u->rows))
        return add_camera(l, name, &a, err);
    if (a.shape[0] == l->u->rows && a.row >= 1 && a.row <= ROW_MOST)
        add_extra(l, name, &a);
    else
        leave_out_shape(l, name, &a);
    return true;
}

// ---- all of them --------------------------------------------------------------------------------

static bool is_listed(const Listing *l, const char *name) {
    for (int i = 0; i < l->s->n_vectors; i++)
        if (strcmp(l->vectors[i].name, name) == 0) return true;
    return false;
}

// Arms and actions, or state and actions; and which of the two recordings it is.
CHECKED static bool add_state_and_action(Listing *l, Error *err) {
    int *arms = arena_alloc(&l->u->arena, (size_t)l->n_names * sizeof *arms + 1);
    int n = find_arms(l, arms);
    const char *state = n ? NULL : find_state(l);
    bool action = in_data(l, "action");
    if (n == 0 && !action)
        return fail(err,
                    "%s: data/ has neither arms (robot0_eef_pos, robot0_eef_rot_axis_angle, "
                    "robot0_gripper_width, as UMI records them) nor action (as diffusion policy "
                    "does)",
                    path_of(l));
    for (int i = 0; i < n; i++)
        if (!add_arm(l, arms[i], n == 1, err)) return false;
    if (state && !add_any(l, state, IMPORT_STATE, err)) return false;
    if (action && !add_any(l, "action", IMPORT_ACTION, err)) return false;
    l->s->form = n ? "UMI replay buffer (zarr)" : "diffusion policy replay buffer (zarr)";
    l->s->robot_type = n ? "umi" : NULL;
    l->s->action_is_state = !action;
    return true;
}

bool umi_list_arrays(Umi *u, ImportSource *s, Error *err) {
    Listing l = {.u = u, .s = s};
    if (!zarr_list(&u->group, "data", &u->arena, &l.names, &l.n_names, err) ||
        !add_state_and_action(&l, err))
        return false;
    for (int i = 0; i < l.n_names; i++)
        if (!is_listed(&l, l.names[i]) && !add_other(&l, l.names[i], err)) return false;
    s->vectors = l.vectors;
    s->cameras = l.cameras;
    s->left_out = l.left_out;
    return true;
}
