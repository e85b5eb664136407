// SPDX-License-Identifier: Apache-2.0
// Files of torch.save made by hand, in the older form: views, storages and pickles that want to do
// harm or do not hold together.
#include "torch_fixture.h"

typedef struct Bytes {
    uint8_t data[4096];
    size_t size;
} Bytes;

static void put(Bytes *b, const void *data, size_t size) {
    assert_true(b->size + size <= sizeof b->data);
    memcpy(b->data + b->size, data, size);
    b->size += size;
}
#define PUT(b, literal) put(b, literal, sizeof(literal) - 1)

static void put_text(Bytes *b, const char *text) {
    uint32_t n = (uint32_t)strlen(text);
    PUT(b, "X");
    put(b, &n, 4);
    put(b, text, n);
}

static void put_int(Bytes *b, int64_t n) {
    PUT(b, "\x8a\x08");
    put(b, &n, 8);
}

static void put_preamble(Bytes *b, bool little) {
    PUT(b, "\x80\x02\x8a\x0al\xfc\x9c"
           "F\xf9 j\xa8P\x19.");
    PUT(b, "\x80\x02M\xe9\x03.\x80\x02}");
    put_text(b, "little_endian");
    if (little)
        PUT(b, "\x88s.\x80\x02");
    else
        PUT(b, "\x89s.\x80\x02");
}

static void put_storage(Bytes *b, const char *type, const char *key, int64_t count) {
    PUT(b, "(");
    put_text(b, "storage");
    PUT(b, "ctorch\n");
    put(b, type, strlen(type));
    PUT(b, "\n");
    put_text(b, key);
    put_text(b, "cpu");
    put_int(b, count);
    PUT(b, "NtQ");
}

static void put_view(Bytes *b, int64_t offset, int64_t length, int64_t stride) {
    PUT(b, "ctorch._utils\n_rebuild_tensor_v2\n(");
    put_storage(b, "FloatStorage", "k", 4);
    put_int(b, offset);
    put_int(b, length);
    PUT(b, "\x85");
    put_int(b, stride);
    PUT(b, "\x85\x89"
           "ccollections\nOrderedDict\n)R");
}

// A rank-1 view of four floats in storage "k".
static void put_tensor(Bytes *b, int64_t offset, int64_t length, int64_t stride) {
    put_view(b, offset, length, stride);
    PUT(b, "tR");
}

static void put_storages(Bytes *b, const char *key, int64_t count) {
    const float values[4] = {1, 2, 3, 4};
    PUT(b, "\x80\x02](");
    put_text(b, key);
    PUT(b, "e.");
    put(b, &count, 8);
    put(b, values, sizeof values);
}

static void write_bytes(const Bytes *b) {
    write_file(b->data, b->size);
}

static void assert_refused(const char *file, const char *what) {
    Torch *t = NULL;
    Error err = {"nothing"};
    if (torch_open(file, &t, &err)) fail_msg("was read, but should say: %s", what);
    if (!strstr(err.text, what) || strncmp(err.text, file, strlen(file)) != 0 ||
        strchr(err.text, '\n'))
        fail_msg("\"%s\" does not name the file and say \"%s\"", err.text, what);
}

// A whole file around the object pickle in `object` (without its STOP).
static void write_object(const Bytes *object) {
    Bytes b = {.size = 0};
    put_preamble(&b, true);
    put(&b, object->data, object->size);
    PUT(&b, ".");
    put_storages(&b, "k", 4);
    write_bytes(&b);
}

static void by_hand(void **state) {
    (void)state;
    Bytes o = {.size = 0};
    // Here are integers of several widths, and every value is a list of pairs, as Python 2 wrote an
    // OrderedDict.
    PUT(&o, "ccollections\nOrderedDict\n](](U\x01"
            "ae");
    PUT(&o, "0"); // no such operation among those known
    write_object(&o);
    assert_refused(path, "operation 0x30");
    o.size = 0;
    PUT(&o, "ccollections\nOrderedDict\n](](U\x01"
            "a");
    put_tensor(&o, 1, 3, 1);
    PUT(&o, "ee\x85R");
    write_object(&o);
    Torch *t = opened(path);
    const Expected expected = {"a", ST_F32, 1, {3}, {2, 3, 4}};
    assert_tensors(t, &expected, 1);
    torch_close(t);
}

static void views_outside(void **state) {
    (void)state;
    static const struct {
        int64_t offset, length, stride;
        const char *what; // NULL: fits
    } views[] = {
        {0, 4, 1, NULL},
        {3, 1, 1, NULL},
        {0, 2, 3, NULL},
        {4, 0, 1, NULL},
        {3, 4, 0, NULL},
        {0, 5, 1, "outside"},
        {1, 4, 1, "outside"},
        {4, 1, 1, "outside"},
        {0, 3, 2, "outside"},
        {-1, 1, 1, "outside"},
        {5, 0, 1, "outside"},
        {INT64_MAX, 2, 1, "impossible"},
        {0, 4, INT64_MAX, "impossible"},
        {0, INT64_MAX, INT64_MAX, "impossible"},
        {0, -1, 1, "impossible"},
        {3, 4, -1, "impossible"},
        {INT64_MIN, 1, 1, "outside"},
        {0, INT64_MAX, 0, "unfold"},
        {0, 1 << 28, 0, "unfold"},
    };
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) {
        Bytes o = {.size = 0};
        PUT(&o, "}");
        put_text(&o, "w");
        put_tensor(&o, views[i].offset, views[i].length, views[i].stride);
        PUT(&o, "s");
        write_object(&o);
        if (views[i].what)
            assert_refused(path, views[i].what);
        else
            torch_close(opened(path));
    }
}

// torch.save of z.conj().imag, whose numbers in the file have the other sign.
static void another_sign(void **state) {
    (void)state;
    static const char *const metadata[] = {"}", "}X\x03\0\0\0neg\x88s"};
    for (int i = 0; i < 2; i++) {
        Bytes o = {.size = 0};
        PUT(&o, "}");
        put_text(&o, "w");
        put_view(&o, 0, 4, 1);
        put(&o, metadata[i], i ? 11 : 1);
        PUT(&o, "tRs");
        write_object(&o);
        if (i)
            assert_refused(path, "read with another sign");
        else
            torch_close(opened(path));
    }
}

static void storages_that_lie(void **state) {
    (void)state;
    Bytes o = {.size = 0}, b = {.size = 0};
    PUT(&o, "}");
    put_text(&o, "w");
    put_tensor(&o, 0, 4, 1);
    PUT(&o, "s.");
    static const struct {
        const char *key;
        int64_t count;
        const char *what;
    } cases[] = {{"other", 4, "belongs to no tensor"},
                 {"k", 3, "has 12 bytes"},
                 {"k", 5, "cut short"},
                 {"k", -1, "cut short"},
                 {"k", INT64_MAX / 4, "cut short"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        b.size = 0;
        put_preamble(&b, true);
        put(&b, o.data, o.size);
        put_storages(&b, cases[i].key, cases[i].count);
        write_bytes(&b);
        assert_refused(path, cases[i].what);
    }
    b.size = 0; // no storage at all
    put_preamble(&b, true);
    put(&b, o.data, o.size);
    PUT(&b, "\x80\x02].");
    write_bytes(&b);
    assert_refused(path, "is not in the file");
    b.size = 0; // twice
    put_preamble(&b, true);
    put(&b, o.data, o.size);
    PUT(&b, "\x80\x02](");
    put_text(&b, "k");
    put_text(&b, "k");
    PUT(&b, "e.\x04\0\0\0\0\0\0\0abcdefghijklmnop\x04\0\0\0\0\0\0\0abcdefghijklmnop");
    write_bytes(&b);
    assert_refused(path, "comes twice");
    b.size = 0; // more than the storages
    put_preamble(&b, true);
    put(&b, o.data, o.size);
    put_storages(&b, "k", 4);
    PUT(&b, "x");
    write_bytes(&b);
    assert_refused(path, "1 bytes behind the last storage");
    b.size = 0;
    put_preamble(&b, false);
    put(&b, o.data, o.size);
    put_storages(&b, "k", 4);
    write_bytes(&b);
    assert_refused(path, "big-endian");
    o.size = 0; // one storage, two types
    PUT(&o, "}(");
    put_text(&o, "w");
    put_tensor(&o, 0, 4, 1);
    put_text(&o, "x");
    put_storage(&o, "HalfStorage", "k", 4);
    PUT(&o, "u");
    write_object(&o);
    assert_refused(path, "two different things");
}

static void refuse_object(const char *pickle, size_t size, const char *what) {
    Bytes b = {.size = 0};
    put_preamble(&b, true);
    put(&b, pickle, size);
    PUT(&b, ".\x80\x02].");
    write_bytes(&b);
    assert_refused(path, what);
}
#define REFUSE(pickle, what) refuse_object(pickle, sizeof(pickle) - 1, what)

static void pickles_that_act(void **state) {
    (void)state;
    unlink("/tmp/tact-was-here");
    assert_refused(DATA "evil.pth", "its pickle calls posix.system; only tensors are read");
    assert_refused(DATA "evil_old.pth", "its pickle calls posix.system; only tensors are read");
    assert_int_not_equal(access("/tmp/tact-was-here", F_OK), 0);
    REFUSE("cos\nsystem\nX\x02\0\0\0id\x85R", "its pickle calls os.system; only tensors are read");
    REFUSE("cbuiltins\neval\nX\x01\0\0\0"
           "1\x85R",
           "builtins.eval");
    REFUSE("\x8c\x02os\x8c\x06system\x93X\x02\0\0\0id\x85R", "calls os.system;");
    REFUSE("\x8c\x08"
           "builtins\x8c\x04"
           "eval)\x81",
           "calls what is no function"); // two texts are no name
    REFUSE("ctorch\nload\n", "calls torch.load;");
    REFUSE("ctorch._utils\n_rebuild_tensor_v2.__globals__\n", "_rebuild_tensor_v2.__globals__");
    REFUSE("ctorch._utils\n\n", "calls torch._utils.;");
    REFUSE("c\x1b[2J\nx\ty\n", "calls ?[2J.x?y;"); // no control bytes on the terminal
    // Known names with wrong arguments.
    REFUSE("ctorch._utils\n_rebuild_tensor_v2\n)R", "other arguments than a storage");
    REFUSE("ctorch._utils\n_rebuild_tensor_v2\n(NNNNtR", "other arguments than a storage");
    REFUSE("ctorch._utils\n_rebuild_tensor_v2\nX\x02\0\0\0idR", "calls what is no function");
    REFUSE("ctorch._utils\n_rebuild_parameter\n(X\x02\0\0\0id\x88NtR",
           "something that is no tensor");
    REFUSE("ctorch\nSize\nNR", "calls what is no function");
    REFUSE("ctorch\nSize\nN\x85R", "something that is no tuple");
    REFUSE("ctorch\nFloatStorage\n)R", "storages are only named");
    REFUSE("ccollections\nOrderedDict\nK\x01\x85R", "a list of pairs");
    REFUSE("ccollections\nOrderedDict\n](K\x01"
           "e\x85R",
           "a list of pairs");
    REFUSE("X\x02\0\0\0id)R", "calls what is no function");
    REFUSE("ctorch\nFloatStorage\nQ", "names a storage in a form");
    REFUSE("(X\x07\0\0\0storageX\x02\0\0\0osNNNtQ", "names a storage in a form");
    REFUSE("(X\x06\0\0\0moduleX\x02\0\0\0osNNNtQ", "names a storage in a form");
}

static void pickles_that_break(void **state) {
    (void)state;
    REFUSE("", "takes more from its stack");
    REFUSE("\x85", "takes more from its stack");
    REFUSE("t", "ends a group that never began");
    REFUSE("(N", "ends within a group");
    REFUSE("}N(Ns", "takes more from its stack"); // below the mark
    REFUSE("NN(\x86t", "takes more from its stack");
    REFUSE("}(Nu", "a key without a value");
    REFUSE("N(NNu", "fills a value that holds none");
    REFUSE("]NNs", "fills a value that holds none");
    REFUSE("h\0", "recalls what it never kept");
    REFUSE("j\xff\xff\xff\xff", "recalls what it never kept");
    REFUSE("Nr\xff\xff\xff\xff", "more than 1048576 values"); // no table of 4 G entries
    REFUSE("X\xff\xff\xff\xff", "cut short");
    REFUSE("\x8d\xff\xff\xff\xff\xff\xff\xff\xff", "cut short");
    REFUSE("X\x03\0\0\0a\0b", "zero byte");
    REFUSE("\x80\x06", "unknown protocol");
    REFUSE("NNb", "fills a value that holds none");
    REFUSE("N", "no dict of tensors");
    REFUSE("]q\0h\0a", "no dict of tensors");
    REFUSE("}q\0X\x01\0\0\0ah\0s", "more than 32 deep"); // a dict in itself
    // Thirty dicts, each of which stands twice in the next: a billion paths.
    Bytes o = {.size = 0};
    PUT(&o, "}");
    for (int i = 0; i < 30; i++) PUT(&o, "q\x01}(K\x01h\x01K\x02h\x01u");
    refuse_object((const char *)o.data, o.size, "unfold to more than");
    // Deep nesting costs the reader no stack of its own.
    uint8_t *deep = mem_alloc(1 << 20);
    Bytes start = {.size = 0};
    put_preamble(&start, true);
    memcpy(deep, start.data, start.size);
    memset(deep + start.size, '(', (1 << 20) - start.size);
    write_file(deep, 1 << 20);
    assert_refused(path, "cut short");
    memset(deep + start.size, ')', (1 << 20) - start.size);
    write_file(deep, 1 << 20);
    assert_refused(path, "cut short");
    mem_free(deep);
}

static void names_that_clash(void **state) {
    (void)state;
    Bytes o = {.size = 0};
    PUT(&o, "}(");
    for (int i = 0; i < 2; i++) {
        put_text(&o, "w");
        put_tensor(&o, 0, 4, 1);
    }
    PUT(&o, "u");
    write_object(&o);
    assert_refused(path, "two tensors are named \"w\"");
    char name[600];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    o.size = 0;
    PUT(&o, "}");
    put_text(&o, name);
    put_tensor(&o, 0, 4, 1);
    PUT(&o, "s");
    write_object(&o);
    assert_refused(path, "longer than 512");
}

static void other_files(void **state) {
    (void)state;
    assert_refused("/nonexistent/x.pth", "cannot open");
    write_file("", 0);
    assert_refused(path, "not a file of torch.save");
    write_file("<html>not found</html>", 22);
    assert_refused(path, "not a file of torch.save");
    write_file("\x80\x02}.", 4);
    assert_refused(path, "not one that torch.save wrote");
    write_file("PK\3\4 and then nothing", 21);
    assert_refused(path, "not a readable zip archive");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),          cmocka_unit_test(views_outside),
        cmocka_unit_test(another_sign),     cmocka_unit_test(storages_that_lie),
        cmocka_unit_test(pickles_that_act), cmocka_unit_test(pickles_that_break),
        cmocka_unit_test(names_that_clash), cmocka_unit_test(other_files),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
