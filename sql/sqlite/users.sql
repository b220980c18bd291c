-- The user table, as the original system made it. Without a rowid the rows lie in the order of their ids, which
-- compare by bytes.
create table if not exists userinfo (
    id            text primary key not null,
    name          text,
    time_of_start text
) without rowid;
