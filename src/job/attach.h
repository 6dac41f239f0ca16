/* Taking a job that exists: its lock, its plans, and whether the server still has what it needs. */
#ifndef PGRECAST_JOB_ATTACH_H
#define PGRECAST_JOB_ATTACH_H

#include "engine.h"

/*
 * Load a job from the database into the engine: take its lock, read its plans, check what it needs of the
 * server and the spool.
 */
bool attach_job(struct engine *e, const char *name, struct error *err);

/*
 * Adopt the settings stored with the job for all its sessions, from now on. stored NULL: take the settings of
 * the control session.
 */
bool attach_settings(struct engine *e, const char *stored, struct error *err);
/* After a lost connection: try to attach again until it succeeds or the time is over. */
bool attach_again(struct engine *e, struct error *err);
/* Make the plan of the current direction the engine's. */
void attach_direction(struct engine *e);
/* Set in the engine's plans which table is active now: the plans were made before the new table existed. */
void attach_note_active(struct engine *e);
/* True where the slot is gone or was invalidated, or a publication was changed; err says which. */
bool attach_stream_lost(struct engine *e, struct error *err);
/*
 * True where the job can never continue, because its slot is gone or because its table is another one now;
 * err says which.
 */
bool attach_hopeless(struct engine *e, struct error *err);

#endif
