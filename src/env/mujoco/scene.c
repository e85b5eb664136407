// SPDX-License-Identifier: Apache-2.0
// The model as MJCF. Only what is the same for every seed is fixed here; vary.c moves the rest.
#include "env/mujoco/scene.h"

#include "env/env.h"
#include <math.h>
#include <stdlib.h>

// Where the berry hangs, before the seed moves it.
static const double nominal[3] = {0, 0.50, 0.34};

static void write_head(FILE *x) {
    fputs("<mujoco model=\"tact strawberry\">\n"
          "<compiler angle=\"radian\" autolimits=\"true\"/>\n"
          "<option timestep=\"0.002\" solver=\"Newton\" iterations=\"30\" cone=\"elliptic\" "
          "impratio=\"5\"/>\n"
          "<statistic center=\"0 0.45 0.36\" extent=\"0.7\"/>\n"
          "<visual>\n"
          "  <global offwidth=\"64\" offheight=\"64\"/>\n"
          "  <quality shadowsize=\"2048\" offsamples=\"4\"/>\n"
          "  <map znear=\"0.02\" zfar=\"20\" shadowclip=\"1.3\"/>\n"
          "  <headlight ambient=\"0.42 0.42 0.42\" diffuse=\"0.22 0.22 0.22\" specular=\"0.05 0.05 "
          "0.05\"/>\n"
          "</visual>\n"
          "<default>\n"
          "  <default class=\"seen\"><geom contype=\"0\" conaffinity=\"0\" group=\"1\" "
          "mass=\"0.001\"/></default>\n"
          "  <default class=\"felt\"><geom group=\"3\" mass=\"0\" condim=\"4\" friction=\"1.6 0.03 "
          "0.001\" solref=\"0.008 1\" solimp=\"0.9 0.98 0.001\"/></default>\n"
          "</default>\n",
          x);
}

static void write_assets(FILE *x) {
    fputs("<asset>\n"
          "<texture type=\"skybox\" builtin=\"gradient\" rgb1=\"0.93 0.96 0.98\" rgb2=\"0.70 0.80 "
          "0.86\" width=\"64\" height=\"64\"/>\n",
          x);
    const char *const painted[] = {"berry", "leaf", "soil", "hedge0", "hedge1", "hedge2"};
    const int size[] = {256, 128, 256, 256, 256, 256};
    for (int i = 0; i < 6; i++) {
        fprintf(x,
                "<texture name=\"%s\" type=\"2d\" builtin=\"flat\" width=\"%d\" height=\"%d\"/>\n",
                painted[i], size[i], size[i]);
    }
    fputs(
        "<material name=\"berry\" texture=\"berry\" specular=\"0.5\" shininess=\"0.6\"/>\n"
        "<material name=\"leaf0\" texture=\"leaf\" specular=\"0.15\" shininess=\"0.3\"/>\n"
        "<material name=\"leaf1\" texture=\"leaf\" specular=\"0.15\" shininess=\"0.3\"/>\n"
        "<material name=\"floor\" texture=\"soil\" texrepeat=\"4 4\" texuniform=\"true\" "
        "specular=\"0\"/>\n"
        "<material name=\"wall\" texture=\"hedge0\" texrepeat=\"3 1.3\" specular=\"0\"/>\n"
        "<material name=\"unripe\" rgba=\"0.80 0.86 0.55 1\" specular=\"0.4\" shininess=\"0.5\"/>\n"
        "<material name=\"stem\" rgba=\"0.45 0.62 0.25 1\" specular=\"0.1\"/>\n"
        "<material name=\"calyx\" rgba=\"0.30 0.58 0.18 1\" specular=\"0.1\"/>\n"
        "<material name=\"gutter\" rgba=\"0.90 0.91 0.90 1\" specular=\"0.2\"/>\n"
        "<material name=\"substrate\" rgba=\"0.23 0.17 0.13 1\" specular=\"0\"/>\n"
        "<material name=\"shell\" rgba=\"0.20 0.22 0.25 1\" specular=\"0.3\" shininess=\"0.4\"/>\n"
        "<material name=\"finger\" rgba=\"0.95 0.93 0.88 1\" specular=\"0.3\" shininess=\"0.5\"/>\n"
        "<material name=\"pad\" rgba=\"0.10 0.32 0.62 1\" specular=\"0.1\"/>\n",
        x);
    mesh_berry(x, "berry", 1);
    mesh_berry(x, "small_berry", SMALL);
    mesh_calyx(x);
    mesh_leaf(x);
    fputs("</asset>\n", x);
}

static void write_surroundings(FILE *x, double pivot_z) {
    double z = pivot_z + 0.005; // lower edge of the gutter
    fprintf(
        x,
        "<light name=\"sun\" directional=\"true\" pos=\"-0.3 -0.2 1.5\" dir=\"0.2 0.4 -0.9\" "
        "diffuse=\"0.62 0.60 0.56\" specular=\"0.35 0.35 0.35\"/>\n"
        "<geom name=\"floor\" type=\"plane\" size=\"4 4 0.1\" pos=\"0 0 -0.25\" material=\"floor\" "
        "contype=\"4\" conaffinity=\"3\"/>\n"
        "<geom class=\"seen\" type=\"plane\" size=\"2.6 1.1 0.1\" pos=\"0 1.25 0.6\" zaxis=\"0 -1 "
        "0\" material=\"wall\"/>\n"
        "<body name=\"aim\" pos=\"0 0.38 0.37\"/>\n"
        "<camera name=\"scene\" mode=\"targetbody\" target=\"aim\" pos=\"0.38 0.02 0.50\" "
        "fovy=\"50\"/>\n"
        "<camera name=\"close\" mode=\"targetbody\" target=\"aim\" pos=\"0.26 0.26 0.40\" "
        "fovy=\"50\"/>\n"
        "<body name=\"gutter\" pos=\"0 0.66 %.4f\">\n"
        "  <geom type=\"box\" size=\"1.2 0.10 0.045\" pos=\"0 0 0.045\" material=\"gutter\" "
        "contype=\"4\" conaffinity=\"3\"/>\n"
        "  <geom class=\"seen\" type=\"box\" size=\"1.19 0.09 0.006\" pos=\"0 0 0.091\" "
        "material=\"substrate\"/>\n"
        "</body>\n",
        z);
}

static void write_leaf(FILE *x, int i) {
    const double turn[LEAFLETS] = {0, 1.15, -1.15};
    int kind = i % 2;
    fprintf(x, "<body name=\"leaf%d\" pos=\"0 0.6 0.5\">\n", i);
    fprintf(
        x, "  <geom class=\"seen\" type=\"capsule\" size=\"0.0014\" fromto=\"-0.09 0 -0.03 0 0 0\" "
           "material=\"stem\"/>\n");
    for (int k = 0; k < LEAFLETS; k++) {
        fprintf(x,
                "  <geom class=\"seen\" type=\"mesh\" mesh=\"leaf\" material=\"leaf%d\" "
                "euler=\"0 0 %.3f\"/>\n",
                kind, turn[k]);
    }
    fputs("</body>\n", x);
}

// A hanger that stays, a stem that turns on it, and a berry welded to the stem's end.
static void write_berry(FILE *x, const char *name, double stem, double size, const double at[3],
                        const char *material) {
    double pivot = at[2] + stem + BERRY_CENTRE * size;
    fprintf(
        x,
        "<body name=\"%s_hanger\" pos=\"%.4f %.4f %.4f\">\n"
        "  <geom class=\"seen\" type=\"capsule\" size=\"0.0017\" fromto=\"0 0.075 0.105 0 0.03 "
        "0.118\" material=\"stem\"/>\n"
        "  <geom class=\"seen\" type=\"capsule\" size=\"0.0017\" fromto=\"0 0.03 0.118 0 0.004 "
        "0.085\" material=\"stem\"/>\n"
        "  <geom class=\"seen\" type=\"capsule\" size=\"0.0017\" fromto=\"0 0.004 0.085 0 0 0\" "
        "material=\"stem\"/>\n"
        "  <body name=\"%s_stem\">\n"
        "    <inertial pos=\"0 0 %.4f\" mass=\"0.004\" diaginertia=\"%.3e %.3e 1e-7\"/>\n"
        "    <joint name=\"%s_swing\" type=\"hinge\" axis=\"0 -1 0\" damping=\"0.0006\" "
        "armature=\"1e-5\"/>\n"
        "    <joint name=\"%s_tilt\" type=\"hinge\" axis=\"1 0 0\" damping=\"0.0006\" "
        "armature=\"1e-5\"/>\n"
        "    <geom class=\"seen\" type=\"capsule\" size=\"0.0014\" fromto=\"0 0 0 0 0 %.4f\" "
        "material=\"stem\"/>\n"
        "  </body>\n"
        "</body>\n",
        name, at[0], at[1], pivot, name, -stem / 2, 0.004 * stem * stem / 12,
        0.004 * stem * stem / 12, name, name, -stem);
    fprintf(x,
            "<body name=\"%s\" pos=\"%.4f %.4f %.4f\">\n"
            "  <freejoint name=\"%s_free\"/>\n"
            "  <inertial pos=\"0 0 %.4f\" mass=\"0.02\" diaginertia=\"2.5e-6 2.5e-6 2e-6\"/>\n"
            "  <geom class=\"seen\" type=\"mesh\" mesh=\"%s\" material=\"%s\"/>\n"
            "  <geom class=\"seen\" type=\"mesh\" mesh=\"calyx\" material=\"calyx\"/>\n"
            "  <geom class=\"felt\" type=\"sphere\" size=\"%.4f\" pos=\"0 0 %.4f\" contype=\"2\" "
            "conaffinity=\"7\"/>\n"
            "  <geom class=\"felt\" type=\"sphere\" size=\"%.4f\" pos=\"0 0 %.4f\" contype=\"2\" "
            "conaffinity=\"7\"/>\n"
            "</body>\n",
            name, at[0], at[1], at[2] + BERRY_CENTRE * size, name, -BERRY_CENTRE * size,
            size < 1 ? "small_berry" : "berry", material, 0.0180 * size, -BERRY_CENTRE * size,
            0.0120 * size, -0.031 * size);
}

static void write_finger(FILE *x, const char *name, int side) {
    fprintf(
        x,
        "  <body name=\"%s\">\n"
        "    <inertial pos=\"%.4f 0 -0.035\" mass=\"0.05\" diaginertia=\"5e-5 5e-5 1e-5\"/>\n"
        "    <joint name=\"%s\" type=\"slide\" axis=\"%d 0 0\" range=\"0 %.3f\" damping=\"12\"/>\n"
        "    <geom class=\"felt\" type=\"box\" size=\"0.005 0.011 0.055\" pos=\"%.4f 0 -0.035\" "
        "contype=\"1\" conaffinity=\"2\"/>\n"
        "    <geom class=\"seen\" type=\"box\" size=\"0.0015 0.011 0.026\" pos=\"%.4f 0 -0.006\" "
        "material=\"pad\"/>\n"
        "    <geom class=\"seen\" type=\"box\" size=\"0.0035 0.010 0.055\" pos=\"%.4f 0 -0.035\" "
        "material=\"finger\"/>\n"
        "    <geom class=\"seen\" type=\"cylinder\" size=\"0.010 0.0035\" pos=\"%.4f 0 0.020\" "
        "zaxis=\"1 0 0\" material=\"finger\"/>\n"
        "    <geom class=\"seen\" type=\"box\" size=\"0.006 0.014 0.012\" pos=\"%.4f 0 -0.085\" "
        "material=\"shell\"/>\n"
        "  </body>\n",
        name, side * 0.005, name, side, ENV_OPENING / 2, side * 0.005, side * 0.0015, side * 0.0065,
        side * 0.0065, side * 0.006);
}

static void write_gripper(FILE *x) {
    const double tilt = 0.40; // of the camera, downwards
    const double back = FINGER_BACK;
    fputs("<body name=\"command\" mocap=\"true\" pos=\"0 0 0.3\"/>\n"
          "<body name=\"gripper\" pos=\"0 0 0.3\">\n"
          "  <freejoint name=\"gripper_free\"/>\n",
          x);
    fprintf(x,
            "  <inertial pos=\"0 0 %.3f\" mass=\"0.4\" diaginertia=\"1e-3 1e-3 8e-4\"/>\n"
            "  <camera name=\"wrist\" pos=\"0 -0.072 %.4f\" xyaxes=\"1 0 0 0 %.5f %.5f\" "
            "fovy=\"66\"/>\n"
            "  <geom class=\"felt\" type=\"box\" size=\"0.055 0.018 0.020\" pos=\"0 0 -0.113\" "
            "contype=\"1\" conaffinity=\"2\"/>\n"
            "  <geom class=\"seen\" type=\"box\" size=\"0.055 0.018 0.016\" pos=\"0 0 -0.113\" "
            "material=\"shell\"/>\n"
            "  <geom class=\"seen\" type=\"cylinder\" size=\"0.018 0.016\" pos=\"0.055 0 -0.113\" "
            "zaxis=\"0 0 1\" material=\"shell\"/>\n"
            "  <geom class=\"seen\" type=\"cylinder\" size=\"0.018 0.016\" pos=\"-0.055 0 -0.113\" "
            "zaxis=\"0 0 1\" material=\"shell\"/>\n"
            "  <geom class=\"seen\" type=\"box\" size=\"0.010 0.030 0.006\" pos=\"0 -0.040 "
            "-0.145\" material=\"shell\"/>\n"
            "  <geom class=\"seen\" type=\"box\" size=\"0.024 0.018 0.012\" pos=\"0 -0.072 "
            "-0.150\" material=\"pad\"/>\n"
            "  <geom class=\"seen\" type=\"cylinder\" size=\"0.011 0.003\" pos=\"0 -0.072 -0.136\" "
            "zaxis=\"0 0 1\" material=\"shell\"/>\n"
            "  <geom class=\"seen\" type=\"capsule\" size=\"0.016\" fromto=\"0 0 -0.13 0 0.02 "
            "-0.22\" material=\"finger\"/>\n",
            -back * 0.8, -back, -cos(tilt), sin(tilt));
    write_finger(x, "left", -1);
    write_finger(x, "right", 1);
    fputs("</body>\n", x);
}

static void write_constraints(FILE *x) {
    // What is gripped is never touched by the berry's own stem, so a weld of six rows can carry it.
    fputs(
        "<equality>\n"
        "  <weld name=\"hold\" body1=\"command\" body2=\"gripper\" solref=\"0.012 1\" "
        "solimp=\"0.95 0.99 0.001\"/>\n"
        "  <weld name=\"berry\" body1=\"berry_stem\" body2=\"berry\" solref=\"0.01 1\" "
        "solimp=\"0.9 0.98 0.001\"/>\n"
        "  <weld name=\"neighbour\" body1=\"neighbour_stem\" body2=\"neighbour\" solref=\"0.01 1\" "
        "solimp=\"0.9 0.98 0.001\"/>\n"
        "</equality>\n"
        "<actuator>\n",
        x);
    for (int i = 0; i < 2; i++) {
        fprintf(x,
                "  <position name=\"%s\" joint=\"%s\" kp=\"450\" forcerange=\"-9 9\" ctrlrange=\"0 "
                "%.3f\"/>\n",
                i ? "right" : "left", i ? "right" : "left", ENV_OPENING / 2);
    }
    fputs("</actuator>\n", x);
}

char *scene_xml(const Task *task) {
    char *text = NULL;
    size_t size;
    FILE *x = open_memstream(&text, &size);
    if (!x) return NULL;
    const double beside[3] = {0.08, 0.53, 0.34};
    write_head(x);
    write_assets(x);
    fputs("<worldbody>\n", x);
    write_surroundings(x, nominal[2] + task->stem + BERRY_CENTRE);
    for (int i = 0; i < LEAVES; i++) write_leaf(x, i);
    write_berry(x, "berry", task->stem, 1, nominal, "berry");
    write_berry(x, "neighbour", NEIGHBOUR_STEM, SMALL, beside, "unripe");
    write_gripper(x);
    fputs("</worldbody>\n", x);
    write_constraints(x);
    fputs("</mujoco>\n", x);
    if (fclose(x) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
