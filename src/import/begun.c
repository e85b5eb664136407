// SPDX-License-Identifier: Apache-2.0
#include "import/begun.h"

#include "base/file.h"
#include "base/log.h"
#include "formats/json.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char said[] = "import.json", lock_name[] = "lock";

// ---- the source ---------------------------------------------------------------------------------

void digest_add(Digest *d, const void *data, size_t size) {
    sha256_add(d, data, size);
}

static void add_text(Digest *d, const char *text) {
    sha256_add(d, text ? text : "", strlen(text ? text : "") + 1);
}

CHECKED static bool source_bytes(const char *path, int64_t *bytes, Error *err) {
    struct stat st;
    PathKind kind;
    if (!path_look(path, &kind, err) || !tree_bytes(path, bytes, err)) return false;
    if (kind == AT_FILE && stat(path, &st) == 0) *bytes = st.st_size;
    return true;
}

bool digest_source(Digest *d, const ImportSource *s, Error *err) {
    int64_t bytes;
    if (!source_bytes(s->path, &bytes, err)) return false;
    sha256_init(d);
    add_text(d, s->form);
    for (int64_t e = 0; e < s->n_episodes; e++) {
        const ImportEpisode *episode = &s->episodes[e];
        sha256_add(d, &episode->length, sizeof episode->length);
        add_text(d, episode->name);
        add_text(d, episode->task);
        add_text(d, episode->split);
    }
    for (int i = 0; i < s->n_vectors; i++) {
        add_text(d, s->vectors[i].name);
        add_text(d, s->vectors[i].dtype);
        sha256_add(d, &s->vectors[i].dim, sizeof s->vectors[i].dim);
    }
    for (int c = 0; c < s->n_cameras; c++) {
        add_text(d, s->cameras[c].name);
        add_text(d, s->cameras[c].codec);
        sha256_add(d, &s->cameras[c].height, sizeof s->cameras[c].height);
        sha256_add(d, &s->cameras[c].width, sizeof s->cameras[c].width);
    }
    sha256_add(d, &bytes, sizeof bytes);
    return true;
}

// ---- the folder ---------------------------------------------------------------------------------

// Whether nothing is in it but what is written before import.json.
CHECKED static bool is_fresh(const char *dir, bool *out, Error *err) {
    DIR *d;
    const struct dirent *e;
    bool fresh = true;
    if (!dir_open(dir, &d, err)) return false;
    while (d && fresh && (e = readdir(d)))
        fresh = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
                strcmp(e->d_name, lock_name) == 0 || strcmp(e->d_name, "dataset") == 0 ||
                strncmp(e->d_name, said, strlen(said)) == 0;
    if (d) closedir(d);
    *out = fresh;
    return true;
}

static bool take_lock(Begun *b, Error *err) {
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", b->dir, lock_name);
    b->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (b->lock < 0) return fail_errno(err, "%s: cannot create", path);
    if (flock(b->lock, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return true;
    return fail(err, "%s: another `tact import` is working on it; wait for it or stop it", b->dir);
}

bool begun_open(Begun *b, const Plan *plan, Error *err) {
    const char *root = plan->o.root;
    size_t n = strlen(root);
    while (n > 1 && root[n - 1] == '/') n--;
    b->lock = -1;
    if (n > 3000)
        return fail(err, "--root=%.60s...: %zu bytes long, and at most 3000 are possible", root, n);
    PathKind there, begun;
    if (!path_look(root, &there, err)) return false;
    if (there == AT_FILE || there == AT_DIR)
        return fail(err, "%s: already exists; remove it or choose another folder with --root",
                    root);
    char dir[4096], path[4200];
    snprintf(dir, sizeof dir, "%.*s.partial", (int)n, root);
    snprintf(path, sizeof path, "%s/%s", dir, said);
    bool fresh = true;
    if (!path_look(dir, &there, err) || !path_look(path, &begun, err) ||
        (there == AT_DIR && begun != AT_FILE && !is_fresh(dir, &fresh, err)))
        return false;
    if (!fresh)
        return fail(err,
                    "%s: in the way, and not begun by `tact import`; remove it or choose "
                    "another --root",
                    dir);
    if (!make_dirs(dir, err)) return false;
    snprintf(b->dir, sizeof b->dir, "%s", dir);
    if (!take_lock(b, err)) {
        b->dir[0] = '\0';
        return false;
    }
    // Again, now that nobody else is at it.
    if (!path_look(path, &begun, err)) return false;
    b->fresh = begun != AT_FILE;
    remove_half_written(dir);
    return true;
}

static json_t *options_json(const Plan *p) {
    json_t *o = json_object(), *episodes = json_array();
    for (int64_t i = 0; i < p->n_episodes; i++)
        json_array_append_new(episodes, json_integer(p->episodes[i].source));
    json_object_set_new(o, "fps", json_real(p->fps));
    json_object_set_new(o, "images", json_string(convert_images_names[p->o.images]));
    json_object_set_new(o, "action", json_string(p->o.next_action ? "next" : "same"));
    json_object_set_new(o, "task", json_bytes(p->o.task));
    json_object_set_new(o, "colors", json_string(p->source->red_is_blue ? "bgr" : "rgb"));
    json_object_set_new(o, "episodes", episodes);
    return o;
}

// Compares what stands there with what is asked for now.
static bool check_options(const Begun *b, const json_t *then, const json_t *now, Error *err) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)now, key, value) {
        const json_t *before = json_object_get(then, key);
        if (before && json_equal(before, value)) continue;
        char *old = json_text_had(before ? before : json_null(), 0), *new = json_text_had(value, 0);
        fail(
            err,
            "%s: begun with another --%s (%.200s, now %.200s): give that again to go on, or remove "
            "the folder to begin anew",
            b->dir, key, old, new);
        mem_free(old);
        mem_free(new);
        return false;
    }
    return true;
}

bool begun_check(Begun *b, const Plan *plan, Digest *source, Error *err) {
    char path[4200], digest[65];
    snprintf(path, sizeof path, "%s/%s", b->dir, said);
    sha256_hex(source, digest);
    json_t *options = options_json(plan), *there = NULL;
    bool ok;
    if (b->fresh) {
        json_t *root = json_object();
        json_object_set_new(root, "tact_import", json_string(TACT_VERSION));
        json_object_set_new(root, "source", json_string(digest));
        json_object_set(root, "options", options);
        ok = json_write_new(b->dir, said, root, err);
    } else if ((ok = json_read(path, &there, err))) {
        const char *then = json_string_value(json_object_get(there, "source"));
        const char *version = json_string_value(json_object_get(there, "tact_import"));
        ok = check_options(b, json_object_get(there, "options"), options, err);
        if (ok && (!then || strcmp(then, digest) != 0))
            ok = fail(err,
                      "%s: begun from another source, or from %s before it was changed; remove the "
                      "folder to begin anew, or choose another --root",
                      b->dir, plan->source->path);
        if (ok && (!version || strcmp(version, TACT_VERSION) != 0))
            log_warn("%s: begun by another version of tact (%s); going on", b->dir,
                     version ? version : "?");
    }
    json_decref(there);
    json_decref(options);
    return ok;
}

void begun_finished(Begun *b) {
    Error err;
    if (!remove_tree(b->dir, &err)) log_warn("%s", err.text);
    if (b->lock >= 0) close(b->lock);
    *b = (Begun){.lock = -1};
}

void begun_close(Begun *b) {
    Error none;
    if (!b->dir[0]) {
        if (b->lock > 0) close(b->lock);
        return;
    }
    if (b->drop && !remove_tree(b->dir, &none)) b->drop = false;
    if (b->lock >= 0) close(b->lock);
    *b = (Begun){.lock = -1};
}
