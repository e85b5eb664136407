// SPDX-License-Identifier: Apache-2.0
// The module tact_download: the one place that fetches something from a network, through libcurl.
#include "base/module.h"
#include "download/download.h"

#include <curl/curl.h>
#include <string.h>
#include <unistd.h>

// A ResNet-152 has 230 MB; a server that sends without end must not fill the disk.
#define LARGEST ((int64_t)2 << 30)

typedef struct Transfer {
    const char *file;
    FILE *f;
    int64_t start, done; // bytes of the file: before this transfer, and now
    bool stopped;
    const DownloadProgress *progress;
} Transfer;

static size_t transfer_write(char *data, size_t one, size_t n, void *user) {
    Transfer *t = user;
    size_t bytes = one * n;
    if (t->done + (int64_t)bytes > LARGEST || fwrite(data, 1, bytes, t->f) != bytes) return 0;
    t->done += (int64_t)bytes;
    return bytes;
}

static int transfer_report(void *user, curl_off_t total, curl_off_t now, curl_off_t a,
                           curl_off_t b) {
    Transfer *t = user;
    (void)a, (void)b, (void)now;
    if (t->progress &&
        !t->progress->report(t->progress->user, t->file, t->done, total > 0 ? t->start + total : 0))
        t->stopped = true;
    return t->stopped;
}

static CURLcode transfer_run(CURL *curl, const char *url, Transfer *t, char *reason) {
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, transfer_write);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, transfer_report);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR,
                     strncmp(url, "https:", 6) == 0 ? "https" : "http,https");
#endif
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L); // there are other threads
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 20L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 100L); // bytes a second, for a minute
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 60L);
    curl_easy_setopt(curl, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)t->start);
    return curl_easy_perform(curl);
}

// Whether the server does not serve the rest of a file, or has less of it than is here: then all
// of it has to be fetched.
static bool cannot_go_on(CURL *curl, CURLcode code) {
    enum { RANGE_NOT_SATISFIABLE = 416 };
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return code == CURLE_RANGE_ERROR || code == CURLE_BAD_DOWNLOAD_RESUME ||
           (code == CURLE_HTTP_RETURNED_ERROR && status == RANGE_NOT_SATISFIABLE);
}

// curl's reasons may hold line breaks and closing newlines.
static void make_one_line(char *text) {
    for (char *p = text; *p; p++)
        if (*p == '\n' || *p == '\r') *p = ' ';
}

CHECKED static bool download_by_curl(const char *url, const char *file, FILE *f, int64_t *done,
                                     const DownloadProgress *progress, Error *err) {
    char reason[CURL_ERROR_SIZE] = "";
    CURL *curl = curl_easy_init();
    if (!curl) return fail(err, "libcurl cannot start");
    Transfer t = {.file = file, .f = f, .start = *done, .done = *done, .progress = progress};
    CURLcode code = transfer_run(curl, url, &t, reason);
    if (t.start > 0 && cannot_go_on(curl, code)) {
        rewind(f);
        if (ftruncate(fileno(f), 0) == 0) {
            t.start = t.done = 0;
            code = transfer_run(curl, url, &t, reason);
        }
    }
    curl_easy_cleanup(curl);
    *done = t.done;
    if (fflush(f) != 0 || ferror(f)) return fail_errno(err, "cannot write");
    if (code == CURLE_OK) return true;
    if (t.stopped) return fail(err, "interrupted");
    make_one_line(reason);
    return fail(err, "%s", reason[0] ? reason : curl_easy_strerror(code));
}

static const DownloadModule table = {download_by_curl};

MODULE_ENTRY(&table)
