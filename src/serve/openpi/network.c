// SPDX-License-Identifier: Apache-2.0
// The module tact_serve: connections, through libwebsockets, in one thread that never computes.
//
// On a connection the metadata goes out first; then each binary message is answered by one: binary,
// or, for an error, text.
#include "base/log.h"
#include "base/memory.h"
#include "base/module.h"
#include "serve/openpi/access.h"
#include "serve/openpi/message.h"
#include "serve/openpi/sessions.h"
#include <arpa/inet.h>
#include <libwebsockets.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 64 << 10, MOST_WAITING = 256 }; // connections beside the sessions
#define TRY_AGAIN_LATER ((enum lws_close_status)1013)
#define TICK_US ((lws_usec_t)100 * LWS_US_PER_MS)
// When the server ends: seconds for the prediction that is made and for closing.
#define STOP_SECONDS 10.0

typedef struct Server {
    const ServeOptions *options;
    const ServePolicy *policy;
    struct lws_context *context;
    Sessions *sessions;
    struct lws **clients; // (max_sessions), NULL: nobody
    int count;
    msgpack_sbuffer metadata;
    lws_sorted_usec_list_t tick;
    bool stopping, done;
    double stop_at;
} Server;

// Of libwebsockets' memory for each connection, zeroed; session is NULL for plain HTTP.
typedef struct Client {
    Session *session;
    int place; // among the clients
    bool greeted;
} Client;

static Server *server_of(struct lws *wsi) {
    return lws_context_user(lws_get_context(wsi));
}

// ---- HTTP ---------------------------------------------------------------------------------------

// One write has headers and text: one a turn is what libwebsockets allows.
static int respond(struct lws *wsi, unsigned int code, const char *text) {
    uint8_t buffer[LWS_PRE + 2048], *start = buffer + LWS_PRE, *p = start;
    uint8_t *end = buffer + sizeof buffer - 256; // the text is shorter
    if (lws_add_http_common_headers(wsi, code, "text/plain; charset=utf-8", strlen(text), &p,
                                    end) ||
        lws_finalize_http_header(wsi, &p, end))
        return -1;
    p += snprintf((char *)p, 256, "%s", text);
    return lws_write(wsi, start, (size_t)(p - start), LWS_WRITE_HTTP_FINAL) < 0 ? -1 : 0;
}

static int on_request(struct lws *wsi, const char *path) {
    const bool health = strcmp(path, "/healthz") == 0;
    if (respond(wsi, health ? HTTP_STATUS_OK : HTTP_STATUS_NOT_FOUND,
                health ? "OK\n" : "tact serves a policy here, over WebSocket; /healthz says OK\n"))
        return -1;
    return lws_http_transaction_completed(wsi) ? -1 : 0;
}

// 0: a connection may become a WebSocket; 1: it has been told that it may not.
static int on_upgrade(struct lws *wsi) {
    const Server *server = server_of(wsi);
    const char *token = server->options->token;
    char shown[1024] = "";
    if (lws_hdr_copy(wsi, shown, sizeof shown, WSI_TOKEN_HTTP_AUTHORIZATION) < 0) shown[0] = '\0';
    if (token && !access_allowed(shown, token))
        return respond(wsi, HTTP_STATUS_UNAUTHORIZED,
                       "the token is missing or wrong: Authorization: Api-Key TOKEN\n")
                   ? -1
                   : 1;
    // Browsers name the page that connects, and let any page connect to this machine.
    if (!token && lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN) > 0)
        return respond(wsi, HTTP_STATUS_FORBIDDEN, "pages in a browser need a token\n") ? -1 : 1;
    if (sessions_full(server->sessions))
        return respond(wsi, HTTP_STATUS_SERVICE_UNAVAILABLE,
                       "as many sessions as may be are open; try again later\n")
                   ? -1
                   : 1;
    return 0;
}

// ---- sessions -----------------------------------------------------------------------------------

static int close_with(struct lws *wsi, enum lws_close_status status, const char *why) {
    lws_close_reason(wsi, status, (unsigned char *)why, strlen(why));
    return -1;
}

static void restart_idle_timer(struct lws *wsi) {
    lws_set_timer_usecs(wsi, (lws_usec_t)(server_of(wsi)->options->idle_timeout * LWS_US_PER_SEC));
}

static int on_connected(struct lws *wsi, Client *client) {
    Server *server = server_of(wsi);
    client->session = session_open(server->sessions);
    if (!client->session) // another one was faster
        return close_with(wsi, TRY_AGAIN_LATER, "as many sessions as may be are open");
    while (server->clients[client->place]) client->place++; // there is one: there was a session
    server->clients[client->place] = wsi;
    server->count++;
    char peer[64] = "";
    lws_get_peer_simple(wsi, peer, sizeof peer);
    log_info("session %d: opened from %s", client->place + 1, peer);
    restart_idle_timer(wsi);
    lws_callback_on_writable(wsi);
    return 0;
}

static void on_closed(struct lws *wsi, Client *client) {
    Server *server = server_of(wsi);
    if (!client || !client->session) return;
    const SessionCounts n = session_counts(client->session);
    log_info("session %d: closed after %lld messages, %lld of them answered with an error",
             client->place + 1, (long long)n.messages, (long long)n.errors);
    server->clients[client->place] = NULL;
    server->count--;
    session_close(client->session);
    client->session = NULL;
}

static int on_received(struct lws *wsi, Client *client, const void *bytes, size_t size) {
    if (!session_has_room(client->session))
        return close_with(wsi, LWS_CLOSE_STATUS_POLICY_VIOLATION,
                          "more messages than are answered");
    const size_t rest = lws_remaining_packet_payload(wsi);
    const SessionPart part = {.bytes = bytes,
                              .size = size,
                              .rest = rest,
                              .binary = lws_frame_is_binary(wsi) != 0,
                              .last = rest == 0 && lws_is_final_fragment(wsi)};
    if (!session_receive(client->session, &part))
        return close_with(wsi, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, "the message is too large");
    if (part.last) restart_idle_timer(wsi);
    if (!session_has_room(client->session)) lws_rx_flow_control(wsi, 0);
    return 0;
}

static int send_reply(struct lws *wsi, Client *client, const SessionReply *reply) {
    if (lws_write(wsi, reply->bytes, reply->size, reply->text ? LWS_WRITE_TEXT : LWS_WRITE_BINARY) <
        0)
        return -1;
    session_replied(client->session);
    restart_idle_timer(wsi);
    lws_rx_flow_control(wsi, 1);
    return 0;
}

// One thing is sent a turn.
static int on_writable(struct lws *wsi, Client *client) {
    Server *server = server_of(wsi);
    SessionReply reply;
    if (!client->greeted) {
        client->greeted = true;
        lws_callback_on_writable(wsi);
        const msgpack_sbuffer *m = &server->metadata;
        return lws_write(wsi, (uint8_t *)m->data + LWS_PRE, m->size - LWS_PRE, LWS_WRITE_BINARY) < 0
                   ? -1
                   : 0;
    }
    if (session_reply(client->session, &reply)) return send_reply(wsi, client, &reply);
    if (server->stopping && !session_waits(client->session))
        return close_with(wsi, LWS_CLOSE_STATUS_GOINGAWAY, "the server ends");
    return 0;
}

// Nothing came, or nothing could be sent, for so long.
static int on_idle(struct lws *wsi, const Client *client) {
    if (!session_waits(client->session))
        return close_with(wsi, LWS_CLOSE_STATUS_GOINGAWAY, "idle for too long");
    restart_idle_timer(wsi);
    return 0;
}

static void ask_to_write(Server *server) {
    SessionReply reply;
    for (int i = 0; i < server->options->max_sessions; i++) {
        struct lws *wsi = server->clients[i];
        const Client *client = wsi ? lws_wsi_user(wsi) : NULL;
        if (client && (server->stopping || session_reply(client->session, &reply)))
            lws_callback_on_writable(wsi);
    }
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t size) {
    Client *client = user;
    const bool in_session = client && client->session;
    switch (reason) {
    case LWS_CALLBACK_HTTP:
        return on_request(wsi, in);
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        return on_upgrade(wsi);
    case LWS_CALLBACK_ESTABLISHED:
        return on_connected(wsi, client);
    case LWS_CALLBACK_CLOSED:
        on_closed(wsi, client);
        return 0;
    case LWS_CALLBACK_RECEIVE:
        return in_session ? on_received(wsi, client, in, size) : -1;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return in_session ? on_writable(wsi, client) : -1;
    case LWS_CALLBACK_TIMER:
        return in_session ? on_idle(wsi, client) : 0;
    case LWS_CALLBACK_EVENT_WAIT_CANCELLED:
        ask_to_write(server_of(wsi));
        return 0;
    default:
        return 0;
    }
}

// ---- the server ---------------------------------------------------------------------------------

// Called by the worker.
static void wake(void *user) {
    lws_cancel_service(((Server *)user)->context);
}

// A signal ends no wait of libwebsockets' for sure, so the flag is looked at now and then.
static void on_tick(lws_sorted_usec_list_t *tick) {
    Server *server = lws_container_of(tick, Server, tick);
    if (*server->options->stop && !server->stopping) {
        log_info("ending: %d sessions are closed", server->count);
        server->stopping = true;
        server->stop_at = clock_seconds();
        sessions_stop(server->sessions);
    }
    if (server->stopping) {
        ask_to_write(server);
        server->done = server->count == 0 || clock_seconds() - server->stop_at > STOP_SECONDS;
        if (server->done) lws_cancel_service(server->context);
    }
    lws_sul_schedule(server->context, 0, tick, on_tick, TICK_US);
}

// libwebsockets' first complaint, for the error that it leads to: later ones only say what failed
// because of it.
static char complaint[256];

static void on_log(int level, const char *line) {
    (void)level;
    if (complaint[0]) return;
    const char *text = strstr(line, ": "); // behind the time and the level
    snprintf(complaint, sizeof complaint, "%s", text ? text + 2 : line);
    complaint[strcspn(complaint, "\n")] = '\0';
}

// Why nothing listens: what the system says of the address, else libwebsockets' complaint.
CHECKED static bool explain(const ServeOptions *o, const char *host, Error *err) {
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)o->port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)o->port)};
    const bool is_four = inet_pton(AF_INET, host, &four.sin_addr) == 1;
    if (!is_four) (void)inet_pton(AF_INET6, host, &six.sin6_addr);
    const struct sockaddr *address = is_four ? (struct sockaddr *)&four : (struct sockaddr *)&six;
    int fd = socket(is_four ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    bool fits = fd >= 0 && bind(fd, address, is_four ? sizeof four : sizeof six) == 0;
    if (!fits) (void)fail_errno(err, "cannot listen on %s, --port=%d", o->host, o->port);
    if (fd >= 0) close(fd);
    return fits &&
           fail(err, "cannot serve on %s, --port=%d: %s%s", o->host, o->port,
                complaint[0] ? complaint : "libwebsockets does not say why",
                o->tls_cert ? "; are --tls_cert and --tls_key PEM files that belong together?"
                            : "");
}

CHECKED static bool start(Server *server, Error *err) {
    const ServeOptions *o = server->options;
    static const struct lws_protocols protocols[] = {{.name = "openpi",
                                                      .callback = on_event,
                                                      .per_session_data_size = sizeof(Client),
                                                      .rx_buffer_size = READ_SIZE},
                                                     {0}};
    struct lws_context_creation_info info = {0};
    const bool six = strchr(o->host, ':') != NULL;
    const char *host = strcmp(o->host, "localhost") == 0 ? "127.0.0.1" : o->host;
    const bool every = strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
    info.port = o->port;
    info.iface = every ? NULL : host;
    info.protocols = protocols;
    info.user = server;
    info.gid = (gid_t)-1;
    info.uid = (uid_t)-1;
    info.server_string = "tact";
    info.alpn = "http/1.1";
    info.pt_serv_buf_size = READ_SIZE;
    info.fd_limit_per_thread = (unsigned int)(o->max_sessions + MOST_WAITING);
    // What listens is made apart, for libwebsockets leaks a context that fails because of it.
    info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND;
    info.vhost_name = "default";
    if (!six) info.options |= LWS_SERVER_OPTION_DISABLE_IPV6;
    if (o->tls_cert) {
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
        info.ssl_cert_filepath = o->tls_cert;
        info.ssl_private_key_filepath = o->tls_key;
    }
    complaint[0] = '\0';
    lws_set_log_level(LLL_ERR, on_log);
    server->context = lws_create_context(&info);
    if (!server->context) return fail(err, "libwebsockets does not start: %s", complaint);
    return lws_create_vhost(server->context, &info) || explain(o, host, err);
}

static void log_start(const Server *server) {
    const ServeOptions *o = server->options;
    const bool six = strchr(o->host, ':') != NULL;
    log_info("serving on %s://%s%s%s:%d%s", o->tls_cert ? "wss" : "ws", six ? "[" : "", o->host,
             six ? "]" : "",
             lws_get_vhost_listen_port(lws_get_vhost_by_name(server->context, "default")),
             o->token ? ", with a token" : "");
}

CHECKED static bool run(const ServeOptions *options, const ServePolicy *policy, Error *err) {
    Server server = {.options = options, .policy = policy};
    const SessionsOptions sessions = {.policy = policy,
                                      .most = options->max_sessions,
                                      .head = LWS_PRE,
                                      .wake = wake,
                                      .user = &server};
    server.clients = NEW(struct lws *, options->max_sessions);
    msgpack_sbuffer_init(&server.metadata);
    message_write_metadata(&server.metadata, LWS_PRE, &policy->wants);
    bool ok = start(&server, err) && sessions_new(&sessions, &server.sessions, err);
    if (ok) {
        log_start(&server);
        lws_sul_schedule(server.context, 0, &server.tick, on_tick, TICK_US);
        while (!server.done && lws_service(server.context, 0) >= 0) continue;
        sessions_stop_waking(server.sessions);
    }
    if (server.context) lws_context_destroy(server.context);
    sessions_free(server.sessions);
    msgpack_sbuffer_destroy(&server.metadata);
    mem_free(server.clients);
    return ok;
}

static const ServeModule serve_module = {run};

MODULE_ENTRY(&serve_module)
