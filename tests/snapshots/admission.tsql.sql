WITH stay AS (
  SELECT
    visit.visit_occurrence_id AS visit_id,
    visit.person_id AS person_id,
    COALESCE(
      CAST(visit.visit_start_datetime AS DATETIME2),
      CAST(CAST(visit.visit_start_date AS DATE) AS DATETIME2)
    ) AS anchor_time,
    CASE
      WHEN visit.discharged_to_concept_id IN (32220)
      THEN CAST('9999-12-31' AS DATETIME2)
      ELSE COALESCE(
        CAST(visit.visit_end_datetime AS DATETIME2),
        DATEADD(SECOND, 86399, CAST(CAST(visit.visit_end_date AS DATE) AS DATETIME2))
      )
    END AS end_time,
    CASE WHEN visit.discharged_to_concept_id IN (4216643) THEN 1 ELSE 0 END AS to_death,
    (
      SELECT
        MIN(
          COALESCE(
            CAST(death.death_datetime AS DATETIME2),
            DATEADD(SECOND, 86399, CAST(CAST(death.death_date AS DATE) AS DATETIME2))
          )
        )
      FROM death
      WHERE
        death.person_id = visit.person_id
    ) AS death_time
  FROM visit_occurrence AS visit
  WHERE
    visit.visit_concept_id IN (9201, 262)
    AND visit.visit_start_date >= DATEADD(DAY, -(
      24 / 24 + 2
    ), CAST(CAST('2012-01-01 00:00:00' AS DATETIME2) AS DATE))
    AND visit.visit_start_date < DATEADD(DAY, 2, CAST(CAST('2012-04-01 00:00:00' AS DATETIME2) AS DATE))
), history AS (
  SELECT
    stay.visit_id AS visit_id,
    stay.person_id AS person_id,
    stay.anchor_time AS anchor_time,
    stay.end_time AS end_time,
    stay.to_death AS to_death,
    stay.death_time AS death_time,
    note.note_id AS note_id,
    note.note_text AS note_text,
    CAST(note.note_datetime AS DATETIME2) AS written,
    CAST(note.note_date AS DATE) AS note_date,
    COALESCE(
      CAST(note.note_datetime AS DATETIME2),
      DATEADD(SECOND, 86399, CAST(CAST(note.note_date AS DATE) AS DATETIME2))
    ) AS available,
    CASE
      WHEN CAST(note.note_title AS NVARCHAR(4000)) COLLATE Latin1_General_BIN2 IN ('Addendum')
      THEN 'addendum'
      ELSE 'note'
    END AS note_role
  FROM stay
  JOIN note
    ON note.visit_occurrence_id = stay.visit_id AND note.person_id = stay.person_id
  WHERE
    note.note_class_concept_id IN (44814638)
    AND (
      NOT note.note_datetime IS NULL OR 1 = 1
    )
    AND COALESCE(
      CAST(note.note_datetime AS DATETIME2),
      DATEADD(SECOND, 86399, CAST(CAST(note.note_date AS DATE) AS DATETIME2))
    ) >= stay.anchor_time
), clock AS (
  SELECT
    visit_id AS visit_id,
    MIN(available) AS index_time
  FROM history
  WHERE
    CAST(note_role AS NVARCHAR(4000)) COLLATE Latin1_General_BIN2 = 'note'
  GROUP BY
    visit_id,
    anchor_time,
    end_time,
    to_death,
    death_time
  HAVING
    MIN(available) <= DATEADD(HOUR, 24, CAST(anchor_time AS DATETIME2))
    AND MIN(available) <= end_time
    AND (
      to_death = 0 OR MIN(available) < end_time
    )
    AND MIN(available) < COALESCE(death_time, CAST('9999-12-31' AS DATETIME2))
)
SELECT
  history.visit_id,
  history.note_id,
  history.person_id,
  clock.index_time,
  COALESCE(history.written, CAST(CAST(history.note_date AS DATE) AS DATETIME2)) AS note_time,
  CASE WHEN history.written IS NULL THEN 'date' ELSE 'written' END AS note_time_kind,
  CASE WHEN history.written IS NULL THEN 'day' ELSE 'second' END AS note_time_precision,
  history.note_role,
  history.note_text AS text
FROM clock
JOIN history
  ON history.visit_id = clock.visit_id
WHERE
  history.available <= clock.index_time
  AND clock.index_time >= CAST('2012-01-01 00:00:00' AS DATETIME2)
  AND clock.index_time < CAST('2012-04-01 00:00:00' AS DATETIME2)
ORDER BY
  history.visit_id,
  history.note_id
