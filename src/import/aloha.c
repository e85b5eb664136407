// SPDX-License-Identifier: Apache-2.0
// ACT's and ALOHA's HDF5 files: one file an episode, with /observations/qpos, /action and
// /observations/images/CAMERA; a single file, or a folder of episode_N.hdf5 in the order of the
// numbers.
//
// /base_action, the base's velocity of a mobile robot, follows /action in the action, as ACT's own
// reader for mobile robots has it (which smooths it; here it stays as recorded).
//
// Images are RGB (T, H, W, 3), or a JPEG file a row (T, P), filled up with zeros. The recorder
// gives RGB to cv2.imencode, which takes it for BGR: so these JPEGs have red and blue exchanged,
// and cv2.imdecode in ACT's reader exchanges them back. Recorders whose cameras give BGR make
// correct JPEGs; nothing in a file tells them apart (red_is_blue of source.h). Where a JPEG ends is
// taken from itself: the lines of /compress_len are in the order in which the recorder listed the
// cameras, which is not in the file.
//
// The rate of 50 Hz is not in the files either: fps is 0 unless the file has an attribute fps.
#include "import/forms.h"
#include "import/hdf5_source.h"

#include "base/array.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

// ---- names --------------------------------------------------------------------------------------

enum { ARMS = 14 };

// As LeRobot's datasets of this robot name them.
static const char *const joints[ARMS] = {
    "left_waist",         "left_shoulder",     "left_elbow",         "left_forearm_roll",
    "left_wrist_angle",   "left_wrist_rotate", "left_gripper",       "right_waist",
    "right_shoulder",     "right_elbow",       "right_forearm_roll", "right_wrist_angle",
    "right_wrist_rotate", "right_gripper"};

static const char *const base_velocities[] = {"linear_vel", "angular_vel"};

// Names and unit for vectors as wide as those of the robot.
static void name_values(ImportVector *v) {
    bool base = strcmp(v->name, "base_action") == 0;
    if (v->dim != (base ? 2 : ARMS)) {
        v->unit = NULL;
        return;
    }
    v->names = base ? base_velocities : joints;
}

// ---- one file -----------------------------------------------------------------------------------

static const ImportVector vectors[] = {
    {.name = "observations/qpos", .role = IMPORT_STATE, .unit = "rad, gripper 0 to 1"},
    {.name = "action", .role = IMPORT_ACTION, .unit = "rad, gripper 0 to 1"},
    {.name = "base_action", .role = IMPORT_ACTION, .unit = "m/s, rad/s"},
    {.name = "observations/qvel",
     .role = IMPORT_EXTRA,
     .feature = "observation.velocity",
     .unit = "rad/s"},
    {.name = "observations/effort", .role = IMPORT_EXTRA, .feature = "observation.effort"},
};
enum { VECTORS = sizeof vectors / sizeof vectors[0], NEEDED = 2 };

static bool add_vectors(Hdf5Layout *l, Error *err) {
    for (int i = 0; i < VECTORS; i++) {
        if (i >= NEEDED && hdf5_kind(l->file, vectors[i].name) == HDF5_MISSING) continue;
        if (!layout_add_vector(l, vectors[i], err)) return false;
        name_values(&l->vectors[l->n_vectors - 1]);
    }
    return true;
}

// Images of depth cameras lie beside the others, in another form.
static bool add_cameras(Hdf5Layout *l, Error *err) {
    static const char group[] = "observations/images";
    const char **names;
    int64_t n = 0;
    if (hdf5_kind(l->file, group) == HDF5_MISSING) return true;
    if (!hdf5_children(l->file, group, l->arena, &names, &n, err)) return false;
    for (int64_t i = 0; i < n; i++) {
        const char *array = arena_printf(l->arena, "%s/%s", group, names[i]);
        if (strstr(names[i], "depth")) {
            layout_leave_out(l, array);
            continue;
        }
        if (!layout_add_camera(l, array, names[i],
                               arena_printf(l->arena, "observation.images.%s", names[i]), err))
            return false;
    }
    return true;
}

// What the first file says about all of them.
static void describe(ImportSource *source, const Hdf5 *f, const Hdf5Layout *l) {
    double sim = 0;
    hdf5_attribute_number(f, "", "sim", &sim);
    if (!hdf5_attribute_number(f, "", "fps", &source->fps) ||
        !(source->fps > 0 && source->fps <= 1e6))
        source->fps = 0;
    if (l->vectors[0].dim == ARMS) source->robot_type = sim != 0 ? "aloha_sim" : "aloha";
    for (int i = 0; i < l->n_cameras; i++)
        source->red_is_blue = source->red_is_blue || l->camera_arrays[i].files;
}

static bool add_file(ImportSource *source, Hdf5Source *h, const char *path, Error *err) {
    Arena scratch = {0}, *arena = h->n == 0 ? &h->arena : &scratch;
    Hdf5 *f;
    if (!hdf5_open(path, &f, err)) return false;
    Hdf5Layout l = layout_begin(arena, f, "");
    ImportEpisode episode = {.name = arena_strdup(&h->arena, after_last(path, '/')),
                             .task = hdf5_attribute_text(f, "", "task", &h->arena)};
    if (episode.task && !hdf5_is_clean(episode.task)) episode.task = NULL;
    bool ok = add_vectors(&l, err) && add_cameras(&l, err);
    if (ok && h->n == 0) describe(source, f, &l);
    ok = ok && hdf5_source_add(h, &l, episode, err);
    hdf5_close(f);
    arena_free(&scratch);
    return ok;
}

// ---- files --------------------------------------------------------------------------------------

static int by_number(const void *a, const void *b) {
    return strverscmp(*(const char *const *)a, *(const char *const *)b);
}

// The HDF5 files of a folder, by their names' numbers; those that are called so, and others that
// are. A file is listed as itself.
static int64_t list_files(const char *path, Arena *arena, const char ***out) {
    const char **files = NULL;
    int64_t n = 0, room = 0;
    DIR *dir = opendir(path);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        const char *end = after_last(entry->d_name, '.');
        if (entry->d_name[0] == '.') continue;
        const char *file = arena_printf(arena, "%s/%s", path, entry->d_name);
        bool named = strcmp(end, "hdf5") == 0 || strcmp(end, "h5") == 0;
        if (file_exists(file) && (named || hdf5_has_signature(file)))
            *ARENA_ARRAY_ADD(arena, files, n, room) = file;
    }
    if (dir)
        closedir(dir);
    else
        *ARENA_ARRAY_ADD(arena, files, n, room) = path;
    if (n > 0) qsort(files, (size_t)n, sizeof *files, by_number);
    *out = files;
    return n;
}

// Also of a damaged file: then opening it says what is wrong, and nothing else could.
static bool is_episode(const char *path) {
    Error damaged;
    Hdf5 *f;
    if (!hdf5_has_signature(path)) return false;
    if (!hdf5_open(path, &f, &damaged)) return true;
    bool is = hdf5_kind(f, "observations/qpos") != HDF5_MISSING ||
              hdf5_kind(f, "observations/images") != HDF5_MISSING;
    hdf5_close(f);
    return is;
}

static bool aloha_recognise(const char *path) {
    Arena scratch = {0};
    const char **files;
    int64_t n = list_files(path, &scratch, &files);
    bool is = false;
    for (int64_t i = 0; i < n && !is; i++) is = is_episode(files[i]);
    arena_free(&scratch);
    return is;
}

static bool aloha_open(ImportSource *source, Error *err) {
    Arena scratch = {0};
    const char **files;
    Hdf5Source *h = NEW(Hdf5Source, 1);
    int64_t n = list_files(source->path, &scratch, &files);
    bool ok = n > 0 || fail(err, "%s: no HDF5 file in it", source->path);
    for (int64_t i = 0; ok && i < n; i++) ok = add_file(source, h, files[i], err);
    arena_free(&scratch);
    source->form = aloha_form.name;
    if (ok)
        hdf5_source_fill(source, h);
    else
        hdf5_source_free(h);
    return ok;
}

const ImportForm aloha_form = {
    .name = "ACT / ALOHA (HDF5)",
    .what = "/observations/qpos and /action in an HDF5 file, or a folder of such files, one an "
            "episode",
    .recognise = aloha_recognise,
    .open = aloha_open,
    .vector = hdf5_source_vector,
    .frame = hdf5_source_frame,
    .stored = hdf5_source_stored,
    .cursor_free = hdf5_source_cursor_free,
    .close = hdf5_source_close,
};
