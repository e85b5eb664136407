// SPDX-License-Identifier: Apache-2.0
// Files that take far more memory than they have bytes where a reader believes them. Each is made
// and opened in a process of its own, whose peak is held to what the reader's header states: 64 MB
// and so many times the file's bytes. `test_bombs --table` prints the peaks (docs/reliability.md).
#include "base/file.h"
#include "bomb_files.h"
#include "bomb_parquet.h"
#include "dataset/dataset.h"
#include "formats/image_codec.h"
#include "formats/json.h"
#include "formats/parquet_internal.h"
#include "formats/safetensors.h"
#include "formats/torch.h"
#include "formats/video.h"
#include "formats/yaml.h"
#include "image/image.h"
#include "import/source.h"
#include "report/run_log.h"
#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../ok.h" // last: cmocka defines `fail` as a macro

#include "../scratch.h"

// ---- opening ------------------------------------------------------------------------------------

static bool open_parquet(const char *path, Error *err) {
    ParquetFile *f;
    bool ok = parquet_open(path, &f, err);
    for (int i = 0; ok && i < f->n_leaves; i++) {
        ParquetColumn c;
        ok = parquet_read(f, i, 0, -1, &c, err);
        if (ok) parquet_column_free(&c);
    }
    return ok;
}

static bool open_json(const char *path, Error *err) {
    json_t *value;
    return json_read(path, &value, err);
}

static bool open_yaml(const char *path, Error *err) {
    json_t *value;
    return yaml_read(path, &value, err);
}

static bool open_safetensors(const char *path, Error *err) {
    Safetensors *s;
    return safetensors_open(path, &s, err);
}

static bool open_torch(const char *path, Error *err) {
    Torch *t;
    return torch_open(path, &t, err);
}

static bool open_log(const char *path, Error *err) {
    RunLog log;
    if (!run_log_read(path, &log, err)) return false;
    return log.lines > 0 || (snprintf(err->text, sizeof err->text, "%s: no line", path), false);
}

static bool open_dataset(const char *path, Error *err) {
    Dataset *ds;
    return dataset_open(&(DatasetOptions){.root = path}, &ds, err);
}

#ifdef TACT_VIDEO
static bool open_image(const char *path, Error *err) {
    char *data;
    size_t size;
    Image image;
    return file_read(path, &data, &size, err) && image_decode(data, size, path, &image, err);
}

static bool open_video(const char *path, Error *err) {
    Video *v;
    return video_open(path, NULL, &v, err);
}
#endif

static bool open_import(const char *path, Error *err) {
    ImportSource *s;
    return import_open(path, &s, err);
}

// ---- the bombs ----------------------------------------------------------------------------------

typedef struct Bomb {
    const char *name;
    void (*make)(const char *path);
    bool (*open)(const char *path, Error *err);
    int times;     // the reader's multiple of the file's bytes
    bool may_read; // there is nothing wrong with it, and it is small in memory
} Bomb;

enum { PARQUET_TIMES = 160, TORCH_TIMES = 128, VIDEO_TIMES = 128, IMAGE_TIMES = 512 };

static const Bomb bombs[] = {
    {"Parquet: 2^27 values announced", bomb_announced, open_parquet, PARQUET_TIMES, false},
    {"Parquet: 2^27 values in eight runs", bomb_runs, open_parquet, PARQUET_TIMES, false},
    {"Parquet: 64 pages without values", bomb_empty_pages, open_parquet, PARQUET_TIMES, true},
    {"Parquet: 16 dictionaries of 8 million", bomb_dictionaries, open_parquet, PARQUET_TIMES,
     false},
    {"Parquet: a value that unpacks to 1 GiB", bomb_unpacked, open_parquet, PARQUET_TIMES, false},
    {"Parquet: each value repeats the last", bomb_fronts, open_parquet, PARQUET_TIMES, false},
    {"Parquet: 1 MiB name over 60,000 leaves", bomb_names, open_parquet, PARQUET_TIMES, true},
    {"Parquet: 60,000 leaves, 10,000 groups", bomb_groups, open_parquet, PARQUET_TIMES, false},
    {"JSON: 7 million empty objects", bomb_brackets, open_json, 2 * JSON_PER_BYTE, false},
    {"safetensors: the same in its header", bomb_header, open_safetensors, JSON_PER_BYTE, false},
    {"metrics.jsonl: the same in a line", bomb_log_line, open_log, JSON_PER_BYTE, false},
    {"metrics.jsonl: 20 million empty lines", bomb_log_newlines, open_log, JSON_PER_BYTE, false},
    {"episodes.jsonl: 20 million empty lines", bomb_newlines, open_dataset, JSON_PER_BYTE, false},
    {"episodes.jsonl: 10 million short lines", bomb_lines, open_dataset, JSON_PER_BYTE, false},
    {"YAML: 500 kB meant 2,000 times", bomb_aliases, open_yaml, 128, false},
    {"YAML: files that include files, 12^7", bomb_includes, open_yaml, 128, false},
#ifdef TACT_VIDEO
    {"PNG: 144 million black pixels", bomb_png, open_image, IMAGE_TIMES, false},
    {"MP4: 2^24 samples of one size", bomb_samples, open_video, VIDEO_TIMES, false},
    {"MP4: a fragment of 2^24 samples", bomb_fragment, open_video, VIDEO_TIMES, false},
#endif
    {"PyTorch: a pickle of a million None", bomb_pickle, open_torch, TORCH_TIMES, false},
#ifdef TACT_IMPORT
    {"zarr: 400 MB of blanks in .zgroup", bomb_zarr, open_import, 128, false},
#endif
};
enum { BOMBS = sizeof bombs / sizeof *bombs };

// ---- in a process of its own --------------------------------------------------------------------

typedef enum Outcome { WAS_READ, WAS_REFUSED, ENDED_BADLY } Outcome;

static void in_child(const Bomb *b, const char *path) {
    Error err = {""};
    if (b->open(path, &err)) _exit(WAS_READ);
    _exit(strstr(err.text, path) ? WAS_REFUSED : ENDED_BADLY);
}

// *peak: bytes resident at most.
static Outcome wait_for(pid_t child, size_t *peak) {
    int status = -1;
    struct rusage usage;
    *peak = 0;
    while (wait4(child, &status, 0, &usage) < 0)
        if (errno != EINTR) return ENDED_BADLY;
    *peak = (size_t)usage.ru_maxrss << 10;
    return WIFEXITED(status) && WEXITSTATUS(status) < ENDED_BADLY ? (Outcome)WEXITSTATUS(status)
                                                                  : ENDED_BADLY;
}

static void make_in_child(const Bomb *b, const char *path) {
    size_t peak;
    pid_t child = fork(); // so that what making it takes is not what opening it takes
    if (child == 0) {
        b->make(path);
        _exit(0);
    }
    assert_int_equal(wait_for(child, &peak), 0);
}

// A child begins with what its parent has.
static size_t peak_of_nothing(void) {
    size_t peak;
    pid_t child = fork();
    if (child == 0) _exit(0);
    assert_int_equal(wait_for(child, &peak), 0);
    return peak;
}

static Outcome open_in_child(const Bomb *b, const char *path, size_t *peak) {
    size_t nothing = peak_of_nothing();
    pid_t child = fork();
    if (child == 0) in_child(b, path);
    Outcome outcome = wait_for(child, peak);
    *peak = *peak > nothing ? *peak - nothing : 0;
    return outcome;
}

static size_t bytes_at(const char *path) {
    struct stat st;
    Error ignored;
    int64_t below = 0;
    if (stat(path, &st) != 0) return 0;
    if (!S_ISDIR(st.st_mode)) return (size_t)st.st_size;
    return tree_bytes(path, &below, &ignored) ? (size_t)below : 0;
}

static void bomb_is_small(void **state) {
    enum { FREE = 64 << 20 };
    const Bomb *b = *state;
    char path[512];
    Error err;
    snprintf(path, sizeof path, "%s/bomb", folder);
    make_in_child(b, path);
    size_t peak, size = bytes_at(path), most = FREE + (size_t)b->times * size;
    if (b->open == open_import) { // which looks at the name
        char named[600];
        snprintf(named, sizeof named, "%s.zarr.zip", path);
        assert_int_equal(rename(path, named), 0);
        snprintf(path, sizeof path, "%s", named);
    }
    Outcome outcome = open_in_child(b, path, &peak);
    if (outcome == ENDED_BADLY) fail_msg("%s: the process ended, or no message names it", b->name);
    if (outcome == WAS_READ && !b->may_read) fail_msg("%s: was read", b->name);
    if (!(peak <= most))
        fail_msg("%s: %zu bytes took %zu of memory, more than %zu", b->name, size, peak, most);
    assert_true(remove_tree(path, &err));
}

// ---- the table ----------------------------------------------------------------------------------

static void print_row(const Bomb *b) {
    static const char *const outcomes[] = {"read", "refused", "ended"};
    char path[512];
    Error err;
    size_t peak;
    snprintf(path, sizeof path, "%s/bomb%s", folder, b->open == open_import ? ".zarr.zip" : "");
    make_in_child(b, path);
    size_t size = bytes_at(path);
    Outcome outcome = open_in_child(b, path, &peak);
    printf("| %s | %zu | %.1f | %s |\n", b->name, size, (double)peak / 1e6, outcomes[outcome]);
    fflush(stdout);
    if (!remove_tree(path, &err)) printf("%s\n", err.text);
}

int main(int argc, char **argv) {
    struct CMUnitTest tests[BOMBS];
    if (argc >= 2 && strcmp(argv[1], "--table") == 0) { // of all, or of those that are named so
        if (folder_make(NULL) != 0) return 1;
        for (int i = 0; i < BOMBS; i++)
            if (argc == 2 || strstr(bombs[i].name, argv[2])) print_row(&bombs[i]);
        return folder_remove(NULL);
    }
    for (int i = 0; i < BOMBS; i++)
        tests[i] = (struct CMUnitTest){
            .name = bombs[i].name, .test_func = bomb_is_small, .initial_state = (void *)&bombs[i]};
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
