-- What the publications of job $1 publish, found by the oids in its ledger: {object: {property: value}}. It includes the
-- versions (xmin) of the rows in the catalogs, because a publication that was changed and changed back has a gap in its
-- stream too. odd: the first publication that is not as the program makes them. The changes of a partitioned table are
-- published under its own name (pubviaroot).
SELECT pg_catalog.jsonb_object_agg('publication ' || pg_catalog.quote_ident(o.name),
                                   CASE WHEN p.oid IS NULL THEN '{}'
                                   ELSE pg_catalog.jsonb_build_object('existence', p.oid, 'name', p.pubname, 'options', option.text)
                                        || COALESCE(member.list, '{}') || COALESCE(space.list, '{}') END)::pg_catalog.text AS published,
       pg_catalog.min(pg_catalog.quote_ident(p.pubname))
           FILTER (WHERE p.puballtables OR p.pubviaroot AND member.plain OR NOT p.pubviaroot AND member.partitioned
                         OR NOT (p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate)
                         OR member.in_part OR space.list IS NOT NULL) AS odd
FROM pgrecast.object AS o
LEFT JOIN pg_catalog.pg_publication AS p ON p.oid = o.oid
LEFT JOIN LATERAL (
    SELECT ((pg_catalog.to_jsonb(p) - '{oid,pubname,pubowner}'::pg_catalog.text[])
            || pg_catalog.jsonb_build_object('xmin', p.xmin))::pg_catalog.text) AS option (text) ON true
LEFT JOIN LATERAL (
    SELECT pg_catalog.jsonb_object_agg('table ' || r.prrelid,
                                       (pg_catalog.to_jsonb(r) || pg_catalog.jsonb_build_object('xmin', r.xmin))::pg_catalog.text),
           pg_catalog.bool_or(pg_catalog.to_jsonb(r) ->> 'prqual' IS NOT NULL OR pg_catalog.to_jsonb(r) ->> 'prattrs' IS NOT NULL),
           pg_catalog.bool_or(c.relkind <> 'p'), pg_catalog.bool_or(c.relkind = 'p')
    FROM pg_catalog.pg_publication_rel AS r
    LEFT JOIN pg_catalog.pg_class AS c ON c.oid = r.prrelid
    WHERE r.prpubid = p.oid) AS member (list, in_part, plain, partitioned) ON true
-- whole schemas (15 and later)
LEFT JOIN LATERAL (
    SELECT pg_catalog.jsonb_object_agg('schema ' || pg_catalog.quote_ident(n.nspname), d.objid)
    FROM pg_catalog.pg_depend AS d
    JOIN pg_catalog.pg_depend AS of_schema ON of_schema.classid = d.classid AND of_schema.objid = d.objid
         AND of_schema.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
    JOIN pg_catalog.pg_namespace AS n ON n.oid = of_schema.refobjid
    WHERE d.refclassid = 'pg_catalog.pg_publication'::pg_catalog.regclass AND d.refobjid = p.oid
      AND d.classid = pg_catalog.to_regclass('pg_catalog.pg_publication_namespace')) AS space (list) ON true
WHERE o.job_id = $1 AND o.kind = 'publication' AND o.oid IS NOT NULL
