#include "space.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/mem.h"
#include "spool/spool.h"
#include "sql/sql.h"

/* Two segments of the spool, each with a large transaction's end: with less room nothing works. */
#define LEAST_BYTES (INT64_C(160) * 1024 * 1024)

#define MB (1024.0 * 1024)

/* The default directory of a job's spool: the state directory of the user, by the XDG conventions. */
static char *
default_spool_parent(void)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

    if (state != NULL && state[0] == '/')
        return mem_printf("%s/pgrecast", state);
    if (home != NULL && home[0] == '/')
        return mem_printf("%s/.local/state/pgrecast", home);
    return mem_printf("/var/tmp/pgrecast-%ld", (long)getuid());
}

/* A relative path is that of the present directory; a later command may run in another one. */
static char *
absolute(const char *path)
{
    char *here = path[0] != '/' ? getcwd(NULL, 0) : NULL;
    char *whole = here != NULL ? mem_printf("%s/%s", here, path) : mem_strdup(path);

    free(here);
    return whole;
}

char *
space_spool_parent(const struct job_options *o)
{
    return o->spool_directory != NULL ? absolute(o->spool_directory) : default_spool_parent();
}

/* The directory, or the one in which it would be made. */
static char *
existing_part(const char *path)
{
    char *part = mem_strdup(path), *slash;

    while (access(part, F_OK) != 0 && errno == ENOENT && (slash = strrchr(part, '/')) != NULL)
        slash[slash == part ? 1 : 0] = '\0';
    return part;
}

/*
 * What the tables' changes during the copy and the index builds may need, by the rate at which they have
 * changed. *known is false if that rate is not known. The rate of a table that was loaded lately is too high, so
 * this is no reason to refuse.
 */
static bool
estimate(struct session *s, const struct plan_set *plans, double *bytes, bool *known, struct error *err)
{
    double rate = 0;
    bool ok = true;

    *known = true;
    for (int i = 0; ok && i < plans->table_count; i++) {
        struct params p = {0};
        struct result r = {0};

        params_uint(&p, plans->tables[i].forward->source->oid);
        ok = session_row_with(s, &r, err, sql_job_change_rate, &p);
        if (ok && row_null(&r, 0, "bytes_per_second"))
            *known = false;
        else if (ok)
            rate += row_real(&r, 0, "bytes_per_second");
        result_free(&r);
    }
    *bytes = rate * plan_set_seconds(plans);
    return ok;
}

static char *
space_text(const struct plan_set *plans, const char *parent, double available, double needed, bool known)
{
    const char *have = plans->table_count > 1 ? "s have" : " has";
    char *rate =
        known
            ? mem_printf("By the rate at which the table%s changed since the statistics were reset, it needs "
                         "about %.0f MB during the copy.",
                         have, needed / MB)
            : mem_printf("How fast the table%s changed is not known, because the server's statistics were "
                         "never reset, or only lately.",
                         have);
    char *text =
        mem_printf("The spool in %s has %.0f MB of room; it needs room for all changes during the copy, and "
                   "%.0f MB at least. %s",
                   parent, available / MB, LEAST_BYTES / MB, rate);

    free(rate);
    return text;
}

bool
job_spool_space(struct session *s, const struct plan_set *plans, const struct job_options *o, char **text,
                bool *enough, struct error *err)
{
    char *parent = space_spool_parent(o), *part = existing_part(parent);
    struct statvfs disk;
    double needed, available;
    bool known, ok = estimate(s, plans, &needed, &known, err);

    *text = NULL;
    *enough = true;
    ok = ok && spool_check_place(part, err);
    if (!ok)
        goto out;
    if (statvfs(part, &disk) != 0 || access(part, W_OK | X_OK) != 0) {
        ok = error_set(err, ERROR_REFUSED, "the spool cannot be made in \"%s\": %m", parent);
        error_hint(err, "Name a directory for the spool with --spool-dir.");
        goto out;
    }
    available = (double)disk.f_bavail * (double)disk.f_frsize;
    *text = space_text(plans, parent, available, needed, known);
    *enough = !known || needed <= available;
    if (available < LEAST_BYTES) {
        ok = error_set(err, ERROR_REFUSED, "there is no room for the spool in \"%s\"", parent);
        error_detail(err, "%s", *text);
        error_hint(err, "Name a directory on a larger disk with --spool-dir, or make room.");
    }
out:
    free(part);
    free(parent);
    return ok;
}
