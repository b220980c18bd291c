-- Version 1 of the ledger. Times are epoch milliseconds by the database's clock. Text compares by bytes.
-- An upload is open exactly while finished_ms is null.
create table if not exists userdata_schema (
    version    int    not null,
    applied_ms bigint not null,
    primary key (version)
) engine = InnoDB;

create table if not exists userdata_upload (
    seq              bigint       not null auto_increment,
    id               char(36)     not null,
    filename         text         not null,
    media_type       text         not null,
    size             bigint       not null,
    sha256           char(64),
    sample           char(64),
    sender           varchar(255) not null,
    -- where the bytes are
    spool            char(36),
    path             text,
    server           text,
    source_archive   text,
    host             text,
    -- RowOptions as JSON; existing ('keep', 'replace') is copied out of it
    options          mediumtext   not null,
    existing         varchar(16)  not null,
    again_of         char(36),
    started_ms       bigint       not null,
    received_ms      bigint       not null,
    announced_ms     bigint,
    archive_name     varchar(700),
    archived_ms      bigint,
    finished_ms      bigint,
    receipt_copied   int          not null default 0,
    state            varchar(16)  not null,
    -- the claim
    attempts         int          not null default 0,
    owner            varchar(255),
    fence            bigint       not null default 0,
    nonce            bigint       not null default 0,
    lease_until_ms   bigint,
    beat             bigint       not null default 0,
    next_try_ms      bigint,
    -- how far the work was when it was claimed: an attempt that moved it is not counted
    mark             varchar(100),
    cancel_asked     int          not null default 0,
    rules            int,
    -- rows that loads stored which were started over
    stored_before    bigint       not null default 0,
    -- JSON: Cleaned, Progress, Waiting, Failure, Receipt
    cleaned          mediumtext,
    progress         mediumtext,
    waiting          mediumtext,
    failure          mediumtext,
    receipt          mediumtext,
    -- the account, written when the upload ends
    rows_read        bigint,
    inserted         bigint,
    replaced         bigint,
    duplicates       bigint,
    rejected         bigint,
    repeated_in_file bigint,
    already_present  bigint,
    conflicting      bigint,
    primary key (seq),
    unique key userdata_upload_id (id),
    unique key userdata_upload_archive_name (archive_name),
    key userdata_upload_open (finished_ms, seq),
    key userdata_upload_unannounced (announced_ms, finished_ms, seq),
    key userdata_upload_state (state, seq),
    key userdata_upload_sample (sample),
    key userdata_upload_existing (existing, seq),
    key userdata_upload_receipt (receipt_copied, archived_ms)
) engine = InnoDB default character set = utf8mb4 collate = {id_collation};

-- A key range of a load. No foreign key: a load locks its own range and never the upload's row, where the
-- heartbeats go.
create table if not exists userdata_upload_part (
    upload       char(36) not null,
    number       int      not null,
    low          varbinary(1020),
    high         varbinary(1020),
    watermark    varbinary(1020),
    finished     int      not null default 0,
    fence        bigint   not null,
    nonce        bigint   not null,
    -- good rows that the stored ids stand for
    good         bigint   not null default 0,
    distinct_ids bigint   not null default 0,
    conflicting  bigint   not null default 0,
    inserted     bigint   not null default 0,
    replaced     bigint   not null default 0,
    -- the range's rows as a part in the archive: PartFile as JSON
    file         text,
    primary key (upload, number)
) engine = InnoDB default character set = utf8mb4 collate = {id_collation};

create table if not exists userdata_upload_event (
    seq     bigint      not null auto_increment,
    upload  char(36)    not null,
    at_ms   bigint      not null,
    worker  varchar(255),
    version varchar(64) not null,
    attempt int         not null,
    state   varchar(16) not null,
    message text        not null,
    primary key (seq),
    key userdata_upload_event_upload (upload, seq)
) engine = InnoDB default character set = utf8mb4 collate = {id_collation};

-- What the local queue could not understand and set aside.
create table if not exists userdata_parked (
    seq      bigint not null auto_increment,
    at_ms    bigint not null,
    value    mediumblob,
    reason   text   not null,
    position text   not null,
    size     bigint not null,
    primary key (seq)
) engine = InnoDB default character set = utf8mb4 collate = {id_collation};

insert into userdata_schema (version, applied_ms) values (1, {now}) on duplicate key update version = version;
