#include <curl/curl.h>
#include <string.h>

#include "agent/fetcher/fetcher_run.h"

#define REDIRECTS_MAX 10L
#define CONNECT_SECONDS 30L

struct transfer {
        int fd;
        struct fetch_budget *budget;
        struct error *error;
        bool failed; /* by us: error says why */
};

static size_t on_data(char *data, size_t size, size_t count, void *userdata)
{
        struct transfer *t = userdata;
        size_t n = size * count;

        int r = fetch_budget_take(t->budget, n, t->error);
        if (r == 0 && (r = write_all(t->fd, data, n)) < 0)
                r = error_set_errno(t->error, r, "cannot be written");
        t->failed = r < 0;
        return r < 0 ? 0 : n;
}

static CURLcode set_options(
        CURL *c, const char *url, uint32_t stall_seconds, struct transfer *t, char *reason)
{
        CURLcode r = CURLE_OK;
#define SET(option, value)                                                                                   \
        if (r == CURLE_OK)                                                                                   \
        r = curl_easy_setopt(c, option, value)

        SET(CURLOPT_URL, url);
        /* Also what a redirection names: no file, ftp, gopher or scp. */
        SET(CURLOPT_PROTOCOLS_STR, "http,https");
        SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
        SET(CURLOPT_FOLLOWLOCATION, 1L);
        SET(CURLOPT_MAXREDIRS, REDIRECTS_MAX);
        SET(CURLOPT_FAILONERROR, 1L);
        SET(CURLOPT_NOSIGNAL, 1L);
        SET(CURLOPT_NOPROGRESS, 1L);
        SET(CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
        SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
        SET(CURLOPT_LOW_SPEED_TIME, (long)stall_seconds);
        /* The agent's proxy is not the task's. */
        SET(CURLOPT_PROXY, "");
        SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
        SET(CURLOPT_SSL_VERIFYPEER, 1L);
        SET(CURLOPT_SSL_VERIFYHOST, 2L);
        SET(CURLOPT_USERAGENT, "mete-fetcher/" METE_VERSION);
        SET(CURLOPT_ERRORBUFFER, reason);
        SET(CURLOPT_WRITEFUNCTION, on_data);
        SET(CURLOPT_WRITEDATA, t);
        if (t->budget->bytes_left <= INT64_MAX)
                SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)t->budget->bytes_left);
#undef SET
        return r;
}

static int explain(
        CURL *c, CURLcode code, const char *reason, const struct transfer *t, uint32_t stall_seconds)
{
        long status = 0;

        if (t->failed)
                return t->error && t->error->code < 0 ? t->error->code : -EIO;
        (void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
        if (code == CURLE_HTTP_RETURNED_ERROR)
                return error_set(t->error, -ENOENT, "the server answered with status %ld", status);
        if (code == CURLE_FILESIZE_EXCEEDED)
                return fetch_budget_take(t->budget, UINT64_MAX, t->error);
        if (code == CURLE_OPERATION_TIMEDOUT && strstr(reason, "too slow"))
                return error_set(
                        t->error, -ETIMEDOUT, "nothing came for %u seconds", (unsigned)stall_seconds);
        return error_set(t->error, -EIO, "%s", *reason ? reason : curl_easy_strerror(code));
}

int http_fetch(const char *url, int to_fd, uint32_t stall_seconds, struct fetch_budget *b, struct error *e)
{
        struct transfer t = {.fd = to_fd, .budget = b, .error = e};
        char reason[CURL_ERROR_SIZE] = "";

        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return error_set(e, -ENOMEM, "cannot start the HTTP client");
        CURL *c = curl_easy_init();
        if (!c)
                return error_set(e, -ENOMEM, "cannot start the HTTP client");
        CURLcode code = set_options(c, url, stall_seconds, &t, reason);
        if (code == CURLE_OK)
                code = curl_easy_perform(c);
        int r = code == CURLE_OK ? 0 : explain(c, code, reason, &t, stall_seconds);
        curl_easy_cleanup(c);
        return r;
}
