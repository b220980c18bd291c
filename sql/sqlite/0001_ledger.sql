-- Version 1 of the ledger. Times are epoch milliseconds by the database's clock. Text compares by bytes.
-- An upload is open exactly while finished_ms is null.
create table if not exists userdata_schema (
    version    integer not null,
    applied_ms integer not null,
    primary key (version)
);

create table if not exists userdata_upload (
    seq              integer primary key autoincrement,
    id               text    not null,
    filename         text    not null,
    media_type       text    not null,
    size             integer not null,
    sha256           text,
    sample           text,
    sender           text    not null,
    -- where the bytes are
    spool            text,
    path             text,
    server           text,
    source_archive   text,
    host             text,
    -- RowOptions as JSON; existing ('keep', 'replace') is copied out of it
    options          text    not null,
    existing         text    not null,
    again_of         text,
    started_ms       integer not null,
    received_ms      integer not null,
    announced_ms     integer,
    archive_name     text,
    archived_ms      integer,
    finished_ms      integer,
    receipt_copied   integer not null default 0,
    state            text    not null,
    -- the claim
    attempts         integer not null default 0,
    owner            text,
    fence            integer not null default 0,
    nonce            integer not null default 0,
    lease_until_ms   integer,
    beat             integer not null default 0,
    next_try_ms      integer,
    -- how far the work was when it was claimed: an attempt that moved it is not counted
    mark             text,
    cancel_asked     integer not null default 0,
    rules            integer,
    -- rows that loads stored which were started over
    stored_before    integer not null default 0,
    -- JSON: Cleaned, Progress, Waiting, Failure, Receipt
    cleaned          text,
    progress         text,
    waiting          text,
    failure          text,
    receipt          text,
    -- the account, written when the upload ends
    rows_read        integer,
    inserted         integer,
    replaced         integer,
    duplicates       integer,
    rejected         integer,
    repeated_in_file integer,
    already_present  integer,
    conflicting      integer
);
create unique index if not exists userdata_upload_id on userdata_upload (id);
create unique index if not exists userdata_upload_archive_name on userdata_upload (archive_name);
create index if not exists userdata_upload_open on userdata_upload (finished_ms, seq);
create index if not exists userdata_upload_unannounced on userdata_upload (announced_ms, finished_ms, seq);
create index if not exists userdata_upload_state on userdata_upload (state, seq);
create index if not exists userdata_upload_sample on userdata_upload (sample);
create index if not exists userdata_upload_existing on userdata_upload (existing, seq);
create index if not exists userdata_upload_receipt on userdata_upload (receipt_copied, archived_ms);

-- A key range of a load. No foreign key: a load locks its own range and never the upload's row, where the
-- heartbeats go.
create table if not exists userdata_upload_part (
    upload       text    not null,
    number       integer not null,
    low          blob,
    high         blob,
    watermark    blob,
    finished     integer not null default 0,
    fence        integer not null,
    nonce        integer not null,
    -- good rows that the stored ids stand for
    good         integer not null default 0,
    distinct_ids integer not null default 0,
    conflicting  integer not null default 0,
    inserted     integer not null default 0,
    replaced     integer not null default 0,
    -- the range's rows as a part in the archive: PartFile as JSON
    file         text,
    primary key (upload, number)
);

create table if not exists userdata_upload_event (
    seq     integer primary key autoincrement,
    upload  text    not null,
    at_ms   integer not null,
    worker  text,
    version text    not null,
    attempt integer not null,
    state   text    not null,
    message text    not null
);
create index if not exists userdata_upload_event_upload on userdata_upload_event (upload, seq);

-- What the local queue could not understand and set aside.
create table if not exists userdata_parked (
    seq      integer primary key autoincrement,
    at_ms    integer not null,
    value    blob,
    reason   text    not null,
    position text    not null,
    size     integer not null
);

insert into userdata_schema (version, applied_ms) values (1, {now}) on conflict (version) do nothing;
