-- Bring your own, texts: a table of texts and labels becomes a cohort. Shipped for MTSamples, a table `mtsamples` with
-- note_id, transcription, medical_specialty. For your table change the three lines of `source`, here and in
-- notes.labels.sql, so that they give id (integer), text and value; the rest stays.
--
-- Such a table has no patients and no dates. A text stands for its patient, so that copies of a text never part: copies
-- are the notes of one stay, whose id is the lowest of theirs (take `notes: first`). All stand at the moment :dated;
-- nothing can be said of time. If your table has patients and dates, use them: workflow/sql/README.md.

WITH source AS (
    SELECT note_id AS id, transcription AS text, medical_specialty AS value
    FROM mtsamples
)

SELECT
    CASE WHEN text IS NULL THEN id ELSE min(id) OVER (PARTITION BY text) END AS visit_id,
    id AS note_id,
    CASE WHEN text IS NULL THEN id ELSE min(id) OVER (PARTITION BY text) END AS person_id,
    :dated AS index_time,
    NULL AS note_time,
    'none' AS note_time_kind,
    'none' AS note_time_precision,
    'note' AS note_role,
    text
FROM source
WHERE :dated >= :window_start AND :dated < :window_end
ORDER BY visit_id, note_id
