/*
 * Commands of the program in its own messages: hints, lines of the log, the next commands of `status`. Such a
 * text is written with marks, and command_expand() completes it where it is printed, because only the process
 * that prints it knows how its user has reached the server: a hint may have been written by an instance on
 * another host. What the user reads can be pasted into a shell.
 *
 * Refuses: passwords; the caller never passes them.
 */
#ifndef PGRECAST_CORE_COMMAND_H
#define PGRECAST_CORE_COMMAND_H

#include <stdbool.h>

#include "core/buffer.h"

/* No name of a job has these characters: command_name_valid(). */
#define COMMAND_OPEN "\x1d"
#define COMMAND_CLOSE "\x1f"

/*
 * A command about a job, as a part of a format: the name of the job is its argument. words are literal: the
 * command, and options that are its own. For example error_hint(err, "Run: " COMMAND("resume"), name).
 */
#define COMMAND(words) "pgrecast " words COMMAND_OPEN "%s" COMMAND_CLOSE

/* A command on the server that is about no job. Nothing is an argument. */
#define COMMAND_PLAIN(words) "pgrecast " words COMMAND_OPEN COMMAND_CLOSE

/*
 * The text with all commands complete: the options of the connection, then the job's name. connection is
 * quoted for the shell already; "" or NULL: none. The caller frees it.
 */
char *command_expand(const char *text, const char *connection);

/* Append a text as one word of a shell: as it is, or in single quotes. */
void command_add_word(struct buffer *out, const char *text);

/* Append " -x word", where value is not NULL. */
void command_add_option(struct buffer *out, const char *option, const char *value);

/* Whether a job may have the name: it is not empty and has no control character. */
bool command_name_valid(const char *name);

#endif
