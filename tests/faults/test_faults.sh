#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A sample of the walk over failing calls. All of it, by hand, some hours:
#
#   tests/faults/walk.py build/tact build/tests/libfail_call.so --all
exec python3 tests/faults/walk.py "$TACT" "$(dirname "$TACT")/tests/libfail_call.so" --sample 1
