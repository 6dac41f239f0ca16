/*
 * The options of the command line, described as data. For each option: its name, the kind of its value, where
 * that value is stored, its limits and default, the commands that take it and its text in the help. Parsing,
 * the help, the completion of a shell and the JSON that is stored with a job are all made from this one
 * description. A new option is a member of the struct in which it is stored, and one entry in a table.
 *
 * A table belongs to the module that reads the values: job/job.h has the table of a job's options, cli/cli.h
 * that
 * of the command line's own. This module knows neither of them.
 *
 * Refuses values that an entry does not allow. Names and values of the command line are not secret here:
 * errors quote them.
 */
#ifndef PGRECAST_OPTIONS_OPTION_H
#define PGRECAST_OPTIONS_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/error.h"
#include "core/fields.h"

/*
 * The kind of value that follows the name. In brackets the type of the member in which the value is stored.
 */
enum option_kind {
    OPTION_FLAG, /* no value (bool): the option sets the opposite of the default */
    OPTION_TEXT, /* any text (char *, a copy) */
    OPTION_NAME, /* a text that is the name of something: not empty, no control characters, .most bytes */
    OPTION_FILE, /* a text that is the path of a file */
    OPTION_DIRECTORY, /* a text that is the path of a directory */
    OPTION_TEXTS,     /* a text; the option may be given several times (char **, with a count) */
    OPTION_COUNT,     /* a number (int or int64_t) */
    /* A time in milliseconds: 250ms, 2s, 1min (int or int64_t); every number but 0 needs a unit. */
    OPTION_MS,
    /* A time in whole seconds: 30s, 10min, 24h, 1d12h, 1w (int or int64_t); the same rule for units. */
    OPTION_SECONDS,
    OPTION_SIZE,   /* bytes: 64kB, 8MB, 1GB (int or int64_t); the same rule for units */
    OPTION_CHOICE, /* one of several words (bool or enum) */
};

/* The commands, each a bit, to say which of them take an option. */
enum option_command {
    FOR_PLAN = 1 << 0,
    FOR_RUN = 1 << 1,
    FOR_RESUME = 1 << 2,
    FOR_STATUS = 1 << 3,
    FOR_JOBS = 1 << 4,
    FOR_CUTOVER = 1 << 5,
    FOR_ROLLBACK = 1 << 6,
    FOR_VERIFY = 1 << 7,
    FOR_FINISH = 1 << 8,
    FOR_ABORT = 1 << 9,
    FOR_DECODE = 1 << 10,
    FOR_COMPLETION = 1 << 11,
    FOR_FORGET = 1 << 12,
    FOR_ALL = (1 << 13) - 1,
    FOR_ALL_ON_SERVERS = FOR_ALL & ~FOR_COMPLETION,
};

/* The section of the help that shows the option. */
enum option_section { SECTION_HOW, SECTION_WHAT, SECTION_CONNECTION, SECTION_GENERAL };

struct option_spec {
    const char *name; /* without the dashes */
    char letter;      /* the short form, or 0 */
    enum option_kind kind;
    unsigned int commands; /* the commands that take it: bits of enum option_command */
    enum option_section section;
    struct field to; /* the member in which the value is stored */
    bool in_file;    /* a file with the statements may set it: it gives no rights, and no paths */
    bool stored;     /* stored with the job, under the name of the member; not for texts */
    /*
     * Limits of a number, in the kind's unit; least is also the value of the first choice. most is also the
     * longest name, in bytes; 0: any.
     */
    int64_t least, most;
    const char *const *choices;     /* the words of a choice, in the order of their values; ends with NULL */
    int64_t standard;               /* the default, which may be outside of the limits */
    int64_t (*find_standard)(void); /* NULL, or a function that computes the default instead of .standard */
    /* The default as the help shows it, where the value alone does not explain it. */
    const char *standard_words;
    const char *metavar; /* the value as the help shows it, where the kind does not name it */
    const char *help;    /* text of the help: lower case, no period; without the default */
};

struct option_table {
    const struct option_spec *options;
    size_t count;
    size_t size; /* of the struct in which the values are stored */
};

/* Defines the table of the options in an array whose values are stored in members of the struct. */
#define OPTION_TABLE(owner, array)                                                                           \
    {                                                                                                        \
        .options = (array), .count = sizeof(array) / sizeof((array)[0]), .size = sizeof(owner)               \
    }

bool option_takes_value(const struct option_spec *o);

/*
 * Set the value that the text has (NULL for a flag) in the object. ERROR_USAGE when the text is not such a
 * value; then nothing has changed. The error is about the text and does not name the option.
 */
bool option_set(const struct option_spec *o, const char *text, void *object, struct error *err);

/* Add the placeholder of the value for the help, for example N, TIME or auto|hold; nothing for a flag. */
void option_add_metavar(const struct option_spec *o, struct buffer *out);

/* Add the words of a choice. */
void option_add_choices(const struct option_spec *o, const char *between, struct buffer *out);

/*
 * Add the default as the help shows it. False where none is shown: for flags, and where the default means
 * that no value is given.
 */
bool option_add_standard(const struct option_spec *o, struct buffer *out);

/* Set the defaults of all options in a zeroed object; free the texts and set them to NULL. */
void options_set_standard(const struct option_table *table, void *object);
void options_free(const struct option_table *table, void *object);

/* The values of the stored options as JSON; the caller frees it. */
char *options_write(const struct option_table *table, const void *object);

/*
 * Set the stored options in the object, and leave all others as they are. ERROR_FAILED, with nothing changed,
 * when the text is not one that options_write() writes: when an option is missing, unknown, given twice, of
 * another type, or has a value that the command line could not give it.
 */
bool options_read(const struct option_table *table, void *object, const char *json, struct error *err);

#endif
