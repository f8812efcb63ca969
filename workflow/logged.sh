# Sourced by every job's shell (scripts/lib/plan.py): `logged LOG STAGE OPTIONS...` runs scripts/STAGE.py of the
# code that this run began with (NOTECAST_CODE, scripts/lib/submitted.py).
#
# LOG gets what a stage says itself, by name (NOTECAST_LOG, scripts/lib/stage.py). Whatever else its process and their
# children write, from the first import to a crash of the interpreter, may hold data: it goes to a file of the same name
# in logs/ below the private root, and LOG says so. The terminal (descriptor 3) sees progress and, if it fails, why.
logged() {
    local log=$1 stage=$2 code=0
    local other="logs/${log#*/logs/}"
    local private="$NOTECAST_PRIVATE/$other"
    shift 2
    ulimit -c 0 # a core file holds all that was in memory, and would lie in the working folder
    mkdir -p "$(dirname "$private")"
    : > "$log"
    echo >> "$private.attempts" # how often this job had to begin, for its record; gone when it has ended well
    # The shell itself would tell of a child that a signal ended, with the whole command: hence the second redirection.
    { NOTECAST_LOG=$log NOTECAST_TERMINAL=3 NOTECAST_ATTEMPT=$(wc -l < "$private.attempts") python "$NOTECAST_CODE/scripts/$stage.py" "$@" > "$private" 2>&1 || code=$?; } 3>&2 2> /dev/null
    [ "$code" -ne 0 ] || rm -f "$private.attempts"
    if [ "$code" -ne 0 ] && [ "$code" -ne 75 ] && ! grep -q '^error: ' "$log"; then # 75: run it again; it said so
        case "$code" in
            137) echo "error: killed (signal 9), most often because memory ran out: give the rule more, or run fewer at a time" ;;
            *) echo "error: the process ended with status $code before it could say why" ;;
        esac >> "$log"
    fi
    if [ -s "$private" ]; then echo "details: $other below the private root" >> "$log"; else rm -f "$private"; fi
    if [ "$code" -eq 75 ]; then
        tail -n 2 "$log" >&2
    elif [ "$code" -ne 0 ]; then
        sed -n '/^error: /,$p' "$log" >&2
    fi
    return "$code"
}
