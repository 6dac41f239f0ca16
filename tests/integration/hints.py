"""The commands that the program prints (hints, `next`, the log): everyone of the suite is read as a shell would read it.

`check()` is called for each call of the program that a test makes. So a hint with an option that does not exist, a name that
is not quoted, or without the connection that its user needs fails the test that met it.
"""

import functools
import json
import os
import pathlib
import re
import shlex
import subprocess

PROGRAM = os.environ.get("PGRECAST_PROGRAM") or str(pathlib.Path(__file__).resolve().parents[2] / "build" / "pgrecast")

WITH_JOB = ("resume", "cutover", "rollback", "verify", "finish", "abort", "forget")  # they need the name of a job
COMMANDS = ("plan", "run", "status", "jobs", *WITH_JOB)
BEGIN = re.compile(rf"(?<![\w/.-])pgrecast (?={'|'.join(COMMANDS)}\b)")
CONNECTION = {"-d": "-d", "--dbname": "-d", "-h": "-h", "--host": "-h", "-p": "-p", "--port": "-p", "-U": "-U",
              "--username": "-U", "-w": "-w", "-W": "-W", "--state-owner": "--state-owner"}
ALONE = ("-w", "-W")


def command_at(text):
    """The command at the beginning of a text: up to the end of its line, or what ends it in a sentence, outside of quotes."""
    quoted = False
    for place, c in enumerate(text):
        if c == "'" and text[place - 1] != "\\":
            quoted = not quoted
        if not quoted and (c in "\n;`" or text.startswith((", ", "; "), place)):
            return text[:place]
    return text


def plain(line):
    """What a line of JSON says: of the log, or of `status --json`."""
    try:
        if line.startswith('{"time"'):
            return json.loads(line)["message"]
        if line.lstrip().startswith('"command": '):
            return json.loads("{" + line.strip().rstrip(",") + "}")["command"]
    except ValueError:  # the process was killed while it wrote
        pass
    return line


def commands(text):
    """All commands in an output of the program."""
    text = "\n".join(map(plain, text.splitlines()))
    return [command_at(text[found.start():]).strip() for found in BEGIN.finditer(text)]


def connection_of(words):
    """The options of the connection among the words of a command line, as {letter: value}."""
    found, words = {}, list(words)
    while words:
        name, equals, value = words.pop(0).partition("=")
        if name in CONNECTION:
            letter = CONNECTION[name]
            found[letter] = None if letter in ALONE else value if equals else words.pop(0)
    return found


def ends_with_operand(words):
    """The last word is no option, and no value of one."""
    before = words[-2]
    return len(words) > 2 and (before == "--" or not words[-1].startswith("-")
                               and (before not in CONNECTION or CONNECTION[before] in ALONE))


@functools.lru_cache(maxsize=None)
def refusal(words):
    """Why the program does not take the command line; None if it does. Nothing is done: it prints its help."""
    outcome = subprocess.run([PROGRAM, words[1], "--help", *words[2:]], capture_output=True, text=True, timeout=20)
    return None if outcome.returncode == 0 else outcome.stderr


def check(called, text):
    """called: the words of the call that has printed the text, without the program."""
    needed = connection_of(called)
    if not called or "--help" in called or "help" in called[:1] or re.search("password=|:[^/@]*@", str(needed.get("-d"))):
        return
    for command in commands(text):
        words = shlex.split(command)
        assert refusal(tuple(words)) is None, f"a command that is not valid: {command}\n{refusal(tuple(words))}"
        if "--help" in words:
            continue
        assert words[1] not in WITH_JOB or ends_with_operand(words), f"no job in: {command}"
        if words[1] not in ("plan", "run"):
            assert connection_of(words) == needed, f"called with {needed}, it says: {command}"
