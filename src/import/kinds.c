// SPDX-License-Identifier: Apache-2.0
#include "import/kinds.h"

#include "base/file.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

// Of a folder at most so many entries are looked at, and of the folders in it.
enum { MOST_ENTRIES = 2000, DEPTH = 3 };

typedef struct Seen {
    int entries, images;
    char image[512], bag[512], records[512], parquet[512], arrow[512], dataset[512];
} Seen;

static bool ends(const char *name, const char *endings) {
    size_t n = strlen(name);
    for (const char *e = endings; e; e = strchr(e, '|') ? strchr(e, '|') + 1 : NULL) {
        size_t m = strcspn(e, "|");
        if (n > m && strncasecmp(name + n - m, e, m) == 0) return true;
    }
    return false;
}

static void keep(char out[512], const char *path) {
    if (!out[0] && strlen(path) < 512) strcpy(out, path);
}

static void see_file(Seen *s, const char *path, const char *name) {
    if (ends(name, ".png|.jpg|.jpeg|.webp|.bmp")) {
        s->images++;
        keep(s->image, path);
    }
    if (ends(name, ".bag|.mcap|.db3")) keep(s->bag, path);
    if (strstr(name, ".tfrecord")) keep(s->records, path);
    if (ends(name, ".parquet")) keep(s->parquet, path);
    if (ends(name, ".arrow")) keep(s->arrow, path);
}

static void see_folder(Seen *s, const char *folder, int depth) {
    DIR *dir = opendir(folder);
    const struct dirent *e;
    for (int i = 0; dir && i < MOST_ENTRIES && (e = readdir(dir)); i++) {
        char path[4096], info[4200];
        if (e->d_name[0] == '.' || // and what is only there for the system
            (size_t)snprintf(path, sizeof path, "%s/%s", folder, e->d_name) >= sizeof path)
            continue;
        s->entries++;
        snprintf(info, sizeof info, "%s/meta/info.json", path);
        if (file_exists(info)) keep(s->dataset, path);
        if (file_exists(path))
            see_file(s, path, e->d_name);
        else if (depth > 1)
            see_folder(s, path, depth - 1);
    }
    if (dir) closedir(dir);
}

static bool has(const char *folder, const char *name) {
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return file_exists(path) || dir_exists(path);
}

bool kind_refuse(const char *folder, Error *err) {
    Seen s = {0};
    see_folder(&s, folder, DEPTH);
    if (s.entries == 0)
        return fail(err, "%s: an empty folder; copy the recording into it again", folder);
    if (has(folder, "import.json") && has(folder, "parts"))
        return fail(err,
                    "%s: a conversion that is not finished; give the `tact import` that began it "
                    "again, which goes on with it",
                    folder);
    if (s.dataset[0])
        return fail(err, "%s: no dataset itself, but it holds a LeRobot dataset in %s: give that",
                    folder, s.dataset);
    if (has(folder, "meta_data") || (s.arrow[0] && !s.parquet[0]))
        return fail(err,
                    "%s: looks like a LeRobot dataset of version v1.x; convert it with LeRobot's "
                    "convert_dataset_v1_to_v2, and what that makes to v2.1",
                    folder);
    if (s.parquet[0] && (has(folder, "data") || has(folder, "videos") || has(folder, "meta")))
        return fail(err,
                    "%s: looks like a LeRobot dataset, but its meta/info.json is missing; copy the "
                    "dataset again, with the folder meta",
                    folder);
    if (s.bag[0])
        return fail(err,
                    "%s: holds recordings of ROS (%s), which are not read; convert them to a "
                    "LeRobot dataset first, which needs to know the topics of states, actions and "
                    "cameras",
                    folder, s.bag);
    if (s.records[0])
        return fail(err,
                    "%s: holds TFRecord files (%s), as RLDS and Open X-Embodiment have them, which "
                    "are not read; convert them to a LeRobot dataset first",
                    folder, s.records);
    if (s.images)
        return fail(err,
                    "%s: holds images (%s), but no states and actions that tact could read beside "
                    "them; write a LeRobot dataset from both",
                    folder, s.image);
    return true;
}
