-- The guard of a job's inactive table, which only the sessions of the job may write. Its arguments are the id and the name
-- of the job. A session belongs to the job if it has the temporary table pgrecast_job_ID, and if the owner of that table is
-- the owner of this schema or a member of that role. Another role can neither make such a table nor give one away to that
-- owner. The function runs with the rights of the session that writes, and reads only the catalogs. The triggers are for
-- each STATEMENT, so they do not fire for changes that a subscription applies.
CREATE FUNCTION pgrecast.guard() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $guard$
DECLARE
    mark pg_catalog.oid := pg_catalog.to_regclass('pg_temp.pgrecast_job_' || TG_ARGV[0]);
BEGIN
    IF (SELECT pg_catalog.pg_has_role(c.relowner, n.nspowner, 'MEMBER')
        FROM pg_catalog.pg_class AS c, pg_catalog.pg_namespace AS n
        WHERE c.oid = mark AND n.nspname = 'pgrecast') THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = 'PGRG1',
        MESSAGE = pg_catalog.format('table %I.%I is kept in sync by pgrecast job "%s": nobody else may write it',
                                    TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_ARGV[1]),
        HINT = pg_catalog.format('Write the active table. To see what the job does, run: pgrecast status %s', TG_ARGV[2]);
END
$guard$;
