# SPDX-License-Identifier: Apache-2.0
# Shared by the tests of tact serve, behind common.sh: starts a server of $POLICY and ends it.

# Skips the test where tact has no server.
need_server() {
    [ -e "$BUILD/lib/tact/tact_serve.so" ] && return
    echo "skipped: tact was built without libwebsockets or msgpack-c"
    exit 77
}

# Sets $SERVER and $PORT; the log is $WORK/server.log.
start_server() {
    : >"$WORK/server.log" # before the server's shell does it: an earlier server's port is no port
    "$TACT" serve --policy.path="$POLICY" --port=0 --threads=1 "$@" 2>"$WORK/server.log" &
    SERVER=$!
    PORT=
    for _ in $(seq 600); do
        PORT=$(sed -n 's/.*serving on [a-z]*:.*:\([0-9]*\).*/\1/p' "$WORK/server.log")
        [ -z "$PORT" ] || return 0
        kill -0 $SERVER 2>/dev/null || break
        sleep 0.05
    done
    bad "the server does not start:"
    cat "$WORK/server.log"
    finish
    exit 1
}

# Tells it to end, and waits; it must end with 0.
end_server() {
    kill -TERM $SERVER
    await_server
}

# Waits for one that has been told to end: told twice, it would end at once.
await_server() {
    wait $SERVER
    local code=$?
    [ $code -eq 0 ] || { bad "the server ends with $code:"; tail -5 "$WORK/server.log"; }
}
