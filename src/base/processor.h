// SPDX-License-Identifier: Apache-2.0
// Whether this processor runs what this build was compiled to.
#ifndef TACT_BASE_PROCESSOR_H
#define TACT_BASE_PROCESSOR_H

// NULL, or a sentence that says what the processor lacks. Only a build with TACT_PORTABLE looks:
// one for the processor it was made on is not expected to travel.
const char *processor_lacks(void);

#endif
