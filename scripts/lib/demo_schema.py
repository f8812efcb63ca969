"""The OMOP CDM 5.4 tables that the demo hospital fills, with all their columns, and its own table of claims.

Column names and order are those of the OHDSI specification. Dates and times are text, 'YYYY-MM-DD' and
'YYYY-MM-DD HH:MM:SS', as SQLite has no type for them. `notecast_claim` is no part of OMOP: what it holds is said in
`demo_omop`.
"""

import sqlite3

_TABLES = {
    "cdm_source": """cdm_source_name! cdm_source_abbreviation! cdm_holder! source_description
        source_documentation_reference cdm_etl_reference source_release_date! cdm_release_date! cdm_version
        cdm_version_concept_id! vocabulary_version!""",
    "concept": """concept_id* concept_name! domain_id! vocabulary_id! concept_class_id! standard_concept concept_code!
        valid_start_date! valid_end_date! invalid_reason""",
    "care_site": """care_site_id* care_site_name place_of_service_concept_id location_id care_site_source_value
        place_of_service_source_value""",
    "person": """person_id* gender_concept_id! year_of_birth! month_of_birth day_of_birth birth_datetime
        race_concept_id! ethnicity_concept_id! location_id provider_id care_site_id person_source_value
        gender_source_value gender_source_concept_id race_source_value race_source_concept_id ethnicity_source_value
        ethnicity_source_concept_id""",
    "observation_period": """observation_period_id* person_id! observation_period_start_date!
        observation_period_end_date! period_type_concept_id!""",
    "payer_plan_period": """payer_plan_period_id* person_id! payer_plan_period_start_date!
        payer_plan_period_end_date! payer_concept_id payer_source_value payer_source_concept_id plan_concept_id
        plan_source_value plan_source_concept_id sponsor_concept_id sponsor_source_value sponsor_source_concept_id
        family_source_value stop_reason_concept_id stop_reason_source_value stop_reason_source_concept_id""",
    "visit_occurrence": """visit_occurrence_id* person_id! visit_concept_id! visit_start_date! visit_start_datetime
        visit_end_date! visit_end_datetime visit_type_concept_id! provider_id care_site_id visit_source_value
        visit_source_concept_id admitted_from_concept_id admitted_from_source_value discharged_to_concept_id
        discharged_to_source_value preceding_visit_occurrence_id""",
    "visit_detail": """visit_detail_id* person_id! visit_detail_concept_id! visit_detail_start_date!
        visit_detail_start_datetime visit_detail_end_date! visit_detail_end_datetime visit_detail_type_concept_id!
        provider_id care_site_id visit_detail_source_value visit_detail_source_concept_id admitted_from_concept_id
        admitted_from_source_value discharged_to_source_value discharged_to_concept_id preceding_visit_detail_id
        parent_visit_detail_id visit_occurrence_id!""",
    "note": """note_id* person_id! note_date! note_datetime note_type_concept_id! note_class_concept_id! note_title
        note_text encoding_concept_id! language_concept_id! provider_id visit_occurrence_id visit_detail_id
        note_source_value note_event_id note_event_field_concept_id""",
    "condition_occurrence": """condition_occurrence_id* person_id! condition_concept_id! condition_start_date!
        condition_start_datetime condition_end_date condition_end_datetime condition_type_concept_id!
        condition_status_concept_id stop_reason provider_id visit_occurrence_id visit_detail_id
        condition_source_value condition_source_concept_id condition_status_source_value""",
    "death": """person_id! death_date! death_datetime death_type_concept_id cause_concept_id cause_source_value
        cause_source_concept_id""",
    "notecast_claim": "claim_id* person_id! visit_occurrence_id! submitted_date! decided_date status!",
}
_INDEXES = (
    ("visit_occurrence", "visit_start_date"),
    ("visit_occurrence", "visit_end_date"),
    ("visit_occurrence", "person_id"),
    ("visit_detail", "visit_occurrence_id"),
    ("note", "visit_occurrence_id"),
    ("note", "note_date"),
    ("condition_occurrence", "visit_occurrence_id"),
    ("death", "person_id"),
    ("payer_plan_period", "person_id"),
    ("notecast_claim", "visit_occurrence_id"),
)


def columns(table: str) -> list[str]:
    return [name.rstrip("*!") for name in _TABLES[table].split()]


def create_tables(connection: sqlite3.Connection) -> None:
    """Empty tables: `*` above is the key, `!` NOT NULL (note_text is nullable here: real warehouses have NULLs)."""
    for table, names in _TABLES.items():
        parts = [_column(name) for name in names.split()]
        connection.execute(f"CREATE TABLE {table} ({', '.join(parts)})")


def create_indexes(connection: sqlite3.Connection) -> None:
    for table, column in _INDEXES:
        connection.execute(f"CREATE INDEX {table}_by_{column} ON {table} ({column})")


def insert(table: str, filled: tuple[str, ...]) -> str:
    """The INSERT statement for rows of the columns `filled`; the others stay NULL."""
    assert set(filled) <= set(columns(table))
    return f"INSERT INTO {table} ({', '.join(filled)}) VALUES ({', '.join('?' * len(filled))})"


def _column(name: str) -> str:
    bare = name.rstrip("*!")
    integer = bare.endswith("_id") or (bare.endswith("_of_birth") and bare != "birth_datetime")
    if bare in ("domain_id", "vocabulary_id", "concept_class_id"):
        integer = False
    constraint = " PRIMARY KEY" if name.endswith("*") else " NOT NULL" if name.endswith("!") else ""
    return f"{bare} {'INTEGER' if integer else 'TEXT'}{constraint}"
