# What runs: ports, processes, and waiting for an answer.
# Sourced by compose/services; `of` has set name, folder and port.
# shellcheck shell=bash disable=SC2154,SC2164

ports_each=100

# Each service of each instance has a block of ports for itself, below those that the system gives to outgoing
# connections. A link in the cache claims it (creating a link is atomic) until the instance is deleted.
reserve_ports() {
    local try base claim
    mkdir -p "$cache/ports"
    # Claims of instances that are gone, and of an unfinished one in this place. Others that start now may remove the
    # same ones.
    find "$cache/ports" -ignore_readdir_race \( -lname "$folder" -o -xtype l \) -exec rm -f {} + 2>/dev/null || true
    for ((try = 0; try < 1000; try++)); do
        base=$((10000 + RANDOM % 220 * ports_each))
        claim=$cache/ports/$base
        ln -sT "$folder" "$claim" 2>/dev/null || continue
        if in_use "$base"; then
            rm -f "$claim"
            continue
        fi
        port=$base
        return
    done
    fail "$name: no free block of $ports_each ports; stopped instances that are no longer needed can be deleted"
}

# in_use BASE: does any socket of this machine have a local port of that block?
in_use() {
    local _ address
    while read -r _ address _; do
        address=$((16#${address##*:}))
        if ((address >= $1 && address < $1 + ports_each)); then return 0; fi
    done < <(tail -q -n +2 /proc/net/tcp /proc/net/tcp6 2>/dev/null)
    return 1
}

# born PID: when it was started, or nothing if it has ended. With it a process is told from a later one that
# got the same number.
born() {
    local stat fields
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 0
    read -ra fields <<<"${stat##*) }"
    [[ ${fields[0]} == [ZX] ]] || echo "${fields[19]}"
}

# running: sets pid.
running() {
    local since
    [[ -e $folder/pid ]] || return 1
    read -r pid since <"$folder/pid" || return 1
    [[ $(born "$pid") == "$since" ]]
}

start_one() {
    local lock
    mkdir -p "$folder"
    exec {lock}>"$folder/lock"
    flock "$lock"
    if ! running; then
        cd "$folder"
        [[ -e port ]] || create_instance
        local command=()
        launch
        detached &
        pid=$!
        disown "$pid"
        echo "$pid $(born "$pid")" >pid
        wait_for_answer
    fi
    exec {lock}>&-
}

# With no descriptor but its log: else the lock would last as long as the server, and so would the wait of whoever
# reads our output to its end.
detached() {
    local descriptor
    for descriptor in /proc/self/fd/*; do
        descriptor=${descriptor##*/}
        if ((descriptor > 2)); then exec {descriptor}>&-; fi
    done
    exec setsid "${command[@]}" >>log 2>&1 </dev/null
}

# The file `port` is written last: an instance without it was not finished and is made anew.
create_instance() {
    find . -mindepth 1 ! -name lock -delete
    reserve_ports
    create
    echo "$port" >port.new
    mv port.new port
}

wait_for_answer() {
    local deadline=$((SECONDS + start_deadline_s))
    until answers >/dev/null 2>&1; do
        running || give_up "ended while it was starting"
        ((SECONDS < deadline)) || give_up "did not answer within $start_deadline_s s"
        sleep 0.03
    done
}

give_up() {
    tail -n 20 "$folder/log" >&2
    kill_one
    fail "$name $1; its log: $folder/log"
}

# family PID: it and all its descendants, also those that have lost their parent since: a service has a session of its own.
family() {
    cat /proc/[0-9]*/stat 2>/dev/null | awk -v root="$1" '
        { id = $1; sub(/^.*\) /, ""); if ($1 != "Z" && $1 != "X") { parent[id] = $2; session[id] = $4 } }
        END { for (id in parent) {
            for (p = id; p > 1 && p != root; p = parent[p]);
            if (p == root || session[id] == root) print id } }' || true
}

stop_one() {
    running || return 0
    local deadline=$((SECONDS + stop_deadline_s))
    kill -TERM "$pid" 2>/dev/null || true
    while running; do
        ((SECONDS < deadline)) || break
        sleep 0.03
    done
    if running; then
        echo "compose/services: $name did not stop within $stop_deadline_s s and was killed" >&2
    fi
    end
}

kill_one() {
    running || return 0
    # Stopped first, so that it can't have another child between looking and killing.
    kill -STOP "$pid" 2>/dev/null || true
    end
}

# The service and all its descendants, with SIGKILL; returns when all are gone.
end() {
    local members
    while mapfile -t members < <(family "$pid") && ((${#members[@]})); do
        kill -KILL "${members[@]}" 2>/dev/null || true
        sleep 0.01
    done
    rm -f "$folder/pid"
}

status_one() {
    if running; then
        local memory
        memory=$(awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$pid/status")
        printf '%-10s running  127.0.0.1:%s  pid %s  %s MiB\n' "$name" "$port" "$pid" "$memory"
    elif [[ -e $folder/port ]]; then
        printf '%-10s stopped  127.0.0.1:%s\n' "$name" "$port"
    else
        printf '%-10s never started in this instance\n' "$name"
    fi
}
