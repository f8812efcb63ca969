-- Bring your own, labels: one row a stay of notes.sql, that is, a distinct text; see there.
--
-- label_surgery   1: a copy of the text has a value among :positive_values. 0: none has. Rename the column for your task
--                 (and its reason); a text without any value is undetermined.

WITH source AS (
    SELECT note_id AS id, transcription AS text, medical_specialty AS value
    FROM mtsamples
),

copied AS (
    SELECT
        CASE WHEN text IS NULL THEN id ELSE min(id) OVER (PARTITION BY text) END AS visit_id,
        CASE WHEN value IN (:positive_values) THEN 1 ELSE 0 END AS positive,
        CASE WHEN value IS NULL THEN 0 ELSE 1 END AS valued
    FROM source
)

SELECT
    visit_id,
    visit_id AS person_id,
    :dated AS anchor_time,
    :dated AS index_time,
    CASE WHEN max(valued) = 1 THEN max(positive) END AS label_surgery,
    CASE WHEN max(valued) = 0 THEN 'undetermined' END AS reason_surgery
FROM copied
WHERE :dated >= :window_start AND :dated < :window_end
GROUP BY visit_id
ORDER BY visit_id
