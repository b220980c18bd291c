# What is fetched: Debian packages, and folders of the cache that are complete or absent.
# Sourced by compose/services.
# shellcheck shell=bash disable=SC2154,SC2164

# once NAME FUNCTION: the cache's folder NAME. The function fills a new folder, which gets its name only when
# everything is there, so an interrupted download is never taken for a finished one.
once() {
    local target=$cache/$1 lock
    [[ ! -e $target ]] || return 0
    exec {lock}>"$target.lock"
    flock "$lock"
    if [[ ! -e $target ]]; then
        rm -rf "$target.new"
        mkdir "$target.new"
        pushd "$target.new" >/dev/null
        "$2"
        popd >/dev/null
        mv -T "$target.new" "$target"
    fi
    exec {lock}>&-
}

# logged FILE COMMAND…: silent unless it fails; then the end of its output says why.
logged() {
    local file=$1
    "${@:2}" >"$file" 2>&1 </dev/null && return 0
    tail -n 20 "$file" >&2
    fail "$name: this failed (its whole output: $file): ${*:2}"
}

installed() {
    (($#)) || return 0
    local states
    # shellcheck disable=SC2016 # dpkg-query's own variables
    states=$(dpkg-query -W -f '${db:Status-Status}\n' "$@" 2>/dev/null) || return 1
    ! grep -qvx installed <<<"$states"
}

# need PACKAGE…: Debian packages, installed. Whoever comes first brings along what the other services of this
# command want (`wanted`): one run of apt instead of many.
need() {
    ! installed "$@" || return 0
    with_apt install_wanted "$@"
}

install_wanted() {
    ! installed "$@" || return 0
    updated_if_needed apt-get install -y --no-install-recommends "${wanted[@]}"
}

# unpack PACKAGE…: their files into the current folder, beside the system: the FTP servers exclude each other.
unpack() {
    with_apt updated_if_needed apt-get download "$@"
    local file
    for file in *.deb; do
        dpkg-deb -x "$file" .
        rm "$file"
    done
}

# with_apt COMMAND…: one after the other, since apt allows no more.
with_apt() {
    local lock
    exec {lock}>"$cache/apt.lock"
    flock "$lock"
    "$@"
    exec {lock}>&-
}

# updated_if_needed apt-get …: package lists are fetched only when it fails without.
updated_if_needed() {
    local log=$cache/apt-$name.log
    local arguments=(-q -o DPkg::Lock::Timeout=600 -o APT::Sandbox::User=root "${@:2}")
    export DEBIAN_FRONTEND=noninteractive
    "$1" "${arguments[@]}" >"$log" 2>&1 </dev/null && return 0
    # One unreachable list of somebody else's is no failure yet: the second try decides.
    apt-get -q update >"$log" 2>&1 </dev/null || true
    logged "$log" "$1" "${arguments[@]}"
}

# Where this machine gets Debian from. apt names only sources whose lists it has.
mirror() {
    local found; found=$(configured_mirror)
    if [[ -z $found ]]; then
        with_apt logged "$cache/apt-$name.log" apt-get -q update
        found=$(configured_mirror)
    fi
    echo "$found"
}

configured_mirror() {
    local codename
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
    # shellcheck disable=SC2016 # apt's own variables
    apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' |
        awk -v r="$codename" '$1 == r && $2 == "main" && !uri { uri = $3 } END { print uri }'
}

# need_user NAME: a system account without password or shell.
need_user() {
    ! getent passwd "$1" >/dev/null || return 0
    with_apt useradd_if_missing "$1"
}

useradd_if_missing() {
    getent passwd "$1" >/dev/null ||
        useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$1"
}
