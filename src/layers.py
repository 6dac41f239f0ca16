#!/usr/bin/env python3
"""Each module includes and calls only what src/meson.build declares for it, and what is sent to a server is ASCII.

usage: layers.py SOURCE_ROOT STAMP NM MODULE=NEED,NEED…=LIBRARY,LIBRARY… … -- ARCHIVE…

A library may call upward unnoticed as long as the program as a whole links, and one include path serves all modules.
So this reads the #include lines of all sources and the symbols of all archives. A server converts every text that it
gets to the encoding of its database, which may lack a character, even in a comment: so SQL files and string literals
are ASCII. Fails with one line for each breach;
else writes STAMP.
"""
import pathlib
import re
import subprocess
import sys

# Libraries of others: their headers, and how their functions begin.
LIBRARIES = {
    "jansson": ("jansson.h", "json_"),
    "libpq": ("libpq-fe.h", "PQ"),
    "pg_query": ("pg_query", "pg_query_"),
    "protobuf_c": ("protobuf-c/", "protobuf_c_"),
    "threads": ("pthread.h", "pthread_create"),
    "xxhash": ("xxhash.h", "XXH"),
}
GENERATED = {"sql/sql.h", "change.pb-c.h", "statements.h"}
COMMAND_WITH_NAME = re.compile(r"pgrecast (?:resume|status|cutover|rollback|verify|finish|abort|forget)[\w =-]* %s")
COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'', re.DOTALL)
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


def check_include(root, module, needs, libraries, file, own, foreign):
    """What is wrong with one #include, or None."""
    if foreign:
        for name, (header, _) in LIBRARIES.items():
            if foreign.startswith(header) and name not in libraries:
                return f"<{foreign}> is of {name}, which {module} does not declare"
        return None
    other, _, rest = own.rpartition("/")
    if not other:
        known = own in GENERATED or (file.parent / own).exists()
        return None if known else f'"{own}" is not beside it'
    if other != module and other not in needs:
        return f'"{own}" is of {other}, which {module} does not declare'
    if own not in GENERATED and not (root / "include" / own).exists():
        return f'"{own}" is not a public header of {other}'
    return None


def check_includes(root, modules):
    for module, (needs, libraries) in modules.items():
        files = [f for top in ("src", "include") for f in sorted((root / top / module).glob("*.[ch]"))]
        for file in files:
            for own, foreign in INCLUDE.findall(file.read_text()):
                wrong = check_include(root, module, needs, libraries, file, own, foreign)
                if wrong:
                    yield f"{file.relative_to(root)}: {wrong}"


def check_ascii(root):
    for file in sorted((root / "src").rglob("*.sql")):
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if not line.isascii():
                yield f"{file.relative_to(root)}:{number}: not ASCII"
    for file in sorted(f for top in ("src", "include") for f in (root / top).rglob("*.[ch]")):
        for part in COMMENT_OR_STRING.findall(file.read_text()):
            if part.startswith('"') and not part.isascii():
                yield f"{file.relative_to(root)}: not ASCII: {part}"


def check_commands(root):
    """A command about a job, in a message, gets its connection and quotes from COMMAND() of core/command.h."""
    for file in sorted(f for top in ("src", "include") for f in (root / top).rglob("*.[ch]")):
        for part in COMMAND_WITH_NAME.findall(file.read_text()):
            yield f"{file.relative_to(root)}: write it with COMMAND(): {part}"


def read_symbols(nm, archive):
    """The archive's symbols: those defined, and those that it takes from elsewhere."""
    defined, undefined = set(), set()
    command = [nm, "--format=posix", "--extern-only", archive]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    for line in out.stdout.splitlines():
        words = line.split()
        if len(words) >= 2 and not line.endswith(":"):
            (undefined if words[1] in "Uvw" else defined).add(words[0])
    return defined, undefined - defined


def check_calls(nm, modules, archives):
    symbols = {pathlib.Path(a).stem[len("lib"):]: read_symbols(nm, a) for a in archives}
    owner = {name: module for module, (defined, _) in symbols.items() for name in defined}
    for module, (_, undefined) in symbols.items():
        needs, libraries = modules[module]
        for name in sorted(undefined):
            if name in owner:
                if owner[name] not in needs:
                    yield f"{module} calls {name}() of {owner[name]}, which it does not declare"
                continue
            for library, (_, prefix) in LIBRARIES.items():
                if name.startswith(prefix) and library not in libraries:
                    yield f"{module} calls {name}() of {library}, which it does not declare"


def main():
    root, stamp, nm, *rest = sys.argv[1:]
    split = rest.index("--")
    modules = {}
    for module in rest[:split]:
        name, needs, libraries = module.split("=")
        modules[name] = (needs.split(","), libraries.split(","))
    breaches = [*check_ascii(pathlib.Path(root)), *check_commands(pathlib.Path(root)), *check_includes(pathlib.Path(root), modules),
                *check_calls(nm, modules, rest[split + 1:])]
    for breach in breaches:
        print(f"layers: {breach}", file=sys.stderr)
    if not breaches:
        pathlib.Path(stamp).touch()
    return 1 if breaches else 0


sys.exit(main())
