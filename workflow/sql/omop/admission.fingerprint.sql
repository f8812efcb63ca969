-- Whether the texts of a window may have changed: notes and stays of its days. Cheap: no text is read, and so a note that
-- was corrected in place is not seen; a site whose notes have a time of modification adds its maximum.
SELECT
    (
        SELECT count(*) FROM note
        WHERE note.note_date >= date(:window_start, '-10 days') AND note.note_date < date(:window_end, '+10 days')
    ) AS notes,
    (
        SELECT max(note.note_id) FROM note
        WHERE note.note_date >= date(:window_start, '-10 days') AND note.note_date < date(:window_end, '+10 days')
    ) AS last_note,
    (
        SELECT count(*) FROM visit_occurrence AS visit
        WHERE visit.visit_end_date >= date(:window_start, '-10 days')
            AND visit.visit_start_date < date(:window_end, '+10 days')
    ) AS visits,
    (
        SELECT max(visit.visit_end_date) FROM visit_occurrence AS visit
        WHERE visit.visit_end_date >= date(:window_start, '-10 days')
            AND visit.visit_start_date < date(:window_end, '+10 days')
    ) AS last_end
