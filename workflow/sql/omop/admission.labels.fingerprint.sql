-- Whether the labels of a window may have changed: visits, deaths, codes, notes and claims of its days and of those up to which
-- its labels look. What a row holds is not compared, only how many there are and the last of them.
SELECT
    (
        SELECT count(*) FROM visit_occurrence AS visit
        WHERE visit.visit_end_date >= date(:window_start, '-10 days')
            AND visit.visit_start_date < date(:known_until, '+10 days')
    ) AS visits,
    (
        SELECT max(visit.visit_occurrence_id) FROM visit_occurrence AS visit
        WHERE visit.visit_end_date >= date(:window_start, '-10 days')
            AND visit.visit_start_date < date(:known_until, '+10 days')
    ) AS last_visit,
    (
        SELECT count(*) FROM death
        WHERE death.death_date >= date(:window_start, '-10 days')
            AND death.death_date < date(:known_until, '+10 days')
    ) AS deaths,
    (
        SELECT count(*) FROM condition_occurrence AS recorded
        WHERE recorded.condition_start_date >= date(:window_start, '-10 days')
            AND recorded.condition_start_date < date(:known_until, '+10 days')
    ) AS codes,
    (
        SELECT count(*) FROM note
        WHERE note.note_date >= date(:window_start, '-10 days') AND note.note_date < date(:window_end, '+10 days')
    ) AS notes,
    (
        SELECT count(*) FROM notecast_claim AS claimed
        WHERE claimed.submitted_date >= date(:window_start, '-10 days')
            AND claimed.submitted_date < date(:known_until, '+10 days')
    ) AS claims,
    (
        SELECT max(claimed.decided_date) FROM notecast_claim AS claimed
        WHERE claimed.submitted_date >= date(:window_start, '-10 days')
            AND claimed.submitted_date < date(:known_until, '+10 days')
    ) AS last_decision
