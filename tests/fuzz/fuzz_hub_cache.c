// SPDX-License-Identifier: Apache-2.0
// Any files and links as the cache of the Hub ($HF_HOME), and any name and revision: refused, or a
// folder in the cache.
#include "base/file.h"
#include "driver.h"
#include "formats/hub_cache.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void find(const char *home, HubKind kind, const char *name, const char *revision) {
    char out[4096];
    Error err = {""};
    if (!hub_is_name(kind, name)) return;
    if (!fuzz_ok(hub_find(kind, name, revision, out, sizeof out, &err), &err)) return;
    if (strncmp(out, home, strlen(home)) != 0 || !dir_exists(out)) abort();
    // Links may lead out of it, as names may not.
    for (const char *p = out; (p = strstr(p, "..")); p += 2)
        if (p[-1] == '/' && (p[2] == '/' || !p[2])) abort();
}

void fuzz_input(const uint8_t *data, size_t size) {
    static const char *const others[] = {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE",
                                         "HF_LEROBOT_HOME"};
    FuzzPart parts[FUZZ_MOST_PARTS];
    const int n = fuzz_split(data, size, parts);
    const char *home = fuzz_folder(parts, n, "");
    const FuzzPart *wanted = fuzz_part(parts, n, "revision");
    char *name = fuzz_text(fuzz_part(parts, n, "name")), *revision = fuzz_text(wanted), out[512];
    for (int i = 0; i < 3; i++) unsetenv(others[i]);
    setenv("HF_HOME", home, 1);
    setenv("HOME", home, 1);
    find(home, HUB_DATASET, name, wanted ? revision : NULL);
    find(home, HUB_MODEL, name, wanted ? revision : NULL);
    hub_expand_home(name, out, sizeof out);
    fuzz_use_bytes(out, strlen(out));
    free(name);
    free(revision);
}
