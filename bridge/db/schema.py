"""The tables of the database, as numbered migrations.

Words in braces differ between the engines, and `postgresql:` begins a statement for that engine alone (`db.migrations`). A migration that was released is never changed:
another one follows it. The first creates only what is missing, since databases from before have no number.
Times are Unix seconds unless they are text.
"""

from typing import Final

FIRST: Final = """
CREATE TABLE IF NOT EXISTS events (
    seq {serial},
    line {text} NOT NULL,
    call_id {text},
    at {real} NOT NULL,
    body {bytes} NOT NULL
);
CREATE INDEX IF NOT EXISTS events_of_line ON events (line, seq);
CREATE INDEX IF NOT EXISTS events_of_call ON events (call_id, seq) WHERE call_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS old_events ON events (at);
CREATE TABLE IF NOT EXISTS open_calls (
    call_id {text} PRIMARY KEY,
    node {integer} NOT NULL,
    body {bytes} NOT NULL
){clustered};
CREATE TABLE IF NOT EXISTS digit_events (
    event {integer} PRIMARY KEY,
    call_id {text} NOT NULL,
    ended_at {real}
);
CREATE INDEX IF NOT EXISTS digits_of_call ON digit_events (call_id) WHERE ended_at IS NULL;
CREATE TABLE IF NOT EXISTS endpoints (
    id {text} PRIMARY KEY,
    line {text} NOT NULL,
    created_at {real} NOT NULL,
    body {bytes} NOT NULL
){clustered};
CREATE INDEX IF NOT EXISTS endpoints_of_line ON endpoints (line, created_at);
CREATE TABLE IF NOT EXISTS deliveries (
    seq {serial},
    event {integer} NOT NULL,
    node {integer} NOT NULL,
    line {text} NOT NULL,
    receiver {text} NOT NULL,
    lane {text} NOT NULL,
    style {text} NOT NULL,
    url {text} NOT NULL,
    first_at {real} NOT NULL,
    due {real},
    attempts {integer} NOT NULL DEFAULT 0,
    error {text} NOT NULL DEFAULT '',
    dead_at {real}
);
CREATE INDEX IF NOT EXISTS due_deliveries ON deliveries (node, receiver, due) WHERE due IS NOT NULL;
CREATE INDEX IF NOT EXISTS lanes ON deliveries (lane, seq) WHERE dead_at IS NULL;
CREATE INDEX IF NOT EXISTS dead_deliveries ON deliveries (line, seq) WHERE dead_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS delivered_events ON deliveries (event);
CREATE TABLE IF NOT EXISTS call_records (
    call_id {text} PRIMARY KEY,
    line {text} NOT NULL,
    started_at {real} NOT NULL,
    ended_at {real} NOT NULL,
    direction {text} NOT NULL,
    reason {text} NOT NULL,
    from_party {text} NOT NULL,
    to_party {text} NOT NULL,
    mos {real},
    words {text} NOT NULL,
    entry {bytes} NOT NULL
);
CREATE INDEX IF NOT EXISTS call_records_by_age ON call_records (started_at, call_id);
CREATE INDEX IF NOT EXISTS call_records_of_line ON call_records (line, started_at, call_id);
CREATE INDEX IF NOT EXISTS call_records_from
    ON call_records (line, from_party, started_at, call_id);
CREATE INDEX IF NOT EXISTS call_records_to ON call_records (line, to_party, started_at, call_id);
CREATE INDEX IF NOT EXISTS call_records_reason ON call_records (line, reason, started_at, call_id);
CREATE INDEX IF NOT EXISTS call_records_ended ON call_records (ended_at);
CREATE TABLE IF NOT EXISTS call_problems (
    code {text} NOT NULL,
    line {text} NOT NULL,
    started_at {real} NOT NULL,
    call_id {text} NOT NULL,
    PRIMARY KEY (code, line, started_at, call_id)
){clustered};
CREATE INDEX IF NOT EXISTS problems_by_age ON call_problems (code, started_at, call_id);
CREATE INDEX IF NOT EXISTS problems_of_call ON call_problems (call_id);
CREATE TABLE IF NOT EXISTS call_details (
    call_id {text} PRIMARY KEY,
    record {bytes} NOT NULL,
    report {bytes} NOT NULL,
    timeline {bytes} NOT NULL
);
CREATE TABLE IF NOT EXISTS transcripts (
    call_id {text} PRIMARY KEY,
    line {text} NOT NULL,
    mode {text} NOT NULL,
    status {text} NOT NULL,
    requested_at {real} NOT NULL,
    finished_at {real},
    due_at {real} NOT NULL,
    attempts {integer} NOT NULL DEFAULT 0,
    failure {text} NOT NULL DEFAULT '',
    missing {integer} NOT NULL DEFAULT 0,
    callback_url {text} NOT NULL DEFAULT '',
    phrases {bytes}
);
CREATE INDEX IF NOT EXISTS transcripts_due ON transcripts (status, due_at);
CREATE TABLE IF NOT EXISTS transcript_phrases (
    call_id {text} NOT NULL,
    key {text} NOT NULL,
    phrase {bytes} NOT NULL,
    PRIMARY KEY (call_id, key)
){clustered};
CREATE TABLE IF NOT EXISTS whatsapp_calls (
    wacid {text} PRIMARY KEY,
    line {text} NOT NULL,
    node {integer} NOT NULL,
    began_at {real} NOT NULL,
    ended_at {real}
);
CREATE INDEX IF NOT EXISTS whatsapp_calls_ended ON whatsapp_calls (ended_at);
CREATE TABLE IF NOT EXISTS whatsapp_dials (
    id {integer} PRIMARY KEY,
    opaque {text} NOT NULL,
    line {text} NOT NULL,
    node {integer} NOT NULL
);
CREATE TABLE IF NOT EXISTS whatsapp_permissions (
    line {text} NOT NULL,
    person {text} NOT NULL,
    granted {integer} NOT NULL,
    permanent {integer} NOT NULL,
    at {real} NOT NULL,
    expires_at {real},
    PRIMARY KEY (line, person)
);
CREATE TABLE IF NOT EXISTS recordings (
    recording_id {text} PRIMARY KEY,
    call_id {text} NOT NULL,
    line {text} NOT NULL,
    kind {text} NOT NULL,
    key {text} NOT NULL,
    status {text} NOT NULL,
    started_at {text} NOT NULL,
    ended_at {text},
    seconds {real} NOT NULL DEFAULT 0,
    size_bytes {integer} NOT NULL DEFAULT 0,
    expires_at {text} NOT NULL
){clustered};
CREATE INDEX IF NOT EXISTS recordings_of_calls ON recordings (line, call_id);
CREATE INDEX IF NOT EXISTS recordings_by_key ON recordings (key);
CREATE TABLE IF NOT EXISTS recording_formats (
    recording_id {text} PRIMARY KEY,
    format {text} NOT NULL
){clustered};
CREATE TABLE IF NOT EXISTS recorded_calls (
    call_id {text} PRIMARY KEY,
    from_party {text} NOT NULL,
    to_party {text} NOT NULL
){clustered};
CREATE TABLE IF NOT EXISTS recording_files (
    recording_id {text} NOT NULL,
    format {text} NOT NULL,
    key {text} NOT NULL,
    size_bytes {integer} NOT NULL,
    place {text} NOT NULL,
    since {text} NOT NULL,
    node {text} NOT NULL,
    attempts {integer} NOT NULL DEFAULT 0,
    PRIMARY KEY (recording_id, format)
){clustered};
CREATE INDEX IF NOT EXISTS recording_files_by_place ON recording_files (place);
CREATE TABLE IF NOT EXISTS recording_deletions (
    key {text} PRIMARY KEY,
    attempts {integer} NOT NULL DEFAULT 0
){clustered};
CREATE TABLE IF NOT EXISTS assets (
    asset_id {text} PRIMARY KEY,
    line {text} NOT NULL,
    filename {text} NOT NULL,
    content_type {text} NOT NULL,
    size_bytes {integer} NOT NULL,
    duration {real},
    created_at {text} NOT NULL
){clustered};
CREATE TABLE IF NOT EXISTS voicemails (
    call_id {text} PRIMARY KEY,
    line {text} NOT NULL,
    from_party {text} NOT NULL,
    to_party {text} NOT NULL,
    channel {text} NOT NULL,
    created_at {text} NOT NULL,
    seconds {real} NOT NULL DEFAULT 0,
    is_read {integer} NOT NULL DEFAULT 0,
    transcription {text},
    recording_id {text},
    expires_at {text}
){clustered};
CREATE INDEX IF NOT EXISTS voicemails_of_lines ON voicemails (line, created_at);
CREATE TABLE IF NOT EXISTS lines (
    line {text} PRIMARY KEY,
    entry {bytes} NOT NULL
){clustered};
CREATE TABLE IF NOT EXISTS line_book (
    line {text} PRIMARY KEY,
    entry {bytes} NOT NULL
){clustered};
postgresql: CREATE FUNCTION instr(text, text) RETURNS INTEGER LANGUAGE SQL IMMUTABLE STRICT PARALLEL SAFE
    AS 'SELECT position($2 IN $1)';
postgresql: CREATE FUNCTION instr(bytea, bytea) RETURNS INTEGER LANGUAGE SQL IMMUTABLE STRICT PARALLEL SAFE
    AS 'SELECT position($2 IN $1)';
"""

SECOND: Final = """
ALTER TABLE events ADD COLUMN id {text};
CREATE UNIQUE INDEX events_by_id ON events (id);
ALTER TABLE open_calls ADD COLUMN boot {text} NOT NULL DEFAULT '';
ALTER TABLE whatsapp_calls ADD COLUMN boot {text} NOT NULL DEFAULT '';
ALTER TABLE whatsapp_calls ADD COLUMN orphaned {integer} NOT NULL DEFAULT 0;
ALTER TABLE whatsapp_dials ADD COLUMN boot {text} NOT NULL DEFAULT '';
ALTER TABLE whatsapp_dials ADD COLUMN orphaned {integer} NOT NULL DEFAULT 0;
CREATE TABLE nodes (
    boot {text} PRIMARY KEY,
    node {integer} NOT NULL,
    run {text} NOT NULL,
    machine {text} NOT NULL,
    url {text} NOT NULL,
    started_at {real} NOT NULL,
    lease_until {real},
    ended_at {real},
    draining {integer} NOT NULL DEFAULT 0,
    calls {integer} NOT NULL DEFAULT 0,
    capacity {integer} NOT NULL DEFAULT 0,
    cpu {real} NOT NULL DEFAULT 0,
    lag {real} NOT NULL DEFAULT 0
){clustered};
CREATE UNIQUE INDEX living_nodes ON nodes (node) WHERE ended_at IS NULL;
CREATE TABLE calls (
    call_id {text} PRIMARY KEY,
    node {integer} NOT NULL,
    boot {text} NOT NULL,
    line {text} NOT NULL,
    peer {text} NOT NULL,
    direction {text} NOT NULL,
    started_at {real} NOT NULL,
    ended_at {real},
    reason {text}
){clustered};
CREATE INDEX live_calls ON calls (line) WHERE ended_at IS NULL;
CREATE INDEX ended_calls ON calls (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX ended_calls_of_line ON calls (line, ended_at) WHERE ended_at IS NOT NULL;
CREATE TABLE buckets (
    key {bytes} PRIMARY KEY,
    tokens {real} NOT NULL,
    at {real} NOT NULL
){clustered};
"""

THIRD: Final = """
ALTER TABLE recordings ADD COLUMN machine {text} NOT NULL DEFAULT '';
ALTER TABLE recordings ADD COLUMN live {integer} NOT NULL DEFAULT 0;
CREATE INDEX running_recordings ON recordings (machine) WHERE status = 'recording';
ALTER TABLE recording_files ADD COLUMN machine {text} NOT NULL DEFAULT '';
ALTER TABLE assets ADD COLUMN machine {text} NOT NULL DEFAULT '';
ALTER TABLE assets ADD COLUMN digest {text} NOT NULL DEFAULT '';
ALTER TABLE assets ADD COLUMN stored {integer} NOT NULL DEFAULT 0;
CREATE TABLE file_deletions (
    machine {text} NOT NULL,
    key {text} NOT NULL,
    PRIMARY KEY (machine, key)
){clustered}
"""

FOURTH: Final = """
CREATE TABLE secrets (
    name {text} PRIMARY KEY,
    value {bytes} NOT NULL
){clustered};
"""

FIFTH: Final = """
ALTER TABLE nodes ADD COLUMN signature {text} NOT NULL DEFAULT '';
"""

SIXTH: Final = """
ALTER TABLE recordings ADD COLUMN gaps_json {text} NOT NULL DEFAULT '';
"""

SEVENTH: Final = """
ALTER TABLE open_calls ADD COLUMN snapshot {bytes};
ALTER TABLE open_calls ADD COLUMN taken_at {real};
"""

EIGHTH: Final = """
ALTER TABLE whatsapp_calls ADD COLUMN call_id {text} NOT NULL DEFAULT '';
CREATE INDEX whatsapp_calls_by_id ON whatsapp_calls (call_id) WHERE call_id <> '';
ALTER TABLE recordings ADD COLUMN source {text} NOT NULL DEFAULT '';
ALTER TABLE transcripts ADD COLUMN source {text} NOT NULL DEFAULT '';
CREATE TABLE whatsapp_media (
    call_key {text} NOT NULL,
    kind {text} NOT NULL,
    line {text} NOT NULL,
    media_id {text} NOT NULL,
    sha256 {text} NOT NULL,
    url {text} NOT NULL,
    told_at {real} NOT NULL,
    status {text} NOT NULL,
    due_at {real} NOT NULL,
    attempts {integer} NOT NULL DEFAULT 0,
    PRIMARY KEY (call_key, kind)
){clustered};
CREATE INDEX whatsapp_media_due ON whatsapp_media (due_at) WHERE status <> 'done';
"""

MIGRATIONS: Final = (FIRST, SECOND, THIRD, FOURTH, FIFTH, SIXTH, SEVENTH, EIGHTH)
"""By number, from 1."""
