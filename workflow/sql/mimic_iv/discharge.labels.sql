-- Discharge cohort, labels: one row an admission that ended, with or without a summary. MIMIC-IV (module hosp) with
-- MIMIC-IV-Note, SQLite. Tables are named without their schema: on PostgreSQL search_path finds them.
--
-- label_readmission   1: another admission of the patient, of the types that count, starts in (index, discharge +
--                     horizon]. 0: none does. Only returns to this hospital are in the data.
-- label_death         1: the patient died after the index time, at the latest on the calendar day `horizon` days after
--                     discharge. 0: not by then. Outside the hospital a death has only a date (dod), so that days are
--                     compared; such a death counts as of 23:59:59 of its day. MIMIC knows no death later than a year
--                     after a patient's last discharge: with a longer horizon every stay is follow_up_incomplete.
-- label_charlson      Charlson index of this stay's ICD codes. The summary states what is coded: coding, not prediction.
-- feature_*           what is known at the index time: from this stay and from earlier, completed stays; never from
--                     this stay's diagnoses. MIMIC does not say when a code was given: an earlier stay's count as of
--                     its discharge. Age is that of the calendar year; over 89 it is 91 in anchor_year.
-- group_*             for subgroup tables. group_period, split_period: the patient's anchor_year_group.
--
-- Where the data end. Each patient's dates are shifted by another span, so that no date says how long a patient was
-- followed, and :known_until, which comes from the shifted span, censors nobody. Left alone, readmissions after the last
-- real day of the data are missed, in the last month of some fifteen years. What can be known is the real year of a stay
-- within three years: its year less anchor_year, added to anchor_year_group. Stays that may lie in a year after
-- :last_followed_year are follow_up_incomplete for readmission, readmitted or not; 9999 leaves none out. (To leave out
-- last stays alone would leave out negatives alone.) The registry of deaths was read a year beyond.
--
-- A stay has the first reason that applies.

WITH stay AS (
    SELECT
        hadm_id,
        subject_id,
        CAST(hadm_id AS TEXT) AS visit_id,
        CAST(subject_id AS TEXT) AS person_id,
        datetime(admittime) AS start_time,
        datetime(dischtime) AS anchor_time,
        CASE WHEN discharge_location IN (:died) OR hospital_expire_flag = 1 THEN 1 ELSE 0 END AS to_death,
        CASE WHEN discharge_location IN (:against_advice) THEN 1 ELSE 0 END AS against_advice,
        CASE WHEN edregtime IS NOT NULL THEN 1 ELSE 0 END AS emergency,
        insurance,
        race
    FROM admissions
    WHERE admission_type IN (:inpatient_visits)
        AND dischtime >= datetime(:window_start, '-' || (:max_delay_hours / 24 + 2) || ' days')
        AND dischtime < datetime(:window_end, '+2 days')
),

summary AS (
    SELECT
        stay.hadm_id,
        min(
            CASE
                WHEN discharge.storetime IS NOT NULL THEN datetime(discharge.storetime)
                WHEN datetime(discharge.charttime) = date(discharge.charttime) || ' 00:00:00'
                    THEN date(discharge.charttime) || ' 23:59:59'
                ELSE datetime(discharge.charttime)
            END
        ) AS first_available
    FROM stay
    JOIN discharge ON discharge.hadm_id = stay.hadm_id AND discharge.subject_id = stay.subject_id
    WHERE discharge.note_type IN (:note_types)
        AND (discharge.storetime IS NOT NULL OR :use_dates = 1)
        AND CASE WHEN discharge.note_type IN (:addendum_types) THEN 1 ELSE 0 END = 0
    GROUP BY stay.hadm_id
),

clock AS (
    SELECT
        stay.*,
        summary.first_available,
        CASE
            WHEN summary.first_available > datetime(stay.anchor_time, '+' || :max_delay_hours || ' hours') THEN NULL
            WHEN summary.first_available > stay.anchor_time THEN summary.first_available
            WHEN summary.first_available IS NOT NULL THEN stay.anchor_time
        END AS index_time
    FROM stay
    LEFT JOIN summary ON summary.hadm_id = stay.hadm_id
),

-- The stays of the window. seen_time is what features may see: up to the index time, or the end where there is none.
placed AS (
    SELECT
        clock.*,
        coalesce(clock.index_time, clock.anchor_time) AS seen_time,
        date(clock.anchor_time, '+' || :death_horizon_days || ' days') AS death_horizon_date,
        CASE
            WHEN :readmission_by_date = 1
                THEN date(clock.anchor_time, '+' || :readmission_horizon_days || ' days') || ' 23:59:59'
            ELSE datetime(clock.anchor_time, '+' || :readmission_horizon_days || ' days')
        END AS horizon_time
    FROM clock
    WHERE coalesce(clock.index_time, clock.anchor_time) >= :window_start
        AND coalesce(clock.index_time, clock.anchor_time) < :window_end
),

-- All other admissions of these patients; end_time is NULL while one is in progress.
other AS (
    SELECT
        placed.hadm_id AS of_hadm_id,
        admissions.hadm_id,
        admissions.admission_type,
        datetime(admissions.admittime) AS start_time,
        datetime(admissions.dischtime) AS end_time,
        CASE WHEN admissions.edregtime IS NOT NULL THEN 1 ELSE 0 END AS emergency
    FROM placed
    JOIN admissions ON admissions.subject_id = placed.subject_id AND admissions.hadm_id <> placed.hadm_id
),

-- Readmissions, known by :known_until: stays that begin on a later day than this one's end, or on the same day if
-- transfers count (then at this one's end at the earliest).
readmission AS (
    SELECT
        placed.hadm_id,
        placed.index_time,
        placed.horizon_time,
        CASE WHEN other.start_time > placed.anchor_time THEN other.start_time ELSE placed.anchor_time END AS event_time
    FROM placed
    JOIN other ON other.of_hadm_id = placed.hadm_id
    WHERE other.admission_type IN (:readmission_visits)
        AND other.start_time <= :known_until
        AND (other.end_time IS NULL OR other.end_time > placed.anchor_time)
        AND (
            date(other.start_time) > date(placed.anchor_time)
            OR (date(other.start_time) = date(placed.anchor_time) AND :count_transfers = 1)
        )
        AND CASE WHEN other.admission_type IN (:planned_values) AND :count_planned = 0 THEN 0 ELSE 1 END = 1
),

event AS (
    SELECT
        hadm_id,
        max(CASE WHEN event_time <= index_time THEN 1 ELSE 0 END) AS before_index,
        max(CASE WHEN event_time > index_time AND event_time <= horizon_time THEN 1 ELSE 0 END) AS in_window
    FROM readmission
    GROUP BY hadm_id
),

-- Stays of the patient that began on an earlier day than this one's end, and outlast it.
overlap AS (
    SELECT DISTINCT placed.hadm_id
    FROM placed
    JOIN other ON other.of_hadm_id = placed.hadm_id
    WHERE other.admission_type IN (:inpatient_visits)
        AND date(other.start_time) < date(placed.anchor_time)
        AND (other.end_time IS NULL OR other.end_time > placed.anchor_time)
),

in_hospital_death AS (
    SELECT
        subject_id,
        min(datetime(deathtime)) AS death_time
    FROM admissions
    WHERE deathtime IS NOT NULL AND subject_id IN (SELECT placed.subject_id FROM placed)
    GROUP BY subject_id
),

-- Only a death in hospital has a time.
passing AS (
    SELECT
        patients.subject_id,
        coalesce(in_hospital_death.death_time, date(patients.dod) || ' 23:59:59') AS death_time,
        coalesce(date(in_hospital_death.death_time), date(patients.dod)) AS death_date
    FROM patients
    LEFT JOIN in_hospital_death ON in_hospital_death.subject_id = patients.subject_id
    WHERE patients.subject_id IN (SELECT placed.subject_id FROM placed)
        AND (patients.dod IS NOT NULL OR in_hospital_death.death_time IS NOT NULL)
),

prior AS (
    SELECT
        other.of_hadm_id,
        other.hadm_id,
        CASE WHEN other.end_time >= datetime(placed.seen_time, '-365 days') THEN 1 ELSE 0 END AS in_a_year
    FROM placed
    JOIN other ON other.of_hadm_id = placed.hadm_id
    WHERE other.admission_type IN (:inpatient_visits)
        AND other.start_time < placed.start_time
        AND other.end_time <= placed.seen_time
),

prior_admission AS (
    SELECT
        of_hadm_id AS hadm_id,
        sum(in_a_year) AS stays
    FROM prior
    GROUP BY of_hadm_id
),

-- Admissions through the emergency department, observation included; other visits to it are not in this module.
emergency AS (
    SELECT
        placed.hadm_id,
        count(*) AS visits
    FROM placed
    JOIN other ON other.of_hadm_id = placed.hadm_id
    WHERE other.emergency = 1
        AND other.start_time < placed.start_time
        AND other.start_time >= datetime(placed.start_time, '-180 days')
    GROUP BY placed.hadm_id
),

coded AS (
    SELECT
        hadm_id AS visit_id,
        'own' AS of_stay,
        hadm_id
    FROM placed
    UNION ALL
    SELECT
        of_hadm_id AS visit_id,
        'prior' AS of_stay,
        hadm_id
    FROM prior
),

-- ICD codes without dots, spaces and padding, in upper case.
diagnosis AS (
    SELECT
        coded.visit_id,
        coded.of_stay,
        upper(replace(replace(diagnoses_icd.icd_code, '.', ''), ' ', '')) AS code,
        CASE diagnoses_icd.icd_version WHEN 9 THEN 'ICD9CM' ELSE 'ICD10CM' END AS vocabulary
    FROM coded
    JOIN diagnoses_icd ON diagnoses_icd.hadm_id = coded.hadm_id
    WHERE replace(diagnoses_icd.icd_code, ' ', '') <> ''
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

-- The service that the patient was last under.
last_service AS (
    SELECT
        placed.hadm_id,
        services.curr_service AS service,
        row_number() OVER (
            PARTITION BY placed.hadm_id
            ORDER BY datetime(services.transfertime) DESC, services.curr_service COLLATE BINARY DESC
        ) AS latest_first
    FROM placed
    JOIN services ON services.hadm_id = placed.hadm_id
    WHERE datetime(services.transfertime) <= placed.seen_time
),

known AS (
    SELECT
        placed.*,
        patients.anchor_age + CAST(strftime('%Y', placed.seen_time) AS INTEGER) - patients.anchor_year AS age,
        CAST(substr(patients.anchor_year_group, 8, 4) AS INTEGER)
        + CAST(strftime('%Y', placed.anchor_time) AS INTEGER) - patients.anchor_year AS last_possible_year,
        patients.gender,
        patients.anchor_year_group,
        last_service.service,
        coalesce(event.before_index, 0) AS event_before_index,
        coalesce(event.in_window, 0) AS readmitted,
        CASE WHEN overlap.hadm_id IS NULL THEN 0 ELSE 1 END AS in_hospital,
        CASE
            WHEN placed.to_death = 1 THEN 1
            WHEN passing.death_date <= date(placed.anchor_time) AND passing.death_time <= :known_until THEN 1
            ELSE 0
        END AS died_in_hospital,
        CASE WHEN passing.death_time <= :known_until THEN passing.death_time END AS death_time,
        CASE WHEN passing.death_time <= :known_until THEN passing.death_date END AS death_date,
        coalesce(prior_admission.stays, 0) AS prior_admissions,
        coalesce(emergency.visits, 0) AS emergency_visits,
        own.score AS charlson,
        earlier.score AS prior_charlson
    FROM placed
    JOIN patients ON patients.subject_id = placed.subject_id
    LEFT JOIN last_service ON last_service.hadm_id = placed.hadm_id AND last_service.latest_first = 1
    LEFT JOIN event ON event.hadm_id = placed.hadm_id
    LEFT JOIN overlap ON overlap.hadm_id = placed.hadm_id
    LEFT JOIN passing ON passing.subject_id = placed.subject_id
    LEFT JOIN prior_admission ON prior_admission.hadm_id = placed.hadm_id
    LEFT JOIN emergency ON emergency.hadm_id = placed.hadm_id
    LEFT JOIN charlson AS own ON own.visit_id = placed.hadm_id AND own.of_stay = 'own'
    LEFT JOIN charlson AS earlier ON earlier.visit_id = placed.hadm_id AND earlier.of_stay = 'prior'
),

-- What both labels that look ahead ask of a stay; a stay that ends before it begins has a wrong time.
eligible AS (
    SELECT
        known.*,
        CASE
            WHEN first_available IS NULL THEN 'no_note'
            WHEN index_time IS NULL THEN 'late_note'
            WHEN died_in_hospital = 1 THEN 'died_in_hospital'
            WHEN service IN (:excluded_services) THEN 'excluded_department'
            WHEN against_advice = 1 AND :count_against_advice = 0 THEN 'left_against_advice'
            WHEN death_time <= index_time THEN 'event_before_index'
        END AS common_reason,
        CASE WHEN anchor_time < start_time THEN 1 ELSE 0 END AS impossible
    FROM known
),

reasoned AS (
    SELECT
        eligible.*,
        CASE
            WHEN common_reason IS NOT NULL THEN common_reason
            WHEN event_before_index = 1 THEN 'event_before_index'
            WHEN in_hospital = 1 THEN 'still_in_hospital'
            -- Whether or not a readmission was already seen: its peers without one are unknown.
            WHEN last_possible_year > :last_followed_year THEN 'follow_up_incomplete'
            WHEN datetime(index_time, '+' || (:readmission_horizon_days + :readmission_maturity_days) || ' days')
                > :known_until
                OR datetime(horizon_time, '+' || :readmission_maturity_days || ' days') > :known_until
                THEN 'follow_up_incomplete'
            WHEN readmitted = 0 AND death_time <= horizon_time AND :death_is_negative = 0 THEN 'undetermined'
            WHEN impossible = 1 THEN 'undetermined'
        END AS reason_readmission,
        CASE
            WHEN common_reason IS NOT NULL THEN common_reason
            WHEN in_hospital = 1 THEN 'still_in_hospital'
            WHEN :death_horizon_days > 365 THEN 'follow_up_incomplete'
            WHEN datetime(index_time, '+' || (:death_horizon_days + :death_maturity_days) || ' days') > :known_until
                OR date(death_horizon_date, '+' || :death_maturity_days || ' days') || ' 23:59:59' > :known_until
                THEN 'follow_up_incomplete'
            WHEN impossible = 1 THEN 'undetermined'
        END AS reason_death,
        CASE
            WHEN first_available IS NULL THEN 'no_note'
            WHEN index_time IS NULL THEN 'late_note'
            WHEN datetime(index_time, '+' || (:charlson_horizon_days + :charlson_maturity_days) || ' days')
                > :known_until
                THEN 'follow_up_incomplete'
            WHEN charlson IS NULL THEN 'uncoded'
        END AS reason_charlson
    FROM eligible
)

SELECT
    visit_id,
    person_id,
    anchor_time,
    index_time,
    anchor_year_group AS split_period,
    CASE WHEN reason_readmission IS NULL THEN readmitted END AS label_readmission,
    reason_readmission,
    CASE
        WHEN reason_death IS NOT NULL THEN NULL
        WHEN death_date <= death_horizon_date THEN 1
        ELSE 0
    END AS label_death,
    reason_death,
    CASE WHEN reason_charlson IS NULL THEN charlson END AS label_charlson,
    reason_charlson,
    age AS feature_age,
    prior_admissions AS feature_prior_admissions,
    prior_charlson AS feature_prior_charlson,
    emergency_visits AS feature_emergency_visits,
    emergency AS feature_emergency,
    CAST(julianday(date(anchor_time)) - julianday(date(start_time)) AS INTEGER) AS feature_los_days,
    CASE gender WHEN 'M' THEN 'male' WHEN 'F' THEN 'female' ELSE 'unknown' END AS group_sex,
    CASE
        WHEN age < 18 THEN '0-17'
        WHEN age < 40 THEN '18-39'
        WHEN age < 65 THEN '40-64'
        WHEN age < 80 THEN '65-79'
        WHEN age >= 80 THEN '80+'
        ELSE 'unknown'
    END AS group_age_band,
    CASE
        WHEN substr(race, 1, 5) = 'WHITE' OR race = 'PORTUGUESE' THEN 'White'
        WHEN substr(race, 1, 5) = 'BLACK' THEN 'Black or African American'
        WHEN substr(race, 1, 8) = 'HISPANIC' OR race = 'SOUTH AMERICAN' THEN 'Hispanic or Latino'
        WHEN substr(race, 1, 5) = 'ASIAN' THEN 'Asian'
        WHEN race IS NULL OR race IN ('UNKNOWN', 'UNABLE TO OBTAIN', 'PATIENT DECLINED TO ANSWER') THEN 'unknown'
        ELSE 'other'
    END AS group_race,
    coalesce(insurance, 'unknown') AS group_insurance,
    coalesce(service, 'unknown') AS group_service,
    anchor_year_group AS group_period
FROM reasoned
ORDER BY visit_id COLLATE BINARY
