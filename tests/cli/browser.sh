# SPDX-License-Identifier: Apache-2.0
# For tests of pages in a browser, after common.sh. Ends the test as skipped where there is no chromium.
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
    echo "skipped: no chromium here"
    exit 77
}
# shows PAGE: its elements once the script has run into $WORK/dom, complaints into $WORK/console.
shows() {
    timeout 300 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$WORK/browser" --enable-logging=stderr \
        --virtual-time-budget=5000 --dump-dom "file://$1" 2>"$WORK/log" | sed 's/<script type="application\/json".*<\/script>//' >"$WORK/all"
    sed '/^"use strict";$/,/<\/script>/d' "$WORK/all" >"$WORK/dom" # the script itself has every heading
    grep -E 'CONSOLE' "$WORK/log" >"$WORK/console"
}
has() { holds "$1" grep -qF -e "$2" "$WORK/dom"; }
# no_complaint NAME END: the script ran to the end of the page, where END stands, and the browser said nothing.
no_complaint() {
    holds "$1: no error" test ! -s "$WORK/console"
    has "$1: to the end" "$2"
    holds "$1: no number that is none" test "$(grep -cE 'NaN|undefined|Infinity|\[object' "$WORK/dom")" -eq 0
}
