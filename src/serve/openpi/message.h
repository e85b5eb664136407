// SPDX-License-Identifier: Apache-2.0
// Private to openpi/: the messages of the protocol, MessagePack with NumPy's arrays as maps of
// __ndarray__, data, dtype and shape.
//
// What comes from a client is checked before anything is made of it: how deep it is nested, how
// many values it has, and every length against the bytes that are there.
#ifndef TACT_SERVE_OPENPI_MESSAGE_H
#define TACT_SERVE_OPENPI_MESSAGE_H

#include "base/error.h"
#include "serve/serve.h"
#include <msgpack.h>

// message_check.c: whether the bytes are one value of MessagePack, nested at most MESSAGE_DEPTH
// deep and of at most MESSAGE_VALUES values.
enum { MESSAGE_DEPTH = 16, MESSAGE_VALUES = 65536 };
CHECKED bool message_check(const uint8_t *data, size_t size, Error *err);

// The most bytes of a message that is worth reading: what the policy wants four times over (so that
// cameras it does not know may come along, and floating-point images are refused by name), and 1
// MiB.
size_t message_most(const ServeWants *wants);

// numpy.c: an array, whose bytes lie in the message.
enum { NUMPY_DIMENSIONS = 8 };
typedef struct NumpyArray {
    char kind; // b, i, u, f
    bool swapped;
    int item; // bytes of a value
    int n_dims;
    size_t dims[NUMPY_DIMENSIONS], count; // their product
    const uint8_t *data;                  // not aligned
    char dtype[16];                       // as given
} NumpyArray;
// Whether a value says that it is an array, whatever else is wrong with it.
bool numpy_is_array(const msgpack_object *o);
// name: of the value, for errors.
CHECKED bool numpy_array(const msgpack_object *o, const char *name, NumpyArray *out, Error *err);
// Value i.
double numpy_value(const NumpyArray *a, size_t i);
// A number, or one of NumPy's scalars; false: it is neither.
bool numpy_number(const msgpack_object *o, double *out);

// message_read.c
typedef struct Message {
    bool reset, observe_only; // as asked for
    bool sees;                // there is something to observe; else it only resets
    tact_observation observation;
} Message;

// What reading needs, kept from one message to the next; one thread's.
typedef struct MessageReader MessageReader;
MessageReader *message_reader_new(const ServeWants *wants); // wants are borrowed
void message_reader_free(MessageReader *r);
// What is refused has out->reset all the same, where that could be read.
// out points into the message and the reader, until the next call. Whether the observation is what
// the policy wants is for tact_observe to say, which message_missing then explains.
CHECKED bool message_read(MessageReader *r, const uint8_t *data, size_t size, Message *out,
                          Error *err);
// Of the message that was read last: what names it has, where a camera of the policy was not among
// them; "": nothing is missing.
const char *message_missing(const MessageReader *r);

// message_write.c. Each writes a message behind `head` free bytes, in place of what was there.
void message_write_metadata(msgpack_sbuffer *out, size_t head, const ServeWants *wants);
// actions (chunk_size, action_size); NULL: none were asked for. previous_ms: the time from a
// message to its reply of the one before; negative: there was none.
void message_write_reply(msgpack_sbuffer *out, size_t head, const ServeWants *wants,
                         const double *actions, double infer_ms, double previous_ms);
// Text, whatever bytes a client's names had.
void message_write_error(msgpack_sbuffer *out, size_t head, const char *text);

#endif
