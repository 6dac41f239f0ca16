-- State that an older version has made becomes this one's. No job of that version is under way.
ALTER TABLE pgrecast.job
    ADD COLUMN IF NOT EXISTS plan jsonb,
    ADD COLUMN IF NOT EXISTS options jsonb,
    ADD COLUMN IF NOT EXISTS instance bigint NOT NULL DEFAULT 1,
    ADD COLUMN IF NOT EXISTS leg integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS start_lsn pg_lsn,
    ADD COLUMN IF NOT EXISTS shadow_complete boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS swap_xid xid8,
    ADD COLUMN IF NOT EXISTS swap_lsn pg_lsn,
    ADD COLUMN IF NOT EXISTS ends_at timestamptz,
    ADD COLUMN IF NOT EXISTS rollback_requested boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS reverse_maps jsonb,
    ADD COLUMN IF NOT EXISTS finish_requested text,
    ADD COLUMN IF NOT EXISTS abort_requested boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS answer text,
    ADD COLUMN IF NOT EXISTS answer_hint text,
    ADD COLUMN IF NOT EXISTS answer_kind integer,
    DROP COLUMN IF EXISTS source_oid,
    DROP COLUMN IF EXISTS fingerprint,
    DROP COLUMN IF EXISTS copied_filenode,
    DROP COLUMN IF EXISTS shadow_oid,
    DROP COLUMN IF EXISTS serving_fingerprint;
ALTER TABLE pgrecast.position
    ADD COLUMN IF NOT EXISTS table_number integer NOT NULL DEFAULT 1,
    ADD COLUMN IF NOT EXISTS instance bigint NOT NULL DEFAULT 1,
    ADD COLUMN IF NOT EXISTS ahead_lsn pg_lsn,
    ADD COLUMN IF NOT EXISTS held_lsns pg_lsn[],
    DROP CONSTRAINT IF EXISTS position_pkey,
    ADD CONSTRAINT position_pkey PRIMARY KEY (job_id, table_number);
ALTER TABLE pgrecast.chunk
    ADD COLUMN IF NOT EXISTS table_number integer NOT NULL DEFAULT 1,
    DROP CONSTRAINT IF EXISTS chunk_pkey,
    ADD CONSTRAINT chunk_pkey PRIMARY KEY (job_id, table_number, first_block);
ALTER TABLE pgrecast.blocked
    ADD COLUMN IF NOT EXISTS table_number integer NOT NULL DEFAULT 1,
    DROP CONSTRAINT IF EXISTS blocked_pkey,
    ADD CONSTRAINT blocked_pkey PRIMARY KEY (job_id, table_number, key_values);
