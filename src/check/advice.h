// SPDX-License-Identifier: Apache-2.0
// What to do about a report as a whole: which episodes to leave out, whether to trim, and the
// command for it.
#ifndef TACT_CHECK_ADVICE_H
#define TACT_CHECK_ADVICE_H

#include "check/check.h"

typedef struct CheckAdvice {
    // Episodes with an error or a warning of a rule whose mend is to leave the episode out, and the
    // others that were looked at; ascending, each once, by episode_index.
    int64_t *drop, *keep;
    int64_t n_drop, n_keep;
    bool trim;     // some stand still at their begin or end
    char *command; // makes a copy without them, or imports a source without them; NULL: nothing to
                   // be done, or nothing would be left
    char *flag;    // "--dataset.episodes=[...]", trains without a copy; NULL like command, where no
                   // episode is left out, and of a source
    Arena arena;   // owns the above
} CheckAdvice;

// ds NULL: one that could not be opened. The caller's, for check_advice_free.
CheckAdvice check_advice(const Dataset *ds, const CheckReport *report);
void check_advice_free(CheckAdvice *advice);

// Whether leaving an episode out is the mend for what a rule finds in it.
bool check_leaves_out(CheckRuleId rule);

#endif
