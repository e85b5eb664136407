// SPDX-License-Identifier: Apache-2.0
// Private to policy/: the parts of the runtime behind include/tact.h.
//
// T observations, S actions of a chunk, A values of an action as the robot takes it, K arms.
#ifndef TACT_POLICY_RUNTIME_H
#define TACT_POLICY_RUNTIME_H

#include "tact.h"

#include "base/log.h"
#include "policy/policy.h"
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

// ---- versions.c: structs of other versions of the header ----------------------------------------
// The size that a struct had when it was first in the header: the least that is accepted.
enum {
    OPTIONS_LEAST = sizeof(size_t),
    OBSERVATION_LEAST = sizeof(tact_observation),
    IMAGE_LEAST = sizeof(tact_image),
};
// given, whose size its first member says, into known (known_size bytes), which holds what is to be
// where given has nothing. name: the type's, for messages.
CHECKED bool struct_take(void *known, size_t known_size, size_t least, const void *given,
                         const char *name, Error *err);
// known into given, as much as that has room for. given's size stays.
void struct_give(void *given, const void *known, size_t known_size);

// ---- history.c: the last (T-1)s+1 observations of an episode ------------------------------------
typedef struct History {
    int horizon, down_sample, length; // T, s, (T-1)s+1
    int cameras;
    size_t state_size;
    size_t frame_bytes[MAX_CAMERAS]; // of one frame of a camera
    size_t frame_at[MAX_CAMERAS];    // where it stands among the frames of an observation
    size_t image_bytes, most_bytes;  // of all cameras' frames of an observation; of the largest one
    int64_t count;                   // observations since the episode began
    double *states;                  // (length, state_size) as recorded
    uint8_t *frames;                 // (length, image_bytes) as the model sees them
    bool *encoded;                   // (length, cameras) whether the model has the frame's tokens
} History;
// For the windows and cameras of a policy; state_size: values of a state as recorded.
CHECKED bool history_init(History *h, const PolicyConfig *c, size_t state_size, Error *err);
void history_free(History *h); // a zeroed struct is allowed
// Where the next observation will stand; to be filled in before history_add.
int history_next(const History *h);
void history_add(History *h);
// Where observation t of the window stands, t = T-1 being the newest. As window_rows: what would
// lie before the episode is its first observation.
int history_place(const History *h, int t);
// Whether predictions at every period-th observation, the first of them `first` observations from
// the newest, will look at the newest.
bool history_wanted(const History *h, int first, int period);
// No frame counts as encoded any more.
void history_forget_tokens(History *h);

static inline double *history_state(const History *h, int place) {
    return h->states + (size_t)place * h->state_size;
}
static inline const double *history_newest(const History *h) {
    return history_state(h, history_place(h, h->horizon - 1));
}
// A camera's frame has the same number as its slot in the model and its entry of `encoded`.
static inline int history_slot(const History *h, int place, int camera) {
    return place * h->cameras + camera;
}
static inline uint8_t *history_frame(const History *h, int slot) {
    const int place = slot / h->cameras, camera = slot % h->cameras;
    return h->frames + (size_t)place * h->image_bytes + h->frame_at[camera];
}

// ---- actions.c: from a prediction to what the robot takes ---------------------------------------
// y (rows, D) normalised -> out (rows, A). arms 0: as recorded; else relative poses (10 an arm),
// made absolute with base (7 an arm), their rotation vectors each nearest to the row before, the
// first to base. plus_state (A): values that base is added to, or NULL. base may be NULL where
// neither needs it. scratch (D).
void actions_from_prediction(const Normalizer *n, const float *y, int rows, const double *base,
                             int arms, const bool *plus_state, double *scratch, double *out);
// Writes each rotation vector of an action (A) as the one nearest to that of `before`.
void actions_continue(double *action, const double *before, int arms);
// The last look at actions (count values in all) before they leave: an observation or a chunk may
// be finite and their sum, composition or mean not.
tact_status actions_check(const double *actions, size_t count, Error *err);
// The form in which actions can be averaged, and back: per arm 13 values, the rotation as its
// matrix. arms 0: copies of width values.
enum { LINEAR_ARM = 13 };
void action_to_linear(const double *action, int width, int arms, double *out);
void action_from_linear(const double *linear, int width, int arms, double *out);

// ---- ensemble.c: means of all predictions of one moment -----------------------------------------
typedef struct Ensemble {
    int chunk, width;
    double coeff;
    int left;       // moments that have a mean: 0 .. left-1, the first one is now
    double *mean;   // (chunk, width)
    double *weight; // (chunk) sum of the weights that went in
    int *count;     // (chunk) predictions that went in
} Ensemble;
// Whether all weights of a chunk of that length are finite, and so is their sum.
bool ensemble_possible(int chunk, double coeff);
void ensemble_init(Ensemble *e, int chunk, int width, double coeff);
void ensemble_free(Ensemble *e); // a zeroed struct is allowed
// A prediction of the moments from now on, (chunk, width).
void ensemble_add(Ensemble *e, const double *chunk);
// The mean for now; time goes on. left must not be 0.
void ensemble_take(Ensemble *e, double *out);

// ---- limits.c -----------------------------------------------------------------------------------
typedef struct Limits {
    double low[3], high[3], translation, rotation; // infinite: off
    int64_t outside, far, turned;                  // actions changed
} Limits;
CHECKED bool limits_check(const Limits *l, int arms, Error *err);
// Changes action (7 an arm) as tact.h says; previous (7 an arm).
void limits_apply(Limits *l, const double *previous, int arms, double *action);

// ---- predict.c: from the history to a chunk of actions ------------------------------------------
// What a prediction reads of the history, so that observations may arrive while it is made.
typedef struct Snapshot {
    float *state, *env; // (T, D), (E) normalised
    double *base;       // (A) the newest pose, which relative actions start from
    int *slots;         // (cameras, T)
    int n_frames;       // that have to be encoded first
    struct SnapshotFrame {
        int camera, slot;
        const uint8_t *rgb;
    } * frames;      // (cameras * T)
    uint8_t *copies; // (cameras * T, most_bytes) of frames; NULL: frames are the history's own
} Snapshot;
CHECKED bool snapshot_init(tact_policy *p, bool copies, Error *err);
void snapshot_free(Snapshot *s); // a zeroed struct is allowed
// The window that ends at the newest observation, of which there must be one. Its frames count as
// encoded from now on; after a snapshot_predict that failed they are to be forgotten.
void snapshot_take(tact_policy *p);
// out (S, A). Touches the snapshot, the model and its own scratch, and nothing else of the handle.
tact_status snapshot_predict(tact_policy *p, double *out, Error *err);
// Before computing: the calling thread takes the handle's device and number of threads. Returns the
// number it had, for compute_end.
int compute_begin(const tact_policy *p);
void compute_end(int threads);

// ---- async.c: predictions in a thread of their own ----------------------------------------------
// While `busy` the snapshot, the model, its scratch and the first group below are the worker's;
// everything else is always the caller's.
typedef struct Worker {
    double *actions; // (S, A) the prediction
    tact_status status;
    Error error;

    bool started, quit;
    pthread_t thread;
    sem_t asked, answered;
    bool busy;      // asked, and the answer is not taken yet
    bool ready;     // the answer is there; `busy` still
    bool cancelled; // the answer is of no use: an episode began
    int64_t step;   // number within the episode of the action that the prediction begins with
    bool playing;   // a chunk of this episode is there
    int64_t given;  // actions given out in this episode, repeated ones not counted
    double threshold;
    int64_t predictions, stalls; // of tact_async_counts
    int delay, longest_delay;
    void (*before)(void *context); // tests: called by the worker before it computes, unless NULL
    void *context;
} Worker;
CHECKED bool worker_start(tact_policy *p, Error *err);
void worker_stop(tact_policy *p); // where none was started too
// Waits until the worker has an answer; only when busy. It stays to be taken.
void worker_wait(Worker *w);
void async_reset(tact_policy *p);
// After an observation: takes a chunk that is there, and asks for the next when it is time.
void async_observed(tact_policy *p);
tact_status async_next(tact_policy *p, double *out);
tact_status async_chunk(tact_policy *p, double *out);

// ---- rate.c: how often observations come --------------------------------------------------------
enum { RATE_INTERVALS = 15 };
typedef struct Rate {
    double (*clock)(void); // seconds
    double fps;            // of training; 0: unknown
    bool check, told;      // whether to warn, and has
    int64_t count;         // observations of this episode
    double times[RATE_INTERVALS + 1];
} Rate;
void rate_observed(Rate *r);
// Observations a second: the inverse of the median of the last intervals; 0 before the second one.
double rate_now(const Rate *r);

// ---- the handle ---------------------------------------------------------------------------------
// A policy as it was read, for all handles that were opened beside the one that read it. Nobody
// changes it.
typedef struct SharedPolicy {
    Policy policy;
    Device *device; // of that handle: its parameters are this device's, which is closed with them
    atomic_int users;
} SharedPolicy;

struct tact_policy {
    SharedPolicy *shared;
    const Policy *policy;       // shared->policy
    const PolicyConfig *config; // policy->config.policy
    Device *device;
    Act *act;
    Normalizer state_norm, env_norm, action_norm;
    size_t state_size, action_size; // as recorded
    int n_action_steps;
    bool cache, ensembles;

    // What the preprocessor renames: names of the robot's cameras, and the policy's for them.
    int n_renamed;
    const char **robot_names, **policy_names; // (n_renamed)
    Arena names;                              // they lie in
    History history;
    double *env_row; // (E) newest
    double *queue;   // (S, A) the chunk that actions are given from
    int queue_at, queue_left;
    Ensemble ensemble;
    bool fresh; // observed since the ensemble's last prediction
    Limits limits;
    double *last; // (A) given out before; in use when has_last
    bool has_last;
    Snapshot snapshot;
    Worker worker; // in use when started
    Rate rate;
    size_t first_bytes; // that the first prediction will allocate, where that is in host memory
    bool settled;       // it has been made: nothing is allocated any more

    // Scratch.
    double *rows;     // (T, D) of the state
    double *action;   // (A)
    double *linear;   // (S, width of the ensemble)
    float *predicted; // (S, D) normalised
    double *row;      // (D) one action
    void *resize;
    tact_log log; // the caller's, or NULL
    void *log_user;
    Error error;
};

// As tact_open of the same policy, whose files are not looked at again and whose weights the
// handles share, where both compute in host memory. first may be in use by another thread
// meanwhile, but not be closed; afterwards they are closed in any order. Statistics are first's,
// whatever options->dataset says.
tact_status policy_open_beside(const tact_policy *first, const tact_options *options,
                               tact_policy **policy);
// Before a prediction: whether the first one's memory can be had.
CHECKED bool memory_for_first(const tact_policy *p, Error *err);
// Until the end of the call this thread's log lines are the handle's. Returns where they went
// before, for log_to.
LogSink log_to_handle(tact_policy *p);

// A failure's status: lack of memory is told from the rest.
static inline tact_status status_of(const Error *err, tact_status otherwise) {
    return error_is_memory(err) ? TACT_ERROR_MEMORY : otherwise;
}

#endif
