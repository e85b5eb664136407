// SPDX-License-Identifier: Apache-2.0
// Value of the configuration -> JSON.
#include "config/fields.h"

static json_t *string_json(const char *s) {
    return json_bytes(s);
}

static json_t *names_json(const char *text) {
    json_t *object = text ? json_parse_argument(text, 0, NULL) : NULL;
    return object ? object : json_object();
}

static json_t *list_json(const IntList *list) {
    if (!list->values) return json_null();
    json_t *array = json_array();
    for (int64_t i = 0; i < list->count; i++)
        json_array_append_new(array, json_integer(list->values[i]));
    return array;
}

static json_t *sizes_json(const IntList *list) {
    if (!list->values || list->count == 2) return list_json(list);
    json_t *array = json_array();
    for (int64_t i = 0; i + 1 < list->count; i += 2) {
        json_array_append_new(array, json_pack("[I,I]", (json_int_t)list->values[i],
                                               (json_int_t)list->values[i + 1]));
    }
    return array;
}

// A mode that was neither given nor decided from data is LeRobot's default; ENV is only there when
// it has a mode, since LeRobot's mapping does not have it.
static json_t *norm_map_json(const NormMap *map) {
    json_t *object = json_object();
    json_object_set_new(object, "VISUAL", json_string(map->visual ? map->visual : "MEAN_STD"));
    json_object_set_new(object, "STATE", json_string(map->state ? map->state : "MEAN_STD"));
    json_object_set_new(object, "ACTION", json_string(map->action ? map->action : "MEAN_STD"));
    if (map->env) json_object_set_new(object, "ENV", json_string(map->env));
    return object;
}

json_t *field_json(const Field *f, const void *slot) {
    const double *number = slot;
    switch (f->type) {
    case FIELD_BOOL:
        return json_boolean(*(const bool *)slot);
    case FIELD_INT:
        return json_integer(*(const int *)slot);
    case FIELD_INT64:
    case FIELD_EVERY:
        return json_integer(*(const int64_t *)slot);
    case FIELD_NUMBER:
        return *number == CONFIG_NULL_NUMBER ? json_null() : json_real(*number);
    case FIELD_NUMBER_PAIR:
        return json_pack("[f,f]", number[0], number[1]);
    case FIELD_STRING:
    case FIELD_FOLDER:
    case FIELD_FILE:
        return string_json(*(const char *const *)slot);
    case FIELD_NAMES:
        return names_json(*(const char *const *)slot);
    case FIELD_INT_LIST:
        return list_json(slot);
    case FIELD_SIZES:
        return sizes_json(slot);
    case FIELD_NORM_MAP:
        return norm_map_json(slot);
    }
    return json_null();
}
