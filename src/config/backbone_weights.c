// SPDX-License-Identifier: Apache-2.0
#include "config/backbone_weights.h"

#include "base/text.h"
#include <stdio.h>
#include <string.h>

#define FLAG "--policy.pretrained_backbone_weights"

// The newest weights of a network stand last.
const BackboneWeights backbone_weights[] = {
    {"ResNet18_Weights.IMAGENET1K_V1", "resnet18", "resnet18-f37072fd.pth"},
    {"ResNet34_Weights.IMAGENET1K_V1", "resnet34", "resnet34-b627a593.pth"},
    {"ResNet50_Weights.IMAGENET1K_V1", "resnet50", "resnet50-0676ba61.pth"},
    {"ResNet50_Weights.IMAGENET1K_V2", "resnet50", "resnet50-11ad3fa6.pth"},
    {"ResNet101_Weights.IMAGENET1K_V1", "resnet101", "resnet101-63fe2227.pth"},
    {"ResNet101_Weights.IMAGENET1K_V2", "resnet101", "resnet101-cd907fc2.pth"},
    {"ResNet152_Weights.IMAGENET1K_V1", "resnet152", "resnet152-394f9c45.pth"},
    {"ResNet152_Weights.IMAGENET1K_V2", "resnet152", "resnet152-f82ba261.pth"},
};
const int backbone_weights_count = sizeof backbone_weights / sizeof backbone_weights[0];

bool backbone_weights_is_path(const char *spec) {
    static const char *const endings[] = {".pth", ".pt", ".bin", ".safetensors"};
    size_t length = strlen(spec);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t n = strlen(endings[i]);
        if (length > n && strcmp(spec + length - n, endings[i]) == 0) return true;
    }
    return strchr(spec, '/') != NULL;
}

// The class is "ResNet18_Weights".
static bool class_is(const BackboneWeights *w, const char *text, size_t size) {
    return strncmp(w->name, text, size) == 0 && w->name[size] == '.';
}

static const BackboneWeights *find_weights(const char *spec, const char *vision_backbone) {
    const BackboneWeights *found = NULL;
    const char *dot = strchr(spec, '.'), *member = dot ? dot + 1 : spec;
    for (int i = 0; i < backbone_weights_count; i++) {
        const BackboneWeights *w = &backbone_weights[i];
        bool network = dot ? class_is(w, spec, (size_t)(dot - spec))
                           : strcmp(w->backbone, vision_backbone) == 0;
        if (network &&
            (strcmp(member, "DEFAULT") == 0 || strcmp(member, strchr(w->name, '.') + 1) == 0))
            found = w;
    }
    return found;
}

// The name whose spelling is nearest, or else one of the network's own.
static const char *nearest_weights_name(const char *spec, const char *vision_backbone) {
    static const char network[] = "ResNet";
    int best = 0;
    for (int i = 1; i < backbone_weights_count; i++)
        if (edit_distance(spec, backbone_weights[i].name) <
            edit_distance(spec, backbone_weights[best].name))
            best = i;
    const char *name = backbone_weights[best].name;
    if (is_near(edit_distance(spec, name), spec) || strncasecmp(spec, network, 6) == 0) return name;
    const BackboneWeights *own = find_weights("DEFAULT", vision_backbone);
    return own ? own->name : name;
}

bool backbone_weights_find(const char *spec, const char *vision_backbone,
                           const BackboneWeights **out, Error *err) {
    *out = NULL;
    if (backbone_weights_is_path(spec)) return true;
    const BackboneWeights *w = find_weights(spec, vision_backbone);
    if (!w)
        return fail(err,
                    FLAG "=%s: not known; did you mean %s? A file of your own needs its ending "
                         "(.pth, .safetensors), and null trains from scratch",
                    spec, nearest_weights_name(spec, vision_backbone));
    if (strcmp(w->backbone, vision_backbone) != 0) {
        const BackboneWeights *own = find_weights("DEFAULT", vision_backbone);
        return fail(err, FLAG "=%s: weights of a %s, but --policy.vision_backbone=%s; use %s", spec,
                    w->backbone, vision_backbone, own ? own->name : "null");
    }
    *out = w;
    return true;
}
