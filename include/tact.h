// SPDX-License-Identifier: Apache-2.0
// Runs a trained policy on a robot. This header is the whole interface; it needs nothing else of
// tact and compiles as C99 and as C++. Link with libtact.so, or with libtact.a and what it depends
// on.
//
//   tact_policy *policy;
//   if (tact_open("outputs/train/hist2", NULL, &policy) != TACT_OK) {
//       fprintf(stderr, "%s\n", tact_message(NULL));
//       return 1;
//   }
//   double *state = malloc(tact_state_size(policy) * sizeof *state);
//   double *action = malloc(tact_action_size(policy) * sizeof *action);
//   tact_image front = {sizeof front, "front", pixels, 480, 640, 0};
//   tact_observation now = {sizeof now, state, tact_state_size(policy), NULL, 0, &front, 1, 0, 0};
//   tact_reset(policy);                         // an episode begins
//   while (running) {                           // tact_fps(policy) times a second
//       read_robot(state);
//       read_camera(pixels);
//       if (tact_step(policy, &now, action) == TACT_OK) move_robot(action);
//       else fprintf(stderr, "%s\n", tact_message(policy)); // and hold still
//   }
//   tact_close(&policy);
//
// Vectors are doubles in the order and the units of the dataset that the policy was trained on. For
// a policy with relative poses these are absolute poses, 7 values an arm: x y z in metres, a
// rotation vector in radians, the gripper; what the policy itself sees and gives (relative poses,
// six rotation values, statistics) is made and undone inside. Of the two rotation vectors of at
// most 2 pi that are one rotation, an action has the one nearer to the action before it (of a
// chunk's or an episode's first: to the newest state), so that a program may interpolate number by
// number; a state may be given as either. The history that the policy looks back on is kept inside
// as well: give every frame, once.
//
// Everything here is in steps, of which there are tact_fps a second, and an action is one step's,
// also of a policy that was trained to predict only every K-th (action_down_sample_steps, which
// `tact info` shows). Its action k is then that of the step k * K after the observation; the steps
// between two of them are filled in, positions and numbers on a straight line, rotations by the
// shorter turn, and the last one is held for K steps.
//
// Every struct begins with `size`, its sizeof as the caller compiled it, for structs grow at their
// ends (none ends in padding, where a new member would hide). From a program made with an older
// header the library takes what is missing as 0, NULL, or the option's default; from one made with
// a newer header it takes all it knows, as long as the rest is 0. Of what it fills in it leaves out
// what there is no room for. A size below the first version's is refused.
//
// A handle may be used from any thread, by one at a time, but for tact_at, which has a thread of
// its own; several handles are independent. What the policy's files become after tact_open,
// overwritten, cut short or deleted, changes nothing. All memory is allocated by tact_open and the
// first prediction (oneDNN takes small blocks for the time of a call), and where there is too
// little of it, be it for the policy or for the smallest block, or a thread cannot be made, that is
// TACT_ERROR_MEMORY: nothing that was taken is kept, the handle stays usable, and the process lives
// (docs/runtime.md says what was done about libraries that end it). Computes with OpenMP's threads,
// of which every thread that computes has its own: the caller's, or, with `asynchronous`, that of a
// worker, which tact_open starts with the priority of its caller (raise yours afterwards). After a
// prediction they wait busily for a moment; OMP_WAIT_POLICY=passive in the environment spares that.
// Signals that would interrupt the calling thread while it computes arrive when it has computed,
// for a handler on its stack would spoil products of matrices (docs/runtime.md).
// A policy argument is a handle from tact_open; NULL only where that is said.
#ifndef TACT_H
#define TACT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define TACT_API __attribute__((visibility("default")))
#else
#define TACT_API
#endif

typedef struct tact_policy tact_policy;

// What every fallible function returns. After anything but TACT_OK tact_message says in one line
// what is wrong; the handle stays usable.
typedef enum tact_status {
    TACT_OK = 0,
    TACT_ERROR_ARGUMENT = 1,     // the call itself: a NULL, a setting that cannot be
    TACT_ERROR_POLICY = 2,       // the checkpoint is missing, damaged, or not for this version
    TACT_ERROR_DEVICE = 3,       // the device is not there, or failed
    TACT_ERROR_OBSERVATION = 4,  // a missing camera, a wrong size, a value that is not finite
    TACT_ERROR_NOTHING_SEEN = 5, // an action is asked for before the first observation
    TACT_ERROR_PREDICTION = 6,   // the policy's output, or an action made of it, is not finite
    TACT_ERROR_MEMORY = 7,       // the machine, or the device, has too little memory
    TACT_HOLDING = 8             // no failure: tact_at has reached the last action that is known
} tact_status;

// What the library has to say beside errors.
typedef enum tact_log_level {
    TACT_LOG_INFO = 1,
    TACT_LOG_WARNING = 2 // something is probably not as it was meant
} tact_log_level;
// line: one line without its newline, for the time of the call. Called in the thread that calls
// with the handle, or, with `asynchronous`, in the worker's; may not call with the handle itself.
typedef void (*tact_log)(void *user, tact_log_level level, const char *line);

// Settings of tact_open. Fill with tact_options_default, then change what differs.
typedef struct tact_options {
    size_t size;        // set by tact_options_default
    const char *device; // "cpu" (also for NULL), "cuda", "cuda:1"
    // "float32", "tf32", "bfloat16", or "int8" for a checkpoint that `tact calibrate` has made
    // ready for it; NULL: the device's default.
    const char *dtype;
    int threads; // compute threads; 0 (default): all processors, with `asynchronous` all but one,
                 // which is the control loop's
    const char *dataset; // directory: its statistics where the checkpoint has none; NULL: none
    // How chunks become actions. Default: as the policy was configured in training.
    //
    // n_action_steps > 0: a chunk is predicted, its first n_action_steps actions are given out one
    // by one, then the next is predicted; at most tact_chunk_size. (In training the setting of that
    // name counts predicted actions, of which one may stand for several steps.)
    //
    // temporal_ensemble_coeff not NaN: a chunk is predicted every step, and an action is the mean
    // of all predictions of it, the i-th oldest (from 0) with weight exp(-coeff * i). Absolute
    // positions and grippers are averaged as numbers, rotations as rotations. Together with
    // n_action_steps only where that is 1, as LeRobot has the pair.
    int n_action_steps;             // 0 (default)
    double temporal_ensemble_coeff; // NaN (default)
    // 1 (default): a frame goes through the ResNet once and its tokens are kept; 0: every
    // prediction encodes all of its frames. The same bits either way.
    int frame_cache;
    // Safety limits, for policies with relative poses; a policy without is refused when one is set.
    // Actions are moved into the box (metres, the same for every arm), then towards the action
    // before (at first: the newest observed pose) until they are within max_translation (metres)
    // and max_rotation (radians) of it. Default: infinite, off.
    double workspace_min[3], workspace_max[3];
    double max_translation, max_rotation;
    // 1: the next chunk is predicted by a worker while the current one plays, so that a step never
    // waits for the policy, except for an episode's first (where a prediction of the episode before
    // may have to end as well). 0 (default): a step that needs a prediction makes it.
    //
    // tact_observe hands the worker what the policy has seen when chunk_size_threshold *
    // n_action_steps of the current chunk's first n_action_steps actions are left, or fewer, and it
    // is idle. The new chunk takes over when it is there: of a prediction asked for before action
    // k, and there before action k + d, the first d actions are past and left out. Relative poses
    // start from the pose at k. A late chunk finds the current one playing on beyond
    // n_action_steps, to its end; then the last action is repeated, which tact_async counts as
    // a stall and not as one of the d. A worker's failure is told by the next tact_act, after which
    // the current chunk goes on. Not together with temporal ensembling.
    int asynchronous;
    // 1 (default): when observations keep coming at a rate that is more than 20 % from tact_fps,
    // that is a warning, once a handle. 0: they do so on purpose, as in a replay.
    int rate_check;
    double chunk_size_threshold; // 0 to 1, 0.5 (default): with `asynchronous`
    // Takes the lines of this handle, tact_open's too. NULL (default): they go to stderr, with
    // their level and the time before them.
    tact_log log;
    void *log_user; // first argument of log
    // > 0: where a new chunk takes over, its first blend_steps actions (at most tact_chunk_size)
    // are blended with those that the chunk before would have gone on with, so that the border is
    // no leap: the i-th, from 0, lies a share w of the way from the old chunk's action for that
    // step to the new one's, positions and numbers on a straight line, rotations by the shorter
    // turn; w = u * u * (3 - 2 * u), u = (i + 1) / (blend_steps + 1). Beyond the old chunk's end
    // its last step is repeated, while the grippers of poses stay. An episode's first chunk is not
    // blended. Not together with temporal ensembling. 0 (default): off.
    int64_t blend_steps;
    // Delays in seconds, from 0 (default) to 60; the names are UMI's.
    //
    // What is observed: of an observation that comes at its `time`, the frames were captured
    // camera_obs_latency earlier. Its state was measured robot_obs_latency before its `state_time`,
    // the grippers of poses gripper_obs_latency before. Where a state is newer than the frames, the
    // policy sees, and starts relative poses from, the state at the time of the frames: between the
    // last 32 that were given.
    //
    // What is commanded has its effect robot_action_latency after the command (a gripper:
    // gripper_action_latency, which tact_at knows to tell apart). A chunk's first action is for the
    // time when the newest frames were captured, the others follow a step apart. Where frames have
    // a time of their own (tact_observation.time, or one of camera_obs_latency and
    // robot_action_latency is not 0), tact_act gives the action whose time is nearest to now +
    // robot_action_latency: a chunk's actions before that are past and left out, also those that
    // passed while it was predicted, and those that a late loop has missed. Else, and with temporal
    // ensembling, actions are counted and none is left out but those that `asynchronous` names.
    double camera_obs_latency, robot_obs_latency, gripper_obs_latency;
    double robot_action_latency, gripper_action_latency;
    // With `asynchronous`, of a policy that was trained with actions that are given
    // (--policy.max_action_prefix): the next chunk goes on from those actions that are carried out
    // while it is predicted, so that the border between them is no leap. A prediction is given as
    // many steps as it is expected to take (the longest of the last eight delays d; all of them
    // until one was measured), as far as the current chunk goes and at most max_action_prefix,
    // which is in steps as well: -1 (default): as many as in training; 0: none ever; no more than
    // in training. With times (robot_action_latency above) those that were given out since the
    // frames were captured count, too. A prediction that comes earlier is carried out from where it
    // was not given on, one that comes later from where it is due. An episode's first prediction,
    // tact_predict_chunk, and all without `asynchronous` are given none.
    int64_t max_action_prefix;
} tact_options;

// size: sizeof(tact_options), as the caller compiled it.
TACT_API void tact_options_default(tact_options *options, size_t size);

// path: a training run, a checkpoint, or a pretrained_model directory, of tact or of LeRobot's ACT;
// or the name on the Hub, OWNER/NAME, of one that `hf download` has brought to this machine.
// options: NULL for the defaults; read during the call only. *policy is the caller's, for
// tact_close; NULL after a failure, when tact_message(NULL) says why.
TACT_API tact_status tact_open(const char *path, const tact_options *options, tact_policy **policy);
// Frees everything and sets *policy to NULL. NULL and a NULL handle are allowed.
TACT_API void tact_close(tact_policy **policy);

// Text of the handle's last failure, or, with NULL, of this thread's last failed tact_open. Never
// NULL; valid until the next call with the handle (the next tact_open of the thread).
TACT_API const char *tact_message(const tact_policy *policy);
TACT_API const char *tact_version(void);

// ---- what a policy wants and gives -------------------------------------------------------------

// A camera. The name lives as long as the handle.
typedef struct tact_camera {
    size_t size;       // sizeof(tact_camera), set by the caller, here and below
    const char *name;  // "observation.images.front"
    int height, width; // of its frames as recorded, in pixels
} tact_camera;

// Values of a vector as recorded; 0: the policy uses none, and what is given for it is ignored. A
// policy with relative poses uses the state even where its model does not see it (use_state=false):
// the current pose is what they are relative to.
TACT_API size_t tact_state_size(const tact_policy *policy);
TACT_API size_t tact_env_size(const tact_policy *policy); // the environment state
TACT_API size_t tact_action_size(const tact_policy *policy);
TACT_API int tact_camera_count(const tact_policy *policy);
// i from 0, in the policy's order; all but size are zero beyond the last.
TACT_API void tact_camera_at(const tact_policy *policy, int i, tact_camera *camera);
// Steps a second in training; 0: unknown.
TACT_API double tact_fps(const tact_policy *policy);
// Actions of one prediction, one a step, and how many of them are given out; the latter 1 with an
// ensemble.
TACT_API int tact_chunk_size(const tact_policy *policy);
TACT_API int tact_n_action_steps(const tact_policy *policy);
// Observations the policy looks at, T.
TACT_API int tact_horizon(const tact_policy *policy);
// The pretrained_model directory that tact_open found; lives as long as the handle.
TACT_API const char *tact_path(const tact_policy *policy);

// ---- an episode --------------------------------------------------------------------------------

// One frame: uint8 RGB, row by row, (height, width, 3), of the camera's recorded size.
typedef struct tact_image {
    size_t size; // sizeof(tact_image); of an array the same in all
    const char
        *camera; // its name, also without "observation.images."; NULL: the policy's camera here
    const uint8_t *rgb;
    int height, width;
    size_t stride; // bytes from one row to the next; 0: 3 * width, rows without padding
} tact_image;

// What the robot sees at one moment. Borrowed for the call. Images in any order when they are
// named; cameras that the policy does not know are ignored.
typedef struct tact_observation {
    size_t size;         // sizeof(tact_observation)
    const double *state; // (state_size), or NULL where the policy uses none
    size_t state_size;
    const double *env; // (env_size), or NULL where the policy uses none
    size_t env_size;
    const tact_image *images; // (n_images)
    size_t n_images;
    // Seconds of the monotonic clock (CLOCK_MONOTONIC). time: when the frames came, or, without
    // camera_obs_latency, were captured; 0: now. state_time: the same of the state; 0: as `time`.
    // One that is more than a second ahead is refused, and one so old that all of a chunk is past.
    double time, state_time;
} tact_observation;

// Forgets the history, the queue, the ensemble and the limits' last action: an episode begins. Does
// not wait for a worker; what it is predicting will be dropped.
TACT_API tact_status tact_reset(tact_policy *policy);
// tact_observe, then tact_act; after a refused observation tact_act may still be called, and gives
// the next action without it.
TACT_API tact_status tact_step(tact_policy *policy, const tact_observation *observation,
                               double *action);
// Adds the newest observation to the history. One that is refused leaves everything as it was.
TACT_API tact_status tact_observe(tact_policy *policy, const tact_observation *observation);
// The next action, (action_size), the caller's memory; untouched after a failure. All of its values
// are finite.
TACT_API tact_status tact_act(tact_policy *policy, double *action);
// A whole new prediction from the history: actions (chunk_size, action_size), the caller's memory,
// the first one for the newest observation. Neither averaged nor limited, all finite; what tact_act
// gives is not changed. After a failure the contents of actions are not to be used. With
// `asynchronous` it waits for the worker, whose failure it tells in place of tact_act.
TACT_API tact_status tact_predict_chunk(tact_policy *policy, double *actions);

// Between the actions, for a controller that runs faster than the policy: what to command at a time
// (seconds of the monotonic clock; rising from call to call), (action_size), the caller's memory.
// The curve passes through the actions at their times to the last bit, and its speed makes no jump:
// per number a cubic that, while actions are as foreseen, does not leave the range of the two
// around it, rotations on one of rotation vectors. The workspace's box holds everywhere on it but
// on the way from outside into it, the greatest step from action to action. It goes through the
// actions that tact_act has given out and on to those that the chunk foresees, limited alike. An
// action's time is that of the observation it was the first action after, and its chunk's next ones
// follow a step apart; where frames have a time of their own (tact_options.robot_action_latency),
// theirs and the steps after it, and what is commanded at `time` is what the curve has
// robot_action_latency (gripper_action_latency) later. Where a new action is another than was
// foreseen, the curve goes on from where the last call was, with the speed it had, to the next
// action that is at least half a step ahead.
//
// TACT_HOLDING: the last known action is reached, where the curve comes to rest, and holds; action
// is filled in. It stays so until tact_act gives the next. TACT_ERROR_NOTHING_SEEN: there was no
// action in this episode. TACT_ERROR_ARGUMENT: a NULL, or a time that is not finite. After a
// failure action is untouched, and tact_message says nothing of it.
//
// This is the one function that may be called while another thread is in a call with the handle, a
// prediction included: by one thread at a time, and not during tact_close. It waits for nothing,
// allocates nothing, and costs a few microseconds.
TACT_API tact_status tact_at(tact_policy *policy, double time, double *action);

// How many actions of this handle the limits have changed, since tact_open.
typedef struct tact_limit_counts {
    size_t size; // sizeof(tact_limit_counts)
    int64_t workspace, translation, rotation;
} tact_limit_counts;
TACT_API void tact_limits(const tact_policy *policy, tact_limit_counts *counts);

// How the asynchronous mode keeps up, since tact_open; all zero without it.
typedef struct tact_async_counts {
    size_t size;                 // sizeof(tact_async_counts)
    int64_t predictions, stalls; // chunks that took over; repeated actions
    int delay, longest_delay;    // d of the newest chunk, and the longest
} tact_async_counts;
TACT_API void tact_async(const tact_policy *policy, tact_async_counts *counts);

// Observations a second, by the monotonic clock: from the median of this episode's last 15
// intervals; 0 before the second observation.
TACT_API double tact_step_rate(const tact_policy *policy);

#ifdef __cplusplus
}
#endif

#endif
