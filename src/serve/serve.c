// SPDX-License-Identifier: Apache-2.0
#include "serve/serve.h"

#include "base/file.h"
#include "base/log.h"
#include "base/module.h"
#include "serve/served_policy.h"
#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

static Module module = {
    .name = "tact_serve",
    .what = "serving a policy",
    .built = "libwebsockets and msgpack-c (libwebsockets-dev, libmsgpack-dev)",
    .needs = {{"libwebsockets", "libwebsockets17, or libwebsockets19t64 from Debian 13 on"},
              {"libmsgpack", "libmsgpackc2, or libmsgpack-c2 from Debian 13 on"}},
};

bool serve_is_loopback(const char *host) {
    struct in_addr four;
    struct in6_addr six;
    if (strcmp(host, "localhost") == 0) return true;
    if (inet_pton(AF_INET, host, &four) == 1) return ntohl(four.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

static bool is_address(const char *host) {
    unsigned char address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

CHECKED static bool check_file(const char *flag, const char *path, Error *err) {
    return !path || access(path, R_OK) == 0 || fail_errno(err, "--%s=%s", flag, path);
}

bool serve_check(const ServeOptions *o, Error *err) {
    bool loopback = serve_is_loopback(o->host);
    if (!loopback && !is_address(o->host))
        return fail(err,
                    "--host=%s: no address; give the number of one of this machine's (0.0.0.0: all "
                    "of them)",
                    o->host);
    if (!loopback && !o->token)
        return fail(err,
                    "--host=%s: others can reach it, so a token is needed; set TACT_SERVE_TOKEN in "
                    "the environment, or give --token",
                    o->host);
    if (o->token && !*o->token) return fail(err, "--token: an empty token protects nothing");
    if (!o->tls_cert != !o->tls_key)
        return fail(err, "--tls_cert and --tls_key: TLS needs both, a certificate and its key");
    return check_file("tls_cert", o->tls_cert, err) && check_file("tls_key", o->tls_key, err);
}

bool serve_run(const ServeOptions *options, Error *err) {
    ServedPolicy policy;
    if (!serve_check(options, err) || !module_load(&module, err) ||
        !served_policy_open(&policy, options, err))
        return false;
    if (!serve_is_loopback(options->host) && !options->tls_cert)
        log_warn("--host=%s without --tls_cert: token, images and actions can be read on the way",
                 options->host);
    const ServeModule *m = module_table(&module);
    bool ok = m->run(options, &policy.table, err);
    served_policy_close(&policy);
    return ok;
}
