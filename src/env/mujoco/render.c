// SPDX-License-Identifier: Apache-2.0
// Rendering without a display: an EGL context on Mesa's surfaceless platform for every environment.
#include "env/mujoco/render.h"

#include "base/memory.h"
#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_GEOMS = 400 }; // a scene's, decoration included

// What MuJoCo draws with: buffers of one size, and the model's textures and meshes.
typedef struct Canvas {
    mjrContext gl;
    bool made;
    int height, width;
} Canvas;

struct Renderer {
    EGLDisplay display;
    EGLContext context;
    mjvScene scene;
    mjvOption option;
    bool made;              // scene
    Canvas camera, picture; // of the cameras' size; of the last other size that was asked for
    uint8_t *flipped;       // (height, width, 3), bottom row first
    size_t flipped_size;
};

static CHECKED bool egl_fail(Error *err, const char *what) {
    return fail(err,
                "rendering: %s failed (EGL error 0x%04x); Mesa's software renderer is needed "
                "(apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri)",
                what, (unsigned)eglGetError());
}

static CHECKED bool make_context(Renderer *r, Error *err) {
    r->display = eglGetPlatformDisplay(EGL_PLATFORM_SURFACELESS_MESA, EGL_DEFAULT_DISPLAY, NULL);
    if (r->display == EGL_NO_DISPLAY) return egl_fail(err, "eglGetPlatformDisplay");
    if (!eglInitialize(r->display, NULL, NULL)) return egl_fail(err, "eglInitialize");
    if (!eglBindAPI(EGL_OPENGL_API)) return egl_fail(err, "eglBindAPI");
    const EGLint wanted[] = {EGL_SURFACE_TYPE, EGL_PBUFFER_BIT, EGL_RENDERABLE_TYPE, EGL_OPENGL_BIT,
                             EGL_NONE};
    EGLConfig config;
    EGLint found = 0;
    if (!eglChooseConfig(r->display, wanted, &config, 1, &found) || found < 1)
        return egl_fail(err, "eglChooseConfig");
    r->context = eglCreateContext(r->display, config, EGL_NO_CONTEXT, NULL);
    if (r->context == EGL_NO_CONTEXT) return egl_fail(err, "eglCreateContext");
    return true;
}

static CHECKED bool make_current(Renderer *r, Error *err) {
    if (eglGetCurrentContext() == r->context) return true;
    if (!eglBindAPI(EGL_OPENGL_API) ||
        !eglMakeCurrent(r->display, EGL_NO_SURFACE, EGL_NO_SURFACE, r->context))
        return egl_fail(err, "eglMakeCurrent");
    return true;
}

static void canvas_free(Canvas *c) {
    if (c->made) mjr_freeContext(&c->gl);
    c->made = false;
}

static CHECKED bool canvas_make(Canvas *c, mjModel *m, int height, int width, Error *err) {
    if (c->made && c->height == height && c->width == width) return true;
    canvas_free(c);
    m->vis.global.offheight = c->height = height;
    m->vis.global.offwidth = c->width = width;
    mjr_defaultContext(&c->gl);
    mjr_makeContext(m, &c->gl, mjFONTSCALE_50);
    c->made = true;
    mjr_setBuffer(mjFB_OFFSCREEN, &c->gl);
    if (c->gl.currentBuffer == mjFB_OFFSCREEN) return true;
    canvas_free(c);
    return fail(err, "rendering: OpenGL gave no offscreen buffer of %dx%d", height, width);
}

bool renderer_open(mjModel *m, int height, int width, Renderer **out, Error *err) {
    Renderer *r = NEW(Renderer, 1);
    r->context = EGL_NO_CONTEXT;
    bool ok = make_context(r, err) && make_current(r, err);
    if (ok) {
        mjv_defaultOption(&r->option);
        mjv_defaultScene(&r->scene);
        mjv_makeScene(m, &r->scene, MOST_GEOMS);
        r->made = true;
        ok = canvas_make(&r->camera, m, height, width, err);
    }
    if (!ok) {
        renderer_close(r);
        return false;
    }
    *out = r;
    return true;
}

void renderer_close(Renderer *r) {
    if (!r) return;
    Error ignored;
    if (r->made && make_current(r, &ignored)) {
        canvas_free(&r->camera);
        canvas_free(&r->picture);
    }
    if (r->made) mjv_freeScene(&r->scene);
    if (r->context != EGL_NO_CONTEXT) {
        eglMakeCurrent(r->display, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
        eglDestroyContext(r->display, r->context);
    }
    mem_free(r->flipped); // the display stays: other threads may draw on it
    mem_free(r);
}

bool renderer_draw(Renderer *r, mjModel *m, mjData *d, int camera, int height, int width,
                   uint8_t *rgb, Error *err) {
    if (!make_current(r, err)) return false;
    size_t row = (size_t)width * 3, size = row * (size_t)height;
    if (size > r->flipped_size) {
        mem_free(r->flipped);
        r->flipped = mem_alloc(size);
        r->flipped_size = size;
    }
    bool usual = height == r->camera.height && width == r->camera.width;
    Canvas *canvas = usual ? &r->camera : &r->picture;
    if (!canvas_make(canvas, m, height, width, err)) return false;
    mjr_setBuffer(mjFB_OFFSCREEN, &canvas->gl);
    mjvCamera view;
    mjv_defaultCamera(&view);
    view.type = mjCAMERA_FIXED;
    view.fixedcamid = camera;
    mjv_updateScene(m, d, &r->option, NULL, &view, mjCAT_ALL, &r->scene);
    mjrRect all = {0, 0, width, height};
    // Shadows double the work; they are for people.
    r->scene.flags[mjRND_SHADOW] = canvas == &r->picture;
    mjr_render(all, &r->scene, &canvas->gl);
    mjr_readPixels(r->flipped, NULL, all, &canvas->gl);
    for (int y = 0; y < height; y++)
        memcpy(rgb + (size_t)y * row, r->flipped + (size_t)(height - 1 - y) * row, row);
    return true;
}
