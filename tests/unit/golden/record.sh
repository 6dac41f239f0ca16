#!/bin/sh
# Record the goldens anew: record.sh MAJOR=DIRECTORY..., each a directory with initdb, pg_ctl and postgres of that major.
# Needs psql. Run as root it starts the servers as the user postgres.
#
# A golden holds one message a line: its LSN and its bytes in hex.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

as_server() {
    if [ "$(id -u)" = 0 ]; then setpriv --reuid postgres --regid postgres --clear-groups "$@"; else "$@"; fi
}

record() {
    major=$1 bin=$2
    data=$(mktemp -d)
    if [ "$(id -u)" = 0 ]; then chown postgres: "$data"; fi
    as_server "$bin/initdb" --no-sync -A trust -U postgres -E UTF8 --locale=C -D "$data/cluster" >/dev/null
    as_server "$bin/pg_ctl" -s -w -D "$data/cluster" -l "$data/log" \
        -o "-k $data -c listen_addresses='' -c wal_level=logical -c autovacuum=off -c max_prepared_transactions=1" start
    trap 'as_server "$bin/pg_ctl" -s -m immediate -D "$data/cluster" stop; rm -rf "$data"' EXIT
    PGOPTIONS='-c DateStyle=ISO -c TimeZone=UTC' psql -X -q -h "$data" -U postgres -f "$here/changes.sql"
    psql -X -q -A -t -F ' ' -v ON_ERROR_STOP=1 -h "$data" -U postgres >"$here/pgoutput-$major.hex" <<SQL
SELECT lsn, encode(data, 'hex')
  FROM pg_logical_slot_get_binary_changes('golden', NULL, NULL, 'proto_version', '1',
       'publication_names', 'golden', 'messages', 'true');
SQL
    as_server "$bin/pg_ctl" -s -m fast -D "$data/cluster" stop
    trap - EXIT
    rm -rf "$data"
    echo "$major: $(wc -l <"$here/pgoutput-$major.hex") messages"
}

[ $# -gt 0 ] || { sed -n '2,5s/^# //p' "$0"; exit 2; }
for argument; do record "${argument%%=*}" "${argument#*=}"; done
