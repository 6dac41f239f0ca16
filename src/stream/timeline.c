#include "stream/timeline.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

#define LINE_MAX_BYTES 1024

/* The part of a history file that has been read. */
struct history {
    uint32_t timeline; /* of the last line; 0 before the first line */
    lsn_t end;         /* the position at which that timeline was left */
    bool found;
    lsn_t fork;
};

static bool
malformed(uint32_t timeline, int line, const char *why, struct error *err)
{
    return error_set(err, ERROR_FAILED, "line %d of the history of timeline %" PRIu32 " %s", line, timeline,
                     why);
}

/* Read a timeline's number at the beginning of *text, and move *text behind it. 0: there is none. */
static uint32_t
take_timeline(const char **text)
{
    size_t len = strspn(*text, "0123456789");
    unsigned long long number = len > 0 && len <= 10 ? strtoull(*text, NULL, 10) : 0;

    *text += len;
    return number <= UINT32_MAX ? (uint32_t)number : 0;
}

/* Read a line "timeline TAB position TAB reason". Returns NULL, or what is wrong with it. */
static const char *
take_line(struct history *h, const char *line, uint32_t timeline_now, uint32_t timeline_before)
{
    uint32_t timeline = take_timeline(&line);
    char position[LSN_TEXT_SIZE];
    size_t len;
    lsn_t end;

    if (timeline == 0 || *line != '\t')
        return "does not start with a timeline";
    line++;
    len = strcspn(line, "\t");
    if (len >= sizeof(position))
        return "has no valid position";
    memcpy(position, line, len);
    position[len] = '\0';
    if (!lsn_parse(position, &end) || end == 0)
        return "has no valid position";
    if (timeline <= h->timeline || timeline >= timeline_now || end < h->end)
        return "is out of order";
    h->timeline = timeline;
    h->end = end;
    if (timeline == timeline_before) {
        h->found = true;
        h->fork = end;
    }
    return NULL;
}

static bool
is_blank(const char *line)
{
    line += strspn(line, " \t\r");
    return *line == '\0' || *line == '#';
}

static bool
not_an_ancestor(uint32_t timeline_now, uint32_t timeline_before, struct error *err)
{
    error_set(err, ERROR_FAILED,
              "the server is on timeline %" PRIu32 ", which does not go back to timeline %" PRIu32,
              timeline_now, timeline_before);
    return error_detail(err, "It is not a successor of the server that the job was started on.");
}

bool
timeline_history_fork(const char *text, size_t len, uint32_t timeline_now, uint32_t timeline_before,
                      lsn_t *fork, struct error *err)
{
    struct history history = {0};
    char line[LINE_MAX_BYTES];
    int number = 0;

    while (len > 0) {
        const char *end = memchr(text, '\n', len);
        size_t size = end != NULL ? (size_t)(end - text) : len;
        const char *why = NULL;

        number++;
        if (size >= sizeof(line) || memchr(text, '\0', size) != NULL)
            return malformed(timeline_now, number, "is no text", err);
        memcpy(line, text, size);
        line[size] = '\0';
        if (!is_blank(line))
            why = take_line(&history, line, timeline_now, timeline_before);
        if (why != NULL)
            return malformed(timeline_now, number, why, err);
        size += end != NULL;
        text += size;
        len -= size;
    }
    if (!history.found)
        return not_an_ancestor(timeline_now, timeline_before, err);
    *fork = history.fork;
    return true;
}

/* Run a replication command that returns one row with the column of that name. */
static bool
command_row(struct session *s, const char *command, const char *column, struct result *out, struct error *err)
{
    out->res = PQexec(session_conn(s), command);
    if (PQresultStatus(out->res) != PGRES_TUPLES_OK)
        session_error(s, out->res, ERROR_FAILED, err);
    else if (PQntuples(out->res) != 1 || PQfnumber(out->res, column) < 0)
        error_set(err, ERROR_FAILED, "the server's answer has not the expected form");
    else
        return true;
    result_free(out);
    return error_context(err, "%s", command);
}

static bool
ask_history(struct session *s, uint32_t timeline_now, uint32_t timeline_before, lsn_t *fork,
            struct error *err)
{
    char *command = mem_printf("TIMELINE_HISTORY %" PRIu32, timeline_now);
    struct result res = {0};
    bool ok = command_row(s, command, "content", &res, err);

    if (ok) {
        int col = PQfnumber(res.res, "content");

        ok = timeline_history_fork(PQgetvalue(res.res, 0, col), (size_t)PQgetlength(res.res, 0, col),
                                   timeline_now, timeline_before, fork, err);
    }

    result_free(&res);
    free(command);
    return ok;
}

bool
stream_fork_lsn(const struct connection_options *connection, uint32_t timeline_before, lsn_t *fork,
                struct error *err)
{
    struct session *s = session_open(connection, SESSION_REPLICATION, "timeline", err);
    struct result res = {0};
    bool ok = s != NULL && command_row(s, "IDENTIFY_SYSTEM", "timeline", &res, err);

    if (ok) {
        int64_t now = row_int(&res, 0, "timeline");

        if (now < 1 || now > UINT32_MAX)
            ok = error_set(err, ERROR_FAILED, "the server's timeline has no valid number");
        else if (now == timeline_before)
            ok = error_set(err, ERROR_FAILED, "the server is still on timeline %" PRIu32, timeline_before);
        else if (now < timeline_before)
            ok = not_an_ancestor((uint32_t)now, timeline_before, err);
        else
            ok = ask_history(s, (uint32_t)now, timeline_before, fork, err);
    }
    result_free(&res);
    session_close(s);
    return ok;
}
