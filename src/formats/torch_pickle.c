// SPDX-License-Identifier: Apache-2.0
// The stack machine: the operations of pickle protocols 2 to 4 that torch.save emits, and those
// with which Python 2 wrote strings. None of them does more than put values together.
#include "formats/torch_internal.h"
#include <string.h>

typedef struct Machine {
    Unpickler *u;
    const uint8_t *bytes;
    size_t size, at, op_at;
    Value **stack, **memo;
    int depth, memoized;
    int64_t stack_capacity, memo_capacity;
    int *marks; // stack depths
    int n_marks;
    int64_t mark_capacity;
    Error *err;
} Machine;

Value *value_new(Unpickler *u, ValueKind kind) {
    if (u->values >= TORCH_MAX_VALUES) return NULL;
    Value *v = arena_try(&u->arena, sizeof(Value));
    u->no_memory = !v;
    if (!v) return NULL;
    u->values++;
    v->kind = kind;
    return v;
}

bool unpickler_no_memory(const Unpickler *u, Error *err) {
    return fail_memory(err, "%s: the values of its pickle", u->path);
}

bool value_missing(const Unpickler *u, Error *err) {
    return u->no_memory ? unpickler_no_memory(u, err)
                        : fail(err, "%s: its pickle holds more than %d values; it is no state dict",
                               u->path, TORCH_MAX_VALUES);
}

const Value *value_get(const Value *dict, const char *key) {
    const Value *found = NULL;
    for (int i = 0; dict->kind == VALUE_DICT && i + 1 < dict->list.count; i += 2) {
        const Value *k = dict->list.items[i];
        if (k->kind == VALUE_STRING && strcmp(k->string.text, key) == 0)
            found = dict->list.items[i + 1];
    }
    return found;
}

void unpickler_free(Unpickler *u) {
    mem_free(u->storages);
    arena_free(&u->arena);
    *u = (Unpickler){0};
}

static bool pickle_damaged(const Machine *m, const char *what) {
    return fail(m->err, "%s: its pickle %s (at byte %zu); the file is damaged", m->u->path, what,
                m->op_at);
}

static bool too_big(const Machine *m) {
    return value_missing(m->u, m->err);
}

static bool no_room(const Machine *m) {
    return unpickler_no_memory(m->u, m->err);
}

// ---- bytes ------------------------------------------------------------------------------------
static CHECKED bool take_bytes(Machine *m, size_t n, const uint8_t **out) {
    if (n > m->size - m->at) return pickle_damaged(m, "is cut short");
    *out = m->bytes + m->at;
    m->at += n;
    return true;
}

static CHECKED bool take_number(Machine *m, size_t width, uint64_t *out) {
    const uint8_t *p = NULL;
    if (!take_bytes(m, width, &p)) return false;
    *out = 0;
    for (size_t i = width; i-- > 0;) *out = *out << 8 | p[i];
    return true;
}

// Up to a newline, which is not part of it.
static CHECKED bool take_text_line(Machine *m, const char **line, size_t *size) {
    const uint8_t *start = m->bytes + m->at;
    const uint8_t *end = memchr(start, '\n', m->size - m->at);
    if (!end) return pickle_damaged(m, "is cut short");
    *line = (const char *)start;
    *size = (size_t)(end - start);
    m->at += *size + 1;
    return true;
}

// ---- stack ------------------------------------------------------------------------------------
static CHECKED bool stack_push(Machine *m, Value *v) {
    if (!v || m->depth >= TORCH_MAX_VALUES) return too_big(m);
    if (!ARRAY_TRY_ROOM(m->stack, m->depth, m->stack_capacity, 1)) return no_room(m);
    m->stack[m->depth++] = v;
    return true;
}

// What lies below the last mark belongs to the operation that set it.
static int floor_of(const Machine *m) {
    return m->n_marks ? m->marks[m->n_marks - 1] : 0;
}

static CHECKED bool stack_pop(Machine *m, Value **out) {
    if (m->depth <= floor_of(m))
        return pickle_damaged(m, "takes more from its stack than there is");
    *out = m->stack[--m->depth];
    return true;
}

static CHECKED bool stack_top(Machine *m, ValueKind a, ValueKind b, int below, Value **out) {
    if (m->depth - below <= floor_of(m))
        return pickle_damaged(m, "takes more from its stack than there is");
    *out = m->stack[m->depth - below - 1];
    if ((*out)->kind != a && (*out)->kind != b)
        return pickle_damaged(m, "fills a value that holds none");
    return true;
}

static CHECKED bool push_mark(Machine *m) {
    if (m->n_marks >= TORCH_MAX_VALUES) return too_big(m);
    if (!ARRAY_TRY_ROOM(m->marks, m->n_marks, m->mark_capacity, 1)) return no_room(m);
    m->marks[m->n_marks++] = m->depth;
    return true;
}

// Forgets the last mark; *count values lie above where it was.
static CHECKED bool pop_mark(Machine *m, int *count) {
    if (m->n_marks == 0) return pickle_damaged(m, "ends a group that never began");
    *count = m->depth - m->marks[--m->n_marks];
    return true;
}

static CHECKED bool push_kind(Machine *m, ValueKind kind, int64_t integer) {
    Value *v = value_new(m->u, kind);
    if (v && (kind == VALUE_INT || kind == VALUE_BOOL)) v->integer = integer;
    return stack_push(m, v);
}

// Moves the top n values to the end of a container.
static CHECKED bool append_to_container(Machine *m, Value *container, int n) {
    ValueList *list = &container->list;
    // Each item was on the stack, so this counts what the pickle made. An item that is taken
    // from the memo again and again counts each time.
    if (n > TORCH_MAX_VALUES - m->u->values) return too_big(m);
    m->u->values += n;
    if (!ARENA_ARRAY_TRY_ROOM(&m->u->arena, list->items, list->count, list->capacity, n))
        return no_room(m);
    if (n) memcpy(list->items + list->count, m->stack + m->depth - n, (size_t)n * sizeof(Value *));
    list->count += n;
    m->depth -= n;
    return true;
}

// ---- operations -------------------------------------------------------------------------------
static CHECKED bool do_string(Machine *m, size_t width, ValueKind kind) {
    uint64_t size = 0;
    const uint8_t *p = NULL;
    if (!take_number(m, width, &size) || !take_bytes(m, size, &p)) return false;
    if (kind == VALUE_STRING && memchr(p, 0, size))
        return pickle_damaged(m, "has a name with a zero byte");
    Value *v = value_new(m->u, kind);
    if (!v) return too_big(m);
    char *copy = arena_try(&m->u->arena, size + 1);
    if (!copy) return no_room(m);
    memcpy(copy, p, size);
    v->string.text = copy;
    v->string.size = size;
    return stack_push(m, v);
}

static CHECKED bool do_integer(Machine *m, size_t width) {
    uint64_t n = 0;
    if (!take_number(m, width, &n)) return false;
    return push_kind(m, VALUE_INT, width == 4 ? (int32_t)(uint32_t)n : (int64_t)n);
}

// Little-endian two's complement of any width. Only the file's magic number is wider than 8 bytes.
static CHECKED bool do_long(Machine *m) {
    size_t width = m->bytes[m->at < m->size ? m->at : 0];
    if (width > 8) return do_string(m, 1, VALUE_BYTES);
    uint64_t n = 0;
    if (!take_number(m, 1, &n) || !take_number(m, width, &n)) return false;
    if (width > 0 && width < 8 && n >> (8 * width - 1)) n |= UINT64_MAX << (8 * width);
    return push_kind(m, VALUE_INT, (int64_t)n);
}

static CHECKED bool do_tuple(Machine *m, int n) {
    if (n > m->depth - floor_of(m))
        return pickle_damaged(m, "takes more from its stack than there is");
    Value *v = value_new(m->u, VALUE_TUPLE);
    if (!v) return too_big(m);
    return append_to_container(m, v, n) && stack_push(m, v);
}

static CHECKED bool do_memoize(Machine *m, uint64_t number) {
    Value *v;
    if (m->depth <= floor_of(m))
        return pickle_damaged(m, "takes more from its stack than there is");
    v = m->stack[m->depth - 1];
    if (number >= TORCH_MAX_VALUES) return too_big(m);
    int64_t kept = m->memo_capacity; // every place up to it may be in use
    if (!ARRAY_TRY_ROOM(m->memo, kept, m->memo_capacity, (int64_t)number + 1 - kept))
        return no_room(m);
    m->memo[number] = v;
    m->memoized++;
    return true;
}

static CHECKED bool do_remember(Machine *m, size_t width) {
    uint64_t number = 0;
    if (!take_number(m, width, &number)) return false;
    if (number >= (uint64_t)m->memo_capacity || !m->memo[number])
        return pickle_damaged(m, "recalls what it never kept");
    return stack_push(m, m->memo[number]);
}

static CHECKED bool push_global(Machine *m, const char *module, size_t module_size,
                                const char *name, size_t name_size) {
    const TorchGlobal *global = torch_global(module, module_size, name, name_size);
    if (!global) {
        // The name comes from the file, so whatever is not plain text is left out of the
        // message.
        char shown[161];
        size_t n = 0;
        for (size_t i = 0; i < module_size + 1 + name_size && n + 1 < sizeof shown; i++) {
            char c = i < module_size    ? module[i]
                     : i == module_size ? '.'
                                        : name[i - module_size - 1];
            shown[n++] = c > ' ' && c < 127 ? c : '?';
        }
        shown[n] = 0;
        return fail(m->err,
                    "%s: its pickle calls %s; only tensors are read. Where that is not an "
                    "attack, save the state_dict() alone",
                    m->u->path, shown);
    }
    Value *v = value_new(m->u, VALUE_GLOBAL);
    if (!v) return too_big(m);
    v->global = global;
    return stack_push(m, v);
}

static CHECKED bool do_global(Machine *m) {
    const char *module = NULL, *name = NULL;
    size_t module_size = 0, name_size = 0;
    return take_text_line(m, &module, &module_size) && take_text_line(m, &name, &name_size) &&
           push_global(m, module, module_size, name, name_size);
}

static CHECKED bool do_stack_global(Machine *m) {
    Value *name = NULL, *module = NULL;
    if (!stack_pop(m, &name) || !stack_pop(m, &module)) return false;
    if (name->kind != VALUE_STRING || module->kind != VALUE_STRING)
        return pickle_damaged(m, "calls something without a name");
    return push_global(m, module->string.text, module->string.size, name->string.text,
                       name->string.size);
}

static CHECKED bool do_call(Machine *m) {
    Value *args = NULL, *callee = NULL, *result = NULL;
    if (!stack_pop(m, &args) || !stack_pop(m, &callee)) return false;
    if (callee->kind != VALUE_GLOBAL || args->kind != VALUE_TUPLE)
        return pickle_damaged(m, "calls what is no function");
    return torch_call(m->u, callee->global, &args->list, &result, m->err) && stack_push(m, result);
}

static CHECKED bool do_persistent(Machine *m) {
    Value *id = NULL, *storage = NULL;
    return stack_pop(m, &id) && torch_persistent(m->u, id, &storage, m->err) &&
           stack_push(m, storage);
}

// Sets attributes of a state dict (its _metadata) and of parameters, on which no tensor depends.
static CHECKED bool do_build(Machine *m) {
    Value *state = NULL, *object = NULL;
    return stack_pop(m, &state) && stack_top(m, VALUE_DICT, VALUE_TENSOR, 0, &object);
}

static CHECKED bool do_fill(Machine *m, ValueKind kind, bool marked) {
    Value *container = NULL;
    int n = kind == VALUE_DICT ? 2 : 1;
    if (marked && !pop_mark(m, &n)) return false;
    if (kind == VALUE_DICT && n % 2 != 0) return pickle_damaged(m, "has a key without a value");
    return stack_top(m, kind, kind, n, &container) && append_to_container(m, container, n);
}

static CHECKED bool do_operation(Machine *m, uint8_t op) {
    uint64_t number = 0;
    const uint8_t *skipped;
    int n = 0;
    switch (op) {
    case 0x80: // PROTO
        return take_number(m, 1, &number) &&
               (number <= 5 || pickle_damaged(m, "is of an unknown protocol"));
    case 0x95: // FRAME: a hint for readers of streams
        return take_bytes(m, 8, &skipped);
    case '(':
        return push_mark(m);
    case 'N':
        return push_kind(m, VALUE_NONE, 0);
    case 0x88:
        return push_kind(m, VALUE_BOOL, 1);
    case 0x89:
        return push_kind(m, VALUE_BOOL, 0);
    case 'J':
        return do_integer(m, 4);
    case 'K':
        return do_integer(m, 1);
    case 'M':
        return do_integer(m, 2);
    case 0x8a:
        return do_long(m);
    case 'G':
        return take_bytes(m, 8, &skipped) && push_kind(m, VALUE_FLOAT, 0);
    case 'X':
        return do_string(m, 4, VALUE_STRING);
    case 0x8c:
        return do_string(m, 1, VALUE_STRING);
    case 0x8d:
        return do_string(m, 8, VALUE_STRING);
    case 'U':
        return do_string(m, 1, VALUE_STRING); // Python 2's str
    case 'T':
        return do_string(m, 4, VALUE_STRING);
    case 'C':
        return do_string(m, 1, VALUE_BYTES);
    case 'B':
        return do_string(m, 4, VALUE_BYTES);
    case 0x8e:
        return do_string(m, 8, VALUE_BYTES);
    case ')':
        return do_tuple(m, 0);
    case 0x85:
        return do_tuple(m, 1);
    case 0x86:
        return do_tuple(m, 2);
    case 0x87:
        return do_tuple(m, 3);
    case 't':
        return pop_mark(m, &n) && do_tuple(m, n);
    case ']':
        return push_kind(m, VALUE_LIST, 0);
    case '}':
        return push_kind(m, VALUE_DICT, 0);
    case 'a':
        return do_fill(m, VALUE_LIST, false);
    case 'e':
        return do_fill(m, VALUE_LIST, true);
    case 's':
        return do_fill(m, VALUE_DICT, false);
    case 'u':
        return do_fill(m, VALUE_DICT, true);
    case 'q':
        return take_number(m, 1, &number) && do_memoize(m, number);
    case 'r':
        return take_number(m, 4, &number) && do_memoize(m, number);
    case 0x94:
        return do_memoize(m, (uint64_t)m->memoized);
    case 'h':
        return do_remember(m, 1);
    case 'j':
        return do_remember(m, 4);
    case 'c':
        return do_global(m);
    case 0x93:
        return do_stack_global(m);
    case 'R':
    case 0x81: // NEWOBJ
        return do_call(m);
    case 'Q':
        return do_persistent(m);
    case 'b':
        return do_build(m);
    default:
        return fail(m->err,
                    "%s: its pickle uses operation 0x%02x (at byte %zu), which no state dict "
                    "needs; the file is damaged or holds something else",
                    m->u->path, op, m->op_at);
    }
}

static CHECKED bool run_machine(Machine *m, const Value **out) {
    for (;;) {
        const uint8_t *op = NULL;
        Value *v = NULL;
        m->op_at = m->at;
        if (!take_bytes(m, 1, &op)) return false;
        if (*op == '.') {
            if (m->n_marks) return pickle_damaged(m, "ends within a group");
            if (!stack_pop(m, &v)) return false;
            *out = v;
            return true;
        }
        if (!do_operation(m, *op)) return false;
    }
}

bool unpickle(Unpickler *u, const uint8_t *bytes, size_t size, size_t *at, const Value **out,
              Error *err) {
    Machine m = {.u = u, .bytes = bytes, .size = size, .at = *at, .err = err};
    // A pickle is cut where it is longer than any state dict's, so that work and memory are
    // bounded.
    if (m.size - m.at > TORCH_MAX_PICKLE) m.size = m.at + TORCH_MAX_PICKLE;
    bool ok = run_machine(&m, out);
    mem_free(m.stack);
    mem_free(m.memo);
    mem_free(m.marks);
    *at = m.at;
    return ok;
}
