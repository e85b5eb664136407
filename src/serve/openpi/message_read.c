// SPDX-License-Identifier: Apache-2.0
// From what a client sends to an observation. A client names things in one of many ways
// ("observation/state", "state", {"images": {"front": ...}}): nested names are put together with
// dots, and a name is the policy's where it ends like it.
#include "serve/openpi/message.h"

#include "base/memory.h"
#include "base/text.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// A value that is no map, and what leads to it.
enum { MOST_LEAVES = 256, LONGEST_NAME = 200 };
typedef struct Leaf {
    char name[LONGEST_NAME];
    const msgpack_object *value;
    bool taken; // it is a feature of the policy's
} Leaf;

struct MessageReader {
    const ServeWants *wants;
    msgpack_zone zone; // what msgpack-c makes of a message
    Leaf leaves[MOST_LEAVES];
    int n_leaves;
    double *state, *env;
    tact_image images[MOST_LEAVES];
    int n_images;
    uint8_t *turned; // images whose channels came as planes
    size_t turned_used, turned_room;
    char missing[400];
};

MessageReader *message_reader_new(const ServeWants *wants) {
    MessageReader *r = NEW(MessageReader, 1);
    r->wants = wants;
    r->state = NEW(double, wants->state_size);
    r->env = NEW(double, wants->env_size);
    if (msgpack_zone_init(&r->zone, MSGPACK_ZONE_CHUNK_SIZE)) return r;
    message_reader_free(r);
    return NULL;
}

void message_reader_free(MessageReader *r) {
    if (!r) return;
    msgpack_zone_destroy(&r->zone);
    mem_free(r->state);
    mem_free(r->env);
    mem_free(r->turned);
    mem_free(r);
}

const char *message_missing(const MessageReader *r) {
    return r->missing;
}

// ---- names --------------------------------------------------------------------------------------

// Adds a key to the name in `out`, of which `used` bytes are there. Returns how many then are; 0:
// it is no name, or too long.
static size_t add_key(char out[LONGEST_NAME], size_t used, const msgpack_object *key) {
    const bool text = key->type == MSGPACK_OBJECT_STR, bytes = key->type == MSGPACK_OBJECT_BIN;
    const char *p = text ? key->via.str.ptr : bytes ? key->via.bin.ptr : NULL;
    const size_t size = text ? key->via.str.size : bytes ? key->via.bin.size : 0;
    if (!p || size == 0 || used + size + 2 > LONGEST_NAME) return 0;
    if (used) out[used++] = '.';
    for (size_t i = 0; i < size; i++) out[used + i] = p[i] == '/' || !p[i] ? '.' : p[i];
    out[used + size] = '\0';
    return used + size;
}

// The depth has been checked.
CHECKED static bool collect(MessageReader *r, const msgpack_object *map, char name[LONGEST_NAME],
                            size_t used, Error *err) {
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *pair = &map->via.map.ptr[i];
        const size_t length = add_key(name, used, &pair->key);
        if (length == 0)
            return fail(err,
                        "a key of the observation is no text, empty, or with those above it longer "
                        "than %d bytes",
                        LONGEST_NAME - 2);
        double number;
        if (pair->val.type == MSGPACK_OBJECT_MAP && !numpy_is_array(&pair->val) &&
            !numpy_number(&pair->val, &number)) {
            if (!collect(r, &pair->val, name, length, err)) return false;
            continue;
        }
        if (r->n_leaves == MOST_LEAVES)
            return fail(err, "the observation has more than %d values", MOST_LEAVES);
        Leaf *leaf = &r->leaves[r->n_leaves++];
        *leaf = (Leaf){.value = &pair->val};
        memcpy(leaf->name, name, length + 1);
    }
    return true;
}

// How well a client's name, with dots, means the policy's: like "observation.state" is first that,
// then "state", then what ends like it, "robot.state"; 0: it does not.
static int likeness(const char *name, const char *wanted) {
    static const char *const prefixes[] = {"observation.images.", "observation."};
    enum { ENDS_LIKE = 1, SHORT = 2, FULL = 3 };
    if (strcmp(name, wanted) == 0) return FULL;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        const size_t n = strlen(prefixes[i]);
        if (strncmp(wanted, prefixes[i], n) != 0) continue;
        wanted += n;
        break;
    }
    const size_t have = strlen(name), want = strlen(wanted);
    if (have < want || strcmp(name + have - want, wanted) != 0) return 0;
    return have == want ? SHORT : name[have - want - 1] == '.' ? ENDS_LIKE : 0;
}

// *out: the value that the policy's name means, NULL: there is none.
CHECKED static bool find(MessageReader *r, const char *policy_name, Leaf **out, Error *err) {
    char wanted[LONGEST_NAME];
    const Leaf *other = NULL;
    int most = 0;
    *out = NULL;
    snprintf(wanted, sizeof wanted, "%s", policy_name);
    for (char *p = wanted; *p; p++) *p = *p == '/' ? '.' : *p;
    for (int i = 0; i < r->n_leaves; i++) {
        const int like = likeness(r->leaves[i].name, wanted);
        if (like == 0 || like < most) continue;
        other = like == most ? *out : NULL;
        most = like;
        *out = &r->leaves[i];
    }
    if (other)
        return fail(err, "%s may be %s or %s; give one of them that name", policy_name, other->name,
                    (*out)->name);
    if (*out && (*out)->taken)
        return fail(err, "%s is meant for two features of the policy; give them their full names",
                    (*out)->name);
    if (*out) (*out)->taken = true;
    return true;
}

CHECKED static bool find_flag(const MessageReader *r, const char *name, bool *out, Error *err) {
    double value = 0;
    for (int i = 0; i < r->n_leaves; i++)
        if (strcmp(r->leaves[i].name, name) == 0 && !numpy_number(r->leaves[i].value, &value))
            return fail(err, "%s: must be true or false", name);
    *out = value != 0;
    return true;
}

// ---- vectors ------------------------------------------------------------------------------------

// Gets the numbers and how many there are; of another number than is wanted tact_observe says so,
// and they are not read.
CHECKED static bool read_vector(MessageReader *r, const char *name, size_t wanted, double *values,
                                size_t *size, Error *err) {
    Leaf *leaf;
    *size = 0;
    if (wanted == 0) return true;
    if (!find(r, name, &leaf, err)) return false;
    if (!leaf)
        return fail(err, "no %s in the observation; the policy wants %zu numbers", name, wanted);
    const msgpack_object *o = leaf->value;
    if (o->type != MSGPACK_OBJECT_ARRAY) {
        NumpyArray a;
        if (!numpy_array(o, leaf->name, &a, err)) return false;
        *size = a.count;
        for (size_t i = 0; a.count == wanted && i < wanted; i++) values[i] = numpy_value(&a, i);
        return true;
    }
    *size = o->via.array.size;
    for (size_t i = 0; *size == wanted && i < wanted; i++)
        if (!numpy_number(&o->via.array.ptr[i], &values[i]))
            return fail(err, "%s: value %zu is no number", leaf->name, i);
    return true;
}

// ---- images -------------------------------------------------------------------------------------

// Planes (3, height, width) as pixels (height, width, 3), in the reader's memory, which has room.
static const uint8_t *turn(MessageReader *r, const uint8_t *planes, size_t pixels) {
    uint8_t *out = r->turned + r->turned_used;
    const uint8_t *red = planes, *green = planes + pixels, *blue = planes + 2 * pixels;
    for (size_t i = 0; i < pixels; i++) {
        out[3 * i] = red[i];
        out[3 * i + 1] = green[i];
        out[3 * i + 2] = blue[i];
    }
    r->turned_used += 3 * pixels;
    return out;
}

CHECKED static bool describe_shape(const NumpyArray *a, const char *name, const tact_camera *c,
                                   Error *err) {
    char shape[16 * NUMPY_DIMENSIONS] = "";
    size_t used = 0;
    for (int i = 0; i < a->n_dims; i++)
        used +=
            (size_t)snprintf(shape + used, sizeof shape - used, "%s%zu", i ? ", " : "", a->dims[i]);
    return fail(err, "%s has the shape (%s); an image of the policy's is (%d, %d, 3)", name, shape,
                c->height, c->width);
}

// An array as an image, where it can be one. c: the camera whose it is, NULL: none that the policy
// knows by this name.
CHECKED static bool add_image(MessageReader *r, const NumpyArray *a, const char *name,
                              const tact_camera *c, Error *err) {
    const bool pixels = a->n_dims == 3 && a->dims[2] == 3;
    const bool planes = !pixels && a->n_dims == 3 && a->dims[0] == 3;
    const bool bytes = a->kind == 'u' && a->item == 1;
    if (c && a->kind == 'f')
        return fail(err,
                    "%s holds floating-point numbers; images are uint8 of 0 to 255, as "
                    "openpi_client.image_tools.convert_to_uint8 makes them of 0 to 1",
                    name);
    if (c && !bytes) return fail(err, "%s has the dtype %s; images are uint8", name, a->dtype);
    if (c && !pixels && !planes) return describe_shape(a, name, c, err);
    if (!bytes || (!pixels && !planes)) return true; // something else of the client's
    const int at = planes;                           // the first dimension of a plane
    r->images[r->n_images++] =
        (tact_image){.size = sizeof(tact_image),
                     .camera = c ? c->name : after_last(name, '.'),
                     .rgb = planes ? turn(r, a->data, a->dims[1] * a->dims[2]) : a->data,
                     .height = (int)a->dims[at],
                     .width = (int)a->dims[at + 1]};
    return true;
}

static void note_missing(MessageReader *r) {
    size_t used = 0;
    for (int i = 0; i < r->n_leaves && used < sizeof r->missing; i++)
        used += (size_t)snprintf(r->missing + used, sizeof r->missing - used, "%s%s",
                                 used ? ", " : "", r->leaves[i].name);
}

// Those of the policy's cameras, then the other ones: the policy may know these by names that it
// was trained to rename.
CHECKED static bool read_images(MessageReader *r, Error *err) {
    const ServeWants *w = r->wants;
    NumpyArray a;
    Error none;
    for (int i = 0; i < w->n_cameras; i++) {
        Leaf *leaf;
        if (!find(r, w->cameras[i].name, &leaf, err)) return false;
        if (!leaf) {
            if (!r->missing[0]) note_missing(r);
            continue;
        }
        if (!numpy_array(leaf->value, leaf->name, &a, err) ||
            !add_image(r, &a, leaf->name, &w->cameras[i], err))
            return false;
    }
    if (!r->missing[0]) return true;
    for (int i = 0; i < r->n_leaves; i++) {
        const Leaf *leaf = &r->leaves[i];
        if (!leaf->taken && numpy_is_array(leaf->value) &&
            numpy_array(leaf->value, leaf->name, &a, &none) &&
            !add_image(r, &a, leaf->name, NULL, err))
            return false;
    }
    return true;
}

// ---- a message ----------------------------------------------------------------------------------

CHECKED static bool unpack(MessageReader *r, const uint8_t *data, size_t size, msgpack_object *out,
                           Error *err) {
    size_t at = 0;
    msgpack_zone_clear(&r->zone);
    if (!message_check(data, size, err)) return false;
    // Where the turned images come from is not larger than the message.
    if (r->turned_room < size) {
        mem_free(r->turned);
        r->turned = mem_try_raw(size);
        r->turned_room = r->turned ? size : 0;
        if (!r->turned) return fail_memory(err, "a message of %zu bytes", size);
    }
    msgpack_unpack_return code = msgpack_unpack((const char *)data, size, &at, &r->zone, out);
    if (code != MSGPACK_UNPACK_SUCCESS)
        return fail(err, "the message is no MessagePack that can be read");
    return out->type == MSGPACK_OBJECT_MAP ||
           fail(err, "the message is no dictionary; an observation is one");
}

// Whether there is anything beside the flags.
static bool has_more_than_flags(const MessageReader *r) {
    for (int i = 0; i < r->n_leaves; i++)
        if (strcmp(r->leaves[i].name, "reset") != 0 &&
            strcmp(r->leaves[i].name, "observe_only") != 0 &&
            strcmp(r->leaves[i].name, "prompt") != 0)
            return true;
    return false;
}

bool message_read(MessageReader *r, const uint8_t *data, size_t size, Message *out, Error *err) {
    const ServeWants *w = r->wants;
    char name[LONGEST_NAME] = "";
    msgpack_object top;
    size_t n_state, n_env;
    *out = (Message){0};
    r->n_leaves = r->n_images = 0;
    r->turned_used = 0;
    r->missing[0] = '\0';
    if (!unpack(r, data, size, &top, err) || !collect(r, &top, name, 0, err) ||
        !find_flag(r, "reset", &out->reset, err) ||
        !find_flag(r, "observe_only", &out->observe_only, err))
        return false;
    out->sees = !out->reset || has_more_than_flags(r);
    if (!out->sees) return true;
    if (!read_vector(r, "observation.state", w->state_size, r->state, &n_state, err) ||
        !read_vector(r, "observation.environment_state", w->env_size, r->env, &n_env, err) ||
        !read_images(r, err))
        return false;
    out->observation = (tact_observation){.size = sizeof out->observation,
                                          .state = r->state,
                                          .state_size = n_state,
                                          .env = r->env,
                                          .env_size = n_env,
                                          .images = r->images,
                                          .n_images = (size_t)r->n_images};
    return true;
}
