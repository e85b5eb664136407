// SPDX-License-Identifier: Apache-2.0
// Whether this processor can run what this build was compiled to.
#ifndef TACT_BASE_PROCESSOR_H
#define TACT_BASE_PROCESSOR_H

// NULL, or a sentence that says what the processor is missing. Only a build with TACT_PORTABLE
// looks: a build for the processor it was made on is not expected to run elsewhere.
const char *processor_lacks(void);

#endif
