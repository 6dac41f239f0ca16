-- The state of all jobs of this database. Only the role that owns the schema writes it; others may be allowed to read it:
-- GRANT USAGE ON SCHEMA pgrecast and GRANT SELECT ON ALL TABLES IN SCHEMA pgrecast.
CREATE SCHEMA pgrecast;
COMMENT ON SCHEMA pgrecast IS 'state of pgrecast jobs';

-- One row: the format of this schema. A program refuses a newer one and replaces an older one.
CREATE TABLE pgrecast.format (
    version            integer NOT NULL
);

-- A stream of changes: a replication slot with its publications and its spool. Several jobs may share it.
CREATE TABLE pgrecast.stream (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slot_name          text NOT NULL,
    publication_name   text NOT NULL,             -- of the original tables
    back_publication_name text NOT NULL,          -- of the new tables, whose changes are followed after a cutover
    system_identifier  text NOT NULL,             -- of the server on which the slot was made
    database_oid       oid,                       -- of the database of the slot; null: the job has an earlier format
    timeline           integer NOT NULL,
    start_lsn          pg_lsn,                    -- log position at which the slot began
    host               text NOT NULL,             -- host of the spool
    spool_directory    text NOT NULL,             -- on this host; one directory below it for each direction
    published          jsonb,                     -- what its publications publish, as the program has made them
    created_at         timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- One row for each job. The row of a job that has ended stays as a record, until `forget`.
CREATE TABLE pgrecast.job (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    format             integer NOT NULL,          -- of the job: a program refuses a job of another format
    name               text NOT NULL,
    stream_id          bigint NOT NULL REFERENCES pgrecast.stream,
    phase              text NOT NULL,             -- init copy index catchup verify ready cutover reverse rolled_back finished aborted failed
    phase_since        timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by         text NOT NULL,             -- role of the session that started the job
    ended_at           timestamptz,
    schema_name        text NOT NULL,             -- of the table that is first in the statements
    table_name         text NOT NULL,
    sql                text,                      -- the statements given; null for a rebuild
    options            jsonb NOT NULL,            -- of the command line, for a resume
    settings           jsonb,                     -- of the session that started the job: the evaluation set, by name
    host               text NOT NULL,             -- host of the program, and below its process
    pid                integer NOT NULL,
    instance_since     timestamptz NOT NULL DEFAULT clock_timestamp(), -- when that process took the job
    instance           bigint NOT NULL DEFAULT 1, -- counts the processes that took the job; writes of an earlier one are refused
    swaps              integer NOT NULL DEFAULT 0, -- number of swaps so far; even: the original is active
    x0                 xid8,                      -- rows of this transaction and later ones come from the stream
    barrier_lsn        pg_lsn,                    -- at this position every transaction older than x0 has ended
    exact_lsn          pg_lsn,                    -- from here on each shadow equals its source at the applied position
    shadow_complete    boolean NOT NULL DEFAULT false, -- all new tables are complete (constraints, owner) except for the swap
    error              text,
    held               text,                      -- why nothing is swapped for now; null: swaps are possible
    held_changes       jsonb,                     -- what was changed: [{object, property, what}]
    held_for_good      boolean NOT NULL DEFAULT false, -- no swap will be possible any more
    swapped_at         timestamptz,               -- time of the last swap (cutover or rollback), ...
    swap_xid           xid8,                      -- ... its transaction, ...
    swap_lsn           pg_lsn,                    -- ... and a log position before its commit and after all that it has applied
    ends_at            timestamptz                -- end of the rollback window; null: it lasts until finish
);
CREATE UNIQUE INDEX job_name_open ON pgrecast.job (name) WHERE ended_at IS NULL;

-- The plan of a job, for both directions. It is made once; only the maps of a rollback make another version. The latest
-- version counts.
CREATE TABLE pgrecast.plan (
    job_id             bigint NOT NULL REFERENCES pgrecast.job ON DELETE CASCADE,
    version            integer NOT NULL,
    plan               jsonb NOT NULL,
    made_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (job_id, version)
);

-- The tables of a job, in the order in which they are locked.
CREATE TABLE pgrecast.job_table (
    job_id             bigint NOT NULL REFERENCES pgrecast.job ON DELETE CASCADE,
    number             integer NOT NULL,          -- beginning with 1
    schema_name        text NOT NULL,
    table_name         text NOT NULL,
    source_oid         oid NOT NULL,              -- of the original
    shadow_oid         oid,                       -- of the new table
    fingerprint        text NOT NULL,             -- of the original's definition when the job began
    copied_filenode    oid,                       -- storage of the original from which the chunks were read
    definition         jsonb,                     -- of the original when the job began: {object: {property: value}}
    guard_seal         text,                      -- of the inactive table, while nobody but the job can have written it; null: not known
    active_fingerprint text,                     -- of the active table, as the last swap left it
    active_definition jsonb,
    other_fingerprint  text,                      -- of the inactive table, as the program has left it
    other_definition   jsonb,
    other_versions     text,                      -- of the rows in the catalogs, in the swap's transaction
    PRIMARY KEY (job_id, number)
);

-- The figures of a job that the program shows; written about twice a second.
CREATE TABLE pgrecast.progress (
    job_id             bigint PRIMARY KEY REFERENCES pgrecast.job ON DELETE CASCADE,
    updated_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    rows_copied        bigint NOT NULL DEFAULT 0,
    rows_estimated     bigint NOT NULL DEFAULT 0,
    bytes_copied       bigint NOT NULL DEFAULT 0,
    bytes_total        bigint NOT NULL DEFAULT 0,
    changes_spooled    bigint NOT NULL DEFAULT 0,
    changes_applied    bigint NOT NULL DEFAULT 0,
    spool_bytes        bigint NOT NULL DEFAULT 0,
    lag_bytes          bigint,                    -- null: not known, as long as no changes are applied
    lag_seconds        double precision,
    throttled_by       text,
    eta_seconds        double precision,
    waits              jsonb,                     -- [{kind, text, since, session}]: what the job waits for; null: nothing
    lock_attempts      integer NOT NULL DEFAULT 0,
    lock_held_ms       double precision,
    lock_wait_ms       double precision,
    verify_lsn         pg_lsn,
    verify_rows        bigint,
    verify_mismatches  bigint,
    verify_hash        text
) WITH (fillfactor = 50);

-- The position up to which the changes of a stream are applied to a table; written in the transaction that applies them.
CREATE TABLE pgrecast.position (
    job_id             bigint NOT NULL REFERENCES pgrecast.job ON DELETE CASCADE,
    table_number       integer NOT NULL,
    stream_id          bigint NOT NULL REFERENCES pgrecast.stream,
    instance           bigint NOT NULL,           -- the instance that may write the row
    applied_lsn        pg_lsn NOT NULL,
    changes_applied    bigint NOT NULL DEFAULT 0,
    beyond_lsn         pg_lsn,                    -- after the position, changes up to here are applied too, except those of ...
    held_lsns          pg_lsn[],                  -- ... transactions held back, by their commit records; null: none
    PRIMARY KEY (job_id, table_number)
) WITH (fillfactor = 50);

-- The chunks that are copied; each is written in the transaction that copies it. A chunk is a range of blocks of a relation, or of keys.
CREATE TABLE pgrecast.chunk (
    job_id             bigint NOT NULL REFERENCES pgrecast.job ON DELETE CASCADE,
    table_number       integer NOT NULL,
    relation           oid NOT NULL,              -- the table or a partition of it
    first_block        bigint,
    end_block          bigint,                    -- not included
    first_key          text[],
    end_key            text[],                    -- not included
    rows               bigint NOT NULL
);
-- The table has no primary key. Without this its rows could not be deleted under a publication FOR ALL TABLES.
ALTER TABLE pgrecast.chunk REPLICA IDENTITY FULL;
CREATE UNIQUE INDEX chunk_blocks ON pgrecast.chunk (job_id, table_number, relation, first_block);

-- Rows of the new table that the original cannot hold: a rollback is blocked while there are any.
CREATE TABLE pgrecast.blocked (
    job_id             bigint NOT NULL REFERENCES pgrecast.job ON DELETE CASCADE,
    table_number       integer NOT NULL,
    key                text NOT NULL,             -- written for people: (1, abc)
    key_values         text[] NOT NULL,           -- of the key's columns
    error              text NOT NULL,
    since              timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (job_id, table_number, key_values)
);

-- The undo ledger: what a job has made outside this schema. An entry is committed before its object, and gets the
-- object's oid in the transaction that makes it. Only the object with that oid is dropped.
CREATE TABLE pgrecast.object (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id             bigint REFERENCES pgrecast.job ON DELETE CASCADE,
    stream_id          bigint REFERENCES pgrecast.stream ON DELETE CASCADE,
    kind               text NOT NULL,             -- publication, slot, spool, table, view, guard (the trigger on a table)
    name               text NOT NULL,             -- of a table or view: quoted and qualified; of a guard: its table's; of a spool: its directory
    oid                oid                        -- null: not made yet, or the kind has no oid
);
CREATE INDEX object_job ON pgrecast.object (job_id);

-- Requests to a job, and what became of them.
CREATE TABLE pgrecast.request (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id             bigint NOT NULL REFERENCES pgrecast.job ON DELETE CASCADE,
    kind               text NOT NULL,             -- cutover, rollback, verify, finish, abort, release (tests)
    arguments          jsonb,
    requested_by       text NOT NULL,             -- role of the session
    requested_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    instance           bigint,                    -- the instance that took it, ...
    taken_at           timestamptz,
    outcome            text,                      -- done, failed, not_taken, withdrawn
    ended_at           timestamptz,
    exit_status        integer,                   -- of a failed request: the exit status of its command
    message            text,                      -- why it failed
    detail             text,
    hint               text,                      -- the name of a job in a command stands between the characters 29 and 31
    result             jsonb                      -- of a request that was carried out
);
CREATE INDEX request_open ON pgrecast.request (job_id) WHERE ended_at IS NULL;

-- The events of a job, in order. No foreign key: a swap writes an event under its lock, and the check would take time.
CREATE TABLE pgrecast.event (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id             bigint NOT NULL,           -- of pgrecast.job
    at                 timestamptz NOT NULL DEFAULT clock_timestamp(),
    instance           bigint NOT NULL,
    kind               text NOT NULL,             -- phase, attempt, swap, request, error, held, released, carried, end
    phase              text NOT NULL,             -- of the job at that moment
    message            text,
    data               jsonb                      -- its form depends on the kind: see docs/architecture.md
);
CREATE INDEX event_job ON pgrecast.event (job_id, id);

-- Default privileges of the role may have given privileges to other roles: they are revoked.
DO $$
DECLARE
    grantee text;
BEGIN
    FOR grantee IN
        SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END
        FROM pg_catalog.pg_class AS c
        CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS a
        WHERE c.relnamespace = 'pgrecast'::pg_catalog.regnamespace AND a.grantee <> c.relowner
        UNION
        SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END
        FROM pg_catalog.pg_namespace AS n
        CROSS JOIN LATERAL pg_catalog.aclexplode(n.nspacl) AS a
        WHERE n.nspname = 'pgrecast' AND a.grantee <> n.nspowner
    LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON SCHEMA pgrecast FROM %1$s; '
                                  'REVOKE ALL ON ALL TABLES IN SCHEMA pgrecast FROM %1$s; '
                                  'REVOKE ALL ON ALL SEQUENCES IN SCHEMA pgrecast FROM %1$s', grantee);
    END LOOP;
END
$$;
