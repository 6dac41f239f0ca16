/*
 * Scripts that complete the command line in a shell: commands, the options of each, and the words of choices.
 */
#include <string.h>

#include "cli/cli.h"

/* Whether an earlier entry has the same option name. */
static bool
completion_is_repeated(const struct option_spec *o)
{
    const struct option_spec *before;

    for (size_t n = 0; (before = cli_option(n)) != o; n++) {
        if (strcmp(before->name, o->name) == 0)
            return true;
    }
    return false;
}

static void
bash_print_names(const struct command *command, FILE *out)
{
    const struct option_spec *o;
    const char *between = "";

    for (size_t n = 0; (o = cli_option(n)) != NULL; n++) {
        if ((o->commands & command->bit) == 0)
            continue;
        fprintf(out, "%s--%s%s", between, o->name, option_takes_value(o) ? "=" : "");
        between = " ";
    }
}

/* "--file | -f) COMPREPLY=(…); return ;;" for each option that takes a value. */
static void
bash_print_value(const struct option_spec *o, FILE *out)
{
    struct buffer words = {0};

    fprintf(out, "    --%s", o->name);
    if (o->letter != 0)
        fprintf(out, " | -%c", o->letter);
    fputs(") ", out);
    if (o->kind == OPTION_CHOICE) {
        option_add_choices(o, " ", &words);
        fprintf(out, "COMPREPLY=($(compgen -W '%s' -- \"$word\")); ", words.data);
    } else if (o->kind == OPTION_FILE || o->kind == OPTION_DIRECTORY) {
        fprintf(out, "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -%c -- \"$word\"); ",
                o->kind == OPTION_FILE ? 'f' : 'd');
    }
    fputs("return ;;\n", out);
    buffer_free(&words);
}

static void
bash_print_command(const struct command *command, FILE *out)
{
    struct buffer words = {0};

    fprintf(out, "    %s) options='", command->name);
    bash_print_names(command, out);
    fputs("'", out);
    if (command->operand != NULL && command->operand->kind == OPTION_CHOICE) {
        option_add_choices(command->operand, " ", &words);
        fprintf(out, " operands='%s'", words.data);
    }
    fputs(" ;;\n", out);
    buffer_free(&words);
}

/* Readline ends a word at "=", so that --name=value arrives as three words. */
static void
bash_print(FILE *out)
{
    const struct command *command;
    const struct option_spec *o;

    fputs("# bash completion for pgrecast\n"
          "_pgrecast() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} options= operands=\n"
          "    if [[ $word == = ]]; then\n"
          "        word=\n"
          "    elif [[ $before == = && COMP_CWORD -gt 2 ]]; then\n"
          "        before=${COMP_WORDS[COMP_CWORD-2]}\n"
          "    fi\n"
          "    COMPREPLY=()\n"
          "    if ((COMP_CWORD == 1)); then\n"
          "        COMPREPLY=($(compgen -W '",
          out);
    for (size_t n = 0; (command = cli_command(n)) != NULL; n++)
        fprintf(out, "%s ", command->name);
    fputs("--help --version' -- \"$word\"))\n"
          "        return\n"
          "    fi\n"
          "    case $before in\n",
          out);
    for (size_t n = 0; (o = cli_option(n)) != NULL; n++) {
        if (option_takes_value(o) && !completion_is_repeated(o))
            bash_print_value(o, out);
    }
    fputs("    esac\n"
          "    case ${COMP_WORDS[1]} in\n",
          out);
    for (size_t n = 0; (command = cli_command(n)) != NULL; n++)
        bash_print_command(command, out);
    fputs("    esac\n"
          "    [[ $word == -* ]] || options=$operands\n"
          "    COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
          "    if [[ ${COMPREPLY[0]-} == *= ]]; then\n"
          "        compopt -o nospace\n"
          "    fi\n"
          "}\n"
          "complete -F _pgrecast pgrecast\n",
          out);
}

/* Quotes text for single quotes and brackets, where _arguments gives some characters a meaning. */
static void
zsh_print_quoted(const char *text, FILE *out)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fprintf(out, "%s%c", strchr("[]:\\", *text) != NULL ? "\\" : "", *text);
    }
}

static void
zsh_print_value(const struct option_spec *o, FILE *out)
{
    struct buffer text = {0};

    fprintf(out, ":%s:", o->name);
    if (o->kind == OPTION_CHOICE) {
        option_add_choices(o, " ", &text);
        fprintf(out, "(%s)", text.data);
    } else if (o->kind == OPTION_FILE) {
        fputs("_files", out);
    } else if (o->kind == OPTION_DIRECTORY) {
        fputs("_files -/", out);
    }
    buffer_free(&text);
}

/* "'(-f --file)'{-f,--file=}'[what it does]:file:_files'" */
static void
zsh_print_option(const struct option_spec *o, FILE *out)
{
    bool many = o->kind == OPTION_TEXTS;
    const char *assign = option_takes_value(o) ? "=" : "";

    fputs(" \\\n            ", out);
    if (o->letter != 0)
        fprintf(out, "'(-%c --%s)'{-%c%s,--%s%s}'[", o->letter, o->name, o->letter,
                option_takes_value(o) ? "+" : "", o->name, assign);
    else
        fprintf(out, "'%s--%s%s[", many ? "*" : "", o->name, assign);
    zsh_print_quoted(o->help, out);
    fputc(']', out);
    if (option_takes_value(o))
        zsh_print_value(o, out);
    fputc('\'', out);
}

static void
zsh_print_command(const struct command *command, FILE *out)
{
    const struct option_spec *o;

    fprintf(out, "    %s)\n        _arguments", command->name);
    for (size_t n = 0; (o = cli_option(n)) != NULL; n++) {
        if ((o->commands & command->bit) != 0)
            zsh_print_option(o, out);
    }
    if (command->operand != NULL) {
        fputs(" \\\n            '1", out);
        zsh_print_value(command->operand, out);
        fputc('\'', out);
    }
    fputs(" ;;\n", out);
}

static void
zsh_print(FILE *out)
{
    const struct command *command;

    fputs("#compdef pgrecast\n"
          "_pgrecast() {\n"
          "    local -a commands=(\n",
          out);
    for (size_t n = 0; (command = cli_command(n)) != NULL; n++) {
        fprintf(out, "        '%s:", command->name);
        zsh_print_quoted(command->summary, out);
        fputs("'\n", out);
    }
    fputs("    )\n"
          "    if ((CURRENT == 2)); then\n"
          "        _describe command commands\n"
          "        return\n"
          "    fi\n"
          "    shift words\n"
          "    ((CURRENT--))\n"
          "    case $words[1] in\n",
          out);
    for (size_t n = 0; (command = cli_command(n)) != NULL; n++)
        zsh_print_command(command, out);
    fputs("    esac\n"
          "}\n"
          "if [[ $funcstack[1] == _pgrecast ]]; then\n" /* a file in $fpath, which is run as the function */
          "    _pgrecast \"$@\"\n"
          "else\n"
          "    compdef _pgrecast pgrecast\n"
          "fi\n",
          out);
}

void
cli_print_completion(enum shell shell, FILE *out)
{
    (shell == SHELL_ZSH ? zsh_print : bash_print)(out);
}
