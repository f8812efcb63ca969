-- Which release of the warehouse this is: recorded with every window.
SELECT
    cdm_version,
    vocabulary_version,
    date(source_release_date) AS source_release,
    date(cdm_release_date) AS cdm_release
FROM cdm_source
ORDER BY cdm_version, vocabulary_version, date(source_release_date), date(cdm_release_date)
