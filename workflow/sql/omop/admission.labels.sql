-- Admission cohort, labels: one row an inpatient stay, with or without a history and physical. OMOP CDM 5.4, SQLite.
--
-- label_mortality             1: died in hospital in (index, admission + horizon]. 0: left alive by then.
-- label_length_of_stay_days   midnights between admission and discharge, of stays that ended by then.
-- label_charlson              Charlson index of the stay's ICD codes; no codes: uncoded, not 0.
-- label_denial                1: any claim for the stay was rejected at first. Claims: the table notecast_claim, which
--                             is no part of OMOP (claim_id, person_id, visit_occurrence_id, submitted_date,
--                             decided_date, status); what its statuses mean is set by parameters.
-- feature_*                   what is known at the index time: from the admission and from earlier, completed stays;
--                             never from this stay's diagnoses or claims.
-- group_*                     for subgroup tables.
-- A label sees facts up to index + its horizon + its maturity, the same for each stay, and never beyond :known_until.
-- Where a time is missing, a start counts as of 00:00:00 of its day, an end, a note, a death, a code and a claim as of
-- 23:59:59, so that dates compare as dates. A stay has the first reason that applies.

WITH stay AS (
    SELECT
        visit.visit_occurrence_id AS visit_id,
        visit.person_id,
        visit.visit_concept_id,
        coalesce(datetime(visit.visit_start_datetime), date(visit.visit_start_date) || ' 00:00:00') AS anchor_time,
        CASE
            WHEN visit.discharged_to_concept_id IN (:still_patient) THEN NULL
            ELSE coalesce(datetime(visit.visit_end_datetime), date(visit.visit_end_date) || ' 23:59:59')
        END AS end_time,
        CASE
            WHEN visit.visit_start_datetime IS NULL THEN 0
            WHEN visit.discharged_to_concept_id IN (:still_patient) THEN 1
            WHEN visit.visit_end_datetime IS NULL THEN 0
            ELSE 1
        END AS has_times,
        CASE WHEN visit.discharged_to_concept_id IN (:died) THEN 1 ELSE 0 END AS to_death,
        visit.care_site_id,
        -- A death without a time may have been at any moment of its day.
        (
            SELECT min(coalesce(datetime(death.death_datetime), date(death.death_date) || ' 00:00:00'))
            FROM death
            WHERE death.person_id = visit.person_id
        ) AS earliest_death,
        (
            SELECT min(coalesce(datetime(death.death_datetime), date(death.death_date) || ' 23:59:59'))
            FROM death
            WHERE death.person_id = visit.person_id
        ) AS death_time
    FROM visit_occurrence AS visit
    WHERE visit.visit_concept_id IN (:inpatient_visits)
        AND visit.visit_start_date >= date(:window_start, '-' || (:max_delay_hours / 24 + 2) || ' days')
        AND visit.visit_start_date < date(:window_end, '+2 days')
),

-- The notes of each stay: those of its visit and, where :notes_by_time, those of no visit. Such a note belongs to the
-- stay of its person that had begun last by then.
loose AS (
    SELECT
        note.note_id,
        visit.visit_occurrence_id AS visit_id,
        coalesce(datetime(visit.visit_start_datetime), date(visit.visit_start_date) || ' 00:00:00') AS start_time,
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
            ORDER BY start_time DESC, visit_id DESC
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

history AS (
    SELECT
        own.visit_id,
        min(coalesce(datetime(note.note_datetime), date(note.note_date) || ' 23:59:59')) AS first_available
    FROM own
    JOIN note ON note.note_id = own.note_id
    WHERE (note.note_class_concept_id IN (:note_classes) OR note.note_type_concept_id IN (:note_types))
        AND (note.note_datetime IS NOT NULL OR :use_dates = 1)
        AND CASE WHEN note.note_title IN (:addendum_titles) THEN 1 ELSE 0 END = 0
        AND coalesce(datetime(note.note_datetime), date(note.note_date) || ' 23:59:59') >= own.anchor_time
    GROUP BY own.visit_id
),

clock AS (
    SELECT
        stay.*,
        history.first_available,
        CASE
            WHEN history.first_available <= datetime(stay.anchor_time, '+' || :max_delay_hours || ' hours')
                AND history.first_available <= coalesce(stay.end_time, datetime('9999-12-31'))
                AND (stay.to_death = 0 OR history.first_available < stay.end_time)
                AND history.first_available < coalesce(stay.death_time, datetime('9999-12-31'))
                THEN history.first_available
        END AS index_time
    FROM stay
    LEFT JOIN history ON history.visit_id = stay.visit_id
),

-- The stays of the window. seen_time is what features may see: up to the index time, or admission where there is none.
-- left_time: the end, or the death of a patient whose stay was never closed.
placed AS (
    SELECT
        clock.*,
        coalesce(clock.index_time, clock.anchor_time) AS seen_time,
        coalesce(clock.end_time, clock.death_time) AS left_time
    FROM clock
    WHERE coalesce(clock.index_time, clock.anchor_time) >= :window_start
        AND coalesce(clock.index_time, clock.anchor_time) < :window_end
),

-- All other visits of these persons; end_time is NULL while a visit is in progress.
other AS (
    SELECT
        placed.visit_id AS of_visit_id,
        visit.visit_occurrence_id AS visit_id,
        visit.person_id,
        visit.visit_concept_id,
        coalesce(datetime(visit.visit_start_datetime), date(visit.visit_start_date) || ' 00:00:00') AS start_time,
        CASE
            WHEN visit.discharged_to_concept_id IN (:still_patient) THEN NULL
            ELSE coalesce(datetime(visit.visit_end_datetime), date(visit.visit_end_date) || ' 23:59:59')
        END AS end_time
    FROM placed
    JOIN visit_occurrence AS visit
        ON visit.person_id = placed.person_id AND visit.visit_occurrence_id <> placed.visit_id
),

prior AS (
    SELECT
        other.of_visit_id,
        other.visit_id,
        other.person_id,
        placed.seen_time,
        CASE WHEN other.end_time >= datetime(placed.seen_time, '-365 days') THEN 1 ELSE 0 END AS in_a_year
    FROM placed
    JOIN other ON other.of_visit_id = placed.visit_id
    WHERE other.visit_concept_id IN (:inpatient_visits)
        AND other.start_time < placed.anchor_time
        AND other.end_time <= placed.seen_time
),

prior_admission AS (
    SELECT
        of_visit_id AS visit_id,
        sum(in_a_year) AS stays
    FROM prior
    GROUP BY of_visit_id
),

emergency AS (
    SELECT
        placed.visit_id,
        count(*) AS visits
    FROM placed
    JOIN other ON other.of_visit_id = placed.visit_id
    WHERE other.visit_concept_id IN (:emergency_visits)
        AND other.start_time < placed.anchor_time
        AND other.start_time >= datetime(placed.anchor_time, '-180 days')
    GROUP BY placed.visit_id
),

-- Stays whose codes are read, and up to when: this one's for the label, earlier ones' for the feature.
coded AS (
    SELECT
        visit_id AS of_visit_id,
        visit_id,
        person_id,
        'index' AS of_stay,
        datetime(index_time, '+' || (:charlson_horizon_days + :charlson_maturity_days) || ' days') AS until_time
    FROM placed
    UNION ALL
    SELECT
        of_visit_id,
        visit_id,
        person_id,
        'prior' AS of_stay,
        seen_time AS until_time
    FROM prior
),

-- ICD codes without dots and spaces, in upper case; of a code whose concept is unknown the date tells the vocabulary.
diagnosis AS (
    SELECT
        coded.of_visit_id AS visit_id,
        coded.of_stay,
        upper(replace(replace(recorded.condition_source_value, '.', ''), ' ', '')) AS code,
        CASE
            WHEN concept.vocabulary_id = 'ICD9CM' THEN 'ICD9CM'
            WHEN concept.vocabulary_id IN ('ICD10CM', 'ICD10') THEN 'ICD10CM'
            WHEN recorded.condition_start_date < date(:icd10_from) THEN 'ICD9CM'
            ELSE 'ICD10CM'
        END AS vocabulary
    FROM coded
    JOIN condition_occurrence AS recorded
        ON recorded.visit_occurrence_id = coded.visit_id AND recorded.person_id = coded.person_id
    LEFT JOIN concept ON concept.concept_id = recorded.condition_source_concept_id
    WHERE replace(recorded.condition_source_value, ' ', '') <> ''
        AND coalesce(concept.vocabulary_id, 'None') IN ('ICD9CM', 'ICD10CM', 'ICD10', 'None')
        AND coalesce(
            datetime(recorded.condition_start_datetime), date(recorded.condition_start_date) || ' 23:59:59'
        ) <= coded.until_time
),

-- Charlson index, list version quan-2005.1. Codes: Quan et al., Med Care 2005;43:1130-9, table 1 (ICD-10, and the
-- enhanced ICD-9-CM list), without dots; `first` to `last` are ranges of prefixes of that length. Weights: Charlson et
-- al., J Chronic Dis 1987;40:373-83; no points for age. Of the conditions of one family only the gravest counts.
charlson_weight (category, family, weight) AS (
    VALUES
    ('myocardial infarction', 'myocardial infarction', 1),
    ('heart failure', 'heart failure', 1),
    ('peripheral vascular disease', 'peripheral vascular disease', 1),
    ('cerebrovascular disease', 'cerebrovascular disease', 1),
    ('dementia', 'dementia', 1),
    ('chronic pulmonary disease', 'chronic pulmonary disease', 1),
    ('rheumatic disease', 'rheumatic disease', 1),
    ('peptic ulcer', 'peptic ulcer', 1),
    ('mild liver disease', 'liver', 1),
    ('moderate or severe liver disease', 'liver', 3),
    ('diabetes', 'diabetes', 1),
    ('diabetes with complications', 'diabetes', 2),
    ('hemiplegia or paraplegia', 'hemiplegia or paraplegia', 2),
    ('renal disease', 'renal disease', 2),
    ('malignancy', 'cancer', 2),
    ('metastatic tumour', 'cancer', 6),
    ('AIDS', 'AIDS', 6)
),

charlson_code (vocabulary, first, last, category) AS (
    VALUES
    ('ICD9CM', '410', '410', 'myocardial infarction'), ('ICD9CM', '412', '412', 'myocardial infarction'),
    ('ICD10CM', 'I21', 'I22', 'myocardial infarction'), ('ICD10CM', 'I252', 'I252', 'myocardial infarction'),
    ('ICD9CM', '39891', '39891', 'heart failure'), ('ICD9CM', '40201', '40201', 'heart failure'),
    ('ICD9CM', '40211', '40211', 'heart failure'), ('ICD9CM', '40291', '40291', 'heart failure'),
    ('ICD9CM', '40401', '40401', 'heart failure'), ('ICD9CM', '40403', '40403', 'heart failure'),
    ('ICD9CM', '40411', '40411', 'heart failure'), ('ICD9CM', '40413', '40413', 'heart failure'),
    ('ICD9CM', '40491', '40491', 'heart failure'), ('ICD9CM', '40493', '40493', 'heart failure'),
    ('ICD9CM', '4254', '4259', 'heart failure'), ('ICD9CM', '428', '428', 'heart failure'),
    ('ICD10CM', 'I099', 'I099', 'heart failure'), ('ICD10CM', 'I110', 'I110', 'heart failure'),
    ('ICD10CM', 'I130', 'I130', 'heart failure'), ('ICD10CM', 'I132', 'I132', 'heart failure'),
    ('ICD10CM', 'I255', 'I255', 'heart failure'), ('ICD10CM', 'I420', 'I420', 'heart failure'),
    ('ICD10CM', 'I425', 'I429', 'heart failure'), ('ICD10CM', 'I43', 'I43', 'heart failure'),
    ('ICD10CM', 'I50', 'I50', 'heart failure'), ('ICD10CM', 'P290', 'P290', 'heart failure'),
    ('ICD9CM', '0930', '0930', 'peripheral vascular disease'),
    ('ICD9CM', '4373', '4373', 'peripheral vascular disease'),
    ('ICD9CM', '440', '441', 'peripheral vascular disease'),
    ('ICD9CM', '4431', '4439', 'peripheral vascular disease'),
    ('ICD9CM', '4471', '4471', 'peripheral vascular disease'),
    ('ICD9CM', '5571', '5571', 'peripheral vascular disease'),
    ('ICD9CM', '5579', '5579', 'peripheral vascular disease'),
    ('ICD9CM', 'V434', 'V434', 'peripheral vascular disease'),
    ('ICD10CM', 'I70', 'I71', 'peripheral vascular disease'),
    ('ICD10CM', 'I731', 'I731', 'peripheral vascular disease'),
    ('ICD10CM', 'I738', 'I739', 'peripheral vascular disease'),
    ('ICD10CM', 'I771', 'I771', 'peripheral vascular disease'),
    ('ICD10CM', 'I790', 'I790', 'peripheral vascular disease'),
    ('ICD10CM', 'I792', 'I792', 'peripheral vascular disease'),
    ('ICD10CM', 'K551', 'K551', 'peripheral vascular disease'),
    ('ICD10CM', 'K558', 'K559', 'peripheral vascular disease'),
    ('ICD10CM', 'Z958', 'Z959', 'peripheral vascular disease'),
    ('ICD9CM', '36234', '36234', 'cerebrovascular disease'), ('ICD9CM', '430', '438', 'cerebrovascular disease'),
    ('ICD10CM', 'G45', 'G46', 'cerebrovascular disease'), ('ICD10CM', 'H340', 'H340', 'cerebrovascular disease'),
    ('ICD10CM', 'I60', 'I69', 'cerebrovascular disease'),
    ('ICD9CM', '290', '290', 'dementia'), ('ICD9CM', '2941', '2941', 'dementia'),
    ('ICD9CM', '3312', '3312', 'dementia'),
    ('ICD10CM', 'F00', 'F03', 'dementia'), ('ICD10CM', 'F051', 'F051', 'dementia'),
    ('ICD10CM', 'G30', 'G30', 'dementia'), ('ICD10CM', 'G311', 'G311', 'dementia'),
    ('ICD9CM', '4168', '4169', 'chronic pulmonary disease'), ('ICD9CM', '490', '505', 'chronic pulmonary disease'),
    ('ICD9CM', '5064', '5064', 'chronic pulmonary disease'), ('ICD9CM', '5081', '5081', 'chronic pulmonary disease'),
    ('ICD9CM', '5088', '5088', 'chronic pulmonary disease'),
    ('ICD10CM', 'I278', 'I279', 'chronic pulmonary disease'), ('ICD10CM', 'J40', 'J47', 'chronic pulmonary disease'),
    ('ICD10CM', 'J60', 'J67', 'chronic pulmonary disease'), ('ICD10CM', 'J684', 'J684', 'chronic pulmonary disease'),
    ('ICD10CM', 'J701', 'J701', 'chronic pulmonary disease'),
    ('ICD10CM', 'J703', 'J703', 'chronic pulmonary disease'),
    ('ICD9CM', '4465', '4465', 'rheumatic disease'), ('ICD9CM', '7100', '7104', 'rheumatic disease'),
    ('ICD9CM', '7140', '7142', 'rheumatic disease'), ('ICD9CM', '7148', '7148', 'rheumatic disease'),
    ('ICD9CM', '725', '725', 'rheumatic disease'),
    ('ICD10CM', 'M05', 'M06', 'rheumatic disease'), ('ICD10CM', 'M315', 'M315', 'rheumatic disease'),
    ('ICD10CM', 'M32', 'M34', 'rheumatic disease'), ('ICD10CM', 'M351', 'M351', 'rheumatic disease'),
    ('ICD10CM', 'M353', 'M353', 'rheumatic disease'), ('ICD10CM', 'M360', 'M360', 'rheumatic disease'),
    ('ICD9CM', '531', '534', 'peptic ulcer'),
    ('ICD10CM', 'K25', 'K28', 'peptic ulcer'),
    ('ICD9CM', '07022', '07023', 'mild liver disease'), ('ICD9CM', '07032', '07033', 'mild liver disease'),
    ('ICD9CM', '07044', '07044', 'mild liver disease'), ('ICD9CM', '07054', '07054', 'mild liver disease'),
    ('ICD9CM', '0706', '0706', 'mild liver disease'), ('ICD9CM', '0709', '0709', 'mild liver disease'),
    ('ICD9CM', '570', '571', 'mild liver disease'), ('ICD9CM', '5733', '5734', 'mild liver disease'),
    ('ICD9CM', '5738', '5739', 'mild liver disease'), ('ICD9CM', 'V427', 'V427', 'mild liver disease'),
    ('ICD10CM', 'B18', 'B18', 'mild liver disease'), ('ICD10CM', 'K700', 'K703', 'mild liver disease'),
    ('ICD10CM', 'K709', 'K709', 'mild liver disease'), ('ICD10CM', 'K713', 'K715', 'mild liver disease'),
    ('ICD10CM', 'K717', 'K717', 'mild liver disease'), ('ICD10CM', 'K73', 'K74', 'mild liver disease'),
    ('ICD10CM', 'K760', 'K760', 'mild liver disease'), ('ICD10CM', 'K762', 'K764', 'mild liver disease'),
    ('ICD10CM', 'K768', 'K769', 'mild liver disease'), ('ICD10CM', 'Z944', 'Z944', 'mild liver disease'),
    ('ICD9CM', '2500', '2503', 'diabetes'), ('ICD9CM', '2508', '2509', 'diabetes'),
    ('ICD10CM', 'E100', 'E101', 'diabetes'), ('ICD10CM', 'E106', 'E106', 'diabetes'),
    ('ICD10CM', 'E108', 'E109', 'diabetes'), ('ICD10CM', 'E110', 'E111', 'diabetes'),
    ('ICD10CM', 'E116', 'E116', 'diabetes'), ('ICD10CM', 'E118', 'E119', 'diabetes'),
    ('ICD10CM', 'E120', 'E121', 'diabetes'), ('ICD10CM', 'E126', 'E126', 'diabetes'),
    ('ICD10CM', 'E128', 'E129', 'diabetes'), ('ICD10CM', 'E130', 'E131', 'diabetes'),
    ('ICD10CM', 'E136', 'E136', 'diabetes'), ('ICD10CM', 'E138', 'E139', 'diabetes'),
    ('ICD10CM', 'E140', 'E141', 'diabetes'), ('ICD10CM', 'E146', 'E146', 'diabetes'),
    ('ICD10CM', 'E148', 'E149', 'diabetes'),
    ('ICD9CM', '2504', '2507', 'diabetes with complications'),
    ('ICD10CM', 'E102', 'E105', 'diabetes with complications'),
    ('ICD10CM', 'E107', 'E107', 'diabetes with complications'),
    ('ICD10CM', 'E112', 'E115', 'diabetes with complications'),
    ('ICD10CM', 'E117', 'E117', 'diabetes with complications'),
    ('ICD10CM', 'E122', 'E125', 'diabetes with complications'),
    ('ICD10CM', 'E127', 'E127', 'diabetes with complications'),
    ('ICD10CM', 'E132', 'E135', 'diabetes with complications'),
    ('ICD10CM', 'E137', 'E137', 'diabetes with complications'),
    ('ICD10CM', 'E142', 'E145', 'diabetes with complications'),
    ('ICD10CM', 'E147', 'E147', 'diabetes with complications'),
    ('ICD9CM', '3341', '3341', 'hemiplegia or paraplegia'), ('ICD9CM', '342', '343', 'hemiplegia or paraplegia'),
    ('ICD9CM', '3440', '3446', 'hemiplegia or paraplegia'), ('ICD9CM', '3449', '3449', 'hemiplegia or paraplegia'),
    ('ICD10CM', 'G041', 'G041', 'hemiplegia or paraplegia'), ('ICD10CM', 'G114', 'G114', 'hemiplegia or paraplegia'),
    ('ICD10CM', 'G801', 'G802', 'hemiplegia or paraplegia'), ('ICD10CM', 'G81', 'G82', 'hemiplegia or paraplegia'),
    ('ICD10CM', 'G830', 'G834', 'hemiplegia or paraplegia'), ('ICD10CM', 'G839', 'G839', 'hemiplegia or paraplegia'),
    ('ICD9CM', '40301', '40301', 'renal disease'), ('ICD9CM', '40311', '40311', 'renal disease'),
    ('ICD9CM', '40391', '40391', 'renal disease'), ('ICD9CM', '40402', '40403', 'renal disease'),
    ('ICD9CM', '40412', '40413', 'renal disease'), ('ICD9CM', '40492', '40493', 'renal disease'),
    ('ICD9CM', '582', '582', 'renal disease'), ('ICD9CM', '5830', '5837', 'renal disease'),
    ('ICD9CM', '585', '586', 'renal disease'), ('ICD9CM', '5880', '5880', 'renal disease'),
    ('ICD9CM', 'V420', 'V420', 'renal disease'), ('ICD9CM', 'V451', 'V451', 'renal disease'),
    ('ICD9CM', 'V56', 'V56', 'renal disease'),
    ('ICD10CM', 'I120', 'I120', 'renal disease'), ('ICD10CM', 'I131', 'I131', 'renal disease'),
    ('ICD10CM', 'N032', 'N037', 'renal disease'), ('ICD10CM', 'N052', 'N057', 'renal disease'),
    ('ICD10CM', 'N18', 'N19', 'renal disease'), ('ICD10CM', 'N250', 'N250', 'renal disease'),
    ('ICD10CM', 'Z490', 'Z492', 'renal disease'), ('ICD10CM', 'Z940', 'Z940', 'renal disease'),
    ('ICD10CM', 'Z992', 'Z992', 'renal disease'),
    ('ICD9CM', '140', '172', 'malignancy'), ('ICD9CM', '174', '195', 'malignancy'),
    ('ICD9CM', '200', '208', 'malignancy'), ('ICD9CM', '2386', '2386', 'malignancy'),
    ('ICD10CM', 'C00', 'C26', 'malignancy'), ('ICD10CM', 'C30', 'C34', 'malignancy'),
    ('ICD10CM', 'C37', 'C41', 'malignancy'), ('ICD10CM', 'C43', 'C43', 'malignancy'),
    ('ICD10CM', 'C45', 'C58', 'malignancy'), ('ICD10CM', 'C60', 'C76', 'malignancy'),
    ('ICD10CM', 'C81', 'C85', 'malignancy'), ('ICD10CM', 'C88', 'C88', 'malignancy'),
    ('ICD10CM', 'C90', 'C97', 'malignancy'),
    ('ICD9CM', '4560', '4562', 'moderate or severe liver disease'),
    ('ICD9CM', '5722', '5728', 'moderate or severe liver disease'),
    ('ICD10CM', 'I850', 'I850', 'moderate or severe liver disease'),
    ('ICD10CM', 'I859', 'I859', 'moderate or severe liver disease'),
    ('ICD10CM', 'I864', 'I864', 'moderate or severe liver disease'),
    ('ICD10CM', 'I982', 'I982', 'moderate or severe liver disease'),
    ('ICD10CM', 'K704', 'K704', 'moderate or severe liver disease'),
    ('ICD10CM', 'K711', 'K711', 'moderate or severe liver disease'),
    ('ICD10CM', 'K721', 'K721', 'moderate or severe liver disease'),
    ('ICD10CM', 'K729', 'K729', 'moderate or severe liver disease'),
    ('ICD10CM', 'K765', 'K767', 'moderate or severe liver disease'),
    ('ICD9CM', '196', '199', 'metastatic tumour'),
    ('ICD10CM', 'C77', 'C80', 'metastatic tumour'),
    ('ICD9CM', '042', '044', 'AIDS'),
    ('ICD10CM', 'B20', 'B22', 'AIDS'), ('ICD10CM', 'B24', 'B24', 'AIDS')
),

-- The points of each code that occurs; then, of each family, the gravest; then their sum. No codes, no row.
code_point AS (
    SELECT DISTINCT
        seen.vocabulary,
        seen.code,
        charlson_weight.family,
        charlson_weight.weight
    FROM (SELECT DISTINCT vocabulary, code FROM diagnosis) AS seen
    JOIN charlson_code
        ON charlson_code.vocabulary = seen.vocabulary
        AND substr(seen.code, 1, length(charlson_code.first)) COLLATE BINARY
            BETWEEN charlson_code.first AND charlson_code.last
    JOIN charlson_weight ON charlson_weight.category = charlson_code.category
),

family_point AS (
    SELECT
        diagnosis.visit_id,
        diagnosis.of_stay,
        code_point.family,
        max(coalesce(code_point.weight, 0)) AS weight
    FROM diagnosis
    LEFT JOIN code_point ON code_point.vocabulary = diagnosis.vocabulary AND code_point.code = diagnosis.code
    GROUP BY diagnosis.visit_id, diagnosis.of_stay, code_point.family
),

charlson AS (
    SELECT
        visit_id,
        of_stay,
        sum(weight) AS score
    FROM family_point
    GROUP BY visit_id, of_stay
),
-- End of the Charlson index.

-- Claims submitted by the label's end, and what was decided by then; what was decided later is pending.
claim AS (
    SELECT
        placed.visit_id,
        CASE
            WHEN date(claimed.decided_date) || ' 23:59:59'
                <= datetime(placed.index_time, '+' || (:denial_horizon_days + :denial_maturity_days) || ' days')
                THEN claimed.status
        END AS status
    FROM placed
    JOIN notecast_claim AS claimed
        ON claimed.visit_occurrence_id = placed.visit_id AND claimed.person_id = placed.person_id
    WHERE date(claimed.submitted_date) || ' 23:59:59'
        <= datetime(placed.index_time, '+' || (:denial_horizon_days + :denial_maturity_days) || ' days')
),

decision AS (
    SELECT
        visit_id,
        max(CASE WHEN status IN (:denied_statuses) THEN 1 ELSE 0 END) AS denied,
        min(CASE WHEN status IN (:paid_statuses) THEN 1 ELSE 0 END) AS all_paid
    FROM claim
    GROUP BY visit_id
),

patient AS (
    SELECT
        person_id,
        gender_concept_id,
        race_concept_id,
        year_of_birth,
        coalesce(
            date(birth_datetime),
            date(printf('%04d-%02d-%02d', year_of_birth, month_of_birth, day_of_birth))
        ) AS birth_date
    FROM person
),

-- The cover that began last and had not ended at the anchor.
insurance AS (
    SELECT
        placed.visit_id,
        payer_plan_period.payer_source_value AS payer,
        row_number() OVER (
            PARTITION BY placed.visit_id
            ORDER BY payer_plan_period.payer_plan_period_start_date DESC, payer_plan_period.payer_plan_period_id DESC
        ) AS latest_first
    FROM placed
    JOIN payer_plan_period ON payer_plan_period.person_id = placed.person_id
    WHERE date(payer_plan_period.payer_plan_period_start_date) <= date(placed.seen_time)
        AND date(payer_plan_period.payer_plan_period_end_date) >= date(placed.anchor_time)
),

-- The admitting department is that of the first visit_detail; the visit itself has the discharging one.
admitting AS (
    SELECT
        placed.visit_id,
        visit_detail.care_site_id,
        row_number() OVER (
            PARTITION BY placed.visit_id
            ORDER BY
                coalesce(
                    datetime(visit_detail.visit_detail_start_datetime),
                    date(visit_detail.visit_detail_start_date) || ' 00:00:00'
                ),
                visit_detail.visit_detail_id
        ) AS earliest_first
    FROM placed
    JOIN visit_detail ON visit_detail.visit_occurrence_id = placed.visit_id
),

known AS (
    SELECT
        placed.*,
        CAST(strftime('%Y', placed.seen_time) AS INTEGER) - patient.year_of_birth
        - CASE
            WHEN strftime('%m-%d', placed.seen_time) < strftime('%m-%d', patient.birth_date) THEN 1
            ELSE 0
        END AS age,
        patient.gender_concept_id,
        patient.race_concept_id,
        coalesce(first_site.care_site_name, last_site.care_site_name) AS department,
        insurance.payer,
        CASE WHEN placed.to_death = 1 OR placed.earliest_death <= placed.left_time THEN 1 ELSE 0 END AS died,
        CAST(julianday(date(placed.left_time)) - julianday(date(placed.anchor_time)) AS INTEGER) AS midnights,
        CASE
            WHEN first_site.care_site_name IN (:newborn_departments) THEN 1
            WHEN last_site.care_site_name IN (:newborn_departments) THEN 1
            WHEN date(placed.anchor_time) < date(patient.birth_date, '+' || :newborn_age_days || ' days') THEN 1
            ELSE 0
        END AS newborn,
        coalesce(prior_admission.stays, 0) AS prior_admissions,
        coalesce(emergency.visits, 0) AS emergency_visits,
        earlier.score AS prior_charlson,
        present.score AS charlson,
        decision.denied,
        decision.all_paid
    FROM placed
    LEFT JOIN patient ON patient.person_id = placed.person_id
    LEFT JOIN admitting ON admitting.visit_id = placed.visit_id AND admitting.earliest_first = 1
    LEFT JOIN care_site AS first_site ON first_site.care_site_id = admitting.care_site_id
    LEFT JOIN care_site AS last_site ON last_site.care_site_id = placed.care_site_id
    LEFT JOIN insurance ON insurance.visit_id = placed.visit_id AND insurance.latest_first = 1
    LEFT JOIN prior_admission ON prior_admission.visit_id = placed.visit_id
    LEFT JOIN emergency ON emergency.visit_id = placed.visit_id
    LEFT JOIN charlson AS earlier ON earlier.visit_id = placed.visit_id AND earlier.of_stay = 'prior'
    LEFT JOIN charlson AS present ON present.visit_id = placed.visit_id AND present.of_stay = 'index'
    LEFT JOIN decision ON decision.visit_id = placed.visit_id
),

-- What every label shares: early are the reasons that come first of all, late those that come last.
screened AS (
    SELECT
        known.*,
        CASE
            WHEN first_available IS NULL THEN 'no_note'
            WHEN index_time IS NULL THEN 'late_note'
            WHEN newborn = 1 AND :count_newborns = 0 THEN 'newborn'
        END AS early,
        CASE WHEN has_times = 0 AND :use_dates = 0 THEN 'undetermined' END AS late
    FROM known
),

-- Not left by admission + horizon: still in hospital. Not followed for horizon + maturity: incomplete, whatever was
-- seen.
reasoned AS (
    SELECT
        screened.*,
        CASE
            WHEN early IS NOT NULL THEN early
            WHEN left_time IS NULL
                OR left_time > :known_until
                OR left_time > datetime(anchor_time, '+' || :mortality_horizon_days || ' days')
                THEN 'still_in_hospital'
            WHEN datetime(index_time, '+' || (:mortality_horizon_days + :mortality_maturity_days) || ' days')
                > :known_until
                THEN 'follow_up_incomplete'
            ELSE late
        END AS reason_mortality,
        CASE
            WHEN early IS NOT NULL THEN early
            WHEN left_time IS NULL
                OR left_time > :known_until
                OR left_time > datetime(anchor_time, '+' || :length_of_stay_days_horizon_days || ' days')
                THEN 'still_in_hospital'
            WHEN datetime(
                index_time,
                '+' || (:length_of_stay_days_horizon_days + :length_of_stay_days_maturity_days) || ' days'
            ) > :known_until
                THEN 'follow_up_incomplete'
            WHEN midnights < 0 THEN 'undetermined'
            ELSE late
        END AS reason_length_of_stay_days,
        CASE
            WHEN early IS NOT NULL THEN early
            WHEN left_time IS NULL
                OR left_time > :known_until
                OR left_time > datetime(anchor_time, '+' || :charlson_horizon_days || ' days')
                THEN 'still_in_hospital'
            WHEN datetime(index_time, '+' || (:charlson_horizon_days + :charlson_maturity_days) || ' days')
                > :known_until
                THEN 'follow_up_incomplete'
            WHEN charlson IS NULL THEN 'uncoded'
            ELSE late
        END AS reason_charlson,
        CASE
            WHEN early IS NOT NULL THEN early
            WHEN datetime(index_time, '+' || (:denial_horizon_days + :denial_maturity_days) || ' days') > :known_until
                THEN 'follow_up_incomplete'
            WHEN denied IS NULL THEN 'no_claim'
            WHEN denied = 0 AND all_paid = 0 THEN 'undetermined'
            ELSE late
        END AS reason_denial
    FROM screened
)

SELECT
    visit_id,
    person_id,
    anchor_time,
    index_time,
    CASE WHEN reason_mortality IS NULL THEN died END AS label_mortality,
    reason_mortality,
    CASE WHEN reason_length_of_stay_days IS NULL THEN midnights END AS label_length_of_stay_days,
    reason_length_of_stay_days,
    CASE WHEN reason_charlson IS NULL THEN charlson END AS label_charlson,
    reason_charlson,
    CASE WHEN reason_denial IS NULL THEN denied END AS label_denial,
    reason_denial,
    age AS feature_age,
    prior_admissions AS feature_prior_admissions,
    prior_charlson AS feature_prior_charlson,
    emergency_visits AS feature_emergency_visits,
    CASE WHEN visit_concept_id IN (:emergency_visits) THEN 1 ELSE 0 END AS feature_emergency,
    CASE gender_concept_id WHEN 8507 THEN 'male' WHEN 8532 THEN 'female' ELSE 'unknown' END AS group_sex,
    CASE
        WHEN age < 18 THEN '0-17'
        WHEN age < 40 THEN '18-39'
        WHEN age < 65 THEN '40-64'
        WHEN age < 80 THEN '65-79'
        WHEN age >= 80 THEN '80+'
        ELSE 'unknown'
    END AS group_age_band,
    CASE race_concept_id
        WHEN 8527 THEN 'White'
        WHEN 8516 THEN 'Black or African American'
        WHEN 8515 THEN 'Asian'
        WHEN 8557 THEN 'Native Hawaiian or Other Pacific Islander'
        WHEN 8657 THEN 'American Indian or Alaska Native'
        ELSE 'unknown'
    END AS group_race,
    coalesce(payer, 'unknown') AS group_insurance,
    coalesce(department, 'unknown') AS group_department,
    strftime('%Y', seen_time) AS group_year
FROM reasoned
ORDER BY visit_id
