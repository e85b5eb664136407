// SPDX-License-Identifier: Apache-2.0
// The relative-pose fork of LeRobot wraps ACT and keeps what the wrapper learns apart from it: the
// policy sees T states and T frames of every camera, in our order of tokens; a state's position is
// that of plain ACT plus its row of the table in temporal_wrapper.pt, the frames are not ordered.
// That is temporal_pos_embed=state.
#include "policy/temporal_wrapper.h"

#include "base/file.h"
#include "formats/weights.h"
#include "policy/policy_locate.h"
#include <stdio.h>
#include <string.h>

static const char table_name[] = "state_temporal_pos_embed.weight";

bool temporal_wrapper_find(const char *dir, char *out, size_t size) {
    // The fork saves it beside pretrained_model and looks for it in both places.
    static const char *const places[] = {"/..", ""};
    snprintf(out, size, "%s/tact.json", dir);
    if (file_exists(out)) return false; // ours, whatever lies beside it
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        snprintf(out, size, "%s%s/temporal_wrapper.pt", dir, places[i]);
        if (file_exists(out)) return true;
    }
    return false;
}

bool temporal_wrapper_settle(const char *dir, const json_t *config, const char *path,
                             PolicyConfig *p, Error *err) {
    char file[POLICY_PATH + 64];
    bool wrapped = temporal_wrapper_find(dir, file, sizeof file);
    const json_t *horizon = json_object_get(config, "obs_state_horizon");
    const json_t *disabled = json_object_get(config, "disable_temporal_wrapper");
    if (wrapped && !horizon)
        return fail(err, "%s: no obs_state_horizon in it, but %s belongs to a policy that has one",
                    path, file);
    if (wrapped && json_is_true(disabled))
        return fail(err,
                    "%s: disable_temporal_wrapper is true, but there is %s; if it is another "
                    "policy's, remove it",
                    path, file);
    // Before the fork had that key, it left one observation to plain ACT.
    bool wanted = horizon && !json_is_true(disabled) && (disabled || p->obs_state_horizon > 1);
    if (wanted && !wrapped)
        return fail(err,
                    "%s: there is no temporal_wrapper.pt beside %s or in it, with the embedding of "
                    "its %d observations; copy the whole checkpoint",
                    path, dir, p->obs_state_horizon);
    if (wrapped) {
        p->temporal_pos_embed = "state";
        p->pose_repr = "relative"; // the fork wraps no other policy
    }
    return true;
}

bool temporal_wrapper_open(const char *file, Weights **out, const SafetensorsEntry **e,
                           Error *err) {
    Weights *w = NULL;
    if (!weights_open(file, &w, err)) return false;
    bool ok = true;
    *e = weights_find(w, table_name);
    for (int i = 0; ok && i < weights_count(w); i++) {
        const char *name = weights_entry(w, i)->name;
        if (strcmp(name, table_name) != 0)
            ok = fail(err,
                      "%s: tensor \"%s\" is of a form of the wrapper that tact does not know; it "
                      "reads the one with %s alone",
                      file, name, table_name);
    }
    ok = ok && (*e || fail(err, "%s: tensor \"%s\" is missing", file, table_name));
    if (!ok)
        weights_close(w);
    else
        *out = w;
    return ok;
}
