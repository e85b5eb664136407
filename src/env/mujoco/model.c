// SPDX-License-Identifier: Apache-2.0
#include "env/mujoco/model.h"

#include "base/memory.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static CHECKED bool compile_scene(const Task *task, mjModel **out, Error *err) {
    char *text = scene_xml(task), why[500] = "";
    mjVFS *vfs = NEW(mjVFS, 1);
    mj_defaultVFS(vfs);
    int size = text ? (int)strlen(text) : 0;
    bool ok = text && mj_makeEmptyFileVFS(vfs, "scene.xml", size) == 0;
    if (ok) memcpy(vfs->filedata[0], text, (size_t)size);
    *out = ok ? mj_loadXML("scene.xml", vfs, why, sizeof why) : NULL;
    mj_deleteVFS(vfs);
    mem_free(vfs);
    free(text);
    if (*out) return true;
    why[strcspn(why, "\n")] = '\0';
    return fail(err, "MuJoCo %s refuses the scene: %s", mj_versionString(), why);
}

static Handles find_handles(const mjModel *m) {
    Handles h = {0};
    const char *const side[2] = {"left", "right"};
    char name[32];
    h.gripper = mj_name2id(m, mjOBJ_BODY, "gripper");
    h.stem = mj_name2id(m, mjOBJ_BODY, "berry_stem");
    h.berry = mj_name2id(m, mjOBJ_BODY, "berry");
    h.neighbour = mj_name2id(m, mjOBJ_BODY, "neighbour");
    h.neighbour_stem = mj_name2id(m, mjOBJ_BODY, "neighbour_stem");
    h.gutter = mj_name2id(m, mjOBJ_BODY, "gutter");
    for (int i = 0; i < LEAVES; i++) {
        snprintf(name, sizeof name, "leaf%d", i);
        h.leaf[i] = mj_name2id(m, mjOBJ_BODY, name);
    }
    for (int i = 0; i < 2; i++) {
        h.finger_joint[i] = mj_name2id(m, mjOBJ_JOINT, side[i]);
        h.finger_body[i] = mj_name2id(m, mjOBJ_BODY, side[i]);
        h.finger_act[i] = mj_name2id(m, mjOBJ_ACTUATOR, side[i]);
        snprintf(name, sizeof name, "leaf%d", i);
        h.leaf_material[i] = mj_name2id(m, mjOBJ_MATERIAL, name);
    }
    h.swing_joint = mj_name2id(m, mjOBJ_JOINT, "berry_swing");
    h.gripper_joint = mj_name2id(m, mjOBJ_JOINT, "gripper_free");
    h.berry_joint = mj_name2id(m, mjOBJ_JOINT, "berry_free");
    h.neighbour_joint = mj_name2id(m, mjOBJ_JOINT, "neighbour_free");
    h.hold = mj_name2id(m, mjOBJ_EQUALITY, "hold");
    h.berry_weld = mj_name2id(m, mjOBJ_EQUALITY, "berry");
    h.neighbour_weld = mj_name2id(m, mjOBJ_EQUALITY, "neighbour");
    h.light = mj_name2id(m, mjOBJ_LIGHT, "sun");
    h.wrist_camera = mj_name2id(m, mjOBJ_CAMERA, "wrist");
    h.wall_material = mj_name2id(m, mjOBJ_MATERIAL, "wall");
    h.floor_material = mj_name2id(m, mjOBJ_MATERIAL, "floor");
    h.berry_material = mj_name2id(m, mjOBJ_MATERIAL, "berry");
    for (int i = 0; i < BACKGROUNDS; i++) {
        snprintf(name, sizeof name, "hedge%d", i);
        h.wall_texture[i] = mj_name2id(m, mjOBJ_TEXTURE, name);
    }
    return h;
}

bool model_make(const Task *task, mjModel **out, Handles *handles, Error *err) {
    if (!compile_scene(task, out, err)) return false;
    textures_paint(*out);
    *handles = find_handles(*out);
    return true;
}

// Gives the swing its period by the joint's inertia, as a long, heavy truss would have, and takes
// its friction away.
void model_tune_swing(mjModel *m, mjData *d, const Task *task, const Handles *h) {
    int dof = m->jnt_dofadr[h->swing_joint];
    double torque = 0, inertia = 0; // per radian; about the hanger
    const int body[2] = {h->stem, h->berry};
    for (int i = 0; i < 2; i++) {
        double mass = m->body_mass[body[i]];
        double below = -m->body_ipos[3 * body[i] + 2] + (i ? task->stem : 0);
        torque += 9.81 * mass * below;
        inertia += mass * below * below + m->body_inertia[3 * body[i]];
    }
    double omega = 2 * M_PI / task->period;
    m->dof_armature[dof] = torque / (omega * omega) - inertia;
    m->dof_damping[dof] = 0;
    mj_setConst(m, d);
}
