-- The current rows: for each model, bucket and key, the row that readers should use.
--
-- A removal hides all rows and rejects of its key that were last modified at or before its up_to,
-- except for the one photo id that it may spare. Of the rest, the row or reject with the greatest
-- (last_modified, time made, photo_id) is current. If that is a reject, the key has no current row.
--
-- Athena has this query as the view current_rows. It reads the tables embeddings, rejects and
-- removals. It also runs unchanged in DuckDB, where these are views of the objects and the session's
-- time zone is UTC.
--
-- Times of rejects and removals are text, RFC 3339 in UTC. Athena's timestamps have millisecond
-- precision.
WITH claims AS (
    SELECT
        model, bucket, key, last_modified, embedded_at AS made_at, photo_id, TRUE AS embedded,
        date, etag, label, size_bytes, width, height, embedding, made_by
    FROM embeddings
    UNION ALL
    SELECT
        model, bucket, key,
        CAST(replace(replace(last_modified, 'T', ' '), 'Z', '') AS timestamp),
        CAST(replace(replace(rejected_at, 'T', ' '), 'Z', '') AS timestamp),
        photo_id, FALSE,
        date, etag, NULL, size_bytes, NULL, NULL, NULL, made_by
    FROM rejects
),
-- A key has at most one removal, because the removal's object is named after the key.
gone AS (
    SELECT bucket, key, CAST(replace(replace(up_to, 'T', ' '), 'Z', '') AS timestamp) AS up_to, spares
    FROM removals
),
held AS (
    SELECT claims.*
    FROM claims
    LEFT JOIN gone ON gone.bucket = claims.bucket AND gone.key = claims.key
    WHERE gone.up_to IS NULL OR gone.up_to < claims.last_modified OR gone.spares = claims.photo_id
),
-- The last sort key breaks the tie between a reject and a row of the same photo made at the same
-- time: the reject comes first.
ranked AS (
    SELECT
        held.*,
        row_number() OVER (
            PARTITION BY model, bucket, key ORDER BY last_modified DESC, made_at DESC, photo_id DESC, embedded
        ) AS place
    FROM held
)
SELECT
    model, date, photo_id, bucket, key, etag, label, size_bytes,
    last_modified, width, height, embedding, made_at AS embedded_at, made_by
FROM ranked
WHERE place = 1 AND embedded
