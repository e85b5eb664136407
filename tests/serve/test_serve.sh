#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tact serve, from clients of Python's standard library: a chunk is libtact's to the bit; clients that are wrong, slow,
# greedy or gone; tokens, TLS, idle sessions, the end; and what is refused before it begins.
. "$(dirname "$0")/../runtime/common.sh"
here=$(cd "$(dirname "$0")" && pwd)
. "$here/server.sh"
need_server
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 77; }
tiny_policy
export PYTHONDONTWRITEBYTECODE=1
client() { timeout 300 python3 "$@"; }

# ---- before it begins
serve=("$TACT" serve --policy.path="$POLICY")
accepts "what it wants" "${serve[@]}" --dry_run
holds "cameras and shapes" grep -qE 'observation.images.front +\(64, 96, 3\) +uint8' "$WORK/out"
holds "the chunk" grep -qE 'actions +\(8, 7\) +float64' "$WORK/out"
refuses "every address" "host=0.0.0.0: others can reach it, so a token is needed" "${serve[@]}" --host=0.0.0.0
refuses "a name" "host=robot: no address" "${serve[@]}" --host=robot
refuses "half of TLS" "TLS needs both" "${serve[@]}" --tls_cert="$here/server.sh"
refuses "a certificate that is not there" "tls_key=none.pem: No such file" "${serve[@]}" --tls_cert="$here/server.sh" --tls_key=none.pem
refuses "a certificate that is none" "are --tls_cert and --tls_key PEM files" "${serve[@]}" --port=0 --tls_cert="$here/server.sh" --tls_key="$here/server.sh"
refuses "no policy" "no policy given" "$TACT" serve
refuses "a policy that is not there" "none" "$TACT" serve --policy.path=none
refuses "another flag" "max_sesions.*max_sessions" "${serve[@]}" --max_sesions=3

# ---- clients
start_server --max_sessions=6
refuses "a port that is taken" "cannot listen on 127.0.0.1, --port=$PORT: Address already in use" "${serve[@]}" --port="$PORT"
"$BUILD/tests/consumer" "$POLICY" 5 | tail -n 8 >"$WORK/c.txt"
accepts "a chunk" client "$here/chunk.py" "$PORT" 5
holds "eight actions" test "$(sort -u "$WORK/c.txt" | wc -l)" -eq 8
holds "the same bits as in C" cmp "$WORK/c.txt" "$WORK/out"
client "$here/hostile.py" "$PORT" 6 >"$WORK/out" 2>&1 || bad "hostile clients: $(cat "$WORK/out")"
accepts "a chunk, after them" client "$here/chunk.py" "$PORT" 5
holds "the same bits again" cmp "$WORK/c.txt" "$WORK/out"
client -c "
import os, signal, sys
sys.path.insert(0, '$here')
import websocket
c = websocket.Client($PORT)
os.kill($SERVER, signal.SIGTERM)
try:
    c.receive()
except websocket.Closed as e:
    sys.exit(e.code != 1001)
sys.exit(1)" 2>"$WORK/err" || bad "a session is not closed at the end: $(cat "$WORK/err")"
await_server

# ---- tokens, TLS, idle sessions
tls=()
if command -v openssl >/dev/null && openssl req -x509 -newkey rsa:2048 -nodes -keyout "$WORK/key.pem" -out "$WORK/cert.pem" \
    -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost >/dev/null 2>&1; then
    tls=(--tls_cert="$WORK/cert.pem" --tls_key="$WORK/key.pem")
else echo "skipped: no openssl here to make a certificate with, so no TLS"; fi
TACT_SERVE_TOKEN=s3cret start_server --host=0.0.0.0 --idle_timeout=1 "${tls[@]}"
client -c "
import sys, time
sys.path.insert(0, '$here')
import websocket
tls = websocket.trust('$WORK/cert.pem') if ${#tls[@]} else None
for header in ('', 'Authorization: Api-Key s3creT\r\n', 'Authorization: Basic s3cret\r\n', 'Authorization: \r\n'):
    try:
        websocket.Client($PORT, header, tls)
        sys.exit('let in with ' + header)
    except websocket.Refused as e:
        assert e.status == 401, e
for header in ('Authorization: Api-Key s3cret\r\n', 'Authorization: Bearer s3cret\r\nOrigin: http://page.example\r\n'):
    c = websocket.Client($PORT, header, tls)
    assert c.metadata['chunk_size'] == 8, c.metadata
    try:
        c.receive()
        sys.exit('an idle session is not closed')
    except websocket.Closed as e:
        assert e.code == 1001, e
assert websocket.http($PORT, '/healthz', tls=tls)[1] == 200
" 2>"$WORK/err" || bad "tokens and TLS: $(cat "$WORK/err")"
end_server
finish
