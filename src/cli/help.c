/* What --help prints, for the program and for each command. */
#include <string.h>

#include "cli/cli.h"

#define TEXT_COLUMN 27 /* the column in which the description of an option begins */
#define LINE_WIDTH 100

/* In the order in which they are shown. */
static const struct {
    enum option_section section;
    const char *heading;
} sections[] = {
    {SECTION_WHAT, "What to change:"},
    {SECTION_HOW, "How:"},
    {SECTION_CONNECTION, "Connection (libpq's environment, service file and .pgpass apply):"},
    {SECTION_GENERAL, "General:"},
};

static const char units[] =
    "Units:\n"
    "  times: ms, s, min, h, d, w, as in 250ms, 30min, 1d12h; sizes: kB, MB, GB, TB, as in 64MB. A number\n"
    "  without a unit is an error, except 0.\n";

static const char environment[] =
    "\nEnvironment:\n"
    "  PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSFILE, PGSERVICE and the other variables of libpq\n"
    "  XDG_STATE_HOME, HOME: where the spool is kept without --spool-dir\n";

static const char exit_status[] = "\nExit status:\n"
                                  "  0 done\n"
                                  "  1 failed; a job can be resumed\n"
                                  "  2 the command line or the SQL is wrong\n"
                                  "  3 refused; nothing was created\n"
                                  "  4 parity failed; nothing was swapped\n"
                                  "  5 no lock within the attempts; nothing was swapped\n"
                                  "  6 a rollback is not possible; the message says why\n";

void
cli_print_usage(FILE *out)
{
    const struct command *command;

    fputs("pgrecast rewrites a big, busy PostgreSQL table online: give it the ALTER TABLE you would have "
          "run.\n\n"
          "Usage: pgrecast COMMAND [OPTION...]\n\n",
          out);
    for (size_t n = 0; (command = cli_command(n)) != NULL; n++) {
        if (!command->hidden)
            fprintf(out, "  %-8s  %s\n", command->name, command->summary);
    }
    fputs("\n`pgrecast help COMMAND` prints the options of a command, with an example. `pgrecast --version` "
          "prints "
          "the version.\n"
          "Completion in bash: source <(pgrecast completion bash); in zsh: source <(pgrecast completion "
          "zsh).\n\n",
          out);
    fputs(units, out);
    fputs(environment, out);
    fputs(exit_status, out);
    fputs("\nExample:\n"
          "  pgrecast plan -d shop --sql 'ALTER TABLE orders ALTER COLUMN id TYPE bigint'\n"
          "  pgrecast run -d shop --sql 'ALTER TABLE orders ALTER COLUMN id TYPE bigint'\n"
          "  pgrecast status orders -d shop\n"
          "  pgrecast finish orders -d shop\n",
          out);
}

/* Print the text in lines, all but the first one indented; column is where the first one begins. */
static void
help_print_wrapped(const char *text, size_t column, FILE *out)
{
    while (*text != '\0') {
        size_t len = strcspn(text, " "), space = column > TEXT_COLUMN ? 1 : 0;

        if (column > TEXT_COLUMN && column + space + len > LINE_WIDTH) {
            fprintf(out, "\n%*s", TEXT_COLUMN, "");
            column = TEXT_COLUMN;
            space = 0;
        }
        fprintf(out, "%*s%.*s", (int)space, "", (int)len, text);
        column += space + len;
        text += len + (text[len] == ' ');
    }
    fputc('\n', out);
}

/* "  -f, --file=FILE          what it does (default)". */
static void
print_option(const struct option_spec *o, FILE *out)
{
    struct buffer head = {0}, standard = {0}, text = {0};

    if (o->letter != 0)
        buffer_printf(&head, "  -%c, --%s", o->letter, o->name);
    else
        buffer_printf(&head, "      --%s", o->name);
    if (option_takes_value(o)) {
        buffer_add_char(&head, '=');
        option_add_metavar(o, &head);
    }
    buffer_add_text(&text, o->help);
    if (option_add_standard(o, &standard))
        buffer_printf(&text, " (%s)", standard.data);
    if (head.len < TEXT_COLUMN)
        fprintf(out, "%-*s", TEXT_COLUMN, head.data);
    else
        fprintf(out, "%s ", head.data);
    help_print_wrapped(text.data, head.len < TEXT_COLUMN ? TEXT_COLUMN : head.len + 1, out);
    buffer_free(&head);
    buffer_free(&standard);
    buffer_free(&text);
}

/*
 * SECTION_HOW gets no heading where it comes first: a command that makes no change to a table has no section
 * before it.
 */
static bool
print_section(const struct command *command, size_t i, bool first, FILE *out)
{
    const struct option_spec *o;
    bool any = false;

    for (size_t n = 0; (o = cli_option(n)) != NULL; n++) {
        if ((o->commands & command->bit) == 0 || o->section != sections[i].section)
            continue;
        if (!any && !first)
            fputc('\n', out);
        if (!any && !(first && o->section == SECTION_HOW))
            fprintf(out, "%s\n", sections[i].heading);
        print_option(o, out);
        any = true;
    }
    return any;
}

static bool
has_units(const struct command *command)
{
    const struct option_spec *o;

    for (size_t n = 0; (o = cli_option(n)) != NULL; n++)
        if ((o->commands & command->bit) != 0 &&
            (o->kind == OPTION_MS || o->kind == OPTION_SECONDS || o->kind == OPTION_SIZE))
            return true;
    return false;
}

void
cli_print_help(const struct command *command, FILE *out)
{
    bool first = true;

    fprintf(out, "Usage: pgrecast %s %s\n\n%c%s.\n\n", command->name, command->arguments,
            command->summary[0] - 'a' + 'A', command->summary + 1);
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        if (print_section(command, i, first, out))
            first = false;
    }
    fputc('\n', out);
    if (has_units(command))
        fputs(units, out);
    if ((command->bit & FOR_ALL_ON_SERVERS) != 0) {
        fputs(environment + (has_units(command) ? 0 : 1), out);
        fputs(exit_status, out);
    }
    fprintf(out, "%sExample:\n  %s\n", (command->bit & FOR_ALL_ON_SERVERS) != 0 ? "\n" : "",
            command->example);
}
