-- Discharge cohort, texts: the discharge summaries of inpatient stays, one row a note. OMOP CDM 5.4, SQLite.
--
-- A stay is predicted at its index time: the later of its end and the filing of its first summary, at most
-- :max_delay_hours after its end. Summaries and addenda filed by then are its notes. Nothing here looks further.
-- OMOP has no filing time: note_datetime is when the note was written. Where a time is missing, an end and a note count
-- as of 23:59:59 of their day. discharge.labels.sql begins with the same stay and clock; tests compare them.

WITH stay AS (
    SELECT
        visit_occurrence_id AS visit_id,
        person_id,
        coalesce(datetime(visit_end_datetime), date(visit_end_date) || ' 23:59:59') AS anchor_time
    FROM visit_occurrence
    WHERE visit_concept_id IN (:inpatient_visits)
        -- Which ends can have an index time in the window; a day to spare for dates that disagree with their times.
        AND visit_end_date >= date(:window_start, '-' || (:max_delay_hours / 24 + 2) || ' days')
        AND visit_end_date < date(:window_end, '+2 days')
        -- A stay in progress is not a discharge: its end date is made up.
        AND CASE WHEN discharged_to_concept_id IN (:still_patient) THEN 0 ELSE 1 END = 1
),

-- The notes of each stay: those of its visit and, where :notes_by_time, those of no visit. Such a summary belongs to
-- the stay of its person that had ended last by then, at most :max_delay_hours before; where none had, to the one that
-- had begun last.
loose AS (
    SELECT
        note.note_id,
        visit.visit_occurrence_id AS visit_id,
        coalesce(datetime(visit.visit_start_datetime), date(visit.visit_start_date) || ' 00:00:00') AS start_time,
        CASE
            WHEN visit.discharged_to_concept_id IN (:still_patient) THEN NULL
            ELSE coalesce(datetime(visit.visit_end_datetime), date(visit.visit_end_date) || ' 23:59:59')
        END AS end_time,
        coalesce(datetime(note.note_datetime), date(note.note_date) || ' 23:59:59') AS available
    FROM note
    JOIN visit_occurrence AS visit ON visit.person_id = note.person_id
    WHERE :notes_by_time = 1
        AND note.visit_occurrence_id IS NULL
        AND note.person_id IN (SELECT stay.person_id FROM stay)
        AND visit.visit_concept_id IN (:inpatient_visits)
),

placed_note AS (
    SELECT
        note_id,
        visit_id,
        row_number() OVER (
            PARTITION BY note_id
            ORDER BY
                CASE
                    WHEN end_time <= available AND available <= datetime(end_time, '+' || :max_delay_hours || ' hours')
                        THEN end_time
                END DESC,
                start_time DESC,
                visit_id DESC
        ) AS place
    FROM loose
    WHERE start_time <= available
),

own AS (
    SELECT
        stay.*,
        note.note_id
    FROM stay
    JOIN note ON note.visit_occurrence_id = stay.visit_id AND note.person_id = stay.person_id
    UNION ALL
    SELECT
        stay.*,
        placed_note.note_id
    FROM stay
    JOIN placed_note ON placed_note.visit_id = stay.visit_id AND placed_note.place = 1
),

summary AS (
    SELECT
        own.visit_id,
        own.person_id,
        own.anchor_time,
        note.note_id,
        note.note_text,
        datetime(note.note_datetime) AS written,
        date(note.note_date) AS note_date,
        coalesce(datetime(note.note_datetime), date(note.note_date) || ' 23:59:59') AS available,
        CASE WHEN note.note_title IN (:addendum_titles) THEN 'addendum' ELSE 'note' END AS note_role
    FROM own
    JOIN note ON note.note_id = own.note_id
    WHERE (note.note_class_concept_id IN (:note_classes) OR note.note_type_concept_id IN (:note_types))
        AND (note.note_datetime IS NOT NULL OR :use_dates = 1)
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
    coalesce(written, note_date || ' 00:00:00') AS note_time,
    CASE WHEN written IS NULL THEN 'date' ELSE 'written' END AS note_time_kind,
    CASE WHEN written IS NULL THEN 'day' ELSE 'second' END AS note_time_precision,
    note_role,
    note_text AS text
FROM clock
WHERE available <= index_time
    AND index_time >= :window_start
    AND index_time < :window_end
ORDER BY visit_id, note_id
