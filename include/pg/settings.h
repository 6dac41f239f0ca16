/*
 * The settings of sessions. There are two sets:
 *
 *   evaluation  what the user's expressions see: the settings of the session in which the job was started. They
 *               are stored with the job and pinned in every session of it, whoever connects, from wherever, and
 *               whatever the role or the database sets meanwhile.
 *   transport   the same, except for the settings that control how values are written as text (DateStyle,
 *               IntervalStyle, extra_float_digits, bytea_output). These are set so that text is exact, and the
 *               same in all sessions that exchange values.
 *
 * Settings that belong to neither set (search_path, time limits, …) are pinned to one value in both.
 *
 * Text that was written under transport is read in the same way under both. So a session that evaluates
 * differs only in the text that it writes; there, text for the program is made by SESSION_TEXT_FUNCTION.
 */
#ifndef PGRECAST_PG_SETTINGS_H
#define PGRECAST_PG_SETTINGS_H

#include <stdbool.h>

#include "core/error.h"

/* Zero-initialise: the session's own. Released by session_settings_clear(). */
struct session_settings {
    char *evaluation; /* JSON: value by name */
    char *transport;
    bool differ; /* some value is written differently under the two sets */
};

void session_settings_clear(struct session_settings *settings);

struct session;

/*
 * The settings that were stored with a job. With stored NULL: those that the session began with, which come
 * from its role, its database and its connection, not what was set in the session later. Settings of the
 * application (app.tenant) belong to them if the role, the database or the connection's options set them. An
 * application setting that is set now, but is not among the stored ones, gets the value ''.
 */
bool session_settings_read(struct session *s, const char *stored, struct session_settings *settings,
                           struct error *err);

/* From now on the session uses these settings, in the set of transport. They are copied. */
bool session_settings_adopt(struct session *s, const struct session_settings *settings, struct error *err);

/*
 * The settings that the session uses: those of its connection_options, else those that it began with. They
 * belong to the session.
 */
const struct session_settings *session_settings(struct session *s, struct error *err);

/*
 * From now on the session writes text as the user's expressions have to see it (evaluation), or as it is
 * exchanged (transport). Nothing is sent if the two sets do not differ. Inside a transaction this lasts until
 * its end, if that is a rollback.
 */
bool session_evaluate(struct session *s, struct error *err);
bool session_transport(struct session *s, struct error *err);

/*
 * The same as a statement of a pipeline, in a session that has a job's settings. Adds no statement if it
 * would change nothing.
 */
struct pipeline;
void session_add_settings(struct session *s, struct pipeline *p, bool evaluation);

/*
 * Time limits, in milliseconds; 0: none. session_pin() sets them. A session has none, except in the transaction
 * of a swap, whose limits must stay when its settings are pinned again under the lock. transaction_ms: 17 and
 * later.
 */
struct session_limits {
    int lock_ms, statement_ms, idle_ms, transaction_ms;
};

/* Set the limits for the next session_pin() and those after it; NULL: none. */
void session_set_limits(struct session *s, const struct session_limits *limits);

/*
 * Pin all settings of the session again, as session_open() did for its kind: one statement without
 * parameters, to begin a transaction or a pipeline with if the user's code may have run before. The text
 * belongs to the session.
 */
const char *session_pin_sql(struct session *s);
bool session_pin(struct session *s, struct error *err);

/*
 * In a session of kind SESSION_EVALUATION whose settings differ: gives the text of any value under transport,
 * NULL for NULL.
 */
#define SESSION_TEXT_FUNCTION "pg_temp.pgrecast_text"

/* Create that function in a session of another kind, until the end of its transaction. */
bool session_make_text_function(struct session *s, struct error *err);

#endif
