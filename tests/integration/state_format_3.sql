-- Schema pgrecast as version 0.1.0 made it (format 3).
CREATE SCHEMA IF NOT EXISTS pgrecast;
COMMENT ON SCHEMA pgrecast IS 'state of pgrecast jobs';

CREATE TABLE IF NOT EXISTS pgrecast.job (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    format             integer NOT NULL,          -- of this schema; a program refuses a job of another format
    name               text NOT NULL UNIQUE,
    phase              text NOT NULL,             -- init copy index catchup verify ready cutover reverse rolled_back finished aborted failed
    phase_since        timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at           timestamptz,
    schema_name        text NOT NULL,             -- of the table that was named first
    table_name         text NOT NULL,
    sql                text,                      -- the statements given; null for a rebuild
    system_identifier  text NOT NULL,
    timeline           integer NOT NULL,
    slot_name          text NOT NULL,
    publication_name   text NOT NULL,
    host               text NOT NULL,             -- where the program runs, and its process
    pid                integer NOT NULL,
    spool_directory    text NOT NULL,             -- of this host; one below it for each leg
    plan               jsonb,                     -- all that is run for the job, both ways: planned once, but for the maps of a rollback
    options            jsonb,                     -- of the command line, for whoever resumes
    instance           bigint NOT NULL DEFAULT 1, -- counts those that took the job: an older one may write no more
    leg                integer NOT NULL DEFAULT 0, -- swaps so far: the original serves where it is even
    start_lsn          pg_lsn,                    -- where the slot began
    x0                 xid8,                      -- rows of this transaction and later ones come from the stream
    barrier_lsn        pg_lsn,                    -- every transaction older than x0 is over here
    exact_lsn          pg_lsn,                    -- from here on each shadow equals its source at the applied position
    shadow_complete    boolean NOT NULL DEFAULT false, -- of all tables: constraints, owner, grants: all but the swap
    error              text,
    swapped_at         timestamptz,               -- of the last swap, cutover or rollback …
    swap_xid           xid8,                      -- … its transaction, …
    swap_lsn           pg_lsn,                    -- … and a place before its commit and after all it has applied
    ends_at            timestamptz,               -- of the rollback window; null: finish ends it
    cutover_requested  boolean NOT NULL DEFAULT false,
    rollback_requested boolean NOT NULL DEFAULT false,
    reverse_maps       jsonb,                     -- texts: how values are to go back from now on, asked for with it
    finish_requested   text,                      -- 'drop' or 'keep': what becomes of the table that serves no more
    abort_requested    boolean NOT NULL DEFAULT false,
    answer             text,                      -- why the last request was not carried out, …
    answer_hint        text,
    answer_kind        integer,                   -- … and the exit status that says so
    verify_requested   integer NOT NULL DEFAULT 0, -- counts requests …
    verify_answered    integer NOT NULL DEFAULT 0, -- … and answers
    released           boolean NOT NULL DEFAULT false -- lets a job go on that a test holds
);

-- Its tables, in the order in which they are locked.
CREATE TABLE IF NOT EXISTS pgrecast.job_table (
    job_id             bigint NOT NULL REFERENCES pgrecast.job ON DELETE CASCADE,
    number             integer NOT NULL,          -- from 1 on
    schema_name        text NOT NULL,
    table_name         text NOT NULL,
    source_oid         oid NOT NULL,              -- of the original
    shadow_oid         oid,                       -- of the new table
    fingerprint        text NOT NULL,             -- of the original's definition when the job began
    copied_filenode    oid,                       -- storage of the original that the chunks are of
    serving_fingerprint text,                     -- of the table that serves, as the last swap left it
    PRIMARY KEY (job_id, number)
);

-- What the program shows of a job; written about twice a second.
CREATE TABLE IF NOT EXISTS pgrecast.progress (
    job_id             bigint PRIMARY KEY REFERENCES pgrecast.job ON DELETE CASCADE,
    updated_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    rows_copied        bigint NOT NULL DEFAULT 0,
    rows_estimated     bigint NOT NULL DEFAULT 0,
    bytes_copied       bigint NOT NULL DEFAULT 0,
    bytes_total        bigint NOT NULL DEFAULT 0,
    changes_spooled    bigint NOT NULL DEFAULT 0,
    changes_applied    bigint NOT NULL DEFAULT 0,
    spool_bytes        bigint NOT NULL DEFAULT 0,
    lag_bytes          bigint NOT NULL DEFAULT 0,
    lag_seconds        double precision NOT NULL DEFAULT 0,
    throttled_by       text,
    eta_seconds        double precision,
    lock_attempts      integer NOT NULL DEFAULT 0,
    lock_held_ms       double precision,
    lock_wait_ms       double precision,
    verify_lsn         pg_lsn,
    verify_rows        bigint,
    verify_mismatches  bigint,
    verify_hash        text
) WITH (fillfactor = 50);

-- How far the changes of a table are applied; written in the transaction that applies them.
CREATE TABLE IF NOT EXISTS pgrecast.position (
    job_id             bigint NOT NULL REFERENCES pgrecast.job ON DELETE CASCADE,
    table_number       integer NOT NULL DEFAULT 1,
    instance           bigint NOT NULL DEFAULT 1, -- the one that may write it
    applied_lsn        pg_lsn NOT NULL DEFAULT '0/0',
    changes_applied    bigint NOT NULL DEFAULT 0,
    ahead_lsn          pg_lsn,                    -- beyond that, up to here, all is applied too but for …
    held_lsns          pg_lsn[],                  -- … transactions held back, by their commit records; null: nothing is
    PRIMARY KEY (job_id, table_number)
) WITH (fillfactor = 50);

-- Chunks of blocks that are copied; written in the transaction that copies them.
CREATE TABLE IF NOT EXISTS pgrecast.chunk (
    job_id             bigint NOT NULL REFERENCES pgrecast.job ON DELETE CASCADE,
    table_number       integer NOT NULL DEFAULT 1,
    first_block        bigint NOT NULL,
    end_block          bigint NOT NULL,           -- not included
    rows               bigint NOT NULL,
    PRIMARY KEY (job_id, table_number, first_block)
);

-- Rows of the new table that the original cannot take: the way back is blocked while there are any.
CREATE TABLE IF NOT EXISTS pgrecast.blocked (
    job_id             bigint NOT NULL REFERENCES pgrecast.job ON DELETE CASCADE,
    table_number       integer NOT NULL DEFAULT 1,
    key                text NOT NULL,             -- for people: (1, abc)
    key_values         text[] NOT NULL,           -- of the key's columns
    error              text NOT NULL,
    since              timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (job_id, table_number, key_values)
);

-- The undo ledger: everything a job has made outside this schema, entered before it is made.
CREATE TABLE IF NOT EXISTS pgrecast.object (
    job_id             bigint NOT NULL REFERENCES pgrecast.job ON DELETE CASCADE,
    seq                integer NOT NULL,
    kind               text NOT NULL,             -- publication, slot, table, spool, …
    name               text NOT NULL,
    undo               text NOT NULL,             -- the statement that removes it; for a spool its directory
    PRIMARY KEY (job_id, seq)
);
