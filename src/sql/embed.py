#!/usr/bin/env python3
"""Embed .sql files as C strings: FILE.sql becomes `const char sql_FILE[]`, declared in sql.h, defined in sql.c.

usage: embed.py OUT.h OUT.c FILE.sql…
"""
import pathlib
import sys


def c_string(text):
    lines = []
    for line in text.splitlines():
        escaped = line.replace("\\", "\\\\").replace('"', '\\"').replace("?", "\\?")
        lines.append(f'    "{escaped}\\n"')
    return "\n".join(lines)


def main(header, source, files):
    paths = [pathlib.Path(f) for f in files]
    declarations = [f"extern const char sql_{p.stem}[];" for p in paths]
    definitions = [f"const char sql_{p.stem}[] =\n{c_string(p.read_text())};" for p in paths]
    pathlib.Path(header).write_text(
        "/* Generated from src/sql: the statements the program runs, by file name. */\n"
        "#ifndef PGRECAST_SQL_SQL_H\n#define PGRECAST_SQL_SQL_H\n\n" + "\n".join(declarations) + "\n\n#endif\n")
    pathlib.Path(source).write_text('#include "sql/sql.h"\n\n' + "\n\n".join(definitions) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
