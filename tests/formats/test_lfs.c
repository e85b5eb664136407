// SPDX-License-Identifier: Apache-2.0
// A clone without Git LFS has small texts where the large files belong: every reader says so.
#include "base/file.h"
#include "base/memory.h"
#include "formats/json.h"
#include "formats/parquet.h"
#include "formats/safetensors.h"
#include "formats/torch.h"
#include "formats/video.h"
#include "formats/weights.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char pointer[] =
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    "size 12345\n";

static char path[] = "/tmp/tact-lfs-XXXXXX";

static bool read_text(Error *err) {
    char *data;
    size_t size;
    return file_read(path, &data, &size, err);
}

static bool read_json(Error *err) {
    json_t *json;
    return json_read(path, &json, err);
}

static bool read_parquet(Error *err) {
    ParquetFile *f;
    return parquet_open(path, &f, err);
}

static bool read_safetensors(Error *err) {
    Safetensors *s;
    return safetensors_open(path, &s, err);
}

static bool read_torch(Error *err) {
    Torch *t;
    return torch_open(path, &t, err);
}

static bool read_weights(Error *err) {
    Weights *w;
    return weights_open(path, &w, err);
}

static bool read_video(Error *err) {
    Video *v;
    return video_open(path, NULL, &v, err);
}

static bool look_at_video(Error *err) {
    Video *v;
    return video_look(path, NULL, &v, err);
}

static void test_pointer(void **state) {
    (void)state;
    static bool (*const readers[])(Error *) = {read_text,        read_json,    read_parquet,
                                               read_safetensors, read_torch,   read_weights,
                                               read_video,       look_at_video};
    Error err;
    assert_true(file_write(path, pointer, sizeof pointer - 1, &err));
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
        err.text[0] = '\0';
        assert_false(readers[i](&err));
        if (!strstr(err.text, path) || !strstr(err.text, "a Git LFS pointer: run `git lfs pull`") ||
            strchr(err.text, '\n'))
            fail_msg("reader %zu: %s", i, err.text);
    }
}

// A text that only mentions Git LFS is no pointer.
static void test_no_pointer(void **state) {
    (void)state;
    char *data, text[2000];
    size_t size;
    Error err;
    memset(text, ' ', sizeof text);
    memcpy(text, pointer, sizeof pointer - 1);
    assert_true(file_write(path, text, sizeof text, &err)); // no pointer is so long
    assert_true(file_read(path, &data, &size, &err));
    mem_free(data);
    assert_true(file_write(path, pointer + 1, sizeof pointer - 2, &err));
    assert_true(file_check(path, &err));
    assert_true(file_write(path, pointer, 20, &err));
    assert_true(file_check(path, &err));
    assert_true(file_write(path, "", 0, &err));
    assert_true(file_check(path, &err));
}

static int make_path(void **state) {
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state) {
    (void)state;
    return unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pointer),
        cmocka_unit_test(test_no_pointer),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
