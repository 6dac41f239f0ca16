-- State that an older version has made gets what this one adds. Jobs of that version stay theirs.
ALTER TABLE pgrecast.job
    ADD COLUMN IF NOT EXISTS plan jsonb,
    ADD COLUMN IF NOT EXISTS options jsonb,
    ADD COLUMN IF NOT EXISTS instance bigint NOT NULL DEFAULT 1,
    ADD COLUMN IF NOT EXISTS leg integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS start_lsn pg_lsn,
    ADD COLUMN IF NOT EXISTS copied_filenode oid,
    ADD COLUMN IF NOT EXISTS shadow_oid oid,
    ADD COLUMN IF NOT EXISTS shadow_complete boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS swap_xid xid8,
    ADD COLUMN IF NOT EXISTS swap_lsn pg_lsn,
    ADD COLUMN IF NOT EXISTS serving_fingerprint text,
    ADD COLUMN IF NOT EXISTS ends_at timestamptz,
    ADD COLUMN IF NOT EXISTS rollback_requested boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS reverse_maps jsonb,
    ADD COLUMN IF NOT EXISTS finish_requested text,
    ADD COLUMN IF NOT EXISTS abort_requested boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS answer text,
    ADD COLUMN IF NOT EXISTS answer_hint text,
    ADD COLUMN IF NOT EXISTS answer_kind integer;
ALTER TABLE pgrecast.position
    ADD COLUMN IF NOT EXISTS instance bigint NOT NULL DEFAULT 1,
    ADD COLUMN IF NOT EXISTS ahead_lsn pg_lsn,
    ADD COLUMN IF NOT EXISTS held_lsns pg_lsn[];
