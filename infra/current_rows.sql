-- The current rows: for each photo, that is for each bucket and key, the row that holds.
--
-- It is the row or reject with the greatest (last_modified, time made, photo_id) of those that no removal of the key hides; none if
-- that is a reject. A removal hides what is as old as it or older, but for the one photo that it may spare. Athena has this as the view current_rows. It reads the tables embeddings, rejects and removals, and runs as it is
-- in DuckDB, too, where these are views of the objects and the session's time zone is UTC.
--
-- Times of rejects and removals are text, RFC 3339 in UTC. Athena knows times to the millisecond.
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
-- A key has one removal at most: its object is named after the key.
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
-- The last of them places a reject before the row of the same photo made at the same time.
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
