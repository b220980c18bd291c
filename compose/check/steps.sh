# What the checks have in common: steps, waiting, and an upload from its start to its end.
# Sourced by compose/check/*; they set `server`, the address of the server, and `token` where it wants one.
# shellcheck shell=bash disable=SC2154

# shellcheck disable=SC2034 # read by those who source this
cache=${XDG_CACHE_HOME:-$HOME/.cache}/userdata

step() { printf '  %s (%d s)\n' "$1" "$SECONDS"; }

failed() {
    echo "check: $*" >&2
    exit 1
}

need() {
    local variable
    for variable in "$@"; do
        [[ -n ${!variable-} ]] ||
            failed "$variable is not set: run this by compose/test, or as: compose/services run -- $0 FILE"
    done
}

# within SECONDS WHAT CONDITION…: waits until the command succeeds.
within() {
    local end=$((SECONDS + $1))
    until "${@:3}" >/dev/null 2>&1; do
        ((SECONDS < end)) || failed "did not happen within $1 s: $2"
        sleep 0.1
    done
}

# Sets `port` to one that nobody uses.
free_port() {
    local hex
    while port=$((20000 + RANDOM % 10000)); do
        hex=$(printf ':%04X ' "$port")
        grep -q "$hex" /proc/net/tcp /proc/net/tcp6 || return 0
    done
}

token=
ask() { curl --silent --show-error ${token:+--header "Authorization: Bearer $token"} "$@"; }

# upload_to_done: 2000 rows of its own; sets `upload` to its id. Waits for it, at most `patience` seconds.
patience=60
uploads=0
upload_to_done() {
    local answer
    uploads=$((uploads + 1))
    answer=$(seq 2000 | awk -v n="$uploads" 'BEGIN { print "id,name,time_of_start" } { print n "-" $1 ",NAME " $1 ",2017-03-07 12:30:54" }' |
        ask --fail-with-body --upload-file - "$server/uploads/users.csv") || failed "the upload was refused: $answer"
    upload=$(jq -r .id <<<"$answer")
    within "$patience" "the upload $upload is done" is_done "$upload"
    [[ $(rows_of "$upload") == 2000 ]] || failed "not all rows were stored: $(ask "$server/uploads/$upload")"
}

state_of() { ask --fail "$server/uploads/$1" | jq -r .state; }

is_done() { [[ $(state_of "$1") == "done" ]]; }

rows_of() { ask --fail "$server/uploads/$1" | jq .inserted; }
