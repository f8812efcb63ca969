WITH stay AS (
  SELECT
    visit.visit_occurrence_id AS visit_id,
    visit.person_id,
    COALESCE(
      CAST(visit.visit_start_datetime AS TIMESTAMP),
      CAST(CAST(visit.visit_start_date AS DATE) AS TIMESTAMP)
    ) AS anchor_time,
    CASE
      WHEN visit.discharged_to_concept_id IN (32220)
      THEN CAST('9999-12-31' AS TIMESTAMP)
      ELSE COALESCE(
        CAST(visit.visit_end_datetime AS TIMESTAMP),
        (
          CAST(visit.visit_end_date AS DATE) + CAST('23:59:59' AS TIME)
        )
      )
    END AS end_time,
    CASE WHEN visit.discharged_to_concept_id IN (4216643) THEN 1 ELSE 0 END AS to_death,
    (
      SELECT
        MIN(
          COALESCE(
            CAST(death.death_datetime AS TIMESTAMP),
            (
              CAST(death.death_date AS DATE) + CAST('23:59:59' AS TIME)
            )
          )
        )
      FROM death
      WHERE
        death.person_id = visit.person_id
    ) AS death_time
  FROM visit_occurrence AS visit
  WHERE
    visit.visit_concept_id IN (9201, 262)
    AND visit.visit_start_date >= (
      CAST(CAST('2012-01-01 00:00:00' AS TIMESTAMP) AS DATE) - (
        24 / 24 + 2
      )
    )
    AND visit.visit_start_date < (
      CAST(CAST('2012-04-01 00:00:00' AS TIMESTAMP) AS DATE) + 2
    )
), loose AS (
  SELECT
    note.note_id,
    visit.visit_occurrence_id AS visit_id,
    COALESCE(
      CAST(visit.visit_start_datetime AS TIMESTAMP),
      CAST(CAST(visit.visit_start_date AS DATE) AS TIMESTAMP)
    ) AS start_time,
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
      ORDER BY start_time DESC NULLS LAST, visit_id DESC NULLS LAST
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
), history AS (
  SELECT
    own.visit_id,
    own.person_id,
    own.anchor_time,
    own.end_time,
    own.to_death,
    own.death_time,
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
      note.note_class_concept_id IN (44814638) OR note.note_type_concept_id IN (NULL)
    )
    AND (
      NOT note.note_datetime IS NULL OR 1 = 1
    )
    AND COALESCE(
      CAST(note.note_datetime AS TIMESTAMP),
      (
        CAST(note.note_date AS DATE) + CAST('23:59:59' AS TIME)
      )
    ) >= own.anchor_time
), clock AS (
  SELECT
    history.*,
    MIN(CASE WHEN note_role = 'note' THEN available END) OVER (PARTITION BY visit_id) AS index_time
  FROM history
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
  AND index_time <= (
    CAST(anchor_time AS TIMESTAMP) + 24 * INTERVAL '1 HOUR'
  )
  AND index_time <= end_time
  AND (
    to_death = 0 OR index_time < end_time
  )
  AND index_time < COALESCE(death_time, CAST('9999-12-31' AS TIMESTAMP))
  AND index_time >= CAST('2012-01-01 00:00:00' AS TIMESTAMP)
  AND index_time < CAST('2012-04-01 00:00:00' AS TIMESTAMP)
ORDER BY
  visit_id,
  note_id
