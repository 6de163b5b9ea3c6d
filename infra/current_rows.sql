-- The current rows: for each photo, that is for each bucket and key, the row that holds.
--
-- It is the row or reject with the greatest (last_modified, time made, photo_id); none if that is a reject, or if the key was
-- removed since. Athena has this as the view current_rows. It reads the tables embeddings, rejects and removals, and runs as it is
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
-- The last of them places a reject before the row of the same photo made at the same time.
ranked AS (
    SELECT
        claims.*,
        row_number() OVER (
            PARTITION BY model, bucket, key ORDER BY last_modified DESC, made_at DESC, photo_id DESC, embedded
        ) AS place
    FROM claims
),
gone AS (
    SELECT bucket, key, max(CAST(replace(replace(up_to, 'T', ' '), 'Z', '') AS timestamp)) AS up_to
    FROM removals
    GROUP BY bucket, key
)
SELECT
    ranked.model, ranked.date, ranked.photo_id, ranked.bucket, ranked.key, ranked.etag, ranked.label, ranked.size_bytes,
    ranked.last_modified, ranked.width, ranked.height, ranked.embedding, ranked.made_at AS embedded_at, ranked.made_by
FROM ranked
LEFT JOIN gone ON gone.bucket = ranked.bucket AND gone.key = ranked.key
WHERE ranked.place = 1 AND ranked.embedded AND (gone.up_to IS NULL OR gone.up_to < ranked.last_modified)
