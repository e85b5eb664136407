// SPDX-License-Identifier: Apache-2.0
// Known answers: the examples of FIPS 180-4, and sha256sum's answers for lengths around the padding
// of a block.
#include "base/sha256.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void assert_digest(const void *data, size_t size, size_t piece, const char *expected) {
    Sha256 s;
    char hex[65];
    sha256_init(&s);
    for (size_t at = 0; at < size; at += piece)
        sha256_add(&s, (const char *)data + at, size - at < piece ? size - at : piece);
    sha256_hex(&s, hex);
    assert_string_equal(hex, expected);
}

static void known_answers(void **state) {
    (void)state;
    static const struct {
        size_t count; // letters "a"
        const char *hex;
    } runs[] = {
        {0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {1, "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"},
        {55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"},
        {56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"},
        {63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34"},
        {64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"},
        {65, "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0"},
        {119, "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb"},
        {120, "2f3d335432c70b580af0e8e1b3674a7c020d683aa5f73aaaedfdc55af904c21c"},
        {1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
    };
    assert_digest("abc", 3, 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const char *two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    assert_digest(two, 56, 56, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        char *data = malloc(runs[i].count + 1);
        memset(data, 'a', runs[i].count);
        for (size_t piece = 1; piece < 200; piece += 33)
            assert_digest(data, runs[i].count, piece, runs[i].hex);
        free(data);
    }
}

static void of_a_file(void **state) {
    (void)state;
    char path[] = "/tmp/tact-sha-XXXXXX", hex[65];
    Error err;
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "abc", 3), 3);
    close(fd);
    assert_true(sha256_file(path, hex, &err));
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    unlink(path);
    assert_false(sha256_file(path, hex, &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(known_answers),
                                       cmocka_unit_test(of_a_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
