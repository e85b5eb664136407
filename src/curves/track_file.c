// SPDX-License-Identifier: Apache-2.0
#include "curves/track_file.h"

#include "config/config_json.h"

enum { TRACK_VERSION = 1 };

bool track_file_write(const TrainConfig *c, Error *err) {
    json_t *tact = policy_to_tact_json(&c->policy);
    json_object_set_new(tact, "train", train_config_to_tact_json(c));
    return json_write_new(c->output_dir, "track.json",
                          json_pack("{s:i, s:o, s:o}", "version", TRACK_VERSION, "train_config",
                                    train_config_to_json(c), "tact", tact),
                          err);
}
