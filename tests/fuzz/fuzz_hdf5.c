// SPDX-License-Identifier: Apache-2.0
// HDF5 files that are sound for libhdf5 and odd for us: the bytes say what libhdf5 writes into a
// file (arrays of any type, shape and storage under the names that the forms look for, attributes,
// groups where arrays belong). It is refused in one line, or everything in it can be read. Bytes
// that begin as a JPEG or PNG are looked at as one.
//
// Damaged files are mostly libhdf5's to refuse, which is compiled without sanitizers and forgets
// memory over them: bytes that are an HDF5 file are read as one only where FUZZ_HDF5_RAW is set.
#include "base/memory.h"
#include "driver.h"
#include "import/forms.h"
#include "import/hdf5_image.h"

#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- writing ------------------------------------------------------------------------------------

typedef struct Bytes {
    const uint8_t *at;
    size_t left;
} Bytes;

static unsigned take(Bytes *b) {
    if (b->left == 0) return 0;
    b->left--;
    return *b->at++;
}

static const char *const names[] = {
    "observations",
    "observations/qpos",
    "observations/qvel",
    "observations/effort",
    "observations/images",
    "observations/images/top",
    "observations/images/side",
    "observations/images/top_depth",
    "action",
    "base_action",
    "compress_len",
    "data",
    "data/demo_0",
    "data/demo_0/actions",
    "data/demo_0/obs",
    "data/demo_0/obs/robot0_eef_pos",
    "data/demo_0/obs/robot0_eef_quat",
    "data/demo_0/obs/robot1_gripper_qpos",
    "data/demo_0/obs/eef_pos",
    "data/demo_0/obs/ee_states",
    "data/demo_0/obs/object",
    "data/demo_0/obs/object-state",
    "data/demo_0/obs/state",
    "data/demo_0/obs/top_image",
    "data/demo_0/obs/top_rgb",
    "data/demo_0/obs/_image",
    "data/demo_1/actions",
    "data/demo_1/obs/robot0_eef_pos",
    "data/demo_1/obs/top_image",
    "data/x",
    "mask/train",
    "mask/valid",
    "mask",
};
enum { NAMES = sizeof names / sizeof names[0] };

static const char *const attributes[] = {"env_args",     "num_samples", "fps", "sim",
                                         "problem_info", "ep_meta",     "task"};
enum { ATTRIBUTES = sizeof attributes / sizeof attributes[0], MOST_VALUES = 2048 };

static hid_t own(hid_t type) {
    return H5Tcopy(type);
}

// Any type; to be closed.
static hid_t take_type(Bytes *b) {
    hid_t type;
    switch (take(b) % 20) {
    case 0:
        return own(H5T_IEEE_F32LE);
    case 1:
        return own(H5T_IEEE_F64BE);
    case 2:
        return own(H5T_STD_I64LE);
    case 3:
        return own(H5T_STD_I16BE);
    case 4:
        return own(H5T_STD_I8LE);
    case 5:
        return own(H5T_NATIVE_LDOUBLE);
    case 6:
        type = own(H5T_C_S1);
        H5Tset_size(type, 1 + take(b));
        return type;
    case 7:
        type = own(H5T_C_S1);
        H5Tset_size(type, H5T_VARIABLE);
        return type;
    case 8:
        return H5Tvlen_create(H5T_NATIVE_UCHAR);
    case 9:
        return H5Tvlen_create(H5T_IEEE_F32LE);
    case 10:
        return H5Tcreate(H5T_OPAQUE, 1 + take(b));
    case 11:
        return H5Tenum_create(H5T_NATIVE_SCHAR);
    case 12:
        type = H5Tcreate(H5T_COMPOUND, 8);
        H5Tinsert(type, "r", 0, H5T_NATIVE_FLOAT);
        return type;
    case 13: {
        hsize_t dims[1] = {1 + take(b) % 4};
        return H5Tarray_create2(H5T_NATIVE_FLOAT, 1, dims);
    }
    case 14:
        return own(H5T_STD_REF_OBJ);
    case 15:
        return own(H5T_STD_B8LE);
    case 16: { // a float of two bytes
        type = own(H5T_IEEE_F32LE);
        H5Tset_fields(type, 15, 10, 5, 0, 10);
        H5Tset_size(type, 2);
        H5Tset_ebias(type, 15);
        return type;
    }
    default:
        return own(H5T_STD_U8LE);
    }
}

static hsize_t take_length(Bytes *b) {
    static const hsize_t large[] = {0, 100, 5000, 1 << 20, 1ull << 33, 1ull << 62};
    unsigned v = take(b);
    return v < 230 ? v % 8 : large[v % 6];
}

static hid_t take_space(Bytes *b, int *rank, hsize_t dims[8]) {
    static const int ranks[] = {2, 2, 2, 1, 4, 4, 0, 3, 5, 2};
    *rank = ranks[take(b) % 10];
    if (*rank == 0) return H5Screate(take(b) % 2 ? H5S_SCALAR : H5S_NULL);
    for (int i = 0; i < *rank; i++) dims[i] = take_length(b);
    if (*rank == 4 && take(b) % 4) dims[3] = 3;
    return H5Screate_simple(*rank, dims, NULL);
}

// lzf, blosc, zstd, gzip
static const H5Z_filter_t odd_filters[4] = {32000, 32001, 32015, H5Z_FILTER_DEFLATE};

static hid_t take_storage(Bytes *b, int rank, const hsize_t dims[8]) {
    hid_t made = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t chunk[8];
    unsigned how = take(b) % 8;
    if (how == 0) H5Pset_external(made, "/dev/null", 0, H5F_UNLIMITED);
    if (how == 1) H5Pset_layout(made, H5D_COMPACT);
    if (how < 4 || rank == 0) return made;
    for (int i = 0; i < rank; i++) {
        chunk[i] = 1 + take(b) % 4;
        if (dims[i] > 0 && chunk[i] > dims[i]) chunk[i] = dims[i];
    }
    H5Pset_chunk(made, rank, chunk);
    const unsigned sizes[3] = {0, 0, take(b)}; // of a chunk, for lzf
    if (how == 5) H5Pset_fletcher32(made);
    if (how == 6) H5Pset_deflate(made, 4);
    if (how == 7) H5Pset_filter(made, odd_filters[take(b) % 4], H5Z_FLAG_OPTIONAL, 3, sizes);
    return made;
}

// The bytes that are left as compressed chunks of the first rows.
static void write_chunks(const Bytes *b, hid_t array, hid_t made, int rank, const hsize_t dims[8]) {
    enum { MOST_CHUNKS = 64 };
    hsize_t chunk[8], at[8] = {0};
    if (H5Pget_layout(made) != H5D_CHUNKED || H5Pget_chunk(made, rank, chunk) != rank) return;
    for (int i = 0; i < MOST_CHUNKS && b->left > 0; i++) {
        H5Dwrite_chunk(array, H5P_DEFAULT, 0, at, b->left, b->at);
        int k = rank - 1;
        for (at[k] += chunk[k]; k > 0 && at[k] >= dims[k]; at[k] += chunk[k]) at[k--] = 0;
        if (at[0] >= dims[0]) return;
    }
}

// What the reader takes for a JPEG of 4 x 4.
static const uint8_t jpeg[] = {0xFF, 0xD8, 0xFF, 0xC0, 0,    11, 8,    0,   4,
                               0,    4,    1,    1,    0x11, 0,  0xFF, 0xD9};

// Bytes of one of a space's rows, whose values have so many bytes.
static size_t row_bytes(hid_t space, size_t one) {
    hsize_t dims[H5S_MAX_RANK];
    int rank = H5Sget_simple_extent_dims(space, dims, NULL);
    for (int i = 1; i < rank; i++) one *= dims[i];
    return one;
}

// Values for all of a space: each row from the bytes that are left, again and again, or a JPEG.
static void write_values(Bytes *b, hid_t object, bool attribute, hid_t type, hid_t space) {
    hssize_t n = H5Sget_simple_extent_npoints(space);
    size_t one = H5Tget_size(type);
    if (n <= 0 || n > MOST_VALUES || one > 512) return;
    hid_t inner = H5Tget_class(type) == H5T_VLEN ? H5Tget_super(type) : -1;
    size_t item = inner >= 0 ? H5Tget_size(inner) : 1;
    if (inner >= 0) H5Tclose(inner);
    uint8_t *all = calloc((size_t)n, one);
    char text[64] = "demo_0";
    const uint8_t *from = b->left ? b->at : (const uint8_t *)text;
    size_t left = b->left ? b->left : sizeof text, row = row_bytes(space, one);
    if (b->left && *from % 8 == 0) {
        from = jpeg;
        left = sizeof jpeg;
    }
    if (from == b->at) snprintf(text, sizeof text, "%.*s", (int)(left < 40 ? left : 40), from);
    for (size_t i = 0; i < (size_t)n * one; i++) all[i] = from[i % row % left];
    for (hssize_t i = 0; i < n && H5Tget_class(type) == H5T_VLEN; i++)
        ((hvl_t *)all)[i] = (hvl_t){left / item, (void *)from};
    for (hssize_t i = 0; i < n && H5Tis_variable_str(type) > 0; i++) ((char **)all)[i] = text;
    if (H5Tget_class(type) != H5T_REFERENCE) {
        if (attribute)
            H5Awrite(object, type, all);
        else
            H5Dwrite(object, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, all);
    }
    free(all);
}

static void add_array(Bytes *b, hid_t file, const char *name, hid_t groups) {
    hsize_t dims[8] = {0};
    int rank;
    hid_t type = take_type(b), space = take_space(b, &rank, dims);
    hid_t made = take_storage(b, rank, dims);
    hid_t array = H5Dcreate2(file, name, type, space, groups, made, H5P_DEFAULT);
    if (array >= 0) {
        unsigned how = take(b) % 4;
        hssize_t n = H5Sget_simple_extent_npoints(space);
        // Bytes as places of what has no fixed length are libhdf5's to refuse.
        bool fixed = H5Tget_class(type) != H5T_VLEN && H5Tis_variable_str(type) <= 0;
        if (how == 1 && fixed && n > 0 && n <= MOST_VALUES)
            write_chunks(b, array, made, rank, dims);
        if (how > 1) write_values(b, array, false, type, space);
        H5Dclose(array);
    }
    H5Pclose(made);
    if (space >= 0) H5Sclose(space);
    H5Tclose(type);
}

static void add_attribute(Bytes *b, hid_t file, const char *name) {
    static const char env[] = "{\"env_name\": \"Lift\", \"env_kwargs\": {\"control_freq\": 20, "
                              "\"robots\": [\"Panda\"]}}";
    hid_t type = take_type(b), space = H5Screate(take(b) % 8 ? H5S_SCALAR : H5S_NULL);
    hid_t object = H5Oopen(file, name, H5P_DEFAULT);
    const char *attribute = attributes[take(b) % ATTRIBUTES];
    bool whole = take(b) % 2;
    if (whole) {
        H5Tclose(type);
        type = own(H5T_C_S1);
        H5Tset_size(type, sizeof env);
    }
    hid_t made =
        object < 0 ? -1 : H5Acreate2(object, attribute, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (made >= 0 && whole) H5Awrite(made, type, env);
    if (made >= 0 && !whole) write_values(b, made, true, type, space);
    if (made >= 0) H5Aclose(made);
    if (object >= 0) H5Oclose(object);
    H5Sclose(space);
    H5Tclose(type);
}

// Sound arrays of three rows, which the bytes then alter.
static void add_sound(hid_t file, const char *name, int rank, hid_t type, hid_t groups) {
    static const uint8_t zeros[3 * 4 * 4 * 3 * 8];
    const hsize_t dims[4] = {3, rank == 2 ? 2 : 4, 4, 3};
    hid_t space = H5Screate_simple(rank, dims, NULL);
    hid_t array = H5Dcreate2(file, name, type, space, groups, H5P_DEFAULT, H5P_DEFAULT);
    if (array >= 0) {
        H5Dwrite(array, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros);
        H5Dclose(array);
    }
    H5Sclose(space);
}

static void add_form(hid_t file, unsigned form, hid_t groups) {
    static const char *const aloha[] = {"observations/qpos", "action", "observations/qvel"};
    static const char *const demos[] = {"data/demo_0/actions", "data/demo_0/obs/robot0_eef_pos",
                                        "data/demo_1/actions", "data/demo_1/obs/robot0_eef_pos"};
    for (int i = 0; form == 1 && i < 3; i++)
        add_sound(file, aloha[i], 2, H5T_NATIVE_DOUBLE, groups);
    if (form == 1) add_sound(file, "observations/images/top", 4, H5T_NATIVE_UCHAR, groups);
    for (int i = 0; form >= 2 && i < (form == 2 ? 2 : 4); i++)
        add_sound(file, demos[i], 2, H5T_NATIVE_FLOAT, groups);
    if (form == 2) add_sound(file, "data/demo_0/obs/top_image", 4, H5T_NATIVE_UCHAR, groups);
}

// Filters that claim to write, as libhdf5 wants of those that an array is made with; hdf5_open puts
// those that read in their place.
static size_t write_nothing(unsigned flags, size_t n_values, const unsigned values[], size_t n,
                            size_t *room, void **buffer) {
    (void)flags, (void)n_values, (void)values, (void)n, (void)room, (void)buffer;
    return 0;
}

static void add_writers(void) {
    for (int i = 0; i < 3; i++) {
        const H5Z_class2_t filter = {H5Z_CLASS_T_VERS, odd_filters[i], 1,    1,
                                     "writer",         NULL,           NULL, write_nothing};
        H5Zregister(&filter);
    }
}

static void write_file(Bytes *b, const char *to) {
    enum { MOST_STEPS = 12 };
    add_writers();
    hid_t file = H5Fcreate(to, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t groups = H5Pcreate(H5P_LINK_CREATE);
    if (file < 0) abort();
    H5Pset_create_intermediate_group(groups, 1);
    add_form(file, take(b) % 4, groups);
    for (int i = 0; i < MOST_STEPS && b->left > 0; i++) {
        const char *name = names[take(b) % NAMES];
        unsigned what = take(b) % 8;
        if (what == 0) {
            add_attribute(b, file, take(b) % 2 ? "data" : name);
            continue;
        }
        if (H5Lexists(file, "/", H5P_DEFAULT) >= 0) H5Ldelete(file, name, H5P_DEFAULT);
        if (what == 1) {
            hid_t group = H5Gcreate2(file, name, groups, H5P_DEFAULT, H5P_DEFAULT);
            if (group >= 0) H5Gclose(group);
        } else if (what > 2) {
            add_array(b, file, name, groups);
        }
    }
    H5Pclose(groups);
    H5Fclose(file);
}

// ---- reading ------------------------------------------------------------------------------------

static volatile double sum;

// In place of the decoder, which has a target of its own: an image of the size that the file says.
static bool decode(const void *bytes, size_t size, const char *name, Image *out, Error *err) {
    EncodedImage file;
    if (!encoded_image_look(bytes, size, &file) || file.size != size) abort();
    sum += ((const uint8_t *)bytes)[size - 1] + name[0];
    if (file.height > 64 || file.width > 64) return fail(err, "too large for this target");
    *out = (Image){file.height, file.width, mem_alloc(image_rgb_bytes(file.height, file.width))};
    return true;
}

static void read_vector(ImportSource *s, int64_t episode, int vector, off_t file_size) {
    enum { MOST_TIMES = 20000, MOST = 1 << 22 };
    Error err = {""};
    const ImportVector *v = &s->vectors[vector];
    int64_t n = s->episodes[episode].length * v->dim;
    if (v->dim < 1 || n < 1 || n > MOST_TIMES * file_size) abort();
    for (int i = 0; v->names && i < v->dim; i++) sum += v->names[i][0];
    sum += v->name[0] + v->dtype[0] + (v->feature ? v->feature[0] : 0);
    if (n > MOST) return;
    double *out = mem_alloc(sizeof *out * (size_t)n);
    (void)fuzz_ok(s->reader->vector(s, episode, vector, out, &err), &err);
    mem_free(out);
}

static void read_frames(ImportSource *s, int64_t episode, int camera, void **cursor) {
    const int64_t length = s->episodes[episode].length, rows[] = {0, length - 1, length / 2};
    const ImportCamera *c = &s->cameras[camera];
    Error err = {""};
    if (c->height < 1 || c->width < 1) abort();
    sum += c->name[0] + c->feature[0] + c->codec[0];
    for (int i = 0; i < 3; i++) {
        Image image;
        uint8_t *bytes;
        size_t size;
        if (fuzz_ok(s->reader->frame(s, cursor, episode, camera, rows[i], &image, &err), &err)) {
            if (image.height != c->height || image.width != c->width) abort();
            sum += image.rgb[image_rgb_bytes(image.height, image.width) - 1];
            image_free(&image);
        }
        s->red_is_blue = i == 1;
        const bool stored = fuzz_ok(
            s->reader->stored(s, cursor, episode, camera, rows[i], &bytes, &size, &err), &err);
        if (stored && bytes) sum += bytes[size - 1];
        if (stored) mem_free(bytes);
    }
}

static void read_source(ImportSource *s, off_t file_size) {
    void *cursor = NULL;
    if (s->n_episodes < 1) abort();
    for (int64_t e = 0; e < s->n_episodes && e < 4; e++) {
        const ImportEpisode *episode = &s->episodes[e];
        if (episode->length < 1) abort();
        sum += episode->name[0] + (episode->task ? (double)strlen(episode->task) : 0);
        for (int v = 0; v < s->n_vectors; v++) read_vector(s, e, v, file_size);
        for (int c = 0; c < s->n_cameras; c++) read_frames(s, e, c, &cursor);
    }
    for (int i = 0; i < s->n_left_out; i++) sum += s->left_out[i][0];
    s->reader->cursor_free(cursor);
}

static void read_file(const char *file, off_t file_size) {
    const ImportForm *const forms[] = {&robomimic_form, &aloha_form};
    Error err = {""};
    for (int i = 0; i < 2; i++) {
        ImportSource s = {.path = file, .reader = forms[i], .decode = decode};
        if (!forms[i]->recognise(file)) continue;
        if (!fuzz_ok(forms[i]->open(&s, &err), &err)) continue;
        read_source(&s, file_size);
        forms[i]->close(&s);
    }
}

// ---- the target
// -----------------------------------------------------------------------------------

// libhdf5 wants a file with a name of its own, so not one in memory alone.
static char path[64];

static void begin(void) {
    if (path[0]) return;
    snprintf(path, sizeof path, "/dev/shm/fuzz-hdf5-%d", (int)getpid());
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    // An open file takes a megabyte and more, which under AddressSanitizer costs most of the time.
    H5set_free_list_limits(-1, -1, -1, -1, -1, -1);
}

void fuzz_input(const uint8_t *data, size_t size) {
    struct stat st;
    Bytes b = {data, size};
    EncodedImage image;
    begin();
    if (encoded_image_look(data, size, &image)) {
        if (image.size > size || image.height < 1 || image.width < 1) abort();
        return;
    }
    if (size > 8 && memcmp(data, "\x89HDF\r\n\x1a\n", 8) == 0) {
        FILE *f = getenv("FUZZ_HDF5_RAW") ? fopen(path, "wb") : NULL;
        if (!f) return;
        if (fwrite(data, 1, size, f) != size || fclose(f) != 0) abort();
    } else {
        write_file(&b, path);
    }
    if (stat(path, &st) != 0) abort();
    read_file(path, st.st_size);
    unlink(path);
}
