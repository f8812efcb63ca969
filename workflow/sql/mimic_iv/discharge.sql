-- Discharge cohort, texts: the discharge summaries of hospital admissions, one row a note. MIMIC-IV (module hosp) with
-- MIMIC-IV-Note, SQLite. Tables are named without their schema: on PostgreSQL, where they lie in mimiciv_hosp and
-- mimiciv_note, search_path finds them. Ids are given as text: a note's is one (10000032-DS-21).
--
-- A stay is predicted at its index time: the later of its discharge and the filing of its first summary, at most
-- :max_delay_hours after discharge. Summaries and addenda filed by then are its notes. Nothing here looks further.
-- A note is filed at its storetime. Where that is missing, charttime says when it was written; at midnight it says the
-- day only, and the note counts as of 23:59:59. discharge.labels.sql begins with the same stay and clock; tests compare
-- them.

WITH stay AS (
    SELECT
        hadm_id,
        subject_id,
        CAST(hadm_id AS TEXT) AS visit_id,
        CAST(subject_id AS TEXT) AS person_id,
        datetime(dischtime) AS anchor_time
    FROM admissions
    WHERE admission_type IN (:inpatient_visits)
        -- Which discharges can have an index time in the window. A stay in progress has no dischtime, and is none.
        AND dischtime >= datetime(:window_start, '-' || (:max_delay_hours / 24 + 2) || ' days')
        AND dischtime < datetime(:window_end, '+2 days')
),

written AS (
    SELECT
        stay.visit_id,
        stay.person_id,
        stay.anchor_time,
        discharge.note_id,
        discharge.text AS note_text,
        datetime(discharge.storetime) AS filed,
        datetime(discharge.charttime) AS charted,
        CASE WHEN datetime(discharge.charttime) = date(discharge.charttime) || ' 00:00:00' THEN 1 ELSE 0 END AS dated,
        CASE WHEN discharge.note_type IN (:addendum_types) THEN 'addendum' ELSE 'note' END AS note_role
    FROM stay
    JOIN discharge ON discharge.hadm_id = stay.hadm_id AND discharge.subject_id = stay.subject_id
    WHERE discharge.note_type IN (:note_types)
        AND (discharge.storetime IS NOT NULL OR :use_dates = 1)
),

summary AS (
    SELECT
        written.*,
        CASE
            WHEN filed IS NOT NULL THEN filed
            WHEN dated = 1 THEN date(charted) || ' 23:59:59'
            ELSE charted
        END AS available
    FROM written
),

clock AS (
    SELECT
        visit_id,
        CASE WHEN min(available) > anchor_time THEN min(available) ELSE anchor_time END AS index_time
    FROM summary
    WHERE note_role = 'note'
    GROUP BY visit_id, anchor_time
    HAVING min(available) <= datetime(anchor_time, '+' || :max_delay_hours || ' hours')
)

SELECT
    summary.visit_id,
    summary.note_id,
    summary.person_id,
    clock.index_time,
    coalesce(summary.filed, summary.charted) AS note_time,
    CASE
        WHEN summary.filed IS NOT NULL THEN 'filed'
        WHEN summary.dated = 1 THEN 'date'
        ELSE 'written'
    END AS note_time_kind,
    CASE WHEN summary.filed IS NULL AND summary.dated = 1 THEN 'day' ELSE 'second' END AS note_time_precision,
    summary.note_role,
    summary.note_text AS text
FROM clock
JOIN summary ON summary.visit_id = clock.visit_id
WHERE summary.available <= clock.index_time
    AND clock.index_time >= :window_start
    AND clock.index_time < :window_end
ORDER BY summary.visit_id COLLATE BINARY, summary.note_id COLLATE BINARY
