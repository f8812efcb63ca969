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

-- By a window and not by a join with itself: servers cannot tell how many rows a WITH clause has, and would loop.
timed AS (
    SELECT
        summary.*,
        min(CASE WHEN note_role = 'note' THEN available END) OVER (PARTITION BY visit_id) AS first_available
    FROM summary
),

clock AS (
    SELECT
        timed.*,
        CASE WHEN first_available > anchor_time THEN first_available ELSE anchor_time END AS index_time
    FROM timed
    WHERE first_available <= datetime(anchor_time, '+' || :max_delay_hours || ' hours')
)

SELECT
    visit_id,
    note_id,
    person_id,
    index_time,
    coalesce(filed, charted) AS note_time,
    CASE
        WHEN filed IS NOT NULL THEN 'filed'
        WHEN dated = 1 THEN 'date'
        ELSE 'written'
    END AS note_time_kind,
    CASE WHEN filed IS NULL AND dated = 1 THEN 'day' ELSE 'second' END AS note_time_precision,
    note_role,
    note_text AS text
FROM clock
WHERE available <= index_time
    AND index_time >= :window_start
    AND index_time < :window_end
ORDER BY visit_id COLLATE BINARY, note_id COLLATE BINARY
