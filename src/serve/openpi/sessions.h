// SPDX-License-Identifier: Apache-2.0
// Private to openpi/: the sessions of a server, without their network. A session is one client's: a
// history of its own, messages in the order in which they came, one reply to each.
//
// One thread has the network and calls everything here; one worker reads messages and predicts, in
// the order in which they came from all sessions. A session holds at most two messages, the one
// that is answered and the one that comes in meanwhile; until then its client has to wait.
#ifndef TACT_SERVE_OPENPI_SESSIONS_H
#define TACT_SERVE_OPENPI_SESSIONS_H

#include "base/error.h"
#include "serve/serve.h"

typedef struct Sessions Sessions;
typedef struct Session Session;

typedef struct SessionsOptions {
    const ServePolicy *policy; // borrowed
    int most;                  // sessions at a time
    size_t head;               // free bytes before every reply, for the network's use
    void (*wake)(void *user);  // called by the worker when a reply is there
    void *user;
} SessionsOptions;
// Starts the worker.
CHECKED bool sessions_new(const SessionsOptions *options, Sessions **out, Error *err);
// After all sessions have been closed. Waits for a prediction that is being made. NULL allowed.
void sessions_free(Sessions *all);
// From now on no session is opened, and messages that the worker has not begun with are dropped.
void sessions_stop(Sessions *all);
// Once this returns wake is not called any more: what it reaches may go.
void sessions_stop_waking(Sessions *all);

// Whether there are as many as may be; those count whose worker has not let go of them yet.
bool sessions_full(Sessions *all);
// NULL: so it is.
Session *session_open(Sessions *all);
// Not to be used any more; its memory is freed when the worker has let go of it.
void session_close(Session *s);

typedef struct SessionPart {
    const void *bytes;
    size_t size;
    size_t rest;       // bytes that are said to follow
    bool binary, last; // of the message
} SessionPart;
// A part of a message, for which there must be room. A message that is too large is dropped while
// it comes in, and answered with an error. False: it is so much larger that the connection has to
// end.
CHECKED bool session_receive(Session *s, const SessionPart *part);
// Whether the next message may come in.
bool session_has_room(const Session *s);
// Whether the worker has a message to answer.
bool session_waits(const Session *s);

typedef struct SessionReply {
    uint8_t *bytes; // behind the head
    size_t size;
    bool text; // it is an error
} SessionReply;
// False: none is there.
bool session_reply(const Session *s, SessionReply *out);
// The reply has been sent. The message that came in meanwhile is answered next.
void session_replied(Session *s);

typedef struct SessionCounts {
    int64_t messages, errors;
} SessionCounts;
SessionCounts session_counts(const Session *s);

#endif
