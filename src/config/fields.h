// SPDX-License-Identifier: Apache-2.0
// The table of settings: a row says how a setting is called, written, checked, stored and
// explained.
#ifndef TACT_CONFIG_FIELDS_H
#define TACT_CONFIG_FIELDS_H

#include "config/config.h"
#include "formats/json.h"

typedef enum FieldType {
    FIELD_BOOL,
    FIELD_INT,
    FIELD_INT64,
    FIELD_EVERY, // an int64_t that 0 switches off; as in LeRobot so does less, which is kept as 0
    FIELD_NUMBER,
    FIELD_STRING,
    FIELD_FOLDER, // a FIELD_STRING that names a folder
    FIELD_FILE,   // or a file
    FIELD_INT_LIST,
    FIELD_SIZES, // an IntList: [H,W], or [[H,W],[H,W]] one after the other
    FIELD_NORM_MAP,
    FIELD_NAMES,       // text of a JSON object of strings; stored as that object
    FIELD_NUMBER_PAIR, // two doubles one after the other
} FieldType;

// Where a setting is written.
typedef enum FieldHome {
    HOME_NONE,       // a flag only
    HOME_POLICY,     // config.json and train_config.json's policy: a key every LeRobot knows
    HOME_TACT,       // tact.json
    HOME_DATASET,    // train_config.json: dataset
    HOME_TRANSFORMS, // train_config.json: dataset.image_transforms, where enabled
    HOME_TRAIN,      // train_config.json: top level
    HOME_OPTIMIZER,  // train_config.json: optimizer
    HOME_SCHEDULER,  // train_config.json: scheduler, where there is one
    HOME_EMA,        // train_config.json: ema, where it is enabled
    HOME_WANDB,      // train_config.json: wandb
    HOME_TACT_TRAIN, // tact.json: train
    HOME_TACT_ENV,   // tact.json: train.env and train.eval
} FieldHome;

typedef struct Field {
    const char *flag; // "policy.chunk_size", as in --policy.chunk_size
    FieldType type;
    FieldHome home;
    bool nullable;
    size_t offset;        // in TrainConfig
    const char *fallback; // default, spelled as on the command line
    double low, high;     // allowed range of numbers, inclusive
    const char *choices;  // "relu|gelu"; "cpu|cuda|...": these and others; NULL: any
    const char *help;     // one line
} Field;

extern const Field train_fields[];
extern const int train_field_count;
// The setting of a flag, also under the spellings that other versions of LeRobot have
// (env_eval_freq -> eval_freq). NULL if there is none.
const Field *field_find(const char *flag);
// Sets one field from text (a flag's value). The error names the flag, the value and what is
// expected.
CHECKED bool field_set(TrainConfig *c, const Field *f, const char *text, Error *err);
// Whether text is one of choices, as a field has them; NULL allows any.
bool text_is_choice(const char *choices, const char *text);
// What YAML 1.1, in which LeRobot reads its flags, takes for a boolean (true, TRUE, yes, on, ...)
// and a whole number (100000, 100_000, 0x10).
bool text_bool(const char *text, bool *out);
bool text_whole(const char *text, int64_t *out);
// The flag closest in spelling to an unknown one (edit distance); NULL: none is near.
const char *field_nearest(const char *flag);
// The JSON value of a setting; `slot` is where its value is stored. New reference.
json_t *field_json(const Field *f, const void *slot);

// Whether a schedule of that type (NULL: none) has the setting: LeRobot refuses others.
bool scheduler_has(const char *type, const Field *f);

#endif
