-- Admission cohort, texts: the histories and physicals of inpatient stays, one row a note. OMOP CDM 5.4, SQLite.
--
-- A stay is predicted at its index time: the filing of the first history and physical after admission, at most
-- :max_delay_hours after it, with the patient alive and in hospital (who dies at that minute is not; who leaves is).
-- Notes filed by then are its notes.
-- OMOP has no filing time: note_datetime is when the note was written. Where a time is missing, a start counts as of
-- 00:00:00, an end, a death and a note as of 23:59:59 of their day. admission.labels.sql begins with the same stay and
-- clock; tests compare them.

WITH stay AS (
    SELECT
        visit.visit_occurrence_id AS visit_id,
        visit.person_id,
        coalesce(datetime(visit.visit_start_datetime), date(visit.visit_start_date) || ' 00:00:00') AS anchor_time,
        -- When the patient was no longer in hospital, or alive; a far day for a stay in progress.
        CASE
            WHEN visit.discharged_to_concept_id IN (:still_patient) THEN datetime('9999-12-31')
            ELSE coalesce(datetime(visit.visit_end_datetime), date(visit.visit_end_date) || ' 23:59:59')
        END AS end_time,
        CASE WHEN visit.discharged_to_concept_id IN (:died) THEN 1 ELSE 0 END AS to_death,
        (
            SELECT min(coalesce(datetime(death.death_datetime), date(death.death_date) || ' 23:59:59'))
            FROM death
            WHERE death.person_id = visit.person_id
        ) AS death_time
    FROM visit_occurrence AS visit
    WHERE visit.visit_concept_id IN (:inpatient_visits)
        -- Which starts can have an index time in the window; a day to spare for dates that disagree with their times.
        AND visit.visit_start_date >= date(:window_start, '-' || (:max_delay_hours / 24 + 2) || ' days')
        AND visit.visit_start_date < date(:window_end, '+2 days')
),

history AS (
    SELECT
        stay.visit_id,
        stay.person_id,
        stay.anchor_time,
        stay.end_time,
        stay.to_death,
        stay.death_time,
        note.note_id,
        note.note_text,
        datetime(note.note_datetime) AS written,
        date(note.note_date) AS note_date,
        coalesce(datetime(note.note_datetime), date(note.note_date) || ' 23:59:59') AS available,
        CASE WHEN note.note_title IN (:addendum_titles) THEN 'addendum' ELSE 'note' END AS note_role
    FROM stay
    JOIN note ON note.visit_occurrence_id = stay.visit_id AND note.person_id = stay.person_id
    WHERE note.note_class_concept_id IN (:note_classes)
        AND (note.note_datetime IS NOT NULL OR :use_dates = 1)
        AND coalesce(datetime(note.note_datetime), date(note.note_date) || ' 23:59:59') >= stay.anchor_time
),

clock AS (
    SELECT
        visit_id,
        min(available) AS index_time
    FROM history
    WHERE note_role = 'note'
    GROUP BY visit_id, anchor_time, end_time, to_death, death_time
    HAVING min(available) <= datetime(anchor_time, '+' || :max_delay_hours || ' hours')
        AND min(available) <= end_time
        AND (to_death = 0 OR min(available) < end_time)
        AND min(available) < coalesce(death_time, datetime('9999-12-31'))
)

SELECT
    history.visit_id,
    history.note_id,
    history.person_id,
    clock.index_time,
    coalesce(history.written, history.note_date || ' 00:00:00') AS note_time,
    CASE WHEN history.written IS NULL THEN 'date' ELSE 'written' END AS note_time_kind,
    CASE WHEN history.written IS NULL THEN 'day' ELSE 'second' END AS note_time_precision,
    history.note_role,
    history.note_text AS text
FROM clock
JOIN history ON history.visit_id = clock.visit_id
WHERE history.available <= clock.index_time
    AND clock.index_time >= :window_start
    AND clock.index_time < :window_end
ORDER BY history.visit_id, history.note_id
