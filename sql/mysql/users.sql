-- The user table, exactly as the original system made it but for the id's collation, which compares bytes and pads
-- nothing: `A`, `a`, `á` and `a ` are four ids. {table} is the configured name, quoted; {id_collation} is
-- utf8mb4_0900_bin on MySQL and utf8mb4_nopad_bin on MariaDB. An existing table is left as it is.
create table if not exists {table} (
    id            varchar(255) character set utf8mb4 collate {id_collation} not null,
    name          varchar(255),
    time_of_start varchar(255),
    primary key (id)
) engine = InnoDB default character set = utf8mb4;
