"""The configuration's first block: where notes come from, how the server is reached, and which time is covered."""

import re
from datetime import date
from typing import Literal, Self

from pydantic import Field, StrictInt, StrictStr
from pydantic import model_validator as check

from lib.config_types import Block, Count, Days, Number, Share, Variable


class Demo(Block):
    """The embedded hospital: a generated SQLite database whose risks are known. Absent at a real one."""

    seed: StrictInt = Field(1, description="Seed of the generator; equal settings give an equal database.")
    patients: Count = Field(4000, description="Expected number of patients over the demo's years.")
    cue_share: Share = Field(0.2, description="0: single words tell the outcome; 1: only their context does.")
    late: Share = Field(0.0, description="How late in the note the decisive facts stand (1: after token 512).")
    note_words: Count = Field(100, description="Median length of a note in words (lognormal).")
    dirt: Share = Field(0.1, description="Share of notes with markup remains, control characters and the like.")
    leak: list[Literal["label_words", "patient_copies", "late_filing"]] = Field(
        [], description="Leaks to plant, to see them caught."
    )


class Kerberos(Block):
    """The ticket with which the server lets jobs in. Neither cache nor keytab: the machine's own default cache."""

    principal: StrictStr = Field(description="Whose ticket, as kinit wants it: researcher@HOSPITAL.ORG.")
    cache: StrictStr | None = Field(None, description="Ticket cache that every node can read, as KRB5CCNAME has it.")
    keytab: StrictStr | None = Field(None, description="In its place: a keytab; jobs fetch tickets from it.")

    @check(mode="after")
    def _one_way(self) -> Self:
        if self.cache and self.keytab:
            raise ValueError("give cache or keytab, not both")
        return self


class Odbc(Block):
    """A server, asked through its ODBC driver (pyodbc), read-only. All of it is neutral."""

    connection: StrictStr = Field(
        description="Connection string without anything secret: Driver=…;Server=…;Port=…;Database=…, or DSN=…."
    )
    dialect: Literal["postgres", "tsql", "sqlite"] = Field(
        description="What the server speaks. sqlite is for tests: its driver wraps ids beyond 2^31, cuts text at NUL."
    )
    secrets: dict[StrictStr, Variable] = Field(
        {}, description="Keywords of the connection string, such as PWD: the environment's variable that holds each."
    )
    kerberos: Kerberos | None = Field(None, description="Where the server lets in whoever has a ticket.")
    retries: Days = Field(4, description="How often a window is tried again when a connection or a lock fails.")
    pause_seconds: Number = Field(5, description="Before the first of them; doubled each time, a minute at most.")
    login_seconds: Count = Field(30, description="How long to wait for the server to answer.")
    lock_seconds: Count = Field(60, description="How long a query waits for a lock.")

    @check(mode="after")
    def _nothing_secret(self) -> Self:
        named = {keyword.lower() for keyword in re.findall(r"([^=;]+)=", self.connection)}
        if named & {"pwd", "password", "accesstoken", "access token", "pqopt", "secret"}:
            raise ValueError("connection holds a password or the like: name its keyword in `secrets`, with a variable")
        return self


class Source(Block):
    """Where notes come from, and the span of time that is known. Give exactly one of `demo`, `sqlite` and `odbc`."""

    demo: Demo | None = Field(None, description="Generate the demo hospital and read that.")
    sqlite: StrictStr | None = Field(None, description="Path of a SQLite file, opened read-only.")
    odbc: Odbc | None = Field(None, description="A server: PostgreSQL or SQL Server.")
    id_type: Literal["integer", "text"] = Field("integer", description="Type of note, person and visit ids.")
    exclusions: StrictStr | None = Field(
        None, description="File of the patients who opted out: one id a line, # begins a comment."
    )
    exclusions_sql: StrictStr | None = Field(
        None, description="A SELECT of their ids, in the source's own dialect, which `snakemake refresh` asks."
    )
    look_back: Days = Field(3, description="How many of the last windows `snakemake refresh` looks at (neutral).")
    releases: Literal["any", "one"] = Field(
        "any",
        description="one: windows extracted from several releases of the warehouse stop a run; any: they are told.",
    )
    data_start: date = Field(description="First day of the first window.")
    data_end: date = Field(description="Last day that the data cover completely: stated, never guessed from rows.")
    window: Literal["month", "quarter", "year", "decade"] = Field(
        "month", description="Unit of extraction and of reuse; decade: for dates that were shifted over a century."
    )
    batch_rows: Count = Field(1000, description="Rows fetched at a time (neutral).")

    @check(mode="after")
    def _one_source(self) -> Self:
        if [self.demo, self.sqlite, self.odbc].count(None) != 2:
            raise ValueError("give exactly one of demo, sqlite and odbc")
        if self.data_end < self.data_start:
            raise ValueError(f"data_end {self.data_end} lies before data_start {self.data_start}")
        return self
