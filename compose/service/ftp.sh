# What the three FTP servers share: the login and the certificate.
# shellcheck shell=bash disable=SC2034,SC2154

login=userdata
password=test-password
owner=userdata-test
authority=$instance/authority/ca.pem

# One authority an instance, and a certificate each for server: rustls refuses one that signed itself.
make_certificate() {
    make_authority
    logged log openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr
    printf '%s\n' subjectAltName=DNS:localhost,IP:127.0.0.1 basicConstraints=CA:FALSE \
        extendedKeyUsage=serverAuth >server.extensions
    logged log openssl x509 -req -in server.csr -days 3650 -extfile server.extensions \
        -CA "$authority" -CAkey "${authority%.pem}.key" -out server.pem
    rm server.csr server.extensions
}

make_authority() {
    local lock
    mkdir -p "$(dirname "$authority")"
    exec {lock}>"$authority.lock"
    flock "$lock"
    if [[ ! -e $authority ]]; then
        logged log openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj '/CN=userdata test authority' \
            -addext keyUsage=critical,keyCertSign,cRLSign -keyout "${authority%.pem}.key" -out "$authority.new"
        mv "$authority.new" "$authority"
    fi
    exec {lock}>&-
}

# Is the login accepted?
logs_in() (
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    printf 'USER %s\r\nPASS %s\r\nQUIT\r\n' "$login" "$password" >&3
    timeout 5 grep -q '^230' <&3
)
