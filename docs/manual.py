#!/usr/bin/env python3
"""Write the manual page from a template and from what the program says of itself, so that both always agree.

usage: manual.py PROGRAM DATADIR DOCDIR TEMPLATE OUT

The commands are those that `PROGRAM --help` lists, and `completion`, which it mentions below them. The usage, the summary
and the options of a command are what `PROGRAM COMMAND --help` prints. Options for the connection and in general are the
same for all commands that connect to a server, and stand together. A line of the help that has another form than expected
is an error.
"""
import pathlib
import re
import subprocess
import sys

SHARED = ("Connection", "General")  # headings
FOOTER = ("Units:", "Environment:", "Exit status:", "Example:")
UNLISTED = "completion"  # connects to no server
COMMAND = re.compile(r"^  (\w+) +\S")
OPTION = re.compile(r"^  (?:(-\w), |    )(--[\w-]+)(=\S+)?(?: +(\S.*))?$")
CONTINUED = re.compile(r"^ {20,}(\S.*)$")


def escape(text):
    """Text as roff prints it to the letter. What stands in backquotes is bold."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("~", "\\(ti").replace("^", "\\(ha")
    text = re.sub(r"`([^`]*)`", r"\\fB\1\\fR", text)
    return "\\&" + text if text.startswith(".") else text


def bold(text):
    return f"\\fB{escape(text)}\\fR"


class Command:
    """A command as its help describes it."""

    def __init__(self, name, text):
        usage, _, summary, *lines = text.splitlines()
        self.name = name
        self.usage = usage.removeprefix("Usage: ").strip()
        self.summary = summary
        self.sections = {"": []}  # of the options (letter, name, value, text), by heading
        heading = ""
        self.example = lines[lines.index("Example:") + 1].strip()
        for line in lines:
            if line in FOOTER:  # the template has what stands there, for all commands
                break
            option, continued = OPTION.match(line), CONTINUED.match(line)
            if option:
                self.sections[heading].append([part or "" for part in option.groups()])
            elif continued:
                last = self.sections[heading][-1]
                last[3] = f"{last[3]} {continued[1]}".strip()
            elif line.endswith(":"):
                heading = line[:-1]
                self.sections[heading] = []
            elif line:
                sys.exit(f"manual.py: the help of {name} has a line of another form: {line!r}")

    def own(self):
        return [o for heading, options in self.sections.items() if not heading.startswith(SHARED) for o in options]

    def shared(self):
        return [o for heading, options in self.sections.items() if heading.startswith(SHARED) for o in options]


def read_help(program, *arguments):
    return subprocess.run([program, *arguments, "--help"], check=True, stdout=subprocess.PIPE, text=True).stdout


def read_commands(program):
    listed = read_help(program).partition("`pgrecast help COMMAND`")[0]
    names = [m[1] for m in map(COMMAND.match, listed.splitlines()) if m]
    return [Command(name, read_help(program, name)) for name in [*names, UNLISTED]]


def write_option(option, but=()):
    letter, name, value, text = option
    head = (f"{bold(letter)}, " if letter else "") + bold(name)
    if value:
        head += f"=\\fI{escape(value[1:])}\\fR"
    if but:
        text += f" (not: {', '.join(but)})"
    return [".TP", head, escape(text)]


def write_usage(command):
    name, rest = re.match(r"(\w+ \w+)(.*)", command.usage).groups()
    return bold(name) + escape(rest)


def write_synopsis(commands):
    lines = []
    for command in commands:
        lines += [".br"] * bool(lines) + [write_usage(command)]
    return lines


def write_commands(commands):
    lines = []
    for command in commands:
        lines += [f".SS {command.name}", write_usage(command), ".PP", escape(command.summary)]
        for option in command.own():
            lines += write_option(option)
        lines += [".PP", "Example:", ".PP", ".nf", ".RS", escape(command.example), ".RE", ".fi"]
    return lines


def write_shared(commands):
    """Each once, in the order of the help, with the commands that do not take it."""
    takers = {}
    commands = [c for c in commands if c.name != UNLISTED]
    for command in commands:
        for option in command.shared():
            takers.setdefault(tuple(option), []).append(command.name)
    order = [tuple(option) for option in max((c.shared() for c in commands), key=len)]
    if set(order) != set(takers):
        sys.exit("manual.py: no command takes all options of the connection and in general")
    return [line for option in order
            for line in write_option(option, [c.name for c in commands if c.name not in takers[option]])]


def main(program, data, doc, template, out):
    commands = read_commands(program)
    version = subprocess.run([program, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()[1]
    text = pathlib.Path(template).read_text()
    for word, lines in {"VERSION": [version], "SYNOPSIS": write_synopsis(commands), "COMMANDS": write_commands(commands),
                        "OPTIONS": write_shared(commands), "DATADIR": [escape(data)], "DOCDIR": [escape(doc)]}.items():
        text = text.replace(f"@{word}@", "\n".join(lines))
    pathlib.Path(out).write_text(text)


main(*sys.argv[1:])
