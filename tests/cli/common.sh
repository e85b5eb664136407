# SPDX-License-Identifier: Apache-2.0
# Shared by the end-to-end tests. $TACT is the program, $WORK a scratch folder removed at exit.
set -u
: "${TACT:?set TACT to the program under test}"
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
passed=0 failed=0

ok() { passed=$((passed + 1)); }
bad() {
    failed=$((failed + 1))
    echo "FAILED: $*"
}

# refuses NAME PATTERN COMMAND...: the exit code is 1 or 2, and the last line of stderr is one clear `tact: `
# line that matches PATTERN.
refuses() {
    local name=$1 pattern=$2
    shift 2
    "$@" >"$WORK/out" 2>"$WORK/err"
    local code=$?
    local lines
    lines=$(grep -c '^tact: ' "$WORK/err")
    if [ $code -ne 1 ] && [ $code -ne 2 ]; then bad "$name: exit code $code"; tail -5 "$WORK/err"
    elif [ "$lines" -ne 1 ] || ! tail -n 1 "$WORK/err" | grep -q '^tact: '; then
        bad "$name: not exactly one closing 'tact: ' line:"; tail -5 "$WORK/err"
    elif ! tail -n 1 "$WORK/err" | grep -qE -e "$pattern"; then
        bad "$name: '$(tail -n 1 "$WORK/err")' does not match $pattern"
    else ok; fi
}

# accepts NAME COMMAND...: exit code 0.
accepts() {
    local name=$1
    shift
    if "$@" >"$WORK/out" 2>"$WORK/err"; then ok; else
        bad "$name: exit code $?"
        tail -5 "$WORK/err"
    fi
}

# holds NAME CONDITION...: a test(1)-like command that must be true.
holds() {
    local name=$1
    shift
    if "$@"; then ok; else bad "$name"; fi
}

finish() {
    echo "$passed checks passed, $failed failed"
    [ $failed -eq 0 ]
}

. "${BASH_SOURCE[0]%/*}/tiny.sh"
