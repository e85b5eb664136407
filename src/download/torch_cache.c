// SPDX-License-Identifier: Apache-2.0
// The folder where PyTorch keeps the weights it downloads: looked into, and filled.
#include "download/backbone_file.h"

#include "base/file.h"
#include "base/sha256.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PUBLISHED_AT "https://download.pytorch.org/models/"

typedef struct Fetch {
    const char *file;
    const DownloadProgress *progress;
    char folder[3072], path[3584], part[3600], url[4096];
    FILE *stream; // of part, locked as long as it is open
} Fetch;

static const char *environment_variable(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

// Where PyTorch itself looks, so that one copy serves both.
static void cache_folder(char *out, size_t size) {
    const char *torch = environment_variable("TORCH_HOME"),
               *cache = environment_variable("XDG_CACHE_HOME");
    const char *home = environment_variable("HOME");
    if (torch)
        snprintf(out, size, "%s/hub/checkpoints", torch);
    else if (cache)
        snprintf(out, size, "%s/torch/hub/checkpoints", cache);
    else
        snprintf(out, size, "%s/.cache/torch/hub/checkpoints", home ? home : ".");
}

// Compares a file with the digits in its name ("resnet18-f37072fd.pth"); a name without any fits.
// found gets what the file has.
static CHECKED bool digits_fit(const Fetch *w, const char *path, bool *fit, char found[9],
                               Error *err) {
    const char *dash = strrchr(w->file, '-');
    size_t n = dash ? strspn(dash + 1, "0123456789abcdef") : 0;
    char hex[65];
    *fit = true;
    if (n < 8 || dash[1 + n] != '.') return true;
    if (!sha256_file(path, hex, err)) return false;
    *fit = n <= 64 && memcmp(hex, dash + 1, n) == 0;
    snprintf(found, 9, "%.8s", hex);
    return true;
}

static CHECKED bool check_present(const Fetch *w, Error *err) {
    bool fit = false;
    char found[9] = "";
    if (!digits_fit(w, w->path, &fit, found, err)) return false;
    return fit || fail(err,
                       "%s: damaged: its SHA-256 begins with %s, not with the digits in its name; "
                       "remove it and start again",
                       w->path, found);
}

static bool user_stopped(const Fetch *w, int64_t done) {
    const DownloadProgress *p = w->progress;
    return p && !p->report(p->user, w->file, done, 0);
}

// A home folder that cannot be written to need not be the end: the message names two ways around
// it.
static CHECKED bool cannot_store(const Fetch *w, const Error *reason, Error *err) {
    return fail(
        err,
        "%s: the backbone's weights cannot be stored (%.600s); set TORCH_HOME to a folder that "
        "can be written to, or name a file that is there with "
        "--policy.pretrained_backbone_weights=FILE (null: from scratch)",
        w->file, reason->text);
}

// Opens FILE.part for this process alone, waiting for another one that downloads the same.
static CHECKED bool open_part(Fetch *w, Error *err) {
    for (;;) {
        int fd = open(w->part, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0) {
            Error reason;
            (void)!fail_errno(&reason, "%s", w->part);
            return cannot_store(w, &reason, err);
        }
        struct stat held, there;
        // On a file system without locks the file is used without one.
        bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
        if (fstat(fd, &held) != 0) held.st_size = 0;
        // The process that had it before may have moved or removed it in the meantime.
        if (locked && stat(w->part, &there) == 0 && there.st_ino == held.st_ino) {
            w->stream = fdopen(fd, "r+b");
            return true;
        }
        close(fd);
        if (user_stopped(w, held.st_size)) return fail(err, "%s: interrupted", w->file);
        const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
        if (!locked) nanosleep(&pause, NULL);
        if (file_exists(w->path)) return true;
    }
}

static CHECKED bool explain_failed_download(const Fetch *w, int64_t done, const Error *reason,
                                            Error *err) {
    if (strcmp(reason->text, "interrupted") == 0)
        return fail(err, "%s: download interrupted at %.0f MB; the next run goes on there", w->file,
                    (double)done / 1e6);
    return fail(err,
                "%s: cannot be downloaded from %s (%s); put it into %s, or train from scratch with "
                "--policy.pretrained_backbone_weights=null",
                w->file, w->url, reason->text, w->folder);
}

// Completes FILE.part. What it holds already may be part of another file, which shows only at
// the end; then the download starts over, once.
static CHECKED bool complete_part(Fetch *w, Error *err) {
    char found[9] = "";
    bool fit = false;
    Error reason;
    fseeko(w->stream, 0, SEEK_END);
    int64_t done = ftello(w->stream);
    if (done > 0 && !digits_fit(w, w->part, &fit, found, err)) return false;
    for (bool again = done > 0; !fit; again = false) {
        if (!download(w->url, w->file, w->stream, &done, w->progress, &reason))
            return explain_failed_download(w, done, &reason, err);
        if (!digits_fit(w, w->part, &fit, found, err)) return false;
        if (fit) break;
        rewind(w->stream);
        done = 0;
        if (ftruncate(fileno(w->stream), 0) != 0)
            return fail_errno(err, "%s: cannot empty", w->part);
        if (!again)
            return fail(err,
                        "%s: what %s sent is another file: its SHA-256 begins with %s; try again "
                        "later, or put the file into %s",
                        w->file, w->url, found, w->folder);
    }
    return fsync(fileno(w->stream)) == 0 || fail_errno(err, "%s: cannot write", w->part);
}

static CHECKED bool move_into_place(const Fetch *w, Error *err) {
    if (rename(w->part, w->path) != 0) return fail_errno(err, "%s: cannot create", w->path);
    return sync_dir(w->folder, err);
}

static CHECKED bool fetch_into_place(Fetch *w, Error *err) {
    if (file_exists(w->path)) return check_present(w, err);
    Error reason;
    if (!make_dirs(w->folder, &reason)) return cannot_store(w, &reason, err);
    if (!open_part(w, err)) return false;
    // Another process may have been first.
    if (file_exists(w->path)) return check_present(w, err);
    if (!complete_part(w, err)) {
        struct stat st;
        if (fstat(fileno(w->stream), &st) == 0 && st.st_size == 0) unlink(w->part);
        return false;
    }
    return move_into_place(w, err);
}

bool torch_cache_fetch(const char *file, const DownloadProgress *progress, char *path, size_t size,
                       Error *err) {
    Fetch w = {.file = file, .progress = progress};
    const char *base = environment_variable("TACT_WEIGHTS_URL");
    if (!base) base = PUBLISHED_AT;
    const char *slash = base[strlen(base) - 1] == '/' ? "" : "/";
    cache_folder(w.folder, sizeof w.folder);
    snprintf(w.path, sizeof w.path, "%s/%s", w.folder, file);
    snprintf(w.part, sizeof w.part, "%s.part", w.path);
    snprintf(w.url, sizeof w.url, "%s%s%s", base, slash, file);
    bool ok = fetch_into_place(&w, err);
    if (w.stream) fclose(w.stream);
    if (ok && (size_t)snprintf(path, size, "%s", w.path) >= size)
        return fail(err, "%s: the path is too long", w.path);
    return ok;
}
