// SPDX-License-Identifier: Apache-2.0
// The messages of openpi's protocol: what is read from them, how it may be named, what is refused;
// and what is written.
#ifdef TACT_SERVE
#include "base/memory.h"
#include "messages.h"
#include "serve/openpi/access.h"
#include "serve/serve.h"
#include <math.h>

#include "../ok.h"

static const double some_state[STATE] = {0.5, -2, 3e10};
static uint8_t front[3 * PIXELS], wrist[3 * PIXELS];

static int fill_images(void **state) {
    for (int i = 0; i < 3 * PIXELS; i++) {
        front[i] = (uint8_t)(3 * i + 1);
        wrist[i] = (uint8_t)(250 - i);
    }
    *state = message_reader_new(&the_wants);
    return *state ? 0 : -1;
}

static int free_reader(void **state) {
    message_reader_free(*state);
    return 0;
}

static bool read_packed(MessageReader *r, const Packed *p, Message *m, Error *err) {
    return message_read(r, (const uint8_t *)p->bytes.data, p->bytes.size, m, err);
}

static void reads(MessageReader *r, Packed *p, Message *m) {
    Error err;
    OK(read_packed(r, p, m, &err));
}

// Reads, is refused with a text that has `part`, and frees.
static void refused(MessageReader *r, Packed *p, const char *part) {
    Message m;
    Error err;
    assert_false(read_packed(r, p, &m, &err));
    if (!strstr(err.text, part)) fail_msg("\"%s\" has no \"%s\"", err.text, part);
    packed_free(p);
}

static const tact_image *image_of(const Message *m, const char *camera) {
    for (size_t i = 0; i < m->observation.n_images; i++)
        if (strcmp(m->observation.images[i].camera, camera) == 0) return &m->observation.images[i];
    return NULL;
}

static void sees_everything(const Message *m) {
    const tact_image *f = image_of(m, the_cameras[0].name), *w = image_of(m, the_cameras[1].name);
    assert_true(m->sees && !m->reset && !m->observe_only);
    assert_true(f && w);
    assert_int_equal(f->height, HEIGHT);
    assert_int_equal(f->width, WIDTH);
    assert_memory_equal(f->rgb, front, sizeof front);
    assert_memory_equal(w->rgb, wrist, sizeof wrist);
    assert_int_equal(m->observation.state_size, STATE);
    assert_memory_equal(m->observation.state, some_state, sizeof some_state);
}

// ---- names --------------------------------------------------------------------------------------

static void names_of_many_kinds(void **state) {
    static const char *const names[][3] = {
        {"observation.images.front", "observation.images.wrist", "observation.state"},
        {"observation/images/front", "observation/wrist", "observation/state"},
        {"front", "wrist", "state"},
        {"images.front", "robot/left/wrist", "robot.state"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        Packed p;
        Message m;
        packed_begin(&p, 4);
        put_image(&p, names[i][0], front);
        put_state(&p, names[i][2], some_state);
        put_image(&p, names[i][1], wrist);
        put_key(&p, "prompt");
        put_key(&p, "pick the strawberry");
        reads(*state, &p, &m);
        sees_everything(&m);
        // Pixels stay where they came in.
        const uint8_t *rgb = m.observation.images[0].rgb;
        assert_true(rgb > (uint8_t *)p.bytes.data);
        assert_true(rgb < (uint8_t *)p.bytes.data + p.bytes.size);
        assert_string_equal(message_missing(*state), "");
        packed_free(&p);
    }
}

static void nested_names(void **state) {
    Packed p;
    Message m;
    packed_begin(&p, 2);
    put_key(&p, "observation");
    msgpack_pack_map(&p.to, 1);
    put_key(&p, "images");
    msgpack_pack_map(&p.to, 2);
    put_image(&p, "wrist", wrist);
    put_image(&p, "front", front);
    put_state(&p, "state", some_state);
    reads(*state, &p, &m);
    sees_everything(&m);
    packed_free(&p);
}

static void the_nearest_name_counts(void **state) {
    static const double other[STATE];
    Packed p;
    Message m;
    packed_begin(&p, 6);
    put_state(&p, "leader.state", other);
    put_image(&p, "left.front", wrist);
    put_image(&p, "front", front);
    put_image(&p, "wrist", wrist);
    put_state(&p, "state", other);
    put_state(&p, "observation.state", some_state);
    reads(*state, &p, &m);
    sees_everything(&m);
    packed_free(&p);

    packed_begin(&p, 6); // in another order
    put_state(&p, "observation.state", some_state);
    put_image(&p, "wrist", wrist);
    put_image(&p, "front", front);
    put_image(&p, "left.front", wrist);
    put_state(&p, "state", other);
    put_state(&p, "leader.state", other);
    reads(*state, &p, &m);
    sees_everything(&m);
    packed_free(&p);

    packed_begin(&p, 4);
    put_image(&p, "front", front);
    put_image(&p, "wrist", wrist);
    put_state(&p, "leader.state", other);
    put_state(&p, "follower/state", some_state);
    refused(*state, &p, "observation.state may be leader.state or follower.state");
}

static void one_name_for_two_features(void **state) {
    static const tact_camera cameras[] = {
        {sizeof(tact_camera), "observation.images.front", HEIGHT, WIDTH},
        {sizeof(tact_camera), "observation.images.left.front", HEIGHT, WIDTH}};
    const ServeWants wants = {.cameras = cameras, .n_cameras = 2};
    MessageReader *r = message_reader_new(&wants);
    Packed p;
    (void)state;
    packed_begin(&p, 1);
    put_image(&p, "left.front", front);
    refused(r, &p, "left.front is meant for two features");
    message_reader_free(r);
}

// A camera that is not there is tact_observe's to refuse; what has no place is offered by its own
// name, for the policy may have been trained to rename it.
static void other_cameras_are_offered(void **state) {
    Packed p;
    Message m;
    packed_begin(&p, 3);
    put_image(&p, "images/top", wrist);
    put_image(&p, "front", front);
    put_state(&p, "state", some_state);
    reads(*state, &p, &m);
    assert_int_equal(m.observation.n_images, 2);
    assert_non_null(image_of(&m, "top"));
    assert_string_equal(message_missing(*state), "images.top, front, state");
    packed_free(&p);
}

// ---- values -------------------------------------------------------------------------------------

static void planes_become_pixels(void **state) {
    uint8_t planes[3 * PIXELS];
    for (int i = 0; i < PIXELS; i++)
        for (int c = 0; c < 3; c++) planes[c * PIXELS + i] = front[3 * i + c];
    Packed p;
    Message m;
    packed_begin(&p, 3);
    put_array(&p, "front", "|u1", (const size_t[]){3, HEIGHT, WIDTH}, 3, planes, sizeof planes);
    put_image(&p, "wrist", wrist);
    put_state(&p, "state", some_state);
    reads(*state, &p, &m);
    sees_everything(&m);
    packed_free(&p);
}

static void reads_state(MessageReader *r, const char *dtype, const void *values, size_t bytes,
                        const double wanted[STATE]) {
    Packed p;
    Message m;
    packed_begin(&p, 1);
    put_array(&p, "state", dtype, (const size_t[]){1, STATE}, 2, values, bytes);
    reads(r, &p, &m);
    for (int i = 0; i < STATE; i++)
        if (m.observation.state[i] != wanted[i])
            fail_msg("%s: value %d is %g, not %g", dtype, i, m.observation.state[i], wanted[i]);
    packed_free(&p);
}

static void numbers_of_every_type(void **state) {
    const double wanted[STATE] = {1, -2, 100}, positive[STATE] = {1, 200, 100};
#define READS(dtype, type, ...)                                                                    \
    reads_state(*state, dtype, (const type[]){__VA_ARGS__}, STATE * sizeof(type), wanted)
    READS("<f8", double, 1, -2, 100);
    READS("<f4", float, 1, -2, 100);
    READS("<f2", uint16_t, 0x3c00, 0xc000, 0x5640);
    READS(">f4", uint32_t, 0x0000803f, 0x000000c0, 0x0000c842);
    READS("|i1", int8_t, 1, -2, 100);
    READS("<i2", int16_t, 1, -2, 100);
    READS(">i2", uint16_t, 0x0100, 0xfeff, 0x6400);
    READS("<i4", int32_t, 1, -2, 100);
    READS("=i8", int64_t, 1, -2, 100);
    reads_state(*state, "|u1", (const uint8_t[]){1, 200, 100}, STATE, positive);
    reads_state(*state, "<u8", (const uint64_t[]){1, 200, 100}, 24, positive);
    reads_state(*state, "|b1", (const uint8_t[]){1, 0, 1}, STATE, (const double[]){1, 0, 1});
    // The smallest half, infinity, and none.
    const uint16_t halves[] = {0x0001, 0x7c00, 0x8000};
    reads_state(*state, "<f2", halves, sizeof halves, (const double[]){0x1p-24, INFINITY, -0.0});
#undef READS
    Packed p;
    Message m;
    packed_begin(&p, 1);
    put_key(&p, "state");
    msgpack_pack_array(&p.to, STATE);
    msgpack_pack_float(&p.to, 1);
    msgpack_pack_int(&p.to, -2);
    msgpack_pack_map(&p.to, 3); // np.float64(100)
    put_bytes(&p, "__npgeneric__");
    msgpack_pack_true(&p.to);
    put_bytes(&p, "data");
    msgpack_pack_double(&p.to, 100);
    put_bytes(&p, "dtype");
    put_key(&p, "<f8");
    reads(*state, &p, &m);
    assert_memory_equal(m.observation.state, wanted, sizeof wanted);
    packed_free(&p);
}

static void begin_flags(Packed *p, bool sees, const char *name, bool value) {
    packed_begin(p, sees ? 2 : 1);
    if (sees) put_state(p, "state", some_state);
    put_key(p, name);
    value ? msgpack_pack_true(&p->to) : msgpack_pack_false(&p->to);
}

static void flags(void **state) {
    Packed p;
    Message m;
    begin_flags(&p, true, "reset", true);
    reads(*state, &p, &m);
    assert_true(m.reset && m.sees && !m.observe_only);
    packed_free(&p);
    begin_flags(&p, false, "reset", true);
    reads(*state, &p, &m);
    assert_true(m.reset && !m.sees);
    packed_free(&p);
    begin_flags(&p, true, "observe_only", true);
    reads(*state, &p, &m);
    assert_true(!m.reset && m.sees && m.observe_only);
    packed_free(&p);
    begin_flags(&p, true, "observe_only", false);
    reads(*state, &p, &m);
    assert_true(m.sees && !m.observe_only);
    packed_free(&p);
    begin_flags(&p, false, "reset", false);
    refused(*state, &p, "no observation.state in the observation; the policy wants 3 numbers");
    packed_begin(&p, 1);
    put_key(&p, "reset");
    put_key(&p, "yes");
    refused(*state, &p, "reset: must be true or false");
}

// ---- what is refused ----------------------------------------------------------------------------

static void begin_with_front(Packed *p, const char *dtype, const size_t *shape, size_t n,
                             size_t bytes) {
    static const uint8_t zeros[8 * 3 * PIXELS];
    packed_begin(p, 2);
    put_state(p, "state", some_state);
    put_array(p, "front", dtype, shape, n, zeros, bytes);
}

static void arrays_that_are_refused(void **state) {
    const size_t shape[] = {HEIGHT, WIDTH, 3}, gray[] = {HEIGHT, WIDTH}, odd[] = {3, HEIGHT};
    const size_t huge[] = {1u << 20, 1u << 20, 3}, deep[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    Packed p;
    begin_with_front(&p, "<f4", shape, 3, 12 * PIXELS);
    refused(*state, &p, "front holds floating-point numbers; images are uint8 of 0 to 255");
    begin_with_front(&p, "<i2", shape, 3, 6 * PIXELS);
    refused(*state, &p, "front has the dtype <i2; images are uint8");
    begin_with_front(&p, "|u1", gray, 2, PIXELS);
    refused(*state, &p, "front has the shape (4, 6); an image of the policy's is (4, 6, 3)");
    begin_with_front(&p, "|u1", shape, 3, 3 * PIXELS - 1);
    refused(*state, &p, "front: an array of 72 values of 1 bytes, but 71 bytes of data");
    begin_with_front(&p, "|u1", huge, 3, 100);
    refused(*state, &p, "without a shape");
    begin_with_front(&p, "|u1", deep, 9, 1);
    refused(*state, &p, "without a shape of at most 8 dimensions");
    begin_with_front(&p, "<U4", odd, 2, 12);
    refused(*state, &p, "dtype <U4 cannot be read");
    begin_with_front(&p, "|O", odd, 2, 12);
    refused(*state, &p, "dtype |O cannot be read");
    packed_begin(&p, 1);
    put_key(&p, "state");
    put_key(&p, "three numbers");
    refused(*state, &p, "state is no array of NumPy's");
    packed_begin(&p, 1);
    put_key(&p, "state");
    msgpack_pack_array(&p.to, STATE);
    for (int i = 0; i < STATE; i++) msgpack_pack_nil(&p.to);
    refused(*state, &p, "state: value 0 is no number");
}

// The size of a state that is not the policy's is passed on, unread.
static void another_number_of_numbers(void **state) {
    Packed p;
    Message m;
    packed_begin(&p, 1);
    put_array(&p, "state", "|u1", (const size_t[]){40}, 1, front, 40);
    reads(*state, &p, &m);
    assert_int_equal(m.observation.state_size, 40);
    packed_free(&p);
}

// Maps in maps.
static void nest(Packed *p, int levels) {
    packed_begin(p, 1);
    for (int i = 1; i < levels; i++) {
        put_key(p, "k");
        msgpack_pack_map(&p->to, 1);
    }
    put_key(p, "k");
    msgpack_pack_nil(&p->to);
}

static void bytes_refused(MessageReader *r, const char *bytes, size_t n, const char *part) {
    Message m;
    Error err;
    assert_false(message_read(r, (const uint8_t *)bytes, n, &m, &err));
    if (!strstr(err.text, part)) fail_msg("\"%s\" has no \"%s\"", err.text, part);
}

static void structures_that_are_refused(void **state) {
    Packed p;
    nest(&p, MESSAGE_DEPTH);
    refused(*state, &p, "no observation.state");
    nest(&p, MESSAGE_DEPTH + 1);
    refused(*state, &p, "nested deeper than 16 levels");
    nest(&p, 100000);
    refused(*state, &p, "nested deeper than 16 levels");
    packed_begin(&p, 1);
    put_key(&p, "list");
    msgpack_pack_array(&p.to, MESSAGE_VALUES);
    for (int i = 0; i < MESSAGE_VALUES; i++) msgpack_pack_nil(&p.to);
    refused(*state, &p, "more than 65536 values; send numbers as NumPy's arrays");
    packed_begin(&p, 300);
    for (int i = 0; i < 300; i++) {
        char key[8];
        snprintf(key, sizeof key, "k%d", i);
        put_key(&p, key);
        msgpack_pack_nil(&p.to);
    }
    refused(*state, &p, "more than 256 values");
    packed_begin(&p, 1);
    msgpack_pack_int(&p.to, 7);
    msgpack_pack_nil(&p.to);
    refused(*state, &p, "a key of the observation is no text");
    bytes_refused(*state, "\x81\xa1k\xc6\xff\xff\xff\xff", 8, "4294967295 bytes follow, but has 0");
    bytes_refused(*state, "\x81\xa1k\xdd\x7f\xff\xff\xff\xc0", 9, "2147483647 bytes follow");
    bytes_refused(*state, "\xdf\xff\xff\xff\xff\xc0", 6, "bytes follow");
    bytes_refused(*state, "\x80\xc0", 2, "1 bytes stand behind the message's end");
    bytes_refused(*state, "\xc1", 1, "no MessagePack");
    bytes_refused(*state, "", 0, "no MessagePack, or cut short, at byte 0 of 0");
    bytes_refused(*state, "\xa3key", 4, "the message is no dictionary");
}

// Cut short at every byte, with every byte turned over: an error, or something that is read; never
// a byte beyond the message (which has a block of its own, for sanitizers).
static void damage_at_every_byte(void **state) {
    Packed p;
    packed_begin(&p, 4);
    put_image(&p, "images/front", front);
    put_image(&p, "observation.images.wrist", wrist);
    put_state(&p, "state", some_state);
    put_key(&p, "reset");
    msgpack_pack_true(&p.to);
    const size_t n = p.bytes.size;
    for (size_t cut = 0; cut < n; cut++) {
        uint8_t *part = mem_alloc(cut ? cut : 1);
        Message m;
        Error err;
        memcpy(part, p.bytes.data, cut);
        assert_false(message_read(*state, part, cut, &m, &err));
        mem_free(part);
    }
    for (size_t at = 0; at < n; at++)
        for (int bit = 0; bit < 8; bit++) {
            uint8_t *turned = mem_alloc(n);
            Message m;
            Error err;
            memcpy(turned, p.bytes.data, n);
            turned[at] ^= (uint8_t)(1 << bit);
            bool ok = message_read(*state, turned, n, &m, &err);
            assert_true(ok || err.text[0]);
            mem_free(turned);
        }
    packed_free(&p);
}

// ---- what is written ----------------------------------------------------------------------------

static const msgpack_object *member(const msgpack_object *o, const char *key) {
    assert_int_equal(o->type, MSGPACK_OBJECT_MAP);
    for (uint32_t i = 0; i < o->via.map.size; i++) {
        const msgpack_object *k = &o->via.map.ptr[i].key;
        if (k->type == MSGPACK_OBJECT_STR && k->via.str.size == strlen(key) &&
            memcmp(k->via.str.ptr, key, strlen(key)) == 0)
            return &o->via.map.ptr[i].val;
    }
    return NULL;
}

enum { HEAD = 100 };

static msgpack_object unpack(const msgpack_sbuffer *b, msgpack_unpacked *u) {
    Error err;
    OK(message_check((const uint8_t *)b->data + HEAD, b->size - HEAD, &err));
    msgpack_unpacked_init(u);
    assert_int_equal(msgpack_unpack_next(u, b->data + HEAD, b->size - HEAD, NULL),
                     MSGPACK_UNPACK_SUCCESS);
    return u->data;
}

static void replies(void **state) {
    double actions[CHUNK * ACTION];
    for (int i = 0; i < CHUNK * ACTION; i++) actions[i] = 1.0 / (i + 1);
    msgpack_sbuffer out;
    msgpack_unpacked u;
    NumpyArray a;
    Error err;
    (void)state;
    msgpack_sbuffer_init(&out);
    for (int round = 0; round < 2; round++) { // the second takes the first one's place
        message_write_reply(&out, HEAD, &the_wants, actions, 12.5, round ? 20 : -1);
        msgpack_object top = unpack(&out, &u);
        OK(numpy_array(member(&top, "actions"), "actions", &a, &err));
        assert_string_equal(a.dtype, "<f8");
        assert_int_equal(a.n_dims, 2);
        assert_int_equal(a.dims[0], CHUNK);
        assert_int_equal(a.dims[1], ACTION);
        assert_memory_equal(a.data, actions, sizeof actions);
        const msgpack_object *timing = member(&top, "server_timing");
        assert_true(member(timing, "infer_ms")->via.f64 == 12.5);
        assert_int_equal(member(timing, "prev_total_ms") != NULL, round);
        msgpack_unpacked_destroy(&u);
    }
    message_write_reply(&out, HEAD, &the_wants, NULL, 1, 2);
    msgpack_object top = unpack(&out, &u);
    assert_null(member(&top, "actions"));
    msgpack_unpacked_destroy(&u);
    message_write_metadata(&out, HEAD, &the_wants);
    top = unpack(&out, &u);
    const msgpack_object *shape =
        member(member(member(&top, "observation"), "observation.images.wrist"), "shape");
    assert_int_equal(shape->via.array.ptr[1].via.u64, WIDTH);
    assert_int_equal(member(&top, "chunk_size")->via.u64, CHUNK);
    msgpack_unpacked_destroy(&u);
    message_write_error(&out, HEAD, "no \x80\n camera");
    assert_int_equal(out.size, HEAD + 12);
    assert_memory_equal(out.data + HEAD, "no ?? camera", 12);
    msgpack_sbuffer_destroy(&out);
}

// ---- who may connect ----------------------------------------------------------------------------

static void tokens(void **state) {
    (void)state;
    assert_true(access_allowed("Api-Key s3cret", "s3cret"));
    assert_true(access_allowed("bearer s3cret", "s3cret"));
    assert_false(access_allowed("Api-Key s3creT", "s3cret"));
    assert_false(access_allowed("Api-Key s3cret ", "s3cret"));
    assert_false(access_allowed("Api-Key s3cre", "s3cret"));
    assert_false(access_allowed("Basic s3cret", "s3cret"));
    assert_false(access_allowed("s3cret", "s3cret"));
    assert_false(access_allowed("", "s3cret"));
}

static void addresses(void **state) {
    ServeOptions o = {.host = "127.0.0.1"};
    Error err;
    (void)state;
    assert_true(serve_is_loopback("127.8.9.10"));
    assert_true(serve_is_loopback("::1"));
    assert_true(serve_is_loopback("localhost"));
    assert_false(serve_is_loopback("0.0.0.0"));
    assert_false(serve_is_loopback("::"));
    assert_false(serve_is_loopback("128.0.0.1"));
    OK(serve_check(&o, &err));
    o.host = "0.0.0.0";
    assert_false(serve_check(&o, &err));
    assert_non_null(strstr(err.text, "a token is needed"));
    o.token = "s3cret";
    OK(serve_check(&o, &err));
    o.host = "robot";
    assert_false(serve_check(&o, &err));
    assert_non_null(strstr(err.text, "--host=robot: no address"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_many_kinds),
        cmocka_unit_test(nested_names),
        cmocka_unit_test(the_nearest_name_counts),
        cmocka_unit_test(one_name_for_two_features),
        cmocka_unit_test(other_cameras_are_offered),
        cmocka_unit_test(planes_become_pixels),
        cmocka_unit_test(numbers_of_every_type),
        cmocka_unit_test(flags),
        cmocka_unit_test(arrays_that_are_refused),
        cmocka_unit_test(another_number_of_numbers),
        cmocka_unit_test(structures_that_are_refused),
        cmocka_unit_test(damage_at_every_byte),
        cmocka_unit_test(replies),
        cmocka_unit_test(tokens),
        cmocka_unit_test(addresses),
    };
    return cmocka_run_group_tests(tests, fill_images, free_reader);
}

#else
#include <stdio.h>

int main(void) {
    puts("skipped: tact was built without libwebsockets or msgpack-c");
    return 0;
}
#endif
