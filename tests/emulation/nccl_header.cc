// SPDX-License-Identifier: Apache-2.0
// What src/ops/cuda/nccl.h declares of NCCL against nccl.h itself, where that is installed: sizes,
// places and numbers, and of every function how many parameters it has and how large they are.
// Nothing here runs: what differs does not compile.
#include "ops/cuda/nccl.h"

#include <nccl.h>
#include <type_traits>

template <typename R, typename... A, typename S, typename... B>
constexpr bool alike(R (*)(A...), S (*)(B...)) {
    return sizeof(R) == sizeof(S) && sizeof...(A) == sizeof...(B) &&
           ((sizeof(A) == sizeof(B) && std::is_pointer<A>::value == std::is_pointer<B>::value) &&
            ...);
}
#define SAME_FUNCTION(type, name, params)                                                          \
    static_assert(alike(decltype(NcclLibrary::name)(nullptr), decltype (&::name)(nullptr)), #name);
FOR_NCCL_FUNCTIONS(SAME_FUNCTION)

#define SAME_NUMBER(ours, theirs) static_assert((int)ours == (int)theirs, #theirs)
SAME_NUMBER(NCCL_SUCCESS, ncclSuccess);
SAME_NUMBER(NCCL_INVALID_USAGE, ncclInvalidUsage);
SAME_NUMBER(NCCL_IN_PROGRESS, ncclInProgress);
SAME_NUMBER(NCCL_FLOAT32, ncclFloat32);
SAME_NUMBER(NCCL_SUM, ncclSum);
SAME_NUMBER(NCCL_OLDEST, NCCL_VERSION(2, 14, 0));
static_assert(sizeof(NcclId) == sizeof(ncclUniqueId), "id");
static_assert(offsetof(NcclConfig, size) == offsetof(ncclConfig_t, size) &&
                  offsetof(NcclConfig, magic) == offsetof(ncclConfig_t, magic) &&
                  offsetof(NcclConfig, version) == offsetof(ncclConfig_t, version) &&
                  offsetof(NcclConfig, blocking) == offsetof(ncclConfig_t, blocking),
              "members of the configuration");
static_assert(((ncclConfig_t)NCCL_CONFIG_INITIALIZER).magic == 0xcafebeef, "magic");

int main() {
    return 0;
}
