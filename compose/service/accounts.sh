# Who may do what in MySQL and MariaDB, and with which password at the FTP servers.
# shellcheck shell=bash

# One statement a line: a server that is being initialized reads them so.
accounts() {
    cat <<'END'
CREATE DATABASE userdb;
CREATE USER 'userdata'@'%' IDENTIFIED BY 'test-password';
GRANT ALL ON userdb.* TO 'userdata'@'%';
GRANT ALL ON `userdata\_%`.* TO 'userdata'@'%';
END
}
