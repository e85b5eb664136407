// SPDX-License-Identifier: Apache-2.0
// On which device a run computes: the one that was asked for, or the one that the checkpoint was
// trained on where it is there. Of a card that is not there it is never said that others have it.
#include "train/run_model.h"

#include "base/log.h"
#include <stdio.h>
#include <string.h>

#include "../ok.h"

static void keep_warning(void *user, LogLevel level, const char *line) {
    if (level == LOG_LEVEL_WARNING) snprintf(user, 1000, "%s", line);
}

static void without_a_wish_the_cpu(void **state) {
    (void)state;
    TrainConfig c;
    Device *d = NULL;
    Error err;
    train_config_default(&c);
    c.policy.device = NULL;
    OK(run_device_open(&c, NULL, &d, &err));
    assert_true(!c.policy.device || strcmp(c.policy.device, "cpu") == 0);
    device_close(d);
    train_config_free(&c);
}

static void a_device_that_is_asked_for(void **state) {
    (void)state;
    static const char *const names[] = {"ref", "cuda:0", "cuda:99", "abacus"};
    for (int i = 0; i < 4; i++) {
        TrainConfig c;
        Device *d = NULL;
        Error err = {""};
        train_config_default(&c);
        c.policy.device = names[i];
        c.trained_on = "cpu"; // the wish outranks it
        bool ok = run_device_open(&c, NULL, &d, &err);
        assert_string_equal(c.policy.device, names[i]);
        if (i == 0) assert_true(ok && strcmp(d->backend->name, "ref") == 0);
        if (i > 1) assert_false(ok);
        assert_null(strstr(err.text, "processes of this host"));
        if (ok) device_close(d);
        train_config_free(&c);
    }
}

static void the_device_of_the_checkpoint(void **state) {
    (void)state;
    static const char *const trained_on[] = {"ref", "cuda:99", "mps"};
    for (int i = 0; i < 3; i++) {
        TrainConfig c;
        Device *d = NULL;
        Error err;
        char line[1000] = "";
        train_config_default(&c);
        c.policy.device = NULL;
        c.trained_on = trained_on[i];
        LogSink before = log_to((LogSink){keep_warning, line});
        OK(run_device_open(&c, NULL, &d, &err));
        log_to(before);
        assert_string_equal(d->backend->name, i == 0 ? "ref" : "cpu");
        assert_string_equal(c.policy.device, i == 0 ? "ref" : "cpu");
        assert_true((strstr(line, trained_on[i]) != NULL) == (i > 0));
        device_close(d);
        train_config_free(&c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_wish_the_cpu),
        cmocka_unit_test(a_device_that_is_asked_for),
        cmocka_unit_test(the_device_of_the_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
