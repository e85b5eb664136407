// SPDX-License-Identifier: Apache-2.0
// JPEG XL images of 8-bit colour through libjxl.
#include "base/memory.h"
#include "import/codec.h"
#include <jxl/decode.h>

struct CodecState {
    JxlDecoder *decoder;
};

static const JxlPixelFormat rgb = {.num_channels = 3, .data_type = JXL_TYPE_UINT8};

// Gives the decoder the bytes and lets it look as far as the image's size. That no more will come
// is not said: libjxl then waits where bytes are missing, and else would print a line of its own.
CHECKED static bool start(CodecState **state, const uint8_t *in, size_t n, int events, int height,
                          int width, Error *err) {
    JxlBasicInfo info;
    JxlSignature signature = JxlSignatureCheck(in, n);
    if (signature != JXL_SIG_CODESTREAM && signature != JXL_SIG_CONTAINER)
        return fail(err, "holds no JPEG XL image: the file is cut short or damaged");
    if (!*state) *state = NEW(CodecState, 1);
    CodecState *s = *state;
    if (!s->decoder) s->decoder = JxlDecoderCreate(NULL);
    if (!s->decoder) return fail_memory(err, "needs a JPEG XL decoder");
    JxlDecoderReset(s->decoder);
    if (JxlDecoderSubscribeEvents(s->decoder, JXL_DEC_BASIC_INFO | events) != JXL_DEC_SUCCESS ||
        JxlDecoderSetInput(s->decoder, in, n) != JXL_DEC_SUCCESS)
        return fail(err, "cannot be given to libjxl");
    if (JxlDecoderProcessInput(s->decoder) != JXL_DEC_BASIC_INFO ||
        JxlDecoderGetBasicInfo(s->decoder, &info) != JXL_DEC_SUCCESS)
        return fail(err, "holds no readable JPEG XL image: the file is cut short or damaged");
    if (info.ysize != (uint32_t)height || info.xsize != (uint32_t)width)
        return fail(err, "holds an image of %u x %u, but the array's are %d x %d", info.ysize,
                    info.xsize, height, width);
    return (info.bits_per_sample == 8 && info.num_color_channels == 3) ||
           fail(err, "holds an image of %u colours of %u bits, but frames are RGB of 8 bits",
                info.num_color_channels, info.bits_per_sample);
}

bool jxl_check(CodecState **state, const uint8_t *in, size_t n, int height, int width, Error *err) {
    return start(state, in, n, 0, height, width, err);
}

bool jxl_unpack(CodecState **state, const uint8_t *in, size_t n, int height, int width,
                uint8_t *out, Error *err) {
    if (!start(state, in, n, JXL_DEC_FULL_IMAGE, height, width, err)) return false;
    JxlDecoder *decoder = (*state)->decoder;
    size_t bytes = 0;
    bool ok = JxlDecoderProcessInput(decoder) == JXL_DEC_NEED_IMAGE_OUT_BUFFER &&
              JxlDecoderImageOutBufferSize(decoder, &rgb, &bytes) == JXL_DEC_SUCCESS &&
              bytes == image_rgb_bytes(height, width) &&
              JxlDecoderSetImageOutBuffer(decoder, &rgb, out, bytes) == JXL_DEC_SUCCESS &&
              JxlDecoderProcessInput(decoder) == JXL_DEC_FULL_IMAGE;
    JxlDecoderReleaseInput(decoder);
    return ok || fail(err, "holds no whole JPEG XL image: the file is cut short or damaged");
}

void codec_state_free(CodecState *state) {
    if (!state) return;
    if (state->decoder) JxlDecoderDestroy(state->decoder);
    mem_free(state);
}
