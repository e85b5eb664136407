// SPDX-License-Identifier: Apache-2.0
// Modules are found beside the program and through $TACT_MODULE_PATH. One sentence says so when a
// module is not there, comes from another build, is no module, or needs a library that is missing.
#include "base/module.h"

#include "formats/video.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool load(const char *name, Error *err) {
    Module m = {.name = name,
                .what = "dancing",
                .built = "libdance-dev",
                .needs = {{"libstrange_missing.so", "libstrange1"}}};
    bool ok = module_load(&m, err);
    assert_true(ok == (module_table(&m) != NULL));
    return ok;
}

#define SAYS(name, words)                                                                          \
    do {                                                                                           \
        Error err = {""};                                                                          \
        assert_false(load(name, &err));                                                            \
        if (!strstr(err.text, words)) fail_msg("'%s' does not say '%s'", err.text, words);         \
    } while (0)

static void what_is_not_there(void **state) {
    (void)state;
    unsetenv("TACT_MODULE_PATH");
    SAYS("tact_dance", "dancing needs tact_dance.so, which is not here");
    SAYS("tact_dance", "libdance-dev");
    SAYS("tact_dance", "$TACT_MODULE_PATH");
    setenv("TACT_MODULE_PATH", "/nowhere:" STRANGE, 1);
    SAYS("tact_dance", "looked in " STRANGE); // a folder that is there, and none that is not
    Error err;
    assert_false(load("tact_dance", &err));
    assert_null(strstr(err.text, "/nowhere"));
}

static void what_is_of_another_build(void **state) {
    (void)state;
    setenv("TACT_MODULE_PATH", STRANGE, 1);
    SAYS("strange_version", "dancing: " STRANGE "/strange_version.so belongs to tact 0.0.9-before");
    SAYS("strange_version", TACT_MODULE_VERSION);
    SAYS("strange_version", TACT_MODULE_VERSION); // and is not taken the second time
    SAYS("strange_none", "is no module of tact");
}

static void what_lacks_a_library(void **state) {
    (void)state;
    setenv("TACT_MODULE_PATH", STRANGE, 1);
    SAYS("strange_need", "dancing needs libstrange_missing.so, which is not installed");
    SAYS("strange_need", "apt-get install libstrange1");
}

static void *name_the_decoder(void *out) {
    return video_decoder_name(out, 128) ? out : NULL;
}

// The real one lies where the program looks without being told; two threads that ask at once get
// the same.
static void what_is_there(void **state) {
    (void)state;
    char mine[128] = "", other[128] = "";
    pthread_t thread;
    void *done = NULL;
    unsetenv("TACT_MODULE_PATH");
    assert_int_equal(pthread_create(&thread, NULL, name_the_decoder, other), 0);
    bool found = video_decoder_name(mine, sizeof mine);
    pthread_join(thread, &done);
    assert_true(found == (done != NULL));
#ifndef TACT_VIDEO
    print_message("skipped: tact_video was not built\n");
    skip();
#endif
    assert_true(found);
    assert_non_null(strstr(mine, "avcodec"));
    assert_string_equal(mine, other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_there),
        cmocka_unit_test(what_is_of_another_build),
        cmocka_unit_test(what_lacks_a_library),
        cmocka_unit_test(what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
