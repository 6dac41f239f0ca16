-- The bounds of partitions by time: a row for each partition, in order.
-- $1 what the bounds are: date, timestamp or timestamptz; $2 the interval; $3 where the first partition begins (text; NULL: with
-- the year, month, week or day that the interval's unit is, and that has the least value); $4, $5 the least and the largest
-- value (text; NULL: there is none, or it is not known); $6 how many partitions follow the one that has the largest value, or
-- today's if that is later; $7 largest values need no partition; $8 the most partitions before those.
-- valid: the interval is one of whole days, or of whole months; beyond: there would be more than $8; below: values are less than
-- the first bound. Bounds of timestamptz are those of the session's TimeZone.
WITH given AS (
    SELECT CASE $1::pg_catalog.text WHEN 'timestamptz' THEN $3::pg_catalog.text::timestamptz::timestamp
                                    ELSE $3::pg_catalog.text::timestamp END AS begins,
           CASE $1::pg_catalog.text WHEN 'timestamptz' THEN $4::pg_catalog.text::timestamptz::timestamp
                                    ELSE $4::pg_catalog.text::timestamp END AS least,
           CASE $1::pg_catalog.text WHEN 'timestamptz' THEN $5::pg_catalog.text::timestamptz::timestamp
                                    ELSE $5::pg_catalog.text::timestamp END AS largest,
           $2::pg_catalog.text::interval AS every
),
unit AS (
    SELECT g.*, COALESCE(g.least, LOCALTIMESTAMP) AS at,
           (EXTRACT(year FROM g.every) * 12 + EXTRACT(month FROM g.every))::integer AS months,
           EXTRACT(day FROM g.every)::integer AS days,
           EXTRACT(epoch FROM g.every - pg_catalog.date_trunc('day', g.every)) AS seconds
    FROM given AS g
),
first AS (
    SELECT u.*, (u.months > 0 AND u.days = 0 OR u.months = 0 AND u.days > 0) AND u.seconds = 0 AS valid,
           COALESCE(u.begins,
                    CASE WHEN u.months > 0 AND u.months % 12 = 0 THEN pg_catalog.date_trunc('year', u.at)
                    WHEN u.months > 0 AND 12 % u.months = 0
                    THEN pg_catalog.date_trunc('year', u.at)
                         + pg_catalog.make_interval(months => (EXTRACT(month FROM u.at)::integer - 1) / u.months * u.months)
                    WHEN u.months > 0 THEN pg_catalog.date_trunc('month', u.at)
                    WHEN u.days % 7 = 0 THEN pg_catalog.date_trunc('week', u.at)
                    ELSE pg_catalog.date_trunc('day', u.at) END) AS lowest
    FROM unit AS u
),
reach AS (
    SELECT f.*, COALESCE(f.least < f.lowest, false) AS below,
           (SELECT pg_catalog.max(n.n) FROM pg_catalog.generate_series(0, $8::integer) AS n (n)
            WHERE n.n = 0 OR f.valid AND f.lowest + n.n * f.every
                             <= GREATEST(LOCALTIMESTAMP, CASE WHEN NOT $7::boolean THEN f.largest END)) AS last
    FROM first AS f
)
SELECT r.valid, r.below, r.last = $8::integer AS beyond,
       CASE WHEN r.months % 12 = 0 AND r.months > 0 THEN pg_catalog.to_char(bound.lower, 'YYYY')
       WHEN r.months > 0 THEN pg_catalog.to_char(bound.lower, 'YYYY_MM')
       ELSE pg_catalog.to_char(bound.lower, 'YYYY_MM_DD') END AS suffix,
       CASE $1::pg_catalog.text WHEN 'date' THEN bound.lower::date::pg_catalog.text
       WHEN 'timestamp' THEN bound.lower::pg_catalog.text ELSE bound.lower::timestamptz::pg_catalog.text END AS lower,
       CASE $1::pg_catalog.text WHEN 'date' THEN bound.upper::date::pg_catalog.text
       WHEN 'timestamp' THEN bound.upper::pg_catalog.text ELSE bound.upper::timestamptz::pg_catalog.text END AS upper
FROM reach AS r
CROSS JOIN pg_catalog.generate_series(0, CASE WHEN r.valid THEN r.last + $6::integer ELSE 0 END) AS n (n)
CROSS JOIN LATERAL (SELECT r.lowest + n.n * r.every, r.lowest + (n.n + 1) * r.every) AS bound (lower, upper)
ORDER BY n.n
