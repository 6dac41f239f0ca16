-- What the sessions $1 (process ids) wait for, one row a session: the lock, transaction or standby, since how many seconds (null: not
-- known), and who is in the way. $2: add the oldest transaction of the cluster that has written something. $3: add commits of
-- others that have waited for a synchronous standby for a second: most wait for a moment only.
WITH waiting AS (
    SELECT a.pid, a.application_name AS session,
           CASE WHEN a.wait_event = 'SyncRep' THEN 'standby'
                WHEN a.wait_event = 'WaitForStandbyConfirmation' THEN 'standby_slot'
                WHEN l.locktype IN ('transactionid', 'virtualxid') THEN 'transaction'
                ELSE 'lock' END AS kind,
           CASE WHEN l.locktype IN ('relation', 'tuple', 'extend', 'page')
                THEN l.relation::pg_catalog.regclass::pg_catalog.text END AS object,
           extract(epoch FROM pg_catalog.clock_timestamp() - l.waitstart) AS waited
    FROM pg_catalog.pg_stat_activity AS a
    LEFT JOIN LATERAL (SELECT k.locktype, k.relation, k.waitstart FROM pg_catalog.pg_locks AS k
                       WHERE k.pid = a.pid AND NOT k.granted LIMIT 1) AS l ON a.wait_event_type = 'Lock'
    WHERE a.pid = ANY ($1::pg_catalog.int4[])
      AND (a.wait_event IN ('SyncRep', 'WaitForStandbyConfirmation') OR (a.wait_event_type = 'Lock' AND l.locktype IS NOT NULL))
), blocked AS (
    SELECT w.pid AS waiter, w.session, w.kind, w.object, w.waited, b.pid AS blocker, NULL::pg_catalog.text AS gid
    FROM waiting AS w
    LEFT JOIN LATERAL pg_catalog.unnest(CASE WHEN w.kind IN ('lock', 'transaction') THEN pg_catalog.pg_blocking_pids(w.pid) END)
        AS b (pid) ON true
    UNION ALL
    (SELECT 0, NULL, 'transaction', NULL, NULL, o.pid, o.gid
     FROM (SELECT a.pid, NULL AS gid, pg_catalog.age(a.backend_xid) AS age FROM pg_catalog.pg_stat_activity AS a
           WHERE a.backend_xid IS NOT NULL AND a.pid <> pg_catalog.pg_backend_pid()
           UNION ALL
           SELECT NULL, pg_catalog.format('%L of database %s', p.gid, p.database), pg_catalog.age(p.transaction)
           FROM pg_catalog.pg_prepared_xacts AS p) AS o
     WHERE $2::pg_catalog.bool ORDER BY o.age DESC LIMIT 1)
    UNION ALL
    SELECT -1, NULL, 'standby', NULL, NULL, a.pid, NULL
    FROM pg_catalog.pg_stat_activity AS a
    WHERE $3::pg_catalog.bool AND a.wait_event = 'SyncRep' AND NOT a.pid = ANY ($1::pg_catalog.int4[])
      AND a.query_start < pg_catalog.clock_timestamp() - '1 s'::pg_catalog.interval
)
SELECT DISTINCT ON (b.waiter) b.waiter, b.session, b.object, b.waited, b.blocker,
       CASE WHEN b.kind = 'transaction' AND a.wait_event = 'SyncRep' THEN 'standby'
            WHEN b.kind = 'lock' AND a.pid IS NOT NULL AND a.usesysid IS NULL THEN 'autovacuum'
            ELSE b.kind END AS kind,
       CASE WHEN b.gid IS NOT NULL OR b.blocker = 0 THEN pg_catalog.concat_ws(' ', 'the prepared transaction', b.gid)
            WHEN b.blocker IS NOT NULL THEN pg_catalog.format('process %s', b.blocker) || coalesce(' (' || nullif(pg_catalog.concat_ws(', ',
                'role ' || pg_catalog.quote_ident(a.usename), CASE WHEN a.pid = ANY ($1::pg_catalog.int4[]) THEN 'a session of this job, for ' || pg_catalog.substr(a.application_name, 10)
                     ELSE nullif(a.application_name, '') END,
                CASE WHEN a.datname <> pg_catalog.current_database() THEN 'database ' || pg_catalog.quote_ident(a.datname) END,
                'transaction open for ' || pg_catalog.round(extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)) || ' s',
                'last statement at ' || pg_catalog.to_char(a.query_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')), '') || ')', '')
       END AS who,
       CASE WHEN b.kind = 'standby_slot' THEN
           (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(n.name), ', ')
            FROM (SELECT pg_catalog.btrim(x, ' "') AS name
                  FROM pg_catalog.regexp_split_to_table(pg_catalog.current_setting('synchronized_standby_slots', true), ',') AS x) AS n
            LEFT JOIN pg_catalog.pg_replication_slots AS s ON s.slot_name = n.name
            WHERE s.active IS NOT TRUE) END AS slots,
       pg_catalog.current_setting('synchronous_standby_names') AS standbys
FROM blocked AS b
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = b.blocker AND b.blocker > 0
ORDER BY b.waiter, a.xact_start, b.blocker
