// SPDX-License-Identifier: Apache-2.0
// Between the parts of the fake backend API of cuDNN: descriptors and what was set of them.
// cudnn_backend.cc holds calls to the documented names, types, counts and order; cudnn_graph.cc
// says what a graph is and computes it.
#ifndef TACT_EMULATION_CUDNN_BACKEND_H
#define TACT_EMULATION_CUDNN_BACKEND_H

#include "cudnn_fake.h"

#include <map>
#include <memory>

namespace emulation {

struct Value {
    cudnnBackendAttributeType_t type;
    int64_t count;
    std::vector<char> bytes;
};

// An engine of the fake's: what is noted of it, and what it does.
struct Engine {
    int64_t number;
    std::vector<cudnnBackendNumericalNote_t> notes;
    int64_t workspace;
    bool plans;         // false: no plan can be made of it
    bool tensor_cores;  // rounds float32 factors to TF32
    bool down_converts; // rounds them to bfloat16
};

struct Descriptor {
    cudnnBackendDescriptorType_t type;
    bool finalized = false;
    std::map<int, Value> values;
    const Engine *engine = nullptr;    // of an engine, its configuration and its plan
    const Descriptor *graph = nullptr; // of the same

    bool has(int name) const {
        return values.count(name) != 0;
    }
    template <class T> const T *all(int name) const {
        return reinterpret_cast<const T *>(values.at(name).bytes.data());
    }
    template <class T> T one(int name) const {
        return *all<T>(name);
    }
    int64_t count(int name) const {
        return has(name) ? values.at(name).count : 0;
    }
    const Descriptor *child(int name, int64_t i = 0) const {
        return all<const Descriptor *>(name)[i];
    }
};

// Ends the program unless d is a descriptor that was made and not destroyed.
Descriptor *live(const void *d, const char *what);

// cudnn_graph.cc: what is wrong with a descriptor that is to be finalized, beside a missing
// attribute; SUCCESS if nothing.
cudnnStatus_t check_whole(const Descriptor *d);
// The engines that a kind of heuristics proposes for a graph.
std::vector<const Engine *> engines_for(const Descriptor *graph, cudnnBackendHeurMode_t mode);
cudnnStatus_t execute(cudnnHandle_t h, const Descriptor *plan, const Descriptor *variant);

} // namespace emulation

#endif
