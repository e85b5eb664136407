// SPDX-License-Identifier: Apache-2.0
// An error and a line of the log are one line, whatever is in the names that they tell of.
#include "base/error.h"
#include "base/log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char name[] = "a\nb\r\x1b[31m\x7f\tc"; // and an escape that colours a terminal
static const char line[] = "a b  [31m  c";

static void an_error_is_one_line(void **state) {
    (void)state;
    Error err, why;
    char text[64];
    snprintf(text, sizeof text, "%s: broken", line);
    assert_false((fail)(&err, "%s: broken", name));
    assert_string_equal(err.text, text);
    errno = ENOENT;
    assert_false(fail_errno(&err, "%s", name));
    assert_memory_equal(err.text, line, strlen(line));
    assert_null(strchr(err.text, '\n'));
    assert_false(fail_memory(&why, "%s", name));
    assert_false(fail_because(&err, &why, "%s: %s", name, why.text));
    assert_null(strpbrk(err.text, "\n\r\t\x1b\x7f"));
    assert_true(error_is_memory(&err));
}

static void what_is_no_control_character_stays(void **state) {
    (void)state;
    static const char texts[] = "~ \xc3\xa9 \xff \xe2\x82\xac";
    Error err;
    assert_false((fail)(&err, "%s", texts));
    assert_string_equal(err.text, texts);
}

static char logged[256];

static void keep(void *user, LogLevel level, const char *text) {
    (void)user, (void)level;
    snprintf(logged, sizeof logged, "%s", text);
}

static void a_line_of_the_log_is_one(void **state) {
    (void)state;
    const LogSink before = log_to((LogSink){keep, NULL});
    log_warn("%s", name);
    log_to(before);
    assert_string_equal(logged, line);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_is_one_line),
        cmocka_unit_test(what_is_no_control_character_stays),
        cmocka_unit_test(a_line_of_the_log_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
