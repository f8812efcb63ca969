WITH stay AS (
  SELECT
    visit_occurrence_id AS visit_id,
    person_id,
    COALESCE(
      CAST(visit_end_datetime AS TIMESTAMP),
      (
        CAST(visit_end_date AS DATE) + CAST('23:59:59' AS TIME)
      )
    ) AS anchor_time
  FROM visit_occurrence
  WHERE
    visit_concept_id IN (9201, 262)
    AND visit_end_date >= (
      CAST(CAST('2012-01-01 00:00:00' AS TIMESTAMP) AS DATE) - (
        72 / 24 + 2
      )
    )
    AND visit_end_date < (
      CAST(CAST('2012-04-01 00:00:00' AS TIMESTAMP) AS DATE) + 2
    )
    AND CASE WHEN discharged_to_concept_id IN (32220) THEN 0 ELSE 1 END = 1
), loose AS (
  SELECT
    note.note_id,
    visit.visit_occurrence_id AS visit_id,
    COALESCE(
      CAST(visit.visit_start_datetime AS TIMESTAMP),
      CAST(CAST(visit.visit_start_date AS DATE) AS TIMESTAMP)
    ) AS start_time,
    CASE
      WHEN visit.discharged_to_concept_id IN (32220)
      THEN NULL
      ELSE COALESCE(
        CAST(visit.visit_end_datetime AS TIMESTAMP),
        (
          CAST(visit.visit_end_date AS DATE) + CAST('23:59:59' AS TIME)
        )
      )
    END AS end_time,
    COALESCE(
      CAST(note.note_datetime AS TIMESTAMP),
      (
        CAST(note.note_date AS DATE) + CAST('23:59:59' AS TIME)
      )
    ) AS available
  FROM note
  JOIN visit_occurrence AS visit
    ON visit.person_id = note.person_id
  WHERE
    0 = 1
    AND note.visit_occurrence_id IS NULL
    AND note.person_id IN (
      SELECT
        stay.person_id
      FROM stay
    )
    AND visit.visit_concept_id IN (9201, 262)
), placed_note AS (
  SELECT
    note_id,
    visit_id,
    ROW_NUMBER() OVER (
      PARTITION BY note_id
      ORDER BY CASE
        WHEN end_time <= available
        AND available <= (
          CAST(end_time AS TIMESTAMP) + 72 * INTERVAL '1 HOUR'
        )
        THEN end_time
      END DESC NULLS LAST, start_time DESC NULLS LAST, visit_id DESC NULLS LAST
    ) AS place
  FROM loose
  WHERE
    start_time <= available
), own AS (
  SELECT
    stay.*,
    note.note_id
  FROM stay
  JOIN note
    ON note.visit_occurrence_id = stay.visit_id AND note.person_id = stay.person_id
  UNION ALL
  SELECT
    stay.*,
    placed_note.note_id
  FROM stay
  JOIN placed_note
    ON placed_note.visit_id = stay.visit_id AND placed_note.place = 1
), summary AS (
  SELECT
    own.visit_id,
    own.person_id,
    own.anchor_time,
    note.note_id,
    note.note_text,
    CAST(note.note_datetime AS TIMESTAMP) AS written,
    CAST(note.note_date AS DATE) AS note_date,
    COALESCE(
      CAST(note.note_datetime AS TIMESTAMP),
      (
        CAST(note.note_date AS DATE) + CAST('23:59:59' AS TIME)
      )
    ) AS available,
    CASE WHEN note.note_title IN ('Addendum') THEN 'addendum' ELSE 'note' END AS note_role
  FROM own
  JOIN note
    ON note.note_id = own.note_id
  WHERE
    (
      note.note_class_concept_id IN (44814637) OR note.note_type_concept_id IN (NULL)
    )
    AND (
      NOT note.note_datetime IS NULL OR 1 = 1
    )
), timed AS (
  SELECT
    summary.*,
    MIN(CASE WHEN note_role = 'note' THEN available END) OVER (PARTITION BY visit_id) AS first_available
  FROM summary
), clock AS (
  SELECT
    timed.*,
    CASE WHEN first_available > anchor_time THEN first_available ELSE anchor_time END AS index_time
  FROM timed
  WHERE
    first_available <= (
      CAST(anchor_time AS TIMESTAMP) + 72 * INTERVAL '1 HOUR'
    )
)
SELECT
  visit_id,
  note_id,
  person_id,
  index_time,
  COALESCE(written, CAST(CAST(note_date AS DATE) AS TIMESTAMP)) AS note_time,
  CASE WHEN written IS NULL THEN 'date' ELSE 'written' END AS note_time_kind,
  CASE WHEN written IS NULL THEN 'day' ELSE 'second' END AS note_time_precision,
  note_role,
  note_text AS text
FROM clock
WHERE
  available <= index_time
  AND index_time >= CAST('2012-01-01 00:00:00' AS TIMESTAMP)
  AND index_time < CAST('2012-04-01 00:00:00' AS TIMESTAMP)
ORDER BY
  visit_id,
  note_id
